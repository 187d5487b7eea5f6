//! Who calls: one caller for each protocol and form of it.

use serde_json::Value;
use transom::Gateway;

use super::{
    Call, connect,
    rest::Rest,
    rpc::{Rpc, Wire},
    types::Codec,
    websocket::WebSocket,
};

/// One way to call. A new protocol is one of these.
pub(super) trait Caller {
    fn name(&self) -> &'static str;

    /// Begins a call.
    fn call(&self, gateway: &Gateway, call: &Call) -> Box<dyn Conversation>;
}

/// A call that has begun; dropped, it is cancelled.
#[tonic::async_trait]
pub(super) trait Conversation {
    async fn send(&mut self, message: &Value);

    /// There are no further messages.
    async fn close(&mut self);

    /// What comes next. May be dropped while it waits.
    async fn next(&mut self) -> Event;
}

pub(super) enum Event {
    Message(Value),
    End(Told),
}

/// How a call ended: the name of its code, or `BROKEN`.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) code: String,
    pub(super) message: String,
}

impl Told {
    pub(super) fn of(code: i64, message: &str) -> Self {
        let code = transom::status::Code::from_number(code).name();
        Self { code: code.to_owned(), message: message.to_owned() }
    }

    pub(super) fn broken() -> Self {
        Self { code: "BROKEN".to_owned(), message: String::new() }
    }
}

pub(super) fn all() -> Vec<Box<dyn Caller>> {
    vec![
        Box::new(Rest::Json),
        Box::new(Rest::Events),
        Box::new(Rest::Lines),
        Box::new(Rpc(Wire::Grpc, Codec::Proto)),
        Box::new(Rpc(Wire::Grpc, Codec::Json)),
        Box::new(Rpc(Wire::GrpcWeb, Codec::Proto)),
        Box::new(Rpc(Wire::GrpcWeb, Codec::Json)),
        Box::new(Rpc(Wire::GrpcWebText, Codec::Proto)),
        Box::new(Rpc(Wire::Connect, Codec::Proto)),
        Box::new(Rpc(Wire::Connect, Codec::Json)),
        Box::new(connect::Get),
        Box::new(WebSocket(Codec::Json)),
        Box::new(WebSocket(Codec::Proto)),
    ]
}
