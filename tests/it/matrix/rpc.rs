//! gRPC, gRPC-Web and Connect's streams: messages in envelopes, the end in trailers or in a last
//! frame.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Version, response};
use prost_reflect::MethodDescriptor;
use serde_json::Value;
use transom::{Gateway, protocol::grpc_web::TextDecoder};

use super::{
    Call, TIMEOUT,
    callers::{Caller, Conversation, Told},
    connect,
    exchange::{Exchange, Form},
    types::{self, Codec},
};
use crate::support::request;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Wire {
    Grpc,
    GrpcWeb,
    GrpcWebText,
    /// Its calls without a stream have no envelopes: see `connect`.
    Connect,
}

pub(super) struct Rpc(pub(super) Wire, pub(super) Codec);

impl Caller for Rpc {
    fn name(&self) -> &'static str {
        match (self.0, self.1) {
            (Wire::Grpc, Codec::Proto) => "gRPC",
            (Wire::Grpc, Codec::Json) => "gRPC JSON",
            (Wire::GrpcWeb, Codec::Proto) => "gRPC-Web",
            (Wire::GrpcWeb, Codec::Json) => "gRPC-Web JSON",
            (Wire::GrpcWebText, _) => "gRPC-Web text",
            (Wire::Connect, Codec::Proto) => "Connect",
            (Wire::Connect, Codec::Json) => "Connect JSON",
        }
    }

    fn call(&self, gateway: &Gateway, call: &Call) -> Box<dyn Conversation> {
        let &Self(wire, codec) = self;
        if wire == Wire::Connect && call.kind == "unary" {
            return connect::unary(gateway, call, codec);
        }
        let framing = match wire {
            Wire::Grpc => "grpc",
            Wire::GrpcWeb => "grpc-web",
            Wire::GrpcWebText => "grpc-web-text",
            Wire::Connect => "connect",
        };
        let mut request = request(&format!("POST /inventory.v1.Inventory/{}", call.method))
            .version(Version::HTTP_2)
            .header("content-type", format!("application/{framing}+{}", codec.name()));
        if wire == Wire::Connect {
            request = request.header("connect-protocol-version", "1");
        } else {
            request = request.header("te", "trailers");
        }
        if call.ending == "deadline" {
            request = match wire {
                Wire::Connect => request.header("connect-timeout-ms", TIMEOUT.as_millis() as u64),
                _ => request.header("grpc-timeout", format!("{}S", TIMEOUT.as_secs())),
            };
        }
        let form = RpcForm {
            wire,
            codec,
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
    codec: Codec,
    method: MethodDescriptor,
    decoder: TextDecoder,
    unread: Vec<u8>,
    /// What the last frame tells.
    end: Option<Told>,
}

impl Form for RpcForm {
    fn encode(&mut self, message: &Value) -> Bytes {
        let envelope = envelope(0, &self.codec.encode(&self.method, message));
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
        assert!(self.end.is_none(), "something comes behind the end");
        self.end = Some(match (self.wire, flags) {
            (_, 0) => return Some(self.codec.decode(&self.method, &payload)),
            (Wire::GrpcWeb | Wire::GrpcWebText, 0x80) => trailers(&payload),
            (Wire::Connect, 2) => connect::end_of_stream(&payload),
            (_, flags) => panic!("an envelope with the flags {flags}"),
        });
        None
    }

    fn end(&mut self, head: &response::Parts, trailers: &HeaderMap, is_broken: bool) -> Told {
        assert_eq!(head.status, 200);
        if is_broken || !self.unread.is_empty() {
            return Told::broken();
        }
        match self.wire {
            // All in one head where there was nothing else to tell.
            Wire::Grpc if trailers.is_empty() => status(&head.headers),
            Wire::Grpc => status(trailers),
            _ => self.end.take().unwrap_or_else(Told::broken),
        }
    }
}

fn trailers(frame: &[u8]) -> Told {
    let text = std::str::from_utf8(frame).unwrap();
    let fields = text.lines().map(|line| line.split_once(':').unwrap());
    let fields = fields.map(|(name, value)| {
        (name.parse::<http::HeaderName>().unwrap(), value.trim().parse().unwrap())
    });
    status(&fields.collect())
}

fn status(end: &HeaderMap) -> Told {
    match transom::protocol::grpc::status_from(end) {
        Some(status) => Told::of(status.code.number().into(), &status.message),
        None => Told::broken(),
    }
}

fn envelope(flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut envelope = vec![flags];
    envelope.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    envelope.extend_from_slice(payload);
    envelope
}

/// The first whole envelope of what is unread: its flags and its payload.
fn take_envelope(unread: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
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
