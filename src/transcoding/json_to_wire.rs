//! JSON bytes → protobuf bytes.
//!
//! Stands on prost-reflect's `DynamicMessage`, behind an interface that does not show it.

use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage};

use super::{
    Transcoder,
    json_reader::{self, JsonError},
};
use crate::schema::{FieldPath, MessageIndex};

/// How deep JSON may nest, in objects and arrays; protobuf's own limit for messages.
pub const JSON_DEPTH_LIMIT: usize = 100;

/// How JSON is read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Whether keys that name no field are passed over instead of refused.
    pub ignore_unknown_fields: bool,
    /// How deep objects and arrays may nest.
    pub depth_limit: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { ignore_unknown_fields: false, depth_limit: JSON_DEPTH_LIMIT }
    }
}

impl Transcoder {
    /// Appends the encoding of the `message` that `json` is.
    ///
    /// Strict: one key twice, a oneof set twice, trailing data and (unless ignored) unknown keys
    /// are errors. Both spellings of a field name are understood.
    pub fn json_to_wire(
        &self,
        message: MessageIndex,
        json: &[u8],
        options: &ReadOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        json_reader::check(json, &self.schema, message, options.depth_limit)?;
        let read = DeserializeOptions::new().deny_unknown_fields(!options.ignore_unknown_fields);
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let value = DynamicMessage::deserialize_with_options(
            self.descriptor(message).clone(),
            &mut deserializer,
            &read,
        )
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| locate(json, &error))?;
        out.reserve(value.encoded_len());
        // A Vec grows: encoding into one cannot fail.
        let _ = value.encode(out);
        Ok(())
    }

    /// Appends the encoding of the message whose one set field, `field` of `message`, is `json`.
    pub(super) fn field_json_to_wire(
        &self,
        message: MessageIndex,
        field: &FieldPath,
        json: &[u8],
        options: &ReadOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        // One value and no more: `1,"other":2` must not become a second field.
        serde_json::from_slice::<serde::de::IgnoredAny>(json).map_err(|e| locate(json, &e))?;
        let field = field.leaf(&self.schema);
        let head = format!("{{\"{}\":", field.json_name);
        let mut wrapped = Vec::with_capacity(head.len() + json.len() + 1);
        wrapped.extend_from_slice(head.as_bytes());
        wrapped.extend_from_slice(json);
        wrapped.push(b'}');
        let options = ReadOptions { depth_limit: options.depth_limit + 1, ..options.clone() };
        self.json_to_wire(message, &wrapped, &options, out).map_err(|mut error| {
            error.offset = error.offset.saturating_sub(head.len()).min(json.len());
            error
        })
    }
}

/// serde_json counts lines and columns, and says so in its message.
fn locate(json: &[u8], error: &serde_json::Error) -> JsonError {
    let text = error.to_string();
    let message = match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    };
    let before = json.split_inclusive(|&byte| byte == b'\n').take(error.line().saturating_sub(1));
    let offset = before.map(<[u8]>::len).sum::<usize>() + error.column();
    json_reader::error_at(json, offset.min(json.len()), message)
}
