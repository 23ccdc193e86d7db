//! Waves: what was carried out, and how far each is.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus::{Error, IntCounter, IntCounterVec, IntGaugeVec, Opts};

use super::Register;
use crate::policy::Mode;

/// Members: as the wave has set them; set by somebody else since, or beyond; not reached by a step yet.
const USERS: [&str; 3] = ["moved", "left_alone", "waiting"];

/// Steps: carried out; their time has come; their time is to come.
const STEPS: [&str; 3] = ["fired", "due", "planned"];

/// Waves.
#[derive(Debug)]
pub struct Waves {
    /// Steps that this proxy has carried out, by the mode that they set.
    pub steps_fired: IntCounterVec,
    /// Users whom they moved, by the same.
    pub step_users: IntCounterVec,
    /// Steps that could not be carried out; each is tried again.
    pub failures: IntCounter,
    users: IntGaugeVec,
    steps: IntGaugeVec,
    shown: Mutex<BTreeSet<String>>,
}

/// How far a wave is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveShown {
    /// Its name.
    pub wave: String,
    /// Members who were moved, left alone, and wait; `None`: not counted yet.
    pub users: Option<[u64; 3]>,
    /// Steps that fired, are due, and are planned.
    pub steps: [u64; 3],
}

impl Waves {
    pub(super) fn new(to: &Register) -> Result<Self, Error> {
        let modes = ("mode", &Mode::ALL.map(Mode::as_str)[..]);
        let by_wave = |name: &str, help: &str| {
            to.add(IntGaugeVec::new(Opts::new(format!("lastpop_{name}"), help), &["wave", "state"])?)
        };
        Ok(Self {
            steps_fired: to.counters(
                "wave_steps_fired_total",
                "Steps of waves that were carried out.",
                modes,
            )?,
            step_users: to.counters(
                "wave_step_users_total",
                "Users whom steps of waves have moved.",
                modes,
            )?,
            failures: to.counter(
                "wave_step_failures_total",
                "Steps of waves that could not be carried out. Each is tried again every second.",
            )?,
            users: by_wave(
                "wave_users",
                "Members of the newest 50 waves; counted after each step, and once an hour.",
            )?,
            steps: by_wave("wave_steps", "Steps of the newest 50 waves.")?,
            shown: Mutex::default(),
        })
    }

    /// Shows these waves and no others.
    pub fn show(&self, waves: &[WaveShown]) {
        let now: BTreeSet<String> = waves.iter().map(|wave| wave.wave.clone()).collect();
        let set = |gauges: &IntGaugeVec, wave: &str, states: [&str; 3], values: [u64; 3]| {
            for (state, value) in states.into_iter().zip(values) {
                gauges.with_label_values(&[wave, state]).set(i64::try_from(value).unwrap_or(i64::MAX));
            }
        };
        for WaveShown { wave, users, steps } in waves {
            if let Some(users) = users {
                set(&self.users, wave, USERS, *users);
            }
            set(&self.steps, wave, STEPS, *steps);
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.difference(&now) {
            for (gauges, states) in [(&self.users, USERS), (&self.steps, STEPS)] {
                // One that was not counted has none.
                for state in states {
                    drop(gauges.remove_label_values(&[gone.as_str(), state]));
                }
            }
        }
        *shown = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn waves_come_and_go() {
        let metrics = Metrics::new(&[]).unwrap();
        let text = || String::from_utf8(metrics.encode().unwrap()).unwrap();
        let wave = |name: &str, users| WaveShown { wave: name.to_owned(), users, steps: [1, 0, 2] };
        metrics.waves.show(&[wave("a", Some([3, 1, 6])), wave("b", None)]);
        for series in [
            "lastpop_wave_users{state=\"left_alone\",wave=\"a\"} 1",
            "lastpop_wave_steps{state=\"planned\",wave=\"b\"} 2",
            "lastpop_wave_steps_fired_total{mode=\"imap-only\"} 0",
        ] {
            assert!(text().contains(series), "{series}");
        }
        assert!(!text().contains("lastpop_wave_users{state=\"moved\",wave=\"b\"}"));
        metrics.waves.show(&[wave("b", Some([0, 0, 1]))]);
        assert!(text().contains("lastpop_wave_users{state=\"waiting\",wave=\"b\"} 1"));
        assert!(!text().contains("wave=\"a\""));
    }
}
