//! Statements on users. Each that writes appends what it did to the changes.

use std::collections::HashSet;

use serde_json::{Value, json};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    super::{Change, NewUser, StoreError, UserPatch, UserRecord},
    changes, refused,
};

/// One statement for all of them: each is a way to SQLite's thread and back.
pub(super) async fn insert_all(
    transaction: &mut SqliteConnection,
    users: Vec<NewUser>,
) -> Result<Vec<bool>, StoreError> {
    let row = |user: &NewUser| {
        let NewUser { record, password_hash } = user;
        let UserRecord { id, email, name, status, created_at_micros } = record;
        json!([id, email, email.to_lowercase(), name, status, password_hash, created_at_micros])
    };
    let kept: Vec<String> = sqlx::query_scalar(
        "INSERT INTO users (id, email, email_key, name, status, password_hash, created_at) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
         value ->> 6 FROM json_each(?) WHERE true \
         ON CONFLICT (email_key) DO NOTHING RETURNING id",
    )
    .bind(Value::from_iter(users.iter().map(row)).to_string())
    .fetch_all(&mut *transaction)
    .await
    .map_err(refused)?;
    let kept: HashSet<_> = kept.iter().map(String::as_str).collect();
    let is_kept = |user: &NewUser| kept.contains(user.record.id.as_str());
    let created = users.iter().filter(|user| is_kept(user)).map(|user| &user.record);
    changes::append_created(transaction, created).await?;
    Ok(users.iter().map(is_kept).collect())
}

pub(super) async fn find(
    connection: &mut SqliteConnection,
    id: &str,
) -> Result<Option<UserRecord>, StoreError> {
    let row = sqlx::query("SELECT id, email, name, status, created_at FROM users WHERE id = ?")
        .bind(id)
        .fetch_optional(connection)
        .await
        .map_err(refused)?;
    row.as_ref().map(record).transpose()
}

pub(super) async fn page(
    connection: &mut SqliteConnection,
    after: &str,
    limit: u32,
) -> Result<Vec<UserRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, email, name, status, created_at FROM users WHERE id > ? ORDER BY id LIMIT ?",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(connection)
    .await
    .map_err(refused)?;
    rows.iter().map(record).collect()
}

pub(super) async fn update(
    transaction: &mut SqliteConnection,
    id: &str,
    patch: UserPatch,
    now_micros: i64,
) -> Result<Option<Change>, StoreError> {
    let row = sqlx::query(
        "UPDATE users SET email = COALESCE(?, email), email_key = COALESCE(?, email_key), \
         name = COALESCE(?, name), status = COALESCE(?, status) WHERE id = ? \
         RETURNING id, email, name, status, created_at",
    )
    .bind(&patch.email)
    .bind(patch.email.as_ref().map(|email| email.to_lowercase()))
    .bind(&patch.name)
    .bind(patch.status)
    .bind(id)
    .fetch_optional(&mut *transaction)
    .await
    .map_err(refused)?;
    let Some(row) = row else { return Ok(None) };
    changes::append(transaction, record(&row)?, false, now_micros).await.map(Some)
}

pub(super) async fn delete(
    transaction: &mut SqliteConnection,
    id: &str,
    now_micros: i64,
) -> Result<bool, StoreError> {
    let row =
        sqlx::query("DELETE FROM users WHERE id = ? RETURNING id, email, name, status, created_at")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(refused)?;
    let Some(row) = row else { return Ok(false) };
    changes::append(transaction, record(&row)?, true, now_micros).await.map(|_| true)
}

/// From the columns id, email, name, status, created_at, in this order.
pub(super) fn record(row: &SqliteRow) -> Result<UserRecord, StoreError> {
    Ok(UserRecord {
        id: row.try_get(0).map_err(refused)?,
        email: row.try_get(1).map_err(refused)?,
        name: row.try_get(2).map_err(refused)?,
        status: row.try_get(3).map_err(refused)?,
        created_at_micros: row.try_get(4).map_err(refused)?,
    })
}
