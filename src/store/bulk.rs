//! Setting many users at once: rows are staged as they stream in, and then become a change as a whole or not at all,
//! in one transaction with one generation, however many they are.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::batch::{
    Moves, MovesRow, Permit, SET_USERS, all_set, audit_lines, count, make_users, moves, moves_of, own_mode,
    total, would_move,
};
use super::changes::id;
use super::database::{ROWS, Waits, on, rows, transaction, writing};
use super::generation::RAISE;
use super::waves::Order;
use super::{Store, StoreError};
use crate::import::Row;
use crate::policy::Mode;
use crate::words::Language;

/// Seconds after which staged rows that nobody applied are removed: whoever staged them is gone.
const ABANDONED: i64 = 24 * 60 * 60;

/// An import, or a list of members of a wave, that is under way. Nobody has to end it.
#[derive(Debug, Clone)]
pub struct Batch {
    name: String,
    actor: String,
    reason: String,
    now: i64,
}

impl Batch {
    /// What its rows are staged under.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Who asks for it and why, for a wave.
    pub(super) fn order(&self) -> Order<'_> {
        Order { actor: &self.actor, reason: &self.reason, dry_run: false, now: self.now }
    }
}

/// Forgets the rows that were staged. Parameter: the name of the batch.
pub(super) const FORGET: &str = "DELETE FROM staged WHERE batch = $1";

/// Users of a batch who have never tried to log in, as far as is known. Parameter: the name of the batch.
pub(super) const NEVER_SEEN: &str =
    "SELECT count(*) FROM staged s LEFT JOIN users u ON u.username = s.username
    WHERE s.batch = $1 AND u.first_seen IS NULL AND u.last_refused IS NULL";

/// What became of an import, or what would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// What the audit trail calls it, and [`Store::undo_batch`]; `None` when nothing changed.
    pub batch: Option<String>,
    /// Users that it names and who have never logged in.
    pub never_seen: u64,
    /// Users whose setting or language changed.
    pub changed: u64,
    /// Those that changed, by what they had and what they have.
    pub moves: Vec<Moves>,
}

/// What each staged row of a batch changes, if it changes anything. A plan whose time has come counts as carried
/// out. `now` and `batch` are the numbers of parameters.
fn changes(now: &str, batch: &str) -> String {
    let own_mode = own_mode("u.", now);
    format!(
        "SELECT n.username, n.domain, n.old_mode, n.old_since, n.old_planned_mode, n.old_planned_from,
            CASE WHEN n.language IS DISTINCT FROM n.own_language THEN n.own_language END AS old_language,
            CASE WHEN n.language IS DISTINCT FROM n.own_language THEN n.language END AS new_language,
            n.new_mode, n.planned_mode AS new_planned_mode, n.planned_from AS new_planned_from,
            CASE WHEN n.new_mode IS DISTINCT FROM n.own_mode THEN CAST({now} AS BIGINT)
                ELSE n.own_since END AS new_since
        FROM (SELECT o.*, CASE WHEN o.planned_from IS NULL THEN o.mode ELSE o.own_mode END AS new_mode
            FROM (SELECT s.username, s.domain, s.mode, s.planned_mode, s.planned_from,
                    COALESCE(s.language, u.language, '') AS language,
                    u.mode AS old_mode, u.mode_since AS old_since, u.planned_mode AS old_planned_mode,
                    u.planned_from AS old_planned_from, COALESCE(u.language, '') AS own_language,
                    {own_mode} AS own_mode,
                    CASE WHEN u.planned_from <= {now} THEN u.planned_from
                        ELSE COALESCE(u.mode_since, 0) END AS own_since,
                    CASE WHEN u.planned_from > {now} THEN u.planned_mode END AS own_planned_mode,
                    CASE WHEN u.planned_from > {now} THEN u.planned_from END AS own_planned_from
                FROM staged s LEFT JOIN users u ON u.username = s.username
                WHERE s.batch = {batch}) AS o) AS n
        WHERE n.new_mode IS DISTINCT FROM n.own_mode
            OR n.planned_mode IS DISTINCT FROM n.own_planned_mode
            OR n.planned_from IS DISTINCT FROM n.own_planned_from
            OR n.language IS DISTINCT FROM n.own_language"
    )
}

impl Store {
    /// Begins an import. `actor` is who asks for it, `now` is in Unix seconds. Removes what others left behind.
    pub async fn begin_import(&self, actor: &str, reason: &str, now: i64) -> Result<Batch, StoreError> {
        self.database.present()?;
        self.remove_abandoned(now).await?;
        let name = crate::random::session_id();
        Ok(Batch { name, actor: actor.to_owned(), reason: reason.to_owned(), now })
    }

