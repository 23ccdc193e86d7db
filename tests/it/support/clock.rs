//! A clock that lastpop goes by and a test moves: libfaketime answers for the time of the day, and for nothing else,
//! so that timers run as ever.

use std::path::PathBuf;

use jiff::Timestamp;
use tempfile::TempDir;

/// Where Debian keeps libraries, in one folder for each architecture.
const LIBRARIES: &str = "/usr/lib";

/// Stands still at the moment at which it was put, until it is moved.
pub(crate) struct Clock {
    directory: TempDir,
}

impl Clock {
    /// Shows this moment, to the second.
    pub(crate) fn at(now: Timestamp) -> Self {
        let clock = Self { directory: tempfile::tempdir().expect("a temporary directory") };
        clock.set(now);
        clock
    }

    /// Shows another moment, from the next look on.
    pub(crate) fn set(&self, now: Timestamp) {
        // By rename: nobody reads half of it.
        let new = self.directory.path().join("new");
        std::fs::write(&new, now.as_second().to_string()).expect("write the time");
        std::fs::rename(&new, self.file()).expect("rename the time");
    }

    /// What a process needs in its environment to go by this clock.
    pub(crate) fn environment(&self) -> [(&'static str, String); 7] {
        let file = self.file().display().to_string();
        [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // Unix seconds, which libfaketime takes for the local time of the process.
            ("FAKETIME_FMT", "%s".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("now")
    }
}

/// A process that is killed cannot tidy up what libfaketime keeps of it in shared memory.
pub(crate) fn swept(process: u32) {
    for file in ["faketime_shm_", "sem.faketime_sem_"] {
        // Absent where it ended by itself, or went by no such clock.
        let _ = std::fs::remove_file(format!("/dev/shm/{file}{process}"));
    }
}

/// The one for programs with threads.
fn library() -> PathBuf {
    let folders = std::fs::read_dir(LIBRARIES).expect("a folder with libraries");
    let found = folders
        .map(|folder| folder.expect("an entry").path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists());
    found.expect("libfaketime; install the Debian package faketime")
}
