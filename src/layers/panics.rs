//! A panic costs one call: the caller is told INTERNAL in its own protocol, and nothing of why.

use std::{
    convert::Infallible,
    future::ready,
    panic::{AssertUnwindSafe, catch_unwind},
};

use axum::body::Body;
use futures_util::{FutureExt as _, future::Either};
use http::{Request, Response};
use tower::{Service, service_fn};

use crate::{
    protocol::{Protocol, refusal},
    status::{Cause, Refusal},
};

pub(super) fn wrap<S>(
    mut inner: S,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send,
    S::Future: Send,
{
    service_fn(move |request: Request<Body>| {
        let protocol = Protocol::detect(request.method(), request.uri(), request.headers());
        // What a panicking call held is dropped with it; the rest is shared and immutable.
        let answer = match catch_unwind(AssertUnwindSafe(|| inner.call(request))) {
            Ok(answer) => Either::Left(AssertUnwindSafe(answer).catch_unwind()),
            Err(panic) => Either::Right(ready(Err(panic))),
        };
        answer.map(move |answer| {
            answer.unwrap_or_else(|_| {
                let refusal = Refusal::new(Cause::Internal, "an internal error occurred");
                tracing::error!("a call panicked");
                Ok(refusal::render(protocol, &refusal, None).map(Body::from))
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_in_the_callers_protocol() {
        async fn panicking(_: Request<Body>) -> Result<Response<Body>, Infallible> {
            panic!("a secret")
        }
        for (content_type, status, body) in [
            (
                "application/json",
                500,
                "{\"code\":13,\"message\":\"an internal error occurred\",\"details\":[]}",
            ),
            (
                "application/proto",
                500,
                "{\"code\":\"internal\",\"message\":\"an internal error occurred\"}",
            ),
            (
                "application/grpc-web",
                200,
                "grpc-status:13\r\ngrpc-message:an internal error occurred\r\n",
            ),
        ] {
            let mut request = Request::new(Body::empty());
            request.headers_mut().insert("content-type", content_type.parse().unwrap());
            let response = wrap(service_fn(panicking)).oneshot(request).await.unwrap();
            assert_eq!(response.status(), status);
            let answer = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
            assert!(answer.ends_with(body.as_bytes()), "{answer:?}");
        }
    }
}
