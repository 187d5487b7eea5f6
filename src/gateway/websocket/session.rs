//! One call over a WebSocket, from its upgrade to its close frame.

use std::{
    future::poll_fn,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::HeaderMap;

use super::{
    super::{
        call::Call,
        guard::StreamGuard,
        reply::{self, CallEnd, ReplyEvent, UpstreamReply},
    },
    request_queue::RequestQueue,
    requests::{Requests, Takes},
    socket::{Lost, Received, Socket},
};
use crate::{
    protocol::{
        envelope::EnvelopeReader,
        websocket::{self, Form},
    },
    status::{Cause, Refusal},
    upstream::RequestBody,
};

pub(super) struct Session {
    call: Arc<Call>,
    socket: Socket,
    requests: Requests,
    queue: RequestQueue,
    guard: StreamGuard,
    /// None until the request is there that begins the call.
    reply: Option<UpstreamReply>,
    reader: EnvelopeReader,
    form: Form,
    /// How many messages the upstream has answered.
    answers: usize,
}

/// How it comes to an end.
enum End {
    /// The call is over.
    Call(CallEnd),
    /// The caller has closed, or is lost.
    Gone,
    /// What comes is not WebSocket: the close code for that.
    Broken(u16),
}

impl From<Lost> for End {
    fn from(_: Lost) -> Self {
        Self::Gone
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Call(Err(refusal))
    }
}

impl Session {
    pub(super) fn new(
        call: Arc<Call>,
        socket: Socket,
        mut requests: Requests,
        guard: StreamGuard,
        form: Form,
    ) -> Self {
        let (queue, body) = match requests.takes() {
            Takes::Nothing => (RequestQueue::default(), Some(RequestBody::Full(requests.first()))),
            Takes::One => (RequestQueue::default(), None),
            Takes::Stream => {
                let (queue, body) = RequestQueue::new();
                (queue, Some(body))
            }
        };
        Self {
            reply: body.map(|body| call.start(body)),
            reader: EnvelopeReader::new(call.shared.limits.reply_message_limit_bytes),
            answers: 0,
            call,
            socket,
            requests,
            queue,
            guard,
            form,
        }
    }

    /// Holds the call until it is over, and tells its caller how it ended.
    pub(super) async fn run(mut self) {
        // What a panicking service held is dropped with the call.
        let end = AssertUnwindSafe(poll_fn(|cx| self.poll_end(cx))).catch_unwind().await;
        let end = end.unwrap_or_else(|_| {
            tracing::error!("a call panicked");
            Refusal::new(Cause::Internal, "an internal error occurred").into()
        });
        let Self { call, socket, reply, guard, queue, .. } = self;
        let leading = reply.as_ref().and_then(UpstreamReply::metadata).cloned();
        // Whatever is left of the call is cancelled before the caller is waited for.
        drop((reply, guard, queue));
        match end {
            End::Call(end) => tell(&call, socket, leading.unwrap_or_default(), end).await,
            End::Broken(code) => socket.close(Vec::new(), code, "").await,
            End::Gone => socket.close_back().await,
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            // Before both sides: those that are always ready have a deadline too.
            if let Poll::Ready(refusal) = self.guard.poll(cx) {
                return Poll::Ready(refusal.into());
            }
            if let Poll::Ready(end) = self.poll_requests(cx) {
                return Poll::Ready(end);
            }
            let was_full = !self.queue.has_room();
            self.queue.poll_forward(cx);
            if let Poll::Ready(end) = self.poll_answers(cx) {
                return Poll::Ready(end);
            }
            if let Poll::Ready(lost) = self.socket.poll_pulse(cx, !was_full) {
                return Poll::Ready(lost.into());
            }
            if !(was_full && self.queue.has_room()) {
                return Poll::Pending;
            }
        }
    }

    /// Takes the caller's frames, as long as there is room for them.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        while self.queue.has_room() {
            let taken = match ready!(self.socket.poll_receive(cx)) {
                Received::Message(form, frame) => self.take(form, &frame),
                Received::End => self.requests.end().map(|()| self.queue.end()),
                Received::TooLarge => {
                    let longest = self.call.shared.limits.longest_frame_bytes();
                    let message = format!("the message is over the limit of {longest} bytes");
                    Err(Refusal::new(Cause::RequestTooLarge, message))
                }
                Received::Gone => return Poll::Ready(End::Gone),
                Received::Broken(code) => return Poll::Ready(End::Broken(code)),
            };
            if let Err(refusal) = taken {
                return Poll::Ready(refusal.into());
            }
        }
        Poll::Pending
    }

    fn take(&mut self, form: Form, frame: &[u8]) -> Result<(), Refusal> {
        let message = self.requests.read(form, frame)?;
        self.guard.touch();
        match self.requests.takes() {
            Takes::Stream => self.queue.push(message),
            _ => self.reply = Some(self.call.start(RequestBody::Full(Some(message)))),
        }
        Ok(())
    }

    /// Sends the upstream's messages, and asks for more when the caller has taken them.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Err(lost) = ready!(self.socket.poll_room(cx)) {
                return Poll::Ready(lost.into());
            }
            match self.next_answer() {
                Ok(Some(message)) => {
                    self.socket.send(self.form, message);
                    continue;
                }
                Ok(None) => {}
                Err(refusal) => return Poll::Ready(refusal.into()),
            }
            let event = match &mut self.reply {
                Some(reply) => reply.poll_event(cx),
                None => Poll::Pending,
            };
            match event {
                Poll::Ready(ReplyEvent::Data(data)) => {
                    self.guard.touch();
                    self.reader.push(data);
                }
                Poll::Ready(ReplyEvent::End(end)) => {
                    return Poll::Ready(End::Call(
                        end.and_then(|trailers| self.complete(trailers)),
                    ));
                }
                Poll::Pending => {
                    return match ready!(self.socket.poll_flush(cx)) {
                        Ok(()) => Poll::Pending,
                        Err(lost) => Poll::Ready(lost.into()),
                    };
                }
            }
        }
    }

    /// The next message that has come whole, as the caller wants it.
    fn next_answer(&mut self) -> Result<Option<Bytes>, Refusal> {
        let Some(envelope) = self.reader.next_envelope().map_err(reply::too_large)? else {
            return Ok(None);
        };
        let message = reply::plain(envelope)?;
        self.answers += 1;
        if self.answers > 1 && !self.call.method().server_streaming {
            return Err(reply::framing("it answered a unary call with several messages"));
        }
        if self.form == Form::Binary {
            return Ok(Some(message));
        }
        let mut json = Vec::with_capacity(2 * message.len() + 64);
        self.call.message_to_json(&message, &mut json)?;
        Ok(Some(json.into()))
    }

    /// An OK that comes inside a message is none, nor is one without the message it should have.
    fn complete(&self, trailers: HeaderMap) -> CallEnd {
        if !self.reader.is_empty() {
            return Err(reply::framing("its answer ended inside a message"));
        }
        if self.answers == 0 && !self.call.method().server_streaming {
            return Err(reply::framing("it answered OK without a message"));
        }
        Ok(trailers)
    }
}

/// Tells how a call ended: in a text frame what has no place in the close frame.
async fn tell(call: &Call, socket: Socket, mut metadata: HeaderMap, end: CallEnd) {
    let trailing = end.as_ref().unwrap_or_else(|refusal| refusal.headers());
    for (name, value) in trailing {
        metadata.append(name, value.clone());
    }
    let end = end.as_ref().map(|_| ());
    let message = end.map_or_else(|refusal| &*refusal.status.message, |()| "");
    let text = websocket::end_text(end, &metadata, call.transcoder());
    // The empty one says that what follows is no message.
    let last = text.map_or_else(Vec::new, |text| vec![Bytes::new(), text.into()]);
    socket.close(last, websocket::close_code(end), message).await;
}
