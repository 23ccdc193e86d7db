//! Values as people and scripts read them: names that cannot play with the terminal, times, octets, settings.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::api::{INHERIT, Planned, Setting};
use crate::policy::Mode;

/// The text with what a terminal or a table would obey, instead of show, made visible: `\t`, `\n`, `\u{1b}`.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unseen(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Control characters, line separators, and those that change the direction of what follows.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A moment for people: to the minute, in UTC.
pub(super) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}

/// Octets for people.
pub(super) fn octets(number: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = usize::try_from(number.max(1).ilog2() / 10).unwrap_or_default();
    if unit == 0 {
        return format!("{number} B");
    }
    // Tenths, rounded down: 1023.9 KiB stays below 1 MiB.
    let tenths = (u128::from(number) * 10) >> (10 * unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A number for people, in groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of sessions for people.
pub(super) fn sessions(number: u64) -> String {
    counted(number, "session", "sessions")
}

/// A number of lines for people.
pub(super) fn lines(number: u64) -> String {
    counted(number, "line", "lines")
}

/// A number of things for people.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// The word for a mode, or for none.
pub(super) fn word(mode: Option<Mode>) -> &'static str {
    mode.map_or(INHERIT, Mode::as_str)
}

/// A setting for people: `pop3`, `inherit`, `pop3, imap-only from 2026-12-01 00:00Z`.
pub(super) fn setting(setting: &Setting) -> String {
    match &setting.planned {
        None => word(setting.mode).to_owned(),
        Some(Planned { mode, from }) => {
            format!("{}, {} from {}", word(setting.mode), word(*mode), minute(*from))
        }
    }
}

/// A setting for scripts: `pop3`, `inherit`, `pop3>imap-only@2026-12-01T00:00:00Z`.
pub(super) fn setting_exact(setting: &Setting) -> String {
    match &setting.planned {
        None => word(setting.mode).to_owned(),
        Some(Planned { mode, from }) => format!("{}>{}@{from}", word(setting.mode), word(*mode)),
    }
}

/// One character for each number, higher for greater ones; the greatest fills its line.
pub(super) fn sparkline(numbers: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = numbers.iter().copied().max().unwrap_or_default().max(1);
    let bar = |number: &u64| {
        let level = u128::from(*number) * 7 / u128::from(most);
        BARS[usize::try_from(level).unwrap_or_default()]
    };
    numbers.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_be_seen_is_made_visible() {
        for (text, shown) in [
            ("jane@example.net", "jane@example.net"),
            ("ķēniņš \\ \"", "ķēniņš \\ \""),
            ("a\tb\r\nc", "a\\tb\\r\\nc"),
            ("\u{1b}[2J\u{9b}1m\u{7f}", "\\u{1b}[2J\\u{9b}1m\\u{7f}"),
            ("evil\u{202e}txt", "evil\\u{202e}txt"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn octets_for_people() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1024 * 1024 - 1, "1023.9 KiB"),
            (1_610_612_736, "1.5 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(octets(number), text);
        }
    }

    #[test]
    fn numbers_for_people() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn settings() {
        let from = "2026-12-01T00:00:00Z".parse().expect("a time");
        let planned = Setting {
            mode: Some(Mode::Pop3),
            since: None,
            planned: Some(Planned { mode: Some(Mode::ImapOnly), from }),
        };
        assert_eq!(setting(&planned), "pop3, imap-only from 2026-12-01 00:00Z");
        assert_eq!(setting_exact(&planned), "pop3>imap-only@2026-12-01T00:00:00Z");
        assert_eq!(setting(&Setting::default()), "inherit");
        assert_eq!(setting_exact(&Setting::default()), "inherit");
    }

    #[test]
    fn sparklines() {
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&[0, 0]), "▁▁");
        assert_eq!(sparkline(&[0, 1, 2, 3, 4, 5, 6, 7]), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[u64::MAX, 0]), "█▁");
    }
}
