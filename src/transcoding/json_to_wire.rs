//! JSON bytes → protobuf bytes, in one pass, by a plan.
//!
//! A value is written as it is read; a message's length is put in front of it once it is known.
//! Keys are expected in the order of the fields, which every serializer of ours keeps, and looked
//! up by name where they are not.

use super::{JsonError, Transcoder, key_set::KeySet, plan::Plans};
use crate::schema::{FieldPath, MessageIndex};

mod lexer;
mod members;
mod number;
mod presence;
mod string;
mod value;
mod well_known;

/// How deep JSON may nest, in objects and arrays; protobuf's own limit for messages.
pub const JSON_DEPTH_LIMIT: usize = super::DEPTH_LIMIT;

/// How JSON is read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Whether keys that name no field, and strings that name no value of an enum, are passed
    /// over instead of refused.
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
    /// Appends the encoding of the `message` that `json` is. On an error, `out` is as before.
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
        self.read(json, options, out, |reader| reader.message(message))
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
        let leaf = field.leaf(&self.schema);
        let plan = self.plans.message(message);
        let Some(index) = plan.index_of(leaf.number) else { return Ok(()) };
        let field = &plan.fields[index];
        self.read(json, options, out, |reader| reader.field(field).map(|_| ())).map_err(
            |mut error| {
                let separator =
                    if error.path.is_empty() || error.path.starts_with('[') { "" } else { "." };
                error.path = format!("{}{separator}{}", leaf.json_name, error.path);
                error
            },
        )
    }

    pub(super) fn read<'a>(
        &'a self,
        json: &'a [u8],
        options: &'a ReadOptions,
        out: &mut Vec<u8>,
        read: impl FnOnce(&mut Reader<'a>) -> Result<(), Stop>,
    ) -> Result<(), JsonError> {
        let start = out.len();
        // Places are kept as 32 bits.
        if u32::try_from(start + json.len()).is_err() {
            return Err(JsonError::at(b"", 0, "a text over 4 GiB".to_owned()));
        }
        // The wire is the shorter of the two, nearly always.
        out.reserve(json.len() + 32);
        let mut reader = Reader {
            plans: &self.plans,
            json,
            position: 0,
            out: std::mem::take(out),
            options,
            depth: 0,
            any_depth: 0,
            unescaped: Vec::new(),
            seen: Vec::new(),
            spare_keys: Vec::new(),
            fault: None,
        };
        reader.space();
        let result = read(&mut reader).and_then(|()| reader.end());
        *out = reader.out;
        if result.is_ok() {
            return Ok(());
        }
        out.truncate(start);
        let (offset, message) = reader.fault.map_or((0, "unreadable".to_owned()), |fault| *fault);
        Err(JsonError::at(json, offset, message))
    }
}

/// Reads one JSON text.
pub(super) struct Reader<'a> {
    plans: &'a Plans,
    json: &'a [u8],
    /// Of the next byte.
    position: usize,
    /// The caller's buffer, while this reads.
    out: Vec<u8>,
    options: &'a ReadOptions,
    /// Open objects and arrays.
    depth: usize,
    /// Open objects that are a `google.protobuf.Any`.
    any_depth: usize,
    /// The last string that had escapes in it.
    unescaped: Vec<u8>,
    /// For open messages of more than 64 fields and oneofs: which were there.
    seen: Vec<u64>,
    spare_keys: Vec<KeySet>,
    fault: Option<Box<(usize, String)>>,
}

/// Reading stopped; the reader has the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop;
