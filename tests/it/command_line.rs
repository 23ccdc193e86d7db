//! The program on the command line: exit codes, and messages that say what to change. No message ever holds a
//! password, and `check` needs none.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Stdio;

use crate::support::dovecot::Dovecot;
use crate::support::proxy::lastpop;
use crate::support::wait;

/// What the program said, and its exit code.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// A folder with a configuration, for one run after another.
struct Folder(tempfile::TempDir);

/// What a password in a wrong place looks like.
const SECRET: &str = "correct-horse";

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Runs to the end, which must come by itself.
    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        let file = |name| std::fs::File::create(self.path(name)).expect("an output file");
        let mut child = lastpop()
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("start lastpop through setpriv; install the Debian package util-linux");
        let status = wait::until("lastpop ends", || child.try_wait().expect("wait for lastpop"));
        let read = |name| std::fs::read_to_string(self.path(name)).expect("text");
        let ended = Ended { code: status.code(), stdout: read("stdout"), stderr: read("stderr") };
        for secret in [SECRET, "PRIVATE KEY"] {
            assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{ended:?}");
        }
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
        ended
    }

    /// Runs a subcommand with this configuration.
    fn with(&self, subcommand: &str, configuration: &str) -> Ended {
        let file = self.path("lastpop.toml");
        std::fs::write(&file, configuration).expect("lastpop.toml");
        self.run(&[subcommand, "--config", &file], &[])
    }

    /// A configuration that is complete with these lines of `[upstream]`.
    fn configuration(&self, upstream: &str) -> String {
        format!(
            "[[listen]]
address = \"127.0.0.1:0\"
tls = \"none\"
plaintext = \"always\"
[state]
url = \"sqlite://{}\"
[admin]
address = \"127.0.0.1:0\"
token_file = \"{}\"
[upstream]
{upstream}
",
            self.path("state.db"),
            self.path("admin.tokens")
        )
    }

    fn check(&self, upstream: &str) -> Ended {
        self.with("check", &self.configuration(upstream))
    }
}

impl Ended {
    /// The program ended with this code and said all of this, wherever.
    #[track_caller]
    fn expect(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for text in said {
            assert!(self.stdout.contains(text) || self.stderr.contains(text), "no {text:?} in {self:?}");
        }
    }

    /// The same for a program that could not start: its last word is one line on stderr.
    #[track_caller]
    fn fails(&self, code: i32, said: &[&str]) {
        self.expect(code, said);
        let last = self.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("lastpop: "), "{self:?}");
        assert!(said.iter().all(|text| last.contains(text)), "{said:?} in {last:?}");
    }
}

/// Nobody listens there as long as the listener lives, because it does not accept; or after it, because it is
/// gone.
fn bound() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    (listener, port)
}

fn closed_port() -> u16 {
    bound().1
}

const NOWHERE: &str = "address = \"127.0.0.1:1\"\ntls = \"none\"";

#[test]
fn wrong_usage() {
    let folder = Folder::new();
    for arguments in
        [&[][..], &["sreve"], &["serve", "--confg", "x"], &["serve", "x"], &["check", "--config"]]
    {
        let ended = folder.run(arguments, &[]);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("--help") || ended.stderr.contains("Usage: lastpop"), "{ended:?}");
    }
    folder.run(&["--help"], &[]).expect(0, &["serve", "check", "Usage: lastpop"]);
    folder.run(&["--version"], &[]).expect(0, &[&format!("lastpop {}\n", env!("CARGO_PKG_VERSION"))]);
}

