//! What is wrong with JSON, and where: the path is found by walking again from the start, so that
//! nothing is kept for it while all goes well.

use std::{borrow::Cow, fmt};

use super::json_text;

/// JSON that is not a message of the expected type: where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The JSON path: `user.emails[3].verified`. Empty at the top.
    pub path: String,
    /// Bytes from the start of the input.
    pub offset: usize,
    /// What was expected, and what was found.
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

impl JsonError {
    /// An error at `offset`, where the token begins that was refused; all before it is in order.
    pub(super) fn at(json: &[u8], offset: usize, message: String) -> Self {
        Self { path: Walk::new(json).path_at(offset), offset, message }
    }

    /// The errors at these offsets, in their order, by one walk.
    pub(super) fn at_each(json: &[u8], mut faults: Vec<(usize, String)>) -> Vec<Self> {
        faults.sort_by_key(|&(offset, _)| offset);
        let mut walk = Walk::new(json);
        let error = |(offset, message)| Self { path: walk.path_at(offset), offset, message };
        faults.into_iter().map(error).collect()
    }
}

enum Frame<'j> {
    Object(Cow<'j, str>),
    Array(usize),
}

/// A walk over a text, from path to path.
struct Walk<'j> {
    json: &'j [u8],
    at: usize,
    stack: Vec<Frame<'j>>,
    key_is_next: bool,
}

impl<'j> Walk<'j> {
    fn new(json: &'j [u8]) -> Self {
        Self { json, at: 0, stack: Vec::new(), key_is_next: false }
    }

    /// The JSON path of what stands at `offset`: of a key, its own. Later offsets may follow.
    fn path_at(&mut self, offset: usize) -> String {
        while self.at < self.json.len() && self.at <= offset {
            let byte = self.json[self.at];
            if byte == b'"' {
                let end = string_end(self.json, self.at);
                if self.key_is_next
                    && let Some(Frame::Object(key)) = self.stack.last_mut()
                {
                    *key = unescape(&self.json[self.at..end]);
                }
                self.key_is_next = false;
                self.at = end;
                continue;
            }
            if self.at == offset {
                break;
            }
            match byte {
                b'{' => {
                    self.stack.push(Frame::Object(Cow::Borrowed("")));
                    self.key_is_next = true;
                }
                b'[' => {
                    self.stack.push(Frame::Array(0));
                    self.key_is_next = false;
                }
                b'}' | b']' => {
                    self.stack.pop();
                    self.key_is_next = false;
                }
                b',' => match self.stack.last_mut() {
                    Some(Frame::Object(_)) => self.key_is_next = true,
                    Some(Frame::Array(index)) => *index += 1,
                    None => {}
                },
                _ => {}
            }
            self.at += 1;
        }
        tell(&self.stack)
    }
}

/// Of a key, no more than so many characters are told.
const SHOWN: usize = 100;

const AMBIGUOUS: &[char] = &['.', '[', ']', '"', ' '];

fn tell(stack: &[Frame<'_>]) -> String {
    let mut path = String::new();
    for frame in stack {
        match frame {
            Frame::Object(key) if key.is_empty() => {}
            // A key of a map that would read as several: `labels["a.b"]`.
            Frame::Object(key) if !key.starts_with('[') && key.contains(AMBIGUOUS) => {
                let mut quoted = Vec::new();
                let shown: String = key.chars().take(SHOWN).collect();
                json_text::put_str(&mut quoted, &shown);
                path.push('[');
                path.push_str(&String::from_utf8_lossy(&quoted));
                path.push(']');
            }
            Frame::Object(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.extend(key.chars().take(SHOWN));
            }
            Frame::Array(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

/// Behind the string that begins at `start`; the end of the text where it has none.
pub(super) fn string_end(json: &[u8], start: usize) -> usize {
    let mut escaped = false;
    let closing = json[start + 1..].iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    closing.map_or(json.len(), |at| start + at + 2)
}

fn unescape(quoted: &[u8]) -> Cow<'_, str> {
    let inner = &quoted[1..quoted.len().saturating_sub(1).max(1)];
    match std::str::from_utf8(inner) {
        Ok(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        _ => match serde_json::from_slice(quoted) {
            Ok(unescaped) => Cow::Owned(unescaped),
            Err(_) => String::from_utf8_lossy(inner),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(json: &[u8], offset: usize) -> String {
        Walk::new(json).path_at(offset)
    }

    #[test]
    fn an_offset_is_told_as_a_path() {
        let json = br#"{"user":{"emails":["a","b",{"verified":12}]},"x":1}"#;
        let at =
            |text: &[u8]| path(json, json.windows(text.len()).position(|w| w == text).unwrap());
        assert_eq!(at(b"12"), "user.emails[2].verified");
        assert_eq!(at(b"\"b\""), "user.emails[1]");
        assert_eq!(at(b"1}"), "x");
        assert_eq!(at(b"\"x\""), "x");
        assert_eq!(at(b"[\"a\""), "user.emails");
        assert_eq!(at(b"{\"user"), "");
        assert_eq!(path(br#"{"a.\u0062":{"":{"c":1}}}"#, 20), r#"["a.b"].c"#);
    }

    #[test]
    fn malformed_input_ends_the_walk() {
        for json in ["", "\"", "{\"", "{\"a", "}}]],", "\\", "{\"\\\"", "\u{feff}{}"] {
            for offset in 0..=json.len() + 1 {
                let _ = path(json.as_bytes(), offset);
            }
        }
    }
}
