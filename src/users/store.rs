//! Where users are kept: the trait, and what each of its promises means.

use std::fmt;

mod postgres;
mod sqlite;
#[cfg(test)]
pub(super) mod stub;

pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

/// A user as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// A UUIDv7.
    pub id: String,
    /// As it was given.
    pub email: String,
    /// As it was given.
    pub name: String,
    /// A `user.v1.UserStatus`.
    pub status: i32,
    /// Microseconds since the Unix epoch.
    pub created_at_micros: i64,
}

/// A user that is to be kept.
#[derive(Clone)]
pub struct NewUser {
    /// What everyone may see.
    pub record: UserRecord,
    /// A PHC string, or empty. Never read back but to check a password.
    pub password_hash: String,
}

/// What is to be different of a user; None stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // as in the record
pub struct UserPatch {
    pub email: Option<String>,
    pub name: Option<String>,
    pub status: Option<i32>,
}

/// A user was created, changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Changes are numbered in the order of their commits, without gaps.
    pub seq: i64,
    /// The user as this change left it; if it was deleted, as it was before.
    pub user: UserRecord,
    /// Whether the user is no more.
    pub is_deletion: bool,
}

/// What a login is checked against.
#[derive(Clone)]
pub struct Credentials {
    /// Whose they are.
    pub user: UserRecord,
    /// A PHC string, or empty: no password matches.
    pub password_hash: String,
}

/// A refresh token, as it is kept.
#[derive(Clone)]
pub struct RefreshToken {
    /// SHA-256 of the token.
    pub hash: Vec<u8>,
    /// All tokens that came of one login have one family.
    pub family: String,
    /// Whose it is.
    pub user_id: String,
    /// Microseconds since the Unix epoch.
    pub expires_at_micros: i64,
}

/// What became of a refresh token that was to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// It is used up, and the next is kept in its place. Its user.
    Renewed(UserRecord),
    /// There is none such, or it has expired, or its user may not log in.
    Unknown,
    /// It was used before: somebody has a copy. Its whole family is gone.
    Reused,
}

/// A key that signs tokens.
#[derive(Clone)]
pub struct KeyRecord {
    /// Its name in a token's head.
    pub kid: String,
    /// PKCS #8.
    pub private_key: Vec<u8>,
    /// Microseconds since the Unix epoch.
    pub created_at_micros: i64,
}

/// Shown without what is secret of them.
macro_rules! redacted {
    ($($name:ident: $($shown:ident),+;)+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($shown), &self.$shown))+
                    .finish_non_exhaustive()
            }
        }
    )+};
}

redacted! {
    NewUser: record;
    Credentials: user;
    RefreshToken: family, user_id, expires_at_micros;
    KeyRecord: kid, created_at_micros;
}

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another user has this email, in some case.
    #[error("the email is taken")]
    EmailTaken,
    /// There is no room left on its disk.
    #[error("the store is full")]
    Full,
    /// It cannot be read or written now.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A store of users. Whoever is told that a write succeeded finds it after any crash.
///
/// Every write of a user appends a [`Change`] in its own transaction, so that who has read all
/// changes up to one has missed none.
#[tonic::async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Keeps a new user: a batch of one.
    async fn insert(&self, user: NewUser) -> Result<(), StoreError> {
        match self.insert_all(vec![user]).await?.as_slice() {
            [true] => Ok(()),
            _ => Err(StoreError::EmailTaken),
        }
    }

    /// Keeps new users in one transaction, without those whose email is taken. Tells of each
    /// whether it was kept.
    async fn insert_all(&self, users: Vec<NewUser>) -> Result<Vec<bool>, StoreError>;

    /// The user with this id.
    async fn find(&self, id: &str) -> Result<Option<UserRecord>, StoreError>;

    /// At most `limit` users in order of id, behind the id `after`.
    async fn page(&self, after: &str, limit: u32) -> Result<Vec<UserRecord>, StoreError>;

    /// Changes a user; the change, or None if there is no such user.
    async fn update(
        &self,
        id: &str,
        patch: UserPatch,
        now_micros: i64,
    ) -> Result<Option<Change>, StoreError>;

    /// Deletes a user; whether there was one.
    async fn delete(&self, id: &str, now_micros: i64) -> Result<bool, StoreError>;

    /// The number of the last change; 0 before the first.
    async fn last_change(&self) -> Result<i64, StoreError>;

    /// At most `limit` changes behind number `after`, in order. If the first is not `after` + 1,
    /// those between are forgotten.
    async fn changes(&self, after: i64, limit: u32) -> Result<Vec<Change>, StoreError>;

    /// Waits until another process may have made a change. To be told in vain does no harm, and
    /// to be told too late little: who waits looks itself now and then.
    async fn another_changed(&self);

    /// Forgets changes from before `before_micros`, but never the last `keep`.
    async fn forget_changes(&self, before_micros: i64, keep: u32) -> Result<(), StoreError>;

    /// What a login with this email, in any case, is checked against.
    async fn credentials(&self, email: &str) -> Result<Option<Credentials>, StoreError>;

    /// Replaces a password hash, if it is still `old`.
    async fn rehash(&self, id: &str, old: &str, new: String) -> Result<(), StoreError>;

    /// Keeps a refresh token.
    async fn add_refresh_token(&self, token: RefreshToken) -> Result<(), StoreError>;

    /// Uses up the token with this hash and keeps `next` in its place, whose family and user are
    /// those of the token used.
    async fn use_refresh_token(
        &self,
        hash: &[u8],
        next: RefreshToken,
        now_micros: i64,
    ) -> Result<Refreshed, StoreError>;

    /// Forgets refresh tokens that expired before `before_micros`.
    async fn forget_refresh_tokens(&self, before_micros: i64) -> Result<(), StoreError>;

    /// The newest signing keys, at most two, the newest first.
    async fn signing_keys(&self) -> Result<Vec<KeyRecord>, StoreError>;

    /// Keeps a signing key, if the newest is still `newest`, and forgets all but the newest two.
    async fn add_signing_key(&self, key: KeyRecord, newest: Option<&str>)
    -> Result<(), StoreError>;

    /// Whether it can be read now.
    async fn probe(&self) -> Result<(), StoreError>;

    /// Waits for what is under way, then closes.
    async fn close(&self);
}
