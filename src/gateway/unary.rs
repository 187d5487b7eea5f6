//! REST, one answer: to one message, or to a stream of them.

use std::{pin::pin, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method as Verb, Response, StatusCode, header, request};

use super::{
    ReplyBody,
    call::Call,
    collect::Refused,
    guard::StreamGuard,
    reply::{self, UpstreamReply},
    rest, rest_stream,
};
use crate::{
    protocol::{accept, etag, json_dialect, rest::JSON},
    schema::Idempotency,
    status::Refusal,
    upstream::RequestBody,
};

/// One message, one answer.
pub(super) async fn call(
    call: &mut Call,
    head: &request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    negotiate(call, head)?;
    let deadline = call.deadline;
    // Only of what reads can an earlier answer stand for a later one.
    let has_tag = call.method().idempotency == Idempotency::NoSideEffects
        && matches!(head.method, Verb::GET | Verb::HEAD);
    let answer = pin!(async move {
        let route = call.route().ok_or_else(rest::no_route)?;
        let message = rest::read_message(call, route, head, body).await?;
        let metadata = std::mem::take(&mut call.metadata);
        let mut reply = call.start_with(metadata, RequestBody::Full(Some(message)));
        answer(call, &mut reply).await
    });
    let answer = deadline.within(answer).await?;
    Ok(if has_tag { answer.respond_if_new(&head.headers) } else { answer.respond() })
}

/// A stream of messages, one answer.
pub(super) async fn call_with_stream(
    mut call: Call,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    negotiate(&mut call, &head)?;
    let metadata = std::mem::take(&mut call.metadata);
    let call = Arc::new(call);
    let mut guard = StreamGuard::new(&call)?;
    let refused = Refused::default();
    let body = rest_stream::body(&call, head, body, &refused, &mut guard).await?;
    let mut reply = call.start_with(metadata, body);
    let answer = guard.within(answer(&call, &mut reply)).await;
    // What was wrong with the request's stream is why the upstream failed.
    let answer = answer.map_err(|refusal| refused.get().cloned().unwrap_or(refusal))?;
    Ok(answer.respond())
}

/// Reads which JSON the caller wants, or refuses one that takes none.
fn negotiate(call: &mut Call, head: &request::Parts) -> Result<(), Refusal> {
    let pretty = rest::pretty_print(head)?;
    // Which type an HTTP body has is the upstream's to say, and not known before.
    if call.raw_response().is_none() {
        if accept::is_said(&head.headers) {
            rest::check_accept(&head.headers, "application/json")?;
            call.write = json_dialect::write_options(&head.headers, "application/json")?;
        }
        call.write.output_limit_bytes = call.shared.limits.json_limit_bytes;
        call.write.pretty = pretty.unwrap_or(call.write.pretty);
    }
    Ok(())
}

/// A call that went well.
struct Answer {
    /// The metadata, and what the type depends on.
    headers: HeaderMap,
    content_type: HeaderValue,
    body: Bytes,
}

async fn answer(call: &Call, reply: &mut UpstreamReply) -> Result<Answer, Refusal> {
    let limit = call.shared.limits.reply_message_limit_bytes;
    let (message, trailers) = reply.one_message(limit).await?;

    let mut headers = reply.take_metadata().unwrap_or_default();
    for (name, value) in &trailers {
        headers.append(name, value.clone());
    }
    if let Some(place) = call.raw_response() {
        let body = reply::http_body(place, message)?;
        let content_type = reply::http_body_type(&body)?;
        return Ok(Answer { headers, content_type, body: body.data });
    }
    let mut json = Vec::with_capacity(2 * message.len() + 64);
    call.message_to_json(&message, &mut json)?;
    rest::put_vary(&mut headers);
    Ok(Answer { headers, content_type: JSON, body: json.into() })
}

impl Answer {
    fn respond(mut self) -> Response<ReplyBody> {
        self.headers.insert(header::CONTENT_TYPE, self.content_type);
        self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        let mut response = Response::new(ReplyBody::full(self.body));
        *response.headers_mut() = self.headers;
        response
    }

    /// With a tag; without a body where the caller has it already. A tag that the upstream gave is
    /// kept.
    fn respond_if_new(mut self, request: &HeaderMap) -> Response<ReplyBody> {
        let tag = self.headers.entry(header::ETAG);
        let tag = tag.or_insert_with(|| etag::of(self.content_type.as_bytes(), &self.body));
        if !etag::is_known(request, tag) {
            return self.respond();
        }
        let mut response = Response::new(ReplyBody::none());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.headers_mut() = self.headers;
        response
    }
}
