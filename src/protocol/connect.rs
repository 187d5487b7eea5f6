//! Connect: unary calls as plain HTTP, streams in envelopes, errors and ends as JSON.
//!
//! Follows the protocol reference of connectrpc.com. Unary messages are bare, and `GET` has one in
//! its query; the messages of a stream are framed as gRPC's are, and a last envelope tells the end.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Codec, envelope, media_type};
use crate::{
    status::{Any, Cause, Code, Refusal, Status},
    transcoding::Transcoder,
};

mod get;

pub use get::{GetRequest, is_get};

/// Says that a request is Connect's.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

/// How the messages of a stream are compressed.
pub const CONTENT_ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");

/// How those of the answer may be.
pub const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("connect-accept-encoding");

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// The flag of the envelope that ends a stream.
const END_FLAG: u8 = 2;

/// How a call of Connect is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectForm {
    /// One bare message each way.
    Unary,
    /// The same, asked by `GET`.
    Get,
    /// Messages in envelopes.
    Stream,
}

impl ConnectForm {
    /// What an answer says of its messages.
    pub fn content_type(self, codec: Codec) -> HeaderValue {
        HeaderValue::from_static(match (self, codec) {
            (Self::Stream, Codec::Proto) => "application/connect+proto",
            (Self::Stream, Codec::Json) => "application/connect+json",
            (_, Codec::Proto) => "application/proto",
            (_, Codec::Json) => "application/json",
        })
    }
}

/// Refuses another version of the protocol, and content types that a method does not take: of a
/// method with a stream those in envelopes, of a unary one the bare ones.
pub fn check_head(form: ConnectForm, has_stream: bool, headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |v| v.as_bytes());
    let essence = media_type(content_type).to_ascii_lowercase();
    let (is_served, list) = match has_stream {
        true => (
            matches!(&essence[..], b"application/connect+proto" | b"application/connect+json"),
            "application/connect+proto, application/connect+json",
        ),
        false => (
            matches!(&essence[..], b"application/proto" | b"application/json"),
            "application/proto, application/json",
        ),
    };
    if form != ConnectForm::Get && !is_served {
        let found = String::from_utf8_lossy(&essence);
        let message = format!("content type {found} is not served by this method: use {list}");
        return Err(Refusal::new(Cause::UnknownContentType, message)
            .with_header(ACCEPT_POST, HeaderValue::from_static(list)));
    }
    match headers.get(PROTOCOL_VERSION) {
        Some(version) if version != "1" => {
            let version = String::from_utf8_lossy(version.as_bytes());
            let message = format!("{PROTOCOL_VERSION} {version} is not served: use 1");
            Err(Refusal::new(Cause::Malformed, message))
        }
        _ => Ok(()),
    }
}

/// Appends an error: `{"code":"not_found","message":…,"details":[…]}`.
pub fn put_error(status: &Status, transcoder: Option<&Transcoder>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"code\":\"");
    match status.code {
        // Its one name that differs.
        Code::Cancelled => out.extend_from_slice(b"canceled"),
        code => out.extend_from_slice(code.name().to_ascii_lowercase().as_bytes()),
    }
    out.push(b'"');
    if !status.message.is_empty() {
        out.extend_from_slice(b",\"message\":");
        put_text(&status.message, out);
    }
    for (index, detail) in status.details.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b",\"details\":[" } else { b"," });
        put_detail(detail, transcoder, out);
    }
    if !status.details.is_empty() {
        out.push(b']');
    }
    out.push(b'}');
}

/// Appends `{"type":…,"value":base64,"debug":…}`; the JSON in `debug` where the type is known.
fn put_detail(detail: &Any, transcoder: Option<&Transcoder>, out: &mut Vec<u8>) {
    use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
    let name = detail.type_url.rsplit('/').next().unwrap_or_default();
    out.extend_from_slice(b"{\"type\":");
    put_text(name, out);
    out.extend_from_slice(b",\"value\":\"");
    out.extend_from_slice(BASE64_STANDARD_NO_PAD.encode(&detail.value).as_bytes());
    out.push(b'"');
    let start = out.len();
    out.extend_from_slice(b",\"debug\":");
    if !transcoder.is_some_and(|transcoder| transcoder.detail_message_to_json(detail, out)) {
        out.truncate(start);
    }
    out.push(b'}');
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// The envelope that ends a stream: how it went, and the metadata that came with that.
pub fn end_of_stream(
    status: &Status,
    metadata: &HeaderMap,
    transcoder: Option<&Transcoder>,
) -> Bytes {
    let mut frame = envelope::begin(64);
    frame.push(b'{');
    if status.code != Code::Ok {
        frame.extend_from_slice(b"\"error\":");
        put_error(status, transcoder, &mut frame);
    }
    if !metadata.is_empty() {
        frame.extend_from_slice(match status.code {
            Code::Ok => b"\"metadata\":{",
            _ => b",\"metadata\":{",
        });
        put_metadata(metadata, &mut frame);
        frame.push(b'}');
    }
    frame.push(b'}');
    // Headers and details are bounded far below 4 GiB.
    envelope::finish(END_FLAG, frame).unwrap_or_default()
}

fn put_metadata(metadata: &HeaderMap, out: &mut Vec<u8>) {
    for (index, name) in metadata.keys().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put_text(name.as_str(), out);
        out.push(b':');
        for (index, value) in metadata.get_all(name).iter().enumerate() {
            out.push(if index == 0 { b'[' } else { b',' });
            put_text(&String::from_utf8_lossy(value.as_bytes()), out);
        }
        out.push(b']');
    }
}

