//! `x-request-id`: the caller's own, or a number of ours.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderName, HeaderValue, Request};
use tower_http::request_id::{MakeRequestId, RequestId};

const NAME: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ids are replaced.
const LIMIT_BYTES: usize = 128;

/// Removes an id that is too long, or has more in it than an id needs.
pub(super) fn drop_unfit<B>(mut request: Request<B>) -> Request<B> {
    let fit = |value: &HeaderValue| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
        !value.is_empty() && value.len() <= LIMIT_BYTES && value.as_bytes().iter().all(plain)
    };
    let mut ids = request.headers().get_all(&NAME).iter();
    let is_fit = ids.next().is_none_or(fit) && ids.next().is_none();
    if !is_fit {
        request.headers_mut().remove(&NAME);
    }
    request
}

/// Ids of a prefix that differs between processes, and a count.
#[derive(Clone)]
pub(super) struct Numbered {
    prefix: u32,
    count: Arc<AtomicU64>,
}

impl Default for Numbered {
    fn default() -> Self {
        // The standard library's only source of randomness; ids are no secret.
        let prefix = RandomState::new().build_hasher().finish() as u32;
        Self { prefix, count: Arc::default() }
    }
}

impl MakeRequestId for Numbered {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let id = (u128::from(self.prefix) << 64) | u128::from(count);
        let mut text = [b'0'; 24];
        for (place, digit) in text.iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[(id >> (4 * place)) as usize & 0xf];
        }
        HeaderValue::from_bytes(&text).ok().map(RequestId::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ids: &[&str]) -> bool {
        let mut request = Request::new(());
        for id in ids {
            request.headers_mut().append(NAME, HeaderValue::from_str(id).unwrap());
        }
        drop_unfit(request).headers().contains_key(NAME)
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
        let mut numbered = Numbered::default();
        let mut id = || numbered.make_request_id(&Request::new(())).unwrap().into_header_value();
        let (first, second) = (id(), id());
        assert_ne!(first, second);
        assert_eq!(first.len(), 24);
    }
}
