//! One of two databases, and one SQL text for both: `SQLite` in a file for one proxy, `PostgreSQL` for a fleet.
//!
//! The text uses what both understand and a distributed database that speaks `PostgreSQL`'s protocol as well:
//! BIGINT and TEXT, numbered parameters, ON CONFLICT, no sequences, no advisory locks.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use tokio::time::timeout;

use super::StoreError;
use super::lock::Lock;
use crate::config::StateUrl;

/// How long a statement waits for another's write. A login has 25 s for everything, and a flip of a million
/// users in one transaction takes some seconds.
pub(super) const BUSY: Duration = Duration::from_secs(15);

/// How long a login waits for a connection to the database.
const ACQUIRE: Duration = Duration::from_secs(5);

/// How long a lookup may take, the connection included; it takes a millisecond. Whoever is known is served without
/// it, and a mail program waits for half a minute.
pub(super) const LOOKUP: Duration = Duration::from_secs(5);

/// Connections to a file. Reads go side by side, and a write takes a fraction of a millisecond.
const SQLITE_CONNECTIONS: u32 = 4;

/// Connections to a server, for each proxy. A lookup takes about a millisecond, so this is thousands of logins a
/// second of users that are not in memory.
const POSTGRES_CONNECTIONS: u32 = 16;

/// The database.
#[derive(Debug)]
pub(super) enum Database {
    /// A file on this machine, which no second proxy may use.
    Sqlite { pool: SqlitePool, file: StateFile, lock: Lock },
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

/// Runs the same work on whichever database this is.
macro_rules! on {
    ($database:expr, $pool:ident => $work:expr) => {
        match $database {
            $crate::store::database::Database::Sqlite { pool: $pool, .. } => $work,
            $crate::store::database::Database::Postgres($pool) => $work,
        }
    };
}

/// Runs work as one transaction: all of it, or with an error nothing. The work sees `$tx`, gives a `Result`,
/// and is written once for both databases. `SQLite` is told at once that there will be writes, because
/// a transaction that reads first and writes later can fail there.
macro_rules! transaction {
    ($database:expr, $tx:ident => $work:expr) => {
        match $database {
            $crate::store::database::Database::Sqlite { pool, .. } => {
                let mut $tx = pool.begin_with("BEGIN IMMEDIATE").await?;
                let result: Result<_, $crate::store::StoreError> = async { $work }.await;
                let value = result?;
                $tx.commit().await?;
                Ok(value)
            }
            $crate::store::database::Database::Postgres(pool) => {
                let mut $tx = pool.begin().await?;
                let result: Result<_, $crate::store::StoreError> = async { $work }.await;
                let value = result?;
                $tx.commit().await?;
                Ok(value)
            }
        }
    };
}

pub(super) use {on, transaction};

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
                let pool = sqlite(path, true).await?;
                let file = StateFile::opened(path)?;
                Ok(Self::Sqlite { pool, file, lock })
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
            StateUrl::Sqlite(path) => {
                let pool = sqlite(path, false).await?;
                Ok(Self::Sqlite { pool, file: StateFile::opened(path)?, lock: Lock::none() })
            }
            StateUrl::Postgres(_) => Self::connect(url).await,
        }
    }

    /// The first statement of a transaction that gives way: where somebody else has locked a row, it fails soon. So it
    /// never waits for long for a change of many users, which may come to wait for it, and which the server might then
    /// break off as a deadlock. A file has one writer at a time, and no such case.
    pub(super) const fn give_way(&self) -> Option<&'static str> {
        match self {
            Self::Sqlite { .. } => None,
            // In milliseconds. PostgreSQL looks for a deadlock after 1,000.
            Self::Postgres(_) => Some("SET LOCAL lock_timeout = 100"),
        }
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
        on!(self, pool => pool.close().await);
    }
}

/// Opens a file.
pub(super) async fn sqlite(path: &Path, create: bool) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        // A pin is on the disk before the client reads a unique-id that relies on it.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY);
    let opened = SqlitePoolOptions::new()
        .max_connections(SQLITE_CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .connect_with(options);
    opened.await.map_err(|source| StoreError::Open {
        what: path.display().to_string(),
        source,
        next: "check that its folder exists and may be written to",
    })
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
