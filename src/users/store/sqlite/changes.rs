//! Statements on changes. Numbers are given within the transaction that makes the change, by the
//! one writer there is: their order is that of the commits, and one that is rolled back leaves no
//! gap.

use serde_json::{Value, json};
use sqlx::{Row as _, SqliteConnection};

use super::{
    super::{Change, StoreError, UserRecord},
    refused, users,
};

/// How many changes are forgotten in one transaction: every other write waits for it.
const FORGOTTEN_AT_ONCE: i64 = 2_000;

pub(super) async fn append(
    transaction: &mut SqliteConnection,
    user: UserRecord,
    is_deletion: bool,
    at_micros: i64,
) -> Result<Change, StoreError> {
    let seq: i64 = sqlx::query_scalar("UPDATE change_head SET seq = seq + 1 RETURNING seq")
        .fetch_one(&mut *transaction)
        .await
        .map_err(refused)?;
    sqlx::query(
        "INSERT INTO changes (seq, at, is_deletion, id, email, name, status, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(seq)
    .bind(at_micros)
    .bind(is_deletion)
    .bind(&user.id)
    .bind(&user.email)
    .bind(&user.name)
    .bind(user.status)
    .bind(user.created_at_micros)
    .execute(transaction)
    .await
    .map_err(refused)?;
    Ok(Change { seq, user, is_deletion })
}

/// Appends that these users were created, each at its time.
pub(super) async fn append_created(
    transaction: &mut SqliteConnection,
    users: impl Iterator<Item = &UserRecord>,
) -> Result<(), StoreError> {
    let rows: Vec<_> = users
        .map(|user| {
            let UserRecord { id, email, name, status, created_at_micros } = user;
            json!([id, email, name, status, created_at_micros])
        })
        .collect();
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let before: i64 =
        sqlx::query_scalar("UPDATE change_head SET seq = seq + ?1 RETURNING seq - ?1")
            .bind(count)
            .fetch_one(&mut *transaction)
            .await
            .map_err(refused)?;
    sqlx::query(
        "INSERT INTO changes (seq, at, is_deletion, id, email, name, status, created_at) \
         SELECT ?1 + 1 + key, value ->> 4, 0, value ->> 0, value ->> 1, value ->> 2, value ->> 3, \
         value ->> 4 FROM json_each(?2)",
    )
    .bind(before)
    .bind(Value::from(rows).to_string())
    .execute(transaction)
    .await
    .map(|_| ())
    .map_err(refused)
}

pub(super) async fn last(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT seq FROM change_head").fetch_one(connection).await.map_err(refused)
}

pub(super) async fn behind(
    connection: &mut SqliteConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<Change>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, email, name, status, created_at, seq, is_deletion FROM changes \
         WHERE seq > ? ORDER BY seq LIMIT ?",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(connection)
    .await
    .map_err(refused)?;
    let change = |row| {
        Ok(Change {
            user: users::record(row)?,
            seq: row.try_get(5).map_err(refused)?,
            is_deletion: row.try_get(6).map_err(refused)?,
        })
    };
    rows.iter().map(change).collect()
}

/// Forgets the oldest of what is to be forgotten; whether that was all.
pub(super) async fn forget_some(
    transaction: &mut SqliteConnection,
    before_micros: i64,
    keep: u32,
) -> Result<bool, StoreError> {
    // Times need not be in the order of numbers; what is kept is without gaps all the same.
    let forgotten = sqlx::query(
        "DELETE FROM changes WHERE seq <= (SELECT seq FROM change_head) - ?1 AND seq < \
         COALESCE((SELECT seq FROM changes WHERE at >= ?2 ORDER BY seq LIMIT 1), ?3) \
         AND seq < (SELECT min(seq) FROM changes) + ?4",
    )
    .bind(keep)
    .bind(before_micros)
    .bind(i64::MAX)
    .bind(FORGOTTEN_AT_ONCE)
    .execute(transaction)
    .await
    .map_err(refused)?;
    Ok(forgotten.rows_affected() < FORGOTTEN_AT_ONCE as u64)
}
