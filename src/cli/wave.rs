//! `lastpop wave`: planned sets of mode changes, for many users, in dated steps.

use std::path::PathBuf;

use hyper::Method;

use super::bulk;
use super::change::{Ordered, unchanged};
use super::client::Call;
use super::failure::Failure;
use super::new_wave::NewWave;
use super::options::{Options, Why, stdout};
use super::output::{self, Cell, Column, Format, Row, key, main, minor, more, note};
use super::text::grouped;
use super::url;
use crate::api::{RolledBack, StepProgress, Target, Wave as Planned, WaveList, WaveName, WavePreview};

/// See `lastpop wave --help`.
#[derive(Debug, clap::Args)]
pub(super) struct Wave {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List waves, newest first.
    #[command(after_help = "Example:\n  lastpop wave list")]
    List,
    /// Make a wave. It does nothing before it is started.
    #[command(after_help = "Examples:
  lastpop wave create 2026-12-a --domain example.net --percent 10 \\
      --step '2026-12-01 10:00 Europe/Riga notice' --step '2027-02-01 10:00 Europe/Riga imap-only' \\
      --reason 'campaign of 2026-12'
  lastpop wave create idle --query not-seen-for=90,mode=pop3 --step '2026-12-01 imap-only' \\
      --reason 'they are gone'
  lastpop wave create vip --csv vip.csv --step '2027-03-01 notice' --reason 'called by hand'")]
    Create(NewWave),
    /// Send the members of a wave that was made with --csv: a file with a column user, or NDJSON if its
    /// name ends in .ndjson or .jsonl.
    #[command(after_help = "Example:\n  lastpop wave members vip vip.csv --reason 'called by hand'")]
    Members {
        /// The wave.
        name: WaveName,
        /// The file; - for standard input.
        file: PathBuf,
        #[command(flatten)]
        why: Why,
    },
    /// Show a wave: its state, its steps, and how many users each has changed.
    #[command(after_help = "Example:\n  lastpop wave show 2026-12-a")]
    Show {
        /// The wave.
        name: WaveName,
    },
    /// Say what a wave would do if it were started now: how many users, and how many of them still use POP3.
    #[command(after_help = "Example:\n  lastpop wave preview 2026-12-a")]
    Preview {
        /// The wave.
        name: WaveName,
    },
    /// Start a wave: its members are fixed now, and steps fire when their time has come.
    #[command(after_help = "Example:\n  lastpop wave start 2026-12-a --reason 'approved on 2026-11-20'")]
    Start(Named),
    /// Let no step fire until the wave is resumed.
    #[command(after_help = "Example:\n  lastpop wave pause 2026-12-a --reason 'the hotline is busy'")]
    Pause(Named),
    /// Go on with a paused wave; steps whose time has come fire now.
    #[command(after_help = "Example:\n  lastpop wave resume 2026-12-a --reason 'the hotline is quiet'")]
    Resume(Named),
    /// Give members back what they had before, unless somebody has set them otherwise since.
    #[command(after_help = "Example:\n  lastpop wave rollback 2026-12-a --reason 'wrong list' --dry-run")]
    Rollback {
        /// The wave.
        name: WaveName,
        #[command(flatten)]
        ordered: Ordered,
    },
    /// Delete a wave that is not under way. What it changed stays.
    #[command(after_help = "Example:\n  lastpop wave delete 2026-12-a --reason 'never started'")]
    Delete(Named),
}

/// A wave, and why something is done with it.
#[derive(Debug, clap::Args)]
struct Named {
    /// The wave.
    name: WaveName,
    #[command(flatten)]
    why: Why,
}

impl Wave {
    /// Does what was asked.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let Self { command, options } = self;
        match command {
            Command::List => {
                let found: WaveList = options.client()?.ask(&Call::get(&["waves"], &())).await?;
                Ok(output::all(options.format(), &found.waves, &mut stdout())?)
            }
            Command::Create(wave) => wave.create(options).await,
            Command::Members { name, file, why } => bulk::members(options, name.as_str(), file, why).await,
            Command::Show { name } => {
                let found: Planned =
                    options.client()?.ask(&Call::get(&["waves", name.as_str()], &())).await?;
                print(options, &found)
            }
            Command::Preview { name } => {
                let call = Call::get(&["waves", name.as_str(), "preview"], &()).of_many();
                let found: WavePreview = options.client()?.ask(&call).await?;
                output::one(options.format(), &found, &mut stdout())?;
                for warning in &found.warnings {
                    note(warning);
                }
                Ok(())
            }
            Command::Start(named) => named.order(options, "start").await,
            Command::Pause(named) => named.order(options, "pause").await,
            Command::Resume(named) => named.order(options, "resume").await,
            Command::Rollback { name, ordered } => roll_back(options, name, ordered).await,
            Command::Delete(named) => named.delete(options).await,
        }
    }
}

