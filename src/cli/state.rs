//! `lastpop state`: a copy of everything that must outlive the process. It works on the database itself, so it needs no
//! running proxy and no token.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::options::stdout;
use super::place;
use super::text::counted;
use crate::config;
use crate::store::copy;

/// Back up and restore the state.
#[derive(Debug, Args)]
pub(super) struct State {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a consistent copy of the state into a new file, while lastpop may be running.
    ///
    /// The file is a SQLite database whatever the state itself is. Keep it as you keep the state: it names your
    /// customers, their modes and their unique-ids. It holds no password and no mail.
    #[command(after_help = "Example:\n  lastpop state backup /var/backups/lastpop-2026-12-01.db")]
    Backup {
        /// The file; it must not be there yet.
        file: PathBuf,
        /// The configuration, which says where the state is.
        #[arg(long, env = "LASTPOP_CONFIG", default_value = place::CONFIGURATION)]
        config: PathBuf,
    },
    /// Fill an empty state from such a copy: after a loss, or to move from a file to PostgreSQL.
    #[command(after_help = "Example, with lastpop stopped and state.url set to the new, empty database:\n  \
        lastpop state restore /var/backups/lastpop-2026-12-01.db")]
    Restore {
        /// The copy.
        file: PathBuf,
        /// The configuration, which says where the state is.
        #[arg(long, env = "LASTPOP_CONFIG", default_value = place::CONFIGURATION)]
        config: PathBuf,
    },
}

impl State {
    /// Does what was asked.
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut out = stdout();
        match self.command {
            Command::Backup { file, config } => {
                let config = config::load(&config)?;
                let rows = copy::backup(&config.state.url, &file).await?;
                let (file, rows) = (file.display(), rows_of(rows));
                writeln!(
                    out,
                    "{file} holds {rows} now. Try it: `lastpop state restore` into an empty state."
                )?;
            }
            Command::Restore { file, config } => {
                let config = config::load(&config)?;
                let rows = copy::restore(&file, &config.state.url).await?;
                writeln!(out, "Restored {}. lastpop can be started now.", rows_of(rows))?;
            }
        }
        Ok(out.flush()?)
    }
}

fn rows_of(number: u64) -> String {
    counted(number, "row", "rows")
}
