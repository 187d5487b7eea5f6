//! Protocols: what a caller speaks, told from the request's head, and its forms of everything.
//!
//! Each submodule turns one protocol's bytes and headers into neutral values and back. Nothing
//! here waits, reads a socket or knows the time.
//!
//! ```
//! use http::{HeaderMap, HeaderValue, header};
//! use transom::{protocol::{Protocol, refusal}, status::{Cause, Refusal}};
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc-web+proto"));
//! let protocol = Protocol::detect(&headers);
//!
//! // One refusal, told in the caller's own protocol.
//! let refusal = Refusal::new(Cause::UnknownRpc, "no such method");
//! let response = refusal::render(protocol, &refusal, None);
//! assert!(response.body().ends_with(b"grpc-status:12\r\ngrpc-message:no such method\r\n"));
//! assert_eq!(refusal::render(Protocol::Rest, &refusal, None).status(), 404);
//! ```

use http::{HeaderMap, header};

pub mod accept;
pub mod envelope;
pub mod etag;
pub mod grpc;
pub mod grpc_web;
pub mod http_body;
pub mod json_dialect;
pub mod json_stream;
pub mod metadata;
pub mod refusal;
pub mod rest;
pub mod sse;
pub mod stream_encoding;
pub mod timeout;
pub mod websocket;

pub use grpc_web::GrpcWebForm;

/// The protocol a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// JSON over plain HTTP, by `google.api.http` rules.
    Rest,
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web over HTTP/1.1 or HTTP/2.
    GrpcWeb(GrpcWebForm),
    /// Messages over a WebSocket, by the rules of REST.
    WebSocket,
}

impl Protocol {
    /// Tells the protocol from the request's headers; the first that fits holds:
    ///
    /// | `content-type` | protocol |
    /// |---|---|
    /// | `application/grpc-web-text*` | gRPC-Web, as text |
    /// | `application/grpc-web*` | gRPC-Web |
    /// | `application/grpc*` | gRPC |
    /// | anything else, or none, and `upgrade: websocket` | WebSocket |
    /// | anything else, or none | REST |
    ///
    /// Parameters and case do not matter.
    pub fn detect(headers: &HeaderMap) -> Self {
        const GRPC: &[u8] = b"application/grpc";
        let content_type = headers.get(header::CONTENT_TYPE);
        let essence = content_type.map_or(&b""[..], |value| media_type(value.as_bytes()));
        if !starts_with(essence, GRPC) {
            return if websocket::is_asked_for(headers) { Self::WebSocket } else { Self::Rest };
        }
        match &essence[GRPC.len()..] {
            web if starts_with(web, b"-web-text") => Self::GrpcWeb(GrpcWebForm::Text),
            web if starts_with(web, b"-web") => Self::GrpcWeb(GrpcWebForm::Binary),
            [] | [b'+' | b';', ..] => Self::Grpc,
            _ => Self::Rest,
        }
    }
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.len() >= prefix.len() && text[..prefix.len()].eq_ignore_ascii_case(prefix)
}

/// The type and subtype of a `content-type`, without parameters.
pub(crate) fn media_type(content_type: &[u8]) -> &[u8] {
    let end = content_type.iter().position(|&b| b == b';').unwrap_or(content_type.len());
    content_type[..end].trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_tells_whatever_its_case_and_parameters() {
        for (content_type, protocol) in [
            ("application/grpc-web", Protocol::GrpcWeb(GrpcWebForm::Binary)),
            ("application/grpc-web+proto; charset=utf-8", Protocol::GrpcWeb(GrpcWebForm::Binary)),
            ("Application/gRPC-Web-Text", Protocol::GrpcWeb(GrpcWebForm::Text)),
            ("application/grpc", Protocol::Grpc),
            ("application/GRPC+proto", Protocol::Grpc),
            ("application/grpcx", Protocol::Rest),
            ("application/json", Protocol::Rest),
            ("text/application/grpc", Protocol::Rest),
        ] {
            let headers =
                HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())]);
            assert_eq!(Protocol::detect(&headers), protocol, "{content_type}");
        }
        assert_eq!(Protocol::detect(&HeaderMap::new()), Protocol::Rest);
    }

    #[test]
    fn an_upgrade_is_no_matter_of_grpc() {
        let detect = |upgrade: &'static str, content_type: &'static str| {
            Protocol::detect(&HeaderMap::from_iter([
                (header::UPGRADE, http::HeaderValue::from_static(upgrade)),
                (header::CONTENT_TYPE, http::HeaderValue::from_static(content_type)),
            ]))
        };
        assert_eq!(detect("websocket", ""), Protocol::WebSocket);
        assert_eq!(detect("WebSocket", "application/json"), Protocol::WebSocket);
        assert_eq!(detect("websocket", "application/grpc"), Protocol::Grpc);
        assert_eq!(detect("h2c", ""), Protocol::Rest);
    }
}
