//! Maildrop snapshots: what users' mailboxes held at their last poll, within a budget of octets.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::imap::opening::Inbox;
use crate::imap::{Listed, Mailbox, Snapshot};

/// How old a snapshot may be since all of it was listed: whatever a server does wrong lasts no longer.
const OLDEST: Duration = Duration::from_hours(24);

/// What an entry takes besides its name and its messages, in octets.
const ENTRY: usize = 150;

/// Snapshots by the name with which users log in: two names that mean one user here may be two mailboxes there.
#[derive(Debug)]
pub struct Maildrops(Cache<Box<[u8]>, Arc<Kept>, BySize>);

/// A snapshot in memory.
#[derive(Debug)]
pub struct Kept {
    /// What there was.
    pub snapshot: Snapshot,
    /// When all of it was listed.
    listed: Instant,
}

#[derive(Debug, Clone)]
struct BySize;

impl Weighter<Box<[u8]>, Arc<Kept>> for BySize {
    fn weight(&self, name: &Box<[u8]>, kept: &Arc<Kept>) -> u64 {
        (ENTRY + name.len() + kept.snapshot.size()) as u64
    }
}

impl Maildrops {
    /// An empty one that keeps so many octets at most; none: nothing.
    pub fn new(budget: u64) -> Self {
        // As many mailboxes as there are with a few dozen messages.
        let expected = usize::try_from(budget / 400).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(expected, budget, BySize))
    }

    /// What is known, if it is not too old.
    pub fn get(&self, name: &[u8]) -> Option<Arc<Kept>> {
        self.0.get(name).filter(|kept| kept.listed.elapsed() < OLDEST)
    }

    /// All of the mailbox was listed just now.
    pub fn listed(&self, name: &[u8], mailbox: &Mailbox, rows: &[Listed]) {
        if let Some(state) = mailbox.state() {
            let snapshot = Snapshot::new(state, rows);
            self.0.insert(name.into(), Arc::new(Kept { snapshot, listed: Instant::now() }));
        }
    }

    /// This was told of the mailbox just now, about what was there `before`.
    pub fn keep(&self, name: &[u8], inbox: &Inbox, before: Option<&Kept>) {
        let Inbox { mailbox, listing } = inbox;
        match (listing, before, mailbox.state()) {
            (Some(listing), Some(before), Some(state)) => {
                let unchanged = listing.unchanged;
                let snapshot =
                    if unchanged { before.snapshot.at(state) } else { Snapshot::new(state, &listing.rows) };
                if snapshot != before.snapshot {
                    self.0.insert(name.into(), Arc::new(Kept { snapshot, listed: before.listed }));
                }
            }
            (Some(listing), None, _) => self.listed(name, mailbox, &listing.rows),
            (None, Some(_), _) | (_, Some(_), None) => self.forget(name),
            (None, None, _) => {}
        }
    }

    /// What was known is in doubt.
    fn forget(&self, name: &[u8]) {
        self.0.remove(name);
    }

    /// Mailboxes, and the octets that they take together.
    pub fn size(&self) -> (usize, u64) {
        (self.0.len(), self.0.weight())
    }
}
