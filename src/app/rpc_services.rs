//! What every gRPC server has for its callers: `grpc.health.v1` and server reflection.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::{ServiceExt as _, service_fn};

use crate::server::Readiness;

/// Health and reflection of a set of services that may change.
#[derive(Clone)]
pub(super) struct RpcServices {
    health: HealthReporter,
    health_routes: Routes,
    reflection_routes: Arc<ArcSwap<Routes>>,
    drain: CancellationToken,
}

impl RpcServices {
    pub(super) async fn new() -> Self {
        let (health, service) = tonic_health::server::health_reporter();
        // tonic-health takes a server for well until it is told otherwise.
        health.set_service_status("", ServingStatus::NotServing).await;
        Self {
            health,
            health_routes: Routes::new(service),
            reflection_routes: Arc::new(ArcSwap::from_pointee(Routes::default())),
            drain: CancellationToken::new(),
        }
    }

    /// Describes these services from now on.
    pub(super) fn describe(&self, services: &[String], descriptor_sets: &[Bytes]) {
        let builder = || {
            let mut builder = tonic_reflection::server::Builder::configure();
            for service in services {
                builder = builder.with_service_name(service);
            }
            descriptor_sets
                .iter()
                .fold(builder, |builder, set| builder.register_encoded_file_descriptor_set(set))
        };
        match (builder().build_v1(), builder().build_v1alpha()) {
            (Ok(v1), Ok(v1alpha)) => {
                let routes = Routes::new(v1).add_service(v1alpha);
                self.reflection_routes.store(Arc::new(routes));
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "there is no server reflection");
            }
        }
    }

    /// Tells health as readiness is, for as long as it is polled. `services` are asked for by
    /// name; the server as a whole by the empty name.
    pub(super) async fn follow(&self, readiness: &Readiness, services: impl Fn() -> Vec<String>) {
        loop {
            for (ready, status) in
                [(false, ServingStatus::NotServing), (true, ServingStatus::Serving)]
            {
                if readiness.is_ready() == ready {
                    let services = services();
                    for service in services.iter().map(String::as_str).chain([""]) {
                        self.health.set_service_status(service, status).await;
                    }
                    readiness.becomes(!ready).await;
                }
            }
        }
    }

    /// Ends every open stream with UNAVAILABLE: a watch of health would last for ever.
    pub(super) fn end_streams(&self) {
        self.drain.cancel();
    }

    /// The routes, for a router.
    pub(super) fn router(&self) -> Router {
        let (routes, drain) = (self.health_routes.clone(), self.drain.clone());
        let health = service_fn(move |request: Request<Body>| {
            answered(routes.clone(), request, drain.clone())
        });
        let (reflection, drain) = (Arc::clone(&self.reflection_routes), self.drain.clone());
        let reflection = service_fn(move |request: Request<Body>| {
            answered(Routes::clone(&reflection.load()), request, drain.clone())
        });
        Router::new()
            .route_service("/grpc.health.v1.Health/{method}", health)
            .route_service("/grpc.reflection.v1.ServerReflection/{method}", reflection.clone())
            .route_service("/grpc.reflection.v1alpha.ServerReflection/{method}", reflection)
    }
}

async fn answered(
    routes: Routes,
    request: Request<Body>,
    drain: CancellationToken,
) -> Result<Response<Body>, Infallible> {
    let Ok(response) = routes.oneshot(request).await;
    let drained = Box::pin(drain.cancelled_owned());
    Ok(response.map(|inner| Body::new(UntilDrained { inner, drained, is_over: false })))
}

/// A body that ends with UNAVAILABLE when streams are to end.
struct UntilDrained {
    inner: tonic::body::Body,
    drained: Pin<Box<WaitForCancellationFutureOwned>>,
    is_over: bool,
}

impl http_body::Body for UntilDrained {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let next = Pin::new(&mut self.inner).poll_frame(cx);
        if next.is_ready() || self.drained.as_mut().poll(cx).is_pending() {
            return next;
        }
        self.is_over = true;
        let mut trailers = HeaderMap::new();
        tonic::Status::unavailable("The server is stopping").add_header(&mut trailers)?;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }
}
