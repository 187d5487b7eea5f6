//! One line for each request, when its answer begins. Never a path, a query, a body or a
//! header: any of them may hold what nobody else should read.

use std::{convert::Infallible, time::Instant};

use axum::body::Body;
use futures_util::TryFutureExt as _;
use http::{HeaderValue, Request, Response};
use tower::{Service, service_fn};

use crate::protocol::Protocol;

pub(super) fn wrap<S>(
    mut inner: S,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send,
    S::Future: Send,
{
    service_fn(move |request: Request<Body>| {
        let is_logged = tracing::enabled!(tracing::Level::DEBUG);
        let began = is_logged.then(Instant::now);
        let seen = is_logged.then(|| {
            let request_id = request.headers().get("x-request-id").cloned();
            let protocol = Protocol::detect(request.method(), request.uri(), request.headers());
            (request.method().clone(), protocol, request.version(), request_id)
        });
        // The router is always ready.
        inner.call(request).map_ok(move |response| {
            if let (Some(began), Some((method, protocol, version, request_id))) = (began, seen) {
                let text = |value: Option<&HeaderValue>| {
                    value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
                };
                tracing::debug!(
                    %method,
                    ?protocol,
                    ?version,
                    status = response.status().as_u16(),
                    grpc_status = text(response.headers().get("grpc-status")),
                    elapsed_us = began.elapsed().as_micros() as u64,
                    request_id = text(request_id.as_ref()),
                    "answered"
                );
            }
            response
        })
    })
}
