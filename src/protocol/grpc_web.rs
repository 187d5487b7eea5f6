//! gRPC-Web: gRPC's messages with the trailers as a last frame of the body.
//!
//! Follows `PROTOCOL-WEB.md` of gRPC. Messages are gRPC's own bytes; only the end differs.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use super::{envelope, grpc, media_type};
use crate::status::{Cause, Refusal, Status};

/// What a binary answer says of itself.
pub const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc-web+proto");

/// The flag of a frame that holds trailers.
const TRAILERS_FLAG: u8 = 0x80;

/// Refuses content types that are gRPC-Web, but of a form that is not served.
pub fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |v| v.as_bytes());
    match media_type(content_type).to_ascii_lowercase().as_slice() {
        b"application/grpc-web" | b"application/grpc-web+proto" => Ok(()),
        other => Err(Refusal::new(
            Cause::UnknownContentType,
            format!(
                "content type {} is not served: use application/grpc-web+proto",
                String::from_utf8_lossy(other)
            ),
        )),
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
    use super::*;
    use crate::status::Code;

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
