//! A running lastpop, driven from outside: its configuration file, its ports, its end.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustls::ClientConfig;
use tempfile::TempDir;

use super::api::{self, Answer};
use super::clock::swept;
use super::dovecot::{Dovecot, User};
use super::pop3::{Pop3, Transport};
use super::process::terminate;
use super::wait;

/// How lastpop reaches Dovecot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// In the clear.
    Plain,
    /// STARTTLS, trusting the right authority.
    Starttls,
    /// Implicit TLS, trusting the right authority.
    Implicit,
    /// STARTTLS, trusting an authority that did not sign Dovecot's certificate.
    StarttlsWrongAuthority,
    /// Implicit TLS, trusting an authority that did not sign Dovecot's certificate.
    ImplicitWrongAuthority,
}

/// Where lastpop listens, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Endpoints {
    /// POP3 without TLS.
    pub(crate) plain: u16,
    /// POP3 with STLS.
    pub(crate) starttls: u16,
    /// POP3 over implicit TLS.
    pub(crate) implicit: u16,
    /// HTTP: the API and metrics; 0 if that is a unix socket.
    pub(crate) admin: u16,
    /// HTTP: metrics alone, where a test asks for it.
    pub(crate) metrics: u16,
    /// HTTP: metrics of users, where a test asks for it.
    pub(crate) metrics_of_users: u16,
}

/// A lastpop process in front of one Dovecot. Stopped when dropped.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) endpoints: Endpoints,
    tls: Arc<ClientConfig>,
    child: Child,
    directory: TempDir,
    configuration: toml::Table,
}

impl Proxy {
    /// Starts lastpop with its defaults, as far as a test on one address can live with them.
    pub(crate) fn start(dovecot: &Dovecot, upstream: Upstream) -> Self {
        Self::start_with(dovecot, upstream, &[], &[])
    }

    /// Starts lastpop with `changes` to that configuration and more `environment`. A change is a key such as
    /// `limits.sessions` and a value as TOML spells it.
    pub(crate) fn start_with(
        dovecot: &Dovecot,
        upstream: Upstream,
        changes: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("lastpop.toml");
        api::write_tokens(&directory.path().join("admin.tokens"));
        let mut configuration = toml::from_str(&configuration(dovecot, upstream, directory.path()))
            .expect("a configuration in TOML");
        write(&file, &mut configuration, changes);
        let stderr = std::fs::File::create(directory.path().join("stderr")).expect("stderr file");
        let mut child = lastpop()
            .args(["serve", "--config"])
            .arg(&file)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("start lastpop through setpriv; install the Debian package util-linux");
        let lines = stdout_lines(&mut child);
        // Built before the wait, so that a lastpop that never gets ready is stopped and its log shown.
        let tls = dovecot.certificates.client_config();
        let mut proxy = Self { endpoints: Endpoints::default(), tls, child, directory, configuration };
        proxy.endpoints = ready(&lines);
        proxy
    }

