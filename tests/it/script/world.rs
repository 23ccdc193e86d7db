//! What lastpop stands in while a transcript is played: a clock, and a state that an administrator changes.
//!
//! Rules that are set before the first line of dialogue are in a file of `SQLite` when lastpop starts. A file serves
//! one process, so a transcript that changes a rule later is played on a database of PostgreSQL, where the runner works
//! beside lastpop as another proxy would.

use std::sync::Arc;

use jiff::Timestamp;
use lastpop::config::StateUrl;
use lastpop::policy::Setting;
use lastpop::store::{Change, Changed, Store, StoreError, Subject};
use lastpop::users::UserName;
use sqlx::Connection as _;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::deed::Deed;
use super::parse::Script;
use crate::support::clock::Clock;
use crate::support::postgres::Postgres;

/// The clock and the state of one run.
pub(super) struct World {
    clock: Option<Clock>,
    /// What the clock shows.
    now: Timestamp,
    /// As `state.url` has it.
    state: String,
    /// Only on PostgreSQL, and only where rules change.
    store: Option<Store>,
    runtime: Runtime,
    _directory: TempDir,
    _server: Option<Arc<Postgres>>,
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let (clock, now) = (None, Timestamp::now());
        let mut world =
            Self { clock, now, state, store: None, runtime, _directory: directory, _server: server };
        for deed in &script.before {
            world.does(deed)?;
        }
        world.settle();
        Ok(world)
    }

    /// Lets go of a file, because it serves one process.
    fn settle(&mut self) {
        if self.state.starts_with("sqlite:")
            && let Some(store) = self.store.take()
        {
            self.runtime.block_on(store.close());
        }
    }

    /// Does it; gives the number of the change of policy, if it is one.
    pub(super) fn does(&mut self, deed: &Deed) -> Result<Option<i64>, String> {
        let now = self.now.as_second();
        match deed {
            Deed::Time(moment) => {
                self.now = *moment;
                match &self.clock {
                    Some(clock) => clock.set(*moment),
                    None => self.clock = Some(Clock::at(*moment)),
                }
                Ok(None)
            }
            Deed::Set(subject, setting) => {
                let setting = Setting { since: now, ..*setting };
                self.changes(subject, setting, async |store, change| store.set(change).await)
            }
            Deed::Undo(subject) => {
                self.changes(subject, Setting::default(), async |store, change| store.undo(change).await)
            }
            Deed::Unhide(user, since) => {
                let (runtime, store) = self.store()?;
                let asked = store.ask_to_unhide(user, *since, "ilze", "they asked for it", now);
                let id = runtime.block_on(asked).map_err(|error| error.to_string())?;
                // Ids are numbers of changes.
                id.parse().map(Some).map_err(|_| format!("{id} is no number"))
            }
            Deed::Language(user, language) => self.speaks(user, language).map(|()| None),
        }
    }

    fn changes(
        &mut self,
        subject: &Subject,
        setting: Setting,
        how: impl AsyncFnOnce(&Store, &Change<'_>) -> Result<Changed, StoreError>,
    ) -> Result<Option<i64>, String> {
        let now = self.now.as_second();
        let change = Change { subject, setting, actor: "ilze", reason: "the transcript says so", now };
        let (runtime, store) = self.store()?;
        let changed = runtime.block_on(how(store, &change)).map_err(|error| error.to_string())?;
        Ok(Some(changed.generation))
    }

    /// Nobody else sets a language yet, so this goes past the store.
    fn speaks(&mut self, user: &UserName, language: &str) -> Result<(), String> {
        // Makes the tables.
        self.store()?;
        self.settle();
        let statement = "INSERT INTO users (username, domain, language) VALUES ($1, $2, $3)
            ON CONFLICT (username) DO UPDATE SET language = excluded.language";
        let spoken = async {
            let mut file = sqlx::SqliteConnection::connect(&self.state).await?;
            let query = sqlx::query(statement).bind(user.as_str()).bind(user.domain()).bind(language);
            query.execute(&mut file).await?;
            file.close().await
        };
        self.runtime.block_on(spoken).map_err(|error| error.to_string())
    }

    /// The state, opened if it is not.
    fn store(&mut self) -> Result<(&Runtime, &Store), String> {
        if self.store.is_none() {
            let url = StateUrl::parse(&self.state).ok_or("no address of a state")?;
            let opened = self.runtime.block_on(Store::open(&url, self.now.as_second()));
            self.store = Some(opened.map_err(|error| error.to_string())?);
        }
        self.store.as_ref().map(|store| (&self.runtime, store)).ok_or_else(|| "no state".to_owned())
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
