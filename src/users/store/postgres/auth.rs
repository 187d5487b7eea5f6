//! Statements on what logins need: passwords, refresh tokens, signing keys. Where SQLite has one
//! writer, locks are taken here: a user's tokens under a lock of the user, which deleting the user
//! takes first as well; signing keys under one of their table.

use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::{
    super::{Credentials, KeyRecord, RefreshToken, Refreshed, StoreError},
    refused, users,
};
use crate::users::v1::UserStatus;

pub(super) async fn credentials(
    connection: &mut PgConnection,
    email: &str,
) -> Result<Option<Credentials>, StoreError> {
    let row = sqlx::query(
        "SELECT id, email, name, status, created_at, password_hash FROM users WHERE email_key = $1",
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
    transaction: &mut PgConnection,
    id: &str,
    old: &str,
    new: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2")
        .bind(id)
        .bind(old)
        .bind(new)
        .execute(transaction)
        .await
        .map(|_| ())
        .map_err(refused)
}

pub(super) async fn add_refresh_token(
    transaction: &mut PgConnection,
    token: &RefreshToken,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO refresh_tokens (hash, family, user_id, is_used, expires_at) \
         VALUES ($1, $2, $3, FALSE, $4)",
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

pub(super) async fn use_refresh_token(
    transaction: &mut PgConnection,
    hash: &[u8],
    next: &RefreshToken,
    now_micros: i64,
) -> Result<Refreshed, StoreError> {
    // The user is locked by a statement of its own: what the next one sees is from after that. So
    // a copy that is found out takes the token with it that is being renewed at the same time.
    let row = sqlx::query(
        "SELECT id, email, name, status, created_at FROM users \
         WHERE id = (SELECT user_id FROM refresh_tokens WHERE hash = $1) FOR NO KEY UPDATE",
    )
    .bind(hash)
    .fetch_optional(&mut *transaction)
    .await
    .map_err(refused)?;
    let Some(row) = row else { return Ok(Refreshed::Unknown) };
    let user = users::record(&row)?;
    let row = sqlx::query(
        "SELECT family, is_used FROM refresh_tokens WHERE hash = $1 AND expires_at > $2",
    )
    .bind(hash)
    .bind(now_micros)
    .fetch_optional(&mut *transaction)
    .await
    .map_err(refused)?;
    let Some(row) = row else { return Ok(Refreshed::Unknown) };
    let family: String = row.try_get(0).map_err(refused)?;
    if row.try_get(1).map_err(refused)? {
        sqlx::query("DELETE FROM refresh_tokens WHERE family = $1")
            .bind(&family)
            .execute(transaction)
            .await
            .map_err(refused)?;
        return Ok(Refreshed::Reused);
    }
    if user.status != i32::from(UserStatus::Active) {
        return Ok(Refreshed::Unknown);
    }
    sqlx::query("UPDATE refresh_tokens SET is_used = TRUE WHERE hash = $1")
        .bind(hash)
        .execute(&mut *transaction)
        .await
        .map_err(refused)?;
    let next = RefreshToken { family, user_id: user.id.clone(), ..next.clone() };
    add_refresh_token(transaction, &next).await?;
    Ok(Refreshed::Renewed(user))
}

pub(super) async fn forget_refresh_tokens(
    transaction: &mut PgConnection,
    before_micros: i64,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM refresh_tokens WHERE expires_at < $1")
        .bind(before_micros)
        .execute(transaction)
        .await
        .map(|_| ())
        .map_err(refused)
}

pub(super) async fn signing_keys(
    connection: &mut PgConnection,
) -> Result<Vec<KeyRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT kid, private_key, created_at FROM signing_keys ORDER BY number DESC LIMIT 2",
    )
    .fetch_all(connection)
    .await
    .map_err(refused)?;
    let key = |row: &PgRow| {
        Ok(KeyRecord {
            kid: row.try_get(0).map_err(refused)?,
            private_key: row.try_get(1).map_err(refused)?,
            created_at_micros: row.try_get(2).map_err(refused)?,
        })
    };
    rows.iter().map(key).collect()
}

pub(super) async fn add_signing_key(
    transaction: &mut PgConnection,
    key: &KeyRecord,
    newest: Option<&str>,
) -> Result<(), StoreError> {
    // Readers go on; of two replicas that make their first key, one sees the other's.
    sqlx::query("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await
        .map_err(refused)?;
    sqlx::query(
        "INSERT INTO signing_keys (kid, private_key, created_at) SELECT $1, $2, $3 \
         WHERE (SELECT kid FROM signing_keys ORDER BY number DESC LIMIT 1) \
         IS NOT DISTINCT FROM $4",
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
