//! Waiting for a condition with a deadline, instead of sleeping and hoping.

use std::time::{Duration, Instant};

/// How often a condition is looked at again.
const INTERVAL: Duration = Duration::from_millis(10);

/// Long enough for a loaded machine, short enough to end a hanging test.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Asks `condition` until it gives a value; panics with `what` when the deadline passes.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "waited {DEADLINE:?} in vain: {what}");
        std::thread::sleep(INTERVAL);
    }
}

/// Looks at `condition` for as long as `duration`; panics with `what` as soon as it does not hold.
pub(crate) fn throughout(duration: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        assert!(condition(), "{what}");
        std::thread::sleep(INTERVAL);
    }
}
