//! What would a wave do if it were started now? Nothing is changed by looking.

use std::sync::Arc;

use super::members::{PAGE, Whose, page};
use super::target::{self, Candidate, ago};
use crate::api::{StepProgress, Target, Wave, WaveName, WavePreview, WaveState};
use crate::policy::Mode;
use crate::store::database::on;
use crate::store::effective::Configured;
use crate::store::{Store, StoreError};

impl Store {
    /// What a wave would do; of one that was started, what it still would. `now` is in Unix seconds.
    pub async fn preview_wave(
        &self,
        name: &WaveName,
        configured: &Configured,
        now: i64,
    ) -> Result<WavePreview, StoreError> {
        let (wave, row) = (self.wave(name).await?, self.wave_row(name).await?);
        let fixed = wave.state != WaveState::Draft || wave.target == Target::Csv;
        let whose = if fixed { Whose::Wave(name) } else { Whose::Domain(target::domain(&wave.target)) };
        let text: Arc<str> = whose.page().into();
        let mut preview = WavePreview {
            name: name.clone(),
            users: 0,
            active_1: 0,
            active_7: 0,
            active_30: 0,
            already: 0,
            own_setting: 0,
            never_seen: 0,
            warnings: Vec::new(),
        };
        let last = wave.steps.last().map_or(Mode::Pop3, |step| step.mode);
        let mut after = String::new();
        loop {
            let found = on!(&self.database, pool => page!(pool, &text, whose.key(), &after, now))?;
            let is_last = found.len() < PAGE;
            for found in found {
                let user = found.candidate(configured)?;
                if fixed || target::takes(&wave.target, &user, now) {
                    look_at(&mut preview, &user, last, &row.batch, now);
                }
                after = user.username;
            }
            if is_last {
                break;
            }
        }
        preview.warnings = warnings(&wave, &preview, now);
        Ok(preview)
    }
}

fn look_at(preview: &mut WavePreview, user: &Candidate, last: Mode, batch: &str, now: i64) {
    let seen_since = |days| user.last_seen.is_some_and(|seen| seen >= ago(now, days));
    let already = user.mode >= last;
    let others = user.own && user.set_by.as_deref() != Some(batch);
    preview.users += 1;
    preview.active_1 += u64::from(seen_since(1));
    preview.active_7 += u64::from(seen_since(7));
    preview.active_30 += u64::from(seen_since(30));
    preview.already += u64::from(already);
    preview.own_setting += u64::from(others && !already && !user.moved);
    preview.never_seen += u64::from(user.last_seen.is_none());
}

/// Sentences about what may surprise.
fn warnings(wave: &Wave, preview: &WavePreview, now: i64) -> Vec<String> {
    let mut warnings = Vec::new();
    if preview.users == 0 {
        warnings.push("Nobody is in this wave.".to_owned());
    }
    if preview.own_setting > 0 {
        let users = users(preview.own_setting);
        warnings.push(format!("The wave replaces a setting that somebody made for one user alone: {users}."));
    }
    if preview.never_seen > 0 && wave.target == Target::Csv {
        let users = users(preview.never_seen);
        warnings.push(format!("The list names who was never seen over POP3: {users}; is it spelled right?"));
    }
    let ended = matches!(wave.state, WaveState::Finished | WaveState::RolledBack);
    let mut before = Mode::Pop3;
    for (number, StepProgress { at, mode, fired_at, .. }) in (1..).zip(&wave.steps) {
        if *mode <= before {
            warnings.push(format!(
                "Step {number} ({mode}) changes nobody: a wave only moves forward, and its members are at \
                 {before} by then."
            ));
        }
        if fired_at.is_none() && at.as_second() <= now && !ended {
            warnings.push(format!(
                "The time of step {number} ({mode}, {at}) has passed: it fires as soon as the wave runs."
            ));
        }
        before = before.max(*mode);
    }
    warnings
}

fn users(count: u64) -> String {
    if count == 1 { "1 user".to_owned() } else { format!("{count} users") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_surprise_is_said() {
        let step = |at: i64, mode| StepProgress {
            at: jiff::Timestamp::from_second(at).unwrap(),
            mode,
            fired_at: None,
            users: None,
        };
        let mut wave = Wave {
            name: "w".parse().unwrap(),
            state: WaveState::Draft,
            target: Target::Csv,
            steps: vec![step(200, Mode::Notice), step(300, Mode::ImapOnly)],
            members: Some(2),
            created_by: "ilze".to_owned(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
            reason: "a test".to_owned(),
        };
        let mut preview = WavePreview {
            name: wave.name.clone(),
            users: 2,
            active_1: 0,
            active_7: 0,
            active_30: 0,
            already: 0,
            own_setting: 0,
            never_seen: 0,
            warnings: Vec::new(),
        };
        assert_eq!(warnings(&wave, &preview, 100), Vec::<String>::new());
        wave.steps = vec![step(50, Mode::ImapOnly), step(300, Mode::Notice)];
        (preview.own_setting, preview.never_seen) = (1, 2);
        let expected = [
            "The wave replaces a setting that somebody made for one user alone: 1 user.",
            "The list names who was never seen over POP3: 2 users; is it spelled right?",
            "The time of step 1 (imap-only, 1970-01-01T00:00:50Z) has passed: it fires as soon as the wave runs.",
            "Step 2 (notice) changes nobody: a wave only moves forward, and its members are at imap-only by then.",
        ];
        assert_eq!(warnings(&wave, &preview, 100), expected);
    }
}
