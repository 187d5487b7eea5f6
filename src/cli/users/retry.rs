//! Trying again: how often, and after how long.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use super::failure::Failure;

/// How often a call is tried in all.
pub(super) const ATTEMPTS: u32 = 3;
/// What the first wait is about; each further one is twice as long.
const BACK_OFF: Duration = Duration::from_millis(200);

/// Calls until it succeeds, fails in a way that `may_repeat` denies, or was tried often enough.
pub(super) async fn retry<T, F>(
    may_repeat: fn(&Failure) -> bool,
    mut call: impl FnMut() -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut attempt = 1;
    loop {
        match call().await {
            Err(failure) if attempt < ATTEMPTS && may_repeat(&failure) => {
                back_off(attempt).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

/// Waits before the attempt that comes after the `attempt`th.
pub(super) async fn back_off(attempt: u32) {
    tokio::time::sleep(wait(attempt, RandomState::new().hash_one(attempt))).await;
}

/// Between half of the wait and all of it, so that those who failed together do not come back
/// together.
fn wait(attempt: u32, random: u64) -> Duration {
    let whole = BACK_OFF * 2_u32.saturating_pow(attempt.saturating_sub(1));
    whole / 2 + (whole / 2).mul_f64(random as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tonic::Status;

    use super::*;

    #[test]
    fn waits_double_and_scatter() {
        let millis = |attempt, random| wait(attempt, random).as_millis();
        assert_eq!((millis(1, 0), millis(1, u64::MAX)), (100, 200));
        assert_eq!((millis(2, 0), millis(2, u64::MAX)), (200, 400));
        assert_eq!(millis(2, u64::MAX / 2), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn three_attempts_and_no_more() {
        let calls = Cell::new(0);
        let call = async |fails: u32| {
            calls.set(0);
            let attempt = || async {
                calls.set(calls.get() + 1);
                match calls.get() > fails {
                    true => Ok(()),
                    false => Err(Failure::of(Status::unavailable("not now"), "http://a")),
                }
            };
            retry(Failure::is_transient, attempt).await
        };
        assert!(call(2).await.is_ok());
        assert_eq!(calls.get(), 3);
        assert!(call(3).await.is_err());
        assert_eq!(calls.get(), 3);
    }
}
