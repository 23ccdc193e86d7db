//! `lastpop summary`: how far the migration is, on one screen.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::json;

use super::client::Call;
use super::failure::Failure;
use super::options::{Options, stdout};
use super::output::{self, Format};
use super::text::{self, grouped, octets, sparkline, visible};
use crate::api::{Daily, DailyList, DailyQuery, NamedCount, Summary};

/// See `lastpop summary --help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lastpop summary\n  lastpop summary --format tsv | grep ^active")]
pub(super) struct Burndown {
    #[command(flatten)]
    options: Options,
}

impl Burndown {
    /// Prints it.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let Self { options } = self;
        let client = options.client()?;
        let summary: Summary = client.ask(&Call::get(&["summary"], &())).await?;
        let days: DailyList = client.ask(&Call::get(&["daily"], &DailyQuery::default())).await?;
        let days = days.days;
        let mut out = stdout();
        match options.format() {
            Format::Json => output::json(&json!({ "summary": summary, "days": days }), &mut out)?,
            Format::Tsv => out.write_all(values(&summary).as_bytes())?,
            Format::Table => out.write_all(screen(&summary, &days).as_bytes())?,
        }
        Ok(out.flush()?)
    }
}

/// One line for each number: its name, of what, and the number.
fn values(summary: &Summary) -> String {
    let mut lines = String::from("name\tof\tvalue\n");
    // Writing to a string cannot fail.
    let mut line = |name: &str, of: &str, value: u64| _ = writeln!(lines, "{name}\t{}\t{value}", visible(of));
    line("users", "", summary.users);
    summary.modes.iter().for_each(|count| line("mode", count.mode.as_str(), count.users));
    let active = summary.active;
    for (window, users) in
        [("1d", active.day), ("7d", active.days_7), ("30d", active.days_30), ("90d", active.days_90)]
    {
        line("active", window, users);
    }
    summary.domains.iter().for_each(|count| line("domain_users", &count.domain, count.users));
    summary.domains.iter().for_each(|count| line("domain_active_30", &count.domain, count.active_30));
    summary.families.iter().for_each(|count| line("family", &count.name, count.users));
    summary.tls.iter().for_each(|count| line("tls", &count.name, count.users));
    for (name, value) in [
        ("knocking", summary.knocking),
        ("hidden_messages", summary.hidden_messages),
        ("hidden_octets", summary.hidden_octets),
        ("nearly_full", summary.nearly_full),
        ("as_of", u64::try_from(summary.as_of.as_second()).unwrap_or_default()),
    ] {
        line(name, "", value);
    }
    lines
}

/// Domains, families and TLS versions that the screen has room for.
const MOST: usize = 8;

/// The same for people.
fn screen(summary: &Summary, days: &[Daily]) -> String {
    let mut lines = String::new();
    let mut line =
        |name: &str, value: &str| _ = writeln!(lines, "{}", format!("{name:<22} {value}").trim_end());
    line("users", &format!("{} known, as of {}", grouped(summary.users), text::minute(summary.as_of)));
    for count in &summary.modes {
        line(&format!("  {}", count.mode), &share(count.users, summary.users));
    }
    let active = summary.active;
    let windows = [
        ("1 day", active.day),
        ("7 days", active.days_7),
        ("30 days", active.days_30),
        ("90 days", active.days_90),
    ];
    line("used POP3 in the last", "");
    for (window, users) in windows {
        line(&format!("  {window}"), &share(users, summary.users));
    }
    if let (Some(first), Some(last)) = (days.first(), days.last()) {
        let users: Vec<u64> = days.iter().map(|day| day.active_1).collect();
        let ends =
            format!("{} on {}, {} on {}", grouped(users[0]), first.day, grouped(last.active_1), last.day);
        line("users a day", &format!("{}  {ends}", sparkline(&users)));
    }
    line("refused, still trying", &format!("{} in the last 30 days", grouped(summary.knocking)));
    let hidden = (grouped(summary.hidden_messages), octets(summary.hidden_octets));
    line("hidden messages", &format!("{}, {}", hidden.0, hidden.1));
    line("mailboxes nearly full", &format!("{} over 80 % of their quota", grouped(summary.nearly_full)));
    let counts = |all: &[NamedCount]| {
        let words =
            all.iter().take(MOST).map(|count| format!("{} {}", visible(&count.name), grouped(count.users)));
        words.collect::<Vec<_>>().join(", ")
    };
    line("clients, 30 days", &counts(&summary.families));
    line("TLS, 30 days", &counts(&summary.tls));
    line("domains", "active in 30 days, of known users");
    for count in summary.domains.iter().take(MOST) {
        let of = format!("{} of {}", grouped(count.active_30), grouped(count.users));
        line(&format!("  {}", visible(&count.domain)), &of);
    }
    lines
}

/// A number and its share of all, such as `1,234  12.3 %`.
fn share(part: u64, all: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(all.max(1));
    format!("{:>12}  {:>3}.{} %", grouped(part), tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ActiveUsers, DomainCount, ModeCount};
    use crate::policy::Mode;

    fn sample() -> Summary {
        let count = |name: &str, users| NamedCount { name: name.to_owned(), users };
        Summary {
            as_of: "2026-12-01T10:00:00Z".parse().expect("a time"),
            users: 2000,
            modes: Mode::ALL.map(|mode| ModeCount { mode, users: 500 }).to_vec(),
            active: ActiveUsers { day: 10, days_7: 70, days_30: 300, days_90: 900 },
            domains: vec![DomainCount { domain: "example.net\u{7}".to_owned(), users: 1500, active_30: 200 }],
            families: vec![count("outlook", 150), count("unknown", 50)],
            tls: vec![count("TLSv1.3", 180), count("none", 20)],
            knocking: 3,
            hidden_messages: 4000,
            hidden_octets: 5 << 30,
            nearly_full: 7,
        }
    }

    fn day(day: &str, active_1: u64) -> Daily {
        Daily {
            day: day.parse().expect("a day"),
            domain: "*".to_owned(),
            active_1,
            active_7: 0,
            active_30: 0,
            sessions: 0,
            messages: 0,
            octets: 0,
            deleted: 0,
            refused: 0,
        }
    }

    #[test]
    fn for_people() {
        let text = screen(&sample(), &[day("2026-11-01", 1400), day("2026-11-30", 700)]);
        for said in [
            "2,000 known, as of 2026-12-01 10:00Z",
            "  imap-only                     500   25.0 %",
            "  30 days                       300   15.0 %",
            "█▄  1,400 on 2026-11-01, 700 on 2026-11-30",
            "4,000, 5.0 GiB",
            "outlook 150, unknown 50",
            "  example.net\\u{7}     200 of 1,500",
        ] {
            assert!(text.contains(said), "no {said:?} in\n{text}");
        }
        assert!(!screen(&sample(), &[]).contains("users a day"), "nothing is known of any day");
    }

    #[test]
    fn for_programs() {
        let text = values(&sample());
        for line in
            ["mode\tnotice\t500", "active\t90d\t900", "family\toutlook\t150", "hidden_octets\t\t5368709120"]
        {
            assert!(text.lines().any(|found| found == line), "no {line:?} in\n{text}");
        }
        assert!(text.lines().all(|line| line.split('\t').count() == 3), "{text}");
    }
}
