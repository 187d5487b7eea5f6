//! `google.api.HttpBody`: messages that are HTTP bodies as they are, of any type, and no JSON.
//!
//! Where a method's body (or a field that its rule names) is one, the request's bytes are its
//! `data`; where its answer is one, its `data` are the response's bytes.

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue, header};
use prost::{
    DecodeError, Message,
    encoding::{self, DecodeContext, WireType},
};

use crate::schema::{BodyRule, Cardinality, FieldPath, Kind, MessageIndex, Schema};

/// The type of an answer that does not say its type.
const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// What a message of the wire may have around an encoded [`HttpBody`] without its content type:
/// two keys and two lengths, each of five bytes at most.
const OVERHEAD_BYTES: usize = 20;

/// An HTTP body and its type. `extensions` are for services among themselves.
#[derive(Clone, PartialEq, Message)]
pub struct HttpBody {
    /// As `content-type` has it. Empty where nobody said.
    #[prost(string, tag = "1")]
    pub content_type: String,
    /// The bytes.
    #[prost(bytes = "bytes", tag = "2")]
    pub data: Bytes,
}

/// Where the body is in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is the message.
    Whole,
    /// It is the field of this number.
    Field(u32),
}

impl Place {
    /// Where a request's HTTP body goes as it is; None where it is JSON.
    pub fn in_request(
        schema: &Schema,
        input: MessageIndex,
        rule: &BodyRule,
        field: Option<&FieldPath>,
    ) -> Option<Self> {
        match (rule, field) {
            (BodyRule::None, _) => None,
            (_, field) => Self::of(schema, input, field),
        }
    }

    /// Where a response's HTTP body comes from as it is; None where it is JSON.
    pub fn in_response(
        schema: &Schema,
        output: MessageIndex,
        field: Option<&FieldPath>,
    ) -> Option<Self> {
        Self::of(schema, output, field)
    }

    fn of(schema: &Schema, message: MessageIndex, field: Option<&FieldPath>) -> Option<Self> {
        let Some(field) = field else {
            return schema.message(message).is_http_body().then_some(Self::Whole);
        };
        let field = field.leaf(schema);
        match field.kind {
            Kind::Message(inner)
                if field.cardinality == Cardinality::Singular
                    && schema.message(inner).is_http_body() =>
            {
                Some(Self::Field(field.number))
            }
            _ => None,
        }
    }

    /// Appends `body` at this place of a message. A message that is appended behind it is merged
    /// with it.
    pub fn encode(self, body: &HttpBody, out: &mut Vec<u8>) {
        let encoded = match self {
            Self::Whole => body.encode(out),
            Self::Field(number) => {
                encoding::encode_key(number, WireType::LengthDelimited, out);
                body.encode_length_delimited(out)
            }
        };
        // A Vec has room for what memory has room for.
        debug_assert!(encoded.is_ok());
    }

    /// At most how many bytes [`Self::encode`] takes.
    pub fn encoded_bytes(self, content_type: &str, data_bytes: usize) -> usize {
        OVERHEAD_BYTES.saturating_add(content_type.len()).saturating_add(data_bytes)
    }

    /// The body in `message`. Its data are not copied.
    pub fn decode(self, mut message: Bytes) -> Result<HttpBody, DecodeError> {
        let Self::Field(number) = self else { return HttpBody::decode(message) };
        let mut body = HttpBody::default();
        while message.has_remaining() {
            let (tag, wire_type) = encoding::decode_key(&mut message)?;
            let context = DecodeContext::default();
            if tag == number {
                encoding::message::merge(wire_type, &mut body, &mut message, context)?;
            } else {
                encoding::skip_field(wire_type, tag, &mut message, context)?;
            }
        }
        Ok(body)
    }
}

/// The type that a request says its body has; empty where it says none, as Envoy has it.
pub fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    String::from_utf8_lossy(value).into_owned()
}

impl HttpBody {
    /// The `content-type` of an answer that this is; None if it cannot be one.
    pub fn header_value(&self) -> Option<HeaderValue> {
        match self.content_type.as_str() {
            "" => Some(OCTET_STREAM),
            text => HeaderValue::from_str(text).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(content_type: &str, data: &'static [u8]) -> HttpBody {
        HttpBody { content_type: content_type.to_owned(), data: data.into() }
    }

    #[test]
    fn a_body_is_found_where_it_was_put() {
        let png = body("image/png", b"\x89PNG");
        for place in [Place::Whole, Place::Field(2), Place::Field(70_000)] {
            let mut wire = Vec::new();
            place.encode(&png, &mut wire);
            assert!(wire.len() <= place.encoded_bytes("image/png", 4));
            assert_eq!(place.decode(wire.into()).unwrap(), png);
        }
        // Other fields around it, and it in two parts.
        let mut wire = b"\x0a\x01n".to_vec();
        Place::Field(2).encode(&body("a/b", b"1"), &mut wire);
        wire.extend_from_slice(b"\x18\x05");
        Place::Field(2).encode(&body("", b"2"), &mut wire);
        assert_eq!(Place::Field(2).decode(wire.clone().into()).unwrap(), body("a/b", b"2"));
        assert_eq!(Place::Field(9).decode(wire.into()).unwrap(), HttpBody::default());
        assert!(Place::Field(2).decode((&b"\x12\x09x"[..]).into()).is_err());
        assert!(Place::Whole.decode((&b"\x0a\x01\xff"[..]).into()).is_err());
    }

    #[test]
    fn data_are_not_copied() {
        let mut wire = Vec::new();
        Place::Field(1).encode(&body("a/b", b"0123456789"), &mut wire);
        let wire = Bytes::from(wire);
        let data = Place::Field(1).decode(wire.clone()).unwrap().data;
        assert!(wire.as_ptr_range().contains(&data.as_ptr()));
    }

    #[test]
    fn the_type_of_an_answer_is_a_header_value() {
        assert_eq!(body("", b"").header_value().unwrap(), "application/octet-stream");
        assert_eq!(
            body("text/html; charset=x", b"").header_value().unwrap(),
            "text/html; charset=x"
        );
        assert_eq!(body("a/b\r\nset-cookie: c", b"").header_value(), None);
    }
}
