//! Statements on changes. A number is taken from the one row of `change_head`, which stays locked
//! until the commit: whoever takes the next has waited for that, so that the order of numbers is
//! that of the commits, and one that is rolled back leaves no gap.

use sqlx::{PgConnection, Row as _};

use super::{
    super::{Change, StoreError, UserRecord},
    refused, users,
};

/// Where those who listen are told that there are changes; the numbers are theirs to look up.
pub(super) const CHANNEL: &str = "transom_changes";

/// How many changes are forgotten in one transaction: none is to meet the limit of a statement.
const FORGOTTEN_AT_ONCE: i64 = 20_000;

/// Appends a change of each user, at its time; the number of the last. It must be a
/// transaction's last statement: from here on every other writer waits for the commit.
pub(super) async fn append(
    transaction: &mut PgConnection,
    changed: &[(&UserRecord, i64)],
    is_deletion: bool,
) -> Result<i64, StoreError> {
    if changed.is_empty() {
        return Ok(0);
    }
    let text = |of: fn(&UserRecord) -> &str| changed.iter().map(|c| of(c.0)).collect::<Vec<_>>();
    sqlx::query(
        "WITH head AS (UPDATE change_head SET seq = seq + $1 RETURNING seq), \
         told AS ( \
             INSERT INTO changes (seq, at, is_deletion, id, email, name, status, created_at) \
             SELECT seq - $1 + number, at, $2, id, email, name, status, created_at \
             FROM head, UNNEST($3::int8[], $4::text[], $5::text[], $6::text[], $7::int4[], \
             $8::int8[]) WITH ORDINALITY AS batch (at, id, email, name, status, created_at, number) \
         ) \
         SELECT seq, pg_notify($9, '') FROM head",
    )
    .bind(i64::try_from(changed.len()).unwrap_or(i64::MAX))
    .bind(is_deletion)
    .bind(changed.iter().map(|(_, at_micros)| *at_micros).collect::<Vec<_>>())
    .bind(text(|user| &user.id))
    .bind(text(|user| &user.email))
    .bind(text(|user| &user.name))
    .bind(changed.iter().map(|(user, _)| user.status).collect::<Vec<_>>())
    .bind(changed.iter().map(|(user, _)| user.created_at_micros).collect::<Vec<_>>())
    .bind(CHANNEL)
    .fetch_one(transaction)
    .await
    .and_then(|row| row.try_get(0))
    .map_err(refused)
}

pub(super) async fn last(connection: &mut PgConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT seq FROM change_head").fetch_one(connection).await.map_err(refused)
}

pub(super) async fn behind(
    connection: &mut PgConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<Change>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, email, name, status, created_at, seq, is_deletion FROM changes \
         WHERE seq > $1 ORDER BY seq LIMIT $2",
    )
    .bind(after)
    .bind(i64::from(limit))
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
    transaction: &mut PgConnection,
    before_micros: i64,
    keep: u32,
) -> Result<bool, StoreError> {
    // Times need not be in the order of numbers; what is kept is without gaps all the same.
    let forgotten = sqlx::query(
        "DELETE FROM changes WHERE seq <= (SELECT seq FROM change_head) - $1 AND seq < \
         COALESCE((SELECT seq FROM changes WHERE at >= $2 ORDER BY seq LIMIT 1), $3) \
         AND seq < (SELECT min(seq) FROM changes) + $4",
    )
    .bind(i64::from(keep))
    .bind(before_micros)
    .bind(i64::MAX)
    .bind(FORGOTTEN_AT_ONCE)
    .execute(transaction)
    .await
    .map_err(refused)?;
    Ok(forgotten.rows_affected() < FORGOTTEN_AT_ONCE as u64)
}
