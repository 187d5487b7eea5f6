//! Users in SQLite: one writer, several readers, write-ahead log, every commit synced to disk.

use std::{path::Path, time::Duration};

use sqlx::{
    Connection as _, SqlSafeStr as _, Sqlite, SqliteConnection, Transaction,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
    },
};

use super::{
    Change, Credentials, KeyRecord, NewUser, RefreshToken, Refreshed, Store, StoreError, UserPatch,
    UserRecord,
};

mod auth;
mod changes;
mod users;

/// Version, name and text of each migration.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "users", include_str!("../migrations/sqlite/0001_users.sql")),
    (2, "changes", include_str!("../migrations/sqlite/0002_changes.sql")),
    (3, "auth", include_str!("../migrations/sqlite/0003_auth.sql")),
];

/// How long to wait for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const READERS: u32 = 4;

/// A store in a file, or in memory.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    /// One connection: SQLite has one writer, and waiting here beats being refused there.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens a file, created with mode 0600 if it does not exist, looks whether it is whole, and
    /// migrates it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_waiting(path, BUSY_TIMEOUT).await
    }

    async fn open_waiting(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        create_private(path).map_err(unavailable)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(busy_timeout);
        let writer = pool(1).connect_with(options.clone()).await.map_err(refused)?;
        check(&writer).await?;
        migrate(&writer).await?;
        let readers = pool(READERS).connect_lazy_with(options.read_only(true));
        Ok(Self { writer, readers })
    }

    /// A store that lives as long as the process.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
        // The database is the connection: one that is never let go.
        let only = pool(1).idle_timeout(None).max_lifetime(None).min_connections(1);
        let writer = only.connect_with(options).await.map_err(refused)?;
        migrate(&writer).await?;
        Ok(Self { readers: writer.clone(), writer })
    }
}

/// A transaction that has the right to write from its begin: it waits for others there, and not
/// where it could only fail.
async fn begin(writer: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>, StoreError> {
    writer.begin_with("BEGIN IMMEDIATE").await.map_err(refused)
}

/// `work` with a transaction, committed if it succeeds.
macro_rules! writing {
    ($store:ident, |$transaction:ident| $work:expr) => {{
        let pool = $store.writer.clone();
        to_its_end(async move {
            let mut writer = pool.acquire().await.map_err(refused)?;
            let mut begun = begin(&mut writer).await?;
            let $transaction = &mut *begun;
            let done = match $work.await {
                Ok(done) => begun.commit().await.map_err(refused).map(|()| done),
                Err(error) => match begun.rollback().await {
                    Ok(()) => return Err(error),
                    Err(_) => Err(error),
                },
            };
            if done.is_err() {
                // A full disk ends a transaction by itself. Then sqlx and SQLite are not of one
                // mind any more whether there is one on this connection.
                writer.close_on_drop();
            }
            done
        })
        .await
    }};
}

/// `work` with a connection that reads.
macro_rules! reading {
    ($store:ident, |$connection:ident| $work:expr) => {{
        let pool = $store.readers.clone();
        to_its_end(async move {
            let mut acquired = pool.acquire().await.map_err(refused)?;
            let $connection = &mut *acquired;
            $work.await
        })
        .await
    }};
}

#[tonic::async_trait]
impl Store for SqliteStore {
    async fn insert_all(&self, users: Vec<NewUser>) -> Result<Vec<bool>, StoreError> {
        writing!(self, |transaction| users::insert_all(transaction, users))
    }

    async fn find(&self, id: &str) -> Result<Option<UserRecord>, StoreError> {
        let id = id.to_owned();
        reading!(self, |connection| users::find(connection, &id))
    }

    async fn page(&self, after: &str, limit: u32) -> Result<Vec<UserRecord>, StoreError> {
        let after = after.to_owned();
        reading!(self, |connection| users::page(connection, &after, limit))
    }

    async fn update(
        &self,
        id: &str,
        patch: UserPatch,
        now_micros: i64,
    ) -> Result<Option<Change>, StoreError> {
        let id = id.to_owned();
        writing!(self, |transaction| users::update(transaction, &id, patch, now_micros))
    }

    async fn delete(&self, id: &str, now_micros: i64) -> Result<bool, StoreError> {
        let id = id.to_owned();
        writing!(self, |transaction| users::delete(transaction, &id, now_micros))
    }

    async fn last_change(&self) -> Result<i64, StoreError> {
        reading!(self, |connection| changes::last(connection))
    }

    async fn changes(&self, after: i64, limit: u32) -> Result<Vec<Change>, StoreError> {
        reading!(self, |connection| changes::behind(connection, after, limit))
    }

    /// SQLite tells nobody.
    async fn another_changed(&self) {
        std::future::pending().await
    }

    async fn forget_changes(&self, before_micros: i64, keep: u32) -> Result<(), StoreError> {
        loop {
            let is_done = writing!(self, |transaction| changes::forget_some(
                transaction,
                before_micros,
                keep
            ))?;
            if is_done {
                return Ok(());
            }
        }
    }

    async fn credentials(&self, email: &str) -> Result<Option<Credentials>, StoreError> {
        let email = email.to_owned();
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
        // What is none of ours does not wait for the one writer.
        let asked = hash.clone();
        if !reading!(self, |connection| auth::knows_refresh_token(connection, &asked))? {
            return Ok(Refreshed::Unknown);
        }
        writing!(self, |transaction| auth::use_refresh_token(transaction, &hash, next, now_micros))
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
        writing!(self, |transaction| auth::add_signing_key(transaction, key, newest))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        reading!(self, |connection| changes::last(connection)).map(|_| ())
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Does the work even if nobody waits for it any more: a query that is dropped on its way costs
/// its connection, and with that a store in memory.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(unavailable(error)))
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).acquire_timeout(BUSY_TIMEOUT)
}

/// A damaged file is not written to.
async fn check(pool: &SqlitePool) -> Result<(), StoreError> {
    let found: String =
        sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(pool).await.map_err(refused)?;
    match found.as_str() {
        "ok" => Ok(()),
        damage => Err(unavailable(format!("it is damaged: {damage}"))),
    }
}

async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.into()).run(pool).await.map_err(unavailable)
}

