//! How much is taken on at once: calls until their answer is committed, and open streams.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::{HeaderValue, header};

use crate::status::{Cause, Refusal};

/// Counts what is open, up to a limit.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    open: Arc<AtomicUsize>,
    limit: usize,
    what: &'static str,
}

/// A place that is taken for as long as this lives.
#[derive(Debug)]
pub(super) struct Admitted(Arc<AtomicUsize>);

impl Admission {
    pub(super) fn new(limit: usize, what: &'static str) -> Self {
        Self { open: Arc::default(), limit, what }
    }

    /// Takes a place, or refuses at once: waiting would only make it later for everybody.
    pub(super) fn admit(&self) -> Result<Admitted, Refusal> {
        let place = Admitted(Arc::clone(&self.open));
        if self.open.fetch_add(1, Ordering::Relaxed) < self.limit {
            return Ok(place);
        }
        let message = format!("there are {} {} already: try again later", self.limit, self.what);
        Err(Refusal::new(Cause::Overload, message)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("1")))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let admission = Admission::new(2, "calls");
        let first = admission.admit().unwrap();
        let second = admission.admit().unwrap();
        for _ in 0..3 {
            let refusal = admission.admit().unwrap_err();
            assert_eq!(refusal.cause, Cause::Overload);
            assert_eq!(refusal.headers()[header::RETRY_AFTER], "1");
        }
        drop(first);
        let third = admission.admit().unwrap();
        assert!(admission.admit().is_err());
        drop((second, third));
    }
}
