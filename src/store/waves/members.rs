//! Who is in a wave: the users of a list that is sent, or those whom its target takes when it starts.

use std::collections::BTreeSet;

use super::target::Candidate;
use super::{Order, WAS_MOVED, WaveError, take_wave, wave_line};
use crate::api::{Target, WaveName, WaveState};
use crate::policy::Mode;
use crate::store::batch::own_mode;
use crate::store::database::{ROWS, Waits, on, rows, transaction};
use crate::store::domains::EVERYONE;
use crate::store::effective::{Configured, domain_rule, effective};
use crate::store::{Concerns, Store, StoreError};
use crate::users::UserName;

/// Users that are read at once.
pub(super) const PAGE: usize = 5_000;

/// What became of a part of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// Users who are in the wave now, or would be.
    pub added: u64,
    /// Users who were in it already.
    pub already: u64,
}

/// A candidate as columns.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Found {
    username: String,
    domain: String,
    last_seen: Option<i64>,
    family: Option<String>,
    mode: Option<String>,
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
    pub(super) fn candidate(self) -> Result<Candidate, StoreError> {
        let mode = crate::store::changes::mode(self.mode.as_deref())?;
        Ok(Candidate {
            username: self.username,
            domain: self.domain,
            last_seen: self.last_seen,
            family: self.family,
            // The configuration always says one.
            mode: mode.unwrap_or(Mode::Pop3),
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
    /// the key, how many, and what is configured.
    pub(super) fn page(&self, configured: &Configured) -> String {
        let (names, moved, from, whose) = match self {
            Self::Domain(EVERYONE) => ("u", "1 = 0", "users u", "$3 = '*'"),
            Self::Domain(_) => ("u", "1 = 0", "users u", "u.domain = $3"),
            Self::Wave(_) => {
                let members = "wave_members m LEFT JOIN users u ON u.username = m.username";
                ("m", WAS_MOVED, members, "m.wave = $3")
            }
        };
        let domain = format!("{names}.domain");
        let (rule, mode) = (domain_rule(&domain), effective(configured, &domain, "$1", 5));
        let own_mode = own_mode("u.", "$1");
        format!(
            "SELECT {names}.username, {names}.domain, u.last_seen, u.family, {mode} AS mode, u.set_by,
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
    ($executor:expr, $text:expr, $key:expr, $after:expr, $configured:expr, $now:expr) => {{
        let mut page = sqlx::query_as::<_, $crate::store::waves::members::Found>(sqlx::AssertSqlSafe(
            std::sync::Arc::clone($text),
        ))
        .bind($now)
        .bind($after)
        .bind($key)
        .bind(i64::try_from($crate::store::waves::members::PAGE).unwrap_or(i64::MAX));
        for value in $configured.bound() {
            page = page.bind(value);
        }
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
        sqlx::query("UPDATE waves SET members = COALESCE(members, 0) + $2 WHERE wave = $1")
            .bind($wave.as_str())
            .bind(i64::try_from(added).unwrap_or(i64::MAX))
            .execute(&mut *$tx)
            .await?;
        added
    }};
}

pub(super) use {add, page};

/// The INSERT of so many members.
pub(super) fn insert(count: usize) -> String {
    let rows = rows("$1, ", count, 2, 2);
    format!(
        "INSERT INTO wave_members (wave, username, domain) VALUES {rows}
        ON CONFLICT (wave, username) DO NOTHING"
    )
}

impl Store {
    /// Puts users into a wave that is a draft and takes a list; some thousands at a time are well. Who is in it
    /// already stays. With `dry_run` it only says how many would be new; who is named in two parts of a list is
    /// counted twice then.
    pub async fn add_members(
        &self,
        name: &WaveName,
        users: &[UserName],
        dry_run: bool,
    ) -> Result<Added, StoreError> {
        self.database.present()?;
        let users: BTreeSet<&UserName> = users.iter().collect();
        let members: Vec<(&str, &str)> = users.iter().map(|user| (user.as_str(), user.domain())).collect();
        let added: u64 = if dry_run {
            takes_a_list(name, &self.wave_row(name).await?)?;
            members.len() as u64 - self.members_among(name, &members).await?
        } else {
            let added: Result<u64, StoreError> = transaction!(&self.database, Waits::Briefly, tx => {
                let row = take_wave!(tx, name);
                takes_a_list(name, &row)?;
                Ok(add!(tx, name, members))
            });
            added?
        };
        Ok(Added { added, already: (members.len() as u64).saturating_sub(added) })
    }

    /// Writes into the audit trail that a list was sent, of which so many users were new.
    pub async fn members_were_added(
        &self,
        name: &WaveName,
        added: u64,
        order: &Order<'_>,
    ) -> Result<(), StoreError> {
        let detail = format!("{added} users");
        let _turn = self.turns.soon().await?;
        let written: Result<i64, StoreError> = transaction!(&self.database, Waits::Briefly, tx => {
            let (generation, _) = wave_line!(tx, name, "members", Some(detail.clone()), order);
            Ok(generation)
        });
        self.announce(written?, &Concerns::Domains).await;
        Ok(())
    }

    /// How many of these are in the wave.
    async fn members_among(&self, name: &WaveName, users: &[(&str, &str)]) -> Result<u64, StoreError> {
        let mut found = 0;
        for chunk in users.chunks(ROWS) {
            let names = rows("", 1, chunk.len(), 2);
            let text = format!("SELECT count(*) FROM wave_members WHERE wave = $1 AND username IN {names}");
            let counted: i64 = on!(&self.database, pool => {
                let mut count = sqlx::query_scalar(sqlx::AssertSqlSafe(text)).persistent(false).bind(name.as_str());
                for (user, _) in chunk {
                    count = count.bind(*user);
                }
                count.fetch_one(pool).await
            })?;
            found += counted.unsigned_abs();
        }
        Ok(found)
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