    /// Takes rows; some thousands at a time are well. Of several rows of one user the last one holds.
    pub async fn stage(&self, batch: &Batch, staged: &[Row]) -> Result<(), StoreError> {
        // One statement cannot write the same row twice.
        let last: HashMap<&str, usize> =
            staged.iter().enumerate().map(|(at, row)| (row.user.as_str(), at)).collect();
        let once: Vec<&Row> = staged
            .iter()
            .enumerate()
            .filter(|(at, row)| last.get(row.user.as_str()) == Some(at))
            .map(|(_, row)| row)
            .collect();
        let whole: Arc<str> = stage(ROWS).into();
        transaction!(&self.database, Waits::Long, tx => {
            for chunk in once.chunks(ROWS) {
                let is_whole = chunk.len() == ROWS;
                let text = if is_whole { Arc::clone(&whole) } else { stage(chunk.len()).into() };
                let mut insert = sqlx::query(AssertSqlSafe(text))
                    .persistent(is_whole)
                    .bind(&batch.name)
                    .bind(batch.now);
                for row in chunk {
                    let mode = row.mode.map(Mode::as_str);
                    // What is to be from a time that has come is to be now.
                    let from = row.from.filter(|from| *from > batch.now);
                    insert = insert
                        .bind(row.user.as_str())
                        .bind(row.user.domain())
                        .bind(if from.is_none() { mode } else { None })
                        .bind(if from.is_some() { mode } else { None })
                        .bind(from)
                        .bind(row.language.as_ref().map(Language::as_str));
                }
                insert.execute(&mut *tx).await?;
            }
            Ok(())
        })
    }

    /// Makes all rows that were taken one change. It is in force here when this returns, and undone as a whole by
    /// [`Store::undo_batch`]. With `dry_run` it only says what would change, and the rows stay staged, to be
    /// applied or abandoned. Without the permit's consent nothing is changed.
    pub async fn apply(
        &self,
        batch: &Batch,
        dry_run: bool,
        permit: Permit<'_>,
    ) -> Result<Applied, StoreError> {
        self.database.present()?;
        if dry_run {
            return on!(&self.database, pool => {
                let never: i64 = sqlx::query_scalar(NEVER_SEEN).bind(&batch.name).fetch_one(pool).await?;
                let found: Vec<MovesRow> = sqlx::query_as(would_move(&changes("$1", "$2")))
                    .bind(batch.now).bind(&batch.name).fetch_all(pool).await?;
                let moves = moves(found)?;
                permit(&moves)?;
                Ok(applied(None, never, moves))
            });
        }
        let _turn = self.turns.take().await?;
        let result: Result<(Applied, i64), StoreError> = transaction!(&self.database, Waits::Long, tx => {
            // First, so that changes queue up behind each other.
            let generation: i64 = sqlx::query_scalar(RAISE).fetch_one(&mut *tx).await?;
            let id = id(generation);
            let never: i64 = sqlx::query_scalar(NEVER_SEEN).bind(&batch.name).fetch_one(&mut *tx).await?;
            let lines = sqlx::query(audit_lines("import", &changes("$2", "$5")))
                .bind(&id).bind(batch.now).bind(&batch.actor).bind(&batch.reason).bind(&batch.name)
                .execute(&mut *tx).await?;
            sqlx::query(make_users("staged", "batch")).bind(&id).bind(&batch.name).execute(&mut *tx).await?;
            let set = sqlx::query(SET_USERS).bind(&id).bind(&id).execute(&mut *tx).await?;
            all_set(lines.rows_affected(), set.rows_affected())?;
            sqlx::query(FORGET).bind(&batch.name).execute(&mut *tx).await?;
            let found: Vec<MovesRow> = sqlx::query_as(moves_of()).bind(&id).fetch_all(&mut *tx).await?;
            let moves = moves(found)?;
            permit(&moves)?;
            Ok((applied(Some(id), never, moves), generation))
        });
        let (applied, generation) = result?;
        self.announce_users(generation, applied.changed).await;
        Ok(applied)
    }

    /// Forgets the rows that were taken.
    pub async fn abandon(&self, batch: &Batch) -> Result<(), StoreError> {
        writing!(&self.database, connection =>
            sqlx::query(FORGET).bind(&batch.name).execute(&mut *connection).await.map(drop))?;
        Ok(())
    }

    /// Removes staged rows that are a day old: whoever staged them is gone. `now` is in Unix seconds.
    pub async fn remove_abandoned(&self, now: i64) -> Result<(), StoreError> {
        let remove = "DELETE FROM staged WHERE at < $1";
        writing!(&self.database, connection =>
            sqlx::query(remove).bind(now - ABANDONED).execute(&mut *connection).await.map(drop))?;
        Ok(())
    }
}

/// The INSERT of so many rows.
fn stage(count: usize) -> String {
    format!(
        "INSERT INTO staged (batch, at, username, domain, mode, planned_mode, planned_from, language)
        VALUES {}
        ON CONFLICT (batch, username) DO UPDATE SET mode = excluded.mode, planned_mode = excluded.planned_mode,
            planned_from = excluded.planned_from, language = excluded.language",
        rows("$1, $2, ", count, 6, 3)
    )
}

fn applied(batch: Option<String>, never_seen: i64, moves: Vec<Moves>) -> Applied {
    let changed = total(&moves);
    let batch = batch.filter(|_| changed > 0);
    Applied { batch, never_seen: count(never_seen), changed, moves }
}
