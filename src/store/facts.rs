//! What a login needs to know about a user: one query, or none when it is in memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::changes::{Row, setting};
use super::database::{LOOKUP, in_time, on};
use super::{Store, StoreError};
use crate::policy::Setting;
use crate::uidl::Recipe;
use crate::users::UserName;
use crate::words::Language;

/// What is known about a user. Somebody who was never here has the default.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The mode that is set for the user alone.
    pub setting: Setting,
    /// The language that they are written to in.
    pub language: Option<Language>,
    /// Campaigns whose notice was deleted, as the column has them.
    pub(super) notice_dismissed: Option<String>,
    /// Campaigns whose farewell was.
    pub(super) farewell_dismissed: Option<String>,
    /// Hidden mail from this time on is to be shown again.
    pub unhide_since: Option<i64>,
    /// The last session that the store knows of.
    pub last_seen: Option<i64>,
    /// Which client it may be.
    pub family: Option<String>,
    /// When the quota was last asked for.
    pub quota_at: Option<i64>,
    /// The UIDVALIDITY that was served last, and the recipe for unique-ids that served first under it.
    pub(super) pin: Option<(u32, Arc<Recipe>)>,
    /// The generation of policy at which this was read.
    pub(super) generation: i64,
    /// The time of listening in which it was.
    pub(super) heard: i64,
}

impl Facts {
    /// The UIDVALIDITY of the mailbox that the user's sessions were shown last.
    pub fn uidvalidity(&self) -> Option<u32> {
        self.pin.as_ref().map(|(uidvalidity, _)| *uidvalidity)
    }
}

#[derive(sqlx::FromRow)]
struct Found {
    mode: Option<String>,
    mode_since: Option<i64>,
    planned_mode: Option<String>,
    planned_from: Option<i64>,
    language: Option<String>,
    notice_dismissed: Option<String>,
    farewell_dismissed: Option<String>,
    unhide_since: Option<i64>,
    last_seen: Option<i64>,
    family: Option<String>,
    quota_at: Option<i64>,
    uidvalidity: Option<i64>,
    recipe: Option<String>,
}

impl Store {
    /// The facts about a user. When the database is away, what was known last holds on; only a user whom this
    /// proxy does not know is an error then.
    pub async fn facts(&self, user: &UserName) -> Result<Arc<Facts>, StoreError> {
        let cached = self.known.get(user);
        // Whoever is known does not wait for a database that is away: the next look says when it is back.
        if let Some(facts) = &cached
            && (self.is_fresh(user, facts) || self.away.load(Ordering::Relaxed))
        {
            return Ok(Arc::clone(facts));
        }
        let reading = self.known.read(user);
        let read = in_time(LOOKUP, self.read_facts(user)).await;
        self.away.store(read.as_ref().is_err_and(StoreError::is_away), Ordering::Relaxed);
        match (read, cached) {
            (Ok(facts), _) => Ok(self.known.keep(user, &reading, facts)),
            (Err(_), Some(known)) => Ok(known),
            (Err(error), None) => Err(error),
        }
    }

    /// What is in memory about a user, however old.
    pub fn known(&self, user: &UserName) -> Option<Arc<Facts>> {
        self.known.get(user)
    }

    /// Reads again what is known of a user, if anything is: should the database go away before the next login, that one
    /// goes by what was changed, and not by what was so before.
    pub async fn read_again(&self, user: &UserName) {
        if self.known.get(user).is_some() {
            // Without an answer it is old, and read at the next login.
            let _ = self.facts(user).await;
        }
    }

    fn is_fresh(&self, user: &UserName, facts: &Facts) -> bool {
        self.hearing.since(facts.heard) && self.generation.is_fresh(user, facts.generation)
    }

    async fn read_facts(&self, user: &UserName) -> Result<Facts, StoreError> {
        // Before the query: what changes meanwhile has a higher number, or is told.
        let (generation, heard) = (self.generation.known(), self.hearing.now());
        let query =
            "SELECT u.mode, u.mode_since, u.planned_mode, u.planned_from, u.language, u.notice_dismissed,
                u.farewell_dismissed, u.unhide_since, u.last_seen, u.family, u.quota_at,
                p.uidvalidity, p.recipe
            FROM (SELECT CAST($1 AS TEXT) AS username) AS asked
            LEFT JOIN users u ON u.username = asked.username
            LEFT JOIN last_uidvalidity l ON l.username = asked.username
            LEFT JOIN uidl_pins p ON p.username = asked.username AND p.uidvalidity = l.uidvalidity";
        let row: Found =
            on!(&self.database, pool => sqlx::query_as(query).bind(user.as_str()).fetch_one(pool).await)?;
        let pin = row.uidvalidity.zip(row.recipe.as_deref());
        Ok(Facts {
            setting: setting(&Row {
                mode: row.mode,
                since: row.mode_since,
                planned_mode: row.planned_mode,
                planned_from: row.planned_from,
            })?,
            // A language that is none is as good as no language.
            language: row.language.as_deref().and_then(Language::parse),
            notice_dismissed: row.notice_dismissed,
            farewell_dismissed: row.farewell_dismissed,
            unhide_since: row.unhide_since,
            last_seen: row.last_seen,
            family: row.family,
            quota_at: row.quota_at,
            pin: pin.map(|(uidvalidity, recipe)| pinned(uidvalidity, recipe)).transpose()?,
            generation,
            heard,
        })
    }
}

fn pinned(uidvalidity: i64, recipe: &str) -> Result<(u32, Arc<Recipe>), StoreError> {
    let number = u32::try_from(uidvalidity);
    let number = number.map_err(|_| StoreError::Foreign(format!("the UIDVALIDITY {uidvalidity}")))?;
    let foreign = |what| StoreError::Foreign(format!("a recipe for unique-ids that is none: {what}"));
    Ok((number, Arc::new(Recipe::parse(recipe).map_err(foreign)?)))
}
