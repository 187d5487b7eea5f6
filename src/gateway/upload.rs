//! REST, requests that are no JSON: an HTTP body becomes the `google.api.HttpBody` of one message,
//! or of a stream of them, as it arrives.
//!
//! The first message has the content type, and what path and query bind; later ones have bytes
//! and nothing else.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use http::request;
use http_body::Frame;

use super::{
    call::Call,
    collect::{Refused, break_off, broken_off, collect},
    guard::Sent,
    rest,
    rest_stream::MessageBody,
};
use crate::{
    protocol::{
        envelope,
        http_body::{HttpBody, Place, content_type},
        rest::{BodyMedia, check_encoding},
    },
    routing::Route,
    status::Refusal,
    upstream::BoxError,
};

/// The most bytes of a streamed body that one message has.
const CHUNK_BYTES: usize = 64 << 10;

/// Reads the whole body into the envelope of the one message it is in.
pub(super) async fn read_message(
    call: &Call,
    route: &Route,
    place: Place,
    head: &request::Parts,
    body: Body,
) -> Result<Bytes, Refusal> {
    check(head)?;
    // What is wrong with path and query is known without the body.
    let bound = bind(call, route, head)?;
    let limits = &call.shared.limits;
    let data = collect(body, limits.body_limit_bytes, &call.shared.deadlines).await?;
    let body = HttpBody { content_type: content_type(&head.headers), data };
    message(call, place, &body, &bound)
}

/// The body of a call whose method takes a stream.
pub(super) fn stream(
    call: &Arc<Call>,
    place: Place,
    head: &request::Parts,
    body: Body,
    refused: &Refused,
    sent: Sent,
) -> Result<MessageBody, Refusal> {
    check(head)?;
    let route = call.route().ok_or_else(rest::no_route)?;
    let (first, content_type) = (bind(call, route, head)?, content_type(&head.headers));
    let limit = call.shared.limits.message_limit_bytes;
    let taken = place.encoded_bytes(&content_type, first.len());
    let chunk_bytes = limit.saturating_sub(taken).min(CHUNK_BYTES);
    if chunk_bytes == 0 {
        return Err(rest::message_too_large(taken, limit));
    }
    Ok(Box::pin(Chunks {
        call: Arc::clone(call),
        place,
        first: Some((content_type, first)),
        chunk_bytes,
        body,
        arrived: Bytes::new(),
        refused: Arc::clone(refused),
        sent,
        is_ended: false,
    }))
}

fn check(head: &request::Parts) -> Result<(), Refusal> {
    check_encoding(&head.headers)?;
    BodyMedia::Any.check(&head.method, &head.headers)
}

/// What path and query bind, encoded, beside an HTTP body that is there.
fn bind(call: &Call, route: &Route, head: &request::Parts) -> Result<Bytes, Refusal> {
    let mut bound = rest::bind_message(call, route, head, b"{}", None)?;
    bound.advance(envelope::HEADER_BYTES);
    Ok(bound)
}

/// One message, framed: what is bound comes last, so that it holds.
fn message(call: &Call, place: Place, body: &HttpBody, bound: &[u8]) -> Result<Bytes, Refusal> {
    let length = place.encoded_bytes(&body.content_type, body.data.len()) + bound.len();
    let mut message = envelope::begin(length);
    place.encode(body, &mut message);
    message.extend_from_slice(bound);
    rest::finish_message(call, message)
}

struct Chunks {
    call: Arc<Call>,
    place: Place,
    /// The content type and what is bound, until the first message has them.
    first: Option<(String, Bytes)>,
    chunk_bytes: usize,
    body: Body,
    /// What is not sent yet.
    arrived: Bytes,
    refused: Refused,
    sent: Sent,
    is_ended: bool,
}

impl Chunks {
    /// The next message of what has arrived; of an empty body, one that says so.
    fn next_message(&mut self) -> Result<Option<Bytes>, Refusal> {
        if self.arrived.is_empty() && !(self.is_ended && self.first.is_some()) {
            return Ok(None);
        }
        let (content_type, bound) = self.first.take().unwrap_or_default();
        let data = self.arrived.split_to(self.arrived.len().min(self.chunk_bytes));
        self.sent.note();
        message(&self.call, self.place, &HttpBody { content_type, data }, &bound).map(Some)
    }

    fn refuse(&self, refusal: Refusal) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(Err(break_off(&self.refused, refusal))))
    }
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            match this.next_message() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
                Ok(None) if this.is_ended => return Poll::Ready(None),
                Ok(None) => {}
                Err(refusal) => return this.refuse(refusal),
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => this.arrived = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return this.refuse(broken_off(&error)),
                None => this.is_ended = true,
            }
        }
    }
}
