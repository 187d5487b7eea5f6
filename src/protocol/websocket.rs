//! WebSocket: what a handshake asks for, and what frames and close codes mean (RFC 6455).
//!
//! A text frame is a message in JSON, a binary frame one in protobuf. A WebSocket has neither a
//! half-close nor trailers: an empty text frame, which is no JSON, ends a side's messages. Behind
//! the gateway's own comes one text frame that tells how the call ended, then the close frame.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::refusal::put_status_json;
use crate::{
    status::{Cause, Code, Refusal, Status},
    transcoding::Transcoder,
};

/// What messages of a side are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON in text frames.
    Text,
    /// Protobuf in binary frames.
    Binary,
}

/// The subprotocols, and what the gateway answers in them.
const SUBPROTOCOLS: [(&str, Form); 2] =
    [("transom.json", Form::Text), ("transom.proto", Form::Binary)];

/// The version of RFC 6455.
const VERSION: &str = "13";

/// The longest reason of a close frame: a control frame has 125 bytes, the code two of them.
const REASON_LIMIT_BYTES: usize = 123;

/// The close code of a frame that is none: RFC 6455, 7.4.1.
pub const PROTOCOL_ERROR: u16 = 1002;
/// The close code of text that is not UTF-8.
pub const NOT_UTF8: u16 = 1007;
/// The close code of a message over its limit.
const TOO_LARGE: u16 = 1009;
/// The close code of a call that went well.
const NORMAL: u16 = 1000;
/// Where the codes of gRPC begin, among those that an application may define.
const STATUS_BASE: u16 = 4000;

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The `sec-websocket-key`, which the answer proves to have read.
    pub key: HeaderValue,
    /// What the gateway answers in.
    pub form: Form,
    /// The subprotocol to name in the answer, if any was offered.
    pub subprotocol: Option<&'static str>,
}

/// Whether the headers ask for a WebSocket.
pub fn is_asked_for(headers: &HeaderMap) -> bool {
    lists(headers, &header::UPGRADE, "websocket")
}

impl Handshake {
    /// Reads the head of a GET that [asks for](is_asked_for) a WebSocket.
    pub fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let malformed = |message: &'static str| Err(Refusal::new(Cause::Malformed, message));
        if !lists(headers, &header::CONNECTION, "upgrade") {
            return malformed("a WebSocket needs `connection: upgrade`: does a proxy drop it?");
        }
        let mut versions = headers.get_all(header::SEC_WEBSOCKET_VERSION).iter();
        if (versions.next().map(HeaderValue::as_bytes), versions.next())
            != (Some(VERSION.as_bytes()), None)
        {
            let message = "this server speaks version 13 of the WebSocket protocol";
            return Err(Refusal::new(Cause::UnknownVersion, message)
                .with_header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION))
                .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
                .with_header(header::CONNECTION, HeaderValue::from_static("upgrade")));
        }
        let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
        let key = match (keys.next(), keys.next()) {
            (Some(key), None) if is_key(key.as_bytes()) => key.clone(),
            _ => return malformed("sec-websocket-key: expected 16 bytes in base64"),
        };
        let mut offered = tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL).peekable();
        if offered.peek().is_none() {
            return Ok(Self { key, form: Form::Text, subprotocol: None });
        }
        let known = |offered| SUBPROTOCOLS.into_iter().find(|(name, _)| *name == offered);
        match offered.find_map(known) {
            Some((name, form)) => Ok(Self { key, form, subprotocol: Some(name) }),
            None => malformed("sec-websocket-protocol: offer transom.json or transom.proto"),
        }
    }
}

/// 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|listed| listed.eq_ignore_ascii_case(token))
}

/// Whether `origin` is the page's that this host serves. Its scheme is not looked at: a proxy in
/// front may speak TLS.
pub fn is_same_origin(origin: &HeaderValue, host: &[u8]) -> bool {
    let origin = origin.as_bytes();
    let (of_origin, default_port) = match () {
        () if origin.starts_with(b"http://") => (&origin[7..], &b":80"[..]),
        () if origin.starts_with(b"https://") => (&origin[8..], &b":443"[..]),
        () => return false,
    };
    // Browsers leave the port of the scheme out; other clients and proxies may not.
    let of_host = host.strip_suffix(default_port).unwrap_or(host);
    let of_origin = of_origin.strip_suffix(default_port).unwrap_or(of_origin);
    !of_origin.is_empty() && of_origin.eq_ignore_ascii_case(of_host)
}

/// The close code that tells how a call ended.
pub fn close_code(end: Result<(), &Refusal>) -> u16 {
    match end {
        Ok(()) => NORMAL,
        Err(refusal) if refusal.cause == Cause::RequestTooLarge => TOO_LARGE,
        Err(refusal) => STATUS_BASE + u16::from(refusal.status.code.number()),
    }
}

