//! Password hashes: argon2id with the parameters OWASP asks for.

use std::{fmt, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

mod argon2id;

use argon2id::Memory;

/// Hashes passwords off the async threads, as many at once as it is told: each takes 19 MiB.
#[derive(Clone)]
pub struct PasswordHasher {
    slots: Arc<Semaphore>,
    /// Those in a slot and those before one, counted apart: a crowd that signs up does not keep
    /// others from logging in.
    logins: Arc<Semaphore>,
    sign_ups: Arc<Semaphore>,
    /// Rows of bulk creations have half of the slots at most, and wait outside the queue of the
    /// others.
    rows: Arc<Semaphore>,
    memory: Arc<Memory>,
}

/// Why there is no hash; says nothing of the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HashError {
    /// Too many wait already.
    Busy,
    /// The hasher failed.
    Failed,
}

/// Who waits for a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Somebody who logs in: refused where the queue is full.
    Login,
    /// Somebody who signs up: the same, in another queue.
    SignUp,
    /// One of many rows: waits for as long as it takes.
    Patiently,
}

/// How a password compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) matches: bool,
    /// It was hashed with other parameters than those of today.
    pub(super) is_outdated: bool,
}

impl PasswordHasher {
    /// Hashes at most `concurrency` passwords at once; of further logins, `queue_limit` wait and
    /// the rest is refused, and so it is with sign-ups.
    pub fn new(concurrency: usize, queue_limit: usize) -> Self {
        let concurrency = concurrency.max(1);
        let semaphore =
            |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            slots: semaphore(concurrency),
            logins: semaphore(concurrency.saturating_add(queue_limit)),
            sign_ups: semaphore(concurrency.saturating_add(queue_limit)),
            rows: semaphore(concurrency.div_ceil(2)),
            memory: Arc::default(),
        }
    }

    /// The PHC string of a password, with a salt of its own. An empty password has an empty one,
    /// which nothing matches.
    pub(super) async fn hash(
        &self,
        password: Zeroizing<String>,
        wait: Wait,
    ) -> Result<String, HashError> {
        if password.is_empty() {
            return Ok(String::new());
        }
        let memory = Arc::clone(&self.memory);
        let hash = move || argon2id::hash(password.as_bytes(), &memory);
        self.run(wait, hash).await?.ok_or(HashError::Failed)
    }

    /// Compares a password with a PHC string, or with nobody's: both take as long.
    pub(super) async fn verify(
        &self,
        password: Zeroizing<String>,
        phc: Option<String>,
    ) -> Result<Verdict, HashError> {
        let memory = Arc::clone(&self.memory);
        let verify = move || argon2id::verify(password.as_bytes(), phc.as_deref(), &memory);
        self.run(Wait::Login, verify).await?.ok_or(HashError::Failed)
    }

    async fn run<T: Send + 'static>(
        &self,
        wait: Wait,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let place = |places: &Arc<Semaphore>| {
            Arc::clone(places).try_acquire_owned().map(Some).map_err(|_| HashError::Busy)
        };
        let place = match wait {
            Wait::Login => place(&self.logins)?,
            Wait::SignUp => place(&self.sign_ups)?,
            Wait::Patiently => None,
        };
        let (slots, rows) = (Arc::clone(&self.slots), Arc::clone(&self.rows));
        // A task of its own: a slot is given to whoever waits for it, even if nobody looks there
        // at the moment, and would lie idle in a row that waits for its batch to be kept.
        let working = AbortOnDropHandle::new(tokio::spawn(async move {
            let row = match wait {
                Wait::Patiently => Some(rows.acquire_owned().await.map_err(|_| HashError::Failed)?),
                Wait::Login | Wait::SignUp => None,
            };
            let slot = slots.acquire_owned().await.map_err(|_| HashError::Failed)?;
            let held: [Option<OwnedSemaphorePermit>; 3] = [place, row, Some(slot)];
            let working = tokio::task::spawn_blocking(move || {
                // Until it is done, even if nobody waits any more.
                let _held = held;
                work()
            });
            working.await.map_err(|_| HashError::Failed)
        }));
        working.await.map_err(|_| HashError::Failed)?
    }
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_with_owasp_parameters_and_verifies() {
        let hasher = PasswordHasher::new(1, 4);
        let hash = hasher.hash(password("correct horse"), Wait::SignUp).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let right = hasher.verify(password("correct horse"), Some(hash.clone())).await.unwrap();
        assert_eq!(right, Verdict { matches: true, is_outdated: false });
        let wrong = hasher.verify(password("wrong"), Some(hash.clone())).await.unwrap();
        assert_eq!(wrong, Verdict { matches: false, is_outdated: false });
        let again = hasher.hash(password("correct horse"), Wait::Patiently).await.unwrap();
        assert_ne!(hash, again);
        assert_eq!(hasher.hash(password(""), Wait::SignUp).await.unwrap(), "");
    }

    #[tokio::test]
    async fn nobody_has_nobodys_password() {
        let hasher = PasswordHasher::new(1, 4);
        for nobody in [None, Some(String::new())] {
            for text in ["", "correct horse"] {
                let verdict = hasher.verify(password(text), nobody.clone()).await.unwrap();
                assert!(!verdict.matches);
            }
        }
    }

    /// Lets the hasher's tasks come as far as they can.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_finds_the_queue_full_is_refused_and_rows_wait() {
        let hasher = PasswordHasher::new(1, 1);
        let slot = Arc::clone(&hasher.slots).acquire_owned().await.unwrap();
        let hash = |wait| Box::pin(hasher.hash(password("correct horse"), wait));
        for wait in [Wait::SignUp, Wait::Login] {
            let mut waiting = [hash(wait), hash(wait)];
            for hashing in &mut waiting {
                assert!(futures_util::poll!(hashing).is_pending());
            }
            assert_eq!(hash(wait).await, Err(HashError::Busy), "{wait:?}");
        }
        settle().await;
        let mut waiting = [hash(Wait::SignUp), hash(Wait::Login), hash(Wait::Patiently)];
        for hashing in &mut waiting {
            assert!(futures_util::poll!(hashing).is_pending());
        }
        drop(slot);
        for hashing in waiting {
            hashing.await.unwrap();
        }
    }

    /// Rows whose batch was being kept held every slot, and hashed nothing.
    #[tokio::test]
    async fn a_row_that_nobody_looks_after_holds_no_slot() {
        let hasher = PasswordHasher::new(1, 1);
        let mut row = Box::pin(hasher.hash(password("correct horse"), Wait::Patiently));
        assert!(futures_util::poll!(&mut row).is_pending());
        // The row is not polled from here on.
        let verdict = hasher.verify(password("correct horse"), None).await.unwrap();
        assert!(!verdict.matches);
        row.await.unwrap();
    }

    #[tokio::test]
    async fn rows_leave_half_of_the_slots_to_others() {
        let hasher = PasswordHasher::new(4, 1);
        let mut rows: Vec<_> = (0..20)
            .map(|_| Box::pin(hasher.hash(password("correct horse"), Wait::Patiently)))
            .collect();
        for row in &mut rows {
            assert!(futures_util::poll!(row).is_pending());
        }
        settle().await;
        assert_eq!(hasher.slots.available_permits(), 2);
        hasher.verify(password("correct horse"), None).await.unwrap();
    }
}
