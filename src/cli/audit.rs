//! `lastpop audit`: who changed what, when and why.

use super::client::Call;
use super::failure::Failure;
use super::options::{Options, Page};
use super::output::{Cell, Column, Row, main, more};
use super::rows::text;
use crate::api::{AuditEntry, AuditList, AuditQuery};

/// See `lastpop audit --help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lastpop audit
  lastpop audit --subject jane@example.net
  lastpop audit --batch 0198c2d0 --format tsv")]
pub(super) struct Audit {
    /// Only what was done to this user, domain or wave.
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

impl Row for AuditEntry {
    const COLUMNS: &'static [Column] = &[
        main("at"),
        main("actor"),
        main("action"),
        more("kind"),
        main("subject"),
        main("before"),
        main("after"),
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
            text(self.before.as_ref()),
            text(self.after.as_ref()),
            Cell::Text(&self.reason),
            text(self.batch.as_ref()),
            Cell::Text(&self.id),
        ]
    }
}
