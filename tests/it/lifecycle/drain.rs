//! SIGTERM: who is not logged in is sent away, who is may finish, and what is not finished in time ends so
//! that nobody takes it for finished.

use std::net::TcpStream;
use std::time::Duration;

use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::Imap;
use crate::support::pop3::{Body, TRANSPORTS, Transport};
use crate::support::proxy::{Proxy, Upstream};
use crate::support::relay::{Relay, Store};
use crate::support::wait;

const HIDDEN: &str = "$POP3Deleted";
const MESSAGE: &[u8] = b"Subject: a message\r\n\r\nits body\r\n";

/// A little longer than sessions have to notice that they are closed; an UPDATE has more.
const CLOSE: Duration = Duration::from_secs(11);

/// Longer than a test waits: a drain that ends, ends for another reason.
const LONG: (&str, &str) = ("limits.drain_timeout", "\"1h\"");
const SHORT: (&str, &str) = ("limits.drain_timeout", "\"1s\"");

fn with_messages(dovecot: &Dovecot, count: usize) -> User {
    let user = dovecot.user("user", "secret");
    dovecot.deliver(&user, std::iter::repeat_n(MESSAGE, count));
    user
}

/// Which messages are hidden, in the order of their UIDs.
fn hidden(dovecot: &Dovecot, user: &User) -> Vec<bool> {
    Imap::open(dovecot, user).messages().iter().map(|message| message.has(HIDDEN)).collect()
}

fn wait_until_draining(proxy: &Proxy) {
    wait::until("lastpop drains", || (proxy.get("/ready") == (503, "draining\n".to_owned())).then_some(()));
}

#[test]
fn newcomers_are_refused_and_sessions_may_finish() {
    let dovecot = Dovecot::start();
    let user = with_messages(&dovecot, 3);
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[LONG], &[]);
    let mut session = proxy.login(&user);
    assert!(session.command("DELE 3").starts_with("+OK"));

    proxy.signal("TERM");
    wait_until_draining(&proxy);
    assert_eq!(proxy.get("/live").0, 200);
    assert_eq!(proxy.metric("lastpop_draining"), 1);
    for transport in TRANSPORTS {
        wait::until("new connections are refused", || {
            TcpStream::connect(("127.0.0.1", proxy.port(transport))).is_err().then_some(())
        });
    }

    assert!(session.command("STAT").starts_with("+OK 2 "));
    assert!(session.command("RETR 1").starts_with("+OK"));
    assert_eq!(session.body(), Body::of(MESSAGE));
    assert!(session.command("DELE 2").starts_with("+OK"));
    assert!(session.command("QUIT").starts_with("+OK"));
    drop(session);
    assert_eq!(proxy.exit_code(), Some(0));
    assert_eq!(hidden(&dovecot, &user), [false, true, true]);
    assert!(Imap::open(&dovecot, &user).messages()[0].has("\\Seen"), "it was retrieved");
}

#[test]
fn who_is_not_logged_in_is_told_to_come_back() {
    let dovecot = Dovecot::start();
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[LONG], &[]);
    let mut waiting: Vec<_> = TRANSPORTS.iter().map(|transport| proxy.connect(*transport)).collect();
    let mut half = proxy.connect(Transport::Plain);
    assert!(half.command("USER user").starts_with("+OK"));
    let mut exchange = proxy.connect(Transport::Plain);
    assert!(exchange.command("AUTH PLAIN").starts_with("+ "));
    waiting.extend([half, exchange]);

    proxy.signal("TERM");
    for mut pop3 in waiting {
        let reply = pop3.line();
        assert!(reply.starts_with("-ERR [SYS/TEMP] "), "{reply}");
        let (rest, end) = pop3.end();
        assert!(rest.is_empty() && end.is_ok(), "{rest:?} {end:?}");
    }
    assert_eq!(proxy.exit_code(), Some(0));
}

/// RFC 1939 §6: a session that ends without QUIT takes nothing out of the maildrop.
#[test]
fn an_idle_session_is_closed_when_the_time_is_over() {
    let dovecot = Dovecot::start();
    let user = with_messages(&dovecot, 2);
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[SHORT], &[]);
    let mut session = proxy.login(&user);
    assert!(session.command("DELE 1").starts_with("+OK"));
    proxy.signal("TERM");
    let (rest, end) = session.end();
    assert!(rest.is_empty() && end.is_ok(), "{rest:?} {end:?}");
    drop(session);
    assert_eq!(proxy.exit_code(), Some(0));
    assert_eq!(hidden(&dovecot, &user), [false, false]);
    assert!(proxy.log().contains("\"result\":\"shutdown\""), "the log tells how the session ended");
}

