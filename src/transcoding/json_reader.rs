//! What a ProtoJSON reader must see that a general JSON parser lets pass: nesting too deep, and
//! one field twice, under one name or both. Also the JSON path of a byte offset, found by walking
//! again, so that nothing is kept for it while all goes well.

use std::{borrow::Cow, collections::HashSet, fmt};

use super::any_depth;
use crate::schema::{Cardinality, Kind, MessageIndex, Schema};

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

/// Refuses nesting beyond `depth_limit`, and a field of `message` (or of a message in it) that is
/// there twice. Syntax is the parser's to check: on malformed input this stops early and finds
/// nothing.
pub(super) fn check(
    json: &[u8],
    schema: &Schema,
    message: MessageIndex,
    depth_limit: usize,
) -> Result<(), JsonError> {
    let mut walker = Walker::new(json);
    walker.schema = Some(schema);
    walker.next = Type::Message(message);
    loop {
        match walker.step() {
            Step::Went if walker.stack.len() > depth_limit => {
                return Err(walker.error(format!("nested more than {depth_limit} levels deep")));
            }
            Step::Went if walker.any_depth > any_depth::LIMIT => {
                let limit = any_depth::LIMIT;
                let message =
                    format!("google.protobuf.Any is nested more than {limit} levels deep");
                return Err(walker.error(message));
            }
            Step::Went => {}
            Step::DuplicateKey => return Err(walker.error("this field occurs twice".to_owned())),
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
    schema: Option<&'j Schema>,
    offset: usize,
    stack: Vec<Frame<'j>>,
    /// Open objects with an `@type`.
    any_depth: usize,
    key_is_next: bool,
    /// Of the value that comes next.
    next: Type,
}

enum Frame<'j> {
    Object { keys: HashSet<Cow<'j, str>>, key: Cow<'j, str>, r#type: Type, is_any: bool },
    Array { index: usize, of: Type },
}

/// What is known of a value's type.
#[derive(Clone, Copy)]
enum Type {
    /// A message whose JSON has its fields as keys.
    Message(MessageIndex),
    /// A map whose values are of a kind.
    MapOf(Kind),
    /// A scalar, a well-known type, or not known.
    Other,
}

enum Step {
    Went,
    DuplicateKey,
    End,
}

impl<'j> Walker<'j> {
    fn new(json: &'j [u8]) -> Self {
        Self {
            json,
            schema: None,
            offset: 0,
            stack: Vec::new(),
            any_depth: 0,
            key_is_next: false,
            next: Type::Other,
        }
    }

    /// Goes past one token.
    fn step(&mut self) -> Step {
        let Some(&byte) = self.json.get(self.offset) else { return Step::End };
        if byte == b'"' {
            return self.string();
        }
        self.offset += 1;
        match byte {
            b'{' => {
                let (keys, key) = (HashSet::new(), Cow::Borrowed(""));
                self.stack.push(Frame::Object { keys, key, r#type: self.next, is_any: false });
                self.key_is_next = true;
            }
            b'[' => {
                self.stack.push(Frame::Array { index: 0, of: self.next });
                self.key_is_next = false;
            }
            b'}' | b']' => {
                if let Some(Frame::Object { is_any: true, .. }) = self.stack.pop() {
                    self.any_depth -= 1;
                }
                self.key_is_next = false;
            }
            b',' => match self.stack.last_mut() {
                Some(Frame::Object { .. }) => self.key_is_next = true,
                Some(Frame::Array { index, of }) => {
                    *index += 1;
                    self.next = *of;
                }
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
        let Some(Frame::Object { keys, key, r#type, is_any }) = self.stack.last_mut() else {
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
        let mut unique = key.clone();
        self.next = Type::Other;
        match (self.schema, *r#type) {
            (Some(schema), Type::Message(message)) => {
                if let Some(field) = schema.message(message).field(key) {
                    unique = Cow::Borrowed(&field.json_name);
                    self.next = type_of(schema, field.kind, field.cardinality);
                }
            }
            (Some(schema), Type::MapOf(kind)) => {
                self.next = type_of(schema, kind, Cardinality::Singular);
            }
            _ if *key == "@type" && !*is_any => {
                *is_any = true;
                self.any_depth += 1;
            }
            _ => {}
        }
        if keys.insert(unique) { Step::Went } else { Step::DuplicateKey }
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
                Frame::Array { index, .. } => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    fn error(&self, message: String) -> JsonError {
        JsonError { path: self.path(), offset: self.offset, message }
    }
}

fn type_of(schema: &Schema, kind: Kind, cardinality: Cardinality) -> Type {
    let Some(index) = kind.message() else { return Type::Other };
    let message = schema.message(index);
    if cardinality == Cardinality::Map {
        return message.field_by_number(2).map_or(Type::Other, |value| Type::MapOf(value.kind));
    }
    // Well-known types have a JSON form of their own.
    match message.name.starts_with("google.protobuf.") {
        true => Type::Other,
        false => Type::Message(index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &[u8], depth_limit: usize) -> Result<(), JsonError> {
        let source = "syntax = \"proto3\"; message M { M child_of_m = 1; repeated M list = 2; \
                      map<string, M> by_name = 3; string k = 4; }";
        let schema = crate::schema::compile_for_tests("m.proto", source).unwrap();
        let message = schema.message_by_name("M").unwrap();
        super::check(json, &schema, message, depth_limit)
    }

    #[test]
    fn one_field_under_both_its_names_is_refused_wherever_it_is() {
        for (before, after) in [("", ""), ("{\"list\":[{},", "]}"), ("{\"by_name\":{\"x\":", "}}")]
        {
            let json = format!("{before}{{\"child_of_m\":null,\"childOfM\":null}}{after}");
            let error = check(json.as_bytes(), 100).unwrap_err();
            assert!(error.path.ends_with("childOfM"), "{error}");
        }
        // In a map, a key is a key.
        assert_eq!(check(br#"{"byName":{"child_of_m":{},"childOfM":{}}}"#, 100), Ok(()));
    }

    #[test]
    fn nested_any_has_a_limit_of_its_own() {
        let nested =
            |levels| format!("{}{}", r#"{"@type":"t","value":"#.repeat(levels), "}".repeat(levels));
        let json = |levels| format!("{{\"x\":{}}}", nested(levels));
        assert_eq!(check(json(32).as_bytes(), 100), Ok(()));
        assert!(check(json(33).as_bytes(), 100).unwrap_err().message.contains("Any"));
    }

    #[test]
    fn one_key_twice_is_refused_however_it_is_spelled() {
        let error = check(br#"{"a":{"b":[1,{"k":1,"\u006b":2}]}}"#, 100).unwrap_err();
        assert_eq!(error.path, "a.b[1].k");
        assert_eq!(error.to_string(), "a.b[1].k: this field occurs twice (at byte 28)");
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
