//! From a found method to an answer: which way a call goes, and room for that way alone.

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{HeaderValue, Response, StatusCode, header, request};

use super::{ReplyBody, call::Call, download, rpc, streaming, unary, websocket};
use crate::{
    protocol::{Protocol, sse, values},
    status::Refusal,
    transcoding::Transcoder,
};

/// How a call went, as long as it may still be refused.
pub(super) type Answer = Result<Response<ReplyBody>, Refusal>;

/// Boxed by what kind of call it is: none has room for what another needs, and what is in the box
/// is not moved again.
pub(crate) type BoxedAnswer = Pin<Box<dyn Future<Output = Response<ReplyBody>> + Send>>;

/// The journey from a found method to an answer; `end` makes of either what the caller is told.
pub(super) fn journey(
    mut call: Call,
    head: request::Parts,
    body: Body,
    end: impl FnOnce(Answer, &Transcoder) -> Response<ReplyBody> + Send + 'static,
) -> BoxedAnswer {
    let (client_streaming, server_streaming) =
        (call.method().client_streaming, call.method().server_streaming);
    let is_rest = call.protocol == Protocol::Rest;
    if is_rest && is_finished_stream(&head) {
        return told(no_content());
    }
    if is_rest && !client_streaming && !server_streaming {
        // Lent, not given: what an async function is given, it has room for twice.
        return Box::pin(async move {
            let answer = unary::call(&mut call, &head, body).await;
            end(answer, call.transcoder())
        });
    }
    let transcoder = Arc::clone(call.table.transcoder(call.target));
    let end = move |answer| end(answer, &transcoder);
    match call.protocol {
        Protocol::Rest if server_streaming => match call.raw_response() {
            Some(place) => Box::pin(download::call(call, place, head, body).map(end)),
            None => Box::pin(streaming::call(call, head, body).map(end)),
        },
        Protocol::Rest => Box::pin(unary::call_with_stream(call, head, body).map(end)),
        Protocol::WebSocket => told(end(websocket::call(call, head, &body))),
        Protocol::Grpc(_) | Protocol::GrpcWeb(..) | Protocol::Connect(..) => {
            Box::pin(rpc::call(call, head, body).map(end))
        }
    }
}

/// An answer that nobody has to wait for.
pub(super) fn told(response: Response<ReplyBody>) -> BoxedAnswer {
    Box::pin(ready(response))
}

/// An answer on its way. Dropping it cancels the call.
pub struct Answering {
    answer: BoxedAnswer,
    is_head: bool,
}

impl Answering {
    /// An answer, without its body where that is not sent.
    pub(super) fn new(answer: BoxedAnswer, is_head: bool) -> Self {
        Self { answer, is_head }
    }
}

impl Future for Answering {
    type Output = Result<Response<ReplyBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.answer.as_mut().poll(cx));
        if self.is_head {
            // The headers are those of GET; a stream is cancelled by dropping its body.
            let body = std::mem::replace(response.body_mut(), ReplyBody::none());
            if let Some(length) = http_body::Body::size_hint(&body).exact().filter(|n| *n > 0) {
                response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
        }
        Poll::Ready(Ok(response))
    }
}

/// An `EventSource` that reconnects behind the end of its stream; 204 makes it stop.
fn is_finished_stream(head: &request::Parts) -> bool {
    values(&head.headers, sse::LAST_EVENT_ID).next().is_some_and(|id| id == sse::END_ID)
}

fn no_content() -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::none());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
