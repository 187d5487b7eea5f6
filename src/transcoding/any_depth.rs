//! How deep `google.protobuf.Any` nests in a message.
//!
//! Each `Any` is a fresh decode, so protobuf's own depth limit does not see the levels: some
//! 6,000 of them, in 160 KiB, overflow the stack of a writer that recurses.

use prost::Message as _;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

use crate::{
    schema::{MessageType, Schema},
    status::Any,
};

/// Levels of `Any` within `Any` that are served.
pub(super) const LIMIT: usize = 32;

/// For each message type, whether an `Any` can be in it, at any depth.
pub(super) fn may_hold_any(schema: &Schema) -> Vec<bool> {
    let messages = schema.messages();
    let mut may: Vec<_> = messages.iter().map(|m| m.name == "google.protobuf.Any").collect();
    // Each round finds those whose fields were found before; at most as many as types nest.
    loop {
        let holds = |message: &MessageType| {
            let mut inner = message.fields.iter().filter_map(|field| field.kind.message());
            inner.any(|index| may[index.0 as usize])
        };
        let next: Vec<_> =
            messages.iter().zip(&may).map(|(message, &known)| known || holds(message)).collect();
        if next == may {
            return may;
        }
        may = next;
    }
}

/// Whether `message` nests more than `limit` levels of `Any`.
pub(super) fn exceeds(message: &DynamicMessage, limit: usize) -> bool {
    if message.descriptor().full_name() == "google.protobuf.Any" {
        let Some(limit) = limit.checked_sub(1) else {
            return true;
        };
        let Ok(any) = Any::decode(message.encode_to_vec().as_slice()) else {
            return false;
        };
        let name = any.type_url.rsplit('/').next().unwrap_or_default();
        let pool = message.descriptor().parent_pool().clone();
        return pool.get_message_by_name(name).is_some_and(|descriptor| {
            DynamicMessage::decode(descriptor, any.value).is_ok_and(|inner| exceeds(&inner, limit))
        });
    }
    message.fields().any(|(_, value)| value_exceeds(value, limit))
}

fn value_exceeds(value: &Value, limit: usize) -> bool {
    match value {
        Value::Message(message) => exceeds(message, limit),
        Value::List(values) => values.iter().any(|value| value_exceeds(value, limit)),
        Value::Map(entries) => entries.values().any(|value| value_exceeds(value, limit)),
        _ => false,
    }
}
