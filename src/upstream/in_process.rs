//! A service in this process, called on the worker that has the request.

use std::{future::Future, pin::Pin, sync::Arc};

use http::{Request, Response};
use tower::{Service, ServiceExt as _};

use super::{BoxError, RequestBody, ResponseBody, UpstreamError};

pub(super) type InProcessFuture =
    Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, UpstreamError>> + Send>>;

/// A service, its type erased. Each call runs on a clone of it.
#[derive(Clone)]
pub struct InProcess {
    call: Arc<dyn Fn(Request<RequestBody>) -> InProcessFuture + Send + Sync>,
}

impl InProcess {
    pub(super) fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<tonic::body::Body>, Response = Response<B>> + Clone + Send + Sync,
        S: 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let call = move |request: Request<RequestBody>| -> InProcessFuture {
            let service = service.clone();
            let request = request.map(tonic::body::Body::new);
            Box::pin(async move {
                let response = service.oneshot(request).await;
                match response {
                    Ok(response) => Ok(response.map(tonic::body::Body::new)),
                    Err(error) => Err(UpstreamError(error.into())),
                }
            })
        };
        Self { call: Arc::new(call) }
    }

    pub(super) fn call(&self, request: Request<RequestBody>) -> InProcessFuture {
        (self.call)(request)
    }
}
