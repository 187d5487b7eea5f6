//! Which fields a JSON object has, be it with their defaults, which leave no trace on the wire.

use super::{
    super::{Transcoder, plan::Plan},
    ReadOptions, Reader, Stop,
};
use crate::schema::Field;

/// Which fields were there of the outermost object of a text, `null` or not.
pub(in crate::transcoding) struct Present {
    bits: u64,
    /// Instead of `bits`, if there are more than 64.
    words: Vec<u64>,
}

impl Present {
    /// Whether there was the field at this place of the plan.
    pub(in crate::transcoding) fn has(&self, place: usize) -> bool {
        let word = match self.words.is_empty() {
            true => self.bits,
            false => self.words.get(place / 64).copied().unwrap_or_default(),
        };
        word & 1 << (place % 64) != 0
    }
}

impl<const COLLECTS: bool> Reader<'_, COLLECTS> {
    /// None where there was no such object, or one without members.
    pub(super) fn present(&mut self) -> Option<Present> {
        let bits = self.outermost.take()?;
        Some(Present { bits, words: std::mem::take(&mut self.seen) })
    }
}

/// Which fields and oneofs of a message were there: bits, beyond 64 of them in a shared stack.
pub(super) struct Seen {
    bits: u64,
    /// Where this message's words begin, if it has more than 64.
    spilled: Option<usize>,
}

impl Seen {
    #[inline]
    pub(super) fn begin(plan: &Plan, stack: &mut Vec<u64>) -> Self {
        let count = plan.fields.len() + plan.oneof_count;
        let spilled = (count > 64).then(|| {
            let begun = stack.len();
            stack.resize(begun + count.div_ceil(64), 0);
            begun
        });
        Self { bits: 0, spilled }
    }

    /// Whether `place` is new.
    #[inline]
    pub(super) fn insert(&mut self, place: usize, stack: &mut [u64]) -> bool {
        let word = match self.spilled {
            Some(begun) => &mut stack[begun + place / 64],
            None => &mut self.bits,
        };
        let bit = 1 << (place % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Of the outermost object, which is the first in the stack: leaves its words there.
    pub(super) fn keep(self) -> u64 {
        self.bits
    }

    #[inline]
    pub(super) fn end(self, stack: &mut Vec<u64>) {
        if let Some(begun) = self.spilled {
            stack.truncate(begun);
        }
    }
}

impl Transcoder {
    /// Whether `json`, which was read before, has a value other than `null` where the `path` of
    /// fields leads to.
    pub(in crate::transcoding) fn says(
        &self,
        json: &[u8],
        path: &[&Field],
        options: &ReadOptions,
    ) -> bool {
        let mut found = false;
        // What cannot be read says nothing.
        let _ = self.read(json, options, &mut Vec::new(), |reader| {
            found = reader.says(path)?;
            Ok(())
        });
        found
    }
}

impl Reader<'_> {
    /// Reads a value; whether there is one at the end of `path` in it.
    fn says(&mut self, path: &[&Field]) -> Result<bool, Stop> {
        let [field, inner @ ..] = path else {
            let is_null = self.peek() == b'n';
            return self.skip_value().map(|()| !is_null);
        };
        if self.peek() != b'{' {
            return self.skip_value().map(|()| false);
        }
        self.open(b'{', "an object")?;
        let mut found = false;
        if self.is_empty(b'}') {
            return Ok(found);
        }
        loop {
            let key = self.object_key()?;
            let key = self.text(key);
            let is_it = key == field.json_name.as_bytes() || key == field.name.as_bytes();
            self.colon()?;
            if is_it {
                found |= self.says(inner)?;
            } else {
                self.skip_value()?;
            }
            if !self.more(b'}')? {
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcoding::tests::legacy;

    #[test]
    fn the_outermost_object_tells_what_was_there() {
        for count in [3, 62, 63, 64, 65, 200] {
            let fields: Vec<_> =
                (2..=count).map(|n| format!("optional int32 f{n} = {n};")).collect();
            let (transcoder, message) =
                legacy(&format!("message M {{ optional M m = 1; {} }}", fields.join(" ")));
            let json = format!(r#"{{"m":{{"f2":1,"m":{{"f2":1}}}},"f{count}":null}}"#);
            let options = ReadOptions::default();
            let read =
                transcoder.body_to_wire(message, None, json.as_bytes(), &options, &mut Vec::new());
            let present = read.unwrap().unwrap();
            let there: Vec<_> = (0..count).filter(|&place| present.has(place)).collect();
            assert_eq!(there, [0, count - 1]);
        }
    }
}
