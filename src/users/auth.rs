//! `auth.v1.AuthService`: logins, and tokens for them.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tonic::{Code, Request, Response, Status, metadata::MetadataValue};
use uuid::Uuid;
use zeroize::Zeroizing;

mod keys;

pub(super) use keys::KeyRing;

use super::{
    PasswordHasher, RefreshToken, Refreshed, Store, StoreError, UserRecord,
    attempts::{self, Attempts},
    auth_v1::{LoginRequest, RefreshRequest, TokenResponse, auth_service_server},
    micros,
    password::Wait,
    refusal,
    v1::UserStatus,
    validation::{EMAIL_LIMIT_BYTES, PASSWORD_LIMIT_BYTES},
};
use keys::TokenTerms;

/// A longer refresh token is none of ours.
const REFRESH_TOKEN_LIMIT_BYTES: usize = 128;

/// What tokens say, how long they last, and how often a login may be tried.
#[derive(Clone, Debug)]
pub struct AuthOptions {
    /// Who signs. Default: `transom`.
    pub issuer: String,
    /// For whom. Default: `transom`.
    pub audience: String,
    /// How long an access token is good. Default: 15 minutes.
    pub access_token_lifetime: Duration,
    /// How long a refresh token is good. Default: 30 days.
    pub refresh_token_lifetime: Duration,
    /// How long a key signs. The one before verifies for as long. Default: 30 days.
    pub key_lifetime: Duration,
    /// Failed logins of an account from one address in a minute, and a tenth of those from all of
    /// them. Default: 10; 0 is no limit.
    pub account_attempts_per_minute: u32,
    /// Failed logins from an address in a minute. Default: 60; 0 is no limit.
    pub address_attempts_per_minute: u32,
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self {
            issuer: "transom".into(),
            audience: "transom".into(),
            access_token_lifetime: Duration::from_secs(15 * 60),
            refresh_token_lifetime: Duration::from_secs(30 * 86_400),
            key_lifetime: Duration::from_secs(30 * 86_400),
            account_attempts_per_minute: 10,
            address_attempts_per_minute: 60,
        }
    }
}

/// The service. Clones are the same service.
#[derive(Clone, Debug)]
pub struct AuthService(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<dyn Store>,
    hasher: PasswordHasher,
    keys: Arc<KeyRing>,
    /// By account and address: whoever fails for another's account does not keep its owner out.
    accounts: Attempts,
    /// By account alone, for those who have many addresses.
    accounts_from_anywhere: Attempts,
    addresses: Attempts,
    options: AuthOptions,
    now: fn() -> SystemTime,
}

impl AuthService {
    /// A service whose keys are in `store`, where the first is made if there is none.
    pub async fn open(
        store: Arc<dyn Store>,
        hasher: PasswordHasher,
        options: AuthOptions,
        now: fn() -> SystemTime,
    ) -> Result<Self, StoreError> {
        let terms = TokenTerms {
            issuer: options.issuer.clone(),
            audience: options.audience.clone(),
            lifetime: options.access_token_lifetime,
            key_lifetime: options.key_lifetime,
        };
        let keys = Arc::new(KeyRing::open(Arc::clone(&store), terms, now).await?);
        let of_account = options.account_attempts_per_minute;
        Ok(Self(Arc::new(Shared {
            store,
            hasher,
            keys,
            accounts: Attempts::new(of_account),
            accounts_from_anywhere: Attempts::new(of_account.saturating_mul(10)),
            addresses: Attempts::new(options.address_attempts_per_minute),
            options,
            now,
        })))
    }

    /// The keys that its tokens are signed with.
    pub(super) fn keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.0.keys)
    }

    /// The public keys, as a JSON Web Key Set (RFC 7517).
    pub fn jwks(&self) -> String {
        self.0.keys.jwks()
    }

    /// An access token for a user, without a login.
    pub fn access_token(&self, user_id: &str) -> Result<String, crate::jwt::KeyError> {
        self.0.keys.sign(user_id)
    }

    /// The user, if the password is theirs. Everything else is told alike, and takes as long.
    async fn check(&self, email: &str, password: String) -> Result<UserRecord, Status> {
        let password = Zeroizing::new(password);
        if password.len() > PASSWORD_LIMIT_BYTES || email.len() > EMAIL_LIMIT_BYTES {
            return Err(refused());
        }
        let known = self.0.store.credentials(email).await.map_err(refusal::store)?;
        let hash = known.as_ref().map(|known| known.password_hash.clone());
        let verdict = self.0.hasher.verify(password.clone(), hash).await.map_err(refusal::hash)?;
        let known = known
            .filter(|known| verdict.matches && known.user.status == i32::from(UserStatus::Active));
        let known = known.ok_or_else(refused)?;
        if verdict.is_outdated {
            let new = self.0.hasher.hash(password, Wait::Login).await;
            if let Ok(new) = new
                && let Err(error) =
                    self.0.store.rehash(&known.user.id, &known.password_hash, new).await
            {
                tracing::warn!(%error, "a password could not be hashed anew");
            }
        }
        Ok(known.user)
    }

    fn take_attempt(&self, account: &str, origin: Option<IpAddr>) -> Result<(), Duration> {
        if let Some(origin) = origin {
            self.0.addresses.take(origin)?;
        }
        self.0.accounts.take((account, origin))?;
        self.0.accounts_from_anywhere.take(account)
    }

    fn give_attempt_back(&self, account: &str, origin: Option<IpAddr>) {
        if let Some(origin) = origin {
            self.0.addresses.give_back(origin);
        }
        self.0.accounts.give_back((account, origin));
        self.0.accounts_from_anywhere.give_back(account);
    }

    fn answer(
        &self,
        user_id: &str,
        refresh: SecretToken,
    ) -> Result<Response<TokenResponse>, Status> {
        let access_token = self.0.keys.sign(user_id).map_err(|_| {
            tracing::error!("there is no key to sign with");
            Status::internal("The token could not be signed")
        })?;
        let lifetime = self.0.options.access_token_lifetime.as_secs();
        let mut response = Response::new(TokenResponse {
            access_token,
            refresh_token: refresh.text,
            expires_in: i32::try_from(lifetime).unwrap_or(i32::MAX),
        });
        // RFC 6749, 5.1: no cache on the way keeps it.
        let no_store = MetadataValue::from_static("no-store");
        response.metadata_mut().insert("cache-control", no_store);
        Ok(response)
    }

    fn refresh_token(&self, secret: &SecretToken, family: String, user_id: String) -> RefreshToken {
        let lifetime = self.0.options.refresh_token_lifetime;
        let expires_at_micros = micros((self.0.now)() + lifetime);
        RefreshToken { hash: secret.hash.clone(), family, user_id, expires_at_micros }
    }
}

