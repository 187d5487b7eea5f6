//! Layers: what happens to every request, page or call, before the router.
//!
//! They wrap futures with combinators, not with `async` blocks: a block that awaits what it has
//! captured has room for it twice, and that doubles with each layer.

use std::convert::Infallible;

use axum::body::Body;
use http::{Request, Response};
use tower::{Service, ServiceBuilder, layer::layer_fn};

use crate::config::Config;

mod access_log;
mod cors;
mod head_limits;
mod panics;
mod request_id;

/// The layers around `inner`, outermost first.
pub fn stack<S>(
    inner: S,
    config: &Config,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
+ Clone
+ Send
+ 'static
+ use<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    let head_limits = head_limits::HeadLimits::new(&config.limits, &config.listener);
    let cors = config.cors.clone();
    ServiceBuilder::new()
        // Outside everything that can answer: each answer has the id, refusals included.
        .layer(layer_fn(request_id::wrap))
        // Outside everything else that can answer: a page may read every answer, refusals included.
        .layer(layer_fn(move |inner| cors::wrap(inner, &cors)))
        // Outside panics and limits: what they answer is logged too.
        .layer(layer_fn(access_log::wrap))
        // Outside everything of ours that could panic.
        .layer(layer_fn(panics::wrap))
        // First look at the request: before anything is routed or kept for it.
        .layer(layer_fn(move |inner| head_limits::wrap(inner, head_limits.clone())))
        .service(inner)
}
