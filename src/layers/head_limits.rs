//! What a request's head may be: how many fields, how many bytes, which methods and hosts.
//!
//! hyper lets these pass; RFC 9112 and 9113 do not, or an attacker could use them.

use std::{convert::Infallible, future::ready};

use axum::body::Body;
use futures_util::future::Either;
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, Version, header};
use tower::{Service, service_fn};

use crate::{
    config::{Limits, Listener},
    protocol::{Protocol, refusal, values},
    status::{Cause, Refusal},
};

/// What each field costs beside its bytes: HPACK's accounting, RFC 7541, 4.1.
const FIELD_OVERHEAD_BYTES: usize = 32;

/// What is served somewhere; what a path has, only the routes know.
const SERVED: HeaderValue =
    HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");

#[derive(Clone, Debug)]
pub(super) struct HeadLimits {
    target_limit_bytes: usize,
    header_count_limit: usize,
    header_list_bytes: usize,
}

impl HeadLimits {
    pub(super) fn new(limits: &Limits, listener: &Listener) -> Self {
        Self {
            target_limit_bytes: limits.target_limit_bytes,
            header_count_limit: limits.header_count_limit,
            header_list_bytes: usize::try_from(listener.header_list_bytes).unwrap_or(usize::MAX),
        }
    }

    fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let headers = request.headers();
        if headers.len() > self.header_count_limit {
            let limit = self.header_count_limit;
            let message = format!("the request has more than {limit} header fields");
            return Err(Refusal::new(Cause::HeadersTooLarge, message));
        }
        let field = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
            name.as_str().len() + value.len() + FIELD_OVERHEAD_BYTES
        };
        if headers.iter().map(field).sum::<usize>() > self.header_list_bytes {
            let limit = self.header_list_bytes;
            let message = format!("the request's headers are over {limit} bytes");
            return Err(Refusal::new(Cause::HeadersTooLarge, message));
        }
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if target > self.target_limit_bytes {
            let limit = self.target_limit_bytes;
            let message = format!("the request target is over {limit} bytes");
            return Err(Refusal::new(Cause::TargetTooLong, message));
        }
        if matches!(*request.method(), Verb::CONNECT | Verb::TRACE) {
            let message = format!("{} is not served", request.method());
            let refusal = Refusal::new(Cause::WrongMethod, message);
            return Err(refusal.with_header(header::ALLOW, SERVED));
        }
        check_host(request)
    }
}

/// Exactly one host, and one that both places agree on.
fn check_host<B>(request: &Request<B>) -> Result<(), Refusal> {
    let malformed = |message: &'static str| Err(Refusal::new(Cause::Malformed, message));
    let mut hosts = host_values(request.headers());
    let host = hosts.next();
    if hosts.next().is_some() {
        return malformed("the request has several hosts");
    }
    let authority = request.uri().authority().map(|authority| authority.as_str());
    if request.uri().scheme_str().is_some_and(|scheme| !matches!(scheme, "http" | "https")) {
        return malformed("the request's scheme is neither http nor https");
    }
    match (request.version(), host, authority) {
        (Version::HTTP_11, None, _) | (Version::HTTP_2, None, None) => {
            malformed("the request has no host")
        }
        (_, Some(host), Some(authority)) if !authority.as_bytes().eq_ignore_ascii_case(host) => {
            malformed("the request has two different hosts")
        }
        (_, _, Some(authority)) if authority.contains('@') => {
            malformed("user information is not allowed in the host")
        }
        _ => Ok(()),
    }
}

fn host_values(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    values(headers, header::HOST).map(|value| value.as_bytes())
}

pub(super) fn wrap<S>(
    mut inner: S,
    limits: HeadLimits,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send,
    S::Future: Send,
{
    service_fn(move |request: Request<Body>| match limits.check(&request) {
        Ok(()) => Either::Left(inner.call(request)),
        Err(refusal) => {
            let protocol = Protocol::detect(request.method(), request.uri(), request.headers());
            let refused = refusal::render(protocol, &refusal, None).map(Body::from);
            Either::Right(ready(Ok(refused)))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(build: impl Fn(http::request::Builder) -> http::request::Builder) -> Option<Cause> {
        let limits =
            HeadLimits { target_limit_bytes: 10, header_count_limit: 3, header_list_bytes: 150 };
        let request = build(Request::builder().uri("/").header("host", "a")).body(()).unwrap();
        limits.check(&request).err().map(|refusal| refusal.cause)
    }

    #[test]
    fn each_limit_bites() {
        assert_eq!(check(|r| r), None);
        assert_eq!(check(|r| r.uri("/123456789")), None);
        assert_eq!(check(|r| r.uri("/1234?6789a")), Some(Cause::TargetTooLong));
        let fields = |r: http::request::Builder| r.header("a", "").header("b", "").header("c", "");
        assert_eq!(check(fields), Some(Cause::HeadersTooLarge));
        assert_eq!(check(|r| r.header("a", "x".repeat(100))), Some(Cause::HeadersTooLarge));
        assert_eq!(check(|r| r.method("TRACE")), Some(Cause::WrongMethod));
    }

    #[test]
    fn a_request_has_one_host() {
        assert_eq!(check(|r| r.header("host", "a")), Some(Cause::Malformed));
        assert_eq!(check(|r| r.uri("http://b/").version(Version::HTTP_2)), Some(Cause::Malformed));
        assert_eq!(check(|r| r.uri("javascript://a/")), Some(Cause::Malformed));
        assert_eq!(check(|r| r.uri("http://A/").version(Version::HTTP_2)), None);
        let no_host = |version| Request::builder().version(version).body(()).unwrap();
        assert!(check_host(&no_host(Version::HTTP_11)).is_err());
        assert!(check_host(&no_host(Version::HTTP_2)).is_err());
        assert!(check_host(&no_host(Version::HTTP_10)).is_ok());
    }
}
