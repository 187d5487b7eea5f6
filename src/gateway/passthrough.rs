//! gRPC, gRPC-Web and Connect's streams: messages in envelopes go through, as they are where the
//! upstream understands them so.
//!
//! The protocols differ in how the end is told, and in the names of headers.

use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header, request};
use http_body::Frame;

use super::{
    ReplyBody,
    call::Call,
    collect::{Refused, break_off, broken_off, collect},
    ending::Ending,
    guard::{Sent, StreamGuard},
    messages::{ReplyMessages, RequestMessages},
    reply::{self, CallEnd, ReplyEvent, UpstreamReply},
    rpc::{Ways, encoding_headers},
};
use crate::{
    protocol::{Codec, Protocol, compression::Encoding, connect, envelope, grpc},
    status::{Cause, Refusal},
    upstream::{BoxError, RequestBody},
};

pub(super) async fn call(
    mut call: Call,
    codec: Codec,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    let ways = Ways::of(&mut call, codec, &head)?;
    let (client_streaming, server_streaming) =
        (call.method().client_streaming, call.method().server_streaming);
    let refused = Refused::default();
    let guard = match client_streaming || server_streaming {
        true => Some(StreamGuard::new(&call)?),
        false => None,
    };
    let body = match &guard {
        Some(guard) if client_streaming => {
            let (refused, sent) = (Arc::clone(&refused), guard.sent());
            let messages = ways.request;
            RequestBody::Stream(Box::pin(MessageBody {
                body,
                messages,
                refused,
                sent,
                has_made: false,
            }))
        }
        _ => {
            let message = pin!(one_message(&call, body, ways.request));
            RequestBody::Full(Some(call.deadline.within(message).await?))
        }
    };
    let answer = Answer { reply: call.start(body), messages: ways.reply, encoding: ways.encoding };
    let answer = match guard {
        Some(guard) if server_streaming => {
            stream_answer(call, answer, guard, Arc::clone(&refused)).await
        }
        Some(mut guard) => guard.within(unary_answer(&call, answer, &refused)).await,
        None => call.deadline.within(pin!(unary_answer(&call, answer, &refused))).await,
    };
    // What was wrong with the request's stream is why the upstream failed.
    answer.map_err(|refusal| refused.get().cloned().unwrap_or(refusal))
}

/// Reads the one message of a request that is no stream.
async fn one_message(
    call: &Call,
    body: Body,
    mut messages: RequestMessages,
) -> Result<Bytes, Refusal> {
    let body_limit = messages.limit().saturating_add(envelope::HEADER_BYTES);
    let bytes = collect(body, body_limit, &call.shared.deadlines).await?;
    messages.push(bytes)?;
    let message = messages.next(false)?;
    if messages.is_complete()
        && messages.count() == 1
        && let Some(message) = message
    {
        return Ok(message);
    }
    // What is behind it is another message, or the beginning of one.
    if messages.next(false)?.is_none() && !messages.is_complete() {
        return Err(ended_inside());
    }
    let message = format!("this method takes one message, not {}", messages.count());
    Err(Refusal::new(Cause::MessageCount, message))
}

/// The upstream's answer, and what becomes of its messages.
struct Answer {
    reply: UpstreamReply,
    messages: ReplyMessages,
    /// How they are compressed if they are compressed here.
    encoding: Option<Encoding>,
}

impl Answer {
    /// Waits for nothing: the upstream's head has come.
    fn respond(&self, protocol: Protocol, body: ReplyBody) -> Response<ReplyBody> {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        *headers = self.reply.metadata().cloned().unwrap_or_default();
        let content_type = match protocol {
            Protocol::GrpcWeb(form, codec) => form.content_type(codec),
            Protocol::Connect(form, codec) => {
                connect::drop_reserved(headers);
                form.content_type(codec)
            }
            Protocol::Grpc(codec) => grpc::content_type(codec),
            Protocol::Rest | Protocol::WebSocket => HeaderValue::from_static("application/grpc"),
        };
        headers.insert(header::CONTENT_TYPE, content_type);
        let own = self.encoding.map(|encoding| HeaderValue::from_static(encoding.name()));
        if let Some(encoding) = own.or_else(|| self.reply.encoding().cloned()) {
            headers.insert(encoding_headers(protocol).0, encoding);
        }
        response
    }
}

async fn unary_answer(
    call: &Call,
    mut answer: Answer,
    refused: &Refused,
) -> Result<Response<ReplyBody>, Refusal> {
    let mut pieces = VecDeque::with_capacity(2);
    let end = loop {
        match answer.reply.event().await {
            ReplyEvent::Data(data) => {
                let is_encoded = answer.reply.encoding().is_some();
                answer.messages.take(data, is_encoded, &mut pieces)?;
                if answer.messages.count() > 1 {
                    return Err(reply::framing("it answered a unary call with several messages"));
                }
            }
            ReplyEvent::End(end) => break end,
        }
    };
    let end = match end {
        // Its leading metadata has come, and is the caller's.
        Err(refusal) if answer.reply.metadata().is_some() => {
            pieces.clear();
            Err(refused.get().cloned().unwrap_or(refusal))
        }
        Err(refusal) => return Err(refusal),
        Ok(_) if !answer.messages.is_complete() => {
            return Err(reply::framing("its answer ended inside a message"));
        }
        Ok(_) if answer.messages.count() == 0 => {
            return Err(reply::framing("it answered OK without a message"));
        }
        Ok(trailers) => Ok(trailers),
    };
    let trailers = match Ending::of(call.protocol, &end, call.transcoder()) {
        Ending::Trailers(trailers) => Some(trailers),
        Ending::Frame(frame) => {
            pieces.push_back(frame);
            None
        }
    };
    Ok(answer.respond(call.protocol, ReplyBody::whole(pieces, trailers)))
}

