//! Upstreams: whatever answers gRPC over HTTP.
//!
//! An upstream is a tower service from gRPC requests to gRPC responses: length-prefixed messages
//! in the body, metadata in headers, the status in trailers. A tonic server is one as it is; a
//! service behind a socket is another.
//!
//! ```
//! use transom::{config, upstream::Upstream};
//!
//! let options = config::Upstream {
//!     url: "http://127.0.0.1:50051".to_owned(),
//!     connect_ms: 500,
//!     ..config::Upstream::default()
//! };
//! let upstream = Upstream::remote(&options)?; // nothing is connected yet
//! # Ok::<_, transom::upstream::RemoteError>(())
//! ```

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower::Service;

mod body;
mod error;
pub mod reflection;
mod remote;
pub mod schema_source;
mod service;

pub use body::{RequestBody, ResponseBody};
pub use error::UpstreamError;
pub use remote::{Remote, RemoteBody, RemoteCall, RemoteError};
pub use service::ErasedService;

use crate::config;

/// Any error of a tower service or a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What answers the calls of one schema.
#[derive(Clone)]
pub enum Upstream {
    /// A tower service: a tonic server in this process, or any other.
    Service(ErasedService),
    /// A service behind HTTP/2 connections.
    Remote(Remote),
}

impl Upstream {
    /// A tower service: a generated tonic server, tonic's `Routes`, a tonic `Channel`.
    pub fn service<S, B>(service: S) -> Self
    where
        S: Service<Request<tonic::body::Body>, Response = Response<B>> + Clone + Send + Sync,
        S: 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::Service(ErasedService::new(service))
    }

    /// A service at `http://HOST:PORT` or `https://HOST:PORT`. Nothing is connected before the
    /// first call.
    pub fn remote(options: &config::Upstream) -> Result<Self, RemoteError> {
        Remote::new(options).map(Self::Remote)
    }
}

impl Upstream {
    /// Calls it. Each call waits for its own turn: one that is not ready must not block the others.
    pub fn ask(&self, request: Request<RequestBody>) -> UpstreamFuture {
        match self {
            Self::Service(service) => UpstreamFuture(Asked::Service(service.call(request))),
            Self::Remote(remote) => UpstreamFuture(Asked::Remote(remote.call(request))),
        }
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service(_) => f.write_str("Service"),
            Self::Remote(remote) => f.debug_tuple("Remote").field(&remote.address()).finish(),
        }
    }
}

impl Service<Request<RequestBody>> for Upstream {
    type Response = Response<ResponseBody>;
    type Error = UpstreamError;
    type Future = UpstreamFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> UpstreamFuture {
        self.ask(request)
    }
}

/// An answer on its way. Dropping it cancels the call.
pub struct UpstreamFuture(Asked);

enum Asked {
    Service(service::CallFuture),
    Remote(RemoteCall),
}

impl Future for UpstreamFuture {
    type Output = Result<Response<ResponseBody>, UpstreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Asked::Service(answer) => answer.as_mut().poll(cx),
            Asked::Remote(answer) => Pin::new(answer).poll(cx),
        }
    }
}
