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
        reader.space();
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
        let faults = reader.faults.map_or_else(Vec::new, |faults| faults.noted);
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
            let faults = self.faults.get_or_insert_default();
            let last = faults.noted.last().map_or(0, |&(offset, _)| offset);
            if let Some(fault) = self.fault.take().filter(|fault| fault.0 > last) {
                faults.noted.push(*fault);
            }
            faults.ended = true;
        }
        passed
    }

    #[cold]
    fn take_fault(&mut self, stop: Stop) -> Result<(), Stop> {
        let faults = self.faults.get_or_insert_default();
        if faults.ended {
            return Err(stop);
        }
        faults.noted.extend(self.fault.take().map(|fault| *fault));
        faults.ended = faults.noted.len() > VIOLATION_LIMIT;
        if faults.ended { Err(stop) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcoding::tests::transcoder;

    fn faults(json: &str) -> Vec<String> {
        let (transcoder, everything) = transcoder();
        let read = transcoder.body_to_wire(
            everything,
            None,
            json.as_bytes(),
            &ReadOptions::default(),
            &mut Vec::new(),
        );
        read.err().into_iter().flatten().map(|fault| fault.to_string()).collect()
    }

    #[test]
    fn faults_are_told_in_their_order_and_once() {
        assert_eq!(
            faults(r#"{"left":"x","right":{"a":tru},"flag":1}"#),
            [
                "right: expected a 32-bit integer, found an object (at byte 20)",
                "right.a: expected a value, found tru (at byte 25)",
            ]
        );
        // The key of a oneof's second member stands before what is wrong in it.
        assert_eq!(
            faults(r#"{"left":"x","right":"y"}"#),
            [
                "right: another member of its oneof is set already (at byte 12)",
                "right: expected a 32-bit integer, found \"y\" (at byte 20)",
            ]
        );
        assert_eq!(
            faults(r#"{"any":{"@type":"t/inventory.v1.Item","@type":"t","stock":[]}}"#),
            [
                "any.@type: this field occurs twice (at byte 38)",
                "any.stock: expected a 64-bit integer, found an array (at byte 58)",
            ]
        );
    }

    #[test]
    fn too_deep_is_the_end() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let told = faults(&format!(r#"{{"flag":1,"value":{deep},"text":1}}"#));
        assert_eq!(told.len(), 2);
        assert!(told[1].contains("nested more than 100 levels deep"), "{told:?}");
        let told = faults(&format!(r#"{{"flag":1,"nope":{deep},"text":1}}"#));
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[2].contains("nested more than 100 levels deep"), "{told:?}");
    }

    #[test]
    fn no_more_is_read_than_is_told() {
        let many = |count: usize| format!(r#"{{"numbers":[{}"x"]}}"#, r#""x","#.repeat(count - 1));
        for (count, told) in [(1, 1), (32, 32), (33, 33), (34, 33), (100_000, 33)] {
            assert_eq!(faults(&many(count)).len(), told);
        }
    }

    #[test]
    fn what_is_in_order_is_kept_for_what_is_compared_with_it() {
        let (transcoder, everything) = transcoder();
        let read = |json: &str| {
            let mut wire = b"before".to_vec();
            let options = ReadOptions::default();
            let read =
                transcoder.body_to_wire(everything, None, json.as_bytes(), &options, &mut wire);
            assert!(read.is_err());
            wire.split_off(6)
        };
        let in_order = br#"{"text":"a","child":{"text":"b"},"numbers":[1,2],"labels":{"k":"v"}}"#;
        let mut expected = Vec::new();
        let options = ReadOptions::default();
        transcoder.json_to_wire(everything, in_order, &options, &mut expected).unwrap();
        let json = r#"{"text":"a","nope":1,"child":{"signed":"x","text":"b"},
            "numbers":[1,"x",2],"labels":{"j":{"a":[]},"k":"v","k":"w"}}"#;
        assert_eq!(read(json), expected);
        assert_eq!(read(r#"{"text":"a","child":{"text":"b"]"#), b"");
    }

    #[test]
    fn wide_messages_keep_what_was_there_over_a_fault() {
        let fields: Vec<_> = (1..=200).map(|n| format!("optional int32 f{n} = {n};")).collect();
        let (transcoder, message) = super::super::super::tests::legacy(&format!(
            "message M {{ optional M m = 201; {} }}",
            fields.join(" ")
        ));
        let json =
            br#"{"f1":1,"f100":"x","m":{"f2":1,"m":{"f3":true},"f2":2},"f200":1,"f1":2,"f199":1}"#;
        let options = ReadOptions::default();
        let read = transcoder.body_to_wire(message, None, json, &options, &mut Vec::new());
        let paths: Vec<_> = read.err().unwrap().into_iter().map(|fault| fault.path).collect();
        assert_eq!(paths, ["f100", "m.m.f3", "m.f2", "f1"]);
    }
}