/// SQLite gives its log files the mode of the database, so that none is readable by others.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

fn refused(error: sqlx::Error) -> StoreError {
    const SQLITE_FULL: &str = "13";
    if let sqlx::Error::Database(database) = &error {
        if database.is_unique_violation() && database.message().contains("users.email_key") {
            return StoreError::EmailTaken;
        }
        if database.code().as_deref() == Some(SQLITE_FULL) {
            return StoreError::Full;
        }
    }
    unavailable(error)
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Unavailable(error.into())
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use super::*;

    fn user(number: u8, email: &str) -> NewUser {
        let record = UserRecord {
            id: format!("id-{number}"),
            email: email.into(),
            name: "N".into(),
            status: 1,
            created_at_micros: 1_700_000_000_000_001,
        };
        NewUser { record, password_hash: "hash".into() }
    }

    /// A caller that hung up in the middle of a list took the in-memory store with it.
    #[tokio::test]
    async fn a_query_that_nobody_waits_for_leaves_the_store_whole() {
        let store = SqliteStore::in_memory().await.unwrap();
        store.insert(user(1, "a@x")).await.unwrap();
        for round in 0..2_000 {
            let mut page = store.page("", 100);
            for _ in 0..round % 5 {
                if futures_util::poll!(&mut page).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(page);
            assert!(store.find("id-1").await.unwrap().is_some(), "round {round}");
        }
    }

    #[tokio::test]
    async fn in_a_file_that_outlives_the_process_and_nobody_else_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let store = SqliteStore::open(&path).await.unwrap();
        store.insert(user(1, "a@x")).await.unwrap();
        for setting in ["PRAGMA journal_mode", "PRAGMA synchronous"] {
            let row = sqlx::query(setting).fetch_one(&store.writer).await.unwrap();
            let value = row.try_get(0).or_else(|_| row.try_get::<i64, _>(0).map(|n| n.to_string()));
            assert!(["wal", "2"].contains(&value.unwrap().as_str()), "{setting}");
        }
        for file in std::fs::read_dir(folder.path()).unwrap() {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        store.close().await;
        let again = SqliteStore::open(&path).await.unwrap();
        assert_eq!(again.page("", 10).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_disk_without_room_is_told_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("users.db")).await.unwrap();
        store.insert(user(1, "a@x")).await.unwrap();
        let no_more = sqlx::query("PRAGMA max_page_count = 1");
        no_more.execute(&store.writer).await.unwrap();
        let mut kept = 1;
        let full = loop {
            let mut next = user(0, &format!("{kept}@x"));
            next.record.id = format!("id-{kept:03}");
            next.record.name = "n".repeat(1_000);
            match store.insert(next).await {
                Ok(()) => kept += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, StoreError::Full), "{full}");
        assert_eq!(store.page("", 1_000).await.unwrap().len(), kept);
        assert_eq!(store.last_change().await.unwrap(), kept as i64);
        // As an administrator makes room: the same process goes on.
        sqlx::query("PRAGMA max_page_count = 1000000").execute(&store.writer).await.unwrap();
        store.insert(user(9, "again@x")).await.unwrap();
    }

    #[tokio::test]
    async fn a_lock_held_by_another_makes_a_write_unavailable_for_as_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let other = SqliteStore::open(&path).await.unwrap();
        let store = SqliteStore::open_waiting(&path, Duration::from_millis(10)).await.unwrap();
        let mut writer = other.writer.acquire().await.unwrap();
        let held = begin(&mut writer).await.unwrap();
        let busy = store.insert(user(1, "a@x")).await.unwrap_err();
        assert!(matches!(busy, StoreError::Unavailable(_)), "{busy}");
        assert_eq!(store.find("id-1").await.unwrap(), None);
        drop(held);
        // The lock is let go by a thread of its own.
        while let Err(error) = store.insert(user(1, "a@x")).await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn a_damaged_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let store = SqliteStore::open(&path).await.unwrap();
        for number in 0..100 {
            let mut next = user(0, &format!("{number}@x"));
            next.record.id = format!("id-{number:03}");
            store.insert(next).await.unwrap();
        }
        store.close().await;
        let mut bytes = std::fs::read(&path).unwrap();
        let half = bytes.len() / 2;
        bytes[4096..half].fill(0xFF);
        std::fs::write(&path, bytes).unwrap();
        let damaged = SqliteStore::open(&path).await.unwrap_err();
        assert!(matches!(damaged, StoreError::Unavailable(_)), "{damaged}");
    }

    #[test]
    fn a_password_hash_is_not_in_debug_output() {
        assert!(!format!("{:?}", user(1, "a@x")).contains("hash"));
    }
}
