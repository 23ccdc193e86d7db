//! When a brownout refuses: windows in local time, and their union around a moment.
//!
//! Both ends of a window are read from a clock on a wall there that is never put back: a time that the clock
//! skips is the moment at which it jumps, and one that it shows twice is the first of the two. So a window
//! from 03:00 to 04:00 does not happen in the night in which that hour is skipped, and lasts two hours in the
//! night in which it comes twice.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};

use super::Days;

/// Windows that a configuration may have: each is looked at in every login of a user in the mode `brownout`.
pub const MAX_WINDOWS: usize = 100;

/// Days with a window on them that are looked at to find where a union ends. One that is longer than this is
/// told as far as it was followed.
const MAX_DAYS: usize = 40;

/// Seconds of eight days: a union of weekly windows that lasts so long never ends.
const LONGER_THAN_A_WEEK: i64 = 8 * 24 * 60 * 60;

/// `[[policy.brownout]]`: a window, on each of some days.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it begins.
    pub days: Days,
    /// Inside from this local time on.
    #[serde(deserialize_with = "time_of_day")]
    pub from: Time,
    /// Outside from this local time on; on the day after when it is not after `from`.
    #[serde(deserialize_with = "time_of_day")]
    pub to: Time,
}

/// `09:00`.
fn time_of_day<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
    const EXPECTED: &str = "a time of the day such as \"09:00\"";
    let text = String::deserialize(from).map_err(|_| D::Error::custom(format!("expected {EXPECTED}")))?;
    let parse = |text: &str| {
        let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_digit());
        let (hour, minute) =
            text.split_once(':').filter(|(hour, minute)| two_digits(hour) && two_digits(minute))?;
        Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
    };
    parse(&text).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &EXPECTED))
}

/// All windows, with the time zone in which they are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    zone: TimeZone,
    /// By the time at which they begin.
    windows: Vec<Window>,
}

impl Windows {
    /// These windows in this time zone.
    pub fn new(zone: TimeZone, mut windows: Vec<Window>) -> Self {
        windows.sort_by_key(|window| window.from);
        Self { zone, windows }
    }

    /// Inside: when the last of the windows that overlap or touch ends. Outside: `None`.
    pub fn active(&self, now: Timestamp) -> Option<Timestamp> {
        self.union(now).filter(|(from, _)| *from <= now).map(|(_, until)| until)
    }

    /// The next time that one begins after `now` and after what is active, and when it ends.
    pub fn next(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let after = self.active(now).unwrap_or(now);
        self.union(after).filter(|(from, _)| *from > after)
    }

    /// Do the days of the week leave no moment outside? Then it is no brownout. In which week does not matter.
    pub fn are_endless(&self) -> bool {
        let weekly = |window: &&Window| matches!(window.days, Days::Week(_));
        let weekly = self.windows.iter().filter(weekly).cloned().collect();
        let weekly = Self { zone: TimeZone::UTC, windows: weekly };
        weekly.active(Timestamp::UNIX_EPOCH).is_some_and(|until| until.as_second() > LONGER_THAN_A_WEEK)
    }

    /// The first union of windows that ends after `now`. It may have begun earlier than told when it began
    /// more than a day ago.
    fn union(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        // No window is longer than a day, so none that began before yesterday is still open.
        let yesterday = self.zone.to_datetime(now).date().yesterday().ok()?;
        let mut union: Option<(Timestamp, Timestamp)> = None;
        for (from, until) in self.spans(yesterday) {
            match &mut union {
                Some((_, end)) if from <= *end => *end = until.max(*end),
                Some((_, end)) if *end > now => break,
                _ => union = Some((from, until)),
            }
        }
        union.filter(|(_, until)| *until > now)
    }

