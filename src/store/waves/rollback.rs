//! Taking a wave back: its members get what they had before it, but for those whom somebody has set since.

use sqlx::AssertSqlSafe;

use super::{Act, Order, WAS_MOVED, set_state, take_wave, wave_line};
use crate::api::{Wave, WaveName, WaveState};
use crate::store::batch::{
    Moves, MovesRow, Permit, SET_USERS, all_set, audit_lines, moves, moves_of, total, would_move,
};
use crate::store::database::{Waits, on, transaction};
use crate::store::{Store, StoreError};

/// What became of a rollback, or what would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// The wave as it is now.
    pub wave: Wave,
    /// Members who have again what they had before the wave.
    pub restored: u64,
    /// Members whom the wave had moved, and somebody else has set since: they stay as they are.
    pub left_alone: u64,
    /// Those who were restored, by what they had and what they have.
    pub moves: Vec<Moves>,
}

/// Members who still are as the wave set them, with what they had before its first step moved them. `wave` and
/// `set_by` are numbers of parameters.
fn standing(wave: &str, set_by: &str) -> String {
    format!(
        "SELECT m.username, m.domain, u.mode AS old_mode, u.mode_since AS old_since, u.planned_mode AS old_planned_mode,
            u.planned_from AS old_planned_from, a.old_mode AS new_mode, COALESCE(a.old_since, 0) AS new_since,
            a.old_planned_mode AS new_planned_mode, a.old_planned_from AS new_planned_from,
            CAST(NULL AS TEXT) AS old_language, CAST(NULL AS TEXT) AS new_language
        FROM wave_members m JOIN users u ON u.username = m.username
            JOIN audit a ON a.id = (SELECT f.id FROM wave_steps s JOIN audit f ON f.id = s.batch || '/' || m.username
                WHERE s.wave = m.wave ORDER BY s.step LIMIT 1)
        WHERE m.wave = {wave} AND u.set_by = {set_by}"
    )
}

/// Counts members whom the wave has moved.
fn moved() -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("SELECT count(*) FROM wave_members m WHERE m.wave = $1 AND {WAS_MOVED}"))
}

impl Store {
    /// Takes a wave back. It fires no step any more. With `order.dry_run` it only says what would change.
    /// Without the permit's consent nothing is changed.
    pub async fn roll_back_wave(
        &self,
        name: &WaveName,
        order: &Order<'_>,
        permit: Permit<'_>,
    ) -> Result<RolledBack, StoreError> {
        self.database.present()?;
        if order.dry_run {
            return self.would_roll_back(name, order.now, permit).await;
        }
        let _turn = self.turns.take().await?;
        let done: Result<Option<(Vec<Moves>, i64, i64)>, StoreError> = transaction!(&self.database, Waits::Long, tx => {
            let wave = take_wave!(tx, name);
            if !Act::RollBack.changes(name, wave.state()?)? {
                return Ok(None);
            }
            let (generation, id) = wave_line!(tx, name, Act::RollBack.as_str(), None, order);
            let lines = sqlx::query(audit_lines("rollback", &standing("$5", "$6")))
                .bind(&id).bind(order.now).bind(order.actor).bind(order.reason)
                .bind(name.as_str()).bind(&wave.batch)
                .execute(&mut *tx).await?;
            let set = sqlx::query(SET_USERS).bind(&id).bind(&id).execute(&mut *tx).await?;
            all_set(lines.rows_affected(), set.rows_affected())?;
            set_state!(tx, name, WaveState::RolledBack, order.now);
            let touched: i64 = sqlx::query_scalar(moved()).bind(name.as_str()).fetch_one(&mut *tx).await?;
            let found: Vec<MovesRow> = sqlx::query_as(moves_of()).bind(&id).fetch_all(&mut *tx).await?;
            let moves = moves(found)?;
            permit(&moves)?;
            Ok(Some((moves, touched, generation)))
        });
        let Some((moves, touched, generation)) = done? else {
            return Ok(rolled_back(self.wave(name).await?, Vec::new(), 0));
        };
        self.announce_users(generation, total(&moves)).await;
        Ok(rolled_back(self.wave(name).await.map_err(StoreError::after_all)?, moves, touched))
    }

    async fn would_roll_back(
        &self,
        name: &WaveName,
        now: i64,
        permit: Permit<'_>,
    ) -> Result<RolledBack, StoreError> {
        let row = self.wave_row(name).await?;
        if !Act::RollBack.changes(name, row.state()?)? {
            return Ok(rolled_back(self.wave(name).await?, Vec::new(), 0));
        }
        let (touched, found): (i64, Vec<MovesRow>) = on!(&self.database, pool => (
            sqlx::query_scalar(moved()).bind(name.as_str()).fetch_one(pool).await?,
            sqlx::query_as(would_move(&standing("$2", "$3")))
                .bind(now).bind(name.as_str()).bind(&row.batch).fetch_all(pool).await?,
        ));
        let moves = moves(found)?;
        permit(&moves)?;
        Ok(rolled_back(self.wave(name).await?, moves, touched))
    }
}

fn rolled_back(wave: Wave, moves: Vec<Moves>, touched: i64) -> RolledBack {
    let restored = total(&moves);
    RolledBack { wave, restored, left_alone: touched.unsigned_abs().saturating_sub(restored), moves }
}
