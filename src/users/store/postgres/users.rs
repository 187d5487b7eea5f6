//! Statements on users. Each that writes appends what it did to the changes, as the last thing
//! before the commit.

use std::collections::HashSet;

use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::{
    super::{Change, NewUser, StoreError, UserPatch, UserRecord},
    changes, refused,
};

/// One statement for all of them. Two batches with the same emails take them in the same order,
/// that of the emails, so that neither waits for the other while the other waits for it.
pub(super) async fn insert_all(
    transaction: &mut PgConnection,
    users: &[NewUser],
) -> Result<Vec<bool>, StoreError> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let text = |of: fn(&NewUser) -> &str| users.iter().map(of).collect::<Vec<_>>();
    let emails_lower: Vec<_> = users.iter().map(|user| user.record.email.to_lowercase()).collect();
    let kept: Vec<String> = sqlx::query_scalar(
        "INSERT INTO users (id, email, email_key, name, status, password_hash, created_at) \
         SELECT id, email, email_key, name, status, password_hash, created_at \
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::int4[], $6::text[], \
         $7::int8[]) WITH ORDINALITY \
         AS batch (id, email, email_key, name, status, password_hash, created_at, number) \
         ORDER BY email_key COLLATE \"C\", number \
         ON CONFLICT (email_key) DO NOTHING RETURNING id",
    )
    .bind(text(|user| &user.record.id))
    .bind(text(|user| &user.record.email))
    .bind(emails_lower)
    .bind(text(|user| &user.record.name))
    .bind(users.iter().map(|user| user.record.status).collect::<Vec<_>>())
    .bind(text(|user| &user.password_hash))
    .bind(users.iter().map(|user| user.record.created_at_micros).collect::<Vec<_>>())
    .fetch_all(&mut *transaction)
    .await
    .map_err(refused)?;
    let kept: HashSet<_> = kept.iter().map(String::as_str).collect();
    let is_kept = |user: &NewUser| kept.contains(user.record.id.as_str());
    let told = users.iter().filter(|user| is_kept(user));
    let told = told.map(|user| (&user.record, user.record.created_at_micros)).collect::<Vec<_>>();
    changes::append(transaction, &told, false).await?;
    Ok(users.iter().map(is_kept).collect())
}

pub(super) async fn find(
    connection: &mut PgConnection,
    id: &str,
) -> Result<Option<UserRecord>, StoreError> {
    let row = sqlx::query("SELECT id, email, name, status, created_at FROM users WHERE id = $1")
        .bind(id)
        .fetch_optional(connection)
        .await
        .map_err(refused)?;
    row.as_ref().map(record).transpose()
}

pub(super) async fn page(
    connection: &mut PgConnection,
    after: &str,
    limit: u32,
) -> Result<Vec<UserRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, email, name, status, created_at FROM users WHERE id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(refused)?;
    rows.iter().map(record).collect()
}

pub(super) async fn update(
    transaction: &mut PgConnection,
    id: &str,
    patch: &UserPatch,
    now_micros: i64,
) -> Result<Option<Change>, StoreError> {
    let row = sqlx::query(
        "UPDATE users SET email = COALESCE($2, email), email_key = COALESCE($3, email_key), \
         name = COALESCE($4, name), status = COALESCE($5, status) WHERE id = $1 \
         RETURNING id, email, name, status, created_at",
    )
    .bind(id)
    .bind(&patch.email)
    .bind(patch.email.as_ref().map(|email| email.to_lowercase()))
    .bind(&patch.name)
    .bind(patch.status)
    .fetch_optional(&mut *transaction)
    .await
    .map_err(refused)?;
    let Some(row) = row else { return Ok(None) };
    let user = record(&row)?;
    let seq = changes::append(transaction, &[(&user, now_micros)], false).await?;
    Ok(Some(Change { seq, user, is_deletion: false }))
}

pub(super) async fn delete(
    transaction: &mut PgConnection,
    id: &str,
    now_micros: i64,
) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "DELETE FROM users WHERE id = $1 RETURNING id, email, name, status, created_at",
    )
    .bind(id)
    .fetch_optional(&mut *transaction)
    .await
    .map_err(refused)?;
    let Some(row) = row else { return Ok(false) };
    changes::append(transaction, &[(&record(&row)?, now_micros)], true).await?;
    Ok(true)
}

/// From the columns id, email, name, status, created_at, in this order.
pub(super) fn record(row: &PgRow) -> Result<UserRecord, StoreError> {
    Ok(UserRecord {
        id: row.try_get(0).map_err(refused)?,
        email: row.try_get(1).map_err(refused)?,
        name: row.try_get(2).map_err(refused)?,
        status: row.try_get(3).map_err(refused)?,
        created_at_micros: row.try_get(4).map_err(refused)?,
    })
}
