//! `lastpop user`: who uses POP3, which mode they are in and why, and changing it.

use std::io::Write as _;

use clap::builder::NonEmptyStringValueParser;
use hyper::Method;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::bulk::{self, Export, Import};
use super::change::{self, Ordered, Setting};
use super::client::Call;
use super::failure::Failure;
use super::options::{Options, Page, Why, mode, stdout};
use super::output::{self, Format};
use super::text::visible;
use super::when;
use crate::api::{AuditList, AuditQuery, Unhidden, Unhide, UserDetail, UserFilter, UserList, UserQuery};
use crate::policy::Mode;

/// See `lastpop user --help`.
#[derive(Debug, clap::Args)]
pub(super) struct User {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List users in the order of their names, all or those that are asked for.
    #[command(after_help = "Examples:
  lastpop user list --domain example.net --seen-after 30d
  lastpop user list --mode pop3 --seen-before 90d --format json
  lastpop user list --search jane")]
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        page: Page,
    },
    /// Show all that is known of a user.
    #[command(after_help = "Example:\n  lastpop user show jane@example.net")]
    Show {
        /// The user, in any spelling.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        user: String,
    },
    /// Say in sentences which mode is in force for a user, and which rule decides it.
    #[command(after_help = "Example:\n  lastpop user explain jane@example.net")]
    Explain {
        /// The user, in any spelling.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        user: String,
    },
    /// Show who changed what for a user, when and why, newest first.
    #[command(after_help = "Example:\n  lastpop user history jane@example.net")]
    History {
        /// The user, in any spelling.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        user: String,
        #[command(flatten)]
        page: Page,
    },
    /// Set the mode of users, at once or from a date on.
    #[command(override_usage = "lastpop user set [OPTIONS] --reason <TEXT> <USER>... <MODE>")]
    #[command(after_help = "Examples:
  lastpop user set jane@example.net imap-only --reason 'ticket 4711'
  lastpop user set jane@example.net john@example.net notice --reason 'asked for it' --dry-run
  lastpop user set jane@example.net imap-only --from '2026-12-01 10:00 Europe/Riga' --reason 'as agreed'
  lastpop user set jane@example.net inherit --reason 'as everybody else'")]
    Set {
        /// The users, in any spelling, and behind them the mode: pop3, notice, brownout, imap-only, or
        /// inherit for none of their own (then domain, everyone, or configuration decides).
        #[arg(required = true, value_name = "USER", value_parser = NonEmptyStringValueParser::new())]
        users: Vec<String>,
        #[command(flatten)]
        setting: Setting,
    },
    /// Undo the newest change of users, or a change of many users as a whole.
    #[command(after_help = "Examples:
  lastpop user undo jane@example.net --reason 'ticket 4712: still needs POP3'
  lastpop user undo --batch 000000004711 --reason 'the wrong list' --dry-run")]
    Undo {
        /// The users, in any spelling.
        #[arg(required_unless_present = "batch", conflicts_with = "batch")]
        #[arg(value_name = "USER", value_parser = NonEmptyStringValueParser::new())]
        users: Vec<String>,
        /// Undo this import, step of a wave or rollback: the word that `lastpop audit` shows as its batch. Users who
        /// were changed in another way since stay as they are.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        batch: Option<String>,
        #[command(flatten)]
        ordered: Ordered,
    },
    /// Bring messages back into POP3 that were deleted there: at once where lastpop has master credentials
    /// ([upstream.master]), otherwise at the customer's next login. It says which.
    #[command(after_help = "Examples:
  lastpop user unhide jane@example.net --reason 'ticket 4713: deleted by mistake'
  lastpop user unhide jane@example.net --since 2026-11-01 --reason 'ticket 4713'")]
    Unhide {
        /// The users, in any spelling.
        #[arg(required = true, value_name = "USER", value_parser = NonEmptyStringValueParser::new())]
        users: Vec<String>,
        /// Only messages that arrived on this day or later. Without it all.
        #[arg(long, value_name = "DAY", value_parser = day)]
        since: Option<Date>,
        #[command(flatten)]
        why: Why,
    },
    /// Set the modes of many users from a file: CSV or NDJSON with user, mode, and if you like from and
    /// language.
    #[command(after_help = "Examples:
  lastpop user import modes.csv --reason 'list of 2026-11-20' --dry-run
  printf 'user,mode\\njane@example.net,imap-only\\n' | lastpop user import - --reason 'ticket 4711'

