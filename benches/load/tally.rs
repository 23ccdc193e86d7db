//! What was counted, and the line that tells it.

use std::fmt::Write;
use std::time::Duration;

use crate::processes::Used;

/// Sessions and what they moved.
#[derive(Default)]
pub(crate) struct Tally {
    seconds: Vec<f64>,
    octets: usize,
}

impl Tally {
    pub(crate) fn session(&mut self, took: Duration, octets: usize) {
        self.seconds.push(took.as_secs_f64());
        self.octets += octets;
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.seconds.extend(other.seconds);
        self.octets += other.octets;
    }

    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(crate) fn report(mut self, elapsed: Duration, used: Option<&Used>) -> String {
        let elapsed = elapsed.as_secs_f64();
        let sessions = self.seconds.len() as f64;
        let octets = self.octets as f64;
        let mut line = format!(
            "sessions={sessions} octets={octets} elapsed={elapsed:.3} per_second={:.2} p50_ms={:.3} mb_per_second={:.3}",
            sessions / elapsed,
            median(&mut self.seconds) * 1e3,
            octets / elapsed / 1e6,
        );
        if let Some(used) = used {
            // Writing to a String cannot fail.
            let _ = write!(line, " cpu_ms={:.4}", used.cpu * 1e3 / sessions);
            if let Some(growth) = used.growth {
                let _ = write!(line, " growth_mib={:.3}", growth as f64 / 1024.0);
            }
            if self.octets > 0 {
                let _ = write!(line, " cpu_s_per_gb={:.4}", used.cpu / octets * 1e9);
            }
        }
        line
    }
}

/// The middle one; 0 when there is none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
