//! How an upstream likes to be spoken to, learnt from session to session.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::imap::Capabilities;

/// Flights in a row that came to nothing where lock-step did, before lock-step is kept to: one may be an accident.
const STRIKES: u32 = 3;

/// How long it is kept to. The server behind the address may be another one by then.
const LOCK_STEP: Duration = Duration::from_hours(1);

/// What is known of one upstream.
#[derive(Debug, Default)]
pub struct Habits(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// What it can do once somebody is logged in.
    capabilities: Option<Capabilities>,
    strikes: u32,
    lock_step_until: Option<Instant>,
    /// Does SEARCH find exactly the messages that FETCH shows with the keyword?
    search: Option<bool>,
}

impl Habits {
    /// The capabilities to rely on when everything is said at once; `None`: in lock-step, please.
    pub fn at_once(&self) -> Option<Capabilities> {
        let known = self.known();
        let lock_step = known.lock_step_until.is_some_and(|until| Instant::now() < until);
        known.capabilities.filter(|_| !lock_step)
    }

    /// A login in lock-step has shown these capabilities.
    pub fn learnt(&self, capabilities: Capabilities) {
        self.known().capabilities = Some(capabilities);
    }

    /// Everything was said at once, and answered.
    pub fn worked(&self) {
        self.known().strikes = 0;
    }

    /// It was not answered, and lock-step was. Says whether lock-step is kept to from here on.
    pub fn did_not_work(&self) -> bool {
        let mut known = self.known();
        known.strikes += 1;
        let enough = known.strikes >= STRIKES;
        if enough {
            known.strikes = 0;
            known.lock_step_until = Some(Instant::now() + LOCK_STEP);
        }
        enough
    }

    /// Does SEARCH tell the truth? `None`: that has not been seen yet.
    pub fn search(&self) -> Option<bool> {
        self.known().search
    }

    /// It was seen whether it does.
    pub fn searched(&self, truly: bool) {
        self.known().search = Some(truly);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn three_failures_in_a_row_mean_lock_step_for_an_hour() {
        let (habits, all) = (Habits::default(), Capabilities::parse(b"IMAP4rev1"));
        assert_eq!(habits.at_once(), None);
        habits.learnt(all);
        assert_eq!(habits.at_once(), Some(all));
        assert!(!habits.did_not_work() && !habits.did_not_work());
        habits.worked();
        assert!(!habits.did_not_work() && !habits.did_not_work());
        assert_eq!(habits.at_once(), Some(all));
        assert!(habits.did_not_work());
        assert_eq!(habits.at_once(), None);
        tokio::time::advance(LOCK_STEP).await;
        assert_eq!(habits.at_once(), Some(all));
    }
}
