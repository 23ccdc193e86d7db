//! `lastpop audit`: who changed what, when and why.

use std::borrow::Cow;

use super::client::Call;
use super::failure::Failure;
use super::options::{Options, Page};
use super::output::{Cell, Column, Row, key, main, minor, more};
use super::wave;
use crate::api::{AuditEntry, AuditList, AuditQuery, Planned, Setting};
use crate::policy::{self, instant};

/// See `lastpop audit --help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lastpop audit
  lastpop audit --subject jane@example.net
  lastpop audit --batch 000000004711 --format tsv")]
pub(super) struct Audit {
    /// Only what was done to this user, domain or wave, spelled as lists show it; '*' for everyone.
    #[arg(long)]
    subject: Option<String>,
    /// Only what was part of this import, or of this step of a wave.
    #[arg(long)]
    batch: Option<String>,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    options: Options,
}

impl Audit {
    /// Prints the entries, newest first.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let Self { subject, batch, page, options } = self;
        let list = |limit, after| {
            let query = AuditQuery { subject: subject.clone(), batch: batch.clone(), limit, after };
            Call::get(&["audit"], &query)
        };
        page.print::<AuditList>(options, list).await
    }
}

/// A setting as the trail has it (`-`, `pop3>-@2026-12-01T00:00:00Z`), in the words of all other lists.
fn setting(text: &str) -> Cell<'_> {
    let Ok(stored) = policy::Setting::parse(text, 0) else { return Cell::Text(text) };
    let planned = stored.planned.map(|planned| Planned { mode: planned.mode, from: instant(planned.from) });
    Cell::Setting(Cow::Owned(Setting { mode: stored.mode, since: None, planned }))
}

impl Row for AuditEntry {
    const COLUMNS: &'static [Column] = &[
        key("at"),
        minor("actor"),
        minor("action"),
        more("kind"),
        key("subject"),
        minor("before"),
        key("after"),
        main("reason"),
        more("batch"),
        more("id"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            Cell::Time(self.at),
            Cell::Text(&self.actor),
            Cell::Text(&self.action),
            Cell::Text(&self.kind),
            Cell::Text(&self.subject),
            Cell::of(self.before.as_deref(), setting),
            Cell::of(self.after.as_deref(), |after| match (&self.before, self.kind.as_str()) {
                (Some(_), _) => setting(after),
                // What a wave was made of; other details are sentences already.
                (None, "wave") => serde_json::from_str(after)
                    .map_or(Cell::Text(after), |target| Cell::Made(wave::target(&target))),
                (None, _) => Cell::Text(after),
            }),
            Cell::Prose(&self.reason),
            Cell::Text(&self.batch),
            Cell::Text(&self.id),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::output;
    use super::super::table::table;
    use super::*;

    fn entry(kind: &str, before: Option<&str>, after: &str) -> AuditEntry {
        AuditEntry {
            id: "1".to_owned(),
            at: instant(0),
            actor: "me".to_owned(),
            action: "create".to_owned(),
            kind: kind.to_owned(),
            subject: "x".to_owned(),
            before: before.map(str::to_owned),
            after: Some(after.to_owned()),
            reason: "y".to_owned(),
            batch: "000000000001".to_owned(),
        }
    }

    fn after(kind: &str, before: Option<&str>, after: &str) -> String {
        let entry = entry(kind, before, after);
        let mut out = Vec::new();
        output::one(output::Format::Tsv, &entry, &mut out).expect("a buffer");
        let text = String::from_utf8(out).expect("text");
        text.lines().nth(1).and_then(|row| row.split('\t').nth(6)).expect("a column").to_owned()
    }

    /// However long a name is and however narrow the terminal: what became of whom, and when.
    #[test]
    fn a_table_never_lacks_what_it_is_about() {
        let subject = "a-very-long-name-of-a-customer@customers.example.net";
        let entry = AuditEntry { subject: subject.to_owned(), ..entry("user", Some("pop3"), "notice") };
        for width in [20, 40, 80] {
            let text = table(std::slice::from_ref(&entry), Some(width)).trim_fmt();
            let row = text.lines().nth(1).unwrap_or_default();
            assert_eq!(row.trim(), format!("1970-01-01 00:00Z  {subject}  notice"), "{width}: {text}");
        }
    }

    #[test]
    fn settings_and_targets_are_told_as_everywhere() {
        assert_eq!(after("user", Some("pop3"), "-"), "inherit");
        let planned = "->notice@2026-12-01T00:00:00Z";
        assert_eq!(after("domain", Some("pop3"), planned), "inherit>notice@2026-12-01T00:00:00Z");
        assert_eq!(after("wave", None, r#"{"domain":"x"}"#), "domain x");
        assert_eq!(after("wave", None, "\"csv\""), "csv");
        assert_eq!(after("wave", None, "3 users"), "3 users");
        assert_eq!(after("user", None, "-"), "-");
    }
}
