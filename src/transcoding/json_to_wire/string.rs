//! JSON strings, read: most are used where they stand.

use super::{super::json_text, Reader, Stop};

/// The content of a string, in UTF-8.
#[derive(Clone, Copy)]
pub(in crate::transcoding) enum Text {
    /// It has no escapes: from here to there in the input.
    Plain(usize, usize),
    /// In the reader's `unescaped`, until the next string.
    Unescaped,
}

impl<'a, const COLLECTS: bool> Reader<'a, COLLECTS> {
    /// The bytes of a string that was read last.
    #[inline(always)]
    pub(in crate::transcoding) fn text(&self, text: Text) -> &[u8] {
        match text {
            Text::Plain(start, end) => &self.json[start..end],
            Text::Unescaped => &self.unescaped,
        }
    }

    /// Reads the string that begins at the next byte, which is its quote.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<Text, Stop> {
        let start = self.position + 1;
        let json = self.json;
        let mut at = start;
        let mut beyond_ascii = 0;
        while let Some(chunk) = json.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*chunk);
            let marked = json_text::run_ends(word);
            if marked == 0 {
                beyond_ascii |= word;
                at += 8;
                continue;
            }
            // The lowest mark is exact.
            let before = marked.trailing_zeros() / 8;
            beyond_ascii |= word & ((1 << (8 * before)) - 1);
            at += before as usize;
            break;
        }
        while let Some(&byte) = json.get(at) {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                break;
            }
            beyond_ascii |= u64::from(byte);
            at += 1;
        }
        if json.get(at) != Some(&b'"') {
            return self.unusual_string(start, at);
        }
        if json_text::is_beyond_ascii(beyond_ascii)
            && std::str::from_utf8(&json[start..at]).is_err()
        {
            return Err(self.not_utf8(start, at));
        }
        self.position = at + 1;
        Ok(Text::Plain(start, at))
    }

    /// A string that something else than its quote comes first in, at `at`.
    #[inline(never)]
    fn unusual_string(&mut self, start: usize, mut at: usize) -> Result<Text, Stop> {
        let json = self.json;
        let mut copied = start;
        self.unescaped.clear();
        loop {
            let Some(run) = json.get(at..) else { return Err(self.unterminated(start)) };
            let Some(length) = run.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)) else {
                return Err(self.unterminated(start));
            };
            at += length;
            self.unescaped.extend_from_slice(&json[copied..at]);
            match json[at] {
                b'"' => break,
                b'\\' => at = self.escape(at)?,
                byte => {
                    let text = format!("a control character (0x{byte:02x}) in a string: escape it");
                    return Err(self.refuse(at, text));
                }
            }
            copied = at;
        }
        if std::str::from_utf8(&self.unescaped).is_err() {
            return Err(self.not_utf8(start, at));
        }
        self.position = at + 1;
        Ok(Text::Unescaped)
    }

    /// Appends what the escape at `at` stands for, and answers where it ends.
    fn escape(&mut self, at: usize) -> Result<usize, Stop> {
        let character = match self.json.get(at + 1) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode_escape(at),
            Some(_) => return Err(self.refuse(at, "an escape that JSON does not have")),
            None => return Err(self.refuse(at, "an escape that is cut off")),
        };
        self.unescaped.push(character);
        Ok(at + 2)
    }

    fn unicode_escape(&mut self, at: usize) -> Result<usize, Stop> {
        let json = self.json;
        let unit = |at: usize| {
            let digits = json.get(at..at + 4)?;
            let mut unit = 0;
            for &digit in digits {
                unit = unit << 4 | char::from(digit).to_digit(16)?;
            }
            Some(unit)
        };
        let Some(first) = unit(at + 2) else {
            return Err(self.refuse(at, "expected four hexadecimal digits behind \\u"));
        };
        let (code, end) = match first {
            0xd800..0xdc00 => {
                let second = (json.get(at + 6..at + 8) == Some(b"\\u")).then(|| unit(at + 8));
                match second.flatten() {
                    Some(second @ 0xdc00..0xe000) => {
                        (0x10000 + ((first - 0xd800) << 10 | (second - 0xdc00)), at + 12)
                    }
                    _ => return Err(self.refuse(at, "a lone surrogate is no character")),
                }
            }
            first => (first, at + 6),
        };
        let Some(character) = char::from_u32(code) else {
            return Err(self.refuse(at, "a lone surrogate is no character"));
        };
        self.unescaped.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(end)
    }

    #[cold]
    fn unterminated(&mut self, start: usize) -> Stop {
        self.refuse(start - 1, "a string without an end")
    }

    #[cold]
    fn not_utf8(&mut self, start: usize, end: usize) -> Stop {
        let good = match std::str::from_utf8(&self.json[start..end]) {
            Ok(_) => 0,
            Err(error) => error.valid_up_to(),
        };
        self.refuse(start + good, "a string that is not UTF-8")
    }
}
