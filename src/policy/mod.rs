//! What POP3 does for a user: decided from rules, windows and sentences, with the time as an argument.
//!
//! Read in this order:
//!
//! 1. [`mode`]: the four modes, and one rule: a mode and perhaps a planned one.
//! 2. [`decide`]: the rules in their order, and which of them decides; [`explain`] says why.
//! 3. [`days`], [`window`]: when a brownout refuses.
//! 4. [`sentence`], [`refusal`]: what a refused client shows.
//!
//! Nobody here reads a clock: what happens at a login is decided for the moment that the caller names, and a
//! session that is under way goes on to its end.

pub mod days;
pub mod decide;
pub mod explain;
pub mod mode;
pub mod refusal;
pub mod sentence;
pub mod window;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use crate::words::{Language, Url};
pub use days::Days;
pub use decide::{Decision, Next, Rule, Rules};
pub use mode::{Mode, Planned, Response, Setting};
pub use refusal::{Occasion, Sentences, Wording};
pub use sentence::Sentence;
pub use window::{Window, Windows};

/// Unix seconds as a moment. What lies beyond the years that can be written becomes the last one that can.
pub fn instant(seconds: i64) -> Timestamp {
    let limit = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(seconds).unwrap_or(limit)
}

/// A moment as people there write it: `2026-12-01 11:00 EET`.
pub fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_people_write_them() {
        let riga = TimeZone::get("Europe/Riga").unwrap();
        assert_eq!(local(instant(1_796_115_600), &riga), "2026-12-01 11:00 EET");
        assert_eq!(local(instant(1_782_896_400), &riga), "2026-07-01 12:00 EEST");
        assert_eq!(local(instant(0), &TimeZone::UTC), "1970-01-01 00:00 UTC");
        assert!(local(instant(i64::MAX), &TimeZone::UTC).starts_with("9999-12-30"));
        assert_eq!(instant(i64::MIN), Timestamp::MIN);
    }
}
