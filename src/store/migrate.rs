//! Bringing the tables up to date, by one proxy at a time.
//!
//! Expand, then contract: a migration adds what the new version needs, and only the version after takes away
//! what the old one used. So during a rolling upgrade the version before goes on serving on the new tables, and
//! can be started again. `schema_needs` says when that ends.

use sqlx::migrate::{MigrateError, Migrator};

use super::StoreError;
use super::database::{Database, on};

/// What `SQLite` calls the order of octets, for `PostgreSQL`, where it is "C": the tables name it.
const BINARY: &str = "CREATE COLLATION IF NOT EXISTS \"BINARY\" FROM \"C\"";

/// The highest migration that this program brings, which is the schema that it knows.
pub(super) const KNOWN: i64 = 1;

/// Runs what is missing. The caller holds the lease for it.
pub(super) async fn run(database: &Database) -> Result<(), StoreError> {
    let mut migrator: Migrator = sqlx::migrate!("src/store/migrations");
    // A newer version may have added tables: `needs` says whether that concerns us. The lock is a lease of our own,
    // because not every server has advisory locks.
    migrator.set_ignore_missing(true).set_locking(false);
    match database {
        Database::Sqlite { writer, .. } => migrator.run(writer).await?,
        Database::Postgres(pool) => {
            sqlx::query(BINARY).execute(pool).await.map_err(MigrateError::Execute)?;
            migrator.run(pool).await?;
        }
    }
    Ok(())
}

/// Fails when the tables need a newer lastpop.
pub(super) async fn check(database: &Database) -> Result<(), StoreError> {
    let query = "SELECT lowest, version FROM schema_needs WHERE one = 1";
    let (lowest, version): (i64, String) =
        on!(database, pool => sqlx::query_as(query).fetch_one(pool).await)?;
    if lowest > KNOWN { Err(StoreError::Newer { version }) } else { Ok(()) }
}

/// Is there anything to do? Asked before a lease is taken, so that a start beside running proxies waits for
/// nobody.
pub(super) async fn is_current(database: &Database) -> bool {
    let query = "SELECT version FROM _sqlx_migrations WHERE version = $1 AND success";
    let found: Result<Option<i64>, _> =
        on!(database, pool => sqlx::query_scalar(query).bind(KNOWN).fetch_optional(pool).await);
    matches!(found, Ok(Some(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_schema_is_the_last_migration() {
        let migrator: Migrator = sqlx::migrate!("src/store/migrations");
        assert_eq!(migrator.iter().map(|migration| migration.version).max(), Some(KNOWN));
    }
}
