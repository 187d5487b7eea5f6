//! `auth.v1.AuthService`: logins, and tokens for them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tonic::{Request, Response, Status, metadata::MetadataValue};
use uuid::Uuid;
use zeroize::Zeroizing;

mod attempts;
mod keys;

pub(super) use keys::KeyRing;

use super::{
    PasswordHasher, RefreshToken, Refreshed, Store, StoreError, UserRecord,
    auth_v1::{LoginRequest, RefreshRequest, TokenResponse, auth_service_server},
    micros,
    password::Wait,
    refusal,
    v1::UserStatus,
    validation::PASSWORD_LIMIT_BYTES,
};
use attempts::Attempts;
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
    /// Failed logins of an account in a minute. Default: 10; 0 is no limit.
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
    accounts: Attempts,
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
        let accounts = Attempts::new(options.account_attempts_per_minute);
        let addresses = Attempts::new(options.address_attempts_per_minute);
        let shared = Shared { store, hasher, keys, accounts, addresses, options, now };
        Ok(Self(Arc::new(shared)))
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
        if password.len() > PASSWORD_LIMIT_BYTES {
            return Err(refused());
        }
        let known = self.0.store.credentials(email).await.map_err(refusal::store)?;
        let hash = known.as_ref().map(|known| known.password_hash.clone());
        let verdict = self.0.hasher.verify(password.clone(), hash).await.map_err(refusal::hash)?;
        let known = known
            .filter(|known| verdict.matches && known.user.status == i32::from(UserStatus::Active));
        let known = known.ok_or_else(refused)?;
        if verdict.is_outdated {
            let new = self.0.hasher.hash(password, Wait::InQueue).await;
            if let Ok(new) = new
                && let Err(error) =
                    self.0.store.rehash(&known.user.id, &known.password_hash, new).await
            {
                tracing::warn!(%error, "a password could not be hashed anew");
            }
        }
        Ok(known.user)
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
        let address = request.extensions().get::<SocketAddr>().map(|address| network(address.ip()));
        let LoginRequest { email, password } = request.into_inner();
        let account = email.to_lowercase();
        // Taken before the password is looked at: attempts at once are as many as one by one.
        if let Some(address) = address {
            self.0.addresses.take(address).map_err(too_often)?;
        }
        self.0.accounts.take(&account).map_err(too_often)?;
        let user = self.check(&email, password).await?;
        self.0.accounts.give_back(&account);
        if let Some(address) = address {
            self.0.addresses.give_back(address);
        }
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

/// An address as those count who have many: of IPv6, a network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn too_often(wait: Duration) -> Status {
    // In whole seconds, and not too early.
    refusal::too_many("Too many attempts", Duration::from_secs(wait.as_secs() + 1))
}

fn refused() -> Status {
    Status::unauthenticated("Invalid email or password")
}

/// What every token that is not good is told.
pub(super) fn invalid_token() -> Status {
    Status::unauthenticated("Invalid token")
}
