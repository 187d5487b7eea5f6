//! gRPC and gRPC-Web: message bytes go through as they are.
//!
//! Envelopes are read (count, length, boundaries), payloads are not. The two protocols differ
//! in one thing: how the end is told, in HTTP trailers or in a last frame of the body.

use std::{
    collections::VecDeque,
    pin::Pin,
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
    grpc_web,
    guard::{Sent, StreamGuard},
    reply::{self, CallEnd, ReplyEvent, UpstreamReply},
};
use crate::{
    protocol::{
        self, Protocol,
        envelope::{self, EnvelopeError, EnvelopeScanner},
        grpc, rest,
    },
    status::{Cause, Code, Refusal, Status},
    upstream::{BoxError, RequestBody},
};

pub(super) async fn call(
    call: Call,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    rest::check_encoding(&head.headers)?;
    if let Protocol::GrpcWeb(form) = call.protocol {
        protocol::grpc_web::check_content_type(&head.headers)?;
        let response = pass(call, head, grpc_web::decode(form, body)).await?;
        return Ok(response.map(|body| grpc_web::encode(form, body)));
    }
    grpc::check_head(head.version, &head.headers)?;
    pass(call, head, body).await
}

async fn pass(
    mut call: Call,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    // Messages pass as they are, so what describes their compression passes too.
    for name in ["grpc-encoding", "grpc-accept-encoding"] {
        if let Some(value) = head.headers.get(name) {
            call.metadata.insert(name, value.clone());
        }
    }
    let is_compressed = head.headers.contains_key(reply::ENCODING);
    let (client_streaming, server_streaming) =
        (call.method().client_streaming, call.method().server_streaming);
    let refused = Refused::default();
    let guard = match client_streaming || server_streaming {
        true => Some(StreamGuard::new(&call)?),
        false => None,
    };
    let body = match &guard {
        Some(guard) if client_streaming => {
            let limit = call.shared.limits.message_limit_bytes;
            let scanner = EnvelopeScanner::new(limit, is_compressed);
            let (refused, sent) = (Arc::clone(&refused), guard.sent());
            RequestBody::Stream(Box::pin(ScannedBody { body, scanner, refused, sent }))
        }
        _ => {
            let message = one_message(&call, body, is_compressed);
            RequestBody::Full(Some(call.deadline.within(message).await?))
        }
    };
    let reply = call.start(body);
    let answer = match guard {
        Some(guard) if server_streaming => {
            stream_answer(call, reply, guard, Arc::clone(&refused)).await
        }
        Some(mut guard) => guard.within(unary_answer(&call, reply)).await,
        None => call.deadline.within(unary_answer(&call, reply)).await,
    };
    // What was wrong with the request's stream is why the upstream failed.
    answer.map_err(|refusal| refused.get().cloned().unwrap_or(refusal))
}

/// Reads the one message of a request that is no stream.
async fn one_message(call: &Call, body: Body, is_compressed: bool) -> Result<Bytes, Refusal> {
    let limit = call.shared.limits.message_limit_bytes;
    let body_limit = limit.saturating_add(envelope::HEADER_BYTES);
    let bytes = collect(body, body_limit, &call.shared.deadlines).await?;
    let mut scanner = EnvelopeScanner::new(limit, is_compressed);
    scanner.scan(&bytes).map_err(request_envelope)?;
    if !scanner.is_complete() {
        return Err(ended_inside());
    }
    if scanner.messages() != 1 {
        let message = format!("this method takes one message, not {}", scanner.messages());
        return Err(Refusal::new(Cause::MessageCount, message));
    }
    Ok(bytes)
}

async fn unary_answer(
    call: &Call,
    mut reply: UpstreamReply,
) -> Result<Response<ReplyBody>, Refusal> {
    // Whether it may be compressed is known with the head, which comes before any bytes.
    let mut scanner = EnvelopeScanner::new(call.shared.limits.reply_message_limit_bytes, false);
    let mut pieces = VecDeque::with_capacity(2);
    let trailers = loop {
        match reply.event().await {
            ReplyEvent::Data(data) => {
                scanner.allow_compressed(reply.encoding().is_some());
                scanner.scan(&data).map_err(reply::envelope)?;
                if scanner.messages() > 1 {
                    return Err(reply::framing("it answered a unary call with several messages"));
                }
                pieces.push_back(data);
            }
            ReplyEvent::End(end) => break end?,
        }
    };
    match (scanner.messages(), scanner.is_complete()) {
        (_, false) => return Err(reply::framing("its answer ended inside a message")),
        (0, _) => return Err(reply::framing("it answered OK without a message")),
        _ => {}
    }
    let trailers = match end_frame(call.protocol, &Ok(trailers)) {
        End::Trailers(trailers) => Some(trailers),
        End::Frame(frame) => {
            pieces.push_back(frame);
            None
        }
    };
    Ok(respond(call.protocol, &reply, ReplyBody::whole(pieces, trailers)))
}

