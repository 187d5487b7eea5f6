//! Protobuf bytes → JSON bytes, in one pass, by a plan.
//!
//! Every serializer writes fields in the order of their numbers, each once, so a message is
//! written to JSON as it is read (`stream`). Protobuf allows more: any order, a list in pieces, a
//! field or a member of a oneof again, a message in parts that merge. Whoever meets that, or a
//! value at fault, stops, and the whole message is written again with a look ahead at each message
//! in it, gathering the occurrences of each field of those that need it (`gather`). Twice at most,
//! however it nests.

use super::{
    Transcoder, any,
    plan::{FieldPlan, Plans},
    pretty,
};
use crate::{
    schema::{FieldPath, MessageIndex},
    status::Any,
};

mod gather;
mod map;
mod stream;
mod value;
mod well_known;

use gather::Index;

/// How JSON is written.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Enum values as numbers instead of names.
    pub enum_numbers: bool,
    /// Field names as in the proto instead of lowerCamelCase.
    pub proto_names: bool,
    /// Fields at their default value too, those without presence of their own.
    pub emit_defaults: bool,
    /// 64-bit integers as numbers instead of strings, which many readers round to 53 bits.
    pub int64_numbers: bool,
    /// Indented by two spaces.
    pub pretty: bool,
}

/// Bytes that are not a message of the expected type, or one that has no JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message} (at byte {offset})", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct WireError {
    /// The fields that lead to it, by proto name: `user.emails`. Empty at the top.
    pub path: String,
    /// Bytes from the start of the message.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

impl Transcoder {
    /// Appends the JSON of the `message` that `wire` encodes. On an error, `out` is as before.
    pub fn wire_to_json(
        &self,
        message: MessageIndex,
        wire: &[u8],
        options: &WriteOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        self.write(wire, options, out, |writer| writer.message(message, Parts::whole(wire)))
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
        let plan = self.plans.message(message);
        let leaf = plan.index_of(field.leaf(&self.schema).number);
        let Some(leaf) = leaf.map(|leaf| (leaf, &plan.fields[leaf])) else { return Ok(()) };
        self.write(wire, options, out, |writer| {
            writer.checked = true;
            let index = Index::build(writer, plan, Parts::whole(wire))?;
            writer.gathered_value(leaf.1, index.entries(leaf.0))
        })
    }

    /// Appends the JSON of an error detail: `{"@type":…, …}`. A type that nobody knows, or
    /// bytes that are not of their type, keep their base64 in `value`.
    pub fn detail_to_json(&self, detail: &Any, out: &mut Vec<u8>) {
        let start = out.len();
        let written = any::type_name(&detail.type_url).and_then(|name| {
            let message = self.plans.by_name(name)?;
            let options = WriteOptions::default();
            let write = |writer: &mut Writer<'_>| {
                writer.any_of(&detail.type_url, message, Parts::whole(&detail.value))
            };
            self.write(&detail.value, &options, out, write).ok()
        });
        if written.is_none() {
            out.truncate(start);
            Self::opaque_detail_to_json(detail, out);
        }
    }

    /// Appends an error detail of a type that nobody knows: `{"@type":…, "value":base64}`.
    pub fn opaque_detail_to_json(detail: &Any, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"@type\":");
        super::json_text::put_str(out, &detail.type_url);
        out.extend_from_slice(b",\"value\":");
        super::json_text::put_base64(out, &detail.value);
        out.push(b'}');
    }

    /// Runs `write`, once more where fields turn out not to be in order, and cleans up after it.
    fn write<'a>(
        &'a self,
        wire: &'a [u8],
        options: &'a WriteOptions,
        out: &mut Vec<u8>,
        write: impl Fn(&mut Writer<'a>) -> Result<(), Stop>,
    ) -> Result<(), WireError> {
        // Places are kept as 32 bits.
        if u32::try_from(wire.len()).is_err() {
            let message = "a message over 4 GiB".to_owned();
            return Err(WireError { path: String::new(), offset: 0, message });
        }
        let start = out.len();
        // Names come on top of the values: twice the input is most often enough, and never more
        // than a third too much.
        out.reserve(2 * wire.len() + 64);
        let mut writer = Writer {
            plans: &self.plans,
            wire,
            out: std::mem::take(out),
            options,
            checked: false,
            depth: 0,
            any_depth: 0,
            fault: None,
            spare_keys: Vec::new(),
        };
        let mut result = write(&mut writer);
        if result.is_err() {
            // A value at fault may be one that a later one replaces: that is disorder too.
            writer.out.truncate(start);
            (writer.checked, writer.depth, writer.any_depth) = (true, 0, 0);
            writer.fault = None;
            result = write(&mut writer);
        }
        *out = writer.out;
        if result.is_err() {
            out.truncate(start);
            return Err(writer.fault.unwrap_or_default().tell());
        }
        if options.pretty {
            pretty::indent(out, start);
        }
        Ok(())
    }
}

/// Writes one message.
struct Writer<'a> {
    plans: &'a Plans,
    wire: &'a [u8],
    /// The caller's buffer, while this writes.
    out: Vec<u8>,
    options: &'a WriteOptions,
    /// Whether messages are looked at before they are streamed.
    checked: bool,
    /// Open messages.
    depth: usize,
    /// Those of them that are `google.protobuf.Any`.
    any_depth: usize,
    fault: Option<Box<Fault>>,
    spare_keys: Vec<super::key_set::KeySet>,
}

/// How deep messages may nest.
const DEPTH_LIMIT: usize = super::DEPTH_LIMIT;

/// Why writing stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Something is not in order: begin again, and look first.
    Disorder,
    /// The fault is told in the writer.
    Fault,
}

#[derive(Default)]
struct Fault {
    /// From the inside out.
    path: Vec<Box<str>>,
    offset: usize,
    message: String,
}

impl Fault {
    fn tell(mut self) -> WireError {
        self.path.reverse();
        WireError { path: self.path.join("."), offset: self.offset, message: self.message }
    }
}

/// The encoding of a message: whole, or in parts that merge.
#[derive(Clone, Copy)]
enum Parts<'p> {
    /// From here to there.
    Whole(usize, usize),
    /// Each behind its key, which stands at this place.
    Tagged(&'p [u32]),
}

impl Parts<'_> {
    fn whole(wire: &[u8]) -> Self {
        Self::Whole(0, wire.len())
    }
}

impl<'a> Writer<'a> {
    #[cold]
    fn fault(&mut self, offset: usize, message: impl Into<String>) -> Stop {
        self.fault = Some(Box::new(Fault { path: Vec::new(), offset, message: message.into() }));
        Stop::Fault
    }

    #[cold]
    fn malformed(&mut self, offset: usize) -> Stop {
        self.fault(offset, "malformed protobuf, or cut off")
    }

    /// Notes that a fault is inside `field`.
    #[cold]
    fn within(&mut self, field: &FieldPlan, stop: Stop) -> Stop {
        if let Some(fault) = self.fault.as_mut() {
            fault.path.push(field.name.clone());
        }
        stop
    }

    /// `,"name":`
    #[inline]
    fn key(&mut self, field: &'a FieldPlan) {
        if self.options.proto_names { &field.proto_key } else { &field.json_key }
            .put(&mut self.out);
    }

    /// Puts the brackets around what was written since `at`, where each item begins with a comma.
    #[inline]
    fn close(&mut self, at: usize, opening: u8, closing: u8) {
        match self.out.get_mut(at) {
            Some(comma) => *comma = opening,
            None => self.out.push(opening),
        }
        self.out.push(closing);
    }
}
