//! Calls go to the gateway, and all that may be a page to the router.

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body};
use futures_util::{TryFutureExt as _, future::Either};
use http::{Request, Response};
use tower::{Service, service_fn};

use crate::{config::Pages, gateway::Gateway, protocol::Protocol};

/// The paths of health and reflection, which gRPC fixes.
const RPC_PREFIX: &str = "/grpc.";

/// `router`, whose fallback is `gateway` too, for what is one of `pages`. A fallback of axum's
/// copies the path into the request's extensions and boxes the call twice; only pages pay that.
pub fn front(
    mut router: Router,
    pages: &Pages,
    mut gateway: Gateway,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ use<> {
    // Cloned with every call.
    let pages = Arc::new(pages.clone());
    service_fn(move |request: Request<Body>| {
        let path = request.uri().path();
        // Health and reflection speak gRPC alone; whoever else asks is told so by the gateway.
        let detect = || Protocol::detect(request.method(), request.uri(), request.headers());
        let is_rpc = path.starts_with(RPC_PREFIX) && matches!(detect(), Protocol::Grpc(_));
        match is_rpc || pages.page_at(path).is_some() {
            // Boxed, so that calls have no room for it.
            true => Either::Left(Box::pin(router.call(request))),
            false => Either::Right(gateway.call(request).map_ok(|answer| answer.map(Body::new))),
        }
    })
}
