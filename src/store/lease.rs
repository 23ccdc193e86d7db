//! Work that one proxy of a fleet does for all of them: whoever holds the lease. It runs out by itself, so that
//! a proxy that died holds nothing up.

use super::database::{Database, writing};
use super::{Store, StoreError};

/// The table, made before any migration, because migrating itself takes a lease.
pub(super) async fn prepare(database: &Database) -> Result<(), StoreError> {
    let create = "CREATE TABLE IF NOT EXISTS leases (
            name    TEXT   NOT NULL PRIMARY KEY,
            holder  TEXT   NOT NULL,
            expires BIGINT NOT NULL
        )";
    let made =
        writing!(database, connection => sqlx::query(create).execute(&mut *connection).await.map(drop));
    match made {
        // Two proxies at once: PostgreSQL lets one of them fail, and then the table is there.
        Err(sqlx::Error::Database(_)) => {
            writing!(database, connection => sqlx::query(create).execute(&mut *connection).await.map(drop))?;
        }
        made => made?,
    }
    Ok(())
}

/// Takes or prolongs the lease `name` for `seconds`, unless somebody else holds it.
pub(super) async fn take(
    database: &Database,
    name: &str,
    holder: &str,
    now: i64,
    seconds: i64,
) -> Result<bool, StoreError> {
    let take = "INSERT INTO leases (name, holder, expires) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
        WHERE leases.expires <= $4 OR leases.holder = excluded.holder";
    let taken = writing!(database, connection => sqlx::query(take)
        .bind(name).bind(holder).bind(now + seconds).bind(now)
        .execute(&mut *connection).await.map(|done| done.rows_affected()))?;
    Ok(taken > 0)
}

/// Gives it back early.
pub(super) async fn give_back(database: &Database, name: &str, holder: &str) -> Result<(), StoreError> {
    let give = "DELETE FROM leases WHERE name = $1 AND holder = $2";
    writing!(database, connection =>
        sqlx::query(give).bind(name).bind(holder).execute(&mut *connection).await.map(drop))?;
    Ok(())
}

impl Store {
    /// Is this proxy the one that does the work `name` for the next `seconds`? `now` is in Unix seconds.
    pub async fn lease(&self, name: &str, now: i64, seconds: i64) -> Result<bool, StoreError> {
        take(&self.database, name, &self.holder, now, seconds).await
    }
    /// Ends a lease of this proxy early, so that another one need not wait.
    pub async fn end_lease(&self, name: &str) -> Result<(), StoreError> {
        give_back(&self.database, name, &self.holder).await
    }
}
