//! What lastpop stands in while a transcript is played: a clock, and a state that an administrator changes.
//!
//! Rules that are set before the first line of dialogue are in a file of `SQLite` when lastpop starts. A file serves
//! one process, so a transcript that changes a rule later is played on a database of PostgreSQL, where the runner works
//! beside lastpop as another proxy would.

use std::sync::Arc;

use jiff::Timestamp;
use lastpop::store::StoreError;
use lastpop::users::UserName;
use sqlx::Connection as _;
use tempfile::TempDir;

use super::deed::Deed;
use super::parse::Script;
use crate::support::clock::Clock;
use crate::support::desk::Desk;
use crate::support::postgres::Postgres;

/// The clock and the state of one run.
pub(super) struct World {
    clock: Option<Clock>,
    /// What the clock shows.
    now: Timestamp,
    /// As `state.url` has it.
    state: String,
    desk: Option<Desk>,
    _directory: TempDir,
    server: Option<Arc<Postgres>>,
}

impl World {
    /// As the transcript wants it before its first line of dialogue. `run` tells the runs of a transcript apart.
    pub(super) fn new(script: &Script, run: &str) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let server = script.changes_rules_later().then(Postgres::shared);
        let state = match &server {
            Some(server) => server.url(&format!("script_{}_{run}", script.name)),
            None => format!("sqlite://{}", directory.path().join("state.db").display()),
        };
        let (clock, now) = (None, Timestamp::now());
        let mut world = Self { clock, now, state, desk: None, _directory: directory, server };
        for deed in &script.before {
            world.does(deed)?;
        }
        if world.server.is_none() {
            world.desk.take().into_iter().for_each(Desk::close);
        }
        Ok(world)
    }

    /// Does it; gives the number of the change of policy, if it is one.
    pub(super) fn does(&mut self, deed: &Deed) -> Result<Option<i64>, String> {
        let now = self.now.as_second();
        let changed: Result<i64, StoreError> = match deed {
            Deed::Time(moment) => {
                self.now = *moment;
                match &self.clock {
                    Some(clock) => clock.set(*moment),
                    None => self.clock = Some(Clock::at(*moment)),
                }
                return Ok(None);
            }
            Deed::Language(user, language) => return self.speaks(user, language).map(|()| None),
            Deed::Set(subject, setting) => self.desk().set(subject, *setting, now),
            Deed::Undo(subject) => self.desk().undo(subject, now),
            Deed::Unhide(user, since) => self.desk().unhide(user, *since, now),
        };
        changed.map(Some).map_err(|error| error.to_string())
    }

    fn desk(&mut self) -> &Desk {
        self.desk.get_or_insert_with(|| Desk::open(&self.state))
    }

    /// Nobody else sets a language yet, so this goes past the store.
    fn speaks(&mut self, user: &UserName, language: &str) -> Result<(), String> {
        // Makes the tables.
        self.desk();
        self.desk.take().into_iter().for_each(Desk::close);
        let statement = "INSERT INTO users (username, domain, language) VALUES ($1, $2, $3)
            ON CONFLICT (username) DO UPDATE SET language = excluded.language";
        let spoken = async {
            let mut file = sqlx::SqliteConnection::connect(&self.state).await?;
            let query = sqlx::query(statement).bind(user.as_str()).bind(user.domain()).bind(language);
            query.execute(&mut file).await?;
            file.close().await
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(spoken).map_err(|error| error.to_string())
    }

    /// Where lastpop finds its state: `state.url`.
    pub(super) fn state(&self) -> &str {
        &self.state
    }

    /// The clock that lastpop goes by, as its environment has it.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        self.clock.iter().flat_map(Clock::environment).collect()
    }
}
