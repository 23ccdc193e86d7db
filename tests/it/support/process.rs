//! Ending the processes that a test started.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long a process may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(40);

/// Sends SIGTERM and waits; a process that ignores it is killed. Says whether it ended by itself.
pub(crate) fn terminate(child: &mut Child) -> bool {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return true;
    }
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    let end = Instant::now() + PATIENCE;
    while sent.is_ok() && Instant::now() < end {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Ok(Some(_)) => return true,
            Err(_) => break,
        }
    }
    // Both fail only for a process that is gone already.
    let _ = child.kill();
    let _ = child.wait();
    false
}
