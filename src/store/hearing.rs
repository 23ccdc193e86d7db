//! Are we told what other proxies change about users?
//!
//! Not every change of a fact raises the generation: a customer who deletes a notice must not wait for a change of a
//! million users. Such a change is told to whoever listens, and so a fact in memory is good only as long as we have
//! listened without a gap since it was read. Where nobody can tell us, every login asks the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Nobody tells us.
const DEAF: i64 = 0;

/// The times of listening, numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Hearing(Arc<Periods>);

#[derive(Debug, Default)]
struct Periods {
    /// The one that is now, or [`DEAF`].
    now: AtomicI64,
    /// The newest that has begun.
    newest: AtomicI64,
}

/// A time of listening. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Period {
    number: i64,
    periods: Arc<Periods>,
}

impl Hearing {
    /// For whoever is alone with the database: there is nobody to hear of.
    pub(super) fn alone() -> Self {
        let only = || AtomicI64::new(DEAF + 1);
        Self(Arc::new(Periods { now: only(), newest: only() }))
    }

    /// What is to be noted with a fact before the database is asked for it.
    pub(super) fn now(&self) -> i64 {
        self.0.now.load(Ordering::Acquire)
    }

    /// Have we heard of every change since this was noted?
    pub(super) fn since(&self, noted: i64) -> bool {
        noted != DEAF && noted == self.now()
    }

    /// Does the server pass messages on?
    pub(super) fn is_on(&self) -> bool {
        self.now() != DEAF
    }

    /// From now on every message is heard.
    pub(super) fn begin(&self) -> Period {
        let number = self.0.newest.fetch_add(1, Ordering::AcqRel) + 1;
        self.0.now.store(number, Ordering::Release);
        Period { number, periods: Arc::clone(&self.0) }
    }
}

impl Drop for Period {
    fn drop(&mut self) {
        // The next one may have begun already.
        let _ = self.periods.now.compare_exchange(self.number, DEAF, Ordering::AcqRel, Ordering::Acquire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_good_for_the_time_of_listening_in_which_it_was_read() {
        let hearing = Hearing::default();
        assert!(!hearing.since(hearing.now()) && !hearing.is_on());
        let first = hearing.begin();
        let noted = hearing.now();
        assert!(hearing.since(noted));
        drop(first);
        assert!(!hearing.since(noted) && !hearing.since(hearing.now()) && !hearing.is_on());
        let second = hearing.begin();
        assert!(!hearing.since(noted) && hearing.since(hearing.now()));
        // One that begins before the other has ended.
        let third = hearing.begin();
        let noted = hearing.now();
        drop(second);
        assert!(hearing.since(noted));
        drop(third);
        let alone = Hearing::alone();
        assert!(alone.since(alone.now()));
    }
}
