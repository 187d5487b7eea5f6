//! Messages in the table are JSON; callers that speak protobuf have them as bytes.

use std::sync::LazyLock;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::Value;
use transom_test_services::INVENTORY_DESCRIPTOR_SET;

/// A method of the inventory.
pub(super) fn method(name: &str) -> MethodDescriptor {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(INVENTORY_DESCRIPTOR_SET).unwrap());
    let service = POOL.get_service_by_name("inventory.v1.Inventory").unwrap();
    service.methods().find(|method| method.name() == name).unwrap()
}

/// What a caller of an RPC protocol writes messages in.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Codec {
    Proto,
    Json,
}

impl Codec {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Proto => "proto",
            Self::Json => "json",
        }
    }

    /// A request message as bytes.
    pub(super) fn encode(self, method: &MethodDescriptor, message: &Value) -> Vec<u8> {
        match self {
            Self::Proto => {
                DynamicMessage::deserialize(method.input(), message).unwrap().encode_to_vec()
            }
            Self::Json => message.to_string().into(),
        }
    }

    /// A response message.
    pub(super) fn decode(self, method: &MethodDescriptor, message: &[u8]) -> Value {
        match self {
            Self::Proto => {
                let message = DynamicMessage::decode(method.output(), message).unwrap();
                serde_json::to_value(message).unwrap()
            }
            Self::Json => serde_json::from_slice(message).unwrap(),
        }
    }
}

/// Puts texts where `<n>` stands: base64, so that they are right for `bytes` too.
pub(super) fn expand(message: &Value) -> Value {
    let mut message = message.clone();
    for value in message.as_object_mut().unwrap().values_mut() {
        if let Some(count) = value.as_str().and_then(|text| text.strip_prefix('<')) {
            let count: usize = count.trim_end_matches('>').parse().unwrap();
            *value = BASE64_STANDARD.encode("x".repeat(count)).into();
        }
    }
    message
}
