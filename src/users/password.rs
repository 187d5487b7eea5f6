//! Password hashes: argon2id with the parameters OWASP asks for.

use std::{fmt, sync::Arc};

use argon2::{Argon2, password_hash::PasswordHasher as _};
use tokio::sync::Semaphore;

/// Hashes passwords off the async threads, as many at once as there are cores: each takes
/// 19 MiB.
#[derive(Clone)]
pub struct PasswordHasher {
    slots: Arc<Semaphore>,
}

/// The hasher failed; says nothing of the password.
#[derive(Debug)]
pub(super) struct HashError;

impl PasswordHasher {
    /// Hashes at most `concurrency` passwords at once; further ones wait.
    pub fn new(concurrency: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(concurrency.max(1))) }
    }

    /// The PHC string of a password, with a salt of its own. An empty password has an empty one,
    /// which nothing matches.
    pub(super) async fn hash(&self, password: String) -> Result<String, HashError> {
        if password.is_empty() {
            return Ok(String::new());
        }
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| HashError)?;
        let hashed = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            // The default is argon2id with m = 19,456 KiB, t = 2, p = 1.
            Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string())
        });
        hashed.await.map_err(|_| HashError)?.map_err(|_| HashError)
    }
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordVerifier as _, phc::PasswordHash};

    use super::*;

    #[tokio::test]
    async fn a_hash_is_argon2id_with_owasp_parameters_and_verifies() {
        let hasher = PasswordHasher::new(1);
        let hash = hasher.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let parsed = PasswordHash::new(&hash).unwrap();
        assert!(Argon2::default().verify_password(b"correct horse", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"wrong", &parsed).is_err());
        assert_ne!(hash, hasher.hash("correct horse".into()).await.unwrap());
        assert_eq!(hasher.hash(String::new()).await.unwrap(), "");
    }
}
