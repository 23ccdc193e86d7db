//! A lastpop to speak to, with its tokens and a folder for files. For now a small one in memory serves the
//! API.

use tempfile::TempDir;

use super::fake::Fake;
use super::{Ended, run};

/// How it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// TCP on this machine.
    Tcp,
    /// A unix socket.
    Unix,
}

/// A lastpop that knows no users yet.
pub(super) struct Lastpop {
    /// Where its API is.
    pub(super) url: String,
    /// A token that may do everything.
    pub(super) admin: String,
    /// A token that may look.
    pub(super) viewer: String,
    folder: TempDir,
    _server: Fake,
}

impl Lastpop {
    /// Starts it. It ends when this is dropped.
    pub(super) fn start(over: Over) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let socket = (over == Over::Unix).then(|| folder.path().join("admin.sock"));
        let server = Fake::start(socket.as_deref());
        let token = |letter: char| format!("lp_{}", letter.to_string().repeat(43));
        Self { url: server.url.clone(), admin: token('a'), viewer: token('v'), folder, _server: server }
    }

    /// Runs a command on it, as an admin.
    pub(super) fn run(&self, arguments: &[&str]) -> Ended {
        self.with_token(&self.admin, arguments)
    }

    /// The same with another token.
    pub(super) fn with_token(&self, token: &str, arguments: &[&str]) -> Ended {
        run(&[arguments, &["--url", &self.url]].concat(), &[("LASTPOP_TOKEN", token)], "")
    }

    /// Runs a command on it, as an admin, with this on standard input.
    pub(super) fn fed(&self, arguments: &[&str], input: &str) -> Ended {
        run(&[arguments, &["--url", &self.url]].concat(), &[("LASTPOP_TOKEN", &self.admin)], input)
    }

    /// A file of this name in the folder, not yet there.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A file of this name with this text.
    pub(super) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}
