//! A body of several JSON values, taken apart as it arrives: one a line (NDJSON), one behind the
//! other, or the elements of one array.
//!
//! Only boundaries are looked for; whether a value is JSON is for its reader to say.

/// What is wrong with a body of JSON values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A value is longer than allowed.
    #[error("a message of more than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The text is no sequence of values.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Splits the bytes that are pushed into values.
#[derive(Debug)]
pub struct JsonSplitter {
    limit: usize,
    /// What is not handed on yet.
    buffer: Vec<u8>,
    /// Up to here the buffer has been looked at.
    position: usize,
    /// Where the value begins that was last begun.
    start: Option<usize>,
    place: Place,
    /// Open objects and arrays of the value.
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Begin,
    Sequence,
    /// In an array: whether an element may come, or only a comma or the end.
    Array {
        element: bool,
        is_first: bool,
    },
    BehindArray,
}

impl JsonSplitter {
    /// Refuses values of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: Vec::new(),
            position: 0,
            start: None,
            place: Place::Begin,
            depth: 0,
            in_string: false,
            is_escaped: false,
        }
    }

    /// Takes what has arrived. To be called when [`Self::next_value`] has no more.
    pub fn push(&mut self, data: &[u8]) {
        // Values are handed on in order: what is before the open one is done with.
        let done = self.start.unwrap_or(self.position);
        self.buffer.drain(..done);
        self.position -= done;
        self.start = self.start.map(|_| 0);
        self.buffer.extend_from_slice(data);
    }

    /// The next value that is complete.
    pub fn next_value(&mut self) -> Result<Option<&[u8]>, SplitError> {
        while let Some(&byte) = self.buffer.get(self.position) {
            let Some(start) = self.start else {
                self.between(byte)?;
                continue;
            };
            let is_end = self.is_end(byte);
            if self.position - start > self.limit {
                return Err(SplitError::TooLarge { limit: self.limit });
            }
            if is_end {
                return Ok(Some(self.take(start)));
            }
        }
        Ok(None)
    }

    /// The value that the end of the body completes, or what is missing.
    pub fn finish(&mut self) -> Result<Option<&[u8]>, SplitError> {
        match (self.start, self.place) {
            (Some(start), Place::Sequence) if self.depth == 0 && !self.in_string => {
                Ok(Some(self.take(start)))
            }
            (Some(_), _) => Err(SplitError::Malformed("the body ended inside a message")),
            (None, Place::Array { .. }) => {
                Err(SplitError::Malformed("the body ended inside its array"))
            }
            (None, _) => Ok(None),
        }
    }

    /// A byte that is in no value.
    fn between(&mut self, byte: u8) -> Result<(), SplitError> {
        let begin = self.position;
        self.position += 1;
        if byte.is_ascii_whitespace() {
            return Ok(());
        }
        self.place = match (self.place, byte) {
            (Place::Begin, b'[') => Place::Array { element: true, is_first: true },
            (Place::Array { element: false, .. }, b',') => {
                Place::Array { element: true, is_first: false }
            }
            (Place::Array { element: false, .. } | Place::Array { is_first: true, .. }, b']') => {
                Place::BehindArray
            }
            (Place::Array { element: false, .. }, _) => {
                return Err(SplitError::Malformed("expected `,` or `]` between messages"));
            }
            (Place::Array { .. }, b',' | b']') => {
                return Err(SplitError::Malformed("expected a message behind `,`"));
            }
            (Place::BehindArray, _) => {
                return Err(SplitError::Malformed("expected nothing more behind the array"));
            }
            (place, _) => {
                // The value's own first byte is looked at again, as part of it.
                (self.start, self.position) = (Some(begin), begin);
                match place {
                    Place::Array { .. } => Place::Array { element: false, is_first: false },
                    _ => Place::Sequence,
                }
            }
        };
        Ok(())
    }

    /// Whether the open value ends; the position is then behind it.
    fn is_end(&mut self, byte: u8) -> bool {
        if self.in_string {
            let closes = byte == b'"' && !self.is_escaped;
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            self.in_string = !closes;
            self.position += 1;
            return closes && self.depth == 0;
        }
        match byte {
            // A number or a word ends where something else begins.
            b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => {
                return true;
            }
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        self.position += 1;
        self.depth == 0 && matches!(byte, b'}' | b']')
    }

    fn take(&mut self, start: usize) -> &[u8] {
        self.start = None;
        // A bracket that closes nothing is a value of its own, and no reader takes it.
        let end = self.position.max(start + 1).min(self.buffer.len());
        self.position = end;
        &self.buffer[start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits `text`, pushed in pieces of so many bytes.
    fn split(text: &str, piece: usize) -> Result<Vec<String>, SplitError> {
        let mut splitter = JsonSplitter::new(64);
        let mut values = Vec::new();
        let own = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        for piece in text.as_bytes().chunks(piece) {
            splitter.push(piece);
            while let Some(value) = splitter.next_value()? {
                values.push(own(value));
            }
        }
        values.extend(splitter.finish()?.map(own));
        Ok(values)
    }

    #[test]
    fn values_are_told_apart_however_they_arrive() {
        for (text, values) in [
            ("", vec![]),
            (" \n ", vec![]),
            ("{}", vec!["{}"]),
            ("{\"a\":[1]}\n{\"b\":\"}\\\"\"}\r\n", vec!["{\"a\":[1]}", "{\"b\":\"}\\\"\"}"]),
            ("{}{} {}", vec!["{}", "{}", "{}"]),
            ("[]", vec![]),
            ("[ {\"a\":[]} , {} ]\n", vec!["{\"a\":[]}", "{}"]),
            ("[1,\"x,]\",null]", vec!["1", "\"x,]\"", "null"]),
            ("1\n\"2\"\ntrue", vec!["1", "\"2\"", "true"]),
        ] {
            for piece in [1, 2, 3, 100] {
                assert_eq!(split(text, piece).unwrap(), values, "{text} by {piece}");
            }
        }
    }

    #[test]
    fn what_is_no_sequence_is_refused() {
        for text in ["{", "[", "[{}", "[{},", "[{},]", "[,]", "[{} {}]", "[] x", "\"a", "[1"] {
            for piece in [1, 100] {
                let error = split(text, piece).unwrap_err();
                assert!(matches!(error, SplitError::Malformed(_)), "{text}");
            }
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100));
        assert_eq!(split(&long, 7), Err(SplitError::TooLarge { limit: 64 }));
        for (length, fits) in [(64, true), (65, false)] {
            let value = format!("\"{}\"", "x".repeat(length - 2));
            for text in [format!("{value}\n"), format!("[{value}]"), value] {
                assert_eq!(split(&text, 7).is_ok(), fits, "{text}");
            }
        }
        // What closes nothing is handed on, to be refused by its reader; there is always an end.
        for text in ["}", "]", "}}]]", ",", "{}}", ":"] {
            let _ = split(text, 1);
        }
    }
}
