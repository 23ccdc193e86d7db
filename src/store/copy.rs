//! A consistent copy of the whole state: out of either database into a file, and out of a file into either.
//!
//! Adopted and pinned unique-ids cannot be made again, so a backup must be possible while proxies run, and it must be
//! one moment's truth: it is read within one transaction. The file is itself a state that a proxy can use.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Row as _};

use super::database::{Database, Waits, on, transaction, writing};
use super::lock::Lock;
use super::{StoreError, lease, migrate};
use crate::config::StateUrl;

/// Backups name customers: nobody but their owner reads them.
const MODE: u32 = 0o600;

/// Rows that are written by one statement. The widest table has 35 columns, and `SQLite` takes 32,766 parameters.
const CHUNK: usize = 200;

/// Tables that belong to the moment, or that migrating fills.
const NOT_COPIED: [&str; 5] =
    ["leases", "usage_writers", "_sqlx_migrations", "schema_needs", "unfinished_backup"];

/// A table that is in a backup as long as that is not whole: one that broke off looks like an empty state otherwise.
const MARK: &str = "CREATE TABLE unfinished_backup (one BIGINT)";
const MARKED: &str = "SELECT count(*) FROM sqlite_master WHERE name = 'unfinished_backup'";
const UNMARK: &str = "DROP TABLE IF EXISTS unfinished_backup";

/// A column's value. There are no other types, see the migrations.
enum Value {
    Number(Option<i64>),
    Text(Option<String>),
}

/// A column as the file describes it.
#[derive(sqlx::FromRow)]
struct Column {
    name: String,
    #[sqlx(rename = "type")]
    kind: String,
}

/// Copies the state at `url` into a new file, while proxies may be using it. Gives the number of rows. The file has its
/// name only when it holds everything.
pub async fn backup(url: &StateUrl, file: &Path) -> Result<u64, StoreError> {
    if file.exists() {
        return Err(StoreError::NotEmpty(format!("{} is there already", file.display())));
    }
    let from = Database::connect_beside(url).await?;
    migrate::check(&from).await?;
    let partial = named(file, ".partial");
    let lock = Lock::take(&partial)?;
    // Of one that broke off.
    remove(&partial);
    let copied = written(&from, &partial, lock).await;
    from.close().await;
    let renamed = copied.and_then(|rows| {
        let failed = |source| StoreError::Renamed { from: partial.clone(), to: file.to_owned(), source };
        std::fs::rename(&partial, file).map_err(failed)?;
        Ok(rows)
    });
    remove(&partial);
    let _ = std::fs::remove_file(named(&partial, ".lock"));
    renamed
}

/// Copies the state into a new file, which is marked until all of it is there.
async fn written(from: &Database, partial: &Path, lock: Lock) -> Result<u64, StoreError> {
    // An empty file is a new state. Those beside it get its mode.
    let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(partial);
    made.map_err(|source| StoreError::Open {
        what: partial.display().to_string(),
        source: source.into(),
        next: "check that its folder exists and may be written to",
    })?;
    let to = Database::file(partial, true, lock).await?;
    let copied = async {
        writing!(&to, connection => sqlx::query(MARK).execute(&mut *connection).await.map(drop))?;
        lease::prepare(&to).await?;
        migrate::run(&to).await?;
        copy(from, &to, &to).await
    }
    .await;
    to.close().await;
    copied
}

/// The path with something behind its name.
fn named(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

/// Removes a state and what `SQLite` keeps beside it, as far as there is anything.
fn remove(state: &Path) {
    for more in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(named(state, more));
    }
}

/// Copies a backup into the state at `url`, which must have nothing in it. Gives the number of rows.
pub async fn restore(file: &Path, url: &StateUrl) -> Result<u64, StoreError> {
    let from = Database::connect_beside(&StateUrl::Sqlite(file.to_owned())).await?;
    let marked: i64 = on!(&from, pool => sqlx::query_scalar(MARKED).fetch_one(pool).await)?;
    if marked > 0 {
        return Err(StoreError::Unfinished { path: file.to_owned() });
    }
    migrate::check(&from).await?;
    let to = Database::connect(url).await?;
    lease::prepare(&to).await?;
    migrate::run(&to).await?;
    let query = "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM uidl_pins) + (SELECT count(*) FROM audit)";
    let rows: i64 = on!(&to, pool => sqlx::query_scalar(query).fetch_one(pool).await)?;
    if rows > 0 {
        return Err(StoreError::NotEmpty(format!("the state holds {rows} rows already")));
    }
    let copied = copy(&from, &to, &from).await;
    from.close().await;
    to.close().await;
    copied
}

/// Copies every table; `file` is whichever of the two is one, because a file can tell its columns.
async fn copy(from: &Database, to: &Database, file: &Database) -> Result<u64, StoreError> {
    let tables =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let columns = "SELECT name, type FROM pragma_table_info($1) ORDER BY cid";
    let tables: Vec<String> = on!(file, pool => sqlx::query_scalar(tables).fetch_all(pool).await)?;
    let mut plan: Vec<(String, Vec<Column>)> = Vec::new();
    for table in tables.into_iter().filter(|table| !NOT_COPIED.contains(&table.as_str())) {
        let columns = on!(file, pool => sqlx::query_as(columns).bind(&table).fetch_all(pool).await)?;
        plan.push((table, columns));
    }
    on!(from, source => {
        let mut source = source.begin().await?;
        // One moment's truth: PostgreSQL has to be asked for it, a file's transaction is so anyway.
        if matches!(from, Database::Postgres(_)) {
            sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                .execute(&mut *source)
                .await?;
        }
        transaction!(to, Waits::Long, target => {
            sqlx::query(UNMARK).execute(&mut *target).await?;
            let mut copied = 0;
            for (table, columns) in &plan {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                let names = names.join(", ");
                // What migrating has put there gives way.
                sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut *target).await?;
                let select = format!("SELECT {names} FROM {table}");
                let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(&mut *source);
                let mut chunk: Vec<Vec<Value>> = Vec::with_capacity(CHUNK);
                loop {
                    let row = rows.try_next().await?;
                    let last = row.is_none();
                    if let Some(row) = row {
                        let mut values = Vec::with_capacity(columns.len());
                        for (at, column) in columns.iter().enumerate() {
                            values.push(if column.kind == "BIGINT" {
                                Value::Number(row.try_get(at)?)
                            } else {
                                Value::Text(row.try_get(at)?)
                            });
                        }
                        chunk.push(values);
                    }
                    if chunk.len() == CHUNK || (last && !chunk.is_empty()) {
                        let mut insert = sqlx::QueryBuilder::new("");
                        insert.push("INSERT INTO ").push(table).push(" (").push(&names).push(") ");
                        insert.push_values(&chunk, |mut row, values| {
                            for value in values {
                                match value {
                                    Value::Number(number) => row.push_bind(*number),
                                    Value::Text(text) => row.push_bind(text.as_deref()),
                                };
                            }
                        });
                        insert.build().execute(&mut *target).await?;
                        copied += chunk.len() as u64;
                        chunk.clear();
                    }
                    if last {
                        break;
                    }
                }
            }
            Ok(copied)
        })
    })
}
