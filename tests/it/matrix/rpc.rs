//! gRPC and gRPC-Web: messages in envelopes, the end in trailers or in a last frame.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Version, response};
use prost_reflect::MethodDescriptor;
use serde_json::Value;
use transom::{Gateway, protocol::grpc_web::TextDecoder};

use super::{
    Call, TIMEOUT,
    callers::{Caller, Conversation, Told},
    exchange::{Exchange, Form},
    types,
};
use crate::support::request;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Wire {
    Grpc,
    GrpcWeb,
    GrpcWebText,
}

pub(super) struct Rpc(pub(super) Wire);

impl Caller for Rpc {
    fn name(&self) -> &'static str {
        match self.0 {
            Wire::Grpc => "gRPC",
            Wire::GrpcWeb => "gRPC-Web",
            Wire::GrpcWebText => "gRPC-Web text",
        }
    }

    fn call(&self, gateway: &Gateway, call: &Call) -> Box<dyn Conversation> {
        let content_type = match self.0 {
            Wire::Grpc => "application/grpc",
            Wire::GrpcWeb => "application/grpc-web+proto",
            Wire::GrpcWebText => "application/grpc-web-text",
        };
        let mut request = request(&format!("POST /inventory.v1.Inventory/{}", call.method))
            .version(Version::HTTP_2)
            .header("te", "trailers")
            .header("content-type", content_type);
        if call.ending == "deadline" {
            request = request.header("grpc-timeout", format!("{}S", TIMEOUT.as_secs()));
        }
        let form = RpcForm {
            wire: self.0,
            method: types::method(&call.method),
            decoder: TextDecoder::default(),
            unread: Vec::new(),
            end: None,
        };
        Box::new(Exchange::begin(gateway, request, form))
    }
}

struct RpcForm {
    wire: Wire,
    method: MethodDescriptor,
    decoder: TextDecoder,
    unread: Vec<u8>,
    /// gRPC-Web's trailers.
    end: Option<HeaderMap>,
}

impl Form for RpcForm {
    fn encode(&mut self, message: &Value) -> Bytes {
        let envelope = envelope(0, &types::encode(&self.method, message));
        match self.wire {
            Wire::GrpcWebText => BASE64_STANDARD.encode(envelope).into(),
            _ => envelope.into(),
        }
    }

    fn read(&mut self, _: &response::Parts, data: &[u8]) {
        match self.wire {
            Wire::GrpcWebText => self.unread.extend(self.decoder.push(data).unwrap()),
            _ => self.unread.extend_from_slice(data),
        }
    }

    fn message(&mut self) -> Option<Value> {
        let (flags, payload) = take_envelope(&mut self.unread)?;
        if flags == 0x80 {
            assert!(self.end.is_none() && self.wire != Wire::Grpc, "a second end");
            let text = String::from_utf8(payload).unwrap();
            let fields = text.lines().map(|line| line.split_once(':').unwrap());
            let trailers = fields.map(|(name, value)| {
                (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
            });
            self.end = Some(trailers.collect());
            return None;
        }
        assert!(flags == 0 && self.end.is_none(), "a message behind the end");
        Some(types::decode(&self.method, &payload))
    }

    fn end(&mut self, head: &response::Parts, trailers: &HeaderMap, is_broken: bool) -> Told {
        if is_broken || !self.unread.is_empty() {
            return Told::broken();
        }
        assert_eq!(head.status, 200);
        let end = match (&self.end, self.wire) {
            (Some(end), _) => end,
            // All in one head where there was nothing else to tell.
            (None, Wire::Grpc) if trailers.is_empty() => &head.headers,
            (None, Wire::Grpc) => trailers,
            (None, _) => return Told::broken(),
        };
        match transom::protocol::grpc::status_from(end) {
            Some(status) => Told::of(status.code.number().into(), &status.message),
            None => Told::broken(),
        }
    }
}

pub(super) fn envelope(flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut envelope = vec![flags];
    envelope.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    envelope.extend_from_slice(payload);
    envelope
}

/// The first whole envelope of what is unread: its flags and its payload.
pub(super) fn take_envelope(unread: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let length = unread.get(1..5)?;
    let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
    if unread.len() < 5 + length {
        return None;
    }
    let flags = unread[0];
    let payload = unread[5..5 + length].to_vec();
    unread.drain(..5 + length);
    Some((flags, payload))
}
