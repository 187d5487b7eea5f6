//! A field's value written as text, in a path or a query: text in, an encoded field out.

use super::{
    ReadOptions, Transcoder, json_text,
    wire::{self, put_delimited, put_varint},
};
use crate::schema::{Field, Kind, MessageIndex};

impl Transcoder {
    /// Appends one element of `field`, its key included. The error says what was expected.
    pub(super) fn text_to_wire(
        &self,
        field: &Field,
        text: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let number = field.number;
        match field.kind {
            Kind::String => put_delimited(number, text.as_bytes(), out),
            Kind::Bytes => put_delimited(number, &bytes(text)?, out),
            Kind::Bool => put_varint(number, u64::from(parse::<bool>(text, "true or false")?), out),
            Kind::Int32 => put_varint(number, int32(text)? as i64 as u64, out),
            Kind::Int64 => put_varint(number, int64(text)? as u64, out),
            Kind::Uint32 => put_varint(number, u64::from(uint32(text)?), out),
            Kind::Uint64 => put_varint(number, uint64(text)?, out),
            Kind::Sint32 => {
                let value = int32(text)?;
                put_varint(number, u64::from(((value << 1) ^ (value >> 31)) as u32), out);
            }
            Kind::Sint64 => {
                let value = int64(text)?;
                put_varint(number, ((value << 1) ^ (value >> 63)) as u64, out);
            }
            Kind::Fixed32 => put_fixed(number, &uint32(text)?.to_le_bytes(), out),
            Kind::Sfixed32 => put_fixed(number, &int32(text)?.to_le_bytes(), out),
            Kind::Fixed64 => put_fixed(number, &uint64(text)?.to_le_bytes(), out),
            Kind::Sfixed64 => put_fixed(number, &int64(text)?.to_le_bytes(), out),
            Kind::Float => put_fixed(number, &float(text)?.to_le_bytes(), out),
            Kind::Double => put_fixed(number, &double(text)?.to_le_bytes(), out),
            Kind::Enum(index) => {
                let r#type = self.schema.enumeration(index);
                let named = r#type.values.iter().find(|(name, _)| name == text).map(|(_, n)| *n);
                let value = named.or_else(|| text.parse().ok()).ok_or_else(|| {
                    format!("expected a name or number of {}, found {}", r#type.name, quote(text))
                })?;
                put_varint(number, i64::from(value) as u64, out);
            }
            Kind::Message(message) | Kind::Group(message) => {
                put_delimited(number, &self.text_to_message(message, text)?, out);
            }
        }
        Ok(())
    }

    /// The well-known types that a text can be.
    fn text_to_message(&self, message: MessageIndex, text: &str) -> Result<Vec<u8>, String> {
        let mut wire = Vec::new();
        let r#type = self.schema.message(message);
        if let Some(value) = r#type.field("value").filter(|_| r#type.is_wrapper()) {
            self.text_to_wire(value, text, &mut wire)?;
            // As every writer has it: a default is not written.
            if is_default(&wire) {
                wire.clear();
            }
            return Ok(wire);
        }
        let json = match r#type.name.as_str() {
            _ if r#type.is_text_in_json() => quote(text),
            "google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue" => {
                text.to_owned()
            }
            name => return Err(format!("{name} is a message: name one of its fields")),
        };
        self.json_to_wire(message, json.as_bytes(), &ReadOptions::default(), &mut wire)
            .map_err(|error| error.message)?;
        Ok(wire)
    }
}

/// Whether an encoded scalar field is at its default: nothing but zeros behind the key.
pub(super) fn is_default(field: &[u8]) -> bool {
    let mut value = 0;
    wire::tag(field, &mut value).is_some() && field[value..].iter().all(|&byte| byte == 0)
}

fn put_fixed(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    let is_long = bytes.len() == 8;
    wire::put_tag(number, if is_long { wire::FIXED64 } else { wire::FIXED32 }, out);
    out.extend_from_slice(bytes);
}

fn parse<T: std::str::FromStr>(text: &str, expected: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("expected {expected}, found {}", quote(text)))
}

fn int32(text: &str) -> Result<i32, String> {
    parse(text, "a 32-bit integer")
}

fn int64(text: &str) -> Result<i64, String> {
    parse(text, "a 64-bit integer")
}

fn uint32(text: &str) -> Result<u32, String> {
    parse(text, "a 32-bit integer that is not negative")
}

fn uint64(text: &str) -> Result<u64, String> {
    parse(text, "a 64-bit integer that is not negative")
}

fn float(text: &str) -> Result<f32, String> {
    let value = double(text)? as f32;
    if value.is_infinite() && !text.ends_with("Infinity") {
        return Err(format!("expected a number in the range of a float, found {}", quote(text)));
    }
    Ok(value)
}

/// ProtoJSON's spelling: `NaN`, `Infinity`, `-Infinity`, and decimal numbers in range.
fn double(text: &str) -> Result<f64, String> {
    match text {
        "NaN" => return Ok(f64::NAN),
        "Infinity" => return Ok(f64::INFINITY),
        "-Infinity" => return Ok(f64::NEG_INFINITY),
        _ => {}
    }
    let value: f64 = parse(text, "a number")?;
    if !value.is_finite() {
        return Err(format!("expected a number, found {}", quote(text)));
    }
    Ok(value)
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    match json_text::put_decoded_base64(&mut bytes, text.as_bytes()) {
        true => Ok(bytes),
        false => Err(format!("expected base64, found {}", quote(text))),
    }
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
