//! REST: what a JSON request may say of its body, and what a query string holds.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::{media_type, values};
use crate::status::{Cause, FieldViolation, Refusal};

/// The type of every JSON answer.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the body of a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMedia {
    /// One JSON value.
    Json,
    /// Several: a value a line, an array, or one alone.
    JsonStream,
    /// Bytes of any type.
    Any,
}

/// The types that lines of JSON go by.
const LINES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

impl BodyMedia {
    /// Its media types, as `Accept-Post` lists them.
    pub fn list(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::JsonStream => {
                "application/json, application/x-ndjson, application/ndjson, application/jsonl"
            }
            Self::Any => "*/*",
        })
    }

    /// Refuses a body of another type. One without a content type is taken for what is wanted.
    pub fn check(self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut content_types = headers.get_all(header::CONTENT_TYPE).iter();
        let Some(content_type) = content_types.next() else { return Ok(()) };
        let refuse = |message: String| {
            let refusal = Refusal::new(Cause::UnknownContentType, message);
            Err(refusal.with_header(accepted_by(method), self.list()))
        };
        if content_types.next().is_some() {
            return refuse("the body has several content types".to_owned());
        }
        if self == Self::Any {
            return match std::str::from_utf8(content_type.as_bytes()) {
                Ok(_) => Ok(()),
                Err(_) => refuse("the content type is not UTF-8".to_owned()),
            };
        }
        let value = String::from_utf8_lossy(content_type.as_bytes()).to_ascii_lowercase();
        let essence = String::from_utf8_lossy(media_type(value.as_bytes()));
        if self == Self::JsonStream && LINES.iter().any(|lines| essence == *lines) {
            return Ok(());
        }
        let is_json = essence == "application/json"
            || (essence.starts_with("application/") && essence.ends_with("+json"));
        if !is_json {
            let wanted = "send `content-type: application/json`";
            return refuse(format!("content type {essence} is not served: {wanted}"));
        }
        let charset = value.split(';').skip(1).find_map(|p| p.trim().strip_prefix("charset="));
        if charset.is_some_and(|c| !matches!(c.trim_matches('"'), "utf-8" | "utf8")) {
            let message = "the body must be UTF-8: send `content-type: application/json`";
            return refuse(message.to_owned());
        }
        Ok(())
    }
}

/// The header that tells which types the body of a `method` may have: `Accept-Post` and
/// `Accept-Patch` are of one method each, and say that the resource has it.
pub fn accepted_by(method: &Method) -> HeaderName {
    match *method {
        Method::POST => HeaderName::from_static("accept-post"),
        Method::PATCH => HeaderName::from_static("accept-patch"),
        _ => header::ACCEPT,
    }
}

/// Refuses a body in a content coding.
pub fn check_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = values(headers, header::CONTENT_ENCODING);
    match codings.find(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        Some(coding) => Err(Refusal::new(
            Cause::UnknownEncoding,
            format!(
                "content encoding {} is not served: send the body as it is",
                String::from_utf8_lossy(coding.as_bytes())
            ),
        )
        .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
        None => Ok(()),
    }
}

/// A query's parameters, name and value still encoded, and how many there may be.
pub fn query_pairs(
    query: &str,
    limit: usize,
) -> Result<impl Iterator<Item = (&str, &str)>, Refusal> {
    let pairs = || query.split('&').filter(|pair| !pair.is_empty());
    if pairs().nth(limit).is_some() {
        let message = format!("the query has more than {limit} parameters");
        return Err(Refusal::new(Cause::Malformed, message));
    }
    Ok(pairs().map(|pair| pair.split_once('=').unwrap_or((pair, ""))))
}

/// A violation of one parameter, by its name as it was sent.
pub fn parameter_violation(
    name: &str,
    description: impl Into<Cow<'static, str>>,
) -> FieldViolation {
    FieldViolation { field: name.to_owned(), description: description.into().into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_by_its_type_or_by_having_none() {
        let check = |content_type: &'static str| {
            let value = HeaderValue::from_static(content_type);
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value)]);
            BodyMedia::Json.check(&Method::POST, &headers)
        };
        for good in [
            "application/json",
            "Application/JSON; Charset=UTF-8",
            "application/merge-patch+json",
            "application/json; charset=\"utf-8\"",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["text/plain", "application/jsonx", "application/json; charset=latin1", ""] {
            assert_eq!(check(bad).unwrap_err().cause, Cause::UnknownContentType, "{bad}");
        }
        assert!(BodyMedia::Json.check(&Method::POST, &HeaderMap::new()).is_ok());
        let form = check("application/x-www-form-urlencoded").unwrap_err();
        assert!(form.status.message.contains("content-type: application/json"));
    }

    #[test]
    fn what_would_be_taken_is_told_by_the_header_of_the_method() {
        let check = |media: BodyMedia, method, content_type: &[u8]| {
            let value = HeaderValue::from_bytes(content_type).unwrap();
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value)]);
            let refusal = media.check(&method, &headers).err()?;
            let (name, value) = refusal.headers().iter().next()?;
            Some(format!("{name}: {}", value.to_str().unwrap()))
        };
        let told = |media, method| check(media, method, b"text/\xff").unwrap();
        assert_eq!(told(BodyMedia::Json, Method::POST), "accept-post: application/json");
        assert_eq!(told(BodyMedia::Json, Method::PATCH), "accept-patch: application/json");
        assert_eq!(told(BodyMedia::Json, Method::PUT), "accept: application/json");
        assert_eq!(told(BodyMedia::Any, Method::POST), "accept-post: */*");
        assert!(told(BodyMedia::JsonStream, Method::POST).contains("x-ndjson"));
        assert_eq!(check(BodyMedia::Any, Method::POST, b"image/png"), None);
        assert_eq!(check(BodyMedia::JsonStream, Method::POST, b"Application/JSONL; a=b"), None);
        assert!(check(BodyMedia::Json, Method::POST, b"application/jsonl").is_some());
    }

    #[test]
    fn a_query_is_pairs_and_has_a_limit() {
        let pairs: Vec<_> = query_pairs("a=1&b&&c=d=e", 3).unwrap().collect();
        assert_eq!(pairs, [("a", "1"), ("b", ""), ("c", "d=e")]);
        assert!(query_pairs("a&b&c", 2).is_err());
    }
}
