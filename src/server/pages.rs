//! The paths that are the server's own: probes, and the keys of tokens. They win over wildcards
//! of the gateway.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    response::IntoResponse,
    routing::{MethodRouter, get},
};
use http::{HeaderValue, Response, StatusCode, header};

use super::Readiness;
use crate::{
    config::Pages,
    protocol::{Protocol, refusal},
    status::{Cause, Refusal},
};

/// Tells the public keys of tokens, as a JSON Web Key Set (RFC 7517).
pub type Jwks = Arc<dyn Fn() -> String + Send + Sync>;

/// The probes and, where there are any, the keys, in front of `behind`, whose fallback is the
/// gateway.
pub fn router(behind: Router, readiness: Readiness, jwks: Option<Jwks>, pages: &Pages) -> Router {
    let ready = move || {
        let is_ready = readiness.is_ready();
        async move { probe(is_ready) }
    };
    let live = page(get(|| async { probe(true) }));
    let probes = [
        (&pages.livez, live),
        (&pages.readyz, page(get(ready.clone()))),
        (&pages.healthz, page(get(ready))),
    ];
    let keys = jwks.map(|jwks| (&pages.jwks, page(get(async move || key_set(jwks())))));
    let wanted = probes.into_iter().chain(keys).filter(|(path, _)| !path.is_empty());
    wanted.fold(behind, |router, (path, probe)| router.route(path, probe))
}

/// A page is read, with GET or HEAD.
pub(super) fn page(methods: MethodRouter) -> MethodRouter {
    methods
        .options(|| async { (StatusCode::NO_CONTENT, [(header::ALLOW, "GET, HEAD, OPTIONS")]) })
        .fallback(|| async {
            let allow = HeaderValue::from_static("GET, HEAD");
            let refusal = Refusal::new(Cause::WrongMethod, "this page is served with GET")
                .with_header(header::ALLOW, allow);
            refusal::render(Protocol::Rest, &refusal, None).map(Body::from)
        })
}

fn key_set(text: String) -> Response<Body> {
    // A verifier that meets a key it does not know asks again.
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, text).into_response()
}

fn probe(is_well: bool) -> Response<Body> {
    let (status, text) = match is_well {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    };
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}
