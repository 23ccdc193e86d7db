//! Starting, pausing, resuming and deleting a wave. What it is doing already, it goes on doing.

use std::sync::Arc;

use super::members::{PAGE, Whose, add, page};
use super::{Act, Order, WaveError, set_state, take_wave, target, wave_line};
use crate::api::{Target, Wave, WaveName, WaveState};
use crate::store::database::{Waits, transaction};
use crate::store::effective::Configured;
use crate::store::{Concerns, Store, StoreError};

impl Store {
    /// Starts a wave: its members are worked out now, where they were not sent, and are fixed from here on. Who
    /// comes later is not in it. Its steps fire when their time has come, those whose time has passed at once.
    pub async fn start_wave(
        &self,
        name: &WaveName,
        order: &Order<'_>,
        configured: &Configured,
    ) -> Result<Wave, StoreError> {
        self.database.present()?;
        let _turn = self.turns.take().await?;
        let started: Result<Option<i64>, StoreError> = transaction!(&self.database, Waits::Long, tx => {
            let row = take_wave!(tx, name);
            if !Act::Start.changes(name, row.state()?)? || order.dry_run {
                return Ok(None);
            }
            let target = row.target()?;
            let mut members = row.members.unwrap_or_default().unsigned_abs();
            if !matches!(target, Target::Csv) {
                let whose = Whose::Domain(target::domain(&target));
                let text: Arc<str> = whose.page().into();
                let mut after = String::new();
                loop {
                    let found = page!(&mut *tx, &text, whose.key(), &after, order.now)?;
                    let is_last = found.len() < PAGE;
                    let mut taken = Vec::with_capacity(found.len());
                    for found in found {
                        let user = found.candidate(configured)?;
                        if target::takes(&target, &user, order.now) {
                            taken.push((user.username.clone(), user.domain));
                        }
                        after = user.username;
                    }
                    members += add!(tx, name, taken);
                    if is_last {
                        break;
                    }
                }
            }
            if members == 0 {
                return Err(WaveError::NoMembers(name.clone()).into());
            }
            set_state!(tx, name, WaveState::Running, order.now);
            let detail = Some(format!("{members} users"));
            let (generation, _) = wave_line!(tx, name, Act::Start.as_str(), detail, order);
            Ok(Some(generation))
        });
        self.done(name, started?).await
    }

    /// Pauses a wave: no step fires until it is resumed.
    pub async fn pause_wave(&self, name: &WaveName, order: &Order<'_>) -> Result<Wave, StoreError> {
        self.set_wave(name, Act::Pause, WaveState::Paused, order).await
    }

    /// Resumes a wave. Steps whose time has passed fire at once, in order.
    pub async fn resume_wave(&self, name: &WaveName, order: &Order<'_>) -> Result<Wave, StoreError> {
        self.set_wave(name, Act::Resume, WaveState::Running, order).await
    }

    async fn set_wave(
        &self,
        name: &WaveName,
        act: Act,
        state: WaveState,
        order: &Order<'_>,
    ) -> Result<Wave, StoreError> {
        self.database.present()?;
        let _turn = self.turns.soon().await?;
        let set: Result<Option<i64>, StoreError> = transaction!(&self.database, Waits::Briefly, tx => {
            let row = take_wave!(tx, name);
            if !act.changes(name, row.state()?)? || order.dry_run {
                return Ok(None);
            }
            set_state!(tx, name, state, order.now);
            let (generation, _) = wave_line!(tx, name, act.as_str(), None, order);
            Ok(Some(generation))
        });
        self.done(name, set?).await
    }

    /// Forgets a wave that is a draft or has ended. What it did to its members stays, and so does the audit trail.
    pub async fn delete_wave(&self, name: &WaveName, order: &Order<'_>) -> Result<(), StoreError> {
        self.database.present()?;
        let _turn = self.turns.take().await?;
        let deleted: Result<Option<i64>, StoreError> = transaction!(&self.database, Waits::Long, tx => {
            let row = take_wave!(tx, name);
            if !Act::Delete.changes(name, row.state()?)? || order.dry_run {
                return Ok(None);
            }
            for table in [
                "DELETE FROM wave_members WHERE wave = $1",
                "DELETE FROM wave_steps WHERE wave = $1",
                "DELETE FROM waves WHERE wave = $1",
            ] {
                sqlx::query(table).bind(name.as_str()).execute(&mut *tx).await?;
            }
            let (generation, _) = wave_line!(tx, name, Act::Delete.as_str(), None, order);
            Ok(Some(generation))
        });
        if let Some(generation) = deleted? {
            self.announce(generation, &Concerns::Domains).await;
        }
        Ok(())
    }

    /// What the wave is like now.
    async fn done(&self, name: &WaveName, generation: Option<i64>) -> Result<Wave, StoreError> {
        let Some(generation) = generation else { return self.wave(name).await };
        self.announce(generation, &Concerns::Domains).await;
        self.wave(name).await.map_err(StoreError::after_all)
    }
}
