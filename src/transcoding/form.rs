//! The types that everybody knows, and what each is in JSON.

use crate::schema::{Cardinality, Kind, MessageIndex, Schema};

/// What a message is in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An object with its fields as keys.
    Object,
    /// The value of its field 1, bare: the wrapper types.
    Wrapper,
    /// `"2026-01-02T03:04:05Z"`
    Timestamp,
    /// `"1.5s"`
    Duration,
    /// `"a.b,c"`
    FieldMask,
    /// An object with any keys.
    Struct,
    /// An array of anything.
    ListValue,
    /// Anything.
    Value,
    /// `{"@type": …}` and the message that is in it.
    Any,
    /// An object with nothing in it; in an `Any`, it may be written as a `value`.
    Empty,
}

/// Well-known types are told by name, and must have the fields that their form relies on. None
/// where they have not.
pub(super) fn form(schema: &Schema, index: MessageIndex) -> Option<Form> {
    let message = schema.message(index);
    let has = |number: u32, cardinality: Cardinality, fits: &dyn Fn(Kind) -> bool| {
        message
            .field_by_number(number)
            .is_some_and(|field| field.cardinality == cardinality && fits(field.kind))
    };
    let named = |kind: Kind, name: &str| match kind {
        Kind::Message(index) => schema.message(index).name == name,
        _ => false,
    };
    let singular = |number, kind| has(number, Cardinality::Singular, &|found| found == kind);
    let is_value = |kind| named(kind, "google.protobuf.Value");
    let is_struct = || {
        has(1, Cardinality::Map, &|entry| match entry {
            Kind::Message(entry) => {
                let kind_of = |n| schema.message(entry).field_by_number(n).map(|field| field.kind);
                kind_of(1) == Some(Kind::String) && kind_of(2).is_some_and(is_value)
            }
            _ => false,
        })
    };
    let expected = match message.name.strip_prefix("google.protobuf.") {
        Some("Timestamp" | "Duration") => {
            let fits = singular(1, Kind::Int64) && singular(2, Kind::Int32);
            let is_timestamp = message.name.ends_with("Timestamp");
            (fits, if is_timestamp { Form::Timestamp } else { Form::Duration })
        }
        Some("FieldMask") => {
            (has(1, Cardinality::Repeated, &|kind| kind == Kind::String), Form::FieldMask)
        }
        Some("Empty") => (message.fields.is_empty(), Form::Empty),
        Some("Any") => (singular(1, Kind::String) && singular(2, Kind::Bytes), Form::Any),
        Some("Struct") => (message.fields.len() == 1 && is_struct(), Form::Struct),
        Some("ListValue") => {
            let fits = message.fields.len() == 1 && has(1, Cardinality::Repeated, &is_value);
            (fits, Form::ListValue)
        }
        Some("Value") => {
            let fits = singular(2, Kind::Double)
                && singular(3, Kind::String)
                && singular(4, Kind::Bool)
                && has(1, Cardinality::Singular, &|kind| matches!(kind, Kind::Enum(_)))
                && has(5, Cardinality::Singular, &|kind| named(kind, "google.protobuf.Struct"))
                && has(6, Cardinality::Singular, &|kind| named(kind, "google.protobuf.ListValue"))
                && message.fields.len() == 6
                && message.fields.iter().all(|field| field.oneof == Some(0));
            (fits, Form::Value)
        }
        _ if message.is_wrapper() => {
            let fits = has(1, Cardinality::Singular, &|kind| kind.message().is_none());
            (fits && message.fields.len() == 1, Form::Wrapper)
        }
        _ => (true, Form::Object),
    };
    expected.0.then_some(expected.1)
}
