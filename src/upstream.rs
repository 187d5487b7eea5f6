//! Upstreams: whatever answers gRPC over HTTP.
//!
//! An upstream is a tower service from gRPC requests to gRPC responses: length-prefixed messages
//! in the body, metadata in headers, the status in trailers. A tonic server is one as it is.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use tower::Service;

mod body;
mod in_process;

pub use body::RequestBody;
pub use in_process::InProcess;

/// The body of an upstream's answer.
pub type ResponseBody = tonic::body::Body;

/// Any error of a tower service or a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An upstream could not be asked, or its answer broke off before the head.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UpstreamError(#[source] pub BoxError);

/// What answers the calls of one schema.
#[derive(Clone)]
pub enum Upstream {
    /// A service in this process: no socket.
    InProcess(InProcess),
}

impl Upstream {
    /// A service in this process: a generated tonic server, tonic's `Routes`, or any other.
    pub fn in_process<S, B>(service: S) -> Self
    where
        S: Service<Request<tonic::body::Body>, Response = Response<B>> + Clone + Send + Sync,
        S: 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::InProcess(InProcess::new(service))
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InProcess(_) => f.write_str("InProcess"),
        }
    }
}

impl Service<Request<RequestBody>> for Upstream {
    type Response = Response<ResponseBody>;
    type Error = UpstreamError;
    type Future = UpstreamFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Each call waits for its own turn: one that is not ready must not block the others.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> UpstreamFuture {
        match self {
            Self::InProcess(service) => UpstreamFuture::InProcess(service.call(request)),
        }
    }
}

/// An answer on its way. Dropping it cancels the call.
pub enum UpstreamFuture {
    /// From a service in this process.
    InProcess(in_process::InProcessFuture),
}

impl Future for UpstreamFuture {
    type Output = Result<Response<ResponseBody>, UpstreamError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::InProcess(future) => Poll::Ready(ready!(future.as_mut().poll(cx))),
        }
    }
}
