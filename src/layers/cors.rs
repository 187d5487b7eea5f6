//! Cross-origin resource sharing: preflights answered here, and headers on every answer, so
//! that a page can read a refusal too. Follows the Fetch standard.

use std::{convert::Infallible, time::Duration};

use axum::body::Body;
use futures_util::future::Either;
use http::{HeaderName, Method as Verb, Request, Response, header};
use tower::{Layer as _, Service, service_fn};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};

use crate::config::Cors;

/// What a page has to read of an answer's head.
const EXPOSED: [&str; 9] = [
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "x-request-id",
    "retry-after",
    "etag",
    // Compressed messages are read by the page, and so is what they are compressed by.
    "grpc-encoding",
    "connect-content-encoding",
    "content-encoding",
];

pub(super) fn wrap<S>(
    mut inner: S,
    cors: &Cors,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ use<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send,
    S::Future: Send,
{
    let mut shared = (!cors.origins.is_empty()).then(|| layer(cors).layer(inner.clone()));
    service_fn(move |request: Request<Body>| {
        // tower-http takes every OPTIONS for a preflight; only a browser's is one.
        let is_plain_options = request.method() == Verb::OPTIONS
            && !request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        match &mut shared {
            // Boxed: with no origins to share with, which is the default, no request has room for it.
            Some(shared) if !is_plain_options => Either::Left(Box::pin(shared.call(request))),
            _ => Either::Right(inner.call(request)),
        }
    })
}

fn layer(cors: &Cors) -> CorsLayer {
    let exposed = EXPOSED.into_iter().chain(cors.expose.iter().map(String::as_str));
    // Names were checked with the configuration.
    let exposed = exposed.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok());
    CorsLayer::new()
        .allow_origin(origins(cors))
        .allow_credentials(cors.credentials)
        // Whoever may call may call every method, with whatever metadata it has.
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::list(exposed))
        .max_age(Duration::from_secs(cors.max_age_s))
}

fn origins(cors: &Cors) -> AllowOrigin {
    if cors.is_open() {
        return AllowOrigin::any();
    }
    let cors = cors.clone();
    AllowOrigin::predicate(move |origin, _| cors.allows(origin))
}
