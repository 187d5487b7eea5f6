//! The keys that tokens are signed with: kept in the store, so that every replica has them, and
//! replaced in time. The newest signs, the newest two verify: a token outlives the change of keys.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::super::{KeyRecord, Store, StoreError, micros};
use crate::jwt::{self, Claims, KeyError, PublicKey, SigningKey, TokenError, Verifier};

/// How often the store is asked for keys because of a token whose key is not known: anybody may
/// send such.
const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// Who signs, for whom, and for how long.
#[derive(Clone, Debug)]
pub(super) struct TokenTerms {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) lifetime: Duration,
    pub(super) key_lifetime: Duration,
}

/// The keys of a store.
#[derive(Debug)]
pub(in crate::users) struct KeyRing {
    store: Arc<dyn Store>,
    terms: TokenTerms,
    now: fn() -> SystemTime,
    keys: ArcSwap<Keys>,
    reloaded: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Keys {
    /// None before the first is made.
    signer: Option<SigningKey>,
    created_at_micros: i64,
    public: Vec<PublicKey>,
    verifier: Verifier,
}

impl KeyRing {
    /// The keys of `store`; the first is made if there is none.
    pub(super) async fn open(
        store: Arc<dyn Store>,
        terms: TokenTerms,
        now: fn() -> SystemTime,
    ) -> Result<Self, StoreError> {
        let keys = ArcSwap::from_pointee(Keys::new(&[], &terms).map_err(unusable)?);
        let ring = Self { store, terms, now, keys, reloaded: Mutex::new(None) };
        ring.keep_up().await?;
        Ok(ring)
    }

    /// Takes over what other replicas did, and makes a new key when the newest is old.
    pub(in crate::users) async fn keep_up(&self) -> Result<(), StoreError> {
        self.load().await?;
        let keys = self.keys.load();
        let now = micros((self.now)());
        let lifetime = i64::try_from(self.terms.key_lifetime.as_micros()).unwrap_or(i64::MAX);
        if keys.signer.is_some() && now.saturating_sub(keys.created_at_micros) < lifetime {
            return Ok(());
        }
        let key = KeyRecord {
            kid: jwt::new_kid().map_err(unusable)?,
            private_key: SigningKey::generate().map_err(unusable)?,
            created_at_micros: now,
        };
        let newest = keys.signer.as_ref().map(SigningKey::kid);
        self.store.add_signing_key(key, newest).await?;
        // Whose key it is: somebody may have been quicker.
        self.load().await
    }

    /// A token for a user.
    pub(super) fn sign(&self, user_id: &str) -> Result<String, KeyError> {
        let keys = self.keys.load();
        let now = seconds((self.now)());
        let claims = Claims {
            iss: self.terms.issuer.clone(),
            aud: self.terms.audience.clone(),
            sub: user_id.to_owned(),
            exp: now + self.terms.lifetime.as_secs(),
            nbf: now,
            iat: now,
        };
        keys.signer.as_ref().ok_or(KeyError)?.sign(&claims)
    }

    /// What a token says, if it is good now. Asks the store where its key is not known.
    pub(in crate::users) async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let now = seconds((self.now)());
        let verified = self.keys.load().verifier.verify(token, now);
        if verified != Err(TokenError::UnknownKey) || !self.may_reload() {
            return verified;
        }
        if let Err(error) = self.load().await {
            tracing::warn!(%error, "signing keys cannot be read");
        }
        self.keys.load().verifier.verify(token, now)
    }

    /// The public halves, as a JSON Web Key Set.
    pub(in crate::users) fn jwks(&self) -> String {
        jwt::jwks(&self.keys.load().public)
    }

    async fn load(&self) -> Result<(), StoreError> {
        let records = self.store.signing_keys().await?;
        self.keys.store(Arc::new(Keys::new(&records, &self.terms).map_err(unusable)?));
        Ok(())
    }

    fn may_reload(&self) -> bool {
        let now = Instant::now();
        let mut reloaded = self.reloaded.lock().unwrap_or_else(PoisonError::into_inner);
        let may = reloaded.is_none_or(|last| now.duration_since(last) >= RELOAD_EVERY);
        if may {
            *reloaded = Some(now);
        }
        may
    }
}

