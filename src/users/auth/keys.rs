//! The keys that tokens are signed with: kept in the store, so that every replica has them, and
//! replaced in time. The newest two verify, so that a token outlives the change of keys; a new one
//! signs once everybody has had the time to hear of it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::{sync::Mutex, time::Instant};

use super::super::{KeyRecord, Store, StoreError, micros};
use crate::jwt::{self, Claims, KeyError, PublicKey, SigningKey, TokenError, Verifier};

/// How often the store is asked for keys because of a token whose key is not known: anybody may
/// send such.
const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// How long a new key is known before it signs: other replicas have looked after their keys twice
/// by then, and who verifies by the key set has had its minutes of caching it.
const KNOWN_BEFORE_SIGNING: Duration = Duration::from_secs(600);

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
    /// When keys were last asked for because of a token; held while they are.
    reloaded: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Keys {
    /// The newest first, each with when it was made; none before the first is.
    pairs: Vec<(SigningKey, i64)>,
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
        let newest = keys.pairs.first();
        if newest.is_some_and(|(_, created_at)| now.saturating_sub(*created_at) < lifetime) {
            return Ok(());
        }
        let key = KeyRecord {
            kid: jwt::new_kid().map_err(unusable)?,
            private_key: SigningKey::generate().map_err(unusable)?,
            created_at_micros: now,
        };
        self.store.add_signing_key(key, newest.map(|(key, _)| key.kid())).await?;
        // Whose key it is: somebody may have been quicker.
        self.load().await
    }

    /// A token for a user.
    pub(super) fn sign(&self, user_id: &str) -> Result<String, KeyError> {
        let keys = self.keys.load();
        let TokenTerms { issuer, audience, lifetime, .. } = &self.terms;
        let now = seconds((self.now)());
        let claims = Claims::new(issuer, audience, user_id, now, lifetime.as_secs());
        keys.signer(micros((self.now)())).ok_or(KeyError)?.sign(&claims)
    }

    /// What a token says, if it is good now. Asks the store where its key is not known.
    pub(in crate::users) async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let now = seconds((self.now)());
        let verify = || self.keys.load().verifier.verify(token, now);
        let verified = verify();
        if verified != Err(TokenError::UnknownKey) {
            return verified;
        }
        let mut reloaded = self.reloaded.lock().await;
        // Whoever had the lock before may have brought the key.
        let verified = verify();
        let is_due = reloaded.is_none_or(|last| last.elapsed() >= RELOAD_EVERY);
        if verified != Err(TokenError::UnknownKey) || !is_due {
            return verified;
        }
        *reloaded = Some(Instant::now());
        if let Err(error) = self.load().await {
            tracing::warn!(%error, "signing keys cannot be read");
        }
        verify()
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
}

impl Keys {
    /// `records` are the newest first.
    fn new(records: &[KeyRecord], terms: &TokenTerms) -> Result<Self, KeyError> {
        let pair = |record: &KeyRecord| {
            let key = SigningKey::from_pkcs8(&record.kid, &record.private_key)?;
            Ok((key, record.created_at_micros))
        };
        let pairs = records.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
        let public: Vec<_> = pairs.iter().map(|(key, _)| key.public_key()).collect();
        let verifier = Verifier::new(&public, &terms.issuer, &terms.audience);
        Ok(Self { pairs, public, verifier })
    }

    /// The newest that has been known for long enough; where none has, the oldest.
    fn signer(&self, now_micros: i64) -> Option<&SigningKey> {
        let known_since = now_micros.saturating_sub(KNOWN_BEFORE_SIGNING.as_micros() as i64);
        let known = self.pairs.iter().find(|(_, created_at)| *created_at <= known_since);
        known.or(self.pairs.last()).map(|(key, _)| key)
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

        let kid = |token: &str| token.split('.').next().unwrap().to_owned();
        SECONDS.fetch_add(DAY_S, Ordering::SeqCst);
        ring.keep_up().await.unwrap();
        let late = ring.sign("u").unwrap();
        assert_eq!(kid(&late), kid(&first), "the new key is not known to everybody yet");
        SECONDS.fetch_add(600, Ordering::SeqCst);
        let second = ring.sign("u").unwrap();
        assert_ne!(kid(&second), kid(&first));
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
        SECONDS.fetch_add(600, Ordering::SeqCst);
        // The other has not heard of the new key, and asks; whoever comes meanwhile waits for that.
        let token = here.sign("u").unwrap();
        let verified = futures_util::join!(there.verify(&token), there.verify(&token));
        assert!(verified.0.is_ok() && verified.1.is_ok());
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
        let asked = here.reloaded.lock().await.unwrap();
        tokio::time::advance(RELOAD_EVERY).await;
        assert_eq!(here.verify(&foreign).await, Err(TokenError::UnknownKey));
        assert!(here.reloaded.lock().await.unwrap() > asked);
    }
}