A mode is pop3, notice, brownout, imap-only or inherit. Columns may come in any order. Lines that cannot be
used are listed, and the others are taken.")]
    Import(Import),
    /// Write all users, or those that are asked for, as CSV or NDJSON. An import takes the file again.
    #[command(after_help = "Examples:
  lastpop user export --output users.csv
  lastpop user export --domain example.net --ndjson | jq .user")]
    Export(Export),
}

/// Which users.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Only users whose name contains this.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only users of this domain; '' for those without one.
    #[arg(long)]
    domain: Option<String>,
    /// Only users for whom this mode is in force.
    #[arg(long, value_parser = mode())]
    mode: Option<Mode>,
    /// Only users whose last login over POP3 was before this moment (a date, or how long ago, as 30d), or
    /// who never logged in.
    #[arg(long, value_name = "DATE", value_parser = when::past)]
    seen_before: Option<Timestamp>,
    /// Only users whose last login over POP3 was at this moment (a date, or how long ago, as 30d) or later.
    #[arg(long, value_name = "DATE", value_parser = when::past)]
    seen_after: Option<Timestamp>,
    /// Only users with this client family, such as outlook.
    #[arg(long)]
    family: Option<String>,
}

impl Filter {
    /// As the API has it.
    pub(super) fn fields(&self) -> UserFilter {
        let Self { search, domain, mode, seen_before, seen_after, family } = self;
        UserFilter {
            search: search.clone(),
            domain: domain.clone(),
            mode: *mode,
            seen_before: *seen_before,
            seen_after: *seen_after,
            family: family.clone(),
        }
    }
}

fn day(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| "expected a day such as \"2026-11-01\"".to_owned())
}

impl User {
    /// Does what was asked.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let Self { command, options } = self;
        match command {
            Command::List { filter, page } => {
                let list = |limit, after| {
                    let UserFilter { search, domain, mode, seen_before, seen_after, family } =
                        filter.fields();
                    let query =
                        UserQuery { search, domain, mode, seen_before, seen_after, family, limit, after };
                    Call::get(&["users"], &query)
                };
                page.print::<UserList>(options, list).await
            }
            Command::Show { user } => {
                let found = detail(options, user).await?;
                match options.format() {
                    Format::Json => output::json(&found, &mut stdout())?,
                    format => output::one(format, &found.user, &mut stdout())?,
                }
                Ok(())
            }
            Command::Explain { user } => explain(options, &detail(options, user).await?),
            Command::History { user, page } => {
                let history = |limit, after| {
                    let query = AuditQuery { limit, after, ..AuditQuery::default() };
                    Call::get(&["users", user, "history"], &query)
                };
                page.print::<AuditList>(options, history).await
            }
            Command::Set { users, setting } => change::set(options, "users", users, setting).await,
            Command::Undo { batch: Some(batch), ordered, .. } => bulk::undo(options, batch, ordered).await,
            Command::Undo { users, ordered, .. } => change::undo(options, "users", users, ordered).await,
            Command::Unhide { users, since, why } => {
                let body = Unhide { since: *since, reason: why.reason.clone(), dry_run: why.dry_run };
                let call = |user: &str| Call::new(Method::POST, &["users", user, "unhide"]);
                change::each::<Unhidden>(options, users, call, &body, why.dry_run).await
            }
            Command::Import(import) => import.run(options).await,
            Command::Export(export) => export.run(options).await,
        }
    }
}

async fn detail(options: &Options, user: &str) -> Result<UserDetail, Failure> {
    options.client()?.ask(&Call::get(&["users", user], &())).await
}

fn explain(options: &Options, found: &UserDetail) -> Result<(), Failure> {
    let UserDetail { user, explanation } = found;
    let mut out = stdout();
    match options.format() {
        Format::Json => {
            let effective = user.effective;
            let short = json!({ "user": user.user, "mode": effective.mode, "rule": effective.rule,
                "explanation": explanation });
            output::json(&short, &mut out)?;
        }
        Format::Tsv => {
            writeln!(out, "user\tmode\trule\texplanation")?;
            let (mode, rule) = (user.effective.mode, user.effective.rule.as_str());
            writeln!(out, "{}\t{mode}\t{rule}\t{}", visible(&user.user), visible(&explanation.join(" ")))?;
        }
        Format::Table => {
            for sentence in explanation {
                writeln!(out, "{}", visible(sentence))?;
            }
        }
    }
    Ok(out.flush()?)
}
