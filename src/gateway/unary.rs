//! REST, one answer: to one message, or to a stream of them.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Response, header, request};

use super::{ReplyBody, call::Call, collect::Refused, guard::StreamGuard, rest, rest_stream};
use crate::{
    protocol::{json_dialect, rest::JSON},
    status::Refusal,
    upstream::RequestBody,
};

pub(super) async fn call(
    mut call: Call,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    rest::check_accept(&head.headers, "application/json")?;
    call.write = json_dialect::write_options(&head.headers, "application/json")?;
    call.write.output_limit_bytes = call.shared.limits.json_limit_bytes;
    call.write.pretty |= rest::pretty_print(&head)?;
    if call.method().client_streaming {
        return stream_in(Arc::new(call), head, body).await;
    }
    let answer = async {
        let route = call.route().ok_or_else(rest::no_route)?;
        let message = rest::read_message(&call, route, &head, body).await?;
        answer(&call, RequestBody::Full(Some(message))).await
    };
    call.deadline.within(answer).await
}

/// A stream of requests, one answer.
async fn stream_in(
    call: Arc<Call>,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    let guard = StreamGuard::new(&call)?;
    let refused = Refused::default();
    let body = rest_stream::body(&call, head, body, &refused, guard.sent())?;
    let answer = guard.within(answer(&call, body)).await;
    // What was wrong with the request's stream is why the upstream failed.
    answer.map_err(|refusal| refused.get().cloned().unwrap_or(refusal))
}

async fn answer(call: &Call, body: RequestBody) -> Result<Response<ReplyBody>, Refusal> {
    let mut reply = call.start(body);
    let limit = call.shared.limits.message_limit_bytes;
    let (message, trailers) = reply.one_message(limit).await?;

    let mut json = Vec::with_capacity(2 * message.len() + 64);
    call.message_to_json(&message, &mut json)?;
    let length = json.len();
    let mut response = Response::new(ReplyBody::full(json.into()));
    let headers = response.headers_mut();
    *headers = reply.metadata().cloned().unwrap_or_default();
    for (name, value) in &trailers {
        headers.append(name, value.clone());
    }
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}
