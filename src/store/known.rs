//! Facts about users in memory, so that what is read and what is changed at the same time never cross.
//!
//! A fact is read from the database, and while that is under way a session may change it. The changed one must
//! win: a notice that was deleted must not come back because a second session of the same user had just begun.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;

use super::Facts;
use super::generation::{SHARDS, shard};
use crate::users::UserName;

/// Users whose facts are kept in memory, so that a poll asks the database nothing, and a lost database stops
/// only those whom this proxy has not served. About 400 octets each.
const MOST: usize = 200_000;

/// Older than every change: it is read again at the next login, and holds on when that fails.
const OUTDATED: i64 = i64::MIN;

/// What is in memory.
#[derive(Debug)]
pub(super) struct Known {
    users: Cache<UserName, Arc<Facts>>,
    /// How often facts about a user of each group were changed. Held while one is replaced.
    changes: Box<[Mutex<u64>]>,
}

/// A look at the database that has begun.
#[derive(Debug)]
pub(super) struct Reading {
    /// The changes until then.
    changes: u64,
}

impl Default for Known {
    fn default() -> Self {
        Self { users: Cache::new(MOST), changes: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Known {
    /// What is known about a user.
    pub(super) fn get(&self, user: &UserName) -> Option<Arc<Facts>> {
        self.users.get(user)
    }

    /// To be called before the database is asked about a user.
    pub(super) fn read(&self, user: &UserName) -> Reading {
        Reading { changes: *self.changes(user) }
    }

    /// Keeps what the database said, unless something was changed since it was asked.
    pub(super) fn keep(&self, user: &UserName, reading: &Reading, facts: Facts) -> Arc<Facts> {
        let facts = Arc::new(facts);
        let changes = self.changes(user);
        if *changes == reading.changes {
            self.users.insert(user.clone(), Arc::clone(&facts));
        }
        facts
    }

    /// Changes what is known about a user, after the same was written.
    pub(super) fn amend(&self, user: &UserName, change: impl FnOnce(&mut Facts)) {
        let mut changes = self.changes(user);
        *changes += 1;
        if let Some(facts) = self.users.get(user) {
            let mut facts = Facts::clone(&facts);
            change(&mut facts);
            self.users.insert(user.clone(), Arc::new(facts));
        }
    }

    /// Another proxy has changed something about a user.
    pub(super) fn outdate(&self, user: &UserName) {
        self.amend(user, |facts| facts.generation = OUTDATED);
    }

    fn changes(&self, user: &UserName) -> MutexGuard<'_, u64> {
        // A count is whole at any time.
        self.changes[shard(user)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::Kind;

    fn dismissed(known: &Known, user: &UserName) -> Option<bool> {
        known.get(user).map(|facts| facts.has_dismissed(Kind::Notice, "1"))
    }

    #[test]
    fn what_was_read_before_a_change_does_not_undo_it() {
        let (known, anna) = (Known::default(), UserName::stored("anna"));
        let (before, late) = (known.read(&anna), known.read(&anna));
        known.keep(&anna, &before, Facts::default());
        known.amend(&anna, |facts| facts.dismiss(Kind::Notice, "1"));
        known.keep(&anna, &late, Facts::default());
        assert_eq!(dismissed(&known, &anna), Some(true));
        // Nothing was known yet when it was changed.
        let bob = UserName::stored("bob");
        let late = known.read(&bob);
        known.outdate(&bob);
        known.keep(&bob, &late, Facts::default());
        assert_eq!(dismissed(&known, &bob), None);
        // What is read afterwards is as good as any.
        known.keep(&anna, &known.read(&anna), Facts::default());
        assert_eq!(dismissed(&known, &anna), Some(false));
    }

    #[test]
    fn what_another_proxy_changed_is_known_until_it_is_read_again() {
        let (known, anna) = (Known::default(), UserName::stored("anna"));
        known.keep(&anna, &known.read(&anna), Facts::default());
        known.outdate(&anna);
        assert_eq!(known.get(&anna).map(|facts| facts.generation), Some(OUTDATED));
    }
}
