//! A database for each test, and waiting without a clock to be right about.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, SqlSafeStr as _};
use transom::users::{PostgresStore, Store, StoreError};

/// A database, dropped by nobody: its server lives no longer than the tests.
pub(crate) struct Database {
    pub(crate) url: String,
    /// Beside the stores that are tested.
    admin: PgConnection,
}

impl Database {
    /// A new one, empty.
    pub(crate) async fn create(name: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test's configuration")]
        let url = std::env::var("TRANSOM_TEST_POSTGRES").expect(
            "TRANSOM_TEST_POSTGRES is not the URL of a server to make databases on: run tests/run postgres",
        );
        let mut server = PgConnection::connect(&url).await.unwrap();
        let name = format!("{name}_{}", uuid::Uuid::now_v7().simple());
        execute(&mut server, format!("CREATE DATABASE {name}")).await;
        let (before, _) = url.rsplit_once('/').unwrap();
        let url = format!("{before}/{name}");
        let admin = PgConnection::connect(&url).await.unwrap();
        Self { url, admin }
    }

    pub(crate) async fn open(&self) -> PostgresStore {
        PostgresStore::open(&self.url).await.unwrap()
    }

    pub(crate) async fn execute(&mut self, sql: impl Into<String>) {
        execute(&mut self.admin, sql.into()).await;
    }

    pub(crate) async fn texts(&mut self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&mut self.admin).await.unwrap()
    }

    /// A statement that runs before each user is inserted, in the same transaction.
    pub(crate) async fn before_each_insert(&mut self, statement: &str) {
        self.execute(format!(
            "CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN {statement}; RETURN NEW; END $$"
        ))
        .await;
        self.execute(
            "CREATE TRIGGER act BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION act()",
        )
        .await;
    }

    /// Ends the connections of all stores; how many.
    pub(crate) async fn terminate_all(&mut self) -> usize {
        let ended = self.texts(
            "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        ended.await.len()
    }

    /// Waits until the stores' connections have ended.
    pub(crate) async fn has_no_connections(&mut self) {
        let others = "SELECT pid::text FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        while !self.texts(others).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until so many connections listen.
    pub(crate) async fn listened_to_by(&mut self, listeners: usize) {
        let listening = "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() \
                         AND state = 'idle' AND query LIKE 'LISTEN%'";
        while self.texts(listening).await.len() < listeners {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn execute(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql).into_sql_str()).execute(connection).await.unwrap();
}

/// Far more than anything here takes: a test that waits for ever says where.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it never happens")
}

/// Until the store does as asked; what it says before that is that it is unavailable.
pub(crate) async fn recovers(store: &dyn Store) {
    soon(async {
        while let Err(error) = store.probe().await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
