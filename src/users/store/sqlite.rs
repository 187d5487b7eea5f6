//! Users in SQLite: one writer, several readers, write-ahead log, every commit synced to disk.

use std::{path::Path, time::Duration};

use sqlx::{
    Row as _, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};

use super::{NewUser, Store, StoreError, UserRecord};

/// Version, name and text of each migration.
const MIGRATIONS: [(i64, &str, &str); 1] =
    [(1, "users", include_str!("../migrations/sqlite/0001_users.sql"))];

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
    /// Opens a file, created with mode 0600 if it does not exist, and migrates it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path).map_err(unavailable)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = pool(1).connect_with(options.clone()).await.map_err(refused)?;
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

    /// Waits for what is under way, then closes.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl Store for SqliteStore {
    async fn insert(&self, user: NewUser) -> Result<(), StoreError> {
        let pool = self.writer.clone();
        to_its_end(async move {
            let NewUser { record, password_hash } = user;
            sqlx::query(
                "INSERT INTO users \
                 (id, email, email_key, name, status, password_hash, created_at) \
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(&record.id)
            .bind(&record.email)
            .bind(record.email.to_lowercase())
            .bind(&record.name)
            .bind(record.status)
            .bind(&password_hash)
            .bind(record.created_at_micros)
            .execute(&pool)
            .await
            .map(|_| ())
            .map_err(refused)
        })
        .await
    }

    async fn find(&self, id: &str) -> Result<Option<UserRecord>, StoreError> {
        let (pool, id) = (self.readers.clone(), id.to_owned());
        to_its_end(async move {
            let row =
                sqlx::query("SELECT id, email, name, status, created_at FROM users WHERE id = ?")
                    .bind(id)
                    .fetch_optional(&pool)
                    .await
                    .map_err(refused)?;
            row.as_ref().map(record).transpose()
        })
        .await
    }

    async fn page(&self, after: &str, limit: u32) -> Result<Vec<UserRecord>, StoreError> {
        let (pool, after) = (self.readers.clone(), after.to_owned());
        to_its_end(async move {
            let rows = sqlx::query(
                "SELECT id, email, name, status, created_at FROM users \
                 WHERE id > ? ORDER BY id LIMIT ?",
            )
            .bind(after)
            .bind(limit)
            .fetch_all(&pool)
            .await
            .map_err(refused)?;
            rows.iter().map(record).collect()
        })
        .await
    }
}

/// Does the work even if nobody waits for it any more: a query that is dropped on its way costs
/// its connection, and with that a store in memory.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(unavailable(error)))
}

fn record(row: &SqliteRow) -> Result<UserRecord, StoreError> {
    Ok(UserRecord {
        id: row.try_get(0).map_err(refused)?,
        email: row.try_get(1).map_err(refused)?,
        name: row.try_get(2).map_err(refused)?,
        status: row.try_get(3).map_err(refused)?,
        created_at_micros: row.try_get(4).map_err(refused)?,
    })
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).acquire_timeout(BUSY_TIMEOUT)
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

    async fn keeps_its_promises(store: &SqliteStore) {
        for (number, email) in [(3, "c@x"), (1, "a@x"), (2, "b@x")] {
            store.insert(user(number, email)).await.unwrap();
        }
        let taken = store.insert(user(4, "A@X")).await.unwrap_err();
        assert!(matches!(taken, StoreError::EmailTaken), "{taken}");
        assert_eq!(store.find("id-1").await.unwrap(), Some(user(1, "a@x").record));
        assert_eq!(store.find("id-4").await.unwrap(), None);
        let page = store.page("", 2).await.unwrap();
        assert_eq!(page.iter().map(|u| &u.id[..]).collect::<Vec<_>>(), ["id-1", "id-2"]);
        let page = store.page("id-2", 2).await.unwrap();
        assert_eq!(page.iter().map(|u| &u.id[..]).collect::<Vec<_>>(), ["id-3"]);
    }

    #[tokio::test]
    async fn in_memory() {
        keeps_its_promises(&SqliteStore::in_memory().await.unwrap()).await;
    }

    /// A caller that hung up in the middle of a list took the in-memory store with it.
    #[tokio::test]
    async fn a_query_that_nobody_waits_for_leaves_the_store_whole() {
        let store = SqliteStore::in_memory().await.unwrap();
        store.insert(user(1, "a@x")).await.unwrap();
        for round in 0..2_000 {
            let mut page = Box::pin(store.page("", 100));
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
        keeps_its_promises(&store).await;
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
        assert_eq!(again.page("", 10).await.unwrap().len(), 3);
    }

    #[test]
    fn a_password_hash_is_not_in_debug_output() {
        assert!(!format!("{:?}", user(1, "a@x")).contains("hash"));
    }
}
