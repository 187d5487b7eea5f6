//! gRPC over HTTP: how a call's end is told in headers and trailers.
//!
//! Follows `PROTOCOL-HTTP2.md` of gRPC. What an upstream sends is read leniently and never
//! trusted: a status nobody can read is UNKNOWN, details nobody can read are dropped.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use percent_encoding::{AsciiSet, CONTROLS};
use prost::Message as _;

use super::{Codec, media_type, values};
use crate::status::{Cause, Code, Refusal, RpcStatus, Status};

/// The code's number.
pub const STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// How a call's messages are compressed.
pub const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// How those of the answer may be.
pub const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// The percent-encoded text.
pub const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// A `google.rpc.Status` in base64.
pub const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Longer messages are cut.
const MESSAGE_LIMIT_BYTES: usize = 4 << 10;

const MESSAGE_ESCAPES: &AsciiSet = &CONTROLS.add(b'%');

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Refuses content types that are gRPC, but of a form that is not served, and a version of HTTP
/// that has no trailers.
pub fn check_head(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    if version < Version::HTTP_2 {
        let message = "gRPC needs HTTP/2: over HTTP/1.1 use gRPC-Web";
        return Err(Refusal::new(Cause::NotServed, message));
    }
    let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |v| v.as_bytes());
    match media_type(content_type).to_ascii_lowercase().as_slice() {
        b"application/grpc" | b"application/grpc+proto" | b"application/grpc+json" => Ok(()),
        other => Err(Refusal::new(
            Cause::UnknownContentType,
            format!(
                "content type {} is not served: use application/grpc+proto or +json",
                String::from_utf8_lossy(other)
            ),
        )),
    }
}

/// What an answer says of itself.
pub fn content_type(codec: Codec) -> HeaderValue {
    HeaderValue::from_static(match codec {
        Codec::Proto => "application/grpc",
        Codec::Json => "application/grpc+json",
    })
}

/// The status told by headers or trailers; None where there is no `grpc-status`.
pub fn status_from(headers: &HeaderMap) -> Option<Status> {
    let mut said = values(headers, STATUS);
    let number = said.next()?;
    let number = number.to_str().ok().and_then(|text| text.parse().ok());
    let code = match (number, said.next()) {
        (Some(number), None) => Code::from_number(number),
        _ => Code::Unknown,
    };
    if code == Code::Ok {
        return Some(Status::new(code, String::new()));
    }
    let message = headers.get(MESSAGE).map_or_else(String::new, |value| {
        let text = percent_encoding::percent_decode(value.as_bytes()).decode_utf8_lossy();
        let mut end = text.len().min(MESSAGE_LIMIT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text[..end].to_owned()
    });
    let mut status = Status::new(code, message);
    if let Some(details) = headers.get(DETAILS)
        && let Some(bytes) = decode_bin(details.as_bytes())
        && let Ok(rich) = RpcStatus::decode(bytes.as_slice())
        && rich.code == i32::from(code.number())
    {
        status.details = rich.details;
    }
    Some(status)
}

/// Writes a status into headers or trailers.
pub fn put_status(status: &Status, headers: &mut HeaderMap) {
    headers.insert(STATUS, HeaderValue::from(u16::from(status.code.number())));
    headers.remove(MESSAGE);
    headers.remove(DETAILS);
    if !status.message.is_empty() {
        let text = percent_encoding::utf8_percent_encode(&status.message, MESSAGE_ESCAPES);
        if let Ok(value) = HeaderValue::from_str(&text.to_string()) {
            headers.insert(MESSAGE, value);
        }
    }
    if !status.details.is_empty()
        && let Ok(value) = HeaderValue::from_str(&LENIENT.encode(status.to_bytes()))
    {
        headers.insert(DETAILS, value);
    }
}

/// Decodes a `-bin` value: standard base64, padded or not.
pub fn decode_bin(value: &[u8]) -> Option<Vec<u8>> {
    LENIENT.decode(value.trim_ascii()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Any;

    #[test]
    fn a_status_goes_there_and_back() {
        let mut status = Status::new(Code::NotFound, "100 % é\r\nset-cookie: a");
        status.details.push(Any { type_url: "t/x".into(), value: b"\x01".as_slice().into() });
        let mut headers = HeaderMap::new();
        put_status(&status, &mut headers);
        assert_eq!(headers[MESSAGE], "100 %25 %C3%A9%0D%0Aset-cookie: a");
        assert_eq!(status_from(&headers), Some(status));
        assert_eq!(status_from(&HeaderMap::new()), None);
    }

    #[test]
    fn what_an_upstream_says_wrongly_is_survived() {
        let read = |fields: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
            status_from(&headers).unwrap()
        };
        for said in ["99", "", "abc", "-1", "5 "] {
            assert_eq!(read(&[("grpc-status", said)]).code, Code::Unknown, "{said}");
        }
        let twice = read(&[("grpc-status", "5"), ("grpc-status", "5")]);
        assert_eq!(twice.code, Code::Unknown);
        assert_eq!(
            read(&[("grpc-status", "5"), ("grpc-message", "%zz%ff")]).message,
            "%zz\u{fffd}"
        );
        let long = "é".repeat(4_000);
        let encoded = percent_encoding::utf8_percent_encode(&long, MESSAGE_ESCAPES).to_string();
        let cut = read(&[("grpc-status", "5"), ("grpc-message", &encoded)]).message;
        assert_eq!(cut.len(), MESSAGE_LIMIT_BYTES);
        let other_code = LENIENT.encode(Status::new(Code::Ok, "").to_bytes());
        for details in ["!", "AAAA", &other_code] {
            let status = read(&[("grpc-status", "5"), ("grpc-status-details-bin", details)]);
            assert_eq!((status.code, status.details.len()), (Code::NotFound, 0), "{details}");
        }
    }
}
