//! The one renderer of refusals: every layer that refuses a call answers through it, so that a
//! caller is always answered in its own protocol.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use prost::Message as _;

use super::{Codec, ConnectForm, Protocol, connect, grpc, grpc_web, rest};
use crate::{
    status::{Cause, Code, Refusal, Status},
    transcoding::Transcoder,
};

/// The answer that `refusal` is for a caller of `protocol`.
///
/// Details are rendered by `transcoder`'s types; without one, they stay encoded.
pub fn render(
    protocol: Protocol,
    refusal: &Refusal,
    transcoder: Option<&Transcoder>,
) -> Response<Bytes> {
    let (http_status, content_type, body) = match protocol {
        // Before a WebSocket is one, it is plain HTTP.
        Protocol::Rest | Protocol::WebSocket => {
            let mut json = Vec::with_capacity(128);
            put_status_json(&refusal.status, transcoder, &mut json);
            (refusal.http_status(), rest::JSON, Bytes::from(json))
        }
        Protocol::GrpcWeb(form, codec) => {
            let frame = grpc_web::trailers_frame(&refusal.status, refusal.headers());
            (rpc_http_status(refusal), form.content_type(codec), form.encode(frame))
        }
        Protocol::Grpc(codec) => {
            (rpc_http_status(refusal), grpc::content_type(codec), Bytes::new())
        }
        Protocol::Connect(form, codec) => return connect(form, codec, refusal, transcoder),
    };
    let mut response = Response::new(body);
    *response.status_mut() = http_status;
    let headers = response.headers_mut();
    if !matches!(protocol, Protocol::GrpcWeb(..)) {
        headers.extend(refusal.headers().clone());
    }
    headers.insert(header::CONTENT_TYPE, content_type);
    if matches!(protocol, Protocol::Rest | Protocol::WebSocket)
        && let Some(seconds) = retry_after_seconds(&refusal.status)
    {
        headers.entry(header::RETRY_AFTER).or_insert(HeaderValue::from(seconds));
    }
    if matches!(protocol, Protocol::Grpc(_)) {
        grpc::put_status(&refusal.status, headers);
    }
    response
}

/// A unary call tells its error in the body, under the HTTP status of its code; a stream in the
/// envelope that ends it.
fn connect(
    form: ConnectForm,
    codec: Codec,
    refusal: &Refusal,
    transcoder: Option<&Transcoder>,
) -> Response<Bytes> {
    let mut status = Cow::Borrowed(&refusal.status);
    let http_status = match refusal.cause {
        // What is wrong with the request as HTTP has it is HTTP's to tell, in every form. Callers
        // make this code of it.
        Cause::UnknownContentType | Cause::WrongMethod => {
            status.to_mut().code = Code::Unknown;
            refusal.http_status()
        }
        _ if form == ConnectForm::Stream => StatusCode::OK,
        Cause::UnknownRpc => refusal.http_status(),
        _ => status.code.http_status(),
    };
    let is_upstreams = matches!(refusal.cause, Cause::Upstream(_));
    let (metadata, headers) = match is_upstreams {
        true => (refusal.headers().clone(), HeaderMap::new()),
        false => (HeaderMap::new(), refusal.headers().clone()),
    };
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = http_status;
    *response.headers_mut() = headers;
    let headers = response.headers_mut();
    if form == ConnectForm::Stream {
        headers.insert(header::CONTENT_TYPE, form.content_type(codec));
        let end = connect::end_of_stream(&status, &metadata, transcoder);
        *response.body_mut() = end;
        return response;
    }
    connect::put_trailers(&metadata, headers);
    headers.insert(header::CONTENT_TYPE, rest::JSON);
    if let Some(seconds) = retry_after_seconds(&refusal.status) {
        headers.entry(header::RETRY_AFTER).or_insert(HeaderValue::from(seconds));
    }
    let mut json = Vec::with_capacity(128);
    connect::put_error(&status, transcoder, &mut json);
    *response.body_mut() = json.into();
    response
}

/// The media type of RFC 9457.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The answer that `refusal` is for a REST caller that asked for RFC 9457: `title` is that of the
/// HTTP status, `detail` the message; `code` and `details` are those of `google.rpc.Status`.
pub fn render_problem(refusal: &Refusal, transcoder: Option<&Transcoder>) -> Response<Bytes> {
    let mut response = render(Protocol::Rest, refusal, transcoder);
    let status = response.status();
    let mut json = b"{\"type\":\"about:blank\",\"title\":".to_vec();
    let title = status.canonical_reason().unwrap_or("Error");
    json.extend_from_slice(serde_json::Value::from(title).to_string().as_bytes());
    json.extend_from_slice(b",\"status\":");
    json.extend_from_slice(status.as_str().as_bytes());
    json.extend_from_slice(b",\"detail\":");
    let detail = serde_json::Value::from(&*refusal.status.message);
    json.extend_from_slice(detail.to_string().as_bytes());
    json.push(b',');
    // The members of the Status, behind its brace.
    let whole = response.body();
    json.extend_from_slice(whole.get(1..).unwrap_or_default());
    let content_type = HeaderValue::from_static(PROBLEM_JSON);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    *response.body_mut() = json.into();
    response
}

