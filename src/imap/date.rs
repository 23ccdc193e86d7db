//! When a message came: `date-time` of RFC 3501 §9, such as `"17-Jul-1996 02:44:25 -0700"`, in Unix seconds.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use nom::bytes::complete::{take, take_while_m_n};
use nom::character::complete::{char, one_of, space0, space1};
use nom::combinator::{map_opt, map_res};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Parses the date with its quotes. One that no calendar has is none.
///
/// ```abnf
/// date-time      = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
/// date-day-fixed = (SP DIGIT) / 2DIGIT
/// zone           = ("+" / "-") 4DIGIT
/// ```
pub fn date_time(input: &[u8]) -> IResult<&[u8], i64> {
    // Some write a day of one digit without the space.
    let date = (terminated(digits(1, 2), char('-')), terminated(month, char('-')), digits(4, 4));
    let time = (terminated(digits(2, 2), char(':')), terminated(digits(2, 2), char(':')), digits(2, 2));
    let inside = (preceded(space0, date), preceded(space1, time), preceded(space1, zone));
    map_opt(delimited(char('"'), inside, char('"')), |((day, month, year), (hour, minute, second), east)| {
        let small = |number: i16| i8::try_from(number).ok();
        // A leap second has no number of its own in Unix time.
        let second = small(second.min(59))?;
        let local = DateTime::new(year, month, small(day)?, small(hour)?, small(minute)?, second, 0).ok()?;
        Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second() - east)
    })
    .parse(input)
}

/// Seconds east of Greenwich.
fn zone(input: &[u8]) -> IResult<&[u8], i64> {
    let (rest, (sign, hours, minutes)) = (one_of("+-"), digits(2, 2), digits(2, 2)).parse(input)?;
    let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
    Ok((rest, if sign == '-' { -seconds } else { seconds }))
}

fn month(input: &[u8]) -> IResult<&[u8], i8> {
    map_opt(take(3_usize), |name: &[u8]| {
        let index = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(month.as_bytes()))?;
        i8::try_from(index + 1).ok()
    })
    .parse(input)
}

/// At most four digits.
fn digits<'a>(
    least: usize,
    most: usize,
) -> impl Parser<&'a [u8], Output = i16, Error = nom::error::Error<&'a [u8]>> {
    let digits = take_while_m_n(least, most, |octet: u8| octet.is_ascii_digit());
    map_res(map_res(digits, std::str::from_utf8), str::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let table: &[(&[u8], Option<i64>)] = &[
            (b"\"17-Jul-1996 02:44:25 -0700\"", Some(837_596_665)),
            (b"\" 1-Jan-1970 00:00:00 +0000\"", Some(0)),
            (b"\"01-jan-1970 00:00:00 -0000\"", Some(0)),
            (b"\"1-JAN-1970 01:30:00 +0130\"", Some(0)),
            (b"\"31-Dec-1969 23:59:59 +0000\"", Some(-1)),
            (b"\"29-Feb-2024 12:00:00 +0530\"", Some(1_709_188_200)),
            (b"\"31-Dec-2016 23:59:60 +0000\"", Some(1_483_228_799)),
            (b"\"29-Feb-2023 12:00:00 +0000\"", None),
            (b"\"00-Jan-2023 12:00:00 +0000\"", None),
            (b"\"01-Jan-2023 24:00:00 +0000\"", None),
            (b"\"01-Jan-2023 12:00:00 GMT\"", None),
            (b"\"01-Jan-2023 12:00:00\"", None),
            (b"\"01-Jan-23 12:00:00 +0000\"", None),
            (b"\"01-Foo-2023 12:00:00 +0000\"", None),
            (b"\"01-Jan-2023 12:00:00 +0000", None),
            (b"NIL", None),
            (b"", None),
        ];
        for (text, expected) in table {
            let parsed = date_time(text).ok().map(|(_, seconds)| seconds);
            assert_eq!(parsed, *expected, "{}", text.escape_ascii());
        }
    }
}
