//! The state store's promises, each held on both databases: a `SQLite` file and a real PostgreSQL.

mod bulk;
mod copy;
mod daily;
mod foreign;
mod lists;
mod lost;
mod modes;
mod opening;
mod pins;
mod scale;
mod summary;
mod targets;
mod told;
mod turns;
mod usage;
mod waves;
mod waves_at_once;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use lastpop::config::StateUrl;
use lastpop::store::{Once, Permit, Store, StoreError};
use lastpop::users::UserName;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::support::postgres::Postgres;
use crate::support::wait::DEADLINE;

/// The moment at which most of these tests play, in Unix seconds.
const NOW: i64 = 1_790_000_000;

/// Whoever moves users here may do so.
const ANY: Permit<'static> = &|_| Ok(());

/// Where a test keeps its state: the same test runs on both.
pub(crate) struct Place {
    pub(crate) url: StateUrl,
    /// What it is removed with.
    _directory: Option<TempDir>,
    _server: Option<Arc<Postgres>>,
}

impl Place {
    /// A file that somebody else has made.
    fn of_file(path: &Path) -> Self {
        Self { url: StateUrl::Sqlite(path.to_owned()), _directory: None, _server: None }
    }

    async fn open(&self) -> Store {
        let end = Instant::now() + DEADLINE;
        loop {
            match Store::open(&self.url, NOW).await {
                // A process that another test is about to start has all files of this one until it runs, and with them
                // the lock of a store that was closed.
                Err(StoreError::InUse { .. }) if Instant::now() < end => tokio::task::yield_now().await,
                opened => return opened.expect("a store"),
            }
        }
    }

    /// What the database itself says: the columns of each row that `from` names, with `|` between them; `-` is
    /// NULL.
    pub(crate) async fn rows(&self, columns: &[&str], from: &str) -> Vec<String> {
        let column = |name: &&str| format!("COALESCE(CAST({name} AS TEXT), '-')");
        let columns: Vec<String> = columns.iter().map(column).collect();
        let query = AssertSqlSafe(format!("SELECT {} FROM {from}", columns.join(" || '|' || ")));
        match &self.url {
            StateUrl::Sqlite(path) => {
                let mut database =
                    SqliteConnection::connect(&path.display().to_string()).await.expect("a file");
                sqlx::query_scalar(query).fetch_all(&mut database).await.expect("rows")
            }
            StateUrl::Postgres(url) => {
                let mut database = PgConnection::connect(url.secret()).await.expect("a server");
                sqlx::query_scalar(query).fetch_all(&mut database).await.expect("rows")
            }
        }
    }
}

pub(crate) fn sqlite() -> Place {
    let directory = tempfile::tempdir().expect("a directory");
    Place {
        url: StateUrl::Sqlite(directory.path().join("state.db")),
        _directory: Some(directory),
        _server: None,
    }
}

pub(crate) fn postgres(name: &str) -> Place {
    let server = Postgres::shared();
    let url = StateUrl::parse(&server.url(name)).expect("an address");
    Place { url, _directory: None, _server: Some(server) }
}

/// Runs a test on both databases; `name` is the second one's name, and no other test's.
fn on_both<F: Future<Output = ()>>(name: &str, test: impl Fn(Place) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for place in [sqlite(), postgres(name)] {
        println!("{name} on {:?}", place.url);
        runtime.block_on(test(place));
    }
}

/// A writer of usage that writes this once.
fn once() -> Once {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let writer = format!("test {}", NEXT.fetch_add(1, Ordering::Relaxed));
    Once { writer, number: 1, at: NOW }
}

fn user(name: &str) -> UserName {
    UserName::stored(name)
}

/// A number, from the database itself.
async fn count(place: &Place, query: &str) -> i64 {
    let query = sqlx::AssertSqlSafe(query.to_owned());
    match &place.url {
        StateUrl::Sqlite(path) => {
            let pool = sqlx::SqlitePool::connect_with(file(path)).await.expect("the file");
            sqlx::query_scalar(query).fetch_one(&pool).await.expect("a number")
        }
        StateUrl::Postgres(url) => {
            let pool = sqlx::PgPool::connect(url.secret()).await.expect("the server");
            sqlx::query_scalar(query).fetch_one(&pool).await.expect("a number")
        }
    }
}

/// Does something to the database itself, behind the store's back.
async fn execute(place: &Place, statement: &str) {
    let statement = sqlx::AssertSqlSafe(statement.to_owned());
    match &place.url {
        StateUrl::Sqlite(path) => {
            let pool = sqlx::SqlitePool::connect_with(file(path)).await.expect("the file");
            sqlx::query(statement).execute(&pool).await.expect("done");
        }
        StateUrl::Postgres(url) => {
            let pool = sqlx::PgPool::connect(url.secret()).await.expect("the server");
            sqlx::query(statement).execute(&pool).await.expect("done");
        }
    }
}

fn file(path: &Path) -> sqlx::sqlite::SqliteConnectOptions {
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::from_secs(30))
}
