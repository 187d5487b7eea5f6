//! gRPC and gRPC-Web: message bytes go through as they are.
//!
//! Envelopes are read (count, length, boundaries), payloads are not. The two protocols differ
//! in one thing: how the end is told, in HTTP trailers or in a last frame of the body.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header, request};
use http_body::Frame;

use super::{
    ReplyBody,
    call::Call,
    collect::{broken_off, collect},
    guard::StreamGuard,
    reply::{self, CallEnd, ReplyEvent, UpstreamReply},
};
use crate::{
    protocol::{
        Protocol,
        envelope::{self, EnvelopeScanner},
        grpc, grpc_web, rest,
    },
    status::{Cause, Code, Refusal, Status},
    upstream::{BoxError, RequestBody},
};

pub(super) async fn call(
    mut call: Call,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    if call.protocol == Protocol::GrpcWeb {
        grpc_web::check_content_type(&head.headers)?;
    }
    rest::check_encoding(&head.headers)?;
    // Messages pass as they are, so what describes their compression passes too.
    for name in ["grpc-encoding", "grpc-accept-encoding"] {
        if let Some(value) = head.headers.get(name) {
            call.metadata.insert(name, value.clone());
        }
    }
    let (client_streaming, server_streaming) =
        (call.method().client_streaming, call.method().server_streaming);
    if client_streaming {
        let refused = Arc::new(OnceLock::new());
        let scanned = ScannedBody::new(&call, body, Arc::clone(&refused));
        let reply = call.start(RequestBody::Stream(Box::pin(scanned)));
        return answer(call, reply, server_streaming, &refused).await;
    }
    let message = call.deadline.within(one_message(&call, body)).await?;
    let reply = call.start(RequestBody::Full(Some(message)));
    answer(call, reply, server_streaming, &OnceLock::new()).await
}

/// Reads the one message of a request that is no stream.
async fn one_message(call: &Call, body: Body) -> Result<Bytes, Refusal> {
    let limit = call.shared.limits.message_limit_bytes;
    let idle = Duration::from_millis(call.shared.deadlines.body_idle_ms);
    let bytes = collect(body, limit.saturating_add(envelope::HEADER_BYTES), idle).await?;
    let mut scanner = EnvelopeScanner::new(limit);
    scanner.scan(&bytes).map_err(request_too_large)?;
    if !scanner.is_complete() {
        return Err(ended_inside());
    }
    if scanner.messages() != 1 {
        let message = format!("this method takes one message, not {}", scanner.messages());
        return Err(Refusal::new(Cause::MessageCount, message));
    }
    Ok(bytes)
}

async fn answer(
    call: Call,
    reply: UpstreamReply,
    server_streaming: bool,
    refused: &OnceLock<Refusal>,
) -> Result<Response<ReplyBody>, Refusal> {
    let result = if server_streaming {
        stream_answer(call, reply).await
    } else {
        call.deadline.within(unary_answer(&call, reply)).await
    };
    // What was wrong with the request's stream is why the upstream failed.
    result.map_err(|refusal| refused.get().cloned().unwrap_or(refusal))
}

async fn unary_answer(
    call: &Call,
    mut reply: UpstreamReply,
) -> Result<Response<ReplyBody>, Refusal> {
    let mut scanner = EnvelopeScanner::new(call.shared.limits.message_limit_bytes);
    let mut pieces = VecDeque::with_capacity(2);
    let trailers = loop {
        match reply.event().await {
            ReplyEvent::Data(data) => {
                scanner.scan(&data).map_err(reply::too_large)?;
                pieces.push_back(data);
            }
            ReplyEvent::End(end) => break end?,
        }
    };
    match (scanner.messages(), scanner.is_complete()) {
        (1, true) => {}
        (_, false) => return Err(reply::framing("its answer ended inside a message")),
        (0, _) => return Err(reply::framing("it answered OK without a message")),
        _ => return Err(reply::framing("it answered a unary call with several messages")),
    }
    let trailers = match end_frame(call.protocol, &Ok(trailers)) {
        End::Trailers(trailers) => Some(trailers),
        End::Frame(frame) => {
            pieces.push_back(frame);
            None
        }
    };
    Ok(respond(call.protocol, reply.metadata(), ReplyBody::whole(pieces, trailers)))
}

