//! Making a wave: a draft, which does nothing.

use super::{Order, WAVES_MOST, WaveError, wave_line};
use crate::api::{CreateWave, Step, StepProgress, Steps, Target, Wave, WaveState};
use crate::store::database::{Waits, transaction};
use crate::store::{Concerns, Store, StoreError};

impl Store {
    /// Makes a wave, as a draft. One that is there already with the same target and the same steps is that wave,
    /// whatever it is doing by now. `actor` is the name of a token, `now` is in Unix seconds. With `new.dry_run`
    /// it is only checked, and given as it would be.
    pub async fn create_wave(&self, new: &CreateWave, actor: &str, now: i64) -> Result<Wave, StoreError> {
        self.database.present()?;
        if matches!(&new.target, Target::Query(users) if users.is_empty()) {
            return Err(WaveError::NoCondition.into());
        }
        let existing = match self.wave(&new.name).await {
            Err(StoreError::Wave(WaveError::Unknown(_))) => None,
            wave => Some(wave?),
        };
        if let Some(wave) = existing {
            return same(wave, new);
        }
        if new.dry_run {
            return draft(new, actor, now);
        }
        let order = Order { actor, reason: new.reason.as_str(), dry_run: false, now };
        let target = serde_json::to_string(&new.target)
            .map_err(|error| StoreError::Foreign(format!("a target that is none ({error})")))?;
        let list = matches!(new.target, Target::Csv);
        let _turn = self.turns.soon().await?;
        let made: Result<Option<i64>, StoreError> = transaction!(&self.database, Waits::Briefly, tx => {
            let insert = "INSERT INTO waves (wave, created_at, actor, reason, target, state, batch, members,
                    changed_at)
                SELECT $1, $2, $3, $4, $5, $6, '', $7, $2
                WHERE (SELECT count(*) FROM waves) < $8
                ON CONFLICT (wave) DO NOTHING";
            let inserted = sqlx::query(insert)
                .bind(new.name.as_str()).bind(now).bind(actor).bind(order.reason).bind(&target)
                .bind(WaveState::Draft.as_str()).bind(list.then_some(0_i64)).bind(WAVES_MOST)
                .execute(&mut *tx).await?;
            if inserted.rows_affected() == 0 {
                return Ok(None);
            }
            for (number, Step { at, mode }) in (1_i64..).zip(new.steps.as_slice()) {
                sqlx::query("INSERT INTO wave_steps (wave, step, at, mode) VALUES ($1, $2, $3, $4)")
                    .bind(new.name.as_str()).bind(number).bind(at.as_second()).bind(mode.as_str())
                    .execute(&mut *tx).await?;
            }
            let (generation, id) = wave_line!(tx, new.name, "create", Some(target.clone()), order);
            // What its changes are called: no other wave of this name, before or after, has the same.
            sqlx::query("UPDATE waves SET batch = $2 WHERE wave = $1")
                .bind(new.name.as_str()).bind(&id).execute(&mut *tx).await?;
            Ok(Some(generation))
        });
        match made? {
            Some(generation) => {
                self.announce(generation, &Concerns::Domains).await;
                self.wave(&new.name).await.map_err(StoreError::after_all)
            }
            // Somebody else was faster, or there is no room.
            None => match self.wave(&new.name).await {
                Err(StoreError::Wave(WaveError::Unknown(_))) => Err(WaveError::TooMany.into()),
                wave => same(wave?, new),
            },
        }
    }
}

/// A wave that has the name already, if it is the same.
fn same(wave: Wave, new: &CreateWave) -> Result<Wave, StoreError> {
    let had = wave.steps.iter().map(|step| (step.at.as_second(), step.mode));
    let wanted = new.steps.as_slice().iter().map(|step| (step.at.as_second(), step.mode));
    if wave.target == new.target && had.eq(wanted) {
        Ok(wave)
    } else {
        Err(WaveError::Exists(new.name.clone()).into())
    }
}

/// The wave as it would be.
fn draft(new: &CreateWave, actor: &str, now: i64) -> Result<Wave, StoreError> {
    let planned = |step: &Step| StepProgress { at: step.at, mode: step.mode, fired_at: None, users: None };
    let steps: &Steps = &new.steps;
    Ok(Wave {
        name: new.name.clone(),
        state: WaveState::Draft,
        target: new.target.clone(),
        steps: steps.as_slice().iter().map(planned).collect(),
        members: matches!(new.target, Target::Csv).then_some(0),
        created_by: actor.to_owned(),
        created_at: super::time(now)?,
        reason: new.reason.as_str().to_owned(),
    })
}
