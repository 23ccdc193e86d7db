//! What the processes of a server use. They are found by their session (as `setsid` makes it), which stays
//! the same in all that the server forks.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Outcome;

/// Clock ticks a second in `/proc/PID/stat`; the kernel promises this number to programs, whatever its own is.
const TICKS: f64 = 100.0;

/// Between two looks at the memory. A look stops the process for some 100 microseconds.
const PAUSE: Duration = Duration::from_millis(25);

/// What was used while a workload ran.
pub(crate) struct Used {
    /// Seconds, user and system.
    pub(crate) cpu: f64,
    /// KiB: the highest sum of memory (PSS) minus the one at the beginning.
    pub(crate) growth: Option<u64>,
}

/// A session that is being watched.
pub(crate) struct Watch {
    session: u32,
    cpu: f64,
    before: u64,
    over: Arc<AtomicBool>,
    peak: Option<JoinHandle<u64>>,
}

impl Watch {
    /// `look` at the memory again and again; this costs time, and is not for figures about time.
    pub(crate) fn begin(session: u32, look: bool) -> Outcome<Self> {
        let before = memory(session)?;
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        let peak = move || {
            let mut peak = before;
            while !flag.load(Ordering::Relaxed) {
                // A process that ends just now is no matter: the next look comes soon.
                peak = peak.max(memory(session).unwrap_or(0));
                thread::sleep(PAUSE);
            }
            peak
        };
        let peak = look.then(|| thread::spawn(peak));
        Ok(Self { session, cpu: cpu(session)?, before, over, peak })
    }

    pub(crate) fn end(self) -> Outcome<Used> {
        let cpu = cpu(self.session)? - self.cpu;
        self.over.store(true, Ordering::Relaxed);
        let peak =
            self.peak.map(|peak| peak.join().map_err(|_| "the look at the memory panicked")).transpose()?;
        Ok(Used { cpu, growth: peak.map(|peak| peak - self.before) })
    }
}

/// The processes of a session, each with the fields of its `stat` after the name.
fn members(session: u32) -> Outcome<Vec<(u32, Vec<String>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // The name stands in brackets and may hold anything.
        let Some((_, fields)) = stat.rsplit_once(") ") else { continue };
        let fields: Vec<String> = fields.split_ascii_whitespace().map(str::to_owned).collect();
        if fields.get(3) == Some(&session.to_string()) {
            found.push((pid, fields));
        }
    }
    if found.is_empty() { Err(format!("no process is in session {session}").into()) } else { Ok(found) }
}

/// Seconds: of all that run, and of all that they had and waited for.
fn cpu(session: u32) -> Outcome<f64> {
    let mut ticks = 0.0;
    for (_, fields) in members(session)? {
        for field in fields.get(11..15).ok_or("/proc/PID/stat is shorter than it should be")? {
            ticks += field.parse::<f64>()?;
        }
    }
    Ok(ticks / TICKS)
}

/// KiB: what they have for themselves, and their share of the rest.
fn memory(session: u32) -> Outcome<u64> {
    let mut sum = 0;
    for (pid, _) in members(session)? {
        let Ok(rollup) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        sum += line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}