#[test]
fn a_configuration_that_cannot_be_used_names_file_line_and_key() {
    let folder = Folder::new();
    let good = folder.configuration(NOWHERE);
    let next = good.lines().count() + 2;
    let place = format!("{}:{next}: ", folder.path("lastpop.toml"));
    for subcommand in ["serve", "check"] {
        for (mistake, said) in [
            ("[limits]\nsesions = 5\n", "limits.sesions: unknown field `sesions`"),
            ("[limits]\nsessions = 0\n", "limits.sessions: "),
            (
                "[[listen]]\naddress = \"127.0.0.1\"\n",
                "listen.address: invalid value: string \"127.0.0.1\", expected an address with a port",
            ),
            ("[limits]\nconnections_per_address = 0\n", "\"off\""),
            ("[login]\npassword = \"correct-horse\"\n", "login.password: unknown field `password`"),
        ] {
            let ended = folder.with(subcommand, &format!("{good}{mistake}"));
            ended.fails(78, &[&place, said]);
        }
        let missing = folder.path("missing.toml");
        folder
            .run(&[subcommand, "--config", &missing], &[])
            .fails(78, &[&missing, "cannot be read", "; name the configuration with --config"]);
        folder.with(subcommand, "").fails(78, &["there is no [[listen]]"]);
        let level = folder.with(subcommand, &format!("{good}[log]\nlevel = \"lastpop=loud\"\n"));
        if subcommand == "serve" {
            level.fails(78, &["log.level", "lastpop=loud"]);
        }
    }
}

#[test]
fn files_that_a_configuration_names_are_named_when_they_cannot_be_used() {
    let folder = Folder::new();
    for subcommand in ["serve", "check"] {
        let authority = folder.path("no-ca.pem");
        let text = folder.configuration(&format!("{NOWHERE}\nca_file = \"{authority}\""));
        folder.with(subcommand, &text).fails(78, &[&authority]);
        let text = folder.configuration(NOWHERE)
            + "[tls]\ncertificates = [{ chain = \"/nonexistent/chain.pem\", key = \"/nonexistent/key.pem\" }]\n";
        folder.with(subcommand, &text).fails(78, &["/nonexistent/chain.pem"]);
    }
}

/// A database's address may hold its password, and whoever mistypes one shows the message to others.
#[test]
fn a_state_url_that_cannot_be_used_is_not_repeated() {
    let folder = Folder::new();
    let (key, other) = (format!("sqlite://{}", folder.path("state.db")), "mysql://u:correct-horse@db/x");
    let good = folder.configuration(NOWHERE);
    for subcommand in ["serve", "check"] {
        let ended = folder.with(subcommand, &good.replace(&key, other));
        ended.fails(78, &["state.url: ", "sqlite://"]);
        std::fs::write(folder.path("lastpop.toml"), &good).expect("lastpop.toml");
        let arguments = [subcommand, "--config", &folder.path("lastpop.toml")];
        let ended = folder.run(&arguments, &[("LASTPOP_STATE__URL", other)]);
        ended.fails(78, &["LASTPOP_STATE__URL: ", "sqlite://"]);
    }
}

#[test]
fn the_environment_is_named_when_it_is_wrong() {
    let folder = Folder::new();
    let file = folder.path("lastpop.toml");
    std::fs::write(&file, folder.configuration(NOWHERE)).expect("lastpop.toml");
    for (variable, value) in [("LASTPOP_LIMITS__SESIONS", "5"), ("LASTPOP_LIMITS__IDLE_TIMEOUT", "20")] {
        let ended = folder.run(&["serve", "--config", &file], &[(variable, value)]);
        ended.fails(78, &[&format!("environment variable {variable}: ")]);
    }
    // The file may be named there as well.
    folder.run(&["check"], &[("LASTPOP_CONFIG", &file)]).expect(69, &["the configuration is valid"]);
}

#[test]
fn a_port_that_is_taken_is_named_with_its_key() {
    let folder = Folder::new();
    let (_taken, port) = bound();
    let good = folder.configuration(NOWHERE);
    let taken = format!("address = \"127.0.0.1:{port}\"");
    let free = "address = \"127.0.0.1:0\"";
    let address = format!("127.0.0.1:{port}");
    folder
        .with("serve", &good.replacen(free, &taken, 1))
        .fails(1, &[&address, "listen.address", "in use", "is another lastpop running"]);
    let admin = good.replace(&format!("[admin]\n{free}"), &format!("[admin]\n{taken}"));
    assert_ne!(admin, good);
    folder.with("serve", &admin).fails(1, &[&address, "admin.address", "in use"]);
}

