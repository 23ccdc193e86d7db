//! `lastpop domain`: the modes of domains, and of everyone (`*`).

use clap::builder::NonEmptyStringValueParser;

use super::change::{self, Ordered, Setting};
use super::client::Call;
use super::failure::Failure;
use super::options::{Options, Page, stdout};
use super::output::{self, Cell, Column, Row, key, main, more};
use crate::api::{DomainList, DomainQuery, DomainRow};

/// See `lastpop domain --help`.
#[derive(Debug, clap::Args)]
pub(super) struct Domain {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List domains, with their modes and how many users they have.
    #[command(after_help = "Example:\n  lastpop domain list")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Show a domain.
    #[command(after_help = "Examples:\n  lastpop domain show example.net\n  lastpop domain show '*'")]
    Show {
        /// The domain; '*' for everyone.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        domain: String,
    },
    /// Set the mode of domains, at once or from a date on. It is in force for users without a setting of
    /// their own.
    #[command(override_usage = "lastpop domain set [OPTIONS] --reason <TEXT> <DOMAIN>... <MODE>")]
    #[command(after_help = "Examples:
  lastpop domain set example.net notice --reason 'campaign of 2026-12' --dry-run
  lastpop domain set example.net imap-only --from 2027-02-01 --reason 'campaign of 2026-12'
  lastpop domain set '*' brownout --reason 'last call'")]
    Set {
        /// The domains ('*' for everyone), and behind them the mode: pop3, notice, brownout, imap-only, or
        /// inherit for none of their own (then everyone, or configuration decides).
        #[arg(required = true, value_name = "DOMAIN", value_parser = NonEmptyStringValueParser::new())]
        domains: Vec<String>,
        #[command(flatten)]
        setting: Setting,
    },
    /// Undo the newest change of domains.
    #[command(after_help = "Example:\n  lastpop domain undo example.net --reason 'too early'")]
    Undo {
        /// The domains; '*' for everyone.
        #[arg(required = true, value_name = "DOMAIN", value_parser = NonEmptyStringValueParser::new())]
        domains: Vec<String>,
        #[command(flatten)]
        ordered: Ordered,
    },
}

impl Domain {
    /// Does what was asked.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let Self { command, options } = self;
        match command {
            Command::List { page } => {
                let list = |limit, after| Call::get(&["domains"], &DomainQuery { limit, after });
                page.print::<DomainList>(options, list).await
            }
            Command::Show { domain } => {
                let found: DomainRow = options.client()?.ask(&Call::get(&["domains", domain], &())).await?;
                Ok(output::one(options.format(), &found, &mut stdout())?)
            }
            Command::Set { domains, setting } => change::set(options, "domains", domains, setting).await,
            Command::Undo { domains, ordered } => change::undo(options, "domains", domains, ordered).await,
        }
    }
}

impl Row for DomainRow {
    const COLUMNS: &'static [Column] = &[
        key("domain"),
        key("mode"),
        main("rule"),
        main("setting"),
        more("set_since"),
        main("configured"),
        main("users"),
        main("active_30"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            Cell::Text(&self.domain),
            Cell::Text(self.effective.mode.as_str()),
            Cell::Text(self.effective.rule.as_str()),
            Cell::setting(&self.setting),
            Cell::of(self.setting.since, Cell::Time),
            Cell::of(self.configured, |mode| Cell::Text(mode.as_str())),
            Cell::Number(self.users),
            Cell::Number(self.active_30),
        ]
    }
}
