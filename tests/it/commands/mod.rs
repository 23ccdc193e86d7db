//! The commands on the API, as people and scripts type them, against a `lastpop serve` that runs: what they print and
//! how they fail. Answers that no lastpop gives are in `answers`; help, manual pages and completions in `shell`.

mod access;
mod answers;
mod bulk;
mod domains;
mod reports;
mod server;
mod sessions;
mod shell;
mod terminal;
mod unheard;
mod users;
mod waves;

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::support::proxy::lastpop;
use crate::support::wait;

/// What a command said, and its exit code.
#[derive(Debug)]
pub(super) struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs a command in a home of its own, with nothing on standard input but `input`.
pub(super) fn run(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ended {
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = |name| home.path().join(name);
    let file = |name| std::fs::File::create(path(name)).expect("an output file");
    let mut child = lastpop()
        .args(arguments)
        .env("HOME", home.path())
        .env_remove("XDG_CONFIG_HOME")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .expect("start lastpop through setpriv; install the Debian package util-linux");
    // A command that reads nothing may have ended already.
    let _ = child.stdin.take().expect("its standard input").write_all(input.as_bytes());
    let status = wait::until("the command ends", || child.try_wait().expect("wait for lastpop"));
    let read = |name| std::fs::read_to_string(path(name)).expect("text");
    let ended = Ended { code: status.code(), stdout: read("stdout"), stderr: read("stderr") };
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    for token in environment.iter().filter(|(name, value)| *name == "LASTPOP_TOKEN" && !value.is_empty()) {
        assert!(!ended.stdout.contains(token.1) && !ended.stderr.contains(token.1), "{ended:?}");
    }
    ended
}

impl Ended {
    /// It did what it should, and said all of this on standard output.
    #[track_caller]
    pub(super) fn fine(&self, said: &[&str]) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        for text in said {
            assert!(self.stdout.contains(text), "no {text:?} in {self:?}");
        }
        self
    }

    /// It said this on standard error.
    #[track_caller]
    pub(super) fn noted(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "no {text:?} in {self:?}");
        self
    }

    /// The lines on standard output behind the header, each in its columns.
    #[track_caller]
    pub(super) fn rows(&self) -> Vec<Vec<&str>> {
        self.fine(&[]);
        self.stdout.lines().skip(1).map(|line| line.split('\t').collect()).collect()
    }

    /// It failed with this code, and its last word was a sentence that says all of this.
    #[track_caller]
    pub(super) fn failed(&self, code: i32, said: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        let last = self.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("lastpop: ") || code == 2, "{self:?}");
        for text in said {
            assert!(self.stderr.contains(text), "no {text:?} in {self:?}");
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        self.fine(&[]);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The first column, without its header.
    #[track_caller]
    pub(super) fn first_column(&self) -> Vec<&str> {
        self.rows().into_iter().map(|row| row[0]).collect()
    }
}

/// Every change wants this.
const WHY: [&str; 2] = ["--reason", "ticket 4711"];

/// What every `--dry-run` ends with.
const UNCHANGED: &str = "lastpop: nothing was changed (--dry-run)\n";
