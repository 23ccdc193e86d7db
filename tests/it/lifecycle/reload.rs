//! SIGHUP: new sessions get the new settings, old ones keep theirs, and a file that cannot be used changes
//! nothing.

use std::path::{Path, PathBuf};

use crate::support::certificates::Certificates;
use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::Imap;
use crate::support::pop3::{Body, Pop3, Transport};
use crate::support::proxy::{Proxy, Upstream};

const MESSAGE: &[u8] = b"Subject: a message\r\n\r\nits body\r\n";
const SUCCESSFUL: &str = "lastpop_config_last_reload_successful";
const RELOADED: &str = "were reloaded";

fn retrieve(session: &mut Pop3, number: usize) {
    assert!(session.command(&format!("RETR {number}")).starts_with("+OK"));
    assert_eq!(session.body(), Body::of(MESSAGE));
}

fn quit(mut session: Pop3) {
    assert!(session.command("QUIT").starts_with("+OK"));
}

#[test]
fn a_session_keeps_the_settings_that_it_began_with() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("user", "secret");
    dovecot.deliver(&user, [MESSAGE; 2]);
    let mut proxy = Proxy::start(&dovecot, Upstream::Plain);
    let mut old = proxy.login(&user);
    let said = proxy.reload(&[("maildrop.seen", "\"never\"")]);
    assert!(said.contains(RELOADED), "{said}");
    let mut new = proxy.login(&user);
    retrieve(&mut old, 1);
    retrieve(&mut new, 2);
    quit(old);
    quit(new);
    let seen: Vec<bool> =
        Imap::open(&dovecot, &user).messages().iter().map(|message| message.has("\\Seen")).collect();
    assert_eq!(seen, [true, false]);
}

/// How many wrong passwords this connection takes before it is closed.
fn tries(mut session: Pop3, user: &User) -> usize {
    let wrong = format!("USER {}\r\nPASS wrong\r\n", user.name);
    let mut refused = 0;
    while session.try_send(wrong.as_bytes()).is_ok() && session.try_line().is_some() {
        let Some(reply) = session.try_line() else { break };
        assert!(reply.starts_with("-ERR [AUTH]"), "{reply}");
        refused += 1;
    }
    refused
}

#[test]
fn limits_change_for_new_connections() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("user", "secret");
    let mut proxy = Proxy::start(&dovecot, Upstream::Plain);
    let old = proxy.connect(Transport::Plain);
    proxy.reload(&[("limits.login_failures", "1")]);
    assert_eq!(tries(proxy.connect(Transport::Plain), &user), 1);
    assert_eq!(tries(old, &user), 3);
}

#[test]
fn the_upstream_moves_and_old_sessions_stay() {
    let (here, there) = (Dovecot::start(), Dovecot::start());
    let user = here.user("user", "secret");
    here.deliver(&user, [MESSAGE]);
    let moved = there.user("user", "secret");
    there.deliver(&moved, [MESSAGE; 3]);
    let mut proxy = Proxy::start(&here, Upstream::Plain);
    let mut old = proxy.login(&user);
    proxy.reload(&[("upstream.address", &format!("\"127.0.0.1:{}\"", there.ports.imap))]);
    let mut new = proxy.login(&user);
    assert!(new.command("STAT").starts_with("+OK 3 "));
    assert!(old.command("STAT").starts_with("+OK 1 "));
    retrieve(&mut old, 1);
    assert!(old.command("DELE 1").starts_with("+OK"));
    quit(old);
    quit(new);
    assert!(Imap::open(&here, &user).messages()[0].has("$POP3Deleted"));
    assert!(!Imap::open(&there, &moved).messages()[0].has("$POP3Deleted"));
}

/// What SIGHUP binds to a socket cannot change without losing it; an operator has to be told.
#[test]
fn what_needs_a_restart_is_said() {
    let dovecot = Dovecot::start();
    let mut proxy = Proxy::start(&dovecot, Upstream::Plain);
    let said = proxy.reload(&[("limits.sessions", "17")]);
    assert!(said.contains(RELOADED), "{said}");
    let log = proxy.log();
    assert!(
        log.contains("\"key\":\"limits.sessions\"") && log.contains("takes effect only at a restart"),
        "{log}"
    );
}

