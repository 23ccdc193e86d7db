//! A private Dovecot 2.3: the IMAP server behind lastpop, and the POP3 server that it is compared with.
//!
//! It lives in a temporary directory, listens on free ports of 127.0.0.1, reads its users from a
//! file, and is gone with the test. Dovecot insists on being started by root (it gives every
//! session its own user), so these tests need root.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tempfile::TempDir;

use super::certificates::Certificates;
use super::imap::Imap;
use super::process::terminate;
use super::wait;

/// The system user that the mailboxes belong to; Dovecot refuses to serve mail as root, and the
/// number needs no entry in any passwd file.
const MAIL_UID: u32 = 12_345;

/// What a failure to start says.
const PACKAGES: &str =
    "is this root, and are the Debian packages util-linux, dovecot-imapd and dovecot-pop3d installed?";

/// How often other free ports are tried when somebody else was faster.
const ATTEMPTS: u32 = 5;

/// One mailbox and how to log in to it.
#[derive(Clone)]
pub(crate) struct User {
    /// The login name.
    pub(crate) name: String,
    /// The password.
    pub(crate) password: String,
    maildir: PathBuf,
}

impl User {
    /// The same user with a password of the caller's choice.
    pub(crate) fn with_password(&self, password: &str) -> Self {
        Self { password: password.to_owned(), ..self.clone() }
    }

    /// Takes away Dovecot's books on the INBOX, so that it gives all messages UIDs anew, under another UIDVALIDITY.
    pub(crate) fn lose_books(&self) {
        for entry in std::fs::read_dir(&self.maildir).expect("the maildir") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // dovecot-uidvalidity stays: it holds the last one, and the next is higher.
            if name == "dovecot-uidlist" || name.starts_with("dovecot.index") {
                std::fs::remove_file(&path).expect("remove a file");
            }
        }
    }
}

/// The four ports, all on 127.0.0.1.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    /// IMAP, with STARTTLS offered.
    pub(crate) imap: u16,
    /// IMAP over implicit TLS.
    pub(crate) imaps: u16,
    /// POP3, with STLS offered.
    pub(crate) pop3: u16,
    /// POP3 over implicit TLS.
    pub(crate) pop3s: u16,
}

/// A running Dovecot. Stopped and removed when dropped.
pub(crate) struct Dovecot {
    /// Where it listens.
    pub(crate) ports: Ports,
    /// What it shows to TLS clients.
    pub(crate) certificates: Certificates,
    child: Child,
    directory: TempDir,
    deliveries: AtomicU64,
}

impl Dovecot {
    /// Starts a Dovecot with the settings that a mailbox provider would use.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a Dovecot with `settings` added at the end of its configuration.
    pub(crate) fn start_with(settings: &str) -> Self {
        Self::start_in(directory(), settings)
    }

    /// Starts a Dovecot with master users: a name and what follows it in a line of a passwd-file, such as
    /// `{PLAIN}secret`. In `settings`, DIRECTORY is Dovecot's own.
    pub(crate) fn start_with_masters(masters: &[(&str, &str)], settings: &str) -> Self {
        let directory = directory();
        let root = directory.path().display();
        let lines: Vec<String> = masters.iter().map(|(name, rest)| format!("{name}:{rest}\n")).collect();
        std::fs::write(directory.path().join("masters"), lines.concat()).expect("masters file");
        let settings = format!(
            "auth_master_user_separator = *
passdb {{
  driver = passwd-file
  args = {root}/masters
  master = yes
}}
{}",
            settings.replace("DIRECTORY", &root.to_string())
        );
        Self::start_in(directory, &settings)
    }

    fn start_in(directory: TempDir, settings: &str) -> Self {
        let root = directory.path();
        std::fs::write(root.join("users"), "").expect("users file");
        let certificates = Certificates::write(root);
        for _ in 0..ATTEMPTS {
            let ports = free_ports();
            let text = configuration(root, ports, &certificates, settings);
            std::fs::write(root.join("dovecot.conf"), text).expect("dovecot.conf");
            let mut child = spawn(root);
            if came_up(&mut child, ports) {
                return Self { ports, certificates, child, directory, deliveries: AtomicU64::new(0) };
            }
        }
        panic!("Dovecot does not start; {PACKAGES}:\n{}", log_of(root));
    }

    /// Creates one user with an empty mailbox.
    pub(crate) fn user(&self, name: &str, password: &str) -> User {
        self.users(&[(name, password)]).remove(0)
    }

    /// Creates users with empty mailboxes and returns when Dovecot knows them.
    ///
    /// Names and passwords may hold any bytes except that a name has no `:` (the file's
    /// separator); passwords are stored in base64 so that nothing in them needs quoting.
    pub(crate) fn users(&self, wanted: &[(&str, &str)]) -> Vec<User> {
        let file = self.directory.path().join("users");
        let mut text = std::fs::read_to_string(&file).expect("users file");
        let mut users = Vec::new();
        for (name, password) in wanted {
            let home = self.directory.path().join(format!("home{}", text.lines().count()));
            let secret = BASE64.encode(password);
            let key = escaped(name);
            let line = format!("{key}:{{PLAIN.b64}}{secret}:{MAIL_UID}:{MAIL_UID}::{}::\n", home.display());
            text.push_str(&line);
            let maildir = home.join("Maildir");
            for folder in ["cur", "new", "tmp"] {
                std::fs::create_dir_all(maildir.join(folder)).expect("maildir");
                chown(maildir.join(folder), Some(MAIL_UID), Some(MAIL_UID)).expect("chown");
            }
            chown(&maildir, Some(MAIL_UID), Some(MAIL_UID)).expect("chown");
            chown(&home, Some(MAIL_UID), Some(MAIL_UID)).expect("chown");
            let (name, password) = ((*name).to_owned(), (*password).to_owned());
            users.push(User { name, password, maildir });
        }
        std::fs::write(&file, text).expect("users file");
        // Dovecot looks at the file's date at most once a second.
        let last = users.last().expect("at least one user");
        wait::until("Dovecot reads its users file", || Imap::try_login(self, last));
        users
    }

