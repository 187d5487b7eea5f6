//! gRPC-Web's bodies: base64, decoded on the way in and encoded on the way out, and gzip around a
//! request.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Frame;

use super::ReplyBody;
use crate::{
    protocol::{
        compression::GzipBody,
        grpc_web::{GrpcWebForm, NotBase64, TextDecoder},
        rest,
    },
    status::Refusal,
    upstream::BoxError,
};

/// The request's body without the compression of its own that HTTP has for it. Limits count what
/// comes out.
pub(super) fn inflate(headers: &HeaderMap, body: Body) -> Result<Body, Refusal> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if coding.as_bytes().eq_ignore_ascii_case(b"gzip") => {
            Ok(Body::new(GzipRequest { body, gzip: Some(GzipBody::default()), rest: Bytes::new() }))
        }
        _ => rest::check_encoding(headers).map(|()| body),
    }
}

struct GzipRequest {
    body: Body,
    /// None behind the end.
    gzip: Option<GzipBody>,
    /// Compressed bytes that have come, and wait until what is before them is taken.
    rest: Bytes,
}

impl http_body::Body for GzipRequest {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let out = loop {
            let Some(gzip) = &mut this.gzip else { return Poll::Ready(None) };
            let out = if this.rest.is_empty() {
                match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        this.rest = frame.into_data().unwrap_or_default();
                        continue;
                    }
                    Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                    None => {
                        let out = gzip.finish();
                        this.gzip = None;
                        out
                    }
                }
            } else {
                let piece = this.rest.split_to(this.rest.len().min(GzipBody::PIECE_BYTES));
                gzip.push(&piece)
            };
            match out {
                Ok(out) if out.is_empty() => {}
                out => break out,
            }
        };
        Poll::Ready(Some(out.map(|bytes| Frame::data(bytes.into())).map_err(BoxError::from)))
    }
}

/// The request's body in binary.
pub(super) fn decode(form: GrpcWebForm, body: Body) -> Body {
    match form {
        GrpcWebForm::Binary => body,
        GrpcWebForm::Text => Body::new(TextRequest { body, decoder: TextDecoder::default() }),
    }
}

/// The reply's body in the caller's form.
pub(super) fn encode(form: GrpcWebForm, body: ReplyBody) -> ReplyBody {
    match form {
        GrpcWebForm::Binary => body,
        GrpcWebForm::Text => ReplyBody::stream(TextReply(body)),
    }
}

struct TextRequest {
    body: Body,
    decoder: TextDecoder,
}

impl http_body::Body for TextRequest {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        Poll::Ready(match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                let chunk = frame.into_data().unwrap_or_default();
                let decoded = this.decoder.push(&chunk);
                Some(decoded.map(|bytes| Frame::data(bytes.into())).map_err(BoxError::from))
            }
            Some(Err(error)) => Some(Err(error.into())),
            None if this.decoder.is_complete() => None,
            None => Some(Err(NotBase64.into())),
        })
    }
}

struct TextReply(ReplyBody);

impl http_body::Body for TextReply {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(cx));
        let encode = |frame: Frame<Bytes>| frame.map_data(|piece| GrpcWebForm::Text.encode(piece));
        Poll::Ready(frame.map(|frame| frame.map(encode)))
    }
}
