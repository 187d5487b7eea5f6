//! An upstream's answer as it comes: messages, then one end, whatever the upstream does.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body as _;

use super::deadline::{self, Deadline};
use crate::{
    protocol::{
        envelope::{Envelope, EnvelopeError, EnvelopeReader, TooLarge},
        grpc,
        http_body::{HttpBody, Place},
        metadata, values,
    },
    status::{Cause, Code, Refusal, Status},
    upstream::{ResponseBody, UpstreamError, UpstreamFuture},
};

/// How a call ended: with the upstream's trailing metadata, or not as asked.
pub(super) type CallEnd = Result<HeaderMap, Refusal>;

/// What comes of an upstream's answer.
pub(super) enum ReplyEvent {
    /// Bytes of framed messages.
    Data(Bytes),
    /// The end. Nothing comes after it.
    End(CallEnd),
}

/// The answer of an upstream. Dropping it cancels the call.
pub(super) struct UpstreamReply {
    state: State,
    metadata: Option<HeaderMap>,
    /// How its messages are compressed, if they are: for callers whose bytes they become.
    encoding: Option<HeaderValue>,
    deadline: Deadline,
}

enum State {
    Asking(UpstreamFuture),
    Reading(ResponseBody),
    Ended,
}

impl UpstreamReply {
    pub(super) fn new(future: UpstreamFuture, deadline: Deadline) -> Self {
        Self { state: State::Asking(future), metadata: None, encoding: None, deadline }
    }

    /// The leading metadata for the caller, once the upstream's head has come.
    pub(super) fn metadata(&self) -> Option<&HeaderMap> {
        self.metadata.as_ref()
    }

    /// The same, for who is the only one to ask.
    pub(super) fn take_metadata(&mut self) -> Option<HeaderMap> {
        self.metadata.take()
    }

    /// The upstream's `grpc-encoding`.
    pub(super) fn encoding(&self) -> Option<&HeaderValue> {
        self.encoding.as_ref()
    }

    /// The next event. Not to be asked again after the end.
    pub(super) async fn event(&mut self) -> ReplyEvent {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<ReplyEvent> {
        loop {
            match &mut self.state {
                State::Asking(future) => match ready!(Pin::new(future).poll(cx)) {
                    Ok(response) => match self.read_head(response) {
                        Ok(body) => self.state = State::Reading(body),
                        Err(end) => return self.end(*end),
                    },
                    Err(error) => return self.end(Err(broken(error))),
                },
                State::Reading(body) => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) if data.is_empty() => {}
                        Ok(data) => return Poll::Ready(ReplyEvent::Data(data)),
                        Err(frame) => {
                            let trailers = frame.into_trailers().unwrap_or_default();
                            return self.end(end_of(trailers));
                        }
                    },
                    None => return self.end(end_of(HeaderMap::new())),
                    Some(Err(error)) => return self.end(Err(broken(error))),
                },
                State::Ended => return Poll::Ready(ReplyEvent::End(end_of(HeaderMap::new()))),
            }
        }
    }

    /// Reads a reply of one message to its end.
    pub(super) async fn one_message(
        &mut self,
        limit: usize,
    ) -> Result<(Bytes, HeaderMap), Refusal> {
        let mut reader = EnvelopeReader::new(limit);
        let mut message = None;
        loop {
            match self.event().await {
                ReplyEvent::Data(data) => reader.push(data),
                ReplyEvent::End(end) => {
                    let trailers = end?;
                    return match message {
                        Some(message) if reader.is_empty() => Ok((message, trailers)),
                        Some(_) => Err(framing("its answer ended inside a message")),
                        None => Err(framing("it answered OK without a message")),
                    };
                }
            }
            while let Some(envelope) = reader.next_envelope().map_err(too_large)? {
                if message.replace(plain(envelope)?).is_some() {
                    return Err(framing("it answered a unary call with several messages"));
                }
            }
        }
    }

    fn end(&mut self, end: CallEnd) -> Poll<ReplyEvent> {
        self.state = State::Ended;
        let end = end.map_err(|refusal| match refusal.status.code {
            // The upstream's timer was the faster one, and some upstreams call that a cancellation.
            Code::Cancelled if self.deadline.is_here() => deadline::passed(),
            _ => refusal,
        });
        Poll::Ready(ReplyEvent::End(end))
    }

    fn read_head(
        &mut self,
        response: Response<ResponseBody>,
    ) -> Result<ResponseBody, Box<CallEnd>> {
        let (head, body) = response.into_parts();
        if let Some(status) = grpc::status_from(&head.headers) {
            return Err(Box::new(end_with(status, head.headers)));
        }
        if head.status != StatusCode::OK {
            let code = Code::from_http(head.status);
            let message = format!("the upstream answered HTTP {}", head.status.as_u16());
            return Err(Box::new(Err(Refusal::upstream(Status::new(code, message)))));
        }
        let content_type = values(&head.headers, header::CONTENT_TYPE).next().map(|v| v.as_bytes());
        if !content_type.is_some_and(|t| t.starts_with(b"application/grpc")) {
            let message = "the upstream's answer is not gRPC";
            return Err(Box::new(Err(Refusal::new(Cause::UpstreamWithoutStatus, message))));
        }
        self.encoding = values(&head.headers, grpc::ENCODING).next().cloned();
        self.metadata = Some(metadata::to_caller(head.headers));
        Ok(body)
    }
}

fn broken(error: UpstreamError) -> Refusal {
    Refusal::upstream(Status::new(error.code, error.message))
}

/// The bytes of a message that must not be compressed: nobody asked for that.
pub(super) fn plain(envelope: Envelope) -> Result<Bytes, Refusal> {
    match envelope.flags {
        0 => Ok(envelope.payload),
        1 => Err(framing("its message is compressed, which was not asked for")),
        _ => Err(framing("its message has unknown flags")),
    }
}

/// The HTTP body in a message.
pub(super) fn http_body(place: Place, message: Bytes) -> Result<HttpBody, Refusal> {
    place.decode(message).map_err(|_| framing("its google.api.HttpBody cannot be read"))
}

/// The `content-type` that a body is answered with.
pub(super) fn http_body_type(body: &HttpBody) -> Result<HeaderValue, Refusal> {
    body.header_value().ok_or_else(|| framing("the type of its google.api.HttpBody is no header"))
}

/// The refusal of bytes that an upstream has framed wrongly, or too long.
pub(super) fn envelope(error: EnvelopeError) -> Refusal {
    match error {
        EnvelopeError::TooLarge(error) => too_large(error),
        error => framing(&error.to_string()),
    }
}

/// The refusal of an upstream message over the limit.
pub(super) fn too_large(error: TooLarge) -> Refusal {
    Refusal::new(
        Cause::UpstreamMessageTooLarge,
        format!("the upstream's answer is refused: {error}"),
    )
}

/// The refusal of an upstream that breaks gRPC's framing.
pub(super) fn framing(what: &str) -> Refusal {
    Refusal::new(Cause::UpstreamFraming, format!("the upstream is at fault: {what}"))
}

fn end_of(trailers: HeaderMap) -> CallEnd {
    match grpc::status_from(&trailers) {
        Some(status) => end_with(status, trailers),
        None => Err(Refusal::new(
            Cause::UpstreamWithoutStatus,
            "the upstream's answer ended without a status",
        )),
    }
}

fn end_with(status: Status, trailers: HeaderMap) -> CallEnd {
    let metadata = metadata::to_caller(trailers);
    if status.code == Code::Ok {
        return Ok(metadata);
    }
    Err(Refusal::upstream(status).with_metadata(metadata))
}