/// As much of a message as the reason of a close frame has room for.
pub fn close_reason(message: &str) -> &str {
    &message[..message.floor_char_boundary(REASON_LIMIT_BYTES)]
}

/// The text frame that tells how a call ended, where the close frame cannot: a failure with its
/// details, and metadata. None where there is nothing more to tell.
///
/// ```text
/// {"status":{"code":5,"message":"…","details":[…]},"metadata":{"x-shelf":["3"]}}
/// ```
pub fn end_text(
    end: Result<(), &Refusal>,
    metadata: &HeaderMap,
    transcoder: &Transcoder,
) -> Option<Vec<u8>> {
    if end.is_ok() && metadata.is_empty() {
        return None;
    }
    let ok = Status::new(Code::Ok, "");
    let status = end.map_or_else(|refusal| &refusal.status, |()| &ok);
    let mut text = b"{\"status\":".to_vec();
    put_status_json(status, Some(transcoder), &mut text);
    text.extend_from_slice(b",\"metadata\":{");
    for (index, name) in metadata.keys().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        let values: Vec<_> = metadata.get_all(name).iter().map(text_of).collect();
        text.extend_from_slice(serde_json::Value::from(name.as_str()).to_string().as_bytes());
        text.push(b':');
        text.extend_from_slice(serde_json::Value::from(values).to_string().as_bytes());
    }
    text.extend_from_slice(b"}}");
    Some(text)
}

fn text_of(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    /// A good handshake with one header replaced; one without a value is left out.
    fn with(name: &'static str, value: &'static str) -> Result<Handshake, Refusal> {
        let mut headers = headers(&[
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ]);
        headers.remove(name);
        if !value.is_empty() {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Handshake::read(&headers)
    }

    #[test]
    fn a_handshake_is_read_strictly() {
        assert!(with("x", "y").is_ok());
        assert!(with("connection", "keep-alive, UPGRADE").is_ok());
        for (name, value, status) in [
            ("connection", "", 400),
            ("connection", "close", 400),
            ("sec-websocket-version", "", 426),
            ("sec-websocket-version", "8", 426),
            ("sec-websocket-key", "", 400),
            ("sec-websocket-key", "c2hvcnQ=", 400),
            ("sec-websocket-protocol", "graphql-ws", 400),
        ] {
            let refusal = with(name, value).unwrap_err();
            assert_eq!(refusal.http_status(), status, "{name}: {value}");
            let version = refusal.headers().get("sec-websocket-version");
            assert_eq!(version.is_some_and(|version| version == "13"), status == 426);
        }
    }

    #[test]
    fn the_first_subprotocol_that_is_known_holds() {
        for (offered, name, form) in [
            ("", None, Form::Text),
            ("transom.json", Some("transom.json"), Form::Text),
            ("transom.proto", Some("transom.proto"), Form::Binary),
            ("x, transom.proto, transom.json", Some("transom.proto"), Form::Binary),
        ] {
            let handshake = with("sec-websocket-protocol", offered).unwrap();
            assert_eq!((handshake.subprotocol, handshake.form), (name, form), "{offered}");
        }
    }

    #[test]
    fn other_upgrades_are_none() {
        assert!(is_asked_for(&headers(&[("upgrade", "h2c, WebSocket")])));
        assert!(!is_asked_for(&headers(&[("upgrade", "h2c")])));
        assert!(!is_asked_for(&headers(&[])));
    }

    #[test]
    fn an_origin_is_compared_whole() {
        for (origin, host, same) in [
            ("https://a.example", "a.example", true),
            ("http://A.example:8080", "a.example:8080", true),
            ("https://a.example", "a.example:443", true),
            ("https://a.example", "a.example:80", false),
            ("https://a.example:8443", "a.example", false),
            ("https://a.example.evil", "a.example", false),
            ("null", "null", false),
            ("http://", "", false),
            ("file://a.example", "a.example", false),
        ] {
            let origin = HeaderValue::from_static(origin);
            assert_eq!(is_same_origin(&origin, host.as_bytes()), same, "{origin:?} {host}");
        }
    }

    #[test]
    fn a_close_frame_has_the_code_and_as_much_of_the_message_as_fits() {
        let refusal = |cause| Refusal::new(cause, "m");
        assert_eq!(close_code(Ok(())), 1000);
        assert_eq!(close_code(Err(&refusal(Cause::Upstream(Code::NotFound)))), 4005);
        assert_eq!(close_code(Err(&refusal(Cause::UpstreamMessageTooLarge))), 4008);
        assert_eq!(close_code(Err(&refusal(Cause::RequestTooLarge))), 1009);
        assert_eq!(close_reason("short"), "short");
        assert_eq!(close_reason(&"é".repeat(100)), "é".repeat(61));
        assert_eq!(close_reason(&"x".repeat(124)), "x".repeat(123));
    }
}
