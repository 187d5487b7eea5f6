//! Password hashes: argon2id with the parameters OWASP asks for.

use std::{fmt, sync::Arc};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

/// What a password is compared with where there is none: to tell that costs as much.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0IG9yIG90aGVy$\
                       AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

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
        let hash = move || argon2().hash_password(password.as_bytes()).map(|hash| hash.to_string());
        self.run(wait, hash).await?.map_err(|_| HashError::Failed)
    }

    /// Compares a password with a PHC string, or with nobody's: both take as long.
    pub(super) async fn verify(
        &self,
        password: Zeroizing<String>,
        phc: Option<String>,
    ) -> Result<Verdict, HashError> {
        let verify = move || {
            let known = phc.filter(|phc| !phc.is_empty());
            let hash = PasswordHash::new(known.as_deref().unwrap_or(NOBODYS)).ok()?;
            let matches = argon2().verify_password(password.as_bytes(), &hash).is_ok();
            let today = argon2();
            let is_outdated = Params::try_from(&hash).map_or(true, |params| {
                params.m_cost() != today.params().m_cost()
                    || params.t_cost() != today.params().t_cost()
                    || params.p_cost() != today.params().p_cost()
            });
            Some(Verdict { matches: matches && known.is_some(), is_outdated })
        };
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

/// m = 19,456 KiB, t = 2, p = 1.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
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

    #[tokio::test]
    async fn a_hash_with_weaker_parameters_is_outdated() {
        let weak = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(8_192, 1, 1, None).unwrap(),
        );
        let hash = weak.hash_password(b"correct horse").unwrap().to_string();
        let verdict =
            PasswordHasher::new(1, 4).verify(password("correct horse"), Some(hash)).await.unwrap();
        assert_eq!(verdict, Verdict { matches: true, is_outdated: true });
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