impl Named {
    async fn order(&self, options: &Options, what: &str) -> Result<(), Failure> {
        let call = Call::new(Method::POST, &["waves", self.name.as_str(), what]).of_many();
        let wave: Planned = options.client()?.tell(&call, &self.why.order()).await?;
        print(options, &wave)?;
        if self.why.dry_run {
            unchanged();
        }
        Ok(())
    }

    async fn delete(&self, options: &Options) -> Result<(), Failure> {
        let mut call = Call::new(Method::DELETE, &["waves", self.name.as_str()]).of_many();
        call.path += &url::query(&self.why.order());
        let () = options.client()?.ask(&call).await?;
        if self.why.dry_run {
            unchanged();
        } else {
            note(&format!("the wave {} is deleted", self.name));
        }
        Ok(())
    }
}

/// Rolls a wave back, and says for how many.
async fn roll_back(options: &Options, name: &WaveName, ordered: &Ordered) -> Result<(), Failure> {
    let call = Call::new(Method::POST, &["waves", name.as_str(), "rollback"]).of_many();
    let done: RolledBack = options.client()?.tell(&call, &ordered.order()).await?;
    let RolledBack { wave, restored, left_alone } = &done;
    match options.format() {
        Format::Json => output::json(&done, &mut stdout())?,
        _ => print(options, wave)?,
    }
    let (restored, left_alone) = (grouped(*restored), grouped(*left_alone));
    if ordered.why.dry_run {
        note(&format!(
            "members who would get back what they had: {restored}; whom somebody has set since, and who would \
             stay so: {left_alone}"
        ));
        unchanged();
    } else {
        note(&format!(
            "members who have again what they had: {restored}; whom somebody has set since, and who stay so: \
             {left_alone}"
        ));
    }
    Ok(())
}

/// Prints a wave: for people with its steps, for programs as a row, or whole in JSON.
pub(super) fn print(options: &Options, wave: &Planned) -> Result<(), Failure> {
    let format = options.format();
    let mut out = stdout();
    match format {
        Format::Json => output::json(wave, &mut out)?,
        Format::Tsv => output::one(format, wave, &mut out)?,
        Format::Table => {
            output::one(format, wave, &mut out)?;
            std::io::Write::write_all(&mut out, b"\n")?;
            output::all(format, &wave.steps, &mut out)?;
        }
    }
    Ok(())
}

/// A target in words.
pub(super) fn target(target: &Target) -> String {
    match target {
        Target::Csv => "csv".to_owned(),
        Target::Domain(domain) => format!("domain {domain}"),
        Target::Share { domain, percent } => format!("{} % of {domain}", percent.get()),
        Target::Query(users) => {
            let conditions = [
                users.domain.as_ref().map(|domain| format!("domain={domain}")),
                users.mode.map(|mode| format!("mode={mode}")),
                users.family.as_ref().map(|family| format!("family={family}")),
                users.not_seen_for.map(|days| format!("not-seen-for={}", days.get())),
                users.seen_within.map(|days| format!("seen-within={}", days.get())),
            ];
            format!("query {}", conditions.into_iter().flatten().collect::<Vec<_>>().join(","))
        }
    }
}

impl Row for Planned {
    const COLUMNS: &'static [Column] = &[
        key("name"),
        key("state"),
        main("target"),
        main("members"),
        minor("steps"),
        minor("fired"),
        main("next_step"),
        more("created_by"),
        more("created_at"),
        more("reason"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        let fired = self.steps.iter().filter(|step| step.fired_at.is_some()).count();
        vec![
            Cell::Text(self.name.as_str()),
            Cell::Text(self.state.as_str()),
            Cell::Made(target(&self.target)),
            Cell::of(self.members, Cell::Number),
            Cell::Number(self.steps.len() as u64),
            Cell::Number(fired as u64),
            Cell::of(self.steps.iter().find(|step| step.fired_at.is_none()), |step| Cell::Time(step.at)),
            Cell::Text(&self.created_by),
            Cell::Time(self.created_at),
            Cell::Prose(&self.reason),
        ]
    }
}

impl Row for StepProgress {
    const COLUMNS: &'static [Column] = &[key("at"), key("mode"), main("fired_at"), main("users")];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            Cell::Time(self.at),
            Cell::Text(self.mode.as_str()),
            Cell::of(self.fired_at, Cell::Time),
            Cell::of(self.users, Cell::Number),
        ]
    }
}

impl Row for WavePreview {
    const COLUMNS: &'static [Column] = &[
        key("name"),
        main("users"),
        main("active_1"),
        main("active_7"),
        main("active_30"),
        main("already"),
        main("own_setting"),
        main("never_seen"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        let mut cells = vec![Cell::Text(self.name.as_str())];
        let numbers = [
            self.users,
            self.active_1,
            self.active_7,
            self.active_30,
            self.already,
            self.own_setting,
            self.never_seen,
        ];
        cells.extend(numbers.map(Cell::Number));
        cells
    }
}
