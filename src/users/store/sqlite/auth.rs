//! Statements on what logins need: passwords, refresh tokens, signing keys.

use sqlx::{Row as _, SqliteConnection};

use super::{
    super::{Credentials, KeyRecord, RefreshToken, Refreshed, StoreError},
    refused, users,
};
use crate::users::v1::UserStatus;

pub(super) async fn credentials(
    connection: &mut SqliteConnection,
    email: &str,
) -> Result<Option<Credentials>, StoreError> {
    let row = sqlx::query(
        "SELECT id, email, name, status, created_at, password_hash FROM users WHERE email_key = ?",
    )
    .bind(email.to_lowercase())
    .fetch_optional(connection)
    .await
    .map_err(refused)?;
    let Some(row) = row else { return Ok(None) };
    let password_hash = row.try_get(5).map_err(refused)?;
    Ok(Some(Credentials { user: users::record(&row)?, password_hash }))
}

pub(super) async fn rehash(
    transaction: &mut SqliteConnection,
    id: &str,
    old: &str,
    new: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?")
        .bind(new)
        .bind(id)
        .bind(old)
        .execute(transaction)
        .await
        .map(|_| ())
        .map_err(refused)
}

pub(super) async fn add_refresh_token(
    transaction: &mut SqliteConnection,
    token: &RefreshToken,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO refresh_tokens (hash, family, user_id, is_used, expires_at) \
         VALUES (?, ?, ?, 0, ?)",
    )
    .bind(&token.hash)
    .bind(&token.family)
    .bind(&token.user_id)
    .bind(token.expires_at_micros)
    .execute(transaction)
    .await
    .map(|_| ())
    .map_err(refused)
}

pub(super) async fn knows_refresh_token(
    connection: &mut SqliteConnection,
    hash: &[u8],
) -> Result<bool, StoreError> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM refresh_tokens WHERE hash = ?)")
        .bind(hash)
        .fetch_one(connection)
        .await
        .map_err(refused)
}

pub(super) async fn use_refresh_token(
    transaction: &mut SqliteConnection,
    hash: &[u8],
    mut next: RefreshToken,
    now_micros: i64,
) -> Result<Refreshed, StoreError> {
    let row = sqlx::query(
        "SELECT u.id, u.email, u.name, u.status, u.created_at, t.family, t.is_used \
         FROM refresh_tokens t JOIN users u ON u.id = t.user_id \
         WHERE t.hash = ? AND t.expires_at > ?",
    )
    .bind(hash)
    .bind(now_micros)
    .fetch_optional(&mut *transaction)
    .await
    .map_err(refused)?;
    let Some(row) = row else { return Ok(Refreshed::Unknown) };
    let user = users::record(&row)?;
    next.family = row.try_get(5).map_err(refused)?;
    next.user_id.clone_from(&user.id);
    if row.try_get(6).map_err(refused)? {
        sqlx::query("DELETE FROM refresh_tokens WHERE family = ?")
            .bind(&next.family)
            .execute(transaction)
            .await
            .map_err(refused)?;
        return Ok(Refreshed::Reused);
    }
    if user.status != i32::from(UserStatus::Active) {
        return Ok(Refreshed::Unknown);
    }
    sqlx::query("UPDATE refresh_tokens SET is_used = 1 WHERE hash = ?")
        .bind(hash)
        .execute(&mut *transaction)
        .await
        .map_err(refused)?;
    add_refresh_token(transaction, &next).await?;
    Ok(Refreshed::Renewed(user))
}

pub(super) async fn forget_refresh_tokens(
    transaction: &mut SqliteConnection,
    before_micros: i64,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM refresh_tokens WHERE expires_at < ?")
        .bind(before_micros)
        .execute(transaction)
        .await
        .map(|_| ())
        .map_err(refused)
}

pub(super) async fn signing_keys(
    connection: &mut SqliteConnection,
) -> Result<Vec<KeyRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT kid, private_key, created_at FROM signing_keys ORDER BY number DESC LIMIT 2",
    )
    .fetch_all(connection)
    .await
    .map_err(refused)?;
    let key = |row: &sqlx::sqlite::SqliteRow| {
        Ok(KeyRecord {
            kid: row.try_get(0).map_err(refused)?,
            private_key: row.try_get(1).map_err(refused)?,
            created_at_micros: row.try_get(2).map_err(refused)?,
        })
    };
    rows.iter().map(key).collect()
}

pub(super) async fn add_signing_key(
    transaction: &mut SqliteConnection,
    key: KeyRecord,
    newest: Option<String>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO signing_keys (kid, private_key, created_at) SELECT ?, ?, ? \
         WHERE (SELECT kid FROM signing_keys ORDER BY number DESC LIMIT 1) IS ?",
    )
    .bind(&key.kid)
    .bind(&key.private_key)
    .bind(key.created_at_micros)
    .bind(newest)
    .execute(&mut *transaction)
    .await
    .map_err(refused)?;
    sqlx::query(
        "DELETE FROM signing_keys WHERE number NOT IN \
         (SELECT number FROM signing_keys ORDER BY number DESC LIMIT 2)",
    )
    .execute(transaction)
    .await
    .map(|_| ())
    .map_err(refused)
}
