//! The days before: what is left of usage when the metrics of that time are long gone.

use super::database::on;
use super::{Store, StoreError};

/// One day of a domain, or of all.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
#[allow(
    missing_docs,
    reason = "the columns are explained in the migration, and for administrators in the API"
)]
pub struct Day {
    /// Since 1970, in UTC.
    pub day: i64,
    pub active_1: i64,
    pub active_7: i64,
    pub active_30: i64,
    pub sessions: i64,
    pub messages: i64,
    pub octets: i64,
    pub deleted: i64,
    pub refused: i64,
}

impl Store {
    /// The days from `first` to `last` (since 1970, UTC) on which something happened, oldest first, of one domain, or
    /// of all together.
    pub async fn days(&self, domain: Option<&str>, first: i64, last: i64) -> Result<Vec<Day>, StoreError> {
        // Every user is of one domain, so users can be added up.
        let select = "SELECT day, CAST(SUM(active_1) AS BIGINT) AS active_1,
                CAST(SUM(active_7) AS BIGINT) AS active_7, CAST(SUM(active_30) AS BIGINT) AS active_30,
                CAST(SUM(sessions) AS BIGINT) AS sessions, CAST(SUM(messages) AS BIGINT) AS messages,
                CAST(SUM(octets) AS BIGINT) AS octets, CAST(SUM(deleted) AS BIGINT) AS deleted,
                CAST(SUM(refused) AS BIGINT) AS refused
            FROM daily WHERE day BETWEEN $1 AND $2 AND ($3 = 1 OR domain = $4) GROUP BY day ORDER BY day";
        let days: Vec<Day> = on!(&self.database, pool => sqlx::query_as(select)
            .bind(first)
            .bind(last)
            .bind(i64::from(domain.is_none()))
            .bind(domain.unwrap_or_default())
            .fetch_all(pool)
            .await)?;
        Ok(days)
    }
}
