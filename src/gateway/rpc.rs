//! The RPC protocols: what a call's head says of its messages, and which way they go.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, header, request};

use super::{
    ReplyBody,
    call::Call,
    connect, grpc_web,
    message_codec::MessageCodec,
    messages::{ReplyMessages, RequestMessages},
    passthrough,
};
use crate::{
    protocol::{
        self, Codec, ConnectForm, Protocol,
        compression::{self, Encoding},
        grpc, rest,
    },
    status::{Cause, Refusal},
};

pub(super) async fn call(
    call: Call,
    head: request::Parts,
    body: Body,
) -> Result<Response<ReplyBody>, Refusal> {
    match call.protocol {
        Protocol::Connect(form @ (ConnectForm::Unary | ConnectForm::Get), codec) => {
            // Boxed, so that the others' futures have no room for it.
            Box::pin(connect::call(call, form, codec, head, body)).await
        }
        Protocol::Connect(ConnectForm::Stream, codec) => {
            check_stream(&call, &head)?;
            passthrough::call(call, codec, head, body).await
        }
        Protocol::GrpcWeb(form, codec) => {
            protocol::grpc_web::check_content_type(&head.headers)?;
            let body = grpc_web::decode(form, grpc_web::inflate(&head.headers, body)?);
            let response = passthrough::call(call, codec, head, body).await?;
            Ok(response.map(|body| grpc_web::encode(form, body)))
        }
        Protocol::Grpc(codec) => {
            grpc::check_head(head.version, &head.headers)?;
            rest::check_encoding(&head.headers)?;
            passthrough::call(call, codec, head, body).await
        }
        Protocol::Rest | Protocol::WebSocket => {
            Err(Refusal::new(Cause::Internal, "this protocol is none of RPC"))
        }
    }
}

fn check_stream(call: &Call, head: &request::Parts) -> Result<(), Refusal> {
    let has_stream = call.method().client_streaming || call.method().server_streaming;
    protocol::connect::check_head(ConnectForm::Stream, has_stream, &head.headers)?;
    rest::check_encoding(&head.headers)
}

/// The headers in which a protocol names the compression of messages, and what is accepted.
pub(super) fn encoding_headers(protocol: Protocol) -> (HeaderName, HeaderName) {
    match protocol {
        Protocol::Connect(ConnectForm::Stream, _) => {
            (protocol::connect::CONTENT_ENCODING, protocol::connect::ACCEPT_ENCODING)
        }
        Protocol::Connect(..) => (header::CONTENT_ENCODING, header::ACCEPT_ENCODING),
        _ => (grpc::ENCODING, grpc::ACCEPT_ENCODING),
    }
}

/// Which way the messages of a call go. The bytes of those that the upstream understands as they are
/// pass; servers of gRPC know gzip, and seldom anything else.
pub(super) struct Ways {
    pub(super) request: RequestMessages,
    pub(super) reply: ReplyMessages,
    /// How the answer's messages may be compressed by us.
    pub(super) encoding: Option<Encoding>,
}

impl Ways {
    /// Also writes what the upstream is told of compression.
    pub(super) fn of(
        call: &mut Call,
        codec: Codec,
        head: &request::Parts,
    ) -> Result<Self, Refusal> {
        let limit = call.shared.limits.message_limit_bytes;
        let (name, accepts) = encoding_headers(call.protocol);
        let encoding = compression::of_request(&head.headers, &name, &accepts)?;
        if codec == Codec::Proto && matches!(encoding, None | Some(Encoding::Gzip)) {
            if encoding.is_some() {
                call.metadata.insert(grpc::ENCODING, HeaderValue::from_static("gzip"));
            }
            if let Some(value) = head.headers.get(accepts) {
                call.metadata.insert(grpc::ACCEPT_ENCODING, value.clone());
            }
            let ends_in_body = !matches!(call.protocol, Protocol::Grpc(_));
            let holds = call.method().server_streaming && ends_in_body;
            return Ok(Self {
                request: RequestMessages::pass(limit, encoding),
                reply: ReplyMessages::pass(limit, holds),
                encoding: None,
            });
        }
        let accepted = compression::accepted(&head.headers, &accepts);
        let codec = || MessageCodec::new(call, codec, encoding, accepted);
        Ok(Self {
            request: RequestMessages::recode(codec()),
            reply: ReplyMessages::recode(limit, codec()),
            encoding: accepted,
        })
    }
}
