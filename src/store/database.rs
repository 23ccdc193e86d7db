//! One of two databases, and one SQL text for both: `SQLite` in a file for one proxy, `PostgreSQL` for a fleet.
//!
//! The text uses what both understand and a distributed database that speaks `PostgreSQL`'s protocol as well:
//! BIGINT and TEXT, numbered parameters, ON CONFLICT, no sequences, no advisory locks.
//! The order of names is an order of octets in both, see the migration.
//!
//! Whoever writes says so ([`writing`], [`transaction`]), because a file has one writer at a time: those who wait for
//! it wait for its one connection, so that they take none from those who read.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use tokio::time::{sleep, timeout};

use super::StoreError;
use super::lock::Lock;
use crate::config::StateUrl;

/// How long anybody waits for a connection to the database, or for another program that writes to the same file.
const ACQUIRE: Duration = Duration::from_secs(5);

/// How long a lookup may take, the connection included; it takes a millisecond. Whoever is known is served without
/// it, and a mail program waits for half a minute.
pub(super) const LOOKUP: Duration = Duration::from_secs(5);

/// What `SQLite` calls a file that is none of its own (`SQLITE_NOTADB`).
const NO_DATABASE: &str = "26";

/// Connections that read a file, side by side; one more writes.
const SQLITE_READERS: u32 = 4;

/// Connections to a server, for each proxy. A lookup takes about a millisecond, so this is thousands of logins a
/// second of users that are not in memory.
const POSTGRES_CONNECTIONS: u32 = 16;

/// The database.
#[derive(Debug)]
pub(super) enum Database {
    /// A file on this machine, which no second proxy may use.
    Sqlite { readers: SqlitePool, writer: SqlitePool, file: StateFile, lock: Lock },
    /// A server.
    Postgres(PgPool),
}

/// A file, and which one it was when it was opened.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    inode: u64,
}

impl StateFile {
    fn opened(path: &Path) -> Result<Self, StoreError> {
        let gone = |_| StoreError::Gone { path: path.to_owned() };
        Ok(Self { path: path.to_owned(), inode: std::fs::metadata(path).map_err(gone)?.ino() })
    }

    fn present(&self) -> Result<(), StoreError> {
        match std::fs::metadata(&self.path) {
            Ok(found) if found.ino() == self.inode => Ok(()),
            _ => Err(StoreError::Gone { path: self.path.clone() }),
        }
    }
}

/// Runs the same work on whichever database this is. It only reads.
macro_rules! on {
    ($database:expr, $pool:ident => $work:expr) => {
        match $database {
            $crate::store::database::Database::Sqlite { readers: $pool, .. } => $work,
            $crate::store::database::Database::Postgres($pool) => $work,
        }
    };
}

/// Runs the same work, which may write, with a connection to whichever database this is.
macro_rules! writing {
    ($database:expr, $connection:ident => $work:expr) => {
        match $database {
            $crate::store::database::Database::Sqlite { writer, .. } => {
                let mut $connection = writer.acquire().await.map_err($crate::store::database::taken)?;
                $work
            }
            $crate::store::database::Database::Postgres(pool) => {
                let mut $connection = pool.acquire().await?;
                $work
            }
        }
    };
}

/// Runs work as one transaction: all of it, or with an error nothing. The work sees `$tx`, gives a `Result`,
/// and is written once for both databases; `$waits` says for how long it waits for others. `SQLite` is told at once
/// that there will be writes, because a transaction that reads first and writes later can fail there.
macro_rules! transaction {
    ($database:expr, $waits:expr, $tx:ident => $work:expr) => {
        match $database {
            $crate::store::database::Database::Sqlite { writer, .. } => {
                let begun = writer.begin_with("BEGIN IMMEDIATE").await;
                let mut $tx = begun.map_err($crate::store::database::taken)?;
                let result: Result<_, $crate::store::StoreError> = async { $work }.await;
                let value = result?;
                $tx.commit().await.map_err($crate::store::database::unsure)?;
                Ok(value)
            }
            $crate::store::database::Database::Postgres(pool) => {
                let mut $tx = pool.begin().await?;
                if let Some(first) = $crate::store::database::Waits::statement($waits) {
                    sqlx::query(first).execute(&mut *$tx).await?;
                }
                let result: Result<_, $crate::store::StoreError> = async { $work }.await;
                let value = result?;
                $tx.commit().await.map_err($crate::store::database::unsure)?;
                Ok(value)
            }
        }
    };
}

pub(super) use {on, transaction, writing};

/// How long a transaction waits where somebody else has locked a row. It holds a connection meanwhile. A file has one
/// writer at a time, and no such case.
#[derive(Debug, Clone, Copy)]
pub(super) enum Waits {
    /// It gives way, and is tried again. So it never waits for long for a change of many users, which may come to wait
    /// for it, and which the server might then break off as a deadlock.
    Hardly,
    /// Somebody waits for the answer.
    Briefly,
    /// As long as it takes.
    Long,
}

impl Waits {
    /// The first statement of such a transaction of `PostgreSQL`. Times are in milliseconds.
    pub(super) const fn statement(self) -> Option<&'static str> {
        match self {
            // PostgreSQL looks for a deadlock after 1,000.
            Self::Hardly => Some("SET LOCAL lock_timeout = 100"),
            // As long as for a turn, see `turns`.
            Self::Briefly => Some("SET LOCAL lock_timeout = 4000"),
            Self::Long => None,
        }
    }
}

