//! Metadata: which headers go on to the upstream, and which come back.
//!
//! Callers cannot speak in the gateway's name: what identifies a caller is written by the
//! gateway alone, and REST callers forward a short list of headers, not whatever they like.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Protocol, grpc, values};
use crate::status::{Cause, Refusal};

/// What a REST caller's request forwards.
static REST_FORWARDED: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    REQUEST_ID,
];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names that only the gateway writes, compared with `_` read as `-`.
const RESERVED_PREFIX: &str = "x-transom-";

/// Hop-by-hop fields (RFC 9110, 7.6.1) and those of the caller's own hop.
const HOP: [&str; 13] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "cookie",
    "http2-settings",
    "expect",
];

/// The metadata a request forwards. Repeated values keep their order.
pub fn from_caller(protocol: Protocol, headers: &HeaderMap) -> Result<HeaderMap, Refusal> {
    // With what a call adds of its own, as large as the smallest map can be: hardly one is larger.
    let mut metadata = HeaderMap::with_capacity(6);
    let of_connection = named_by_connection(headers);
    if of_connection.len() > CONNECTION_LIMIT {
        let message = format!("the header connection names more than {CONNECTION_LIMIT} headers");
        return Err(Refusal::new(Cause::Malformed, message));
    }
    for (name, value) in headers {
        let forwarded = match protocol {
            Protocol::Rest | Protocol::WebSocket => REST_FORWARDED.contains(name),
            Protocol::Connect(..) if is_connects_own(name.as_str()) => false,
            Protocol::Grpc(_) | Protocol::GrpcWeb(..) | Protocol::Connect(..) => {
                is_rpc_metadata(name.as_str())
            }
        };
        if !forwarded || names(&of_connection, name) {
            continue;
        }
        if name.as_str().ends_with("-bin") {
            put_binary(name, value, &mut metadata)?;
        } else {
            metadata.append(name.clone(), value.clone());
        }
    }
    Ok(metadata)
}

/// The upstream's metadata as it goes back to the caller.
pub fn to_caller(mut headers: HeaderMap) -> HeaderMap {
    let of_connection = named_by_connection(&headers);
    let is_kept = |name: &HeaderName| goes_to_caller(name) && !names(&of_connection, name);
    // Most heads have a type beside metadata, and nothing else: without that, the map is good as
    // it is.
    if headers.keys().all(|name| *name == header::CONTENT_TYPE || is_kept(name)) {
        headers.remove(header::CONTENT_TYPE);
        return headers;
    }
    let mut metadata = HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| is_kept(name)) {
        metadata.append(name.clone(), value.clone());
    }
    metadata
}

fn goes_to_caller(name: &HeaderName) -> bool {
    let text = name.as_str();
    !text.starts_with("grpc-")
        && !text.starts_with("content-")
        && !HOP.contains(&text)
        && *name != header::SET_COOKIE
        // The caller's own, or the one that its call was given.
        && *name != REQUEST_ID
        && *name != header::DATE
}

fn is_rpc_metadata(text: &str) -> bool {
    let of_this_hop = HOP.contains(&text)
        || text.starts_with("content-")
        || text.starts_with("grpc-")
        || text.starts_with("access-control-")
        || is_of_proxies(text)
        || matches!(text, "x-grpc-web" | "x-server-timeout" | "accept" | "accept-encoding");
    !of_this_hop && !is_reserved(text)
}

/// Who called, as proxies tell each other: nobody in front of this one is trusted to say so.
fn is_of_proxies(name: &str) -> bool {
    let is = |word: &str| {
        name.len() == word.len()
            && name.bytes().zip(word.bytes()).all(|(a, b)| a == b || (a == b'_' && b == b'-'))
    };
    is("forwarded")
        || is("x-real-ip")
        || name.get(..12).is_some_and(|start| {
            matches!(start, "x-forwarded-" | "x_forwarded_" | "x-forwarded_" | "x_forwarded-")
        })
}

fn is_reserved(name: &str) -> bool {
    name.len() >= RESERVED_PREFIX.len()
        && name
            .bytes()
            .zip(RESERVED_PREFIX.bytes())
            .all(|(byte, reserved)| byte == reserved || (byte == b'_' && reserved == b'-'))
}

/// So many headers `connection` may name: each header is compared with each of them.
const CONNECTION_LIMIT: usize = 64;

/// What `connection` lists, fields of this hop only; one more than the limit where there are more.
fn named_by_connection(headers: &HeaderMap) -> Vec<&str> {
    if !headers.keys().any(|name| *name == header::CONNECTION) {
        return Vec::new();
    }
    let lists = values(headers, header::CONNECTION).filter_map(|v| v.to_str().ok());
    let names = lists.flat_map(|value| value.split(',')).map(str::trim);
    names.take(CONNECTION_LIMIT + 1).collect()
}

fn names(listed: &[&str], name: &HeaderName) -> bool {
    listed.iter().any(|listed| listed.eq_ignore_ascii_case(name.as_str()))
}

