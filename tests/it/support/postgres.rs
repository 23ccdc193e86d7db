//! A private PostgreSQL for the tests: the newest server that is installed, in a temporary directory, on a free
//! port of 127.0.0.1, gone with the test. The system's own cluster is neither used nor touched.
//!
//! It sorts as PostgreSQL does at many an ISP, by language and not by octets (`a` before `B`), so that what
//! relies on the order of octets is found here.

use std::collections::HashSet;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;

use tempfile::TempDir;

use super::wait;

/// Where Debian keeps one folder for each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// What a failure to start says.
const PACKAGE: &str = "is the Debian package postgresql installed?";

/// The server's superuser; everybody on this machine may be it, without a password.
const ROLE: &str = "lastpop";

/// How often other free ports are tried when somebody else was faster.
const ATTEMPTS: u32 = 5;

/// A running PostgreSQL. Stopped and removed when dropped.
pub(crate) struct Postgres {
    /// On 127.0.0.1; the same after [`Postgres::start_again`].
    pub(crate) port: u16,
    server: Option<Server>,
    settings: Vec<String>,
    databases: Mutex<HashSet<String>>,
    owner: Option<Owner>,
    directory: TempDir,
}

/// The system user that it runs as when the tests run as root, which PostgreSQL refuses.
#[derive(Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

/// The process, and the thread that started it: a process is told that its parent has died when the thread
/// that started it ends, and a server may outlive the test that needed it first.
struct Server {
    child: Child,
    _ended: mpsc::Sender<()>,
}

impl Postgres {
    /// Starts a server with PostgreSQL's own settings: a commit waits for the disk.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with `settings`, such as `fsync=off`.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let owner = owner(directory.path());
        let mut server = Self {
            port: 0,
            server: None,
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            databases: Mutex::default(),
            owner,
            directory,
        };
        server.initdb();
        for _ in 0..ATTEMPTS {
            server.port = free_port();
            if server.came_up() {
                return server;
            }
        }
        panic!("PostgreSQL does not start; {PACKAGE}\n{}", server.log());
    }

    /// The server that all tests share which need no outage and count no writes: made by the first that asks,
    /// removed after the last. Each test takes databases with names of its own.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        // A test that failed while it held the lock has left the old value, which is as good as any.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start_with(&["fsync=off", "max_connections=200"]));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// The URL of a database, which is made, empty, when it is named for the first time. A name has
    /// small letters, digits and `_`.
    pub(crate) fn url(&self, database: &str) -> String {
        let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_';
        assert!(database.bytes().all(plain), "{database:?} is no name for a database");
        let mut databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        if !databases.contains(database) {
            self.psql("postgres", &format!("CREATE DATABASE {database}"));
            databases.insert(database.to_owned());
        }
        format!("postgres://{ROLE}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs statements; gives their rows, one a line, fields separated by `|`.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        let port = self.port.to_string();
        let mut psql = Command::new(program("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"])
            .args(["-p", &port, "-U", ROLE, "-d", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start psql: {error}; {PACKAGE}"));
        let mut stdin = psql.stdin.take().expect("a piped stdin");
        let sql = sql.to_owned();
        // On a thread of its own: rows may fill the pipe before all statements are read.
        let writer = thread::spawn(move || stdin.write_all(sql.as_bytes()));
        let output = psql.wait_with_output().expect("wait for psql");
        assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        writer.join().expect("no panic").expect("psql reads all statements");
        String::from_utf8(output.stdout).expect("UTF-8").trim_end_matches('\n').to_owned()
    }

    /// The server is gone at once, as when its machine fails; who is connected is cut off.
    pub(crate) fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.end("QUIT");
        }
    }

    /// Every process of it is killed and can do nothing about it, as the kernel does it that runs out of memory.
    pub(crate) fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    /// Starts it again, with the same port and with all that was committed.
    pub(crate) fn start_again(&mut self) {
        assert!(self.server.is_none(), "PostgreSQL was not stopped");
        assert!(self.came_up(), "PostgreSQL does not start again:\n{}", self.log());
    }

    /// Everything that it has logged.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn initdb(&self) {
        let output = self
            .as_owner(&program("initdb"))
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-U", ROLE, "-D"])
            .arg(self.data())
            .args(["--locale-provider=icu", "--icu-locale=en"])
            .output()
            .unwrap_or_else(|error| panic!("cannot start setpriv: {error}"));
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the process and waits until it answers; `false` when it has ended instead.
    fn came_up(&mut self) -> bool {
        let mut server = self.spawn();
        let up = wait::until("PostgreSQL answers", || {
            if server.child.try_wait().expect("wait for PostgreSQL").is_some() {
                return Some(false);
            }
            self.is_ready().then_some(true)
        });
        self.server = up.then_some(server);
        up
    }

    fn is_ready(&self) -> bool {
        let port = self.port.to_string();
        let ready = Command::new(program("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-p", &port, "-U", ROLE, "-d", "postgres"])
            .status();
        ready.expect("start pg_isready").success()
    }

    fn spawn(&self) -> Server {
        let log = self.directory.path().join("log");
        let log = std::fs::File::options().create(true).append(true).open(log).expect("log file");
        let mut command = self.as_owner(&program("postgres"));
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        // No socket in the folder that the system's own servers share, and the log stays ours.
        let own = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "logging_collector=off"];
        for setting in own.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("log file")).stderr(log);
        let (started, child) = mpsc::channel();
        let (ended, wait) = mpsc::channel::<()>();
        thread::spawn(move || {
            // Nobody listens only when the test has failed already.
            let _ = started.send(command.spawn());
            // An error, because nothing is ever sent: the server has been dropped.
            let _ = wait.recv();
        });
        let child = child.recv().expect("the thread that starts it");
        let child = child.unwrap_or_else(|error| panic!("cannot start setpriv: {error}"));
        Server { child, _ended: ended }
    }

    /// A program of PostgreSQL, run by whom the directory belongs to.
    fn as_owner(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(Owner { uid, gid }) = self.owner {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
        }
        // INT lets it end at once and cleanly even when the test is killed; TERM would wait for its clients.
        command.args(["--pdeathsig", "INT"]).arg(program).current_dir(self.directory.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.end("INT");
        }
        if thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("the end of PostgreSQL's log, newest first:\n{}", tail.join("\n"));
        }
    }
}

