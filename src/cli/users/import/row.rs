//! A line of an import as the request that it stands for. What is said of one that is none never
//! repeats a value, since it may be a password.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor, value::MapDeserializer},
};
use serde_json::{Error, Value, error::Category};

use crate::users::v1::CreateUserRequest;

/// What an exported user has beside a request, in both spellings of ProtoJSON: the service gives
/// these anew.
const GIVEN_BY_SERVICE: [&str; 4] = ["id", "status", "createdAt", "created_at"];

pub(super) fn parse(line: &[u8]) -> Result<CreateUserRequest, String> {
    match serde_json::from_slice(line) {
        Ok(request) => Ok(request),
        Err(error) if error.classify() == Category::Data => parse_members(line),
        Err(error) => Err(error),
    }
    .map_err(|error| told(&error))
}

/// Without what a request does not have, or pbjson does not take: `null` is a default in ProtoJSON.
fn parse_members(line: &[u8]) -> Result<CreateUserRequest, Error> {
    let Members(mut members) = serde_json::from_slice(line)?;
    members.retain(|(name, value)| !value.is_null() && !GIVEN_BY_SERVICE.contains(&name.as_str()));
    CreateUserRequest::deserialize(MapDeserializer::new(members.into_iter()))
}

/// What is wrong, without the value that is.
fn told(error: &Error) -> String {
    let text = error.to_string();
    if error.classify() != Category::Data {
        // The line is told by whoever counts lines.
        return format!("no JSON: {}", text.replace(" at line 1 column ", " at column "));
    }
    let text = text.split(" at line 1 column ").next().unwrap_or_default();
    let names_a_key = ["unknown field", "duplicate field"].iter().any(|key| text.starts_with(key));
    match text.rsplit_once(", expected ") {
        _ if names_a_key => text.to_owned(),
        Some((_, expected)) => format!("expected {expected}"),
        None => "not a user".to_owned(),
    }
}

/// An object's members in their order.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    // Few are known: the list of those that are kept stays short.
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("duplicate field `{name}`")));
                    }
                    if members.len() > GIVEN_BY_SERVICE.len() + 3 {
                        return Err(A::Error::custom(format!("unknown field `{name}`")));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_request_or_an_exported_user_or_both() {
        let request = |email: &str, name: &str, password: &str| CreateUserRequest {
            email: email.into(),
            name: name.into(),
            password: password.into(),
        };
        for (line, expected) in [
            (r#"{"email":"a@b"}"#, request("a@b", "", "")),
            (" {\"email\":\"a@b\", \"password\":\"pw\"}\r", request("a@b", "", "pw")),
            (
                r#"{"id":"1","email":"a@b","name":"A","status":"USER_STATUS_ACTIVE","createdAt":"2026-01-01T00:00:00Z"}"#,
                request("a@b", "A", ""),
            ),
            (r#"{"id":"1","email":"a@b","status":7,"password":"pw"}"#, request("a@b", "", "pw")),
            (r#"{"email":"a@b","name":null,"created_at":null}"#, request("a@b", "", "")),
            ("{}", request("", "", "")),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_values() {
        for (line, expected) in [
            ("{", "no JSON: EOF while parsing an object at column 1"),
            (r#"{"email":"hunter2""#, "no JSON: EOF while parsing an object at column 18"),
            (r#"{"password":hunter2}"#, "no JSON: expected value at column 13"),
            (r#"{"password":12345678}"#, "expected a string"),
            (r#"{"id":"1","password":12345678}"#, "expected a string"),
            (r#"{"password":["hunter2, expected x"]}"#, "expected a string"),
            (r#""hunter2""#, "expected an object"),
            ("12345678", "expected an object"),
            (r#"["hunter2"]"#, "expected an object"),
            (r#"{"id":"1","email":"a","email":"hunter2"}"#, "duplicate field `email`"),
            (
                r#"{"id":"1","pasword":"hunter2"}"#,
                "unknown field `pasword`, expected one of `email`, `name`, `password`",
            ),
            (r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}"#, "unknown field `i`"),
            ("{} {}", "no JSON: trailing characters at column 4"),
        ] {
            let told = parse(line.as_bytes()).unwrap_err();
            assert_eq!(told, expected, "{line}");
        }
        let told = parse(b"{\"password\":\"hunt\xffer2\"}").unwrap_err();
        assert!(!told.contains("hunt") && told.contains("no JSON"), "{told}");
    }
}