/// What only Connect's own hop means something to.
fn is_connects_own(name: &str) -> bool {
    name.starts_with("connect-") || name.starts_with("trailer-")
}

/// Several values that somebody joined by commas are several again: not every upstream parts them.
fn put_binary(
    name: &HeaderName,
    value: &HeaderValue,
    metadata: &mut HeaderMap,
) -> Result<(), Refusal> {
    let malformed = || Refusal::new(Cause::Malformed, format!("the header {name} is not base64"));
    let check = |value: &[u8]| grpc::decode_bin(value).map(|_| ()).ok_or_else(malformed);
    if !value.as_bytes().contains(&b',') {
        check(value.as_bytes())?;
        metadata.append(name.clone(), value.clone());
        return Ok(());
    }
    let parts = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    for part in parts.filter(|part| !part.is_empty()) {
        check(part)?;
        metadata.append(name.clone(), HeaderValue::from_bytes(part).map_err(|_| malformed())?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Codec, ConnectForm};

    const GRPC: Protocol = Protocol::Grpc(Codec::Proto);
    const WEB: Protocol = Protocol::GrpcWeb(crate::protocol::GrpcWebForm::Binary, Codec::Proto);
    const CONNECT: Protocol = Protocol::Connect(ConnectForm::Unary, Codec::Proto);

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn sorted(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn rest_forwards_a_short_list() {
        let sent = headers(&[
            ("authorization", "Bearer x"),
            ("x-request-id", "1"),
            ("grpc-metadata-role", "admin"),
            ("x-user-id", "1"),
            ("x_request_id", "2"),
            ("cookie", "a=b"),
            ("host", "h"),
        ]);
        let metadata = from_caller(Protocol::Rest, &sent).unwrap();
        assert_eq!(sorted(&metadata), ["authorization", "x-request-id"]);
    }

    #[test]
    fn rpc_protocols_forward_all_but_their_hop_and_the_reserved() {
        let sent = headers(&[
            ("x-a", "1"),
            ("x-a", "2"),
            ("trace-bin", "AQI"),
            ("te", "trailers"),
            ("host", "h"),
            ("content-type", "application/grpc"),
            ("grpc-timeout", "1S"),
            ("cookie", "a=b"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("x-transom-subject", "root"),
            ("x_transom_subject", "root"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x_forwarded_host", "h"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("x-grpc-web", "1"),
        ]);
        let metadata = from_caller(GRPC, &sent).unwrap();
        assert_eq!(sorted(&metadata), ["trace-bin", "x-a"]);
        let repeated: Vec<_> = metadata.get_all("x-a").iter().collect();
        assert_eq!(repeated, ["1", "2"]);
    }

    #[test]
    fn what_connection_names_goes_no_further_and_is_few() {
        let sent = headers(&[("authorization", "Bearer x"), ("connection", "Authorization")]);
        for protocol in [Protocol::Rest, GRPC, WEB, CONNECT] {
            assert_eq!(from_caller(protocol, &sent).unwrap(), HeaderMap::new());
        }
        let mut many = HeaderMap::new();
        many.insert("connection", ["a"; CONNECTION_LIMIT].join(",").parse().unwrap());
        assert!(from_caller(GRPC, &many).is_ok());
        many.append("connection", HeaderValue::from_static("b"));
        assert_eq!(from_caller(GRPC, &many).unwrap_err().cause, Cause::Malformed);
    }

    #[test]
    fn binary_values_must_decode() {
        let bad = headers(&[("x-bin", "AQI=, !")]);
        assert_eq!(from_caller(WEB, &bad).unwrap_err().cause, Cause::Malformed);
    }

    #[test]
    fn joined_binary_values_are_parted() {
        let joined = headers(&[("x-bin", "AQI=,AQI, "), ("x-bin", "AA"), ("y-bin", "")]);
        let metadata = from_caller(WEB, &joined).unwrap();
        assert_eq!(metadata.get_all("x-bin").iter().collect::<Vec<_>>(), ["AQI=", "AQI", "AA"]);
        assert_eq!(metadata["y-bin"], "");
    }

    #[test]
    fn connects_own_headers_are_of_its_hop() {
        let sent = headers(&[
            ("connect-protocol-version", "1"),
            ("connect-timeout-ms", "5"),
            ("trailer-x", "1"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("x-a", "1"),
        ]);
        assert_eq!(sorted(&from_caller(CONNECT, &sent).unwrap()), ["x-a"]);
    }

    #[test]
    fn cookies_and_framing_never_come_back() {
        let sent = headers(&[
            ("x-a", "1"),
            ("set-cookie", "a=b"),
            ("grpc-status", "0"),
            ("content-length", "3"),
            ("transfer-encoding", "chunked"),
            ("x-request-id", "theirs"),
        ]);
        assert_eq!(sorted(&to_caller(sent)), ["x-a"]);
    }
}
