//! Connect: calls without a stream, by POST and by GET, and what errors and ends look like.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Version, response};
use prost_reflect::MethodDescriptor;
use serde_json::Value;
use transom::Gateway;

use super::{
    Call, TIMEOUT,
    callers::{Caller, Conversation, Told},
    exchange::{Exchange, Form},
    types::{self, Codec},
};
use crate::support::request;

pub(super) fn unary(gateway: &Gateway, call: &Call, codec: Codec) -> Box<dyn Conversation> {
    let mut request = request(&format!("POST /inventory.v1.Inventory/{}", call.method))
        .version(Version::HTTP_2)
        .header("connect-protocol-version", "1")
        .header("content-type", format!("application/{}", codec.name()));
    if call.ending == "deadline" {
        request = request.header("connect-timeout-ms", TIMEOUT.as_millis() as u64);
    }
    Box::new(Exchange::begin(gateway, request, UnaryForm::new(call, codec)))
}

/// The message in the query.
pub(super) struct Get;

impl Caller for Get {
    fn name(&self) -> &'static str {
        "Connect GET"
    }

    fn call(&self, gateway: &Gateway, call: &Call) -> Box<dyn Conversation> {
        let form = UnaryForm { is_get: true, ..UnaryForm::new(call, Codec::Proto) };
        let message = types::expand(&call.send[0]);
        let message = BASE64_URL_SAFE_NO_PAD.encode(form.codec.encode(&form.method, &message));
        let method = &call.method;
        let request = request(&format!(
            "GET /inventory.v1.Inventory/{method}?connect=v1&encoding=proto&base64=1&message={message}"
        ));
        Box::new(Exchange::begin(gateway, request.version(Version::HTTP_2), form))
    }
}

struct UnaryForm {
    method: MethodDescriptor,
    codec: Codec,
    is_get: bool,
    read: Vec<u8>,
    is_told: bool,
    is_ok: bool,
}

impl UnaryForm {
    fn new(call: &Call, codec: Codec) -> Self {
        let method = types::method(&call.method);
        Self { method, codec, is_get: false, read: Vec::new(), is_told: false, is_ok: false }
    }
}

impl Form for UnaryForm {
    fn encode(&mut self, message: &Value) -> Bytes {
        match self.is_get {
            true => Bytes::new(),
            false => self.codec.encode(&self.method, message).into(),
        }
    }

    fn read(&mut self, head: &response::Parts, data: &[u8]) {
        self.is_ok = head.status == 200;
        self.read.extend_from_slice(data);
    }

    /// The whole body is one, and comes at once.
    fn message(&mut self) -> Option<Value> {
        let is_here = self.is_ok && !std::mem::replace(&mut self.is_told, self.is_ok);
        is_here.then(|| self.codec.decode(&self.method, &self.read))
    }

    fn end(&mut self, head: &response::Parts, _: &HeaderMap, is_broken: bool) -> Told {
        match (is_broken, head.status.as_u16()) {
            (true, _) => Told::broken(),
            (false, 200) => Told::of(0, ""),
            (false, _) => {
                assert_eq!(head.headers["content-type"], "application/json");
                error(&serde_json::from_slice(&self.read).unwrap())
            }
        }
    }
}

pub(super) fn end_of_stream(frame: &[u8]) -> Told {
    let frame: Value = serde_json::from_slice(frame).unwrap();
    frame.get("error").map_or_else(|| Told::of(0, ""), error)
}

fn error(error: &Value) -> Told {
    let code = error["code"].as_str().unwrap().to_uppercase();
    let message = error["message"].as_str().unwrap_or_default();
    // Of the two spellings Connect has the other.
    let code = if code == "CANCELED" { "CANCELLED".to_owned() } else { code };
    Told { code, message: message.to_owned() }
}