/// Waits for the upstream's head, so that a call refused at once is a refusal.
async fn stream_answer(
    call: Call,
    mut answer: Answer,
    mut guard: StreamGuard,
    refused: Refused,
) -> Result<Response<ReplyBody>, Refusal> {
    let first = std::future::poll_fn(|cx| match answer.reply.poll_event(cx) {
        Poll::Ready(event) => Poll::Ready(Ok(Some(event))),
        Poll::Pending if answer.reply.metadata().is_some() => Poll::Ready(Ok(None)),
        Poll::Pending => guard.poll(cx).map(Err),
    })
    .await?;
    let first = match first {
        Some(ReplyEvent::End(Err(refusal))) if answer.reply.metadata().is_none() => {
            return Err(refusal);
        }
        first => first,
    };
    let mut response = answer.respond(call.protocol, ReplyBody::none());
    *response.body_mut() = ReplyBody::stream(MessageStream {
        call,
        first,
        answer,
        guard,
        refused,
        ready: VecDeque::new(),
        trailers: None,
        is_ended: false,
    });
    Ok(response)
}

/// A stream of responses on its way to the caller, with exactly one end.
struct MessageStream {
    call: Call,
    first: Option<ReplyEvent>,
    answer: Answer,
    guard: StreamGuard,
    refused: Refused,
    /// To be handed on.
    ready: VecDeque<Bytes>,
    /// To be handed on behind that.
    trailers: Option<HeaderMap>,
    is_ended: bool,
}

impl MessageStream {
    fn take_data(&mut self, data: Bytes) -> Result<(), Refusal> {
        self.guard.touch();
        let is_encoded = self.answer.reply.encoding().is_some();
        self.answer.messages.take(data, is_encoded, &mut self.ready)
    }

    fn end(&mut self, end: CallEnd) {
        let end = match end {
            Ok(_) if !self.answer.messages.is_complete() => {
                Err(reply::framing("its answer ended inside a message"))
            }
            Err(refusal) => Err(self.refused.get().cloned().unwrap_or(refusal)),
            end => end,
        };
        self.is_ended = true;
        match Ending::of(self.call.protocol, &end, self.call.transcoder()) {
            Ending::Trailers(trailers) => self.trailers = Some(trailers),
            Ending::Frame(frame) => self.ready.push_back(frame),
        }
    }
}

impl http_body::Body for MessageStream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            if let Some(data) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if this.is_ended {
                let trailers = this.trailers.take();
                return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
            }
            // Before the upstream: one that is always ready has a deadline too.
            if let Poll::Ready(refusal) = this.guard.poll(cx) {
                this.end(Err(refusal));
                continue;
            }
            let first = this.first.take();
            match ready!(first.map_or_else(|| this.answer.reply.poll_event(cx), Poll::Ready)) {
                ReplyEvent::Data(data) => {
                    if let Err(refusal) = this.take_data(data) {
                        this.end(Err(refusal));
                    }
                }
                ReplyEvent::End(end) => this.end(end),
            }
        }
    }
}

/// A stream of requests on its way to the upstream. What is wrong with it is left in `refused`,
/// for the caller; the upstream only sees it break off.
struct MessageBody {
    body: Body,
    messages: RequestMessages,
    refused: Refused,
    sent: Sent,
    /// Whether the last turn has made a message.
    has_made: bool,
}

impl MessageBody {
    fn refuse(&self, refusal: Refusal) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(Err(break_off(&self.refused, refusal))))
    }
}

impl http_body::Body for MessageBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        // Few bytes may stand for much work: after each message others have their turn.
        if std::mem::take(&mut this.has_made) && this.messages.are_read() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            match this.messages.next(true) {
                Ok(Some(data)) => {
                    this.sent.note();
                    this.has_made = true;
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(None) => {}
                Err(refusal) => return this.refuse(refusal),
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                // gRPC has no request trailers: none are passed on.
                Some(Ok(frame)) => {
                    let pushed = this.messages.push(frame.into_data().unwrap_or_default());
                    if let Err(refusal) = pushed {
                        return this.refuse(refusal);
                    }
                }
                Some(Err(error)) => return this.refuse(broken_off(&error)),
                None if !this.messages.is_complete() => return this.refuse(ended_inside()),
                None => return Poll::Ready(None),
            }
        }
    }
}

fn ended_inside() -> Refusal {
    let message = "the body ends inside a message: its envelope announces more bytes";
    Refusal::new(Cause::Malformed, message)
}
