//! gRPC-Web as text: bodies in base64, decoded on the way in and encoded on the way out.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;

use super::ReplyBody;
use crate::{
    protocol::grpc_web::{GrpcWebForm, NotBase64, TextDecoder},
    upstream::BoxError,
};

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
