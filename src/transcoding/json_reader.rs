//! What a ProtoJSON reader must see that a general JSON parser lets pass: nesting too deep and
//! one key twice. Also the JSON path of a byte offset, found by walking again, so that nothing
//! is kept for it while all goes well.

use std::{borrow::Cow, collections::HashSet, fmt};

/// JSON that is not a message of the expected type: where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The JSON path: `user.emails[3].verified`. Empty at the top.
    pub path: String,
    /// Bytes from the start of the input.
    pub offset: usize,
    /// What was expected, or what was found.
    pub message: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} (at byte {})", self.message, self.offset)
    }
}

impl std::error::Error for JsonError {}

/// Refuses nesting beyond `depth_limit` and duplicate keys. Syntax is the parser's to check: on
/// malformed input this stops early and finds nothing.
pub(super) fn check(json: &[u8], depth_limit: usize) -> Result<(), JsonError> {
    let mut walker = Walker::new(json);
    loop {
        match walker.step() {
            Step::Went if walker.stack.len() > depth_limit => {
                return Err(walker.error(format!("nested more than {depth_limit} levels deep")));
            }
            Step::Went => {}
            Step::DuplicateKey => return Err(walker.error("this key occurs twice".to_owned())),
            Step::End => return Ok(()),
        }
    }
}

/// An error at `offset`, with the JSON path that leads there.
pub(super) fn error_at(json: &[u8], offset: usize, message: String) -> JsonError {
    let mut walker = Walker::new(json);
    // The offset stands behind the token that was refused.
    while walker.offset < offset && !matches!(walker.step(), Step::End) {}
    JsonError { path: walker.path(), offset, message }
}

struct Walker<'j> {
    json: &'j [u8],
    offset: usize,
    stack: Vec<Frame<'j>>,
    key_is_next: bool,
}

enum Frame<'j> {
    Object { keys: HashSet<Cow<'j, str>>, key: Cow<'j, str> },
    Array { index: usize },
}

enum Step {
    Went,
    DuplicateKey,
    End,
}

impl<'j> Walker<'j> {
    fn new(json: &'j [u8]) -> Self {
        Self { json, offset: 0, stack: Vec::new(), key_is_next: false }
    }

    /// Goes past one token.
    fn step(&mut self) -> Step {
        let Some(&byte) = self.json.get(self.offset) else {
            return Step::End;
        };
        if byte == b'"' {
            return self.string();
        }
        self.offset += 1;
        match byte {
            b'{' => {
                self.stack.push(Frame::Object { keys: HashSet::new(), key: Cow::Borrowed("") });
                self.key_is_next = true;
            }
            b'[' => {
                self.stack.push(Frame::Array { index: 0 });
                self.key_is_next = false;
            }
            b'}' | b']' => {
                self.stack.pop();
                self.key_is_next = false;
            }
            b',' => match self.stack.last_mut() {
                Some(Frame::Object { .. }) => self.key_is_next = true,
                Some(Frame::Array { index }) => *index += 1,
                None => {}
            },
            _ => {}
        }
        Step::Went
    }

    fn string(&mut self) -> Step {
        let raw = &self.json[self.offset..self.token_end()];
        self.offset += raw.len();
        if !std::mem::take(&mut self.key_is_next) {
            return Step::Went;
        }
        let Some(Frame::Object { keys, key }) = self.stack.last_mut() else {
            return Step::Went;
        };
        let inner = &raw[1..raw.len().saturating_sub(1).max(1)];
        *key = match std::str::from_utf8(inner) {
            Ok(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
            _ => match serde_json::from_slice::<String>(raw) {
                Ok(unescaped) => Cow::Owned(unescaped),
                Err(_) => return Step::Went,
            },
        };
        if keys.insert(key.clone()) { Step::Went } else { Step::DuplicateKey }
    }

    /// The offset behind the token that comes next.
    fn token_end(&self) -> usize {
        if self.json.get(self.offset) != Some(&b'"') {
            return self.offset + 1;
        }
        let mut escaped = false;
        let rest = &self.json[self.offset + 1..];
        let closing = rest.iter().position(|&byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        closing.map_or(self.json.len(), |at| self.offset + 1 + at + 1)
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.stack {
            match frame {
                Frame::Object { key, .. } if key.is_empty() => {}
                Frame::Object { key, .. } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Frame::Array { index } => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    fn error(&self, message: String) -> JsonError {
        JsonError { path: self.path(), offset: self.offset, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_twice_is_refused_however_it_is_spelled() {
        let error = check(br#"{"a":{"b":[1,{"k":1,"\u006b":2}]}}"#, 100).unwrap_err();
        assert_eq!(error.path, "a.b[1].k");
        assert_eq!(error.to_string(), "a.b[1].k: this key occurs twice (at byte 28)");
        assert_eq!(check(br#"{"a":{"k":1},"k":{"k":"k"}}"#, 100), Ok(()));
        assert_eq!(check(br#"["k","k",{"k":"\"k\\"}]"#, 100), Ok(()));
    }

    #[test]
    fn depth_is_counted_in_objects_and_arrays() {
        assert_eq!(check(br#"{"a":[{"b":1}]}"#, 3), Ok(()));
        let error = check(br#"{"a":[{"b":1}]}"#, 2).unwrap_err();
        assert_eq!(error.to_string(), "a[0]: nested more than 2 levels deep (at byte 7)");
        let bomb = "[".repeat(1_000_000);
        assert!(check(bomb.as_bytes(), 100).is_err());
    }

    #[test]
    fn an_offset_is_told_as_a_path() {
        let json = br#"{"user":{"emails":["a","b",{"verified":12}]},"x":1}"#;
        let at = |text: &[u8]| {
            let start = json.windows(text.len()).position(|w| w == text).unwrap();
            error_at(json, start + text.len(), String::new()).path
        };
        assert_eq!(at(b"12"), "user.emails[2].verified");
        assert_eq!(at(b"\"b\""), "user.emails[1]");
        assert_eq!(at(b"\"x\":1"), "x");
        assert_eq!(at(b"\"x\""), "x");
    }

    #[test]
    fn malformed_input_ends_the_walk() {
        for json in ["", "\"", "{\"", "{\"a", "}}]],", "\\", "{\"\\\"", "\u{feff}{}"] {
            let _ = check(json.as_bytes(), 100);
            let _ = error_at(json.as_bytes(), 1_000, String::new());
        }
    }
}
