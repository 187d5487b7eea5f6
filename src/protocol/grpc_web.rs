//! gRPC-Web: gRPC's messages with the trailers as a last frame of the body.
//!
//! Follows `PROTOCOL-WEB.md` of gRPC. Messages are gRPC's own bytes; only the end differs.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use super::{Codec, envelope, grpc, media_type};
use crate::status::{Cause, Refusal, Status};

/// How the bytes of a body are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcWebForm {
    /// As they are.
    Binary,
    /// In base64, for callers that cannot read bytes as they come (`XMLHttpRequest`).
    Text,
}

impl GrpcWebForm {
    /// What an answer says of itself.
    pub fn content_type(self, codec: Codec) -> HeaderValue {
        HeaderValue::from_static(match (self, codec) {
            (Self::Binary, Codec::Proto) => "application/grpc-web+proto",
            (Self::Binary, Codec::Json) => "application/grpc-web+json",
            (Self::Text, Codec::Proto) => "application/grpc-web-text+proto",
            (Self::Text, Codec::Json) => "application/grpc-web-text+json",
        })
    }

    /// A piece of a body as it is sent. In text, each piece is base64 of its own, padded: that is
    /// how a stream can be read before it ends.
    pub fn encode(self, piece: Bytes) -> Bytes {
        match self {
            Self::Binary => piece,
            Self::Text => BASE64_STANDARD.encode(&piece).into(),
        }
    }
}

/// The flag of a frame that holds trailers.
const TRAILERS_FLAG: u8 = 0x80;

/// Refuses content types that are gRPC-Web, but of a form that is not served.
pub fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |v| v.as_bytes());
    match media_type(content_type).to_ascii_lowercase().as_slice() {
        b"application/grpc-web"
        | b"application/grpc-web+proto"
        | b"application/grpc-web+json"
        | b"application/grpc-web-text"
        | b"application/grpc-web-text+proto"
        | b"application/grpc-web-text+json" => Ok(()),
        other => Err(Refusal::new(
            Cause::UnknownContentType,
            format!(
                "content type {} is not served: use application/grpc-web+proto or +json",
                String::from_utf8_lossy(other)
            ),
        )),
    }
}

/// A text body is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not base64")]
pub struct NotBase64;

/// Reads a text body from chunks that end anywhere. Padding may stand inside: a caller that
/// flushes in between writes several pieces, each with its own.
#[derive(Debug, Default)]
pub struct TextDecoder {
    /// The beginning of a group of four characters.
    pending: Vec<u8>,
}

impl TextDecoder {
    /// The bytes that are complete with this chunk.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Vec<u8>, NotBase64> {
        let mut decoded = Vec::with_capacity(chunk.len() / 4 * 3 + 3);
        let mut rest = chunk;
        if !self.pending.is_empty() {
            let (head, tail) = rest.split_at(rest.len().min(4 - self.pending.len()));
            self.pending.extend_from_slice(head);
            rest = tail;
            if self.pending.len() < 4 {
                return Ok(decoded);
            }
            BASE64_STANDARD.decode_vec(&self.pending, &mut decoded).map_err(|_| NotBase64)?;
            self.pending.clear();
        }
        let (groups, tail) = rest.split_at(rest.len() / 4 * 4);
        self.pending.extend_from_slice(tail);
        // Each run that ends with padding is a piece of its own.
        let mut start = 0;
        for end in (4..=groups.len()).step_by(4) {
            if groups[end - 1] == b'=' || end == groups.len() {
                BASE64_STANDARD
                    .decode_vec(&groups[start..end], &mut decoded)
                    .map_err(|_| NotBase64)?;
                start = end;
            }
        }
        Ok(decoded)
    }

    /// Whether the text so far ends where a group ends.
    pub fn is_complete(&self) -> bool {
        self.pending.is_empty()
    }
}

/// The frame that ends a body: the status, and the metadata that came with it.
pub fn trailers_frame(status: &Status, metadata: &HeaderMap) -> Bytes {
    let mut end = HeaderMap::with_capacity(3);
    grpc::put_status(status, &mut end);
    let mut frame = envelope::begin(64);
    for (name, value) in end.iter().chain(metadata) {
        frame.extend_from_slice(name.as_str().as_bytes());
        frame.push(b':');
        frame.extend_from_slice(value.as_bytes());
        frame.extend_from_slice(b"\r\n");
    }
    // Headers are bounded far below 4 GiB.
    envelope::finish(TRAILERS_FLAG, frame).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::status::Code;

    proptest! {
        #[test]
        fn text_is_read_whatever_its_pieces_and_chunks(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..6),
            cuts in prop::collection::vec(1_usize..7, 0..40),
        ) {
            let encoded = pieces.iter().map(|p| GrpcWebForm::Text.encode(Bytes::from(p.clone())));
            let text: Vec<u8> = encoded.flat_map(|piece| piece.to_vec()).collect();
            let (mut decoder, mut decoded, mut rest) = (TextDecoder::default(), vec![], &text[..]);
            for cut in cuts.into_iter().chain([text.len()]) {
                let (chunk, tail) = rest.split_at(cut.min(rest.len()));
                decoded.extend(decoder.push(chunk).unwrap());
                rest = tail;
            }
            prop_assert!(decoder.is_complete());
            prop_assert_eq!(decoded, pieces.concat());
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["!!!!", "A===", "AA=A", "=AAA", "\u{e9}\u{e9}", "AA\n="] {
            assert_eq!(TextDecoder::default().push(text.as_bytes()), Err(NotBase64), "{text}");
        }
        let mut decoder = TextDecoder::default();
        assert_eq!(decoder.push(b"AAAA="), Ok(vec![0, 0, 0]));
        assert!(!decoder.is_complete());
    }

    #[test]
    fn trailers_are_lower_case_lines_behind_a_flag() {
        let metadata = HeaderMap::from_iter([(
            header::HeaderName::from_static("x-shelf"),
            HeaderValue::from_static("3"),
        )]);
        let frame = trailers_frame(&Status::new(Code::NotFound, "no such"), &metadata);
        let text = b"grpc-status:5\r\ngrpc-message:no such\r\nx-shelf:3\r\n";
        assert_eq!(frame[..5], [0x80, 0, 0, 0, text.len() as u8]);
        assert_eq!(&frame[5..], text);
    }
}
