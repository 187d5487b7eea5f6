//! REST, a stream of requests: the JSON values of a body become framed messages as they arrive.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::request;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::{
    call::Call,
    collect::{Refused, break_off, broken_off},
    guard::{Sent, StreamGuard},
    rest, upload,
};
use crate::{
    protocol::{
        json_stream::{JsonSplitter, SplitError},
        rest::{BodyMedia, check_encoding},
    },
    schema::BodyRule,
    status::{Cause, Refusal},
    upstream::{BoxError, RequestBody},
};

/// The request of a call whose answer is a stream: one message, or a stream of them.
pub(super) async fn request(
    call: &Arc<Call>,
    head: request::Parts,
    body: Body,
    refused: &Refused,
) -> Result<(StreamGuard, RequestBody), Refusal> {
    if call.method().client_streaming {
        let mut guard = StreamGuard::new(call)?;
        let body = self::body(call, head, body, refused, &mut guard).await?;
        return Ok((guard, body));
    }
    let route = call.route().ok_or_else(rest::no_route)?;
    let message = pin!(rest::read_message(call, route, &head, body));
    let message = call.deadline.within(message).await?;
    Ok((StreamGuard::new(call)?, RequestBody::Full(Some(message))))
}

/// The body of a call whose method takes a stream. What is found wrong with it is left in
/// `refused`, for the caller; the upstream only sees it break off.
///
/// What is wrong with the first message is found before the upstream is asked. A caller that waits
/// to hear something first is waited for as long as an answer's commit is.
pub(super) async fn body(
    call: &Arc<Call>,
    head: request::Parts,
    body: Body,
    refused: &Refused,
    guard: &mut StreamGuard,
) -> Result<RequestBody, Refusal> {
    let mut body = match call.raw_request() {
        Some(place) => upload::stream(call, place, &head, body, refused, guard.sent())?,
        None => json_messages(call, head, body, refused, guard.sent())?,
    };
    let wait = Duration::from_millis(call.shared.deadlines.stream_commit_ms);
    let first = guard.within(async { Ok(timeout(wait, body.frame()).await) }).await?;
    Ok(match first {
        Ok(Some(Ok(frame))) => {
            RequestBody::Stream(Box::pin(Begun { first: Some(frame), rest: body }))
        }
        Ok(Some(Err(error))) => {
            return Err(refused.get().cloned().unwrap_or_else(|| broken_off(error.as_ref())));
        }
        Ok(None) => RequestBody::Full(None),
        Err(_) => RequestBody::Stream(body),
    })
}

/// Messages, framed, as they arrive.
pub(super) type MessageBody = Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError> + Send>>;

fn json_messages(
    call: &Arc<Call>,
    head: request::Parts,
    body: Body,
    refused: &Refused,
    sent: Sent,
) -> Result<MessageBody, Refusal> {
    check_encoding(&head.headers)?;
    let takes_body = call.route().is_some_and(|route| route.binding.body != BodyRule::None);
    if takes_body {
        BodyMedia::JsonStream.check(&head.method, &head.headers)?;
    }
    Ok(Box::pin(JsonMessages {
        splitter: JsonSplitter::new(call.shared.limits.body_limit_bytes),
        call: Arc::clone(call),
        head,
        body,
        refused: Arc::clone(refused),
        sent,
        number: 0,
        arrived: 0,
        became: 0,
        takes_body,
        is_ended: false,
    }))
}

/// A body whose first message has come.
struct Begun {
    first: Option<Frame<Bytes>>,
    rest: MessageBody,
}

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => self.rest.as_mut().poll_frame(cx),
        }
    }
}

/// Path and query are bound into every message, so that none is of another resource than the path
/// that was asked for. Beyond one message's limit, messages may be so many times what has come.
const GROWTH_LIMIT: usize = 32;

struct JsonMessages {
    call: Arc<Call>,
    head: request::Parts,
    body: Body,
    splitter: JsonSplitter,
    refused: Refused,
    sent: Sent,
    /// How many messages there were.
    number: usize,
    /// Bytes that have come, and bytes of the messages they became.
    arrived: usize,
    became: usize,
    /// Without a body, path and query are the one message.
    takes_body: bool,
    is_ended: bool,
}

impl JsonMessages {
    /// The next message that has arrived, framed.
    fn next_message(&mut self) -> Result<Option<Bytes>, Refusal> {
        let value = match self.is_ended {
            false => self.splitter.next_value(),
            true => self.splitter.finish(),
        };
        let Some(route) = self.call.route() else { return Ok(None) };
        let value = match value.map_err(refusal_of)? {
            Some(value) => value,
            None if self.is_ended && self.number == 0 => {
                // A path and a query that bind nothing have to be right nevertheless.
                let bound = rest::bind_message(&self.call, route, &self.head, &[], None)?;
                self.number = 1;
                return Ok((!self.takes_body).then_some(bound));
            }
            None => return Ok(None),
        };
        let message = rest::bind_message(&self.call, route, &self.head, value, Some(self.number))?;
        self.number += 1;
        self.became += message.len();
        let allowed = self.arrived.saturating_mul(GROWTH_LIMIT);
        if self.became > allowed.saturating_add(self.call.shared.limits.message_limit_bytes) {
            let text = "path and query make the messages too large for the bytes that came";
            return Err(Refusal::new(Cause::RequestTooLarge, text));
        }
        self.sent.note();
        Ok(Some(message))
    }

    fn refuse(&self, refusal: Refusal) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(Err(break_off(&self.refused, refusal))))
    }
}

impl http_body::Body for JsonMessages {
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
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    this.arrived += data.len();
                    this.splitter.push(&data);
                }
                Some(Err(error)) => return this.refuse(broken_off(&error)),
                None => this.is_ended = true,
            }
        }
    }
}

fn refusal_of(error: SplitError) -> Refusal {
    let cause = match error {
        SplitError::TooLarge { .. } => Cause::RequestTooLarge,
        SplitError::Malformed(_) => Cause::Malformed,
    };
    Refusal::new(cause, error.to_string())
}
