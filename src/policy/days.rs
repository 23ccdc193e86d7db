//! The days on which a window begins, as people write them: "mon-fri", "2026-12-01..2026-12-14".

use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use serde::Deserialize;

const WEEK: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// The days on which a window begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Days {
    /// Days of the week, from Monday on.
    Week([bool; 7]),
    /// A span of dates.
    Dates {
        /// The first.
        first: Date,
        /// The last, which is not before the first.
        last: Date,
    },
}

impl FromStr for Days {
    type Err = String;

    /// ```abnf
    /// days = "daily" / span *("," span) / date [".." date]
    /// span = day ["-" day]                ; "sat-mon" is sat, sun, mon
    /// day  = "mon" / "tue" / "wed" / "thu" / "fri" / "sat" / "sun"
    /// ```
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_ascii_lowercase();
        let wrong = || {
            format!(
                "`{text}` names no days: expected such as \"daily\", \"mon-fri\", \"tue,thu\", \"2026-12-01\" or \
                \"2026-12-01..2026-12-14\""
            )
        };
        if text == "daily" {
            return Ok(Self::Week([true; 7]));
        }
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let (first, last) = text.split_once("..").unwrap_or((&text, &text));
            let date = |text: &str| text.trim().parse::<Date>().map_err(|_| wrong());
            let (first, last) = (date(first)?, date(last)?);
            if last < first {
                return Err(format!("`{text}` ends before it begins: write the earlier date first"));
            }
            return Ok(Self::Dates { first, last });
        }
        let mut week = [false; 7];
        for span in text.split(',') {
            let (first, last) = span.split_once('-').unwrap_or((span, span));
            let day = |word: &str| WEEK.iter().position(|(day, _)| *day == word.trim()).ok_or_else(wrong);
            let (first, last) = (day(first)?, day(last)?);
            for step in 0..=(last + 7 - first) % 7 {
                week[(first + step) % 7] = true;
            }
        }
        Ok(Self::Week(week))
    }
}

impl TryFrom<String> for Days {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Days {
    /// The first of these days from `date` on.
    pub(super) fn on_or_after(&self, date: Date) -> Option<Date> {
        match *self {
            Self::Week(week) => (0..7)
                .filter_map(|days| date.checked_add(days.days()).ok())
                .find(|date| week[usize::from(date.weekday().to_monday_zero_offset().unsigned_abs())]),
            Self::Dates { first, last } => (date <= last).then_some(date.max(first)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_as_people_write_them() {
        let table = [
            ("daily", [true; 7]),
            ("mon-fri", [true, true, true, true, true, false, false]),
            ("Mon, wed", [true, false, true, false, false, false, false]),
            ("sat-mon,wed", [true, false, true, false, false, true, true]),
            ("sun", [false, false, false, false, false, false, true]),
        ];
        for (text, week) in table {
            assert_eq!(text.parse(), Ok(Days::Week(week)), "{text}");
        }
        let (first, last) = (Date::constant(2026, 12, 1), Date::constant(2026, 12, 14));
        assert_eq!("2026-12-01..2026-12-14".parse(), Ok(Days::Dates { first, last }));
        assert_eq!("2026-12-01".parse(), Ok(Days::Dates { first, last: first }));
        for text in ["", "monday", "mon-", "mon,,tue", "2026-13-01", "2026-12-01..", "2026-12-02..2026-12-01"]
        {
            assert!(text.parse::<Days>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_of_them_from_a_date_on() {
        let date = |day| Date::constant(2026, 12, day);
        // 2026-12-01 is a Tuesday.
        let table = [
            ("daily", 1, Some(date(1))),
            ("mon", 1, Some(date(7))),
            ("tue", 1, Some(date(1))),
            ("2026-12-03..2026-12-05", 1, Some(date(3))),
            ("2026-12-03..2026-12-05", 4, Some(date(4))),
            ("2026-12-03..2026-12-05", 6, None),
        ];
        for (days, from, first) in table {
            assert_eq!(days.parse::<Days>().unwrap().on_or_after(date(from)), first, "{days} from {from}");
        }
    }
}
