//! Undoing a change of many users as a whole, but for those whom somebody has changed since.

use super::batch::{
    Moves, MovesRow, Permit, SET_USERS, all_set, audit_lines, count, moves, moves_of, total, would_move,
};
use super::changes::id;
use super::database::{Waits, on, transaction};
use super::generation::RAISE;
use super::{Store, StoreError};

/// What became of the undoing of a batch, or what would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// What the audit trail calls the undoing; `None` when nothing changed.
    pub batch: Option<String>,
    /// Users who have again what they had before.
    pub restored: u64,
    /// Users who were changed in another way since, and stay as they are.
    pub left_alone: u64,
    /// Those who were restored, by what they had and what they have.
    pub moves: Vec<Moves>,
}

/// The users of a batch that still are as it set them: nothing that stands was done to them since. `batch` is the
/// number of a parameter.
fn standing(batch: &str) -> String {
    format!(
        "SELECT a.subject AS username, u.domain, u.mode AS old_mode, u.mode_since AS old_since,
            u.planned_mode AS old_planned_mode, u.planned_from AS old_planned_from, a.old_mode AS new_mode,
            COALESCE(a.old_since, 0) AS new_since, a.old_planned_mode AS new_planned_mode,
            a.old_planned_from AS new_planned_from,
            CASE WHEN u.language = a.new_language THEN a.new_language END AS old_language,
            CASE WHEN u.language = a.new_language THEN a.old_language END AS new_language
        FROM audit a JOIN users u ON u.username = a.subject
        WHERE a.batch = {batch} AND a.kind = 'user' AND a.undone_by IS NULL
            AND a.action IN ('set', 'import', 'wave', 'rollback')
            AND u.mode IS NOT DISTINCT FROM a.new_mode
            AND u.planned_mode IS NOT DISTINCT FROM a.new_planned_mode
            AND u.planned_from IS NOT DISTINCT FROM a.new_planned_from
            AND NOT EXISTS (SELECT 1 FROM audit later
                WHERE later.kind = 'user' AND later.subject = a.subject AND later.id > a.id
                    AND later.undone_by IS NULL
                    AND later.action IN ('set', 'import', 'wave', 'rollback'))"
    )
}

/// Changes of a batch that were not undone.
const LINES: &str = "SELECT count(*) FROM audit WHERE batch = $1 AND kind = 'user' AND undone_by IS NULL
    AND action IN ('set', 'import', 'wave', 'rollback')";

const MARK: &str = "UPDATE audit SET undone_by = $1 || '/' || subject
    WHERE batch = $2 AND kind = 'user' AND undone_by IS NULL
        AND EXISTS (SELECT 1 FROM audit done WHERE done.id = $1 || '/' || audit.subject)";

impl Store {
    /// Gives all users of a batch back what they had before it: an import, or a step or the rollback of a wave,
    /// by its name in the audit trail. Who was changed in another way since is left alone. With `dry_run` it
    /// only says what would change. Without the permit's consent nothing is changed. `now` is in Unix seconds.
    pub async fn undo_batch(
        &self,
        batch: &str,
        actor: &str,
        reason: &str,
        now: i64,
        dry_run: bool,
        permit: Permit<'_>,
    ) -> Result<Undone, StoreError> {
        self.database.present()?;
        if dry_run {
            return on!(&self.database, pool => {
                let lines: i64 = sqlx::query_scalar(LINES).bind(batch).fetch_one(pool).await?;
                let found: Vec<MovesRow> = sqlx::query_as(would_move(&standing("$2"))).bind(now).bind(batch).fetch_all(pool).await?;
                let moves = moves(found)?;
                permit(&moves)?;
                undone(batch, None, lines, moves)
            });
        }
        let _turn = self.turns.take().await?;
        let result: Result<(Undone, i64), StoreError> = transaction!(&self.database, Waits::Long, tx => {
            let generation: i64 = sqlx::query_scalar(RAISE).fetch_one(&mut *tx).await?;
            let id = id(generation);
            let lines: i64 = sqlx::query_scalar(LINES).bind(batch).fetch_one(&mut *tx).await?;
            let changed = sqlx::query(audit_lines("undo", &standing("$5")))
                .bind(&id).bind(now).bind(actor).bind(reason).bind(batch)
                .execute(&mut *tx).await?;
            let set = sqlx::query(SET_USERS).bind(&id).bind(&id).execute(&mut *tx).await?;
            all_set(changed.rows_affected(), set.rows_affected())?;
            sqlx::query(MARK).bind(&id).bind(batch).execute(&mut *tx).await?;
            let found: Vec<MovesRow> = sqlx::query_as(moves_of()).bind(&id).fetch_all(&mut *tx).await?;
            let moves = moves(found)?;
            permit(&moves)?;
            Ok((undone(batch, Some(id), lines, moves)?, generation))
        });
        let (undone, generation) = result?;
        self.announce_users(generation, undone.restored).await;
        Ok(undone)
    }
}

fn undone(batch: &str, id: Option<String>, lines: i64, moves: Vec<Moves>) -> Result<Undone, StoreError> {
    if lines == 0 {
        return Err(StoreError::NothingToUndo(format!("the batch {batch}")));
    }
    let restored = total(&moves);
    let batch = id.filter(|_| restored > 0);
    Ok(Undone { batch, restored, left_alone: count(lines).saturating_sub(restored), moves })
}
