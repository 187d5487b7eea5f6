//! REST, one answer: to one message, or to a stream of them.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method as Verb, Response, StatusCode, header, request};

use super::{
    ReplyBody, call::Call, collect::Refused, guard::StreamGuard, reply, rest, rest_stream,
};
use crate::{
    protocol::{etag, json_dialect, rest::JSON},
    schema::Idempotency,
    status::Refusal,
    upstream::RequestBody,
};

pub(super) async fn call(
    mut call: Call,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    // Which type an HTTP body has is the upstream's to say, and not known before.
    let pretty = rest::pretty_print(&head)?;
    if call.raw_response().is_none() {
        rest::check_accept(&head.headers, "application/json")?;
        call.write = json_dialect::write_options(&head.headers, "application/json")?;
        call.write.output_limit_bytes = call.shared.limits.json_limit_bytes;
        call.write.pretty = pretty.unwrap_or(call.write.pretty);
    }
    if call.method().client_streaming {
        return stream_in(call, head, body).await.map(Answer::respond);
    }
    let metadata = std::mem::take(&mut call.metadata);
    let answer = async {
        let route = call.route().ok_or_else(rest::no_route)?;
        let message = rest::read_message(&call, route, &head, body).await?;
        answer(&call, metadata, RequestBody::Full(Some(message))).await
    };
    let answer = call.deadline.within(answer).await?;
    // Only of what reads can an earlier answer stand for a later one.
    let has_tag = call.method().idempotency == Idempotency::NoSideEffects
        && matches!(head.method, Verb::GET | Verb::HEAD);
    Ok(if has_tag { answer.respond_if_new(&head.headers) } else { answer.respond() })
}

/// A stream of requests, one answer.
async fn stream_in(mut call: Call, head: request::Parts, body: Body) -> Result<Answer, Refusal> {
    let metadata = std::mem::take(&mut call.metadata);
    let call = Arc::new(call);
    let mut guard = StreamGuard::new(&call)?;
    let refused = Refused::default();
    let body = rest_stream::body(&call, head, body, &refused, &mut guard).await?;
    let answer = guard.within(answer(&call, metadata, body)).await;
    // What was wrong with the request's stream is why the upstream failed.
    answer.map_err(|refusal| refused.get().cloned().unwrap_or(refusal))
}

/// A call that went well.
struct Answer {
    /// The metadata, and what the type depends on.
    headers: HeaderMap,
    content_type: HeaderValue,
    body: Bytes,
}

async fn answer(call: &Call, metadata: HeaderMap, body: RequestBody) -> Result<Answer, Refusal> {
    let mut reply = call.start_with(metadata, body);
    let limit = call.shared.limits.message_limit_bytes;
    let (message, trailers) = reply.one_message(limit).await?;

    let mut headers = reply.metadata().cloned().unwrap_or_default();
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
