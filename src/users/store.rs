//! Where users are kept: the trait, and what each of its promises means.

use std::{fmt, future::Future};

mod sqlite;

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

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser").field("record", &self.record).finish_non_exhaustive()
    }
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
pub trait Store: Send + Sync + 'static {
    /// Keeps a new user.
    fn insert(&self, user: NewUser) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The user with this id.
    fn find(&self, id: &str)
    -> impl Future<Output = Result<Option<UserRecord>, StoreError>> + Send;

    /// At most `limit` users in order of id, behind the id `after`.
    fn page(
        &self,
        after: &str,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<UserRecord>, StoreError>> + Send;
}
