//! Protocols: what a caller speaks, told from the request's head, and its forms of everything.
//!
//! Each submodule turns one protocol's bytes and headers into neutral values and back. Nothing
//! here waits, reads a socket or knows the time.
//!
//! ```
//! use http::{HeaderMap, HeaderValue, header};
//! use transom::{protocol::{Protocol, refusal}, status::{Cause, Refusal}};
//!
//! # let (method, uri) = (http::Method::POST, http::Uri::default());
//! let mut headers = HeaderMap::new();
//! headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc-web+proto"));
//! let protocol = Protocol::detect(&method, &uri, &headers);
//!
//! // One refusal, told in the caller's own protocol.
//! let refusal = Refusal::new(Cause::UnknownRpc, "no such method");
//! let response = refusal::render(protocol, &refusal, None);
//! assert!(response.body().ends_with(b"grpc-status:12\r\ngrpc-message:no such method\r\n"));
//! assert_eq!(refusal::render(Protocol::Rest, &refusal, None).status(), 404);
//! ```

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

pub mod accept;
pub mod codec;
pub mod compression;
pub mod connect;
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

pub use codec::Codec;
pub use connect::ConnectForm;
pub use grpc_web::GrpcWebForm;

/// The protocol a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// JSON over plain HTTP, by `google.api.http` rules.
    Rest,
    /// gRPC over HTTP/2.
    Grpc(Codec),
    /// gRPC-Web over HTTP/1.1 or HTTP/2.
    GrpcWeb(GrpcWebForm, Codec),
    /// Connect over HTTP/1.1 or HTTP/2. What a `GET` is written in stands in its query, and is not
    /// told here.
    Connect(ConnectForm, Codec),
    /// Messages over a WebSocket, by the rules of REST.
    WebSocket,
}

impl Protocol {
    /// Tells the protocol from the request's head; the first that fits holds:
    ///
    /// | head | protocol |
    /// |---|---|
    /// | `content-type: application/grpc-web-text*` | gRPC-Web, as text |
    /// | `content-type: application/grpc-web*` | gRPC-Web |
    /// | `content-type: application/grpc*` | gRPC |
    /// | `content-type: application/connect+*` | Connect, a stream |
    /// | `GET` with `connect=v1` in the query, or with `connect-protocol-version` | Connect by `GET` |
    /// | `content-type: application/proto`, or `connect-protocol-version` | Connect, unary |
    /// | anything else, with `upgrade: websocket` | WebSocket |
    /// | anything else | REST |
    ///
    /// Parameters and case of the content type do not matter. A codec that is not served is told
    /// as protobuf: who checks the head refuses it.
    pub fn detect(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let (mut content_type, mut says_connect, mut says_upgrade) = (None, false, false);
        // Once over all, as `values` goes over them: this is asked of every call.
        for (name, value) in headers {
            if *name == header::CONTENT_TYPE {
                content_type = content_type.or(Some(value.as_bytes()));
            } else if *name == header::UPGRADE {
                says_upgrade = true;
            } else if *name == connect::PROTOCOL_VERSION {
                says_connect = true;
            }
        }
        let essence = media_type(content_type.unwrap_or_default());
        let subtype = strip(essence, b"application/").unwrap_or_default();
        if let Some(rest) = strip(subtype, b"grpc") {
            let codec = |suffix| Codec::of_suffix(suffix).unwrap_or(Codec::Proto);
            match (strip(rest, b"-web-text"), strip(rest, b"-web"), rest) {
                (Some(suffix), ..) => return Self::GrpcWeb(GrpcWebForm::Text, codec(suffix)),
                (_, Some(suffix), _) => return Self::GrpcWeb(GrpcWebForm::Binary, codec(suffix)),
                (_, _, [] | [b'+', ..]) => return Self::Grpc(codec(rest)),
                _ => {}
            }
        }
        if let Some(name) = strip(subtype, b"connect+") {
            return Self::Connect(ConnectForm::Stream, Codec::named(name).unwrap_or(Codec::Proto));
        }
        if *method == Method::GET && (says_connect || connect::is_get(uri.query())) {
            return Self::Connect(ConnectForm::Get, Codec::Proto);
        }
        match Codec::named(subtype) {
            Some(Codec::Proto) => Self::Connect(ConnectForm::Unary, Codec::Proto),
            codec if says_connect => {
                Self::Connect(ConnectForm::Unary, codec.unwrap_or(Codec::Proto))
            }
            _ if says_upgrade && websocket::is_asked_for(headers) => Self::WebSocket,
            _ => Self::Rest,
        }
    }
}

