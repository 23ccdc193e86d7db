//! Waves: planned changes of modes for many users, in dated steps.
//!
//! [`Store::create_wave`] makes one, `members` says who is in it, `preview` what it would do, `acts` starts, pauses
//! and ends it, `fire` carries out a step, `rollback` takes all of them back, and `progress` counts how far it is.
//! Whatever changes a wave first takes its row, so that of several proxies one after the other does.

mod acts;
mod create;
mod error;
mod fire;
mod members;
mod preview;
mod progress;
mod rollback;
mod target;

use jiff::Timestamp;

use super::database::on;
use super::{Store, StoreError};
use crate::api::{StepProgress, Target, Wave, WaveName, WaveState};
pub use error::{Act, WAVES_MOST, WaveError};
pub use fire::{Due, Fired};
pub use members::Added;
pub use progress::{PROGRESS_MOST, Progress};
pub use rollback::RolledBack;

/// Who orders something, why, and when.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Who: the name of a token.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Only look whether it can be done.
    pub dry_run: bool,
    /// Unix seconds.
    pub now: i64,
}

/// A wave as its columns.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    wave: String,
    created_at: i64,
    actor: String,
    reason: String,
    target: String,
    state: String,
    batch: String,
    members: Option<i64>,
}

#[derive(Debug, sqlx::FromRow)]
struct StepRow {
    wave: String,
    at: i64,
    mode: String,
    fired_at: Option<i64>,
    users: Option<i64>,
}

/// Has a step of the wave moved its member `m`?
const WAS_MOVED: &str =
    "EXISTS (SELECT 1 FROM wave_steps s JOIN audit f ON f.id = s.batch || '/' || m.username
    WHERE s.wave = m.wave)";

/// Takes the row of a wave within a transaction, until it ends.
macro_rules! take_wave {
    ($tx:ident, $name:expr) => {{
        let take = "UPDATE waves SET changed_at = changed_at WHERE wave = $1
            RETURNING wave, created_at, actor, reason, target, state, batch, members";
        let found: Option<$crate::store::waves::Row> =
            sqlx::query_as(take).bind($name.as_str()).fetch_optional(&mut *$tx).await?;
        found.ok_or_else(|| $crate::store::waves::WaveError::Unknown($name.clone()))?
    }};
}

/// Gives a wave another state within a transaction.
macro_rules! set_state {
    ($tx:ident, $name:expr, $state:expr, $now:expr) => {
        sqlx::query("UPDATE waves SET state = $2, changed_at = $3 WHERE wave = $1")
            .bind($name.as_str())
            .bind($state.as_str())
            .bind($now)
            .execute(&mut *$tx)
            .await?
    };
}

/// Writes what was done to a wave itself, within a transaction, and gives the generation and the id of the change.
/// From here on until the end of the transaction nobody else changes any setting.
macro_rules! wave_line {
    ($tx:ident, $name:expr, $action:expr, $detail:expr, $order:expr) => {{
        let generation: i64 =
            sqlx::query_scalar($crate::store::generation::RAISE).fetch_one(&mut *$tx).await?;
        let id = $crate::store::changes::id(generation);
        let line = "INSERT INTO audit (id, at, actor, action, kind, subject, detail, reason, batch)
            VALUES ($1, $2, $3, $4, 'wave', $5, $6, $7, $1)";
        let detail: Option<String> = $detail;
        sqlx::query(line)
            .bind(&id)
            .bind($order.now)
            .bind($order.actor)
            .bind($action)
            .bind($name.as_str())
            .bind(detail)
            .bind($order.reason)
            .execute(&mut *$tx)
            .await?;
        (generation, id)
    }};
}

use {set_state, take_wave, wave_line};

impl Row {
    fn name(&self) -> Result<WaveName, StoreError> {
        self.wave.parse().map_err(|_| StoreError::Foreign(format!("a wave called {:?}", self.wave)))
    }

    fn target(&self) -> Result<Target, StoreError> {
        serde_json::from_str(&self.target)
            .map_err(|error| StoreError::Foreign(format!("a target of a wave that is none ({error})")))
    }

    fn state(&self) -> Result<WaveState, StoreError> {
        use WaveState::{Draft, Finished, Paused, RolledBack, Running};
        let mut states = [Draft, Running, Paused, Finished, RolledBack].into_iter();
        let found = states.find(|state| state.as_str() == self.state);
        found.ok_or_else(|| StoreError::Foreign(format!("a wave in the state {:?}", self.state)))
    }

    fn wave(self, steps: Vec<StepProgress>) -> Result<Wave, StoreError> {
        Ok(Wave {
            name: self.name()?,
            state: self.state()?,
            target: self.target()?,
            steps,
            members: self.members.map(i64::unsigned_abs),
            created_at: time(self.created_at)?,
            created_by: self.actor,
            reason: self.reason,
        })
    }
}

fn time(seconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_second(seconds).map_err(|_| StoreError::Foreign(format!("the time {seconds}")))
}

fn step(row: &StepRow) -> Result<StepProgress, StoreError> {
    let mode = super::changes::mode(Some(&row.mode))?;
    Ok(StepProgress {
        at: time(row.at)?,
        mode: mode.ok_or_else(|| StoreError::Foreign("a step without a mode".to_owned()))?,
        fired_at: row.fired_at.map(time).transpose()?,
        users: row.users.map(i64::unsigned_abs),
    })
}

impl Store {
    /// All waves, the newest first.
    pub async fn waves(&self) -> Result<Vec<Wave>, StoreError> {
        let rows = "SELECT wave, created_at, actor, reason, target, state, batch, members FROM waves
            ORDER BY created_at DESC, wave LIMIT $1";
        let steps = "SELECT wave, at, mode, fired_at, users FROM wave_steps ORDER BY wave, step";
        let (rows, steps): (Vec<Row>, Vec<StepRow>) = on!(&self.database, pool => (
            sqlx::query_as(rows).bind(WAVES_MOST).fetch_all(pool).await?,
            sqlx::query_as(steps).fetch_all(pool).await?,
        ));
        let waves = rows.into_iter().map(|row| {
            let own = steps.iter().filter(|step| step.wave == row.wave);
            let own = own.map(step).collect::<Result<_, _>>()?;
            row.wave(own)
        });
        waves.collect()
    }

    /// One wave.
    pub async fn wave(&self, name: &WaveName) -> Result<Wave, StoreError> {
        let row = self.wave_row(name).await?;
        let steps = "SELECT wave, at, mode, fired_at, users FROM wave_steps WHERE wave = $1 ORDER BY step";
        let steps: Vec<StepRow> =
            on!(&self.database, pool => sqlx::query_as(steps).bind(name.as_str()).fetch_all(pool).await)?;
        row.wave(steps.iter().map(step).collect::<Result<_, _>>()?)
    }

    async fn wave_row(&self, name: &WaveName) -> Result<Row, StoreError> {
        let row = "SELECT wave, created_at, actor, reason, target, state, batch, members FROM waves
            WHERE wave = $1";
        let row: Option<Row> =
            on!(&self.database, pool => sqlx::query_as(row).bind(name.as_str()).fetch_optional(pool).await)?;
        Ok(row.ok_or_else(|| WaveError::Unknown(name.clone()))?)
    }
}
