//! How far are the waves? Counting a million members takes seconds, so one proxy does it for all of them: after each
//! step, and then once an hour, because support may set some of them; and never again once a wave has ended.

use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use super::WAS_MOVED;
use crate::api::{WaveName, WaveState};
use crate::store::batch::count;
use crate::store::database::on;
use crate::store::{Store, StoreError};

/// Waves whose progress is shown: those that were made last.
pub const PROGRESS_MOST: i64 = 50;

/// Seconds for which a count holds, unless a step is carried out.
const FRESH: i64 = 60 * 60;

/// Seconds after which whoever began to count is believed to be gone.
const LONGEST: i64 = 10 * 60;

/// The name of the summary, and of the lease for it.
const NAME: &str = "waves";

/// How far a wave is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub wave: WaveName,
    /// Members, as they were counted after the last step or within the last hour; `None`: not yet.
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
    /// After so many steps.
    fired: i64,
    /// Unix seconds.
    at: i64,
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

    /// The counts that hold, those that are old made anew by one proxy.
    async fn counted(&self, waves: &[Row], now: i64) -> Result<Vec<Counted>, StoreError> {
        let known = self.known_counts().await?;
        let is_old = |known: &[Counted]| waves.iter().any(|wave| holds(known, wave, now).is_none());
        if !is_old(&known) || !self.lease(NAME, now, LONGEST).await? {
            return Ok(known);
        }
        // Another proxy may have counted since we looked.
        let known = self.known_counts().await?;
        let mut counted = Vec::with_capacity(waves.len());
        for wave in waves {
            counted.push(match holds(&known, wave, now) {
                Some(count) => count.clone(),
                None => self.count_members(wave, now).await?,
            });
        }
        let body = serde_json::to_string(&counted)
            .map_err(|error| StoreError::Foreign(format!("a count that is none ({error})")))?;
        self.keep_summary(NAME, now, &body).await?;
        self.end_lease(NAME).await?;
        Ok(counted)
    }

    async fn known_counts(&self) -> Result<Vec<Counted>, StoreError> {
        let found = self.summary(NAME).await?;
        // One that another version wrote is made anew.
        Ok(found.and_then(|(_, body)| serde_json::from_str(&body).ok()).unwrap_or_default())
    }

    async fn count_members(&self, wave: &Row, now: i64) -> Result<Counted, StoreError> {
        let (as_set, moved, all): (i64, i64, i64) = on!(&self.database, pool => sqlx::query_as(members())
            .bind(&wave.wave).bind(&wave.batch).fetch_one(pool).await)?;
        let (as_set, moved, all) = (count(as_set), count(moved), count(all));
        let waiting = if wave.is_finished() { 0 } else { all - moved };
        let users = Users { moved: as_set, left_alone: all - as_set - waiting, waiting };
        Ok(Counted { batch: wave.batch.clone(), fired: wave.fired, at: now, users })
    }
}

impl Row {
    fn is_finished(&self) -> bool {
        self.state == WaveState::Finished.as_str()
    }
}

/// The count of a wave that still holds at `now`.
fn holds<'a>(known: &'a [Counted], wave: &Row, now: i64) -> Option<&'a Counted> {
    let of_wave = |known: &&Counted| known.batch == wave.batch && known.fired == wave.fired;
    let is_fresh = |known: &&Counted| wave.is_finished() || now < known.at.saturating_add(FRESH);
    known.iter().find(of_wave).filter(is_fresh)
}