/// Puts trailing metadata among the headers of a unary answer, as `trailer-…`.
pub fn put_trailers(trailers: &HeaderMap, headers: &mut HeaderMap) {
    for (name, value) in trailers {
        if let Ok(name) = HeaderName::try_from(format!("trailer-{name}")) {
            headers.append(name, value.clone());
        }
    }
}

/// Drops metadata that would read as Connect's own.
pub fn drop_reserved(metadata: &mut HeaderMap) {
    let is_reserved =
        |name: &HeaderName| name.as_str().starts_with("connect-") || is_trailer(name.as_str());
    let names: Vec<_> = metadata.keys().filter(|name| is_reserved(name)).cloned().collect();
    for name in names {
        metadata.remove(name);
    }
}

fn is_trailer(name: &str) -> bool {
    name.starts_with("trailer-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(bytes: &[u8]) -> serde_json::Value {
        serde_json::from_slice(bytes).unwrap()
    }

    fn error(status: &Status) -> serde_json::Value {
        let mut out = Vec::new();
        put_error(status, None, &mut out);
        json(&out)
    }

    #[test]
    fn an_error_has_a_code_and_what_else_there_is() {
        let bare = error(&Status::new(Code::Cancelled, ""));
        assert_eq!(bare, serde_json::json!({"code": "canceled"}));
        let mut status = Status::new(Code::FailedPrecondition, "a \"b\"");
        let type_url = "type.googleapis.com/x.Y".to_owned();
        status.details.push(Any { type_url, value: b"\x08\x01".as_slice().into() });
        let detail = serde_json::json!({"type": "x.Y", "value": "CAE"});
        let expected = serde_json::json!({
            "code": "failed_precondition", "message": "a \"b\"", "details": [detail, detail],
        });
        status.details.push(status.details[0].clone());
        assert_eq!(error(&status), expected);
    }

    #[test]
    fn an_end_has_what_there_is_to_tell() {
        let end = |status: &Status, metadata: &HeaderMap| {
            let frame = end_of_stream(status, metadata, None);
            assert_eq!(frame[0], 2);
            assert_eq!(frame[1..5], (frame.len() as u32 - 5).to_be_bytes());
            json(&frame[5..])
        };
        let ok = Status::new(Code::Ok, "");
        assert_eq!(end(&ok, &HeaderMap::new()), serde_json::json!({}));
        let mut metadata = HeaderMap::new();
        for (name, value) in [("x-a", "1"), ("x-b", "2"), ("x-a", "3")] {
            metadata.append(name, HeaderValue::from_static(value));
        }
        let told = serde_json::json!({"x-a": ["1", "3"], "x-b": ["2"]});
        assert_eq!(end(&ok, &metadata), serde_json::json!({"metadata": told}));
        let failed = end(&Status::new(Code::Aborted, "m"), &metadata);
        let error = serde_json::json!({"code": "aborted", "message": "m"});
        assert_eq!(failed, serde_json::json!({"error": error, "metadata": told}));
    }

    #[test]
    fn a_head_is_of_the_methods_kind_and_version_1() {
        let check = |content_type: &'static str, has_stream, version: &'static str| {
            let headers = HeaderMap::from_iter([
                (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
                (PROTOCOL_VERSION, HeaderValue::from_static(version)),
            ]);
            let checked = check_head(ConnectForm::Unary, has_stream, &headers);
            checked.err().map(|refusal| refusal.cause)
        };
        let unknown = Some(Cause::UnknownContentType);
        assert_eq!(check("application/JSON; charset=utf-8", false, "1"), None);
        assert_eq!(check("application/proto", false, "1"), None);
        assert_eq!(check("application/connect+json", true, "1"), None);
        assert_eq!(check("application/connect+json", false, "1"), unknown);
        assert_eq!(check("application/json", true, "1"), unknown);
        assert_eq!(check("application/xml", false, "1"), unknown);
        assert_eq!(check("application/proto", false, "2"), Some(Cause::Malformed));
    }
}
