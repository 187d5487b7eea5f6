//! Connect, one bare message each way.

use std::pin::pin;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header, request};

use super::{
    ReplyBody, call::Call, collect::collect, message_codec::MessageCodec, reply::UpstreamReply,
};
use crate::{
    protocol::{
        Codec, ConnectForm,
        compression::{self, Encoding},
        connect::{self, GetRequest},
        refusal,
    },
    schema::{Idempotency, Method},
    status::Refusal,
    upstream::RequestBody,
};

/// Whether a method may be called by `GET`: it only reads, and one message.
pub(super) fn is_gettable(method: &Method) -> bool {
    method.idempotency == Idempotency::NoSideEffects
        && !method.client_streaming
        && !method.server_streaming
}

pub(super) async fn call(
    call: Call,
    form: ConnectForm,
    codec: Codec,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    let has_stream = call.method().client_streaming || call.method().server_streaming;
    connect::check_head(form, has_stream, &head.headers)?;
    let accepted = compression::accepted(&head.headers, &header::ACCEPT_ENCODING);
    let (codec, message) = match form {
        ConnectForm::Get => {
            let asked = GetRequest::read(head.uri.query().unwrap_or_default())?;
            let codec = MessageCodec::new(&call, asked.codec, asked.encoding, accepted);
            (codec, asked.message.into())
        }
        _ => {
            let encoding = request_encoding(&head)?;
            let codec = MessageCodec::new(&call, codec, encoding, accepted);
            let message = pin!(collect(body, codec.text_limit(), &call.shared.deadlines));
            (codec, call.deadline.within(message).await?)
        }
    };
    let mut framed = Vec::with_capacity(message.len() + 5);
    codec.read(&message, codec.encoding().is_some(), None, &mut framed)?;

    let mut reply = call.start(RequestBody::Full(Some(framed.into())));
    let limit = call.shared.limits.reply_message_limit_bytes;
    let answer = call.deadline.within(pin!(reply.one_message(limit))).await;
    let answer = answer.and_then(|(message, trailers)| Ok((codec.write_bare(message)?, trailers)));
    let mut response = match answer {
        Ok(((body, is_compressed), trailers)) => {
            let mut response = Response::new(body);
            let headers = response.headers_mut();
            connect::put_trailers(&trailers, headers);
            headers.insert(header::CONTENT_TYPE, form.content_type(codec.codec()));
            if let Some(encoding) = codec.accepted().filter(|_| is_compressed) {
                let name = HeaderValue::from_static(encoding.name());
                headers.insert(header::CONTENT_ENCODING, name);
            }
            response
        }
        Err(refusal) => {
            tracing::debug!(cause = ?refusal.cause, fault = ?refusal.fault(), "refused");
            refusal::render(call.protocol, &refusal, Some(call.transcoder()))
        }
    };
    put_metadata(&reply, &mut response);
    if form == ConnectForm::Get {
        // A cache may keep the answer.
        let vary = HeaderValue::from_static("accept-encoding");
        response.headers_mut().append(header::VARY, vary);
    }
    Ok(response.map(ReplyBody::full))
}

fn request_encoding(head: &request::Parts) -> Result<Option<Encoding>, Refusal> {
    let accepts = header::ACCEPT_ENCODING;
    compression::of_request(&head.headers, &header::CONTENT_ENCODING, &accepts)
}

/// Adds the leading metadata, which an error has too.
fn put_metadata(reply: &UpstreamReply, response: &mut Response<Bytes>) {
    let Some(metadata) = reply.metadata() else { return };
    let mut metadata = metadata.clone();
    connect::drop_reserved(&mut metadata);
    for (name, value) in &metadata {
        response.headers_mut().append(name, value.clone());
    }
}
