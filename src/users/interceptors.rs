//! Interceptors of the service, as tower layers on it: what is done with every call, whatever its
//! method. They see gRPC over HTTP, and answer in it.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures_util::future::BoxFuture;
use http::{Request, Response, header};
use tonic::{body::Body, server::NamedService};
use tower::{Layer, Service};

use super::auth::{AuthService, KeyRing, invalid_token};

/// The methods that take no token: without them nobody would have one.
const PUBLIC: [&str; 3] = [
    "/user.v1.UserService/CreateUser",
    "/auth.v1.AuthService/Login",
    "/auth.v1.AuthService/Refresh",
];

/// Refuses calls without a good token, but those of public methods. A good one's
/// [`Claims`](crate::jwt::Claims) are in the request's extensions.
#[derive(Clone, Debug)]
pub struct Authentication(Option<Arc<KeyRing>>);

impl Authentication {
    /// Tokens that `auth` has signed.
    pub fn by(auth: &AuthService) -> Self {
        Self(Some(auth.keys()))
    }

    /// Nobody is asked for a token.
    pub fn off() -> Self {
        Self(None)
    }
}

impl<S> Layer<S> for Authentication {
    type Service = Authenticated<S>;

    fn layer(&self, inner: S) -> Authenticated<S> {
        Authenticated { inner, keys: self.0.clone() }
    }
}

/// See [`Authentication`].
#[derive(Clone, Debug)]
pub struct Authenticated<S> {
    inner: S,
    keys: Option<Arc<KeyRing>>,
}

impl<S, B> Service<Request<B>> for Authenticated<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(keys) = self.keys.clone().filter(|_| !PUBLIC.contains(&request.uri().path()))
        else {
            return Box::pin(self.inner.call(request));
        };
        // The service that was ready, and not its clone.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let claims = match bearer(&request) {
                Some(token) => keys.verify(token).await.inspect_err(|error| {
                    tracing::debug!(%error, "a token is not accepted");
                }),
                None => return Ok(refused()),
            };
            match claims {
                Ok(claims) => {
                    request.extensions_mut().insert(claims);
                    inner.call(request).await
                }
                Err(_) => Ok(refused()),
            }
        })
    }
}

/// RFC 6750: the scheme's case does not matter. Several are none: who would say which is meant?
fn bearer<B>(request: &Request<B>) -> Option<&str> {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    let (only, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

fn refused() -> Response<Body> {
    let mut status = invalid_token();
    let challenge = tonic::metadata::MetadataValue::from_static("Bearer");
    status.metadata_mut().insert("www-authenticate", challenge);
    status.into_http()
}

/// Logs each call's method and duration, and how it ended where that is known at its head. No
/// message, no metadata.
#[derive(Clone, Copy, Debug)]
pub struct Logging;

impl<S> Layer<S> for Logging {
    type Service = Logged<S>;

    fn layer(&self, inner: S) -> Logged<S> {
        Logged { inner }
    }
}

/// See [`Logging`].
#[derive(Clone, Debug)]
pub struct Logged<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Logged<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return Box::pin(self.inner.call(request));
        }
        let method = request.uri().path().to_owned();
        let began = Instant::now();
        let answering = self.inner.call(request);
        Box::pin(async move {
            let response = answering.await?;
            let status = response.headers().get("grpc-status").and_then(|code| code.to_str().ok());
            let elapsed_us = began.elapsed().as_micros() as u64;
            tracing::debug!(method, elapsed_us, status = status.unwrap_or("0"), "served");
            Ok(response)
        })
    }
}

impl<S: NamedService> NamedService for Authenticated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: NamedService> NamedService for Logged<S> {
    const NAME: &'static str = S::NAME;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_the_only_one_and_alone() {
        let token = |values: &[&str]| {
            let mut request = Request::new(());
            for value in values {
                request.headers_mut().append(header::AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&request).map(ToOwned::to_owned)
        };
        for good in ["Bearer t", "bearer t", "BEARER  t "] {
            assert_eq!(token(&[good]).as_deref(), Some("t"), "{good}");
        }
        for bad in [&[][..], &["t"], &["Basic t"], &["Bearer"], &["Bearer t", "Bearer t"]] {
            assert_eq!(token(bad), None, "{bad:?}");
        }
    }
}