#[test]
fn a_bad_file_changes_nothing_and_the_log_says_why() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("user", "secret");
    let mut proxy = Proxy::start(&dovecot, Upstream::Plain);
    assert_eq!(proxy.metric(SUCCESSFUL), 1);
    let good = std::fs::read_to_string(proxy.file()).expect("the configuration");
    let file = proxy.file().display().to_string();

    proxy.reload(&[("limits.login_failures", "1")]);
    let changed = std::fs::read_to_string(proxy.file()).expect("the configuration");
    let last = changed.lines().count();
    // Each has a good change before it, which must not take effect either.
    for (mistake, why) in [
        ("[maildrop]\nsen = \"retr\"\n", format!("{file}:{}: maildrop.sen: unknown field `sen`", last + 2)),
        ("[maildrop]\nseen = \"sometimes\"\n", format!("{file}:{}: maildrop.seen: ", last + 2)),
        ("[maildrop\n", format!("{file}:{}: ", last + 1)),
    ] {
        let bad = changed.replace("login_failures = 1", "login_failures = 2") + mistake;
        assert_ne!(bad, format!("{changed}{mistake}"));
        std::fs::write(proxy.file(), bad).expect("a bad configuration");
        let said = proxy.hangup();
        assert!(!said.contains(RELOADED) && said.contains(&why), "{mistake:?} gives {said}");
        assert_eq!(proxy.metric(SUCCESSFUL), 0);
        assert_eq!(tries(proxy.connect(Transport::Plain), &user), 1, "the old settings are in force");
    }
    std::fs::remove_file(proxy.file()).expect("remove the configuration");
    let said = proxy.hangup();
    assert!(said.contains(&format!("{file}: cannot be read")), "{said}");
    quit(proxy.login(&user));

    std::fs::write(proxy.file(), good).expect("the configuration");
    let said = proxy.hangup();
    assert!(said.contains(RELOADED), "{said}");
    assert_eq!(proxy.metric(SUCCESSFUL), 1);
    assert_eq!(tries(proxy.connect(Transport::Plain), &user), 3);
}

/// Where lastpop's own certificate and key are in this test.
struct Shown {
    chain: PathBuf,
    key: PathBuf,
}

impl Shown {
    fn becomes(&self, chain: &Path, key: &Path) {
        std::fs::copy(chain, &self.chain).expect("copy the certificate");
        std::fs::copy(key, &self.key).expect("copy the key");
    }
}

#[test]
fn certificates_are_replaced_and_broken_ones_are_not_taken() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("user", "secret");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let made = ["a", "b"].map(|name| {
        let folder = directory.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        Certificates::write(&folder)
    });
    let [first, second] = &made;
    let shown = Shown { chain: directory.path().join("chain.pem"), key: directory.path().join("key.pem") };
    shown.becomes(&first.chain, &first.key);
    let files = format!("[{{ chain = \"{}\", key = \"{}\" }}]", shown.chain.display(), shown.key.display());
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("tls.certificates", &files)], &[]);
    // Only an authority that signed what is shown lets a client connect.
    let connect = |authority: &Certificates| {
        for transport in [Transport::Implicit, Transport::Starttls] {
            let mut session = Pop3::connect(proxy.port(transport), transport, &authority.client_config());
            session.login(&user.name, &user.password);
            quit(session);
        }
    };
    connect(first);
    let implicit = Transport::Implicit;
    let mut old = Pop3::connect(proxy.port(implicit), implicit, &first.client_config());

    shown.becomes(&second.chain, &second.key);
    connect(first);
    let said = proxy.hangup();
    assert!(said.contains(RELOADED), "{said}");
    connect(second);
    old.login(&user.name, &user.password);
    quit(old);

    // 1. Half written, 2. a key that belongs to another certificate.
    std::fs::write(&shown.chain, "-----BEGIN CERTIFICATE-----\nAAAA\n").expect("a broken file");
    let said = proxy.hangup();
    assert!(!said.contains(RELOADED) && said.contains("chain.pem"), "{said}");
    shown.becomes(&first.chain, &second.key);
    let said = proxy.hangup();
    assert!(!said.contains(RELOADED) && said.contains("key.pem"), "{said}");
    assert_eq!(proxy.metric(SUCCESSFUL), 0);
    connect(second);

    shown.becomes(&first.chain, &first.key);
    let said = proxy.hangup();
    assert!(said.contains(RELOADED), "{said}");
    assert_eq!(proxy.metric(SUCCESSFUL), 1);
    connect(first);
}
