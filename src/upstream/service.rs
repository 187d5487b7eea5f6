//! A tower service as an upstream: a tonic server in this process, called on the worker that has
//! the request; or a tonic `Channel`.

use std::{future::Future, pin::Pin, sync::Arc};

use futures_util::FutureExt as _;
use http::{Request, Response};
use tower::{Service, ServiceExt as _};

use super::{BoxError, RequestBody, ResponseBody, UpstreamError};

pub(super) type CallFuture =
    Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, UpstreamError>> + Send>>;

/// A service, its type erased. Each call runs on a clone of it.
#[derive(Clone)]
pub struct ErasedService {
    call: Arc<dyn Fn(Request<RequestBody>) -> CallFuture + Send + Sync>,
}

impl ErasedService {
    pub(super) fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<tonic::body::Body>, Response = Response<B>> + Clone + Send + Sync,
        S: 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let call = move |request: Request<RequestBody>| -> CallFuture {
            let service = service.clone();
            let request = request.map(tonic::body::Body::new);
            Box::pin(service.oneshot(request).map(|answer| match answer {
                Ok(response) => {
                    Ok(response.map(|body| ResponseBody::Service(tonic::body::Body::new(body))))
                }
                Err(error) => Err(UpstreamError::from_service(&error.into())),
            }))
        };
        Self { call: Arc::new(call) }
    }

    pub(super) fn call(&self, request: Request<RequestBody>) -> CallFuture {
        (self.call)(request)
    }
}
