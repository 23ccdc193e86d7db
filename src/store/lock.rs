//! One proxy for one `SQLite` file. A second one would not see what the first changes: a flip made on one
//! would not hold on the other.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::StoreError;

/// Held until the drain begins, or the process ends in whatever way: the system lets go of it.
#[derive(Debug)]
pub(super) struct Lock(Mutex<Option<File>>);

impl Lock {
    /// Takes the lock of a state file, which is another file beside it.
    pub(super) fn take(state: &Path) -> Result<Self, StoreError> {
        let path = beside(state);
        let unusable = |source| StoreError::Lock { path: path.clone(), source };
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(Mutex::new(Some(file)))),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: state.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// For whoever only reads, or has it already.
    pub(super) const fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// Lets a successor have it, while what is under way here is finished.
    pub(super) fn release(&self) {
        let mut held = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(file) = held.take() {
            // Closing it would not do while a child process is between fork and exec: it has it open as well. What
            // cannot be unlocked is closed.
            let _ = file.unlock();
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.release();
    }
}

fn beside(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_until_the_first_lets_go() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("state.db");
        let first = Lock::take(&state).expect("free");
        let refused = Lock::take(&state).expect_err("taken").to_string();
        assert!(refused.contains("another lastpop") && refused.contains("postgres://"), "{refused}");
        first.release();
        Lock::take(&state).expect("free again");
    }
}