/// The time between two attempts of what gives way.
const AGAIN: Duration = Duration::from_millis(500);

/// Tries what gives way again until nobody is in its way. It holds no connection meanwhile.
pub(super) async fn until_free<T, F>(attempt: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match attempt().await {
            Err(StoreError::Busy) => sleep(AGAIN).await,
            done => return done,
        }
    }
}

/// What it means that a commit failed: only some errors say that nothing was changed.
pub(super) fn unsure(error: sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(DatabaseError::code);
    // A file's codes are short. PostgreSQL: a constraint, and a transaction that was rolled back; but 40003 is that
    // it does not know.
    let refused = code.is_some_and(|code| {
        code.len() < 5 || code.starts_with("23") || code.starts_with("40") && code != "40003"
    });
    if refused { error.into() } else { StoreError::Unsure(error) }
}

/// What it means that the connection which writes to a file was not to be had: others write.
pub(super) fn taken(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::PoolTimedOut => StoreError::Busy,
        error => error.into(),
    }
}

/// Rows that one INSERT writes. `SQLite` takes 32,766 parameters.
pub(super) const ROWS: usize = 500;

/// The rows of an INSERT: each is `lead` and `columns` parameters, which are numbered from `first` on.
pub(super) fn rows(lead: &str, rows: usize, columns: usize, first: usize) -> String {
    let row = |row: usize| {
        let parameters = (0..columns).map(|column| format!("${}", first + row * columns + column));
        format!("({lead}{})", parameters.collect::<Vec<_>>().join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// The answer, if it comes in time: tables that are being changed, or a network that swallows everything, must not
/// hold up whoever asks.
pub(super) async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, work).await.unwrap_or(Err(StoreError::Silent))
}

impl Database {
    /// Connects. A file is made if it is not there, and must not be in use by another proxy.
    pub(super) async fn connect(url: &StateUrl) -> Result<Self, StoreError> {
        match url {
            StateUrl::Sqlite(path) => {
                let lock = Lock::take(path)?;
                Self::file(path, true, lock).await
            }
            StateUrl::Postgres(url) => {
                // The rest of the address may hold a password.
                let failed = |source| StoreError::Open {
                    what: format!("PostgreSQL at {url}"),
                    source,
                    next: "is the server running, and do name, user and password fit?",
                };
                let options: PgConnectOptions = url
                    .secret()
                    .parse()
                    .map_err(|_| StoreError::Url("it cannot be understood".to_owned()))?;
                let options = options.application_name("lastpop");
                // The pool would try again for a while and then say only that it took too long.
                let first = timeout(ACQUIRE, PgConnection::connect_with(&options)).await;
                first
                    .unwrap_or(Err(sqlx::Error::PoolTimedOut))
                    .map_err(failed)?
                    .close()
                    .await
                    .map_err(failed)?;
                let pool = PgPoolOptions::new()
                    .max_connections(POSTGRES_CONNECTIONS)
                    .acquire_timeout(ACQUIRE)
                    .connect_lazy_with(options);
                Ok(Self::Postgres(pool))
            }
        }
    }

    /// Connects to what is there, beside a proxy that may be using it.
    pub(super) async fn connect_beside(url: &StateUrl) -> Result<Self, StoreError> {
        match url {
            StateUrl::Sqlite(path) => Self::file(path, false, Lock::none()).await,
            StateUrl::Postgres(_) => Self::connect(url).await,
        }
    }

    /// Opens a file.
    pub(super) async fn file(path: &Path, create: bool, lock: Lock) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // A pin is on the disk before the client reads a unique-id that relies on it.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(ACQUIRE);
        let pool =
            |connections| SqlitePoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE);
        let failed = |source: sqlx::Error| StoreError::Open {
            what: path.display().to_string(),
            next: match source.as_database_error().and_then(DatabaseError::code) {
                Some(code) if code == NO_DATABASE => {
                    "it is not a state that lastpop has made; name the right file"
                }
                _ if create => "check that its folder exists and may be written to",
                _ => "check that it is there and may be read and written",
            },
            source,
        };
        if create {
            // It names customers: SQLite would let everybody read it. One that is there keeps its mode.
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
            file.map_err(|error| failed(error.into()))?;
        }
        let writer = pool(1).connect_with(options.clone().create_if_missing(create)).await.map_err(failed)?;
        // Whoever writes there does so by mistake.
        let reads = options.pragma("query_only", "ON");
        let readers = pool(SQLITE_READERS).connect_with(reads).await.map_err(failed)?;
        Ok(Self::Sqlite { readers, writer, file: StateFile::opened(path)?, lock })
    }

    /// What tells all who listen, with the channel and the message as parameters; `None` where nobody can.
    pub(super) const fn telling(&self) -> Option<&'static str> {
        match self {
            Self::Sqlite { .. } => None,
            Self::Postgres(_) => Some("SELECT pg_notify($1, $2)"),
        }
    }

    /// Fails when a file was deleted or replaced behind our back: what is written then is lost at the next start.
    pub(super) fn present(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite { file, .. } => file.present(),
            Self::Postgres(_) => Ok(()),
        }
    }

    pub(super) async fn close(&self) {
        match self {
            // The last connection brings everything into the one file, so it is the one that may write.
            Self::Sqlite { readers, writer, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_an_insert() {
        assert_eq!(rows("$1, ", 2, 2, 2), "($1, $2, $3), ($1, $4, $5)");
        assert_eq!(rows("", 1, 1, 1), "($1)");
    }
}
