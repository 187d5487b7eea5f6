//! JSON bytes → protobuf bytes, in one pass, by a plan.
//!
//! A value is written as it is read; a message's length is put in front of it once it is known.
//! Keys are expected in the order of the fields, which every serializer of ours keeps, and looked
//! up by name where they are not.

use super::{JsonError, Transcoder, key_set::KeySet, plan::Plans};
use crate::schema::MessageIndex;

mod body;
mod collect;
mod lexer;
mod members;
mod number;
mod presence;
mod string;
mod value;
mod well_known;

use collect::Faults;
pub(super) use presence::Present;

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
        self.read(json, options, out, |reader| {
            reader.reserve();
            reader.message(message)
        })
    }

    /// Reads a value and nothing else. On an error, `out` is as before.
    pub(super) fn read<'a, T>(
        &'a self,
        json: &'a [u8],
        options: &'a ReadOptions,
        out: &mut Vec<u8>,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Stop>,
    ) -> Result<T, JsonError> {
        let start = out.len();
        // Places are kept as 32 bits.
        if u32::try_from(start + json.len()).is_err() {
            return Err(JsonError::at(b"", 0, "a text over 4 GiB".to_owned()));
        }
        let mut reader = Reader::new(&self.plans, json, options, out);
        reader.space();
        let result = read(&mut reader).and_then(|value| reader.end().map(|()| value));
        *out = reader.out;
        result.map_err(|Stop| {
            out.truncate(start);
            let fault = reader.fault.map_or((0, "unreadable".to_owned()), |fault| *fault);
            JsonError::at(json, fault.0, fault.1)
        })
    }
}

/// Reads one JSON text. One that `COLLECTS` goes on after a fault (see `collect`).
// What every token needs stands first, where code is shortest.
#[repr(C)]
pub(super) struct Reader<'a, const COLLECTS: bool = false> {
    pub(super) plans: &'a Plans,
    json: &'a [u8],
    /// Of the next byte.
    pub(super) position: usize,
    /// The caller's buffer, while this reads.
    pub(super) out: Vec<u8>,
    pub(super) options: &'a ReadOptions,
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
    /// Those before `fault`, where they are collected.
    faults: Option<Box<Faults>>,
    /// What was there of the outermost object; where that is more than 64 bits, in `seen`.
    outermost: Option<u64>,
}

impl<'a, const COLLECTS: bool> Reader<'a, COLLECTS> {
    /// At the start of `json`, to append to `out`, which is the reader's until it is given back.
    #[inline(always)]
    fn new(plans: &'a Plans, json: &'a [u8], options: &'a ReadOptions, out: &mut Vec<u8>) -> Self {
        Self {
            plans,
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
            faults: None,
            outermost: None,
        }
    }

    /// Makes room for all that may come.
    fn reserve(&mut self) {
        // The wire is the shorter of the two, nearly always.
        self.out.reserve(self.json.len() + 32);
    }
}

/// Reading stopped; the reader has the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop;
