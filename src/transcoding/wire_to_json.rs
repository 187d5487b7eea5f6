//! Protobuf bytes → JSON bytes.
//!
//! Stands on prost-reflect's `DynamicMessage`, behind an interface that does not show it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};

use super::{Transcoder, any_depth};
use crate::{
    schema::{Cardinality, FieldPath, Kind, MessageIndex},
    status::Any,
};

/// How JSON is written.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Enum values as numbers instead of names.
    pub enum_numbers: bool,
    /// Field names as in the proto instead of lowerCamelCase.
    pub proto_names: bool,
    /// Fields at their default value too.
    pub emit_defaults: bool,
    /// Indented by two spaces.
    pub pretty: bool,
}

/// Bytes that are not a message of the expected type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WireError(String);

impl Transcoder {
    /// Appends the JSON of the `message` that `wire` encodes.
    pub fn wire_to_json(
        &self,
        message: MessageIndex,
        wire: &[u8],
        options: &WriteOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let value = self.decode_known(message, wire)?;
        write(&value, options, out)
    }

    /// Appends the JSON of one `field` of `message`, its default where it is not set.
    pub fn field_to_json(
        &self,
        message: MessageIndex,
        field: &FieldPath,
        wire: &[u8],
        options: &WriteOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let whole = self.decode_known(message, wire)?;
        let leaf = field.leaf(&self.schema);
        let Some(value) = whole
            .get_field_by_number(leaf.number)
            .filter(|_| whole.has_field_by_number(leaf.number))
        else {
            out.extend_from_slice(match (leaf.cardinality, leaf.kind) {
                (Cardinality::Repeated, _) => b"[]",
                (Cardinality::Map, _) => b"{}",
                (_, Kind::Bool) => b"false",
                (_, Kind::String | Kind::Bytes) => b"\"\"",
                (_, Kind::Int64 | Kind::Uint64 | Kind::Fixed64 | Kind::Sfixed64 | Kind::Sint64) => {
                    b"\"0\""
                }
                (_, Kind::Enum(index)) => return self.enum_default(index, options, out),
                (_, Kind::Message(_) | Kind::Group(_)) => b"null",
                _ => b"0",
            });
            return Ok(());
        };
        // A message with nothing but this field is `{"name":value}`; cut the value out.
        let mut alone = DynamicMessage::new(self.descriptor(message).clone());
        alone.set_field_by_number(leaf.number, value.into_owned());
        let options = WriteOptions { emit_defaults: false, pretty: false, ..options.clone() };
        let mut json = Vec::new();
        write(&alone, &options, &mut json)?;
        let name = if options.proto_names { &leaf.name } else { &leaf.json_name };
        let head = name.len() + r#"{"":"#.len();
        out.extend_from_slice(json.get(head..json.len().saturating_sub(1)).unwrap_or_default());
        Ok(())
    }

    /// Appends the JSON of an error detail: `{"@type":…, …}`. A type that nobody knows, or
    /// bytes that are not of their type, keep their base64 in `value`.
    pub fn detail_to_json(&self, detail: &Any, out: &mut Vec<u8>) {
        let name = detail.type_url.rsplit('/').next().unwrap_or_default();
        let known = [&self.pool, &self.details];
        let descriptor = known.into_iter().find_map(|pool| pool.get_message_by_name(name));
        let mut json = Vec::new();
        let rendered = descriptor.is_some_and(|descriptor| {
            self.decode(&descriptor, &detail.value)
                .and_then(|value| write(&value, &WriteOptions::default(), &mut json))
                .is_ok()
        });
        if !rendered {
            return Self::opaque_detail_to_json(detail, out);
        }
        put_type(detail, out);
        // A well-known type has a JSON form of its own, which is not an object to add a key to.
        if json.first() != Some(&b'{') || name.starts_with("google.protobuf.") {
            out.extend_from_slice(b",\"value\":");
            out.extend_from_slice(&json);
        } else if json != b"{}" {
            out.push(b',');
            out.extend_from_slice(&json[1..json.len() - 1]);
        }
        out.push(b'}');
    }

    /// Appends an error detail of a type that nobody knows: `{"@type":…, "value":base64}`.
    pub fn opaque_detail_to_json(detail: &Any, out: &mut Vec<u8>) {
        put_type(detail, out);
        out.extend_from_slice(b",\"value\":\"");
        out.extend_from_slice(BASE64_STANDARD.encode(&detail.value).as_bytes());
        out.extend_from_slice(b"\"}");
    }

    fn decode_known(
        &self,
        message: MessageIndex,
        wire: &[u8],
    ) -> Result<DynamicMessage, WireError> {
        if self.may_hold_any[message.0 as usize] {
            return self.decode(self.descriptor(message), wire);
        }
        DynamicMessage::decode(self.descriptor(message).clone(), wire)
            .map_err(|error| WireError(error.to_string()))
    }

    fn decode(
        &self,
        descriptor: &MessageDescriptor,
        wire: &[u8],
    ) -> Result<DynamicMessage, WireError> {
        let value = DynamicMessage::decode(descriptor.clone(), wire)
            .map_err(|error| WireError(error.to_string()))?;
        if any_depth::exceeds(&value, any_depth::LIMIT) {
            return Err(WireError(format!(
                "google.protobuf.Any is nested more than {} levels deep",
                any_depth::LIMIT
            )));
        }
        Ok(value)
    }

    fn enum_default(
        &self,
        index: crate::schema::EnumIndex,
        options: &WriteOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let values = &self.schema.enumeration(index).values;
        match values.iter().find(|(_, number)| *number == 0) {
            Some((name, _)) if !options.enum_numbers => {
                out.extend_from_slice(format!("\"{name}\"").as_bytes());
            }
            _ => out.push(b'0'),
        }
        Ok(())
    }
}

fn put_type(detail: &Any, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"@type\":");
    out.extend_from_slice(serde_json::Value::from(&*detail.type_url).to_string().as_bytes());
}

fn write(
    value: &DynamicMessage,
    options: &WriteOptions,
    out: &mut Vec<u8>,
) -> Result<(), WireError> {
    let serialize = SerializeOptions::new()
        .use_enum_numbers(options.enum_numbers)
        .use_proto_field_name(options.proto_names)
        .skip_default_fields(!options.emit_defaults);
    let start = out.len();
    let result = if options.pretty {
        value.serialize_with_options(&mut serde_json::Serializer::pretty(&mut *out), &serialize)
    } else {
        value.serialize_with_options(&mut serde_json::Serializer::new(&mut *out), &serialize)
    };
    result.map(|_| ()).map_err(|error| {
        out.truncate(start);
        WireError(error.to_string())
    })
}
