//! Users about whom something is not written yet, and in which order they are due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use dashmap::{DashMap, Entry};

use super::delta::Delta;
use crate::users::UserName;

/// Something that is not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) delta: Delta,
    /// When it is to be written, in Unix seconds.
    pub(super) at: i64,
}

/// All of it. No lock is held while another is taken, and none while anything waits.
#[derive(Debug)]
pub(super) struct Pending {
    /// Boxed, because a map has up to twice as many places as users.
    users: DashMap<UserName, Box<Due>>,
    /// Whom to look at when. A user who became due earlier is in here twice, and the second time is passed over.
    order: Mutex<BinaryHeap<Reverse<(i64, UserName)>>>,
    len: AtomicUsize,
    /// Users at most.
    most: usize,
    /// Seconds within which everything is written.
    interval: i64,
    /// Which moment of each interval is a user's.
    moments: RandomState,
}

impl Pending {
    pub(super) fn new(most: usize, interval: i64) -> Self {
        Self {
            users: DashMap::new(),
            order: Mutex::default(),
            len: AtomicUsize::new(0),
            most,
            interval,
            moments: RandomState::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Something was learnt at `now`; it is to be written soon, or in its time. Says how many users had to be
    /// forgotten for it.
    pub(super) fn learn(&self, user: &UserName, delta: Delta, now: i64, soon: bool) -> usize {
        let due = if soon { now } else { self.next_moment(user, now) };
        self.put(user.clone(), Due { delta, at: due }, |there, new| Due {
            delta: there.delta.and(new.delta),
            at: there.at.min(new.at),
        })
    }

    /// It could not be written.
    pub(super) fn put_back(&self, user: UserName, due: Due) -> usize {
        self.put(user, due, |there, old| Due { delta: old.delta.and(there.delta), at: old.at.min(there.at) })
    }

    fn put(&self, user: UserName, due: Due, and: impl FnOnce(Due, Due) -> Due) -> usize {
        let at = due.at;
        let (sooner, new) = match self.users.entry(user.clone()) {
            Entry::Occupied(mut there) => {
                let before = **there.get();
                **there.get_mut() = and(before, due);
                (at < before.at, false)
            }
            Entry::Vacant(free) => {
                free.insert(Box::new(due));
                (true, true)
            }
        };
        if sooner {
            self.order().push(Reverse((at, user)));
        }
        if new && self.len.fetch_add(1, Ordering::Relaxed) >= self.most {
            return usize::from(self.take(i64::MAX).is_some());
        }
        0
    }

    /// Takes out whoever is due first, if by `now`.
    pub(super) fn take(&self, now: i64) -> Option<(UserName, Due)> {
        loop {
            let Reverse((at, user)) = {
                let mut order = self.order();
                if order.peek().is_none_or(|Reverse((at, _))| *at > now) {
                    return None;
                }
                order.pop()?
            };
            if let Some((user, due)) = self.users.remove_if(&user, |_, due| due.at == at) {
                self.len.fetch_sub(1, Ordering::Relaxed);
                return Some((user, *due));
            }
        }
    }

    /// When the quota of a user was learnt last, if that is not written yet, in Unix seconds.
    pub(super) fn quota_at(&self, user: &UserName) -> Option<i64> {
        self.users.get(user)?.delta.quota.map(|quota| quota.at)
    }

    /// Each user has one moment in each interval, so that writing is spread evenly however users come: all at once
    /// after a restart, or one after the other. Every proxy has its own moments, so that no two write a user at once.
    fn next_moment(&self, user: &UserName, now: i64) -> i64 {
        let moment = self.moments.hash_one(user) % self.interval.unsigned_abs();
        let moment = i64::try_from(moment).unwrap_or(0);
        now.saturating_add(1 + (moment - now - 1).rem_euclid(self.interval))
    }

    fn order(&self) -> std::sync::MutexGuard<'_, BinaryHeap<Reverse<(i64, UserName)>>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserName {
        UserName::stored(name)
    }

    fn messages(messages: u32) -> Delta {
        Delta { messages, ..Delta::default() }
    }

    fn taken(pending: &Pending, now: i64) -> Vec<(String, u32)> {
        std::iter::from_fn(|| pending.take(now))
            .map(|(user, due)| (user.as_str().to_owned(), due.delta.messages))
            .collect()
    }

    #[test]
    fn all_is_written_within_the_interval_and_evenly() {
        for now in [0, 1_790_000_000] {
            let pending = Pending::new(10_000, 3_600);
            for number in 0..3_600 {
                pending.learn(&user(&format!("user{number}")), messages(1), now, false);
            }
            assert_eq!(taken(&pending, now), []);
            for quarter in 1..=4 {
                let written = taken(&pending, now + 900 * quarter).len();
                assert!((750..1_050).contains(&written), "{written}");
            }
            assert_eq!((pending.len(), pending.users.len()), (0, 0));
        }
    }

    #[test]
    fn a_user_is_written_once_in_an_interval() {
        let pending = Pending::new(10, 3_600);
        let mut written = Vec::new();
        for second in 0..36_000 {
            if second % 300 == 0 {
                pending.learn(&user("anna"), messages(1), second, false);
            }
            written.extend(taken(&pending, second).into_iter().map(|(_, polls)| (second, polls)));
        }
        assert!((9..=10).contains(&written.len()), "{written:?}");
        assert!(written.windows(2).all(|two| two[1] == (two[0].0 + 3_600, 12)), "{written:?}");
    }

    #[test]
    fn what_is_learnt_meanwhile_is_written_along_and_delays_nothing() {
        let pending = Pending::new(10, 3_600);
        pending.learn(&user("anna"), messages(1), 0, false);
        let due = pending.users.get(&user("anna")).expect("pending").at;
        pending.learn(&user("anna"), messages(2), due, false);
        assert_eq!(taken(&pending, due), [("anna".to_owned(), 3)]);
        // Soon is soon, and only once.
        pending.learn(&user("anna"), messages(1), due + 1, false);
        pending.learn(&user("anna"), messages(1), due + 2, true);
        assert_eq!(taken(&pending, due + 2), [("anna".to_owned(), 2)]);
        assert_eq!(taken(&pending, i64::MAX), []);
        assert!(pending.order().is_empty());
    }

    #[test]
    fn what_could_not_be_written_comes_first_the_next_time() {
        let pending = Pending::new(10, 3_600);
        pending.learn(&user("anna"), messages(1), 0, true);
        let (anna, due) = pending.take(0).expect("due");
        pending.learn(&anna, messages(5), 1, false);
        pending.put_back(anna, due);
        assert_eq!(pending.len(), 1);
        assert_eq!(taken(&pending, 1), [("anna".to_owned(), 6)]);
    }

    #[test]
    fn the_oldest_is_forgotten_when_there_are_too_many() {
        let pending = Pending::new(2, 3_600);
        let learn = |name: &str, now| pending.learn(&user(name), messages(1), now, false);
        assert_eq!(learn("anna", 0), 0);
        assert_eq!(learn("bob", 10_000), 0);
        assert_eq!(learn("bob", 11_000), 0);
        assert_eq!(learn("carl", 20_000), 1);
        assert_eq!(pending.len(), 2);
        assert_eq!(taken(&pending, i64::MAX), [("bob".to_owned(), 2), ("carl".to_owned(), 1)]);
    }
}
