//! Every fault of a JSON text, not only the first.
//!
//! Reading stops at its first fault. Only then the same text is read once more, by the same code,
//! which now notes a fault, passes over the value that it is in, and goes on. What cannot be
//! passed over is no JSON, and ends the list.

use super::{super::Transcoder, JsonError, ReadOptions, Reader, Stop};
use crate::status::VIOLATION_LIMIT;

/// The faults of a text that is read to its end in spite of them.
#[derive(Default)]
pub(super) struct Faults {
    /// Offset and message of each, and one more than are told: it says that there are more.
    noted: Vec<(usize, String)>,
    /// Whether nothing is read any more: the text is broken, or has enough faults.
    ended: bool,
}

/// Where a value begins, and all that reading it changes.
pub(super) struct Mark {
    position: usize,
    out: usize,
    depth: usize,
    any_depth: usize,
    seen: usize,
}

impl Transcoder {
    /// The faults of `json` in their order, of which `first` is known. What was in order is
    /// appended to `out`, if the text could be read to its end.
    pub(super) fn json_faults<'a>(
        &'a self,
        json: &'a [u8],
        options: &'a ReadOptions,
        first: JsonError,
        out: &mut Vec<u8>,
        read: impl FnOnce(&mut Reader<'a, true>) -> Result<(), Stop>,
    ) -> Vec<JsonError> {
        let start = out.len();
        if u32::try_from(start + json.len()).is_err() {
            return vec![first];
        }
        let mut reader = Reader::new(&self.plans, json, options, out);
        let text = reader.mark();
        let mut result = read(&mut reader);
        if let Err(stop) = result {
            result = reader.pass_over(stop, text);
        }
        if let Ok(()) = result
            && let Err(stop) = reader.end()
        {
            result = reader.note(stop);
        }
        let faults = std::mem::take(&mut reader.faults.noted);
        *out = reader.out;
        if result.is_err() {
            // Lengths are missing in it.
            out.truncate(start);
        }
        if faults.is_empty() {
            return vec![first];
        }
        JsonError::at_each(json, faults)
    }
}

impl<const COLLECTS: bool> Reader<'_, COLLECTS> {
    /// Where the next value begins.
    #[inline(always)]
    pub(super) fn mark(&self) -> Mark {
        Mark {
            position: self.position,
            out: self.out.len(),
            depth: self.depth,
            any_depth: self.any_depth,
            seen: self.seen.len(),
        }
    }

    /// Goes on where nothing needs to be passed over.
    #[inline(always)]
    pub(super) fn note(&mut self, stop: Stop) -> Result<(), Stop> {
        if COLLECTS { self.take_fault(stop) } else { Err(stop) }
    }

    /// Goes on behind a value that had a fault.
    #[inline(always)]
    pub(super) fn pass_over(&mut self, stop: Stop, value: Mark) -> Result<(), Stop> {
        if COLLECTS { self.recover(stop, &value, false) } else { Err(stop) }
    }

    /// Goes on behind a key and its value, one of which had a fault.
    #[inline(always)]
    pub(super) fn pass_over_entry(&mut self, stop: Stop, entry: Mark) -> Result<(), Stop> {
        if COLLECTS { self.recover(stop, &entry, true) } else { Err(stop) }
    }

    #[cold]
    fn recover(&mut self, stop: Stop, value: &Mark, has_key: bool) -> Result<(), Stop> {
        self.take_fault(stop)?;
        self.position = value.position;
        self.out.truncate(value.out);
        self.depth = value.depth;
        self.any_depth = value.any_depth;
        self.seen.truncate(value.seen);
        let passed = match has_key {
            true => self.object_key().and_then(|_| self.colon()).and_then(|()| self.skip_value()),
            false => self.skip_value(),
        };
        if passed.is_err() {
            // What is broken may be what was noted already.
            let last = self.faults.noted.last().map_or(0, |&(offset, _)| offset);
            if self.fault.as_ref().is_some_and(|fault| fault.0 > last) {
                let _ = self.take_fault(stop);
            }
            self.faults.ended = true;
        }
        passed
    }

    #[cold]
    fn take_fault(&mut self, stop: Stop) -> Result<(), Stop> {
        if self.faults.ended {
            return Err(stop);
        }
        self.faults.noted.extend(self.fault.take().map(|fault| *fault));
        self.faults.ended = self.faults.noted.len() > VIOLATION_LIMIT;
        if self.faults.ended { Err(stop) } else { Ok(()) }
    }
}
