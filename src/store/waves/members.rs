//! Who is in a wave: the users of a list that is sent, or those whom its target takes when it starts.

use super::target::Candidate;
use super::{WAS_MOVED, WaveError, take_wave, wave_line};
use crate::api::{Target, WaveName, WaveState};
use crate::store::batch::{count, own_mode};
use crate::store::bulk::{Batch, FORGET, NEVER_SEEN};
use crate::store::changes::mode;
use crate::store::database::{Waits, on, rows, transaction};
use crate::store::domains::EVERYONE;
use crate::store::effective::{Configured, domain_rule, set_modes};
use crate::store::{Concerns, Store, StoreError};

/// Users that are read at once.
pub(super) const PAGE: usize = 5_000;

/// What became of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// Users who are in the wave now, or would be.
    pub added: u64,
    /// Users of the list who have never logged in.
    pub never_seen: u64,
}

/// A candidate as columns.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Found {
    username: String,
    domain: String,
    last_seen: Option<i64>,
    family: Option<String>,
    nearer: Option<String>,
    everyone: Option<String>,
    own: i64,
    set_by: Option<String>,
    moved: i64,
}

/// Where candidates are found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose<'a> {
    /// All users of a domain; `*`: all of them.
    Domain(&'a str),
    /// The members of a wave.
    Wave(&'a WaveName),
}

impl Found {
    pub(super) fn candidate(self, configured: &Configured) -> Result<Candidate, StoreError> {
        let (nearer, everyone) = (mode(self.nearer.as_deref())?, mode(self.everyone.as_deref())?);
        Ok(Candidate {
            username: self.username,
            mode: configured.in_force(nearer, &self.domain, everyone),
            domain: self.domain,
            last_seen: self.last_seen,
            family: self.family,
            own: self.own != 0,
            set_by: self.set_by,
            moved: self.moved != 0,
        })
    }
}

impl Whose<'_> {
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Domain(domain) => domain,
            Self::Wave(wave) => wave.as_str(),
        }
    }

    /// A page of candidates, in the order of their names. Parameters: the time, the last name of the page before,
    /// the key, and how many.
    pub(super) fn page(&self) -> String {
        let (names, moved, from, whose) = match self {
            Self::Domain(EVERYONE) => ("u", "1 = 0", "users u", "$3 = '*'"),
            Self::Domain(_) => ("u", "1 = 0", "users u", "u.domain = $3"),
            Self::Wave(_) => {
                let members = "wave_members m LEFT JOIN users u ON u.username = m.username";
                ("m", WAS_MOVED, members, "m.wave = $3")
            }
        };
        let domain = format!("{names}.domain");
        let (rule, modes) = (domain_rule(&domain), set_modes("$1"));
        let own_mode = own_mode("u.", "$1");
        format!(
            "SELECT {names}.username, {names}.domain, u.last_seen, u.family, {modes}, u.set_by,
                CAST(CASE WHEN u.planned_from > $1 OR {own_mode} IS NOT NULL THEN 1 ELSE 0 END AS BIGINT) AS own,
                CAST(CASE WHEN {moved} THEN 1 ELSE 0 END AS BIGINT) AS moved
            FROM {from} {rule}
            WHERE {whose} AND {names}.username > $2
            ORDER BY {names}.username LIMIT $4"
        )
    }
}

/// Reads a page of candidates with a pool or a transaction.
macro_rules! page {
    ($executor:expr, $text:expr, $key:expr, $after:expr, $now:expr) => {{
        let page = sqlx::query_as::<_, $crate::store::waves::members::Found>(sqlx::AssertSqlSafe(
            std::sync::Arc::clone($text),
        ))
        .bind($now)
        .bind($after)
        .bind($key)
        .bind(i64::try_from($crate::store::waves::members::PAGE).unwrap_or(i64::MAX));
        page.fetch_all($executor).await
    }};
}