/// More than the buffers between two sockets hold.
const LARGE: usize = 48 * 1024 * 1024;

#[test]
fn a_message_that_is_cut_short_ends_in_a_reset() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("user", "secret");
    let line = [&[b'x'; 78][..], b"\r\n"].concat();
    let large = [b"Subject: large\r\n\r\n", line.repeat(LARGE / line.len()).as_slice()].concat();
    dovecot.deliver(&user, [large.as_slice()]);
    for transport in [Transport::Plain, Transport::Implicit] {
        let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[SHORT], &[]);
        let mut session = proxy.connect(transport);
        session.login(&user.name, &user.password);
        assert!(session.command("RETR 1").starts_with("+OK"));
        proxy.signal("TERM");
        assert_eq!(proxy.exit_code(), Some(0));
        let (tail, end) = session.end();
        let error = end.expect_err("half a message must not end cleanly");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{transport:?}: {error}");
        assert_ne!(tail, b"\r\n.\r\n", "{transport:?}: it looks whole");
    }
    let message = Imap::open(&dovecot, &user).messages().remove(0);
    assert!(!message.has("\\Seen") && !message.has(HIDDEN), "it was not delivered: {:?}", message.flags);
}

/// Once QUIT was read, the deletions are promised.
#[test]
fn an_update_under_way_runs_to_its_end() {
    let dovecot = Dovecot::start();
    let user = with_messages(&dovecot, 2);
    let relay = Relay::start(dovecot.ports.imap);
    let address = format!("\"127.0.0.1:{}\"", relay.port);
    let mut proxy =
        Proxy::start_with(&dovecot, Upstream::Plain, &[SHORT, ("upstream.address", &address)], &[]);
    let mut session = proxy.login(&user);
    assert!(session.command("DELE 1").starts_with("+OK"));
    relay.store(Store::Hold);
    session.send(b"QUIT\r\n");
    relay.wait_until_held();
    proxy.signal("TERM");
    wait::until("the drain is over", || proxy.log().contains("the time is over").then_some(()));
    assert_eq!(hidden(&dovecot, &user), [false, false], "the relay holds it back");
    wait::throughout(CLOSE, "lastpop ended within an UPDATE", || proxy.is_running());
    relay.store(Store::Pass);
    let reply = session.line();
    assert!(reply.starts_with("+OK"), "{reply}");
    drop(session);
    assert_eq!(proxy.exit_code(), Some(0));
    assert_eq!(hidden(&dovecot, &user), [true, false]);
}

/// The client's own end does not stop it either.
#[test]
fn an_update_runs_to_its_end_without_its_client() {
    let dovecot = Dovecot::start();
    let user = with_messages(&dovecot, 2);
    let relay = Relay::start(dovecot.ports.imap);
    let address = format!("\"127.0.0.1:{}\"", relay.port);
    let mut proxy =
        Proxy::start_with(&dovecot, Upstream::Plain, &[LONG, ("upstream.address", &address)], &[]);
    let mut session = proxy.login(&user);
    assert!(session.command("DELE 2").starts_with("+OK"));
    relay.store(Store::Hold);
    session.send(b"QUIT\r\n");
    relay.wait_until_held();
    session.reset();
    proxy.signal("TERM");
    wait_until_draining(&proxy);
    relay.store(Store::Pass);
    assert_eq!(proxy.exit_code(), Some(0));
    assert_eq!(hidden(&dovecot, &user), [false, true]);
}

#[test]
fn a_second_signal_ends_the_drain_at_once() {
    let dovecot = Dovecot::start();
    let user = with_messages(&dovecot, 1);
    for second in ["TERM", "INT"] {
        let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[LONG], &[]);
        let mut session = proxy.login(&user);
        assert!(session.command("DELE 1").starts_with("+OK"));
        proxy.signal("TERM");
        wait_until_draining(&proxy);
        assert!(session.command("NOOP").starts_with("+OK"), "one signal lets sessions go on");
        proxy.signal(second);
        let (rest, end) = session.end();
        assert!(rest.is_empty() && end.is_ok(), "{rest:?} {end:?}");
        drop(session);
        assert_eq!(proxy.exit_code(), Some(0), "{second}");
        assert_eq!(hidden(&dovecot, &user), [false], "{second}");
    }
}
