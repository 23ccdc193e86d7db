//! The usage ledger: who still uses POP3. Sessions tell it what they saw; it keeps that in memory, never in the
//! path of a reply, and writes it to the state in batches.
//!
//! What is learnt about a user whom the state knows is written within `usage.flush_interval`, and then all of
//! it at once, so that somebody who polls every five minutes costs one row an hour. Who is new, or was away for
//! a day, is written at once. [`days`], [`delta`] and [`totals`] say how facts add up; [`flush`] writes them;
//! [`upkeep`] is what one proxy does for all: [`summary`], daily actives, retention; [`run`] says when. [`series`] is
//! `/metrics/users`.

pub mod days;
pub mod delta;
pub mod flush;
mod pending;
pub mod run;
pub mod series;
pub mod summary;
pub mod totals;
pub mod upkeep;

use std::net::IpAddr;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::config;
use crate::metrics;
use crate::store::WRITERS;
use crate::users::UserName;
pub use delta::{Delta, Ended, Login, Mailbox, Quota, Room, UNKNOWN};
use flush::Hand;
use pending::Pending;
pub use summary::{Snapshot, Summary};
use totals::{Book, Totals};

/// Who was away for longer is written at once, because waves choose users by the days since they were seen.
const AWAY: i64 = days::SECONDS;

/// The part of `usage.pending_users` that is kept free by writing users early.
const FREE: usize = 10;

/// What was learnt and is not written yet; and what all proxies learnt together, as one of them has summed it up.
#[derive(Debug)]
pub struct Ledger {
    pending: Pending,
    book: Mutex<Book>,
    /// What write users, and what writes the book.
    hands: [Hand<(UserName, Delta)>; WRITERS],
    totals: Hand<totals::Row>,
    /// When the totals are to be written, in Unix seconds.
    book_due: AtomicI64,
    snapshot: ArcSwap<Snapshot>,
    /// Woken when there is much to write.
    full: Notify,
    config: config::Usage,
    /// Users in the snapshot at most.
    users_most: u32,
    metrics: metrics::Usage,
}

impl Ledger {
    /// An empty one.
    pub fn new(config: &config::Usage, users_most: u32, metrics: metrics::Usage) -> Self {
        let most = usize::try_from(config.pending_users).unwrap_or(usize::MAX);
        let interval = seconds(config.flush_interval);
        let run = crate::random::session_id();
        Self {
            pending: Pending::new(most, interval),
            book: Mutex::default(),
            hands: std::array::from_fn(|hand| Hand::new(format!("{run}/{hand}"))),
            totals: Hand::new(format!("{run}/totals")),
            book_due: AtomicI64::new(0),
            snapshot: ArcSwap::default(),
            full: Notify::new(),
            config: config.clone(),
            users_most,
            metrics,
        }
    }

    /// A session has begun.
    pub fn login(&self, user: &UserName, login: &Login) {
        let away = login.previous.is_none_or(|previous| login.at.saturating_sub(previous) > AWAY);
        self.learn(user, Delta::login(login), login.at, away);
        self.count(user, login.at, &Totals { sessions: 1, ..Totals::default() });
    }

    /// A session has ended.
    pub fn ended(&self, user: &UserName, ended: &Ended) {
        let first_guess = !ended.family_known && ended.family != UNKNOWN;
        self.learn(user, Delta::ended(ended), ended.at, first_guess);
        let deleted = u64::try_from(ended.deleted).unwrap_or(u64::MAX);
        let totals = Totals { messages: ended.messages, octets: ended.octets, deleted, ..Totals::default() };
        self.count(user, ended.at, &totals);
    }

    /// A login was refused because of the mode, at `at` in Unix seconds. Only for somebody whose password the
    /// upstream has accepted: nobody else may make a row.
    pub fn refused(&self, user: &UserName, at: i64, address: IpAddr) {
        self.learn(user, Delta::refused(at, address), at, false);
        self.count(user, at, &Totals { refused: 1, ..Totals::default() });
    }

    /// Somebody else than the user has looked into the mailbox, at `at` in Unix seconds, and may have changed what is
    /// hidden.
    pub fn looked(&self, user: &UserName, mailbox: Mailbox, at: i64) {
        self.learn(user, Delta { mailbox: Some((at, mailbox)), ..Delta::default() }, at, true);
    }

    /// The upstream has said what it says of a user's quota, at `at` in Unix seconds.
    pub fn quota(&self, user: &UserName, room: Option<Room>, at: i64) {
        self.learn(user, Delta::quota(Quota { room, at }), at, false);
    }

    /// When a user's quota was asked for, if the state does not know it yet, in Unix seconds.
    pub fn quota_at(&self, user: &UserName) -> Option<i64> {
        self.pending.quota_at(user)
    }

    /// How things stood when they were last summed up, by whichever proxy.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// `/metrics/users`: the users who were seen last, at most `most` of them, as text for Prometheus. From
    /// memory: nothing is asked of the state.
    pub fn user_metrics(&self, form: config::UserSeries, most: usize) -> Vec<u8> {
        series::encode(&self.snapshot.load(), form, most)
    }

    fn learn(&self, user: &UserName, delta: Delta, at: i64, soon: bool) {
        let forgotten = self.pending.learn(user, delta, at, soon);
        self.lost(forgotten);
        if self.is_full() {
            self.full.notify_one();
        }
    }

    fn count(&self, user: &UserName, at: i64, totals: &Totals) {
        self.book().add(days::day(at), user.domain(), totals);
    }

    /// Is there so much that some is written early?
    fn is_full(&self) -> bool {
        let most = usize::try_from(self.config.pending_users).unwrap_or(usize::MAX);
        self.pending.len() >= most - most / FREE
    }

    fn lost(&self, users: usize) {
        self.metrics.dropped.inc_by(u64::try_from(users).unwrap_or(u64::MAX));
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At least one.
fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).max(1)
}
