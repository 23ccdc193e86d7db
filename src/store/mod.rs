//! The state store: facts that must outlive the process, in a database.
//!
//! [`facts`] answers a login (one query, or none), `pins` keeps unique-ids as they are, [`changes`] sets modes
//! and remembers who did, `bulk` sets those of a million users at once, [`waves`] does so step by step, [`domains`]
//! holds the few rules that are always in memory, [`generation`] and `hearing` tell what is in memory from what is
//! true, and [`notify`] is how proxies tell each other. The usage ledger writes with `usage`, counts with `tally` and `summaries`, and forgets with `retention`. The other
//! files are what administrators need.

pub mod audit;
mod batch;
mod bulk;
pub mod changes;
pub mod copy;
pub mod daily;
mod database;
pub mod domains;
mod effective;
pub mod facts;
pub mod generation;
mod hearing;
mod known;
mod lease;
mod lock;
mod migrate;
pub mod notices;
pub mod notify;
mod once;
mod pins;
mod retention;
mod summaries;
mod tally;
mod turns;
mod undo;
mod unhide;
mod usage;
pub mod users;
pub mod waves;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use quick_cache::sync::Cache;

use crate::config::StateUrl;
pub use audit::{AuditRow, Note, Trail};
pub use batch::{Moves, Permit};
pub use bulk::{Applied, Batch};
pub use changes::{Change, Changed, Consent, Subject, Wish};
use database::Database;
pub use domains::{DOMAINS_MOST, Domains};
pub use effective::Configured;
pub use facts::Facts;
pub use generation::Concerns;
use generation::Generation;
use hearing::Hearing;
use known::Known;
pub use notices::{Begun, Source};
pub use notify::{Message, Messages};
pub use once::Once;
pub use pins::Pin;
pub use tally::{Group, Recent};
use turns::Turns;
pub use undo::Undone;
pub use unhide::{Claim, Claimed, Occasion};
pub use usage::BATCH;
pub use users::{DomainCount, InForce, Select, UserRow};
pub use waves::WaveError;

/// Transactions of one proxy that write usage side by side, when there is a hurry; so many processors a server has at
/// least.
pub const WRITERS: usize = 4;

/// How long a start waits for another proxy that brings the tables up to date.
const MIGRATING: Duration = Duration::from_mins(2);

/// For how long the lease for that is taken, in seconds; it is given back when done.
const MIGRATION_LEASE: i64 = 600;

/// The database, and what is kept of it in memory.
#[derive(Debug)]
pub struct Store {
    database: Database,
    known: Known,
    campaigns: Cache<notices::Key, Arc<Begun>>,
    domains: Domains,
    generation: Generation,
    hearing: Hearing,
    turns: Turns,
    /// Was the last question not answered?
    away: AtomicBool,
    /// Who we are, for leases.
    holder: String,
}

/// Why the store did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened, or is none.
    #[error("cannot open the state in {what}: {source}; {next}")]
    Open {
        /// Which database.
        what: String,
        /// What it said.
        source: sqlx::Error,
        /// What to look at.
        next: &'static str,
    },
    /// The address of a server cannot be understood. It may hold a password, so it is not repeated.
    #[error("state.url: {0}; write it as postgres://user@host:5432/database")]
    Url(String),
    /// The file beside the state that keeps a second proxy away cannot be made.
    #[error(
        "cannot open the state: {path} cannot be made: {source}; check that its folder exists and may be written to"
    )]
    Lock {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error(
        "another lastpop is using the state in {path}: a file serves one proxy; stop the other one, or give all \
        of them one PostgreSQL (state.url = \"postgres://…\")"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is not there any more.
    #[error(
        "the state file {path} was deleted or replaced while lastpop was using it: put it back and start lastpop \
        again; until then nothing new can be kept"
    )]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The tables were made for a later version.
    #[error("the state was changed by a newer lastpop: install version {version} or newer")]
    Newer {
        /// The oldest that can use it.
        version: String,
    },
    /// Its tables are not ours, or broken.
    #[error("cannot bring the tables of the state up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// Another proxy has been at it for too long.
    #[error(
        "another proxy has been bringing the tables of the state up to date for two minutes; look at its log, or \
        start again when it is done"
    )]
    Migrating,
    /// It did not answer in time.
    #[error("the state store does not answer")]
    Silent,
    /// A query failed.
    #[error("the state store failed: {0}")]
    Query(#[source] sqlx::Error),
    /// The commit failed, and nobody knows in which moment.
    #[error(
        "the state store was lost in the middle of a commit ({0}): what was to be changed may be changed or not"
    )]
    Unsure(#[source] sqlx::Error),
    /// A change was committed, and then the store could not say what it has come to.
    #[error("what was to be done is done, but the state cannot be read any more: {0}")]
    Done(#[source] Box<StoreError>),
    /// It hangs.
    #[error("the state store did not finish in time")]
    Slow,
    /// Others are at the same rows, such as a change of a million users.
    #[error("others are changing the same rows of the state, such as those of many users at once")]
    Busy,
    /// Something in it is nothing that we wrote.
    #[error("the state holds {0}, which is nothing that lastpop writes; did somebody else change it?")]
    Foreign(String),
    /// A copy would overwrite something.
    #[error("nothing was copied: {0}, and a copy goes only where nothing is")]
    NotEmpty(String),
    /// A backup broke off.
    #[error(
        "nothing was restored: {path} is a backup that broke off, and does not hold everything; use one that was \
        finished"
    )]
    Unfinished {
        /// The file.
        path: PathBuf,
    },
    /// A backup cannot have its name.
    #[error("nothing was copied: {from} cannot be renamed to {to}: {source}")]
    Renamed {
        /// What it is called while it is made.
        from: PathBuf,
        /// What it should be called.
        to: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A wave cannot be made, or not do what is asked of it.
    #[error(transparent)]
    Wave(#[from] WaveError),
    /// Customers would download their mail again, and nobody has said that this is meant.
    #[error("{0} would download all mail again, and that was not confirmed")]
    Redownload(u64),
    /// There is no room for another.
    #[error(
        "{DOMAINS_MOST} domains have a mode of their own already, and more are not kept; set everyone's mode, or \
        [domains] in the configuration"
    )]
    TooManyDomains,
    /// There is no change left that could be undone.
    #[error("there is no change of {0} left to undo")]
    NothingToUndo(String),
    /// The change that would be undone is not the last word any more.
    #[error("{0} was changed in another way since; look at its history, and set what it should be")]
    Superseded(String),
}

