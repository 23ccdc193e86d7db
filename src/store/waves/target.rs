//! Who is in a wave? The users of a domain go by, page by page, and each is in it or not.

use crate::api::{Target, WaveUsers};
use crate::policy::Mode;
use crate::store::domains::EVERYONE;

/// Parts into which all users are divided, so that a percentage takes so many of them.
const PARTS: u64 = 10_000;

/// Seconds.
const DAY: i64 = 24 * 60 * 60;

/// A user whom a wave may take.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) username: String,
    pub(super) domain: String,
    pub(super) last_seen: Option<i64>,
    pub(super) family: Option<String>,
    /// What is in force.
    pub(super) mode: Mode,
    /// Is anything set for this user alone?
    pub(super) own: bool,
    /// What has set it.
    pub(super) set_by: Option<String>,
    /// The wave has changed this user already.
    pub(super) moved: bool,
}

/// The domain whose users a target takes; `*` is all of them.
pub(super) fn domain(target: &Target) -> &str {
    match target {
        Target::Csv => EVERYONE,
        Target::Domain(domain) | Target::Share { domain, .. } => domain,
        Target::Query(WaveUsers { domain, .. }) => domain.as_deref().unwrap_or(EVERYONE),
    }
}

/// Does a target take this user of its domain? `now` is in Unix seconds.
pub(super) fn takes(target: &Target, user: &Candidate, now: i64) -> bool {
    match target {
        Target::Csv | Target::Domain(_) => true,
        Target::Share { percent, .. } => part(&user.username) < u64::from(percent.get()) * (PARTS / 100),
        Target::Query(users) => {
            let WaveUsers { domain: _, mode, family, not_seen_for, seen_within } = users;
            let seen_since = |days: u16| user.last_seen.is_some_and(|seen| seen >= ago(now, days));
            mode.is_none_or(|mode| user.mode == mode)
                && family.as_ref().is_none_or(|family| user.family.as_ref() == Some(family))
                && not_seen_for.is_none_or(|days| !seen_since(days.get()))
                && seen_within.is_none_or(|days| seen_since(days.get()))
        }
    }
}

/// So many days before `now`.
pub(super) fn ago(now: i64, days: u16) -> i64 {
    now - i64::from(days) * DAY
}

/// In which of [`PARTS`] a user is: always the same, and evenly spread.
fn part(username: &str) -> u64 {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, username.as_bytes());
    let first = hash.as_ref().iter().take(8);
    first.fold(0, |number, octet| number << 8 | u64::from(*octet)) % PARTS
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::api::{Days, Percent};

    const NOW: i64 = 1_790_000_000;

    fn candidate(username: &str) -> Candidate {
        Candidate {
            username: username.to_owned(),
            domain: "x".to_owned(),
            last_seen: None,
            family: None,
            mode: Mode::Pop3,
            own: false,
            set_by: None,
            moved: false,
        }
    }

    #[test]
    fn a_share_is_stable_and_a_greater_one_contains_it() {
        let share =
            |percent| Target::Share { domain: "x".to_owned(), percent: Percent::try_from(percent).unwrap() };
        let taken = |percent: u8| {
            let target = share(percent);
            let names = (0..20_000).map(|number| format!("user{number}@x"));
            names.filter(|name| takes(&target, &candidate(name), NOW)).collect::<Vec<_>>()
        };
        let (ten, fifty) = (taken(10), taken(50));
        assert!((1_800..2_200).contains(&ten.len()) && (9_700..10_300).contains(&fifty.len()));
        assert!(ten.iter().all(|name| fifty.contains(name)));
        assert_eq!(taken(100).len(), 20_000);
        for name in ["anna@x", "", "ānna"] {
            let first: [u8; 8] = Sha256::digest(name.as_bytes())[..8].try_into().unwrap();
            assert_eq!(part(name), u64::from_be_bytes(first) % 10_000, "{name}");
        }
    }

    #[test]
    fn a_query_takes_those_for_whom_all_of_it_holds() {
        let days = |days: u16| Days::try_from(days).ok();
        let seen = |ago: i64| Candidate { last_seen: Some(NOW - ago * DAY), ..candidate("a") };
        let alpine = Candidate { family: Some("alpine".to_owned()), mode: Mode::Notice, ..seen(10) };
        let none = WaveUsers::default();
        for (query, user, expected) in [
            (WaveUsers { not_seen_for: days(30), ..none.clone() }, candidate("a"), true),
            (WaveUsers { not_seen_for: days(30), ..none.clone() }, seen(30), false),
            (WaveUsers { not_seen_for: days(30), ..none.clone() }, seen(31), true),
            (WaveUsers { seen_within: days(30), ..none.clone() }, seen(30), true),
            (WaveUsers { seen_within: days(30), ..none.clone() }, candidate("a"), false),
            (WaveUsers { seen_within: days(30), not_seen_for: days(7), ..none.clone() }, seen(10), true),
            (WaveUsers { family: Some("alpine".to_owned()), ..none.clone() }, alpine.clone(), true),
            (WaveUsers { family: Some("alpine".to_owned()), ..none.clone() }, seen(1), false),
            (WaveUsers { mode: Some(Mode::Notice), ..none.clone() }, alpine.clone(), true),
            (WaveUsers { mode: Some(Mode::Notice), seen_within: days(7), ..none.clone() }, alpine, false),
        ] {
            assert_eq!(takes(&Target::Query(query.clone()), &user, NOW), expected, "{query:?} {user:?}");
        }
    }
}
