//! Adding what is added up once, though an answer was lost.
//!
//! A connection that breaks while the database commits leaves it open whether it did. So each writer numbers its
//! transactions, the number is kept by the same transaction, and what is not sure is written again under the number that
//! it had: the database takes a number only once.

use super::database::writing;
use super::{Store, StoreError};

/// A transaction of a writer, whether it is tried for the first time or again.
#[derive(Debug, Clone)]
pub struct Once {
    /// Whose: no two writers have the same name, and each has one transaction under way.
    pub writer: String,
    /// Its number, from 1. The next one has a higher one.
    pub number: i64,
    /// Unix seconds.
    pub at: i64,
}

/// Changes a row unless this transaction, or a later one, was committed already. Whoever tries again while the server is
/// still busy with the first attempt waits for that.
pub(super) const TAKE: &str = "INSERT INTO usage_writers (writer, number, at) VALUES ($1, $2, $3)
    ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at
    WHERE usage_writers.number < excluded.number";

impl Store {
    /// Forgets writers who have written nothing since `before`, in Unix seconds.
    pub async fn forget_writers(&self, before: i64) -> Result<(), StoreError> {
        let delete = "DELETE FROM usage_writers WHERE at < $1";
        writing!(&self.database, connection => sqlx::query(delete).bind(before).execute(&mut *connection).await.map(drop))?;
        Ok(())
    }
}
