//! What is in memory, and is it still true?
//!
//! Every change of policy raises one number in the database, in the same transaction. A fact in memory carries the
//! number that was known when it was read, and is read again once a change that may concern it has a higher one. The
//! users are spread over 256 groups, so that a flip of one user makes few others be read again, while a flip
//! of a million is still one number. A fact that cannot be read again, because the database is away, holds on.
//! Whatever raises no number is told to whoever listens: see `hearing`.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicI64, Ordering};

use super::database::{Database, LOOKUP, in_time, on};
use super::{Store, StoreError};
use crate::users::UserName;

/// Groups of users. More would make a single flip cheaper and a bulk flip no dearer; this is 2 KiB.
pub(super) const SHARDS: usize = 256;

/// What a change of policy concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concerns {
    /// One user.
    User(UserName),
    /// Domains, or everyone's rule.
    Domains,
    /// Many users, or nobody knows.
    Anything,
}

/// The numbers.
#[derive(Debug)]
pub(super) struct Generation {
    known: AtomicI64,
    /// Facts about users of a group that are older than this must be read again.
    floors: Box<[AtomicI64]>,
}

impl Default for Generation {
    fn default() -> Self {
        Self { known: AtomicI64::new(0), floors: (0..SHARDS).map(|_| AtomicI64::new(0)).collect() }
    }
}

impl Generation {
    /// The highest that is known.
    pub(super) fn known(&self) -> i64 {
        self.known.load(Ordering::Acquire)
    }

    /// Is a fact about `user` that was read at `generation` still good?
    pub(super) fn is_fresh(&self, user: &UserName, generation: i64) -> bool {
        generation >= self.floor(user).load(Ordering::Acquire)
    }

    /// The floor goes first: whoever reads the new number afterwards reads the database afterwards.
    pub(super) fn user_changed(&self, user: &UserName, generation: i64) {
        self.floor(user).fetch_max(generation, Ordering::AcqRel);
        self.raise(generation);
    }

    pub(super) fn anything_changed(&self, generation: i64) {
        for floor in &self.floors {
            floor.fetch_max(generation, Ordering::AcqRel);
        }
        self.raise(generation);
    }

    pub(super) fn raise(&self, generation: i64) {
        self.known.fetch_max(generation, Ordering::AcqRel);
    }

    /// The database has a lower number than `before`, which was known: it is an older one, such as the stand-in for a
    /// server that failed before it had passed on all. What changes from now on has numbers that we know already, so
    /// nothing in memory counts as good until the database is beyond them.
    fn fell(&self, before: i64, found: i64) {
        for floor in &self.floors {
            floor.fetch_max(before.saturating_add(1), Ordering::AcqRel);
        }
        // Something changed meanwhile: the next look finds what to do.
        let _ = self.known.compare_exchange(before, found, Ordering::AcqRel, Ordering::Acquire);
    }

    fn floor(&self, user: &UserName) -> &AtomicI64 {
        &self.floors[shard(user)]
    }
}

/// The group that a user belongs to.
pub(super) fn shard(user: &UserName) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(user);
    #[allow(clippy::cast_possible_truncation, reason = "less than SHARDS")]
    let shard = (hash % SHARDS as u64) as usize;
    shard
}

/// Asks for the number.
pub(super) const NUMBER: &str = "SELECT value FROM counters WHERE name = 'generation'";

/// The number in the database.
pub(super) async fn read(database: &Database) -> Result<i64, StoreError> {
    Ok(on!(database, pool => sqlx::query_scalar(NUMBER).fetch_one(pool).await)?)
}

/// Raises it, within the transaction that changes policy, and gives the new one.
pub(super) const RAISE: &str =
    "UPDATE counters SET value = value + 1 WHERE name = 'generation' RETURNING value";

impl Store {
    /// The number of the newest change of policy that is in force here.
    pub fn generation(&self) -> i64 {
        self.generation.known()
    }

    /// Takes notice of a change that this or another proxy has made.
    pub async fn changed(&self, generation: i64, concerns: &Concerns) -> Result<(), StoreError> {
        // A message that is not the next one means that others were missed.
        let missed = generation > self.generation.known() + 1;
        match concerns {
            Concerns::User(user) if !missed => self.generation.user_changed(user, generation),
            Concerns::Domains if !missed => {
                self.domains.refresh(&self.database).await?;
                self.generation.raise(generation);
            }
            _ => {
                self.domains.refresh(&self.database).await?;
                self.generation.anything_changed(generation);
            }
        }
        Ok(())
    }

    /// Asks the database whether something has changed that nobody has told us.
    pub async fn look(&self) -> Result<(), StoreError> {
        self.database.present()?;
        let before = self.generation();
        let read = in_time(LOOKUP, read(&self.database)).await;
        self.away.store(read.is_err(), Ordering::Relaxed);
        self.looked(before, read?).await
    }

    /// The database was asked for its number, and gave `found`; `before` was known here when it was asked.
    pub async fn looked(&self, before: i64, found: i64) -> Result<(), StoreError> {
        self.away.store(false, Ordering::Relaxed);
        if found < before {
            self.domains.refresh(&self.database).await?;
            self.generation.fell(before, found);
        } else if found > self.generation.known() {
            self.changed(found, &Concerns::Anything).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_makes_old_what_was_read_before_and_nothing_that_is_read_after() {
        let generation = Generation::default();
        let (anna, everyone) = (UserName::stored("anna"), 1_000);
        let others: Vec<UserName> = (0..everyone).map(|n| UserName::stored(&format!("user{n}"))).collect();
        generation.raise(5);
        let read_at = generation.known();
        assert!(generation.is_fresh(&anna, read_at));
        generation.user_changed(&anna, 6);
        assert!(!generation.is_fresh(&anna, read_at));
        assert!(generation.is_fresh(&anna, generation.known()));
        let stale = others.iter().filter(|user| !generation.is_fresh(user, read_at)).count();
        assert!(stale < everyone / 20, "{stale} others have to be read again");
        generation.anything_changed(7);
        assert!(others.iter().all(|user| !generation.is_fresh(user, 6)));
        // A late message changes nothing.
        generation.user_changed(&anna, 3);
        assert_eq!(generation.known(), 7);
        // Another database, which has not heard of the last three changes.
        let read_at = generation.known();
        generation.fell(7, 4);
        assert_eq!(generation.known(), 4);
        assert!(!generation.is_fresh(&anna, read_at) && !generation.is_fresh(&anna, generation.known()));
        generation.user_changed(&anna, 5);
        assert_eq!(generation.known(), 5);
        generation.raise(8);
        assert!(generation.is_fresh(&anna, generation.known()));
    }
}
