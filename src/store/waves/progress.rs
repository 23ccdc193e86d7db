//! How far are the waves? Counting a million members takes a second, so one proxy does it for all of them, once
//! a minute at most, and never again for a wave that has ended.

use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use super::WAS_MOVED;
use crate::api::{WaveName, WaveState};
use crate::store::batch::count;
use crate::store::database::{on, writing};
use crate::store::{Store, StoreError};

/// Waves whose progress is shown: those that were made last.
pub const PROGRESS_MOST: i64 = 50;

/// Seconds for which a count holds.
const FRESH: i64 = 60;

/// The name of the summary, and of the lease for it.
const NAME: &str = "waves";

/// How far a wave is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub wave: WaveName,
    /// Members, as they were counted within the last minutes; `None`: not yet.
    pub users: Option<Users>,
    /// Steps that have fired.
    pub fired: u64,
    /// Steps whose time has come.
    pub due: u64,
    /// Steps whose time is to come.
    pub planned: u64,
}

/// Members of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// They are as the wave has set them.
    pub moved: u64,
    /// Somebody else has set them since; or the wave has ended, and they were where it goes already.
    pub left_alone: u64,
    /// No step has changed them yet.
    pub waiting: u64,
}

/// What is remembered of a count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    batch: String,
    finished: bool,
    users: Users,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    wave: String,
    state: String,
    batch: String,
    fired: i64,
    due: i64,
    planned: i64,
}

const WAVES: &str = "SELECT w.wave, w.state, w.batch,
        (SELECT count(*) FROM wave_steps s WHERE s.wave = w.wave AND s.fired_at IS NOT NULL) AS fired,
        (SELECT count(*) FROM wave_steps s WHERE s.wave = w.wave AND s.fired_at IS NULL AND s.at <= $1) AS due,
        (SELECT count(*) FROM wave_steps s WHERE s.wave = w.wave AND s.fired_at IS NULL AND s.at > $1) AS planned
    FROM waves w WHERE w.state IN ('running', 'paused', 'finished')
    ORDER BY w.created_at DESC, w.wave LIMIT $2";

/// Members who are as the wave has set them, those whom it has moved, and all. Parameters: wave, `set_by`.
fn members() -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "SELECT CAST(COALESCE(SUM(CASE WHEN u.set_by = $2 THEN 1 ELSE 0 END), 0) AS BIGINT),
            CAST(COALESCE(SUM(CASE WHEN u.set_by = $2 OR {WAS_MOVED} THEN 1 ELSE 0 END), 0) AS BIGINT), count(*)
        FROM wave_members m LEFT JOIN users u ON u.username = m.username WHERE m.wave = $1"
    ))
}

impl Store {
    /// How far the waves are that were started and not rolled back, the newest [`PROGRESS_MOST`] of them. `now` is
    /// in Unix seconds.
    pub async fn wave_progress(&self, now: i64) -> Result<Vec<Progress>, StoreError> {
        let waves: Vec<Row> = on!(&self.database, pool => sqlx::query_as(WAVES)
            .bind(now).bind(PROGRESS_MOST).fetch_all(pool).await)?;
        let counted = self.counted(&waves, now).await?;
        let progress = |row: Row| {
            let wave = row.wave.parse();
            let users = counted.iter().find(|counted| counted.batch == row.batch);
            Ok(Progress {
                wave: wave.map_err(|_| StoreError::Foreign(format!("a wave called {:?}", row.wave)))?,
                users: users.map(|counted| counted.users),
                fired: count(row.fired),
                due: count(row.due),
                planned: count(row.planned),
            })
        };
        waves.into_iter().map(progress).collect()
    }

    /// The count that holds, made anew by one proxy when it is old.
    async fn counted(&self, waves: &[Row], now: i64) -> Result<Vec<Counted>, StoreError> {
        let read = "SELECT at, body FROM summaries WHERE name = $1";
        let found: Option<(i64, String)> =
            on!(&self.database, pool => sqlx::query_as(read).bind(NAME).fetch_optional(pool).await)?;
        let (at, known) = found.map_or((i64::MIN, Vec::new()), |(at, body)| {
            // One that another version wrote is made anew.
            (at, serde_json::from_str::<Vec<Counted>>(&body).unwrap_or_default())
        });
        if now < at.saturating_add(FRESH) || !self.lease(NAME, now, FRESH).await? {
            return Ok(known);
        }
        let mut counted = Vec::with_capacity(waves.len());
        for wave in waves {
            let finished = wave.state == WaveState::Finished.as_str();
            let ended = known.iter().find(|known| known.batch == wave.batch && known.finished && finished);
            counted.push(match ended {
                Some(known) => known.clone(),
                None => self.count_members(wave, finished).await?,
            });
        }
        let body = serde_json::to_string(&counted)
            .map_err(|error| StoreError::Foreign(format!("a count that is none ({error})")))?;
        let write = "INSERT INTO summaries (name, at, body) VALUES ($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET at = excluded.at, body = excluded.body";
        writing!(&self.database, connection => sqlx::query(write)
            .bind(NAME).bind(now).bind(body).execute(&mut *connection).await.map(drop))?;
        Ok(counted)
    }

    async fn count_members(&self, wave: &Row, finished: bool) -> Result<Counted, StoreError> {
        let (as_set, moved, all): (i64, i64, i64) = on!(&self.database, pool => sqlx::query_as(members())
            .bind(&wave.wave).bind(&wave.batch).fetch_one(pool).await)?;
        let (as_set, moved, all) = (count(as_set), count(moved), count(all));
        let waiting = if finished { 0 } else { all - moved };
        let users = Users { moved: as_set, left_alone: all - as_set - waiting, waiting };
        Ok(Counted { batch: wave.batch.clone(), finished, users })
    }
}