impl Keys {
    /// `records` are the newest first.
    fn new(records: &[KeyRecord], terms: &TokenTerms) -> Result<Self, KeyError> {
        let pairs = records
            .iter()
            .map(|record| SigningKey::from_pkcs8(&record.kid, &record.private_key))
            .collect::<Result<Vec<_>, _>>()?;
        let public: Vec<_> = pairs.iter().map(SigningKey::public_key).collect();
        let verifier = Verifier::new(&public, &terms.issuer, &terms.audience);
        let created_at_micros = records.first().map_or(0, |record| record.created_at_micros);
        Ok(Self { signer: pairs.into_iter().next(), created_at_micros, public, verifier })
    }
}

fn unusable(error: KeyError) -> StoreError {
    StoreError::Unavailable(format!("its signing keys cannot be used: {error}").into())
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{super::super::store::stub::StubStore, *};

    const DAY_S: u64 = 86_400;

    /// One clock for each test: a function knows no other.
    macro_rules! clock {
        ($seconds:ident, $now:ident) => {
            static $seconds: AtomicU64 = AtomicU64::new(1_700_000_000);
            fn $now() -> SystemTime {
                SystemTime::UNIX_EPOCH + Duration::from_secs($seconds.load(Ordering::SeqCst))
            }
        };
    }

    async fn ring(store: &Arc<StubStore>, now: fn() -> SystemTime) -> KeyRing {
        let terms = TokenTerms {
            issuer: "i".into(),
            audience: "a".into(),
            lifetime: Duration::from_secs(900),
            key_lifetime: Duration::from_secs(DAY_S),
        };
        KeyRing::open(store.clone(), terms, now).await.unwrap()
    }

    #[tokio::test]
    async fn keys_are_replaced_and_the_one_before_stays_good() {
        clock!(SECONDS, now);
        let store = Arc::new(StubStore::with_users(0));
        let ring = ring(&store, now).await;
        let first = ring.sign("u").unwrap();
        assert_eq!(ring.verify(&first).await.unwrap().sub, "u");
        let first_set = ring.jwks();
        ring.keep_up().await.unwrap();
        assert_eq!(ring.jwks(), first_set, "it is not old yet");

        SECONDS.fetch_add(DAY_S, Ordering::SeqCst);
        let late = ring.sign("u").unwrap();
        ring.keep_up().await.unwrap();
        let second = ring.sign("u").unwrap();
        for token in [&late, &second] {
            ring.verify(token).await.unwrap();
        }
        assert_eq!(ring.verify(&first).await, Err(TokenError::Expired));
        assert_eq!(ring.jwks().matches("\"kid\"").count(), 2);

        SECONDS.fetch_add(DAY_S, Ordering::SeqCst);
        ring.keep_up().await.unwrap();
        assert_eq!(ring.verify(&late).await, Err(TokenError::UnknownKey));
        assert_eq!(ring.jwks().matches("\"kid\"").count(), 2);
    }

    #[tokio::test]
    async fn replicas_share_one_key_whoever_makes_it() {
        clock!(SECONDS, now);
        let store = Arc::new(StubStore::with_users(0));
        let (here, there) = (ring(&store, now).await, ring(&store, now).await);
        assert_eq!(here.jwks(), there.jwks());
        SECONDS.fetch_add(DAY_S, Ordering::SeqCst);
        here.keep_up().await.unwrap();
        // The other has not heard of the new key, and asks.
        there.verify(&here.sign("u").unwrap()).await.unwrap();
        here.verify(&there.sign("u").unwrap()).await.unwrap();
        there.keep_up().await.unwrap();
        assert_eq!(here.jwks(), there.jwks());
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_keys_do_not_have_the_store_asked_each_time() {
        clock!(SECONDS, now);
        let (store, another) =
            (Arc::new(StubStore::with_users(0)), Arc::new(StubStore::with_users(0)));
        let here = ring(&store, now).await;
        let foreign = ring(&another, now).await.sign("u").unwrap();
        assert_eq!(here.verify(&foreign).await, Err(TokenError::UnknownKey));
        // From now on asking would fail; it is not asked.
        store.is_down.store(true, Ordering::SeqCst);
        SECONDS.fetch_add(DAY_S, Ordering::SeqCst);
        for _ in 0..100 {
            assert_eq!(here.verify(&foreign).await, Err(TokenError::UnknownKey));
        }
        assert!(!here.may_reload());
        tokio::time::advance(RELOAD_EVERY).await;
        assert!(here.may_reload());
    }
}