    /// Puts messages into a user's INBOX, in this order.
    ///
    /// They are written as maildir files, because that preserves most (measured on 2.3.19): CRLF,
    /// bare CR, CR CR LF, 8-bit bytes, a missing final newline and even a message of zero octets
    /// are served over IMAP exactly as written. Only a bare LF is served as CRLF, and a NUL as 0x80
    /// (an IMAP literal cannot hold NUL). APPEND preserves less: it refuses an empty message and
    /// turns each CR, alone or not, into a line end. UIDs follow the order of the file names.
    pub(crate) fn deliver<'a>(&self, user: &User, messages: impl IntoIterator<Item = &'a [u8]>) {
        for message in messages {
            let number = self.deliveries.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}.M{number}P1.test:2,", 1_700_000_000 + number);
            let temporary = user.maildir.join("tmp").join(&name);
            std::fs::write(&temporary, message).expect("write a message");
            chown(&temporary, Some(MAIL_UID), Some(MAIL_UID)).expect("chown");
            std::fs::rename(&temporary, user.maildir.join("cur").join(&name)).expect("rename");
        }
    }

    /// Gives a user's INBOX another UIDVALIDITY.
    pub(crate) fn renumber(&self, user: &User) {
        // Every delivery has a number of its own, and so has this.
        let uidvalidity = 1_800_000_000 + self.deliveries.fetch_add(1, Ordering::Relaxed);
        let output = Command::new("doveadm")
            .arg("-c")
            .arg(self.directory.path().join("dovecot.conf"))
            .args([
                "mailbox",
                "update",
                "--uid-validity",
                &uidvalidity.to_string(),
                "-u",
                &user.name,
                "INBOX",
            ])
            .output()
            .expect("start doveadm; install the Debian package dovecot-core");
        assert!(output.status.success(), "doveadm: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Writes a file beside its configuration.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).expect("a file");
    }

    /// Everything that Dovecot has logged so far; with `auth_debug`, each try to log in.
    pub(crate) fn log(&self) -> String {
        log_of(self.directory.path())
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        terminate(&mut self.child);
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("the end of Dovecot's log, newest first:\n{}", tail.join("\n"));
        }
    }
}

/// Where one lives. Mail processes run as `MAIL_UID` and have to pass through.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o711)).expect("chmod");
    directory
}

/// Dovecot looks names up in its users file with these three escaped.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\'', "\\'")
}

fn log_of(root: &Path) -> String {
    // "output" is what it says before it has opened its log, such as errors in its configuration.
    let read = |name| std::fs::read(root.join(name)).unwrap_or_default();
    String::from_utf8_lossy(&[read("output"), read("log")].concat()).into_owned()
}

fn spawn(root: &Path) -> Child {
    let output = std::fs::File::create(root.join("output")).expect("output file");
    // setpriv lets Dovecot end with the test even when the test is killed.
    Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "dovecot", "-F", "-c"])
        .arg(root.join("dovecot.conf"))
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("output file"))
        .stderr(output)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start setpriv: {error}; {PACKAGES}"))
}

/// Waits until all ports answer, or says that the process has ended.
fn came_up(child: &mut Child, ports: Ports) -> bool {
    wait::until("Dovecot listens", || {
        if child.try_wait().expect("wait for Dovecot").is_some() {
            return Some(false);
        }
        let all = [ports.imap, ports.imaps, ports.pop3, ports.pop3s];
        all.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()).then_some(true)
    })
}

/// Ports that were free a moment ago; Dovecot cannot bind port 0 and report what it got.
fn free_ports() -> Ports {
    let held: Vec<TcpListener> =
        (0..4).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let port = |index: usize| held[index].local_addr().expect("its address").port();
    Ports { imap: port(0), imaps: port(1), pop3: port(2), pop3s: port(3) }
}

fn configuration(root: &Path, ports: Ports, tls: &Certificates, settings: &str) -> String {
    let Ports { imap, imaps, pop3, pop3s } = ports;
    let (root, chain, key) = (root.display(), tls.chain.display(), tls.key.display());
    format!(
        "base_dir = {root}/run
protocols = imap pop3
listen = 127.0.0.1
log_path = {root}/log
auth_debug = yes
ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
disable_plaintext_auth = no
# Any byte may stand in a user name, nothing waits, and nobody is one too many.
auth_username_chars =
auth_failure_delay = 0
mail_max_userip_connections = 0
default_process_limit = 500
default_client_limit = 4000
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
mail_location = maildir:~/Maildir
namespace inbox {{
  inbox = yes
}}
# What lastpop's recipe \"dovecot\" spells: %08x of the UID, then of the UIDVALIDITY.
pop3_uidl_format = %08Xu%08Xv
passdb {{
  driver = passwd-file
  args = {root}/users
}}
userdb {{
  driver = passwd-file
  args = {root}/users
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
{settings}
"
    )
}
