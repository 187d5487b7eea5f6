//! One value of a field: from its JSON to its bytes.

use super::{
    super::{
        json_text,
        plan::{FieldPlan, Tag},
        wire,
    },
    Reader, Stop,
    string::Text,
};
use crate::schema::{EnumIndex, Kind};

impl<'a, const COLLECTS: bool> Reader<'a, COLLECTS> {
    /// Reads a value and writes it behind `tag`, which is empty in a pack. A default is left out
    /// where `omits_default`. False where the value is unknown, and to be ignored.
    #[inline]
    pub(in crate::transcoding) fn value(
        &mut self,
        field: &'a FieldPlan,
        tag: Tag,
        omits_default: bool,
    ) -> Result<bool, Stop> {
        match field.kind {
            Kind::String => {
                if self.peek() != b'"' {
                    return Err(self.expected("a string"));
                }
                let text = self.string()?;
                if !(omits_default && self.text(text).is_empty()) {
                    tag.put(&mut self.out);
                    self.put_text(text);
                }
            }
            Kind::Message(index) => {
                tag.put(&mut self.out);
                let begun = self.begin();
                self.message(index)?;
                self.finish(begun);
            }
            Kind::Group(index) => {
                tag.put(&mut self.out);
                self.message(index)?;
                wire::put_tag(field.number, wire::END_GROUP, &mut self.out);
            }
            Kind::Bytes => self.bytes(tag, omits_default)?,
            Kind::Bool => {
                let value = if self.word(b"true") {
                    true
                } else if self.word(b"false") {
                    false
                } else {
                    return Err(self.expected("true or false"));
                };
                self.put_varint(tag, omits_default, u64::from(value));
            }
            Kind::Int32 => {
                let value = self.signed(32)?;
                self.put_varint(tag, omits_default, value as u64);
            }
            Kind::Int64 => {
                let value = self.signed(64)?;
                self.put_varint(tag, omits_default, value as u64);
            }
            Kind::Uint32 => {
                let value = self.unsigned(32)?;
                self.put_varint(tag, omits_default, value);
            }
            Kind::Uint64 => {
                let value = self.unsigned(64)?;
                self.put_varint(tag, omits_default, value);
            }
            Kind::Sint32 | Kind::Sint64 => {
                let bits = if field.kind == Kind::Sint32 { 32 } else { 64 };
                let value = self.signed(bits)?;
                self.put_varint(tag, omits_default, ((value << 1) ^ (value >> 63)) as u64);
            }
            Kind::Enum(index) => {
                let Some(value) = self.enum_value(index)? else { return Ok(false) };
                self.put_varint(tag, omits_default, i64::from(value) as u64);
            }
            Kind::Fixed32 => {
                let value = self.unsigned(32)? as u32;
                self.put_fixed(tag, omits_default, value.to_le_bytes());
            }
            Kind::Sfixed32 => {
                let value = self.signed(32)? as i32;
                self.put_fixed(tag, omits_default, value.to_le_bytes());
            }
            Kind::Fixed64 => {
                let value = self.unsigned(64)?;
                self.put_fixed(tag, omits_default, value.to_le_bytes());
            }
            Kind::Sfixed64 => {
                let value = self.signed(64)?;
                self.put_fixed(tag, omits_default, value.to_le_bytes());
            }
            Kind::Float => {
                let value = self.float()?;
                self.put_fixed(tag, omits_default, value.to_le_bytes());
            }
            Kind::Double => {
                let value = self.double()?;
                self.put_fixed(tag, omits_default, value.to_le_bytes());
            }
        }
        Ok(true)
    }

    fn signed(&mut self, bits: u32) -> Result<i64, Stop> {
        let expected = if bits == 32 { "a 32-bit integer" } else { "a 64-bit integer" };
        let at = self.position;
        let value = self.integer(expected)?.signed(bits);
        value.ok_or_else(|| self.expected_at(at, expected))
    }

    fn unsigned(&mut self, bits: u32) -> Result<u64, Stop> {
        let expected = match bits {
            32 => "a 32-bit integer that is not negative",
            _ => "a 64-bit integer that is not negative",
        };
        let at = self.position;
        let value = self.integer(expected)?.unsigned(bits);
        value.ok_or_else(|| self.expected_at(at, expected))
    }

    /// None where the value is unknown, and to be ignored.
    fn enum_value(&mut self, index: EnumIndex) -> Result<Option<i32>, Stop> {
        let plan = self.plans.enumeration(index);
        let at = self.position;
        // Some value, if only one that is unknown.
        let (known, is_value) = match self.peek() {
            b'"' => {
                let text = self.string()?;
                (plan.names.get(self.text(text)).map(|number| number as i32), true)
            }
            b'n' if plan.is_null && self.word(b"null") => (Some(0), true),
            b'-' | b'0'..=b'9' => {
                let number = self.integer("an enum value")?.signed(32).map(|n| n as i32);
                let is_known = |n: &i32| !plan.closed || plan.quoted_name(*n).is_some();
                (number.filter(is_known), number.is_some())
            }
            _ => (None, false),
        };
        if known.is_some() || (is_value && self.options.ignore_unknown_fields) {
            return Ok(known);
        }
        let expected = format!("a name or number of {}", plan.name);
        Err(self.expected_at(at, &expected))
    }

    fn bytes(&mut self, tag: Tag, omits_default: bool) -> Result<(), Stop> {
        if self.peek() != b'"' {
            return Err(self.expected("base64"));
        }
        let at = self.position;
        let text = self.string()?;
        let before = self.out.len();
        tag.put(&mut self.out);
        let begun = self.begin();
        let (json, unescaped) = (self.json, &self.unescaped);
        let text = match text {
            Text::Plain(start, end) => &json[start..end],
            Text::Unescaped => unescaped,
        };
        let content = self.out.len();
        if !json_text::put_decoded_base64(&mut self.out, text) {
            return Err(self.expected_at(at, "base64"));
        }
        if self.out.len() == content && omits_default {
            self.out.truncate(before);
        } else {
            self.finish(begun);
        }
        Ok(())
    }

    /// Writes a string's length and content.
    #[inline]
    pub(super) fn put_text(&mut self, text: Text) {
        match text {
            Text::Plain(start, end) => {
                wire::put_raw_varint(&mut self.out, (end - start) as u64);
                json_text::put_run(&mut self.out, self.json, start, end - start);
            }
            Text::Unescaped => {
                wire::put_raw_varint(&mut self.out, self.unescaped.len() as u64);
                self.out.extend_from_slice(&self.unescaped);
            }
        }
    }

    #[inline]
    pub(super) fn put_varint(&mut self, tag: Tag, omits_default: bool, value: u64) {
        if value != 0 || !omits_default {
            tag.put(&mut self.out);
            wire::put_raw_varint(&mut self.out, value);
        }
    }

    #[inline]
    fn put_fixed<const N: usize>(&mut self, tag: Tag, omits_default: bool, bytes: [u8; N]) {
        if bytes != [0; N] || !omits_default {
            tag.put(&mut self.out);
            self.out.extend_from_slice(&bytes);
        }
    }
}
