//! A lastpop that runs, with its tokens, in front of a Dovecot; and a folder of the test's own for files. Most tests
//! share one: each takes users, domains and waves of its own, and leaves everyone (`*`) alone.

use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;

use tempfile::TempDir;

use super::{Ended, WHY, run};
use crate::support::api::ADMIN;
use crate::support::dovecot::{Dovecot, User};
use crate::support::proxy::{Proxy, Upstream};

/// Mailboxes that every server has which is reached over TCP: Dovecot takes a second to notice new ones.
const MAILBOXES: [&str; 3] = ["seen@seen.example", "kicked@kicked.example", "hides@hidden.example"];

/// How the API is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// TCP on this machine.
    Tcp,
    /// A unix socket.
    Unix,
}

/// A lastpop, and what is behind it. Ends when nobody uses it any more.
struct Server {
    url: String,
    proxy: Proxy,
    dovecot: Dovecot,
    mailboxes: Vec<User>,
    /// Where the unix socket is.
    _folder: TempDir,
    /// The thread that started them lives as long: they would end with it.
    _alive: mpsc::Sender<()>,
}

impl Server {
    fn new(over: Over, alive: mpsc::Sender<()>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let unix = format!("unix:{}", folder.path().join("admin.sock").display());
        let address = if over == Over::Unix { format!("\"{unix}\"") } else { "\"127.0.0.1:0\"".to_owned() };
        let changes = [
            ("admin.address", address.as_str()),
            // All tests have the same tokens.
            ("admin.requests_per_second", "10000"),
            ("domains", "{ \"farewell.example\" = { response = \"notice\" } }"),
            ("policy.url", "\"https://example.net/imap\""),
            ("usage.flush_interval", "\"1s\""),
            ("usage.summary_interval", "\"1s\""),
        ];
        let dovecot = Dovecot::start();
        let mailboxes = match over {
            Over::Tcp => dovecot.users(&MAILBOXES.map(|name| (name, "a password"))),
            Over::Unix => Vec::new(),
        };
        let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
        let url = match over {
            Over::Tcp => format!("http://127.0.0.1:{}", proxy.endpoints.admin),
            Over::Unix => unix,
        };
        Self { url, proxy, dovecot, mailboxes, _folder: folder, _alive: alive }
    }

    fn start(over: Over) -> Self {
        let (started, server) = mpsc::channel();
        thread::spawn(move || {
            let (alive, ended) = mpsc::channel();
            // Nothing is ever said, and nobody can be gone before the server is.
            let _ = started.send(Self::new(over, alive));
            let _ = ended.recv();
        });
        server.recv().expect("a server; why there is none was said above")
    }

    fn shared(over: Over) -> Arc<Self> {
        static SHARED: [Mutex<Weak<Server>>; 2] = [Mutex::new(Weak::new()), Mutex::new(Weak::new())];
        let shared = &SHARED[usize::from(over == Over::Unix)];
        // A test that failed while it held the lock has left the old value, which is as good as any.
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(over));
            *shared = Arc::downgrade(&server);
            server
        })
    }
}

/// A lastpop to speak to.
pub(super) struct Lastpop {
    /// Where its API is.
    pub(super) url: String,
    server: Arc<Server>,
    folder: TempDir,
}

impl Lastpop {
    /// The one that all tests share which are reached this way: started by the first, ended after the last.
    pub(super) fn shared(over: Over) -> Self {
        Self::of(Server::shared(over))
    }

    /// One that no other test sees.
    pub(super) fn alone(over: Over) -> Self {
        Self::of(Arc::new(Server::start(over)))
    }

    fn of(server: Arc<Server>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        Self { url: server.url.clone(), server, folder }
    }

    /// Its POP3 side.
    pub(super) fn proxy(&self) -> &Proxy {
        &self.server.proxy
    }

    /// The mailbox of this user.
    pub(super) fn mailbox(&self, name: &str) -> &User {
        self.server.mailboxes.iter().find(|user| user.name == name).expect("one of MAILBOXES")
    }

    /// Puts messages into it.
    pub(super) fn deliver(&self, user: &User, messages: &[&[u8]]) {
        self.server.dovecot.deliver(user, messages.iter().copied());
    }

    /// Runs a command on it, as an admin.
    pub(super) fn run(&self, arguments: &[&str]) -> Ended {
        self.with_token(ADMIN, arguments)
    }

    /// Runs a command that changes something, with a reason.
    pub(super) fn because(&self, arguments: &[&str]) -> Ended {
        self.run(&[arguments, &WHY].concat())
    }

    /// Sets modes in one import: lines of user and mode.
    pub(super) fn import(&self, lines: &str) {
        self.fed(&["user", "import", "-", WHY[0], WHY[1]], &format!("user,mode\n{lines}")).fine(&[]);
    }

    /// Runs a command on it with another token.
    pub(super) fn with_token(&self, token: &str, arguments: &[&str]) -> Ended {
        run(&[arguments, &["--url", &self.url]].concat(), &[("LASTPOP_TOKEN", token)], "")
    }

    /// Runs a command on it, as an admin, with this on standard input.
    pub(super) fn fed(&self, arguments: &[&str], input: &str) -> Ended {
        run(&[arguments, &["--url", &self.url]].concat(), &[("LASTPOP_TOKEN", ADMIN)], input)
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