/// Waits for the upstream's head, so that a call refused at once is a refusal.
async fn stream_answer(
    call: Call,
    mut reply: UpstreamReply,
    mut guard: StreamGuard,
    refused: Refused,
) -> Result<Response<ReplyBody>, Refusal> {
    let first = std::future::poll_fn(|cx| match reply.poll_event(cx) {
        Poll::Ready(event) => Poll::Ready(Ok(Some(event))),
        Poll::Pending if reply.metadata().is_some() => Poll::Ready(Ok(None)),
        Poll::Pending => guard.poll(cx).map(Err),
    })
    .await?;
    if let Some(ReplyEvent::End(Err(refusal))) = first {
        return Err(refusal);
    }
    let limit = call.shared.limits.reply_message_limit_bytes;
    let mut response = respond(call.protocol, &reply, ReplyBody::none());
    *response.body_mut() = ReplyBody::stream(MessageStream {
        scanner: EnvelopeScanner::new(limit, reply.encoding().is_some()),
        protocol: call.protocol,
        first,
        reply,
        guard,
        refused,
        ready: VecDeque::new(),
        held: Vec::new(),
        is_ended: false,
    });
    Ok(response)
}

fn respond(protocol: Protocol, reply: &UpstreamReply, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    *headers = reply.metadata().cloned().unwrap_or_default();
    let content_type = match protocol {
        Protocol::GrpcWeb(form) => form.content_type(),
        _ => HeaderValue::from_static("application/grpc"),
    };
    headers.insert(header::CONTENT_TYPE, content_type);
    if let Some(encoding) = reply.encoding() {
        headers.insert(reply::ENCODING, encoding.clone());
    }
    response
}

/// How an end is told.
enum End {
    Trailers(HeaderMap),
    Frame(Bytes),
}

fn end_frame(protocol: Protocol, end: &CallEnd) -> End {
    let (status, metadata) = match end {
        Ok(metadata) => (&Status::new(Code::Ok, ""), metadata),
        Err(refusal) => (&refusal.status, refusal.headers()),
    };
    match protocol {
        Protocol::GrpcWeb(_) => End::Frame(protocol::grpc_web::trailers_frame(status, metadata)),
        _ => {
            let mut trailers = metadata.clone();
            grpc::put_status(status, &mut trailers);
            End::Trailers(trailers)
        }
    }
}

/// A stream of responses on its way to the caller, with exactly one end.
struct MessageStream {
    protocol: Protocol,
    first: Option<ReplyEvent>,
    reply: UpstreamReply,
    scanner: EnvelopeScanner,
    guard: StreamGuard,
    refused: Refused,
    /// To be handed on.
    ready: VecDeque<Frame<Bytes>>,
    /// The beginning of a message. gRPC-Web tells the end in the same bytes as the messages, so
    /// that it can only stand between two of them.
    held: Vec<Bytes>,
    is_ended: bool,
}

impl MessageStream {
    fn take_data(&mut self, mut data: Bytes) -> Result<(), Refusal> {
        self.guard.touch();
        let complete = self.scanner.scan(&data).map_err(reply::envelope)?;
        if self.protocol == Protocol::Grpc {
            self.ready.push_back(Frame::data(data));
            return Ok(());
        }
        if complete > 0 {
            self.ready.extend(self.held.drain(..).map(Frame::data));
            self.ready.push_back(Frame::data(data.split_to(complete)));
        }
        if !data.is_empty() {
            self.held.push(data);
        }
        Ok(())
    }

    fn end(&mut self, end: CallEnd) {
        let end = match end {
            Ok(_) if !self.scanner.is_complete() => {
                Err(reply::framing("its answer ended inside a message"))
            }
            Err(refusal) => Err(self.refused.get().cloned().unwrap_or(refusal)),
            end => end,
        };
        self.is_ended = true;
        self.ready.push_back(match end_frame(self.protocol, &end) {
            End::Trailers(trailers) => Frame::trailers(trailers),
            End::Frame(frame) => Frame::data(frame),
        });
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
            if let Some(frame) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            if this.is_ended {
                return Poll::Ready(None);
            }
            // Before the upstream: one that is always ready has a deadline too.
            if let Poll::Ready(refusal) = this.guard.poll(cx) {
                this.end(Err(refusal));
                continue;
            }
            let first = this.first.take();
            match ready!(first.map_or_else(|| this.reply.poll_event(cx), Poll::Ready)) {
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
struct ScannedBody {
    body: Body,
    scanner: EnvelopeScanner,
    refused: Refused,
    sent: Sent,
}

impl ScannedBody {
    fn refuse(&self, refusal: Refusal) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(Err(break_off(&self.refused, refusal))))
    }
}

impl http_body::Body for ScannedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            return match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => match this.scanner.scan(&data) {
                        Ok(_) => {
                            this.sent.note();
                            Poll::Ready(Some(Ok(Frame::data(data))))
                        }
                        Err(error) => this.refuse(request_envelope(error)),
                    },
                    // gRPC has no request trailers: none are passed on.
                    Err(_) => continue,
                },
                Some(Err(error)) => this.refuse(broken_off(&error)),
                None if !this.scanner.is_complete() => this.refuse(ended_inside()),
                None => Poll::Ready(None),
            };
        }
    }
}

fn request_envelope(error: EnvelopeError) -> Refusal {
    let cause = match error {
        EnvelopeError::TooLarge(_) => Cause::RequestTooLarge,
        _ => Cause::Malformed,
    };
    Refusal::new(cause, error.to_string())
}

fn ended_inside() -> Refusal {
    let message = "the body ends inside a message: its envelope announces more bytes";
    Refusal::new(Cause::Malformed, message)
}
