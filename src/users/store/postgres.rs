//! Users in PostgreSQL, shared by every replica of the service.
//!
//! A `bigserial` would lose changes: it gives numbers when rows are written, not when they are
//! committed. Number 8 can be there before 7 is, and who has read up to 8 never looks for 7 again;
//! and one that is rolled back leaves a gap that looks like a change still to come. So a number is
//! taken last in its transaction, from one row that stays locked until the commit
//! (`changes::append`). That makes writers wait for one another, for a commit each; a batch is one.
//!
//! Users are written before the number is taken, and nothing after it: whoever holds the number's
//! lock waits for nobody, so that the lock cannot be part of a deadlock. What is left of deadlocks
//! (two users that swap emails) is tried once more.

use std::{fmt, sync::Arc, time::Duration};

use sqlx::{
    Connection as _,
    postgres::{PgConnectOptions, PgPool},
};
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

use super::{
    Change, Credentials, KeyRecord, NewUser, RefreshToken, Refreshed, Store, StoreError, UserPatch,
    UserRecord,
};

mod auth;
mod changes;
mod connections;
mod hints;
mod users;

use hints::Hints;

/// How long the statements of one piece of work may take together. The server has a limit for
/// each, but one that vanished does not keep it.
const WORK_LIMIT: Duration = Duration::from_secs(10);

/// How long to wait before a transaction is tried again: who was in its way is to be through.
const PAUSE: Duration = Duration::from_millis(100);

/// A store in a database.
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    hints: Arc<Hints>,
    /// A socket belongs to the runtime that opened it, and the service is called on many: all
    /// work is done on the one that opened the store.
    runtime: Handle,
}

impl PostgresStore {
    /// Opens the database at a `postgres://` URL and migrates it. Must be called on the runtime
    /// that is to do the work, which must live as long as the store is used.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let options: PgConnectOptions = connections::options(url)?;
        connections::migrate(&options).await?;
        let hints = Arc::new(Hints::listen(options.clone()));
        Ok(Self { pool: connections::pool(options), hints, runtime: Handle::current() })
    }

    /// Does the work even if nobody waits for it any more: a query that is dropped on its way
    /// costs its connection.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.runtime.spawn(work).await.unwrap_or_else(|error| Err(unavailable(error)))
    }
}

/// Without its address, in which a password may be.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// `work` with a connection, which is not used again after a failure that says nothing of the
/// work: it may be broken, or lead to a server that takes no writes any more.
macro_rules! connected {
    ($pool:ident, |$connection:ident| $work:expr) => {{
        let mut acquired = $pool.acquire().await.map_err(refused)?;
        let $connection = &mut *acquired;
        let done = timeout(WORK_LIMIT, $work).await.unwrap_or_else(|late| Err(unavailable(late)));
        if let Err(StoreError::Unavailable(_)) = done {
            acquired.close_on_drop();
        }
        done
    }};
}

/// `work` with a transaction, committed if it succeeds, and done once more if another
/// transaction was in its way.
macro_rules! writing {
    ($store:ident, |$transaction:ident| $work:expr) => {{
        let pool = $store.pool.clone();
        $store
            .to_its_end(async move {
                let mut is_repeated = false;
                loop {
                    let done = connected!(pool, |connection| async {
                        // Whatever the server's default is: numbers are taken after waiting.
                        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
                        let mut begun = connection.begin_with(begin).await.map_err(refused)?;
                        let $transaction = &mut *begun;
                        let done = $work.await?;
                        begun.commit().await.map_err(refused)?;
                        Ok(done)
                    });
                    match done {
                        Err(error) if !is_repeated && is_conflict(&error) => is_repeated = true,
                        done => break done,
                    }
                    sleep(PAUSE).await;
                }
            })
            .await
    }};
}

/// `work` with a connection that reads.
macro_rules! reading {
    ($store:ident, |$connection:ident| $work:expr) => {{
        let pool = $store.pool.clone();
        $store.to_its_end(async move { connected!(pool, |$connection| $work) }).await
    }};
}

#[tonic::async_trait]
impl Store for PostgresStore {
    async fn insert_all(&self, users: Vec<NewUser>) -> Result<Vec<bool>, StoreError> {
        writing!(self, |transaction| users::insert_all(transaction, &users))
    }

    async fn find(&self, id: &str) -> Result<Option<UserRecord>, StoreError> {
        let Some(id) = keepable(id) else { return Ok(None) };
        reading!(self, |connection| users::find(connection, &id))
    }

