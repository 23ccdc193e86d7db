//! Bringing hidden mail back: asked for by the support desk, done at the customer's next login, because only that
//! brings a password.

use std::sync::atomic::Ordering;

use super::changes::id;
use super::database::{BUSY, LOOKUP, in_time, on, transaction};
use super::generation::{Concerns, RAISE};
use super::{Store, StoreError};
use crate::users::UserName;

/// Gives a row when the request stands.
const ASKED: &str = "SELECT unhide_since FROM users WHERE username = $1 AND unhide_since = $2";

const AUDIT: &str = "INSERT INTO audit (id, at, actor, action, kind, subject, detail, reason, batch)
    VALUES ($1, $2, $3, $4, 'user', $5, $6, $7, $1)";

impl Store {
    /// Remembers that mail of `since` (Unix seconds; 0: all of it) and later is to be shown again at the user's
    /// next login. Gives the id in the audit trail.
    pub async fn ask_to_unhide(
        &self,
        user: &UserName,
        since: i64,
        actor: &str,
        reason: &str,
        now: i64,
    ) -> Result<String, StoreError> {
        self.database.present()?;
        let upsert = "INSERT INTO users (username, domain, unhide_since) VALUES ($1, $2, $3)
            ON CONFLICT (username) DO UPDATE SET unhide_since = excluded.unhide_since";
        let asked: Result<(i64, String), StoreError> = transaction!(&self.database, tx => {
            let generation: i64 = sqlx::query_scalar(RAISE).fetch_one(&mut *tx).await?;
            let id = id(generation);
            sqlx::query(upsert).bind(user.as_str()).bind(user.domain()).bind(since).execute(&mut *tx).await?;
            sqlx::query(AUDIT)
                .bind(&id)
                .bind(now)
                .bind(actor)
                .bind("unhide")
                .bind(user.as_str())
                .bind(format!("since {since}"))
                .bind(reason)
                .execute(&mut *tx)
                .await?;
            Ok((generation, id))
        });
        let (generation, id) = asked?;
        let concerns = Concerns::User(user.clone());
        self.changed(generation, &concerns).await?;
        self.tell(generation, &concerns).await;
        Ok(id)
    }

    /// Does the request of `since` still stand? From the database itself: another proxy may have done it, and what the
    /// user has deleted since then must not come back. An error when nobody can say: then it has to wait.
    pub async fn is_to_unhide(&self, user: &UserName, since: i64) -> Result<bool, StoreError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::Silent);
        }
        let stands = in_time(LOOKUP, self.stands(user, since)).await?;
        if !stands {
            self.no_more(user, since);
        }
        Ok(stands)
    }

    async fn stands(&self, user: &UserName, since: i64) -> Result<bool, StoreError> {
        let found: Option<i64> = on!(&self.database, pool => sqlx::query_scalar(ASKED)
            .bind(user.as_str()).bind(since).fetch_optional(pool).await)?;
        Ok(found.is_some())
    }

    /// This proxy need not do it any more.
    fn no_more(&self, user: &UserName, since: i64) {
        self.known
            .amend(user, |facts| facts.unhide_since = facts.unhide_since.filter(|asked| *asked != since));
    }

    /// It was done: so many messages are shown again, so many the server did not bring back. A request that came
    /// meanwhile stays.
    pub async fn unhidden(
        &self,
        user: &UserName,
        since: i64,
        shown: usize,
        failed: usize,
        now: i64,
    ) -> Result<(), StoreError> {
        let detail = match failed {
            0 => format!("{shown} messages"),
            _ => format!("{shown} messages; the server did not bring back {failed} more"),
        };
        let noted = in_time(BUSY, self.note_unhidden(user, since, &detail, now)).await;
        // Done is done, also where it cannot be noted now: it must not be done again at each login until it can.
        self.no_more(user, since);
        if let Some(generation) = noted? {
            let concerns = Concerns::User(user.clone());
            self.changed(generation, &concerns).await?;
            self.tell(generation, &concerns).await;
        }
        Ok(())
    }

    /// Gives the number of the change; none when the request was another one, or is gone.
    async fn note_unhidden(
        &self,
        user: &UserName,
        since: i64,
        detail: &str,
        now: i64,
    ) -> Result<Option<i64>, StoreError> {
        let update = "UPDATE users SET unhide_since = NULL WHERE username = $1 AND unhide_since = $2";
        transaction!(&self.database, tx => {
            let asked = sqlx::query(ASKED).bind(user.as_str()).bind(since).fetch_optional(&mut *tx).await?;
            if asked.is_none() {
                return Ok(None);
            }
            // First, as in every change: two that lock in another order would wait for each other.
            let generation: i64 = sqlx::query_scalar(RAISE).fetch_one(&mut *tx).await?;
            sqlx::query(update).bind(user.as_str()).bind(since).execute(&mut *tx).await?;
            sqlx::query(AUDIT)
                .bind(id(generation))
                .bind(now)
                .bind("lastpop")
                .bind("unhidden")
                .bind(user.as_str())
                .bind(detail)
                .bind("done at the login that was waited for")
                .execute(&mut *tx)
                .await?;
            Ok(Some(generation))
        })
    }
}