/// Waits for the upstream's head, so that a call refused at once is a refusal.
async fn stream_answer(
    call: Call,
    mut reply: UpstreamReply,
) -> Result<Response<ReplyBody>, Refusal> {
    let mut guard = StreamGuard::new(&call);
    let first = std::future::poll_fn(|cx| match reply.poll_event(cx) {
        Poll::Ready(event) => Poll::Ready(Ok(Some(event))),
        Poll::Pending if reply.metadata().is_some() => Poll::Ready(Ok(None)),
        Poll::Pending => guard.poll(cx).map(Err),
    })
    .await?;
    if let Some(ReplyEvent::End(Err(refusal))) = first {
        return Err(refusal);
    }
    let metadata = reply.metadata().cloned();
    let protocol = call.protocol;
    let stream = MessageStream {
        scanner: EnvelopeScanner::new(call.shared.limits.message_limit_bytes),
        protocol,
        first,
        reply,
        guard,
        is_ended: false,
    };
    Ok(respond(protocol, metadata.as_ref(), ReplyBody::stream(stream)))
}

fn respond(
    protocol: Protocol,
    metadata: Option<&HeaderMap>,
    body: ReplyBody,
) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.headers_mut() = metadata.cloned().unwrap_or_default();
    let content_type = match protocol {
        Protocol::GrpcWeb => grpc_web::CONTENT_TYPE,
        _ => HeaderValue::from_static("application/grpc"),
    };
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
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
        Protocol::GrpcWeb => End::Frame(grpc_web::trailers_frame(status, metadata)),
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
    is_ended: bool,
}

impl http_body::Body for MessageStream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if this.is_ended {
            return Poll::Ready(None);
        }
        let event = match this.first.take().map_or_else(|| this.reply.poll_event(cx), Poll::Ready) {
            Poll::Ready(event) => event,
            Poll::Pending => ReplyEvent::End(Err(ready!(this.guard.poll(cx)))),
        };
        let end = match event {
            ReplyEvent::Data(data) => match this.scanner.scan(&data) {
                Ok(()) => {
                    this.guard.touch();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Err(error) => Err(reply::too_large(error)),
            },
            ReplyEvent::End(Ok(_)) if !this.scanner.is_complete() => {
                Err(reply::framing("its answer ended inside a message"))
            }
            ReplyEvent::End(end) => end,
        };
        this.is_ended = true;
        Poll::Ready(Some(Ok(match end_frame(this.protocol, &end) {
            End::Trailers(trailers) => Frame::trailers(trailers),
            End::Frame(frame) => Frame::data(frame),
        })))
    }
}

/// A stream of requests on its way to the upstream. What is wrong with it is left in `refused`,
/// for the caller; the upstream only sees it break off.
struct ScannedBody {
    body: Body,
    scanner: EnvelopeScanner,
    refused: Arc<OnceLock<Refusal>>,
}

impl ScannedBody {
    fn new(call: &Call, body: Body, refused: Arc<OnceLock<Refusal>>) -> Self {
        let scanner = EnvelopeScanner::new(call.shared.limits.message_limit_bytes);
        Self { body, scanner, refused }
    }

    fn refuse(&self, refusal: Refusal) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let error = refusal.status.message.clone();
        let _ = self.refused.set(refusal);
        Poll::Ready(Some(Err(error.into())))
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
                        Ok(()) => Poll::Ready(Some(Ok(Frame::data(data)))),
                        Err(error) => this.refuse(request_too_large(error)),
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

fn request_too_large(error: envelope::TooLarge) -> Refusal {
    Refusal::new(Cause::RequestTooLarge, error.to_string())
}

fn ended_inside() -> Refusal {
    let message = "the body ends inside a message: its envelope announces more bytes";
    Refusal::new(Cause::Malformed, message)
}
