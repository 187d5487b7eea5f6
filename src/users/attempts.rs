//! How often something may be tried: a token bucket for each account, address or both, as many of
//! them as are remembered.

use std::{
    fmt,
    hash::{BuildHasher as _, Hash, RandomState},
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lru::LruCache;
use tokio::time::Instant;

/// How many buckets are remembered; of more, those are forgotten that were used least lately.
const BUCKETS: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// Buckets that hold as many attempts as there may be in a minute, and fill up again in one.
pub(super) struct Attempts {
    per_minute: u32,
    /// When each bucket is full again, by the seeded hash of its key: nobody can choose keys that
    /// share one, and none is kept in clear.
    full_at: Mutex<LruCache<u64, Instant>>,
    seed: RandomState,
}

impl Attempts {
    /// 0 is no limit.
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute, full_at: Mutex::new(LruCache::new(BUCKETS)), seed: RandomState::new() }
    }

    /// Takes an attempt; or how long to wait for the next.
    pub(super) fn take(&self, key: impl Hash) -> Result<(), Duration> {
        let Some(cost) = self.cost() else { return Ok(()) };
        let now = Instant::now();
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.get_or_insert_mut(self.seed.hash_one(key), || now);
        let next = now.max(*full_at) + cost;
        let wait = next.saturating_duration_since(now + Duration::from_secs(60));
        match wait.is_zero() {
            true => {
                *full_at = next;
                Ok(())
            }
            false => Err(wait),
        }
    }

    /// Gives an attempt back: it succeeded.
    pub(super) fn give_back(&self, key: impl Hash) {
        let Some(cost) = self.cost() else { return };
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = buckets.get_mut(&self.seed.hash_one(key)) {
            *full_at = full_at.checked_sub(cost).unwrap_or(*full_at);
        }
    }

    fn cost(&self) -> Option<Duration> {
        Duration::from_secs(60).checked_div(self.per_minute)
    }
}

/// Where a request comes from, as those count who have many addresses: of IPv6, a network of 64
/// bits. None where the server does not tell.
pub(super) fn origin(extensions: &http::Extensions) -> Option<IpAddr> {
    let address: &SocketAddr = extensions.get()?;
    Some(match address.ip().to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    })
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts").field("per_minute", &self.per_minute).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_empties_and_fills_up_again() {
        let attempts = Attempts::new(3);
        for _ in 0..3 {
            attempts.take("a").unwrap();
        }
        assert_eq!(attempts.take("a"), Err(Duration::from_secs(20)));
        attempts.take("b").unwrap();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(attempts.take("a"), Err(Duration::from_secs(15)));
        tokio::time::advance(Duration::from_secs(15)).await;
        attempts.take("a").unwrap();
        attempts.take("a").unwrap_err();
        // In an hour there is room for no more than a minute's.
        tokio::time::advance(Duration::from_secs(3_600)).await;
        for _ in 0..3 {
            attempts.take("a").unwrap();
        }
        attempts.take("a").unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn what_succeeds_costs_nothing() {
        let attempts = Attempts::new(2);
        for _ in 0..10 {
            attempts.take("a").unwrap();
            attempts.give_back("a");
        }
        attempts.take("a").unwrap();
        attempts.take("a").unwrap();
        attempts.take("a").unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_remembered_and_none_is_no_limit() {
        let attempts = Attempts::new(1);
        for number in 0..BUCKETS.get() + 10 {
            attempts.take(number).unwrap();
        }
        assert_eq!(attempts.full_at.lock().unwrap().len(), BUCKETS.get());
        let unlimited = Attempts::new(0);
        for _ in 0..1_000 {
            unlimited.take("a").unwrap();
        }
        assert_eq!(unlimited.full_at.lock().unwrap().len(), 0);
    }
}
