//! The request that is to be explained, from the command line or from a line of JSON.

use std::collections::BTreeMap;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method as Verb, Request, Uri};
use serde::Deserialize;

use crate::protocol::Protocol;

/// A request, taken apart.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) method: Verb,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A line of standard input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    request: String,
    #[serde(default)]
    headers: BTreeMap<String, Values>,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Several(Vec<String>),
}

impl Described {
    /// Reads `GET /path?query` and `name: value`.
    pub(super) fn new(line: &str, headers: &[String], body: Vec<u8>) -> Result<Self, String> {
        let mut read = HeaderMap::new();
        for header in headers {
            let Some((name, value)) = header.split_once(':') else {
                return Err(format!("the header `{header}` is not NAME: VALUE"));
            };
            append(&mut read, name.trim(), value.trim())?;
        }
        Self::of(line, read, body.into())
    }

    /// Reads `{"request":"GET /…","headers":{},"body":"…"}`.
    pub(super) fn from_json(line: &[u8]) -> Result<Self, String> {
        let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        for (name, values) in line.headers {
            let values = match values {
                Values::One(value) => vec![value],
                Values::Several(values) => values,
            };
            for value in values {
                append(&mut headers, &name, &value)?;
            }
        }
        Self::of(&line.request, headers, line.body.unwrap_or_default().into())
    }

    fn of(line: &str, mut headers: HeaderMap, body: Bytes) -> Result<Self, String> {
        let Some((method, target)) = line.trim().split_once(' ') else {
            return Err(format!("`{line}` is no request: write 'GET /path?query'"));
        };
        let method: Verb = method.parse().map_err(|_| format!("`{method}` is no HTTP method"))?;
        let target = checked(target.trim_start(), &method)?;
        let uri: Uri = target.parse().map_err(|error| format!("`{target}`: {error}"))?;
        if Protocol::detect(&method, &uri, &headers) != Protocol::Rest {
            return Err(
                "gRPC, gRPC-Web and Connect name their method: only REST is explained".to_owned()
            );
        }
        // What the caller has already is compared with an answer, and here is none.
        headers.remove(http::header::IF_NONE_MATCH);
        Ok(Self { method, uri, headers, body })
    }

    /// The request, to be sent.
    pub(super) fn to_request(&self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// A target as an HTTP request has it, with what people write instead told apart.
fn checked<'t>(target: &'t str, method: &Verb) -> Result<&'t str, String> {
    if let Some((target, behind)) = target.split_once(' ') {
        return Err(match behind.trim_start().strip_prefix("HTTP/") {
            Some(version) => format!("write '{method} {target}': leave out HTTP/{version}"),
            None => format!("`{target} {behind}`: a space in a path or query is written %20"),
        });
    }
    let is_whole = ["http://", "https://"].iter().any(|scheme| target.starts_with(scheme));
    if target.starts_with('/') || is_whole || (target == "*" && *method == Verb::OPTIONS) {
        return Ok(target);
    }
    Err(format!("`{target}`: the path begins with `/`: write '{method} /{target}'"))
}

fn append(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let header: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header"))?;
    let value = HeaderValue::from_str(value)
        .map_err(|_| format!("the value of the header `{name}` is none"))?;
    headers.append(header, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_is_told_with_what_to_write() {
        let refused = |line| Described::new(line, &[], Vec::new()).unwrap_err();
        for (line, part) in [
            ("GET v1/users", "the path begins with `/`: write 'GET /v1/users'"),
            ("GET *", "the path begins with `/`"),
            ("GET /v1/users/7 HTTP/1.1", "write 'GET /v1/users/7': leave out HTTP/1.1"),
            ("GET /v1/a b", "written %20"),
            ("GET", "is no request"),
        ] {
            assert!(refused(line).contains(part), "{line}: {}", refused(line));
        }
        for line in ["GET /v1/users", "OPTIONS *", "GET http://a/v1/users", "GET   /v1/users "] {
            assert!(Described::new(line, &[], Vec::new()).is_ok(), "{line}");
        }
    }
}
