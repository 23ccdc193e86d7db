//! Which recipe for unique-ids served a user first. It stays that user's as long as UIDVALIDITY stands, whatever
//! the configuration says later, because a client that sees other unique-ids downloads everything again.

use std::sync::Arc;

use super::database::{on, writing};
use super::{Facts, Store, StoreError};
use crate::uidl::Recipe;
use crate::users::UserName;

/// What served a user first.
#[derive(Debug, Clone)]
pub struct Pin {
    /// The recipe.
    pub recipe: Arc<Recipe>,
    /// Was this user last served under another UIDVALIDITY?
    pub uidvalidity_changed: bool,
}

impl Store {
    /// The recipe that served `user` first under this UIDVALIDITY; if none has, `configured` does from now
    /// on, and that is committed before this returns. `now` is in Unix seconds.
    pub async fn pin(
        &self,
        user: &UserName,
        facts: &Facts,
        uidvalidity: u32,
        configured: &Recipe,
        now: i64,
    ) -> Result<Pin, StoreError> {
        if let Some((_, recipe)) = facts.pin.as_ref().filter(|(theirs, _)| *theirs == uidvalidity) {
            return Ok(Pin { recipe: Arc::clone(recipe), uidvalidity_changed: false });
        }
        let recipe = Arc::new(self.pin_first(user, uidvalidity, configured, now).await?);
        let uidvalidity_changed = self.served_under(user, uidvalidity).await?;
        self.known.amend(user, |facts| facts.pin = Some((uidvalidity, Arc::clone(&recipe))));
        if uidvalidity_changed {
            // Another proxy would take the old one, if it came back, for what it has been all the time.
            self.tell_outdated(user).await;
        }
        Ok(Pin { recipe, uidvalidity_changed })
    }

    async fn pin_first(
        &self,
        user: &UserName,
        uidvalidity: u32,
        configured: &Recipe,
        now: i64,
    ) -> Result<Recipe, StoreError> {
        self.database.present()?;
        let insert =
            "INSERT INTO uidl_pins (username, uidvalidity, recipe, first_served) VALUES ($1, $2, $3, $4)
            ON CONFLICT (username, uidvalidity) DO NOTHING";
        writing!(&self.database, connection => sqlx::query(insert)
            .bind(user.as_str())
            .bind(i64::from(uidvalidity))
            .bind(configured.template())
            .bind(now)
            .execute(&mut *connection)
            .await
            .map(drop))?;
        // Another session of the same user may have been first.
        let query = "SELECT recipe FROM uidl_pins WHERE username = $1 AND uidvalidity = $2";
        let template: String = on!(&self.database, pool => sqlx::query_scalar(query)
            .bind(user.as_str())
            .bind(i64::from(uidvalidity))
            .fetch_one(pool)
            .await)?;
        Recipe::parse(&template).map_err(StoreError::Foreign)
    }

    /// Remembers the UIDVALIDITY, and says whether it is another one than before.
    async fn served_under(&self, user: &UserName, uidvalidity: u32) -> Result<bool, StoreError> {
        let insert = "INSERT INTO last_uidvalidity (username, uidvalidity) VALUES ($1, $2)
            ON CONFLICT (username) DO NOTHING";
        writing!(&self.database, connection => sqlx::query(insert)
            .bind(user.as_str()).bind(i64::from(uidvalidity)).execute(&mut *connection).await.map(drop))?;
        // Of several sessions at once, one changes the row, and that one tells.
        let update = "UPDATE last_uidvalidity SET uidvalidity = $2 WHERE username = $1 AND uidvalidity <> $2";
        let changed = writing!(&self.database, connection => sqlx::query(update)
            .bind(user.as_str()).bind(i64::from(uidvalidity)).execute(&mut *connection).await
            .map(|done| done.rows_affected()))?;
        Ok(changed > 0)
    }
}
