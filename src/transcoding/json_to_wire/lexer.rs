//! JSON's tokens: blanks, punctuation, nesting, values passed over; and how faults are told.

use super::{super::json_error, Reader, Stop};

impl<'a, const COLLECTS: bool> Reader<'a, COLLECTS> {
    /// The next byte; 0, which JSON has nowhere, at the end.
    #[inline(always)]
    pub(in crate::transcoding) fn peek(&self) -> u8 {
        self.json.get(self.position).copied().unwrap_or(0)
    }

    /// Passes over blanks.
    #[inline(always)]
    pub(super) fn space(&mut self) {
        if self.peek() <= b' ' {
            self.blanks();
        }
    }

    #[inline(never)]
    fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.position += 1;
        }
    }

    /// Passes over `byte` and the blanks behind it, if it is next.
    #[inline(always)]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        if found {
            self.position += 1;
            self.space();
        }
        found
    }

    /// Opens an object or array.
    #[inline(always)]
    pub(in crate::transcoding) fn open(&mut self, byte: u8, expected: &str) -> Result<(), Stop> {
        if self.peek() != byte {
            return Err(self.expected(expected));
        }
        self.depth += 1;
        if self.depth > self.options.depth_limit {
            return Err(self.too_deep());
        }
        self.position += 1;
        self.space();
        Ok(())
    }

    /// Behind an item: true where another follows, false where `closing` ended them.
    #[inline(always)]
    pub(in crate::transcoding) fn more(&mut self, closing: u8) -> Result<bool, Stop> {
        self.space();
        match self.peek() {
            b',' => {
                self.position += 1;
                self.space();
                Ok(true)
            }
            byte if byte == closing => {
                self.position += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ => Err(self.expected(if closing == b'}' { "`,` or `}`" } else { "`,` or `]`" })),
        }
    }

    /// Closes an object or array that has nothing in it.
    #[inline(always)]
    pub(in crate::transcoding) fn is_empty(&mut self, closing: u8) -> bool {
        let found = self.peek() == closing;
        if found {
            self.position += 1;
            self.depth -= 1;
        }
        found
    }

    /// The colon behind a key.
    #[inline(always)]
    pub(in crate::transcoding) fn colon(&mut self) -> Result<(), Stop> {
        self.space();
        if self.take(b':') { Ok(()) } else { Err(self.expected("`:`")) }
    }

    /// Passes over a word, if it is next.
    pub(super) fn word(&mut self, word: &[u8]) -> bool {
        let end = self.position + word.len();
        let found = self.json.get(self.position..end) == Some(word)
            && !self.json.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric());
        if found {
            self.position = end;
        }
        found
    }

    /// Refuses what is behind the value.
    pub(super) fn end(&mut self) -> Result<(), Stop> {
        self.space();
        if self.position == self.json.len() {
            return Ok(());
        }
        let found = self.found();
        Err(self.refuse(self.position, format!("expected nothing more, found {found}")))
    }

    /// Passes over a value of any kind, which must be JSON nevertheless.
    pub(in crate::transcoding) fn skip_value(&mut self) -> Result<(), Stop> {
        match self.peek() {
            b'"' => self.string().map(|_| ()),
            b'-' | b'0'..=b'9' => self.number_token().map(|_| ()),
            b't' if self.word(b"true") => Ok(()),
            b'f' if self.word(b"false") => Ok(()),
            b'n' if self.word(b"null") => Ok(()),
            b'{' => {
                self.open(b'{', "an object")?;
                if self.is_empty(b'}') {
                    return Ok(());
                }
                loop {
                    if self.peek() != b'"' {
                        return Err(self.expected("a key"));
                    }
                    self.string()?;
                    self.colon()?;
                    self.skip_value()?;
                    if !self.more(b'}')? {
                        return Ok(());
                    }
                }
            }
            b'[' => {
                self.open(b'[', "an array")?;
                if self.is_empty(b']') {
                    return Ok(());
                }
                loop {
                    self.skip_value()?;
                    if !self.more(b']')? {
                        return Ok(());
                    }
                }
            }
            _ => Err(self.expected("a value")),
        }
    }

    /// Refuses what stands at `offset`.
    #[cold]
    pub(in crate::transcoding) fn refuse(
        &mut self,
        offset: usize,
        message: impl Into<String>,
    ) -> Stop {
        self.fault = Some(Box::new((offset, message.into())));
        Stop
    }

    /// Refuses the next token: another was expected.
    #[cold]
    pub(super) fn expected(&mut self, what: &str) -> Stop {
        let found = self.found();
        self.refuse(self.position, format!("expected {what}, found {found}"))
    }

    #[cold]
    fn too_deep(&mut self) -> Stop {
        let limit = self.options.depth_limit;
        self.refuse(self.position, format!("nested more than {limit} levels deep"))
    }

    /// The next token, in words.
    fn found(&self) -> String {
        const SHOWN: usize = 40;
        let rest = self.json.get(self.position..).unwrap_or_default();
        let token = |length: usize| {
            let shown = String::from_utf8_lossy(&rest[..length.min(SHOWN)]).into_owned();
            if length > SHOWN { shown + "…" } else { shown }
        };
        match rest {
            [] => "the end of the input".to_owned(),
            [b'{', ..] => "an object".to_owned(),
            [b'[', ..] => "an array".to_owned(),
            [b'"', ..] => token(json_error::string_end(rest, 0)),
            [0xef, 0xbb, 0xbf, ..] => "a byte order mark".to_owned(),
            [byte, ..] if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.') => {
                let is_part =
                    |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                token(rest.iter().take_while(is_part).count())
            }
            [byte, ..] if byte.is_ascii_graphic() => format!("`{}`", char::from(*byte)),
            [byte, ..] => format!("the byte 0x{byte:02x}"),
        }
    }
}