/// Adds `(name, domain)` to a wave within a transaction, and gives how many were not in it.
macro_rules! add {
    ($tx:ident, $wave:expr, $members:expr) => {{
        let mut added = 0;
        for chunk in $members.chunks($crate::store::database::ROWS) {
            let text = $crate::store::waves::members::insert(chunk.len());
            let whole = chunk.len() == $crate::store::database::ROWS;
            let mut insert = sqlx::query(sqlx::AssertSqlSafe(text)).persistent(whole).bind($wave.as_str());
            for (name, domain) in chunk {
                insert = insert.bind(name).bind(domain);
            }
            added += insert.execute(&mut *$tx).await?.rows_affected();
        }
        $crate::store::waves::members::more_members!($tx, $wave, added);
        added
    }};
}

/// Counts so many more members of a wave within a transaction.
macro_rules! more_members {
    ($tx:ident, $wave:expr, $added:expr) => {
        sqlx::query("UPDATE waves SET members = COALESCE(members, 0) + $2 WHERE wave = $1")
            .bind($wave.as_str())
            .bind(i64::try_from($added).unwrap_or(i64::MAX))
            .execute(&mut *$tx)
            .await?
    };
}

pub(super) use {add, more_members, page};

/// The INSERT of so many members.
pub(super) fn insert(count: usize) -> String {
    let rows = rows("$1, ", count, 2, 2);
    format!(
        "INSERT INTO wave_members (wave, username, domain) VALUES {rows}
        ON CONFLICT (wave, username) DO NOTHING"
    )
}

impl Store {
    /// Fails unless a wave takes a list, and takes it now.
    pub async fn takes_members(&self, name: &WaveName) -> Result<(), StoreError> {
        self.database.present()?;
        takes_a_list(name, &self.wave_row(name).await?)
    }

    /// Puts all users that were staged ([`Store::stage`]) into a wave that is a draft and takes a list, or with an
    /// error none of them. Who is in it already stays. With `dry_run` it only says how many would be new, and the
    /// rows stay staged.
    pub async fn add_members(
        &self,
        name: &WaveName,
        batch: &Batch,
        dry_run: bool,
    ) -> Result<Added, StoreError> {
        self.database.present()?;
        if dry_run {
            takes_a_list(name, &self.wave_row(name).await?)?;
            let new = "SELECT count(*) FROM staged s WHERE s.batch = $1
                AND NOT EXISTS (SELECT 1 FROM wave_members m WHERE m.wave = $2 AND m.username = s.username)";
            let (new, never): (i64, i64) = on!(&self.database, pool => (
                sqlx::query_scalar(new).bind(batch.name()).bind(name.as_str()).fetch_one(pool).await?,
                sqlx::query_scalar(NEVER_SEEN).bind(batch.name()).fetch_one(pool).await?,
            ));
            return Ok(Added { added: count(new), never_seen: count(never) });
        }
        let add = "INSERT INTO wave_members (wave, username, domain)
            SELECT $1, s.username, s.domain FROM staged s WHERE s.batch = $2 ORDER BY s.username
            ON CONFLICT (wave, username) DO NOTHING";
        let _turn = self.turns.take().await?;
        let done: Result<(Added, Option<i64>), StoreError> = transaction!(&self.database, Waits::Long, tx => {
            let row = take_wave!(tx, name);
            takes_a_list(name, &row)?;
            let never: i64 = sqlx::query_scalar(NEVER_SEEN).bind(batch.name()).fetch_one(&mut *tx).await?;
            let added = sqlx::query(add).bind(name.as_str()).bind(batch.name())
                .execute(&mut *tx).await?.rows_affected();
            more_members!(tx, name, added);
            sqlx::query(FORGET).bind(batch.name()).execute(&mut *tx).await?;
            let done = Added { added, never_seen: count(never) };
            if added == 0 {
                return Ok((done, None));
            }
            let (generation, _) = wave_line!(tx, name, "members", Some(format!("{added} users")), batch.order());
            Ok((done, Some(generation)))
        });
        let (added, generation) = done?;
        if let Some(generation) = generation {
            self.announce(generation, &Concerns::Domains).await;
        }
        Ok(added)
    }
}

fn takes_a_list(name: &WaveName, row: &super::Row) -> Result<(), StoreError> {
    if !matches!(row.target()?, Target::Csv) {
        Err(WaveError::NoList(name.clone()).into())
    } else if row.state()? == WaveState::Draft {
        Ok(())
    } else {
        Err(WaveError::MembersFixed(name.clone()).into())
    }
}