    /// The configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("lastpop.toml")
    }

    /// Changes the configuration file, sends SIGHUP and waits until lastpop has tried. Gives the line of its
    /// log that says what came of it.
    pub(crate) fn reload(&mut self, changes: &[(&str, &str)]) -> String {
        let file = self.file();
        write(&file, &mut self.configuration, changes);
        self.hangup()
    }

    /// Sends SIGHUP with the file as it is; as [`Proxy::reload`] otherwise.
    pub(crate) fn hangup(&self) -> String {
        let said = |log: &str| -> Vec<String> {
            log.lines().filter(|line| line.contains(" reloaded")).map(str::to_owned).collect()
        };
        let before = said(&self.log()).len();
        self.signal("HUP");
        wait::until("lastpop reloads", || said(&self.log()).get(before).cloned())
    }

    /// Sends a signal, named as kill(1) names it.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Kills the process, which can do nothing about it.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        assert_eq!(self.exit_code(), None, "it was not killed");
        swept(self.child.id());
    }

    /// Has the process not ended yet?
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("wait for lastpop").is_none()
    }

    /// Waits until the process has ended by itself, and gives its exit code.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        wait::until("lastpop ends", || self.child.try_wait().expect("wait for lastpop")).code()
    }

    /// Everything that lastpop has logged so far.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.directory.path().join("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The log, once it holds `text` so often: it is written by a thread of its own, a moment later.
    pub(crate) fn log_with(&self, text: &str, times: usize) -> String {
        let what = format!("the log holds {text:?} {times} times");
        wait::until(&what, || Some(self.log()).filter(|log| log.matches(text).count() >= times))
    }

    /// Asks the admin listener; gives the status code and the body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let answer = self.api("GET", path, "", "");
        (answer.status, answer.body)
    }

    /// Asks the API with a token and a body in JSON; where one is empty, without.
    #[track_caller]
    pub(crate) fn api(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        api::exchange(self.http(), &api::request(method, path, token, body))
    }

    /// A connection to the admin listener.
    pub(crate) fn http(&self) -> TcpStream {
        let http = TcpStream::connect(("127.0.0.1", self.endpoints.admin)).expect("admin");
        http.set_read_timeout(Some(wait::DEADLINE)).expect("timeout");
        http
    }

    /// The token file.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.directory.path().join("admin.tokens")
    }

    /// The port for a transport.
    pub(crate) fn port(&self, transport: Transport) -> u16 {
        match transport {
            Transport::Plain => self.endpoints.plain,
            Transport::Starttls => self.endpoints.starttls,
            Transport::Implicit => self.endpoints.implicit,
        }
    }

    /// Connects to the matching listener and reads the greeting.
    pub(crate) fn connect(&self, transport: Transport) -> Pop3 {
        Pop3::connect(self.port(transport), transport, &self.tls)
    }

    /// Connects without TLS and logs in.
    pub(crate) fn login(&self, user: &User) -> Pop3 {
        let mut pop3 = self.connect(Transport::Plain);
        pop3.login(&user.name, &user.password);
        pop3
    }

    /// Waits until no session is left and every UPDATE is through.
    pub(crate) fn wait_until_idle(&self) {
        wait::until("lastpop has no session left", || {
            let left =
                self.metric("lastpop_sessions_active") + self.metric("lastpop_messages_marked_pending");
            (left == 0).then_some(())
        });
    }

    /// Waits until every connection is closed, counted and logged; for that, all clients have to be gone.
    pub(crate) fn wait_until_left(&self) {
        wait::until("every connection is closed", || {
            (self.metric("lastpop_connections_active") == 0).then_some(())
        });
    }

    /// The sum of a metric of whole numbers over all its labels; panics when there is no such metric.
    pub(crate) fn metric(&self, name: &str) -> i64 {
        self.metric_with(name, "")
    }

    /// The same over those samples whose labels contain `label`, such as `result="ok"`.
    pub(crate) fn metric_with(&self, name: &str, label: &str) -> i64 {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200, "{text}");
        metric_in(&text, name, label)
    }
}

/// The sum of a metric of whole numbers over those samples of `text` whose labels contain `label`; panics when there is
/// none.
pub(crate) fn metric_in(text: &str, name: &str, label: &str) -> i64 {
    let samples: Vec<i64> = text
        .lines()
        .filter(|line| line.split(['{', ' ']).next() == Some(name) && line.contains(label))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse().ok())
        .collect();
    assert!(!samples.is_empty(), "no metric {name} with {label:?} in:\n{text}");
    samples.iter().sum()
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let ended = terminate(&mut self.child);
        let log = self.log();
        if std::thread::panicking() {
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("the end of lastpop's log, newest first:\n{}", tail.join("\n"));
        } else {
            assert!(ended, "lastpop did not end after SIGTERM");
            assert!(!log.contains("panicked at"), "lastpop panicked:\n{log}");
        }
    }
}

/// The program, still without a subcommand. setpriv lets it end with the test even when the test is killed.
pub(crate) fn lastpop() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", env!("CARGO_BIN_EXE_lastpop")]);
    // The environment overrides the file, and only the file is meant here.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LASTPOP_") {
            command.env_remove(name);
        }
    }
    command.env_remove("NOTIFY_SOCKET");
    command
}

