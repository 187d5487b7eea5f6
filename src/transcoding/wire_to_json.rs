//! Protobuf bytes → JSON bytes, in one pass, by a plan.
//!
//! Serializers write each field once, its elements together, so a message is written to JSON as it
//! is read (`stream`). Protobuf allows more: a list in pieces, a field or a member of a oneof again,
//! a message in parts that merge. Whoever meets that, or a value at fault, stops, and the whole
//! message is written again with a look ahead at each message in it, gathering the occurrences of
//! each field of those that need it (`gather`). Twice at most, however it nests.

use super::{
    DEPTH_LIMIT, Transcoder, any,
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
#[derive(Clone, Debug)]
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
    /// How long the JSON may become: few bytes of protobuf can stand for many of JSON.
    pub output_limit_bytes: usize,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            enum_numbers: false,
            proto_names: false,
            emit_defaults: false,
            int64_numbers: false,
            pretty: false,
            output_limit_bytes: usize::MAX,
        }
    }
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
    /// Of which kind it is.
    pub kind: WireFault,
}

/// What can be wrong with a message that is to be JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WireFault {
    /// Its bytes are not protobuf, or not of its type.
    #[default]
    Malformed,
    /// It holds what JSON has no form for: a timestamp in the year 10000, an unknown `Any`.
    NoForm,
    /// It nests too deep, or becomes too long.
    TooLarge,
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
            let index = Index::build(writer, plan, Parts::whole(wire))?;
            let written = writer.gathered_value(leaf.1, index.entries(leaf.0));
            written.map_err(|stop| writer.within(leaf.1, stop))
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

    /// Appends the JSON of the message that an error detail is, without its type. Whether it
    /// could: where not, `out` is as before.
    pub fn detail_message_to_json(&self, detail: &Any, out: &mut Vec<u8>) -> bool {
        let message = any::type_name(&detail.type_url).and_then(|name| self.plans.by_name(name));
        message.is_some_and(|message| {
            self.wire_to_json(message, &detail.value, &WriteOptions::default(), out).is_ok()
        })
    }

    /// Appends an error detail of a type that nobody knows: `{"@type":…, "value":base64}`.
    pub fn opaque_detail_to_json(detail: &Any, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"@type\":");
        super::json_text::put_str(out, &detail.type_url);
        out.extend_from_slice(b",\"value\":");
        super::json_text::put_base64(out, &detail.value);
        out.push(b'}');
    }

    /// Runs `write`, once more where it stops, and cleans up after it.
    fn write<'a>(
        &'a self,
        wire: &'a [u8],
        options: &'a WriteOptions,
        out: &mut Vec<u8>,
        write: impl Fn(&mut Writer<'a>) -> Result<(), Stop>,
    ) -> Result<(), WireError> {
        // Places are kept as 32 bits.
        if u32::try_from(wire.len()).is_err() {
            let (path, message) = (String::new(), "a message over 4 GiB".to_owned());
            return Err(WireError { path, offset: 0, message, kind: WireFault::TooLarge });
        }
        let start = out.len();
        // Names come on top of the values: twice the input is most often enough.
        out.reserve(2 * wire.len() + 64);
        let mut writer = Writer {
            plans: &self.plans,
            wire,
            limit: start.saturating_add(options.output_limit_bytes),
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
            writer.out.shrink_to(start + 2 * wire.len() + 64);
            (writer.checked, writer.depth, writer.any_depth) = (true, 0, 0);
            let first = writer.fault.take();
            result = write(&mut writer);
            // Looking ahead finds what is malformed before it knows what field it is in.
            if let (Some(first), Some(second)) = (first, &mut writer.fault)
                && first.offset >= second.offset
            {
                *second = first;
            }
        }
        *out = writer.out;
        if result.is_err() {
            out.truncate(start);
            return Err(writer.fault.unwrap_or_default().tell());
        }
        let fits = out.len() <= writer.limit
            && (!options.pretty || pretty::indent(out, start, writer.limit));
        if !fits {
            out.truncate(start);
            return Err(Fault::too_long(wire.len()).tell());
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
    /// How long it may become.
    limit: usize,
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

/// Why writing stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// A field is there again, or in pieces: begin again, and look first.
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
    kind: WireFault,
}

impl Fault {
    fn too_long(offset: usize) -> Self {
        let message = "its JSON is over the limit".to_owned();
        Self { path: Vec::new(), offset, message, kind: WireFault::TooLarge }
    }

    fn tell(mut self) -> WireError {
        self.path.reverse();
        let Self { path, offset, message, kind } = self;
        WireError { path: path.join("."), offset, message, kind }
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
    fn fault(&mut self, kind: WireFault, offset: usize, message: impl Into<String>) -> Stop {
        let message = message.into();
        self.fault = Some(Box::new(Fault { path: Vec::new(), offset, message, kind }));
        Stop::Fault
    }

    #[cold]
    fn malformed(&mut self, offset: usize) -> Stop {
        self.fault(WireFault::Malformed, offset, "malformed protobuf, or cut off")
    }

    /// Stops before another value where the JSON is too long already.
    #[inline(always)]
    fn check_size(&mut self, offset: usize) -> Result<(), Stop> {
        if self.out.len() <= self.limit { Ok(()) } else { Err(self.too_long(offset)) }
    }

    #[cold]
    fn too_long(&mut self, offset: usize) -> Stop {
        self.fault = Some(Box::new(Fault::too_long(offset)));
        Stop::Fault
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