    async fn page(&self, after: &str, limit: u32) -> Result<Vec<UserRecord>, StoreError> {
        // No id has a NUL: those behind it are those behind what is before it.
        let after = after.split('\0').next().unwrap_or_default().to_owned();
        reading!(self, |connection| users::page(connection, &after, limit))
    }

    async fn update(
        &self,
        id: &str,
        patch: UserPatch,
        now_micros: i64,
    ) -> Result<Option<Change>, StoreError> {
        let Some(id) = keepable(id) else { return Ok(None) };
        writing!(self, |transaction| users::update(transaction, &id, &patch, now_micros))
    }

    async fn delete(&self, id: &str, now_micros: i64) -> Result<bool, StoreError> {
        let Some(id) = keepable(id) else { return Ok(false) };
        writing!(self, |transaction| users::delete(transaction, &id, now_micros))
    }

    async fn last_change(&self) -> Result<i64, StoreError> {
        reading!(self, |connection| changes::last(connection))
    }

    async fn changes(&self, after: i64, limit: u32) -> Result<Vec<Change>, StoreError> {
        reading!(self, |connection| changes::behind(connection, after, limit))
    }

    async fn another_changed(&self) {
        self.hints.next().await;
    }

    async fn forget_changes(&self, before_micros: i64, keep: u32) -> Result<(), StoreError> {
        while !writing!(self, |transaction| changes::forget_some(transaction, before_micros, keep))?
        {
        }
        Ok(())
    }

    async fn credentials(&self, email: &str) -> Result<Option<Credentials>, StoreError> {
        let Some(email) = keepable(email) else { return Ok(None) };
        reading!(self, |connection| auth::credentials(connection, &email))
    }

    async fn rehash(&self, id: &str, old: &str, new: String) -> Result<(), StoreError> {
        let (id, old) = (id.to_owned(), old.to_owned());
        writing!(self, |transaction| auth::rehash(transaction, &id, &old, &new))
    }

    async fn add_refresh_token(&self, token: RefreshToken) -> Result<(), StoreError> {
        writing!(self, |transaction| auth::add_refresh_token(transaction, &token))
    }

    async fn use_refresh_token(
        &self,
        hash: &[u8],
        next: RefreshToken,
        now_micros: i64,
    ) -> Result<Refreshed, StoreError> {
        let hash = hash.to_owned();
        writing!(self, |transaction| auth::use_refresh_token(transaction, &hash, &next, now_micros))
    }

    async fn forget_refresh_tokens(&self, before_micros: i64) -> Result<(), StoreError> {
        writing!(self, |transaction| auth::forget_refresh_tokens(transaction, before_micros))
    }

    async fn signing_keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        reading!(self, |connection| auth::signing_keys(connection))
    }

    async fn add_signing_key(
        &self,
        key: KeyRecord,
        newest: Option<&str>,
    ) -> Result<(), StoreError> {
        let newest = newest.map(ToOwned::to_owned);
        writing!(self, |transaction| auth::add_signing_key(transaction, &key, newest.as_deref()))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        reading!(self, |connection| changes::last(connection)).map(|_| ())
    }

    async fn close(&self) {
        self.hints.stop();
        let pool = self.pool.clone();
        // A runtime that is gone has closed everything.
        let _ = self.runtime.spawn(async move { pool.close().await }).await;
    }
}

/// The text, unless PostgreSQL can keep none such: with a NUL in it.
fn keepable(text: &str) -> Option<String> {
    (!text.contains('\0')).then(|| text.to_owned())
}

fn refused(error: sqlx::Error) -> StoreError {
    const DISK_FULL: &str = "53100";
    if let sqlx::Error::Database(database) = &error {
        if database.is_unique_violation() && database.constraint() == Some("users_email_key") {
            return StoreError::EmailTaken;
        }
        if database.code().as_deref() == Some(DISK_FULL) {
            return StoreError::Full;
        }
    }
    unavailable(error)
}

/// Whether the server gave up the transaction because of another, and would take it now.
fn is_conflict(error: &StoreError) -> bool {
    const SERIALIZATION_FAILURE: &str = "40001";
    const DEADLOCK_DETECTED: &str = "40P01";
    let StoreError::Unavailable(error) = error else { return false };
    let Some(sqlx::Error::Database(database)) = error.downcast_ref() else { return false };
    matches!(database.code().as_deref(), Some(SERIALIZATION_FAILURE | DEADLOCK_DETECTED))
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Unavailable(error.into())
}
