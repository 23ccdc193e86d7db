//! Moments as people write them on the command line.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// How a moment is written; for help texts and errors.
const FORMS: &str = "\"2026-12-01T10:00:00+02:00\", \"2026-12-01 10:00 Europe/Riga\", or \"2026-12-01\" for \
                     midnight in UTC";

/// A moment: RFC 3339, or local date and time with a time zone, or a day, which means midnight.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    let unknown = || format!("expected a moment such as {FORMS}");
    let words: Vec<&str> = text.split_whitespace().collect();
    let (local, zone) = match *words.as_slice() {
        [day] if day.parse::<Date>().is_ok() && !day.contains('T') => {
            (day.parse::<Date>().map_err(|_| unknown())?.to_datetime(Time::midnight()), None)
        }
        [day, zone] if zone.parse::<Time>().is_err() && day.parse::<Date>().is_ok() && !day.contains('T') => {
            (day.parse::<Date>().map_err(|_| unknown())?.to_datetime(Time::midnight()), Some(zone))
        }
        [local, zone] if local.contains('T') => {
            (local.parse::<DateTime>().map_err(|_| unknown())?, Some(zone))
        }
        [day, time, zone] => {
            let day: Date = day.parse().map_err(|_| unknown())?;
            (day.to_datetime(time.parse::<Time>().map_err(|_| unknown())?), Some(zone))
        }
        [_, _] | [_] if text.parse::<DateTime>().is_ok() => {
            return Err(
                "this time could be anywhere: add a time zone, such as \"UTC\" or \"Europe/Riga\"".to_owned()
            );
        }
        _ => return Err(unknown()),
    };
    let Some(zone) = zone else {
        return TimeZone::UTC.to_timestamp(local).map_err(|_| unknown());
    };
    let zone = TimeZone::get(zone).map_err(|_| {
        format!("there is no time zone \"{zone}\"; expected one such as \"UTC\" or \"Europe/Riga\"")
    })?;
    // When clocks are put back an hour exists twice, and when they are put forward one is left out.
    zone.to_ambiguous_timestamp(local).unambiguous().map_err(|_| {
        format!(
            "{local} exists twice or never in that time zone, because clocks are changed; give an offset \
             instead"
        )
    })
}

/// A moment, or how long ago it was: `30d`, `12h`.
pub(super) fn past(text: &str) -> Result<Timestamp, String> {
    let ago = text.trim();
    match days(ago).or_else(|| ago.parse::<SignedDuration>().ok()) {
        Some(ago) if ago.is_positive() => {
            Timestamp::now().checked_sub(ago).map_err(|_| "that is before the beginning of time".to_owned())
        }
        Some(_) => Err("expected a time in the past: leave out the minus".to_owned()),
        None => moment(text).map_err(|error| format!("{error}; or how long ago it was, such as \"30d\"")),
    }
}

/// Days of 24 hours.
fn days(text: &str) -> Option<SignedDuration> {
    let number: i32 = text.strip_suffix('d')?.trim_end().parse().ok()?;
    Some(SignedDuration::from_hours(i64::from(number) * 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (text, utc) in [
            ("2026-12-01T10:00:00Z", "2026-12-01T10:00:00Z"),
            ("2026-12-01T10:00:00+02:00", "2026-12-01T08:00:00Z"),
            ("2026-12-01 10:00 Europe/Riga", "2026-12-01T08:00:00Z"),
            ("2026-07-01 10:00 Europe/Riga", "2026-07-01T07:00:00Z"),
            ("2026-12-01T10:00 Europe/Riga", "2026-12-01T08:00:00Z"),
            ("2026-12-01 10:00:30 UTC", "2026-12-01T10:00:30Z"),
            ("  2026-12-01  ", "2026-12-01T00:00:00Z"),
            ("2026-12-01 Europe/Riga", "2026-11-30T22:00:00Z"),
        ] {
            assert_eq!(moment(text).expect(text).to_string(), utc, "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_explained() {
        for (text, said) in [
            ("", "expected a moment such as"),
            ("tomorrow", "expected a moment such as"),
            ("2026-02-30", "expected a moment such as"),
            ("2026-12-01 25:00 UTC", "expected a moment such as"),
            ("2026-12-01 10:00", "add a time zone"),
            ("2026-12-01T10:00", "add a time zone"),
            ("2026-12-01 10:00 Europe/Rigga", "there is no time zone \"Europe/Rigga\""),
            ("2026-03-29 03:30 Europe/Riga", "exists twice or never"),
            ("2026-10-25 03:30 Europe/Riga", "exists twice or never"),
        ] {
            let error = moment(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn how_long_ago() {
        assert_eq!(days("30d"), Some(SignedDuration::from_hours(720)));
        assert!(past("30d").expect("a time") < past("12h").expect("a time"));
        assert_eq!(past("2026-12-01"), moment("2026-12-01"));
        assert!(past("-30d").is_err() && past("0d").is_err() && past("99999999999d").is_err());
        assert!(past("soon").expect_err("no time").contains("how long ago"));
    }
}
