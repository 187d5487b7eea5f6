//! REST: what a JSON request may say of its body, and what a query string holds.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};

use super::media_type;
use crate::status::{Cause, FieldViolation, Refusal};

/// The type of every JSON answer.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Refuses a body that does not say it is JSON. One without a content type is taken for JSON.
pub fn check_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let value = String::from_utf8_lossy(content_type.as_bytes()).to_ascii_lowercase();
    let essence = String::from_utf8_lossy(media_type(value.as_bytes()));
    let is_json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    let charset = value.split(';').skip(1).find_map(|p| p.trim().strip_prefix("charset="));
    let is_utf8 = charset.is_none_or(|c| matches!(c.trim_matches('"'), "utf-8" | "utf8"));
    if is_json && is_utf8 {
        return Ok(());
    }
    let message = if is_json {
        "the body must be UTF-8: send `content-type: application/json`".to_owned()
    } else {
        format!("content type {essence} is not served: send `content-type: application/json`")
    };
    Err(Refusal::new(Cause::UnknownContentType, message)
        .with_header(header::HeaderName::from_static("accept-post"), JSON))
}

/// As [`check_json`], of a body of several values: lines are JSON too.
pub fn check_json_stream(headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let essence = media_type(content_type);
    let is_lines = ["application/x-ndjson", "application/ndjson", "application/jsonl"]
        .iter()
        .any(|lines| essence.eq_ignore_ascii_case(lines.as_bytes()));
    if is_lines { Ok(()) } else { check_json(headers) }
}

/// Refuses a body in a content coding.
pub fn check_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => Err(Refusal::new(
            Cause::UnknownEncoding,
            format!(
                "content encoding {} is not served: send the body as it is",
                String::from_utf8_lossy(coding.as_bytes())
            ),
        )
        .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
        _ => Ok(()),
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
            check_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)]))
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
        assert!(check_json(&HeaderMap::new()).is_ok());
        let form = check("application/x-www-form-urlencoded").unwrap_err();
        assert!(form.status.message.contains("content-type: application/json"));
    }

    #[test]
    fn a_query_is_pairs_and_has_a_limit() {
        let pairs: Vec<_> = query_pairs("a=1&b&&c=d=e", 3).unwrap().collect();
        assert_eq!(pairs, [("a", "1"), ("b", ""), ("c", "d=e")]);
        assert!(query_pairs("a&b&c", 2).is_err());
    }
}