    /// Every window on every day from `date` on, by the moment at which it begins: a clock that is never put
    /// back shows the times of a day in their order.
    fn spans(&self, date: Date) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let day = |date: Date| self.windows.iter().filter_map(|window| window.days.on_or_after(date)).min();
        let days = std::iter::successors(day(date), move |date| day(date.tomorrow().ok()?));
        days.take(MAX_DAYS).flat_map(move |date| {
            let windows =
                self.windows.iter().filter(move |window| window.days.on_or_after(date) == Some(date));
            windows.filter_map(move |window| self.span(window, date))
        })
    }

    /// The window that begins on this day; none where the clock skips it.
    fn span(&self, window: &Window, date: Date) -> Option<(Timestamp, Timestamp)> {
        let last = if window.to > window.from { date } else { date.tomorrow().ok()? };
        let from = self.reached(date.to_datetime(window.from))?;
        let until = self.reached(last.to_datetime(window.to))?;
        (from < until).then_some((from, until))
    }

    /// The first moment at which the clock shows this time or a later one.
    fn reached(&self, time: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(time).ok()
            }
            // Read with the offset after it, the time lies before the jump.
            AmbiguousOffset::Gap { after, .. } => {
                let before = after.to_timestamp(time).ok()?;
                Some(self.zone.following(before).next()?.timestamp())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use proptest::prelude::*;

    use super::*;

    fn window(days: &str, from: &str, to: &str) -> Window {
        toml::from_str(&format!("days = \"{days}\"\nfrom = \"{from}\"\nto = \"{to}\"")).unwrap()
    }

    fn windows(zone: &str, windows: &[(&str, &str, &str)]) -> Windows {
        let windows = windows.iter().map(|(days, from, to)| window(days, from, to)).collect();
        Windows::new(TimeZone::get(zone).unwrap(), windows)
    }

    /// Moments as local times with their offset: `2026-03-29T04:00+03`.
    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_as_people_write_them() {
        for time in ["9:00", "24:00", "09:60", "0900", "+9:00", "09:00:00", ""] {
            let text = format!("days = \"daily\"\nfrom = \"{time}\"\nto = \"12:00\"");
            assert!(toml::from_str::<Window>(&text).is_err(), "{time}");
        }
    }

    #[test]
    fn what_is_no_brownout() {
        for (list, endless) in [
            (&[("daily", "00:00", "00:00")][..], true),
            (&[("daily", "12:00", "00:00"), ("mon-sun", "00:00", "12:00")], true),
            (&[("mon-fri", "00:00", "00:00"), ("sat-sun", "00:00", "00:00")], true),
            (&[("daily", "00:00", "23:59")], false),
            (&[("mon-sat", "00:00", "00:00")], false),
            (&[("1970-01-01..2100-01-01", "00:00", "00:00")], false),
            (&[], false),
        ] {
            assert_eq!(windows("Europe/Riga", list).are_endless(), endless, "{list:?}");
        }
    }

    #[test]
    fn inside_and_outside() {
        const OFFICE: (&str, &str, &str) = ("mon-fri", "09:00", "11:00");
        let table = [
            // From `from` on, up to `to`.
            (&[OFFICE][..], "2026-12-01T08:59:59+02", None),
            (&[OFFICE], "2026-12-01T09:00+02", Some("2026-12-01T11:00+02")),
            (&[OFFICE], "2026-12-01T10:59:59+02", Some("2026-12-01T11:00+02")),
            (&[OFFICE], "2026-12-01T11:00+02", None),
            (&[OFFICE], "2026-12-05T10:00+02", None),
            // Over midnight, here into a new year; the day is the one on which it begins.
            (&[("thu", "23:00", "01:00")], "2026-12-31T23:00+02", Some("2027-01-01T01:00+02")),
            (&[("thu", "23:00", "01:00")], "2027-01-01T00:59+02", Some("2027-01-01T01:00+02")),
            (&[("fri", "23:00", "01:00")], "2027-01-01T00:59+02", None),
            (&[("2026-11-30", "22:00", "21:59")], "2026-12-01T21:58+02", Some("2026-12-01T21:59+02")),
            // A whole day, and three of them.
            (&[("tue", "00:00", "00:00")], "2026-12-01T00:00+02", Some("2026-12-02T00:00+02")),
            (
                &[("2026-12-01..2026-12-03", "00:00", "00:00")],
                "2026-12-01T12:00+02",
                Some("2026-12-04T00:00+02"),
            ),
            // Windows that overlap or touch are one; those that neither do are two.
            (&[OFFICE, ("tue", "10:00", "12:00")], "2026-12-01T09:30+02", Some("2026-12-01T12:00+02")),
            (&[("tue", "11:00", "12:00"), OFFICE], "2026-12-01T09:30+02", Some("2026-12-01T12:00+02")),
            (&[OFFICE, ("tue", "11:01", "12:00")], "2026-12-01T09:30+02", Some("2026-12-01T11:00+02")),
            (&[("daily", "08:00", "20:00"), OFFICE], "2026-12-01T10:00+02", Some("2026-12-01T20:00+02")),
            // 2026-03-29: 03:00 to 04:00 is skipped.
            (&[("daily", "02:30", "03:30")], "2026-03-29T02:59+02", Some("2026-03-29T04:00+03")),
            (&[("daily", "02:30", "03:30")], "2026-03-29T04:00+03", None),
            (&[("daily", "03:30", "04:30")], "2026-03-29T04:00+03", Some("2026-03-29T04:30+03")),
            (&[("daily", "03:30", "04:30")], "2026-03-29T02:59+02", None),
            (&[("daily", "03:10", "03:50")], "2026-03-29T04:20+03", None),
            (&[("daily", "22:00", "06:00")], "2026-03-29T00:00+02", Some("2026-03-29T06:00+03")),
            // 2026-10-25: 03:00 to 04:00 comes twice.
            (&[("daily", "03:00", "04:00")], "2026-10-25T03:00+03", Some("2026-10-25T04:00+02")),
            (&[("daily", "03:00", "04:00")], "2026-10-25T03:59+02", Some("2026-10-25T04:00+02")),
            (&[("daily", "02:00", "03:30")], "2026-10-25T03:29+03", Some("2026-10-25T03:30+03")),
            (&[("daily", "02:00", "03:30")], "2026-10-25T03:10+02", None),
            (&[("daily", "03:30", "05:00")], "2026-10-25T03:10+02", Some("2026-10-25T05:00+02")),
            (&[], "2026-12-01T09:00+02", None),
        ];
        for (list, now, until) in table {
            assert_eq!(windows("Europe/Riga", list).active(at(now)), until.map(at), "{list:?} at {now}");
        }
    }

    #[test]
    fn what_comes_next() {
        let table = [
            (&[("mon-fri", "09:00", "11:00")][..], "2026-12-04T10:00+02", Some("2026-12-07T09:00+02")),
            (&[("mon-fri", "09:00", "11:00")], "2026-12-04T08:59+02", Some("2026-12-04T09:00+02")),
            (&[("2030-01-01", "09:00", "11:00")], "2026-12-04T08:59+02", Some("2030-01-01T09:00+02")),
            (&[("2026-12-04", "09:00", "11:00")], "2026-12-04T11:00+02", None),
            // The hour that is skipped is no window: the next is a week later.
            (&[("sun", "03:00", "04:00")], "2026-03-29T00:00+02", Some("2026-04-05T03:00+03")),
            // Windows that never end have no next one.
            (&[("daily", "00:00", "00:00")], "2026-12-04T10:00+02", None),
        ];
        for (list, now, from) in table {
            let next = windows("Europe/Riga", list).next(at(now)).map(|(from, _)| from);
            assert_eq!(next, from.map(at), "{list:?} at {now}");
        }
        let endless = windows("UTC", &[("daily", "00:00", "00:00")]);
        assert!(endless.active(at("2026-12-04T10:00Z")).unwrap() > at("2027-01-04T10:00Z"));
    }

    /// Every minute of five days by itself, on a clock that is never put back: when one begins and ends.
    fn oracle(windows: &Windows, first: Timestamp) -> Vec<(Timestamp, bool)> {
        let mut clock = DateTime::MIN;
        let minutes = (0..5 * 24 * 60).map(|minute| first + minute.minutes());
        let inside = |clock: DateTime| {
            windows.windows.iter().any(|window| {
                [clock.date().yesterday().unwrap(), clock.date()].into_iter().any(|day| {
                    let begins = match window.days {
                        Days::Week(week) => {
                            week[usize::try_from(day.weekday().to_monday_zero_offset()).unwrap()]
                        }
                        Days::Dates { first, last } => first <= day && day <= last,
                    };
                    let ends = if window.to > window.from { day } else { day.tomorrow().unwrap() };
                    begins && day.to_datetime(window.from) <= clock && clock < ends.to_datetime(window.to)
                })
            })
        };
        let told = minutes.map(|at| {
            clock = clock.max(windows.zone.to_datetime(at));
            (at, inside(clock))
        });
        told.collect()
    }

    /// Nights in which clocks jump, around which the five days lie: at 03:00, 01:00 and 00:00, by an hour and
    /// by half of one; and one in which nothing happens.
    const NIGHTS: [(&str, &str); 9] = [
        ("Europe/Riga", "2026-03-29T00:00Z"),
        ("Europe/Riga", "2026-10-25T00:00Z"),
        ("America/New_York", "2026-03-08T06:00Z"),
        ("America/Havana", "2026-11-01T04:00Z"),
        ("Asia/Beirut", "2026-03-28T22:00Z"),
        ("Asia/Beirut", "2026-10-24T21:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00Z"),
        ("UTC", "2026-12-31T22:00Z"),
    ];

    fn any_window() -> impl Strategy<Value = Window> {
        let days = prop_oneof![
            proptest::array::uniform7(any::<bool>()).prop_map(Days::Week),
            (0..12i64, 0..3i64).prop_map(|(first, days)| {
                let first = Date::constant(2026, 3, 25) + first.days();
                Days::Dates { first, last: first + days.days() }
            }),
        ];
        // Mostly at night, on the quarter of an hour, so that windows touch and clocks jump inside.
        let time = || {
            (prop_oneof![0..6i8, 0..24i8], 0..4i8)
                .prop_map(|(hour, quarter)| Time::constant(hour, 15 * quarter, 0, 0))
        };
        (days, time(), time()).prop_map(|(days, from, to)| Window { days, from, to })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn windows_are_what_a_clock_on_the_wall_says(
            (zone, night) in proptest::sample::select(&NIGHTS[..]),
            list in proptest::collection::vec(any_window(), 0..4),
        ) {
            let windows = Windows::new(TimeZone::get(zone).unwrap(), list);
            let told = oracle(&windows, at(night) - (3 * 24).hours());
            let end = told[told.len() - 1].0;
            // The first minute from there on at which it is so.
            let first = |at: usize, inside: bool| told[at..].iter().position(|told| told.1 == inside).map(|minutes| at + minutes);
            for minute in (24 * 60..told.len()).step_by(13) {
                let (now, inside) = told[minute];
                let ended = first(minute, false);
                match (windows.active(now), inside) {
                    (Some(until), true) => prop_assert!(ended.map_or(until > end, |at| told[at].0 == until), "{now}: {until}"),
                    (active, _) => prop_assert_eq!(active.is_some(), inside, "{}", now),
                }
                let begins = ended.and_then(|ended| first(ended, true));
                let next = windows.next(now);
                if let Some(begins) = begins {
                    let until = first(begins, false).map(|at| told[at].0);
                    let (from, ends) = next.unwrap();
                    prop_assert_eq!(from, told[begins].0, "{}", now);
                    prop_assert!(until.map_or(ends > end, |until| ends == until), "{now}");
                } else {
                    prop_assert!(next.is_none_or(|(from, _)| from > end), "{now}");
                }
            }
        }
    }
}
