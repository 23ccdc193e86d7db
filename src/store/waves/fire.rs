//! Carrying out a step of a wave: once, whoever tries, and all of it or nothing.

use super::{Order, WAS_MOVED, WaveState, set_state, take_wave, wave_line};
use crate::api::WaveName;
use crate::policy::Mode;
use crate::store::batch::{
    Moves, MovesRow, SET_USERS, all_set, audit_lines, make_users, moves, moves_of, total,
};
use crate::store::database::{Waits, on, transaction};
use crate::store::effective::{Configured, domain_rule, effective};
use crate::store::{Store, StoreError};

/// A step whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose step.
    pub wave: WaveName,
    /// Its number, from 1.
    pub step: i64,
}

/// A step that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// Which mode it set.
    pub mode: Mode,
    /// When it was due, in Unix seconds.
    pub at: i64,
    /// Users whose mode it changed.
    pub users: u64,
    /// The same, by the own mode that they had.
    pub moves: Vec<Moves>,
    /// Was it the last one?
    pub finished: bool,
    /// What the audit trail calls it.
    pub batch: String,
}

#[derive(Debug, sqlx::FromRow)]
struct Step {
    at: i64,
    mode: String,
}

/// Marks a step, if it is the next one of its wave and its time has come.
const MARK: &str = "UPDATE wave_steps SET fired_at = $3
    WHERE wave = $1 AND step = $2 AND fired_at IS NULL AND at <= $3
        AND NOT EXISTS (SELECT 1 FROM wave_steps before
            WHERE before.wave = $1 AND before.step < $2 AND before.fired_at IS NULL)
    RETURNING at, mode";

/// Members whom the step moves: forward only, and nobody whom somebody else has set since the wave did. Parameters
/// from 5 on: the mode, the wave, what its changes are called, three modes before that mode, what is configured.
fn changes(configured: &Configured) -> String {
    let (rule, mode) = (domain_rule("m.domain"), effective(configured, "m.domain", "$2", 11));
    format!(
        "SELECT m.username, m.domain, u.mode AS old_mode, u.mode_since AS old_since, u.planned_mode AS old_planned_mode,
            u.planned_from AS old_planned_from, CAST($5 AS TEXT) AS new_mode,
            CAST($2 AS BIGINT) AS new_since, CAST(NULL AS TEXT) AS new_planned_mode,
            CAST(NULL AS BIGINT) AS new_planned_from, CAST(NULL AS TEXT) AS old_language,
            CAST(NULL AS TEXT) AS new_language
        FROM wave_members m LEFT JOIN users u ON u.username = m.username {rule}
        WHERE m.wave = $6 AND (u.set_by = $7 OR NOT {WAS_MOVED}) AND {mode} IN ($8, $9, $10)"
    )
}

impl Store {
    /// The steps of running waves whose time has come, the oldest first. `now` is in Unix seconds.
    pub async fn due_steps(&self, now: i64) -> Result<Vec<Due>, StoreError> {
        let due = "SELECT s.wave, s.step FROM waves w JOIN wave_steps s ON s.wave = w.wave
            WHERE w.state = 'running' AND s.fired_at IS NULL AND s.at <= $1
            ORDER BY s.at, s.wave, s.step";
        let found: Vec<(String, i64)> =
            on!(&self.database, pool => sqlx::query_as(due).bind(now).fetch_all(pool).await)?;
        let due = |(wave, step): (String, i64)| {
            let foreign = |_| StoreError::Foreign(format!("a wave called {wave:?}"));
            Ok(Due { wave: wave.parse().map_err(foreign)?, step })
        };
        found.into_iter().map(due).collect()
    }

    /// Carries out a step that is due: members get its mode, unless they are there or beyond, or somebody else has
    /// set theirs since the wave did. `None`: another proxy has done it, or the wave does not run any more.
    pub async fn fire_step(
        &self,
        due: &Due,
        configured: &Configured,
        now: i64,
    ) -> Result<Option<Fired>, StoreError> {
        self.database.present()?;
        let name = &due.wave;
        let _turn = self.turns.take().await?;
        let fired: Result<Option<(Fired, i64)>, StoreError> = transaction!(&self.database, Waits::Long, tx => {
            let wave = take_wave!(tx, name);
            if wave.state()? != WaveState::Running {
                return Ok(None);
            }
            let step: Option<Step> = sqlx::query_as(MARK)
                .bind(name.as_str()).bind(due.step).bind(now)
                .fetch_optional(&mut *tx).await?;
            let Some(step) = step else { return Ok(None) };
            let foreign = |_| StoreError::Foreign(format!("the mode {:?}", step.mode));
            let mode = step.mode.parse::<Mode>().map_err(foreign)?;
            let actor = format!("wave {name}");
            let order = Order { actor: &actor, reason: &wave.reason, dry_run: false, now };
            let detail = Some(format!("step {}: {mode}", due.step));
            let (generation, id) = wave_line!(tx, name, "step", detail, order);
            let mut lines = sqlx::query(audit_lines("wave", &changes(configured)))
                .bind(&id).bind(now).bind(&actor).bind(&wave.reason)
                .bind(mode.as_str()).bind(name.as_str()).bind(&wave.batch);
            for before in 0..3 {
                let before = Mode::ALL.get(before).filter(|before| **before < mode);
                lines = lines.bind(before.map(|before| before.as_str()));
            }
            for value in configured.bound() {
                lines = lines.bind(value);
            }
            let lines = lines.execute(&mut *tx).await?;
            sqlx::query(make_users("wave_members", "wave"))
                .bind(&id).bind(name.as_str())
                .execute(&mut *tx).await?;
            let set = sqlx::query(SET_USERS).bind(&id).bind(&wave.batch).execute(&mut *tx).await?;
            all_set(lines.rows_affected(), set.rows_affected())?;
            let found: Vec<MovesRow> = sqlx::query_as(moves_of()).bind(&id).fetch_all(&mut *tx).await?;
            let moves = moves(found)?;
            let users = total(&moves);
            sqlx::query("UPDATE wave_steps SET users = $3, batch = $4 WHERE wave = $1 AND step = $2")
                .bind(name.as_str()).bind(due.step).bind(i64::try_from(users).unwrap_or(i64::MAX)).bind(&id)
                .execute(&mut *tx).await?;
            let left = "SELECT count(*) FROM wave_steps WHERE wave = $1 AND fired_at IS NULL";
            let left: i64 = sqlx::query_scalar(left).bind(name.as_str()).fetch_one(&mut *tx).await?;
            let finished = left == 0;
            if finished {
                set_state!(tx, name, WaveState::Finished, now);
            }
            Ok(Some((Fired { mode, at: step.at, users, moves, finished, batch: id }, generation)))
        });
        let Some((fired, generation)) = fired? else { return Ok(None) };
        self.announce_users(generation, fired.users).await;
        Ok(Some(fired))
    }
}
