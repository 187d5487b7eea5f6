//! REST, a stream of responses: server-sent events, lines or an array.
//!
//! The answer is committed at the earliest of: the upstream's head and nothing ready behind it;
//! its first message; a short wait with nothing heard. A call that fails before that has its
//! real HTTP status; one that fails later ends as its encoding tells a failure.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header, request};
use http_body::Frame;
use tokio::time::{Instant, Sleep};

use super::{
    ReplyBody,
    call::Call,
    collect::Refused,
    guard::StreamGuard,
    reply::{self, CallEnd, ReplyEvent, UpstreamReply},
    rest, rest_stream,
};
use crate::{
    protocol::{
        accept,
        envelope::EnvelopeReader,
        json_dialect,
        refusal::{self, PROBLEM_JSON},
        stream_encoding::StreamEncoding,
    },
    status::{Cause, Refusal},
    transcoding,
    upstream::BoxError,
};

pub(super) async fn call(
    mut call: Call,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    let encoding = match StreamEncoding::of(&head.headers) {
        Some(encoding) => encoding,
        // Who names problems only says how to be told of one.
        None if accept::names(&head.headers, PROBLEM_JSON) => StreamEncoding::Array,
        None => {
            let text = format!("this method answers {}", StreamEncoding::OFFERED);
            return Err(Refusal::new(Cause::NotAcceptable, text));
        }
    };
    call.write = json_dialect::write_options(&head.headers, encoding.media_type())?;
    call.write.output_limit_bytes = call.shared.limits.json_limit_bytes;
    // A message is one line in two of the encodings, whatever the query rightly asks for.
    rest::pretty_print(&head)?;
    call.write.pretty = false;
    let call = Arc::new(call);
    let refused = Refused::default();
    let (guard, body) = rest_stream::request(&call, head, body, &refused).await?;
    let reply = call.start(body);
    let mut messages = MessageStream::new(call, reply, guard, refused, encoding);
    messages.commit().await?;

    let metadata = messages.reply.metadata().cloned().unwrap_or_default();
    let mut response = Response::new(ReplyBody::stream(messages));
    let headers = response.headers_mut();
    headers.extend(metadata);
    headers.insert(header::CONTENT_TYPE, encoding.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    rest::put_vary(headers);
    Ok(response)
}

/// The messages of a call. One chunk from the upstream becomes one chunk to the caller; a caller
/// that does not read stops the upstream.
struct MessageStream {
    call: Arc<Call>,
    /// What is wrong with the stream of requests, if the call has one.
    refused: Refused,
    encoding: StreamEncoding,
    reply: UpstreamReply,
    reader: EnvelopeReader,
    guard: StreamGuard,
    heartbeat: Pin<Box<Sleep>>,
    heartbeat_every: Duration,
    /// Written, but not yet handed on.
    out: Vec<u8>,
    is_first: bool,
    is_ended: bool,
    /// Why the body has to break, once what was written is handed on.
    broken: Option<Refusal>,
}

impl MessageStream {
    fn new(
        call: Arc<Call>,
        reply: UpstreamReply,
        guard: StreamGuard,
        refused: Refused,
        encoding: StreamEncoding,
    ) -> Self {
        let heartbeat_every = Duration::from_millis(call.shared.deadlines.sse_heartbeat_ms.max(1));
        Self {
            reader: EnvelopeReader::new(call.shared.limits.reply_message_limit_bytes),
            guard,
            heartbeat: Box::pin(tokio::time::sleep(heartbeat_every)),
            heartbeat_every,
            out: encoding.preamble().to_vec(),
            is_first: true,
            is_ended: false,
            broken: None,
            refused,
            encoding,
            reply,
            call,
        }
    }

    /// Waits until the answer can be 200, or fails while it can still be something else.
    async fn commit(&mut self) -> Result<(), Refusal> {
        let wait = Duration::from_millis(self.call.shared.deadlines.stream_commit_ms);
        let mut wait = std::pin::pin!(tokio::time::sleep(wait));
        poll_fn(|cx| {
            loop {
                match self.reply.poll_event(cx) {
                    Poll::Ready(ReplyEvent::Data(data)) => {
                        if self.put_messages(data)? {
                            return Poll::Ready(Ok(()));
                        }
                    }
                    Poll::Ready(ReplyEvent::End(end)) => {
                        return Poll::Ready(self.complete(end).map(|()| self.put_end()));
                    }
                    Poll::Pending if self.reply.metadata().is_some() => return Poll::Ready(Ok(())),
                    Poll::Pending => {
                        if let Poll::Ready(refusal) = self.guard.poll(cx) {
                            return Poll::Ready(Err(refusal));
                        }
                        return wait.as_mut().poll(cx).map(Ok);
                    }
                }
            }
        })
        .await
    }

    /// Writes the events of the messages that are now complete. Whether there were any.
    fn put_messages(&mut self, data: Bytes) -> Result<bool, Refusal> {
        self.guard.touch();
        self.reader.push(data);
        let mut any = false;
        while let Some(envelope) = self.reader.next_envelope().map_err(reply::too_large)? {
            let message = reply::plain(envelope)?;
            let start = self.out.len();
            let id = self.event_id(&message);
            self.encoding.begin_message(self.is_first, id.as_deref(), &mut self.out);
            if let Err(refusal) = self.call.message_to_json(&message, &mut self.out) {
                self.out.truncate(start);
                return Err(refusal);
            }
            self.encoding.end_message(&mut self.out);
            self.is_first = false;
            any = true;
        }
        Ok(any)
    }

    fn event_id(&self, message: &[u8]) -> Option<String> {
        if self.encoding != StreamEncoding::Events {
            return None;
        }
        let method = self.call.method();
        let field = method.sse.as_ref()?.event_id_field?;
        transcoding::field_text(self.call.transcoder().schema(), method.output, field, message)
    }

    /// An OK that comes inside a message is none.
    fn complete(&self, end: CallEnd) -> Result<(), Refusal> {
        // What was wrong with the request's stream is why the upstream failed.
        end.map_err(|refusal| self.refused.get().cloned().unwrap_or(refusal))?;
        if self.reader.is_empty() {
            return Ok(());
        }
        Err(reply::framing("its answer ended inside a message"))
    }

    fn put_end(&mut self) {
        self.out.extend_from_slice(self.encoding.end());
        self.is_ended = true;
    }

    fn put_error(&mut self, refusal: &Refusal) {
        let mut status = Vec::with_capacity(128);
        let transcoder = Some(self.call.transcoder());
        refusal::put_status_json(&refusal.status, transcoder, &mut status);
        if !self.encoding.put_error(refusal.status.code, &status, &mut self.out) {
            self.broken = Some(refusal.clone());
        }
        self.is_ended = true;
    }

    fn flush(&mut self) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let now = Instant::now();
        self.heartbeat.as_mut().reset(now + self.heartbeat_every);
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.out).into()))))
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
            if !this.out.is_empty() {
                return this.flush();
            }
            if let Some(refusal) = this.broken.take() {
                let text = format!("the stream failed: {}", refusal.status.message);
                return Poll::Ready(Some(Err(text.into())));
            }
            if this.is_ended {
                return Poll::Ready(None);
            }
            // Before the upstream: one that is always ready has a deadline too.
            if let Poll::Ready(refusal) = this.guard.poll(cx) {
                this.put_error(&refusal);
                continue;
            }
            match this.reply.poll_event(cx) {
                Poll::Ready(ReplyEvent::Data(data)) => {
                    if let Err(refusal) = this.put_messages(data) {
                        this.put_error(&refusal);
                    }
                }
                Poll::Ready(ReplyEvent::End(end)) => match this.complete(end) {
                    Ok(()) => this.put_end(),
                    Err(refusal) => this.put_error(&refusal),
                },
                Poll::Pending => {
                    let Some(keep_alive) = this.encoding.keep_alive() else {
                        return Poll::Pending;
                    };
                    if this.heartbeat.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    this.out.extend_from_slice(keep_alive);
                }
            }
        }
    }
}