#[test]
fn a_state_that_cannot_be_opened_is_a_sentence() {
    let folder = Folder::new();
    let good = folder.configuration(NOWHERE);
    let nowhere = folder.path("no/such/folder/state.db");
    let ended = folder.with("serve", &good.replace(&folder.path("state.db"), &nowhere));
    ended.fails(1, &["cannot open the state: ", &nowhere, "check that its folder exists"]);
    assert_eq!(ended.stdout, "", "it is not ready");

    std::fs::write(folder.path("state.db"), "this is no database at all. ".repeat(400)).expect("a file");
    let ended = folder.with("serve", &good);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("it is not a state that lastpop has made"), "{ended:?}");
    let file = folder.path("lastpop.toml");
    let backup = |state: &str| {
        folder.run(
            &["state", "backup", &folder.path("backup.db"), "--config", &file],
            &[("LASTPOP_STATE__URL", state)],
        )
    };
    backup(&format!("sqlite://{}", folder.path("none.db")))
        .fails(1, &["none.db: ", "check that it is there"]);
    folder
        .run(&["state", "backup", "x", "--config", "/nonexistent.toml"], &[])
        .fails(78, &["(os error 2); name the configuration with --config"]);
}

#[test]
fn check_finds_dovecot_usable() {
    let dovecot = Dovecot::start();
    let folder = Folder::new();
    let authority = dovecot.certificates.authority.display();
    let (imap, imaps) = (dovecot.ports.imap, dovecot.ports.imaps);
    let offers = "it offers, before login";
    folder.check(NOWHERE).expect(69, &["so nobody can use the API", "lastpop token create"]);
    let plain = folder.check(&format!("address = \"127.0.0.1:{imap}\"\ntls = \"none\""));
    plain.expect(0, &["the configuration is valid", offers, "WARNING: connected without TLS"]);
    plain.expect(0, &["WARNING: passwords are taken without TLS", "\"name\" \"Dovecot\""]);
    for (port, tls) in [(imap, "starttls"), (imaps, "implicit")] {
        let upstream = format!("address = \"127.0.0.1:{port}\"\ntls = \"{tls}\"\nca_file = \"{authority}\"");
        let found = folder.check(&upstream);
        found
            .expect(0, &[offers, "SASL-IR", "the certificate is valid", "it takes user names and passwords"]);
        assert!(!found.stdout.contains("WARNING: connected"), "{found:?}");
        let found = folder.check(&(upstream + "\nverify = \"off\""));
        found.expect(0, &["WARNING: connected with TLSv1.3, but upstream.verify is \"off\""]);
    }
    assert!(!dovecot.log().contains("client in: AUTH"), "check must not log in");
}

#[test]
fn check_says_why_an_upstream_cannot_be_used() {
    let dovecot = Dovecot::start();
    let folder = Folder::new();
    let (right, wrong) = (&dovecot.certificates.authority, &dovecot.certificates.other_authority);
    let ports = dovecot.ports;
    let upstream = |port: u16, tls: &str| {
        format!("address = \"127.0.0.1:{port}\"\ntls = \"{tls}\"\nca_file = \"{}\"", right.display())
    };
    let unusable = |upstream: &str, said: &[&str]| {
        let ended = folder.check(upstream);
        ended.expect(69, &["the configuration is valid", "CANNOT BE USED"]);
        ended.expect(69, said);
        assert_eq!(ended.stderr, "", "{ended:?}");
    };
    let port = closed_port();
    unusable(&upstream(port, "none"), &[&format!("127.0.0.1:{port}"), "Connection refused", "firewall"]);
    for (port, tls) in [(ports.imap, "starttls"), (ports.imaps, "implicit")] {
        let text = upstream(port, tls);
        let other = text.replace(&right.display().to_string(), &wrong.display().to_string());
        unusable(&other, &["TLS with", "upstream.ca_file"]);
        let none = text.lines().take(2).collect::<Vec<_>>().join("\n");
        unusable(&none, &["TLS with", "upstream.ca_file"]);
    }
    for tls in ["none", "starttls"] {
        unusable(&upstream(ports.pop3, tls), &["Is this an IMAP server"]);
    }
    unusable(&upstream(ports.pop3s, "implicit"), &["Is this an IMAP server"]);
    // IMAP, with TLS where none begins, and without where it begins.
    unusable(&upstream(ports.imap, "implicit"), &["upstream.tls"]);
    unusable(&format!("{}\nresponse_timeout = \"2s\"", upstream(ports.imaps, "none")), &["upstream.tls"]);
}

