//! REST, one message each way.

use axum::body::Body;
use http::{HeaderValue, Response, header, request};

use super::{ReplyBody, call::Call, rest};
use crate::{
    protocol::{json_dialect, rest::JSON},
    status::{Cause, Refusal},
    upstream::RequestBody,
};

pub(super) async fn call(
    mut call: Call,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    rest::check_accept(&head.headers, "application/json")?;
    call.write = json_dialect::write_options(&head.headers, "application/json")?;
    call.write.pretty |= rest::pretty_print(&head)?;
    let call = &call;
    call.deadline.within(answer(call, head, body)).await
}

async fn answer(
    call: &Call,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    let Some(route) = call.route().filter(|_| !call.method().client_streaming) else {
        let message = "a stream of requests cannot be sent over REST yet: use gRPC or gRPC-Web";
        return Err(Refusal::new(Cause::NotServed, message));
    };
    let message = rest::read_message(call, route, &head, body).await?;

    let mut reply = call.start(RequestBody::Full(Some(message)));
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
