//! Connections: where to, how many, what each is told before its first statement, and the one
//! that brings the tables up to date.

use std::time::Duration;

use sqlx::{
    ConnectOptions as _, Connection as _, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};
use tokio::time::timeout;

use super::{super::StoreError, refused, unavailable};

/// Version, name and text of each migration.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "users", include_str!("../../migrations/postgres/0001_users.sql")),
    (2, "changes", include_str!("../../migrations/postgres/0002_changes.sql")),
    (3, "auth", include_str!("../../migrations/postgres/0003_auth.sql")),
];

/// Of each replica, and one more that listens. Writers wait for one another in any case.
const MAX_CONNECTIONS: u32 = 10;

/// How long a call may wait for a connection that is free, or made, or made again.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Set by a statement rather than at the start of the connection, which poolers refuse. A
/// statement is over before the call is (`deadlines.unary_ms`); a gateway whose machine vanished
/// in a transaction does not keep all others waiting; and what is acknowledged is on disk even
/// where the server's default is not to wait for that.
const SESSION: &str = "SELECT set_config('statement_timeout', '5s', FALSE), \
     set_config('idle_in_transaction_session_timeout', '10s', FALSE), \
     set_config('synchronous_commit', CASE current_setting('synchronous_commit') \
     WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, FALSE)";

/// What a URL says, and the environment of libpq (PGPASSWORD, PGPASSFILE…) where it does not.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = url.parse().map_err(refused)?;
    Ok(match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("transom"),
    })
}

/// Makes connections when they are needed.
pub(super) fn pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        .max_lifetime(MAX_LIFETIME)
        .after_connect(|connection, _| {
            Box::pin(async { sqlx::query(SESSION).execute(connection).await.map(|_| ()) })
        })
        .connect_lazy_with(options)
}

/// Makes the tables, or brings them up to date. Of replicas that start at once one does it, and
/// the others wait, on a connection whose statements may take their time.
pub(super) async fn migrate(options: &PgConnectOptions) -> Result<(), StoreError> {
    let connecting = timeout(CONNECT_TIMEOUT, options.connect());
    let mut connection = connecting.await.map_err(unavailable)?.map_err(refused)?;
    let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
        .fetch_one(&mut connection)
        .await
        .map_err(refused)?;
    if encoding != "UTF8" {
        return Err(unavailable(format!(
            "its encoding is {encoding}: a database in UTF8 is needed"
        )));
    }
    // Else each start logs that the table of migrations is there already.
    sqlx::query("SET client_min_messages TO warning")
        .execute(&mut connection)
        .await
        .map_err(refused)?;
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.into());
    migrator.run(&mut connection).await.map_err(unavailable)?;
    connection.close().await.map_err(refused)
}
