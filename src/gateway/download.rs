//! REST, a stream of `google.api.HttpBody`: the data of each message, as they come, are the
//! response's body.
//!
//! The first message says the type, so nothing is committed before it: a call that fails until then
//! has its real HTTP status. One that fails later breaks the body off.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::{Response, header, request};
use http_body::Frame;

use super::{
    ReplyBody,
    call::Call,
    collect::Refused,
    guard::StreamGuard,
    reply::{self, CallEnd, ReplyEvent, UpstreamReply},
    rest_stream,
};
use crate::{
    protocol::{
        envelope::EnvelopeReader,
        http_body::{HttpBody, Place},
    },
    status::Refusal,
    upstream::BoxError,
};

pub(super) async fn call(
    call: Call,
    place: Place,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    let call = Arc::new(call);
    let refused = Refused::default();
    let (guard, body) = rest_stream::request(&call, head, body, &refused).await?;
    let mut chunks = Chunks {
        reader: EnvelopeReader::new(call.shared.limits.message_limit_bytes),
        reply: call.start(body),
        first: Bytes::new(),
        is_ended: false,
        place,
        guard,
        refused,
    };
    let first = chunks.first().await?;
    let content_type = reply::http_body_type(&first)?;
    let mut response = Response::new(());
    response.headers_mut().extend(chunks.reply.metadata().cloned().unwrap_or_default());
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    chunks.first = first.data;
    Ok(response.map(|()| ReplyBody::stream(chunks)))
}

/// After so many messages without data others have their turn.
const EMPTY_IN_A_ROW: usize = 64;

struct Chunks {
    place: Place,
    refused: Refused,
    reply: UpstreamReply,
    reader: EnvelopeReader,
    guard: StreamGuard,
    /// The data of the first message, until they are handed on.
    first: Bytes,
    is_ended: bool,
}

impl Chunks {
    /// The first message; one without anything if the stream ends well without any.
    async fn first(&mut self) -> Result<HttpBody, Refusal> {
        let first = poll_fn(|cx| self.poll_message(cx)).await?;
        self.is_ended = first.is_none();
        Ok(first.unwrap_or_default())
    }

    /// The next message; None at the end.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<HttpBody>, Refusal>> {
        loop {
            if let Some(envelope) = self.reader.next_envelope().map_err(reply::too_large)? {
                let body = reply::http_body(self.place, reply::plain(envelope)?)?;
                return Poll::Ready(Ok(Some(body)));
            }
            // Before the upstream: one that is always ready has a deadline too.
            if let Poll::Ready(refusal) = self.guard.poll(cx) {
                return Poll::Ready(Err(refusal));
            }
            match self.reply.poll_event(cx) {
                Poll::Ready(ReplyEvent::Data(data)) => {
                    self.guard.touch();
                    self.reader.push(data);
                }
                Poll::Ready(ReplyEvent::End(end)) => {
                    return Poll::Ready(self.complete(end).map(|()| None));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// An OK that comes inside a message is none.
    fn complete(&self, end: CallEnd) -> Result<(), Refusal> {
        // What was wrong with the request's stream is why the upstream failed.
        end.map_err(|refusal| self.refused.get().cloned().unwrap_or(refusal))?;
        match self.reader.is_empty() {
            true => Ok(()),
            false => Err(reply::framing("its answer ended inside a message")),
        }
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
        let mut data = std::mem::take(&mut this.first);
        let mut empty = 0;
        while data.is_empty() {
            // An upstream that always has another empty message ready must not keep the worker.
            empty += 1;
            if empty > EMPTY_IN_A_ROW {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if this.is_ended {
                return Poll::Ready(None);
            }
            match std::task::ready!(this.poll_message(cx)) {
                Ok(Some(message)) => data = message.data,
                Ok(None) => this.is_ended = true,
                Err(refusal) => {
                    this.is_ended = true;
                    let text = format!("the stream failed: {}", refusal.status.message);
                    return Poll::Ready(Some(Err(text.into())));
                }
            }
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}
