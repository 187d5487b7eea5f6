//! Connect by `GET`: a message in the query.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::header;

use crate::{
    protocol::{
        Codec,
        compression::{self, Encoding},
        rest::parameter_violation,
    },
    status::{Cause, Refusal},
};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether a query says that it is Connect's.
pub fn is_get(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "connect=v1"))
}

/// What a query asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetRequest {
    /// What the message is written in, and the answer will be.
    pub codec: Codec,
    /// How it is compressed.
    pub encoding: Option<Encoding>,
    /// The message.
    pub message: Vec<u8>,
}

impl GetRequest {
    /// Reads a query. The first of each name counts, and other names are nobody's concern.
    pub fn read(query: &str) -> Result<Self, Refusal> {
        let value = |wanted: &str| {
            query.split('&').find_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (name == wanted).then_some(value)
            })
        };
        let needed = |name: &str| {
            value(name).ok_or_else(|| {
                Refusal::bad_request(vec![parameter_violation(name, "this parameter is needed")])
            })
        };
        let codec = decode(needed("encoding")?);
        let codec = Codec::named(&codec).ok_or_else(|| {
            let name = String::from_utf8_lossy(&codec);
            let message = format!("encoding {name} is not served: use proto or json");
            Refusal::new(Cause::UnknownContentType, message)
        })?;
        let name = decode(value("compression").unwrap_or_default());
        let encoding = compression::named(&name, &header::ACCEPT_ENCODING)?;
        let text = needed("message")?;
        let message = match value("base64") {
            Some("1") => decode_base64(text)?,
            _ => decode(text),
        };
        Ok(Self { codec, encoding, message })
    }
}

/// A value as forms are written: a blank is a `+`.
fn decode(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).collect()
}

/// Either alphabet, padded or not.
fn decode_base64(text: &str) -> Result<Vec<u8>, Refusal> {
    let url_safe = |byte| match byte {
        b'+' => b'-',
        b'/' => b'_',
        byte => byte,
    };
    let text: Vec<u8> = percent_encoding::percent_decode_str(text).map(url_safe).collect();
    BASE64.decode(text).map_err(|_| {
        Refusal::bad_request(vec![parameter_violation("message", "the message is not base64")])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_connects_by_its_version() {
        assert!(is_get(Some("message=&connect=v1")));
        for other in ["", "connect=v2", "xconnect=v1", "connect=v1x", "connect"] {
            assert!(!is_get(Some(other)), "{other}");
        }
        assert!(!is_get(None));
    }

    #[test]
    fn a_message_is_text_or_base64() {
        for (query, codec, message) in [
            ("encoding=json&message=%7B%22a%22%3A+1%7D", Codec::Json, &b"{\"a\": 1}"[..]),
            ("message=-_8&base64=1&encoding=proto&connect=v1", Codec::Proto, b"\xfb\xff"),
            ("message=%2B%2F8%3D&base64=1&encoding=proto&x=y", Codec::Proto, b"\xfb\xff"),
            ("message=&base64=1&encoding=proto", Codec::Proto, b""),
            ("message=YQ&base64=0&encoding=proto&message=b", Codec::Proto, b"YQ"),
        ] {
            let read = GetRequest::read(query).unwrap();
            assert_eq!((read.codec, read.encoding, &read.message[..]), (codec, None, message));
        }
        let zipped = GetRequest::read("message=&encoding=proto&compression=br").unwrap();
        assert_eq!(zipped.encoding, Some(Encoding::Br));
    }

    #[test]
    fn what_is_missing_or_unknown_is_refused() {
        for (query, cause) in [
            ("encoding=json", Cause::Malformed),
            ("message=", Cause::Malformed),
            ("message=&encoding=xml", Cause::UnknownContentType),
            ("message=!&encoding=proto&base64=1", Cause::Malformed),
            ("message=&encoding=proto&compression=snappy", Cause::UnknownEncoding),
        ] {
            assert_eq!(GetRequest::read(query).unwrap_err().cause, cause, "{query}");
        }
    }
}
