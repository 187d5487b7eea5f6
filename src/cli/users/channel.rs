//! The connection of `transom users`: HTTP/2 over TCP or TLS, made when it is first needed, and
//! kept alive.

use std::{path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose};
use http::{HeaderMap, Response, Uri};
use http_body_util::BodyExt as _;
use tonic::{
    body::Body,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tower::{ServiceExt as _, util::MapResponse};

use crate::protocol::grpc::DETAILS;

/// How long connecting may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a connection with open calls is pinged, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) type Transport = MapResponse<Channel, fn(Response<Body>) -> Response<Body>>;

/// A connection to `url` that is made with the first call.
pub(super) fn lazy(url: &Uri, ca_file: Option<&Path>) -> Result<Transport, String> {
    let told = |error: &dyn std::fmt::Display| format!("{url}: {error}");
    let mut endpoint = endpoint(url.clone());
    if url.scheme_str() == Some("https") {
        let tls = match ca_file {
            Some(file) => {
                let pem = std::fs::read(file);
                let pem = pem.map_err(|error| format!("{}: {error}", file.display()))?;
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
            }
            None => ClientTlsConfig::new().with_enabled_roots(),
        };
        endpoint = endpoint.tls_config(tls).map_err(|error| told(&error))?;
    }
    Ok(sound(endpoint.connect_lazy()))
}

pub(super) fn endpoint(url: Uri) -> Endpoint {
    Endpoint::from(url)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
}

/// tonic panics on details that are not base64: such answers have none.
pub(super) fn sound(channel: Channel) -> Transport {
    let sound_answer: fn(Response<Body>) -> Response<Body> = |mut answer| {
        drop_unsound_details(answer.headers_mut());
        answer.map(|body| {
            Body::new(body.map_frame(|mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    drop_unsound_details(trailers);
                }
                frame
            }))
        })
    };
    channel.map_response(sound_answer)
}

fn drop_unsound_details(headers: &mut HeaderMap) {
    // With padding or without, as tonic takes them.
    let is_sound = |value: &[u8]| {
        let unpadded = value.strip_suffix(b"==").or(value.strip_suffix(b"=")).unwrap_or(value);
        general_purpose::STANDARD_NO_PAD.decode(unpadded).is_ok()
    };
    if headers.get(DETAILS).is_some_and(|value| !is_sound(value.as_bytes())) {
        headers.remove(DETAILS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_base64_or_nothing() {
        for (details, is_kept) in [
            ("aGVsbG8=", true),
            ("aGVsbG8", true),
            ("", true),
            ("not base64!", false),
            ("aGVsbG8===", false),
            ("aGVsbG8 ", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(DETAILS, details.parse().unwrap());
            headers.insert("grpc-status", "5".parse().unwrap());
            drop_unsound_details(&mut headers);
            assert_eq!(headers.contains_key(DETAILS), is_kept, "{details}");
            // tonic reads it without a panic.
            assert!(tonic::Status::from_header_map(&headers).is_some());
        }
    }
}