/// What the databases call a row or a file that somebody else has locked, a deadlock, and changes that cannot go side
/// by side: the first three are `PostgreSQL`'s.
const LOCKED: [&str; 7] = ["55P03", "40P01", "40001", "5", "261", "517", "773"];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.is_some_and(|code| LOCKED.contains(&code.as_ref())) { Self::Busy } else { Self::Query(error) }
    }
}

impl StoreError {
    /// Behind a commit nothing is as if it had not been made.
    pub(super) fn after_all(self) -> Self {
        Self::Done(Box::new(self))
    }

    /// Is it open whether the change was made?
    pub const fn is_unsure(&self) -> bool {
        matches!(self, Self::Unsure(_) | Self::Slow)
    }

    /// Is the store away? Who answers with something that cannot be understood is there.
    const fn is_away(&self) -> bool {
        !matches!(self, Self::Foreign(_))
    }
}

impl Store {
    /// Opens the database, makes it if it is not there, and brings its tables up to date. `now` is in Unix seconds.
    pub async fn open(url: &StateUrl, now: i64) -> Result<Self, StoreError> {
        let database = Database::connect(url).await?;
        let holder = crate::random::session_id();
        lease::prepare(&database).await?;
        migrated(&database, &holder, now).await?;
        migrate::check(&database).await?;
        let generation = Generation::default();
        generation.raise(generation::read(&database).await?);
        let domains = Domains::default();
        domains.refresh(&database).await?;
        let hearing = match database {
            Database::Sqlite { .. } => Hearing::alone(),
            Database::Postgres(_) => Hearing::default(),
        };
        Ok(Self {
            database,
            known: Known::default(),
            campaigns: Cache::new(notices::CACHED),
            domains,
            generation,
            hearing,
            turns: Turns::default(),
            away: AtomicBool::new(false),
            holder,
        })
    }

    /// The modes of domains and of everyone, as far as they are set here.
    pub const fn domains(&self) -> &Domains {
        &self.domains
    }

    /// How many transactions of one proxy are worth writing side by side: a file takes one after the other.
    pub const fn writers(&self) -> usize {
        match self.database {
            Database::Sqlite { .. } => 1,
            Database::Postgres(_) => WRITERS,
        }
    }

    /// May a second proxy take over, while this one finishes what it has begun?
    pub fn hand_over(&self) {
        if let Database::Sqlite { lock, .. } = &self.database {
            lock.release();
        }
    }

    /// Closes the database, so that everything is in its one file.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

/// Brings the tables up to date, or waits for whoever does.
async fn migrated(database: &Database, holder: &str, now: i64) -> Result<(), StoreError> {
    let begun = tokio::time::Instant::now();
    while !migrate::is_current(database).await {
        let elapsed = begun.elapsed();
        let now = now.saturating_add(i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX));
        if lease::take(database, "migrate", holder, now, MIGRATION_LEASE).await? {
            let result = migrate::run(database).await;
            lease::give_back(database, "migrate", holder).await?;
            return result;
        }
        if elapsed >= MIGRATING {
            return Err(StoreError::Migrating);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}