/// Appends a `google.rpc.Status` as JSON: `{"code":5,"message":"…","details":[…]}`.
pub fn put_status_json(status: &Status, transcoder: Option<&Transcoder>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"code\":");
    out.extend_from_slice(itoa::Buffer::new().format(status.code.number()).as_bytes());
    out.extend_from_slice(b",\"message\":");
    out.extend_from_slice(serde_json::Value::from(&*status.message).to_string().as_bytes());
    out.extend_from_slice(b",\"details\":[");
    for (index, detail) in status.details.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match transcoder {
            Some(transcoder) => transcoder.detail_to_json(detail, out),
            None => Transcoder::opaque_detail_to_json(detail, out),
        }
    }
    out.extend_from_slice(b"]}");
}

/// What a `google.rpc.RetryInfo` among the details says, in whole seconds, never too early.
fn retry_after_seconds(status: &Status) -> Option<u64> {
    /// The parts of it; a `google.protobuf.Duration` is one too.
    #[derive(Clone, PartialEq, prost::Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<Delay>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Delay {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }
    let mut details = status.details.iter();
    let info = details.find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.clone()).ok()?.retry_delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    Some(seconds.saturating_add(u64::from(delay.nanos > 0)))
}

/// RPC protocols tell the code in the body or in headers; only 415 is 415 everywhere.
fn rpc_http_status(refusal: &Refusal) -> StatusCode {
    match refusal.cause {
        Cause::UnknownContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        _ => StatusCode::OK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{protocol::GrpcWebForm, status::FieldViolation};

    const GRPC: Protocol = Protocol::Grpc(Codec::Proto);
    const WEB: Protocol = Protocol::GrpcWeb(GrpcWebForm::Binary, Codec::Proto);
    const CONNECT: Protocol = Protocol::Connect(ConnectForm::Unary, Codec::Proto);
    const CONNECT_STREAM: Protocol = Protocol::Connect(ConnectForm::Stream, Codec::Json);

    #[test]
    fn a_problem_is_rfc_9457() {
        let refusal = Refusal::new(Cause::UnknownPath, "no \"route\"");
        let response = render_problem(&refusal, None);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let json: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        let expected = serde_json::json!({
            "type": "about:blank", "title": "Not Found", "status": 404,
            "detail": "no \"route\"", "code": 5, "message": "no \"route\"", "details": [],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn retry_info_is_a_header_of_rest() {
        let retry_after = |value: &'static [u8], protocol| {
            let mut refusal = Refusal::new(Cause::Overload, "later");
            let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
            refusal.status.details.push(crate::status::Any { type_url, value: value.into() });
            let response = render(protocol, &refusal, None);
            response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned())
        };
        // 3 s; 1 s and 5 ns; 0 s; -1 s; nothing; not a message.
        assert_eq!(retry_after(b"\x0a\x02\x08\x03", Protocol::Rest).as_deref(), Some("3"));
        assert_eq!(retry_after(b"\x0a\x04\x08\x01\x10\x05", Protocol::Rest).as_deref(), Some("2"));
        assert_eq!(retry_after(b"\x0a\x00", Protocol::Rest).as_deref(), Some("0"));
        let negative = b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(retry_after(negative, Protocol::Rest), None);
        assert_eq!(retry_after(b"", Protocol::Rest), None);
        assert_eq!(retry_after(b"\xff", Protocol::Rest), None);
        assert_eq!(retry_after(b"\x0a\x02\x08\x03", GRPC), None);
    }

    #[test]
    fn each_protocol_is_answered_in_its_own_form() {
        let refusal = Refusal::new(Cause::RequestTooLarge, "too \"large\"");
        let rest = render(Protocol::Rest, &refusal, None);
        assert_eq!(rest.status(), 413);
        assert_eq!(&rest.body()[..], br#"{"code":8,"message":"too \"large\"","details":[]}"#);
        let web = render(WEB, &refusal, None);
        assert_eq!(web.status(), 200);
        assert!(web.body().ends_with(b"grpc-status:8\r\ngrpc-message:too \"large\"\r\n"));
        let grpc = render(GRPC, &refusal, None);
        assert_eq!(
            (grpc.status().as_u16(), &grpc.headers()["grpc-status"]),
            (200, &"8".parse().unwrap())
        );
        let connect = render(CONNECT, &refusal, None);
        let error = r#"{"code":"resource_exhausted","message":"too \"large\""}"#;
        assert_eq!((connect.status().as_u16(), &connect.body()[..]), (429, error.as_bytes()));
        assert_eq!(connect.headers()["content-type"], "application/json");
        let stream = render(CONNECT_STREAM, &refusal, None);
        assert_eq!((stream.status().as_u16(), stream.body()[0]), (200, 2));
        assert_eq!(&stream.body()[5..], format!("{{\"error\":{error}}}").as_bytes());
        assert_eq!(stream.headers()["content-type"], "application/connect+json");
    }

    #[test]
    fn an_unknown_content_type_is_415_everywhere() {
        let refusal = Refusal::new(Cause::UnknownContentType, "no");
        for protocol in [Protocol::Rest, GRPC, WEB, CONNECT, CONNECT_STREAM] {
            assert_eq!(render(protocol, &refusal, None).status(), 415);
        }
    }

    #[test]
    fn details_stay_encoded_without_types() {
        let violation = FieldViolation { field: "a".into(), description: "b".into() };
        let body = render(Protocol::Rest, &Refusal::bad_request(vec![violation]), None).into_body();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["details"][0]["value"], "CgYKAWESAWI=");
    }
}
