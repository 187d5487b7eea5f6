//! `x-request-id`: the caller's own, or a number of ours.

use std::{
    convert::Infallible,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::TryFutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tower::{Service, service_fn};

use crate::protocol::values;

const NAME: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ids are replaced.
const LIMIT_BYTES: usize = 128;

/// Each request has one id, and its answer the same. Not tower-http's layers: they keep the id in
/// the request's extensions as well, which nobody here reads and every call would allocate for.
pub(super) fn wrap<S>(
    mut inner: S,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send,
    S::Future: Send,
{
    let numbered = Numbered::default();
    service_fn(move |mut request: Request<Body>| {
        let id = match fit_id(request.headers()) {
            Some(id) => id.clone(),
            None => {
                let id = numbered.next();
                request.headers_mut().insert(NAME, id.clone());
                id
            }
        };
        inner.call(request).map_ok(move |mut response| {
            response.headers_mut().insert(NAME, id);
            response
        })
    })
}

/// The caller's own id, unless it is too long or has more in it than an id needs.
fn fit_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    let mut ids = values(headers, NAME);
    let id = ids.next().filter(|_| ids.next().is_none())?;
    let is_fit = !id.is_empty() && id.len() <= LIMIT_BYTES && id.as_bytes().iter().all(plain);
    is_fit.then_some(id)
}

/// Ids of a prefix that differs between processes, and a count.
#[derive(Clone)]
struct Numbered {
    /// An id without its count.
    prefix: [u8; ID_BYTES],
    count: Arc<AtomicU64>,
}

/// Digits of the prefix, and of the count.
const ID_BYTES: usize = 8 + 16;

impl Default for Numbered {
    fn default() -> Self {
        // The standard library's only source of randomness; ids are no secret.
        let random = RandomState::new().build_hasher().finish();
        let mut prefix = [b'0'; ID_BYTES];
        put_hex(random & u64::from(u32::MAX), &mut prefix[..8]);
        Self { prefix, count: Arc::default() }
    }
}

impl Numbered {
    fn next(&self) -> HeaderValue {
        let mut id = self.prefix;
        put_hex(self.count.fetch_add(1, Ordering::Relaxed), &mut id[8..]);
        // Owned by bytes that are shared from the start: each id goes to the upstream and back too.
        // Digits are always a valid header value.
        let id = HeaderValue::from_maybe_shared(Bytes::from_owner(id));
        id.unwrap_or(HeaderValue::from_static("0"))
    }
}

fn put_hex(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ids: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for id in ids {
            headers.append(NAME, HeaderValue::from_str(id).unwrap());
        }
        fit_id(&headers).is_some()
    }

    #[test]
    fn only_an_id_that_is_fit_for_a_log_is_kept() {
        assert!(kept(&["0af7651916cd43dd-8448/eb:2"]));
        let long = "a".repeat(LIMIT_BYTES + 1);
        for unfit in [&[""][..], &["a b"], &["a\"b"], &[&long], &["a", "b"]] {
            assert!(!kept(unfit), "{unfit:?}");
        }
    }

    #[test]
    fn ids_of_ours_differ() {
        let numbered = Numbered::default();
        let (first, second) = (numbered.next(), numbered.next());
        assert_ne!(first, second);
        assert_eq!(first.len(), 24);
    }
}
