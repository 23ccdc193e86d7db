//! `lastpop who`, `lastpop kick`, `lastpop drain`: the sessions that are under way on one proxy.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use hyper::Method;

use super::change::unchanged;
use super::client::Call;
use super::failure::Failure;
use super::options::{Options, Page, Why, stdout};
use super::output::{self, Cell, Column, Format, Row, key, main};
use super::rows::text;
use super::text::{minute, sessions};
use crate::api::{Draining, Kick, Kicked, Network, Session, SessionList, SessionQuery, Whom};

/// See `lastpop who --help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lastpop who
  lastpop who --user jane@example.net
  lastpop who --network 192.0.2.0/24 --watch")]
pub(super) struct Who {
    /// Only sessions of this user.
    #[arg(long)]
    user: Option<String>,
    /// Only sessions from this network, such as 192.0.2.0/24; an address alone means itself.
    #[arg(long)]
    network: Option<Network>,
    /// Show a page again and again, until Ctrl-C, each time after so many seconds (2 unless said otherwise).
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=3600), conflicts_with_all = ["all", "after"])]
    watch: Option<u16>,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    options: Options,
}

impl Who {
    /// Prints them once, or until somebody has seen enough.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let Self { user, network, watch, page, options } = self;
        let list = |limit, after| {
            let query = SessionQuery { user: user.clone(), network: *network, limit, after };
            Call::get(&["sessions"], &query)
        };
        let Some(seconds) = watch else {
            return page.print::<SessionList>(options, list).await;
        };
        if options.format() != Format::Table || !std::io::stdout().is_terminal() {
            return Err(Failure::Usage("--watch is for tables on a terminal".to_owned()));
        }
        let client = options.client()?;
        loop {
            let found: SessionList = client.ask(&list(page.rows()?, None)).await?;
            let mut out = stdout();
            // Clears the screen and goes to its upper left corner.
            write!(out, "\x1b[2J\x1b[H{}\n\n", sessions(found.total))?;
            output::all(Format::Table, &found.sessions, &mut out)?;
            tokio::time::sleep(Duration::from_secs(u64::from(*seconds))).await;
        }
    }
}

/// See `lastpop kick --help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lastpop kick --user jane@example.net --reason 'ticket 4711: mode was changed'
  lastpop kick --network 192.0.2.0/24 --reason 'abuse' --dry-run

Messages that such a session has marked as deleted are not hidden: there was no QUIT.")]
pub(super) struct KickThem {
    #[command(flatten)]
    whom: Target,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// End all sessions of this user.
    #[arg(long)]
    user: Option<String>,
    /// End the session with this id, as `lastpop who` and the log show it.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// End all sessions from this network, such as 192.0.2.0/24; an address alone means itself.
    #[arg(long)]
    network: Option<Network>,
}

impl Target {
    fn whom(&self) -> Option<Whom> {
        let Self { user, session, network } = self;
        let user = user.clone().map(Whom::User);
        user.or_else(|| session.clone().map(Whom::Session)).or_else(|| network.map(Whom::Network))
    }
}

impl KickThem {
    /// Ends them, and says how many.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let Self { whom, why, options } = self;
        let Some(whom) = whom.whom() else {
            return Err(Failure::Usage("say whom: --user, --session or --network".to_owned()));
        };
        let kick = Kick { whom, reason: why.reason.clone(), dry_run: why.dry_run };
        let call = Call::new(Method::POST, &["sessions", "kick"]);
        let kicked: Kicked = options.client()?.tell(&call, &kick).await?;
        let mut out = stdout();
        match options.format() {
            Format::Json => output::json(&kicked, &mut out)?,
            Format::Tsv => writeln!(out, "sessions\tdry_run\n{}\t{}", kicked.sessions, kicked.dry_run)?,
            Format::Table => {
                let what = match (kicked.dry_run, kicked.sessions) {
                    (true, _) => "would be ended",
                    (false, 1) => "was ended",
                    (false, _) => "were ended",
                };
                writeln!(out, "{} {what}", sessions(kicked.sessions))?;
            }
        }
        out.flush()?;
        if kicked.dry_run {
            unchanged();
        }
        Ok(())
    }
}

/// See `lastpop drain --help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lastpop drain --reason 'kernel update of pop2'")]
pub(super) struct Drain {
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    options: Options,
}

impl Drain {
    /// Begins it; does not wait for its end.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let Self { why, options } = self;
        let call = Call::new(Method::POST, &["drain"]);
        let draining: Draining = options.client()?.tell(&call, &why.order()).await?;
        let Draining { dry_run, sessions: number, until } = &draining;
        let mut out = stdout();
        match options.format() {
            Format::Json => output::json(&draining, &mut out)?,
            Format::Tsv => writeln!(out, "sessions\tuntil\tdry_run\n{number}\t{until}\t{dry_run}")?,
            Format::Table => {
                let what = match (*dry_run, *number) {
                    (true, _) => "would have",
                    (false, 1) => "has",
                    (false, _) => "have",
                };
                writeln!(out, "{} {what} until {} to end", sessions(*number), minute(*until))?;
            }
        }
        out.flush()?;
        if *dry_run {
            unchanged();
        }
        Ok(())
    }
}

impl Row for Session {
    const COLUMNS: &'static [Column] = &[
        key("session"),
        key("user"),
        main("address"),
        main("tls"),
        main("since"),
        main("mode"),
        main("messages"),
        main("octets"),
        main("deleted"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            Cell::Text(&self.session),
            Cell::Text(&self.user),
            Cell::Text(&self.address),
            text(self.tls.as_ref()),
            Cell::Time(self.since),
            Cell::Text(self.mode.as_str()),
            Cell::Number(self.messages),
            Cell::Octets(self.octets),
            Cell::Number(self.deleted),
        ]
    }
}
