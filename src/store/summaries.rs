//! What one proxy has worked out for all of them, as text.

use super::database::{on, writing};
use super::{Store, StoreError};

impl Store {
    /// What was kept under this name, and since when, in Unix seconds.
    pub async fn summary(&self, name: &str) -> Result<Option<(i64, String)>, StoreError> {
        let query = "SELECT at, body FROM summaries WHERE name = $1";
        Ok(on!(&self.database, pool => sqlx::query_as(query).bind(name).fetch_optional(pool).await)?)
    }

    /// Keeps `body`, which was worked out at `at`.
    pub async fn keep_summary(&self, name: &str, at: i64, body: &str) -> Result<(), StoreError> {
        self.database.present()?;
        let upsert = "INSERT INTO summaries (name, at, body) VALUES ($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET at = excluded.at, body = excluded.body";
        writing!(&self.database, connection =>
            sqlx::query(upsert).bind(name).bind(at).bind(body).execute(&mut *connection).await.map(drop))?;
        Ok(())
    }

    /// What was kept first under this name: `body`, unless something is there.
    pub async fn keep_first(&self, name: &str, at: i64, body: &str) -> Result<String, StoreError> {
        self.database.present()?;
        let insert =
            "INSERT INTO summaries (name, at, body) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
        writing!(&self.database, connection =>
            sqlx::query(insert).bind(name).bind(at).bind(body).execute(&mut *connection).await.map(drop))?;
        let query = "SELECT body FROM summaries WHERE name = $1";
        Ok(on!(&self.database, pool => sqlx::query_scalar(query).bind(name).fetch_one(pool).await)?)
    }
}