/// Every value of a header. Heads are short: a look at each name costs less than a hash.
pub(crate) fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &HeaderValue> {
    headers.iter().filter(move |(other, _)| **other == name).map(|(_, value)| value)
}

/// What stands behind `prefix`, in any case.
fn strip<'t>(text: &'t [u8], prefix: &[u8]) -> Option<&'t [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
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
    fn the_head_tells_whatever_its_case_and_parameters() {
        const VERSION: &str = "connect-protocol-version: 1";
        let web = Protocol::GrpcWeb;
        let connect = Protocol::Connect;
        for (line, field, protocol) in [
            ("POST /", "application/grpc-web", web(GrpcWebForm::Binary, Codec::Proto)),
            (
                "POST /",
                "application/grpc-web+proto; charset=utf-8",
                web(GrpcWebForm::Binary, Codec::Proto),
            ),
            ("POST /", "application/grpc-web+json", web(GrpcWebForm::Binary, Codec::Json)),
            ("POST /", "Application/gRPC-Web-Text", web(GrpcWebForm::Text, Codec::Proto)),
            ("POST /", "application/grpc-web-text+JSON", web(GrpcWebForm::Text, Codec::Json)),
            ("POST /", "application/grpc", Protocol::Grpc(Codec::Proto)),
            ("POST /", "application/GRPC+proto", Protocol::Grpc(Codec::Proto)),
            ("POST /", "application/grpc+json;x=y", Protocol::Grpc(Codec::Json)),
            ("POST /", "application/grpc+thrift", Protocol::Grpc(Codec::Proto)),
            ("POST /", "application/grpcx", Protocol::Rest),
            ("POST /", "application/json", Protocol::Rest),
            ("POST /", "text/application/grpc", Protocol::Rest),
            ("POST /", "application/connect+json", connect(ConnectForm::Stream, Codec::Json)),
            ("GET /", "Application/Connect+Proto", connect(ConnectForm::Stream, Codec::Proto)),
            ("POST /", "application/proto; a=b", connect(ConnectForm::Unary, Codec::Proto)),
            ("POST /", "application/protobuf", Protocol::Rest),
            ("POST /?connect=v1", "application/json", Protocol::Rest),
            ("GET /?x=y&connect=v1", "", connect(ConnectForm::Get, Codec::Proto)),
            ("GET /?connect=v2", "", Protocol::Rest),
            ("HEAD /?connect=v1", "", Protocol::Rest),
        ] {
            let (method, uri) = line.split_once(' ').unwrap();
            let (method, uri) = (method.parse().unwrap(), uri.parse().unwrap());
            let mut headers = HeaderMap::new();
            if !field.is_empty() {
                headers.insert(header::CONTENT_TYPE, field.parse().unwrap());
            }
            assert_eq!(Protocol::detect(&method, &uri, &headers), protocol, "{line} {field}");
            let (name, version) = VERSION.split_once(": ").unwrap();
            headers.insert(name, version.parse().unwrap());
            let said = match (protocol, &method, field) {
                (Protocol::Rest, &Method::GET, _) => connect(ConnectForm::Get, Codec::Proto),
                (Protocol::Rest, _, "application/json") => connect(ConnectForm::Unary, Codec::Json),
                (Protocol::Rest, ..) => connect(ConnectForm::Unary, Codec::Proto),
                _ => protocol,
            };
            assert_eq!(Protocol::detect(&method, &uri, &headers), said, "{line} {field}");
        }
    }

    #[test]
    fn an_upgrade_is_no_matter_of_grpc() {
        let detect = |upgrade: &'static str, content_type: &'static str| {
            let headers = HeaderMap::from_iter([
                (header::UPGRADE, http::HeaderValue::from_static(upgrade)),
                (header::CONTENT_TYPE, http::HeaderValue::from_static(content_type)),
            ]);
            Protocol::detect(&Method::GET, &Uri::from_static("/"), &headers)
        };
        assert_eq!(detect("websocket", ""), Protocol::WebSocket);
        assert_eq!(detect("WebSocket", "application/json"), Protocol::WebSocket);
        assert_eq!(detect("websocket", "application/grpc"), Protocol::Grpc(Codec::Proto));
        assert_eq!(detect("h2c", ""), Protocol::Rest);
    }
}