/// Makes the changes and writes the file, by rename: lastpop never reads half of it.
fn write(file: &Path, configuration: &mut toml::Table, changes: &[(&str, &str)]) {
    for (key, value) in changes {
        // A table in one line of TOML knows how to read a value.
        let parsed: toml::Table = toml::from_str(&format!("value = {value}")).expect("a value in TOML");
        let mut table = &mut *configuration;
        let mut path = key.split('.').peekable();
        while let Some(part) = path.next() {
            if path.peek().is_none() {
                table.insert(part.to_owned(), parsed["value"].clone());
                break;
            }
            let empty = || toml::Value::Table(toml::Table::new());
            table = table
                .entry(part)
                .or_insert_with(empty)
                .as_table_mut()
                .unwrap_or_else(|| panic!("{key}: {part} is no table"));
        }
    }
    let new = file.with_extension("new");
    std::fs::write(&new, configuration.to_string()).expect("write the configuration");
    std::fs::rename(&new, file).expect("rename the configuration");
}

/// Reads stdout on a thread of its own, because a read of a pipe has no deadline.
fn stdout_lines(child: &mut Child) -> mpsc::Receiver<String> {
    let stdout = child.stdout.take().expect("a piped stdout");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The receiver stops listening after READY; the pipe is read on all the same.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Collects the LISTEN lines up to READY.
fn ready(lines: &mpsc::Receiver<String>) -> Endpoints {
    let mut endpoints = Endpoints::default();
    loop {
        let line = lines
            .recv_timeout(Duration::from_secs(30))
            .unwrap_or_else(|error| panic!("lastpop did not say READY: {error}"));
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["READY"] => return endpoints,
            ["LISTEN", "pop3", address, "none"] => endpoints.plain = port_of(address),
            ["LISTEN", "pop3", address, "starttls"] => endpoints.starttls = port_of(address),
            ["LISTEN", "pop3", address, "implicit"] => endpoints.implicit = port_of(address),
            ["LISTEN", "admin", address] if address.starts_with("unix:") => {}
            ["LISTEN", "admin", address] => endpoints.admin = port_of(address),
            ["LISTEN", "metrics", address] => endpoints.metrics = port_of(address),
            ["LISTEN", "metrics-users", address] => endpoints.metrics_of_users = port_of(address),
            _ => panic!("an unknown line on lastpop's stdout: {line}"),
        }
    }
}

fn port_of(address: &str) -> u16 {
    let (_, port) = address.rsplit_once(':').expect("address:port");
    port.parse().expect("a port")
}

fn configuration(dovecot: &Dovecot, upstream: Upstream, directory: &Path) -> String {
    let certificates = &dovecot.certificates;
    let (chain, key) = (certificates.chain.display(), certificates.key.display());
    let mut text = String::new();
    // Only the first takes passwords in the clear: a client that skips STLS is refused by the second.
    for (tls, plaintext) in [("none", "always"), ("starttls", "tls-only"), ("implicit", "tls-only")] {
        let listen =
            format!("[[listen]]\naddress = \"127.0.0.1:0\"\ntls = \"{tls}\"\nplaintext = \"{plaintext}\"\n");
        text.push_str(&listen);
    }
    let (port, tls, authority) = match upstream {
        Upstream::Plain => (dovecot.ports.imap, "none", None),
        Upstream::Starttls => (dovecot.ports.imap, "starttls", Some(&certificates.authority)),
        Upstream::Implicit => (dovecot.ports.imaps, "implicit", Some(&certificates.authority)),
        Upstream::StarttlsWrongAuthority => {
            (dovecot.ports.imap, "starttls", Some(&certificates.other_authority))
        }
        Upstream::ImplicitWrongAuthority => {
            (dovecot.ports.imaps, "implicit", Some(&certificates.other_authority))
        }
    };
    // All test clients share one address and many share one user, hence the limits that are off.
    write!(
        text,
        "[tls]
certificates = [{{ chain = \"{chain}\", key = \"{key}\" }}]
[limits]
connections_per_address = \"off\"
sessions_per_user = \"off\"
drain_timeout = \"10s\"
[state]
url = \"sqlite://{directory}/state.db\"
[admin]
address = \"127.0.0.1:0\"
token_file = \"{directory}/admin.tokens\"
[upstream]
address = \"127.0.0.1:{port}\"
tls = \"{tls}\"
",
        directory = directory.display()
    )
    .expect("a string takes all");
    if let Some(authority) = authority {
        writeln!(text, "ca_file = \"{}\"", authority.display()).expect("a string takes all");
    }
    text
}