/// A server that answers nothing at all must not hold up whoever waits at the terminal.
#[test]
fn check_gives_up_on_silence() {
    let folder = Folder::new();
    let (_silent, port) = bound();
    for tls in ["none", "implicit"] {
        let ended = folder.check(&format!("address = \"127.0.0.1:{port}\"\ntls = \"{tls}\""));
        ended.expect(69, &["CANNOT BE USED", "upstream.tls"]);
    }
}

/// An IMAP server that greets every connection with this and answers every command with OK. It ends with the
/// test binary.
fn greets(greeting: &'static str) -> u16 {
    let (listener, port) = bound();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            // Whoever has left needs no answer.
            let _ = client.write_all(format!("{greeting}\r\n").as_bytes());
            for line in BufReader::new(client.try_clone().expect("a clone")).lines().map_while(Result::ok) {
                let tag = line.split(' ').next().unwrap_or_default();
                let _ = client.write_all(format!("{tag} OK done\r\n").as_bytes());
            }
        }
    });
    port
}

/// Dovecot takes 127.0.0.1 for as good as TLS, so this needs a server that does not.
#[test]
fn check_understands_what_a_server_refuses() {
    let folder = Folder::new();
    for (greeting, code, said) in [
        (
            "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready",
            69,
            ["LOGINDISABLED", "set upstream.tls to \"implicit\" or \"starttls\"", "does not offer ID"],
        ),
        (
            "* OK [CAPABILITY IMAP4rev1 ID] ready",
            0,
            ["it takes user names and passwords", "hiding keyword", "IMAP4rev1, ID"],
        ),
        ("* BYE too busy", 69, ["CANNOT BE USED", "said BYE", "own log"]),
        ("* PREAUTH [CAPABILITY IMAP4rev1] hello", 69, ["CANNOT BE USED", "PREAUTH", "password"]),
        ("220 mail.example.net ESMTP", 69, ["CANNOT BE USED", "Is this an IMAP server", "upstream.tls"]),
    ] {
        let upstream = format!("address = \"127.0.0.1:{}\"\ntls = \"none\"", greets(greeting));
        folder.check(&upstream).expect(code, &said);
    }
    let port = greets("* OK [CAPABILITY IMAP4rev1 ID] ready");
    let upstream = format!("address = \"127.0.0.1:{port}\"\ntls = \"starttls\"");
    folder.check(&upstream).expect(69, &["CANNOT BE USED", "it does not offer STARTTLS"]);
}

#[test]
fn check_looks_at_every_address() {
    let dovecot = Dovecot::start();
    let folder = Folder::new();
    let (dead, works) = (closed_port(), dovecot.ports.imap);
    let both = format!("address = [\"127.0.0.1:{dead}\", \"127.0.0.1:{works}\"]\ntls = \"none\"");
    let ended = folder.check(&both);
    ended.expect(0, &[&format!("upstream 127.0.0.1:{dead}: CANNOT BE USED")]);
    ended.expect(0, &[&format!("upstream 127.0.0.1:{works}: it takes user names and passwords")]);
    let neither =
        format!("address = [\"127.0.0.1:{dead}\", \"127.0.0.1:{}\"]\ntls = \"none\"", closed_port());
    folder.check(&neither).expect(69, &["CANNOT BE USED"]);
}