#[tonic::async_trait]
impl auth_service_server::AuthService for AuthService {
    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<TokenResponse>, Status> {
        let origin = attempts::origin(request.extensions());
        let LoginRequest { email, password } = request.into_inner();
        let account = email.to_lowercase();
        // Taken before the password is looked at: attempts at once are as many as one by one.
        self.take_attempt(&account, origin).map_err(refusal::too_often)?;
        let checked = self.check(&email, password).await;
        // Only a wrong password counts, not a store or a hasher that had no time for it.
        if !checked.as_ref().is_err_and(|status| status.code() == Code::Unauthenticated) {
            self.give_attempt_back(&account, origin);
        }
        let user = checked?;
        let secret = SecretToken::new()?;
        let token = self.refresh_token(&secret, Uuid::now_v7().to_string(), user.id.clone());
        self.0.store.add_refresh_token(token).await.map_err(refusal::store)?;
        self.answer(&user.id, secret)
    }

    async fn refresh(
        &self,
        request: Request<RefreshRequest>,
    ) -> Result<Response<TokenResponse>, Status> {
        let token = request.into_inner().refresh_token;
        if token.len() > REFRESH_TOKEN_LIMIT_BYTES {
            return Err(invalid_token());
        }
        let secret = SecretToken::new()?;
        let next = self.refresh_token(&secret, String::new(), String::new());
        let now = micros((self.0.now)());
        let hash = digest(&SHA256, token.as_bytes());
        let refreshed = self.0.store.use_refresh_token(hash.as_ref(), next, now).await;
        match refreshed.map_err(refusal::store)? {
            Refreshed::Renewed(user) => self.answer(&user.id, secret),
            Refreshed::Unknown => Err(invalid_token()),
            Refreshed::Reused => {
                tracing::warn!("a refresh token was used twice: its login is ended");
                Err(invalid_token())
            }
        }
    }
}

/// 256 random bits, and what is kept of them.
struct SecretToken {
    text: String,
    hash: Vec<u8>,
}

impl SecretToken {
    fn new() -> Result<Self, Status> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(&mut *bytes).map_err(|_| Status::internal("There is no randomness"))?;
        let text = BASE64_URL_SAFE_NO_PAD.encode(*bytes);
        let hash = digest(&SHA256, text.as_bytes()).as_ref().to_vec();
        Ok(Self { text, hash })
    }
}

fn refused() -> Status {
    Status::unauthenticated("Invalid email or password")
}

/// What every token that is not good is told.
pub(super) fn invalid_token() -> Status {
    Status::unauthenticated("Invalid token")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::{super::store::stub::StubStore, auth_service_server::AuthService as _, *};

    /// Attempts were used up although no password was looked at.
    #[tokio::test]
    async fn a_store_that_is_away_costs_no_attempts() {
        let store = Arc::new(StubStore::with_users(1));
        let options = AuthOptions { account_attempts_per_minute: 2, ..AuthOptions::default() };
        let hasher = PasswordHasher::new(1, 1);
        let clock = || SystemTime::UNIX_EPOCH;
        let auth = AuthService::open(store.clone(), hasher, options, clock).await.unwrap();
        let login = async || {
            let (email, password) = ("1@x".to_owned(), "wrong".to_owned());
            auth.login(Request::new(LoginRequest { email, password })).await.unwrap_err().code()
        };
        store.is_down.store(true, Ordering::SeqCst);
        for _ in 0..30 {
            assert_eq!(login().await, Code::Unavailable);
        }
        store.is_down.store(false, Ordering::SeqCst);
        for code in [Code::Unauthenticated, Code::Unauthenticated, Code::ResourceExhausted] {
            assert_eq!(login().await, code);
        }
    }
}