impl Server {
    /// Sends the signal and waits for the end. The postmaster ends after its children, so nothing is left.
    fn end(mut self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{signal}");
        wait::until("PostgreSQL ends", || self.child.try_wait().expect("wait for PostgreSQL"));
    }
}

impl Server {
    /// Kills it and its children at once.
    fn kill(mut self) {
        let signal = |name: &str, processes: &[String]| {
            // Some may have ended by themselves.
            let _ =
                Command::new("kill").arg(format!("-{name}")).args(processes).stderr(Stdio::null()).status();
        };
        let postmaster = self.child.id().to_string();
        // It must not have more children meanwhile, nor see them die.
        signal("STOP", std::slice::from_ref(&postmaster));
        let mut all = children(&postmaster);
        all.push(postmaster);
        signal("KILL", &all);
        wait::until("PostgreSQL is gone", || self.child.try_wait().expect("wait for PostgreSQL"));
        wait::until("its children are gone", || all.iter().all(|process| is_gone(process)).then_some(()));
    }
}

/// The state of a process, as one letter, and its parent.
fn status(process: &str) -> Option<(String, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before may hold anything, in parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
}

fn children(parent: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("/proc");
    let names = processes.filter_map(|process| process.ok()?.file_name().into_string().ok());
    names.filter(|process| status(process).is_some_and(|(_, theirs)| theirs == parent)).collect()
}

/// A dead process may wait for somebody to ask how it ended.
fn is_gone(process: &str) -> bool {
    status(process).is_none_or(|(state, _)| state == "Z")
}

/// A program of the newest version that is installed.
fn program(name: &str) -> PathBuf {
    let versions =
        std::fs::read_dir(VERSIONS).unwrap_or_else(|error| panic!("{VERSIONS}: {error}; {PACKAGE}"));
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let found = versions
        .map(|version| version.expect("an entry").path())
        .filter(|version| version.join("bin/initdb").exists())
        .max_by_key(number);
    found.unwrap_or_else(|| panic!("no {VERSIONS}/*/bin/initdb; {PACKAGE}")).join("bin").join(name)
}

/// Gives the directory to the user `postgres`, else `nobody`, if we are root.
fn owner(directory: &Path) -> Option<Owner> {
    if std::fs::metadata("/proc/self").expect("/proc/self").uid() != 0 {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let user = |name: &str| {
        let fields: Vec<&str> = passwd
            .lines()
            .map(|line| line.split(':').collect())
            .find(|fields: &Vec<&str>| fields[0] == name)?;
        Some(Owner { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
    };
    let owner = user("postgres").or_else(|| user("nobody")).expect("a user postgres or nobody");
    chown(directory, Some(owner.uid), Some(owner.gid)).expect("chown");
    Some(owner)
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
    held.local_addr().expect("its address").port()
}

#[test]
fn it_starts_stops_and_comes_back_with_what_was_committed() {
    let mut postgres = Postgres::start();
    let url = postgres.url("first");
    assert!(postgres.psql("first", "SELECT version()").starts_with("PostgreSQL "));
    postgres.psql("first", "CREATE TABLE t (name TEXT); INSERT INTO t VALUES ('a'), ('B'), ('c')");
    // By language.
    assert_eq!(postgres.psql("first", "SELECT name FROM t ORDER BY name"), "a\nB\nc");
    for end in [Postgres::stop, Postgres::kill] {
        end(&mut postgres);
        assert!(!postgres.is_ready());
        assert_eq!(postgres.url("first"), url, "needs no server");
        postgres.start_again();
        assert_eq!(postgres.psql("first", "SELECT count(*), max(name) FROM t"), "3|c");
    }
    assert_eq!(postgres.psql("postgres", "SHOW fsync"), "on");
}

#[test]
fn all_share_one_and_each_has_its_own_databases() {
    let (one, two) = (Postgres::shared(), Postgres::shared());
    assert_eq!(one.port, two.port);
    assert_ne!(one.url("shared_one"), two.url("shared_two"));
    one.psql("shared_one", "CREATE TABLE t (x BIGINT)");
    assert_eq!(two.psql("shared_two", "SELECT count(*) FROM pg_tables WHERE tablename = 't'"), "0");
}
