//! The bounds: how many connections, how many of one address, how many of one user, and that each place is
//! free again afterwards.

use std::net::TcpStream;

use super::{MESSAGE, NAME, PASSWORD, quit, says};
use crate::support::dovecot::Dovecot;
use crate::support::pop3::{Pop3, Transport};
use crate::support::proxy::{Proxy, Upstream};
use crate::support::relay::{Relay, Store};
use crate::support::wait;

const REJECTED: &str = "lastpop_connections_rejected_total";

/// Connects until it is served: a place is free a moment after its connection has ended.
fn served(proxy: &Proxy) -> Pop3 {
    wait::until("a place is free", || {
        let (line, session) = greeting(proxy);
        line.starts_with("+OK").then_some(session)
    })
}

/// The first line on a new connection.
fn greeting(proxy: &Proxy) -> (String, Pop3) {
    let mut session = Pop3::over(TcpStream::connect(("127.0.0.1", proxy.endpoints.plain)).expect("connect"));
    (session.line(), session)
}

/// A new connection is told that there are too many, and closed.
#[track_caller]
fn refused(proxy: &Proxy) {
    let (line, mut session) = greeting(proxy);
    assert!(line.starts_with("-ERR [SYS/TEMP] "), "{line}");
    assert_eq!(session.drain(), 0);
}

#[test]
fn connections_of_an_address_are_bounded_until_they_are_logged_in() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, PASSWORD);
    let two = ("limits.connections_per_address", "2");
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[two], &[]);
    let (mut first, second) = (served(&proxy), served(&proxy));
    refused(&proxy);
    assert_eq!(proxy.metric_with(REJECTED, "reason=\"max_per_address\""), 1);
    // Another address is another count.
    let other = Pop3::connect_from("127.77.0.9", proxy.endpoints.plain);
    // Without TLS there is nothing to say it in: a listener with implicit TLS only closes.
    let mut tls = Pop3::over(TcpStream::connect(("127.0.0.1", proxy.endpoints.implicit)).expect("connect"));
    assert_eq!(tls.drain(), 0);

    // 1. A login frees its place, though the connection stays.
    first.login(&user.name, &user.password);
    let third = served(&proxy);
    refused(&proxy);
    says(&mut first, "NOOP", "+OK");
    // 2. So does whoever leaves, in whatever way.
    drop(second);
    let fourth = served(&proxy);
    refused(&proxy);
    third.reset();
    let fifth = served(&proxy);
    refused(&proxy);
    quit(fourth);
    let sixth = served(&proxy);
    refused(&proxy);
    drop((first, other, fifth, sixth));
}

#[test]
fn addresses_of_an_exempt_network_are_not_counted() {
    let dovecot = Dovecot::start();
    let changes = [
        ("limits.connections_per_address", "1"),
        ("limits.exempt_networks", "[\"127.77.0.0/16\", \"2001:db8::/32\"]"),
    ];
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
    let counted = served(&proxy);
    refused(&proxy);
    let exempt: Vec<Pop3> = (0..3).map(|_| Pop3::connect_from("127.77.0.9", proxy.endpoints.plain)).collect();
    drop((counted, exempt));
}

#[test]
fn a_wrong_password_frees_nothing() {
    let dovecot = Dovecot::start();
    let one = ("limits.connections_per_address", "1");
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[one], &[]);
    let mut session = served(&proxy);
    for _ in 0..2 {
        says(&mut session, "USER nobody", "+OK");
        says(&mut session, "PASS wrong", "-ERR [AUTH]");
        refused(&proxy);
    }
    says(&mut session, "USER nobody", "+OK");
    says(&mut session, "PASS wrong", "-ERR [AUTH]");
    drop(served(&proxy));
}

#[test]
fn sessions_of_a_user_are_bounded_until_their_end() {
    let dovecot = Dovecot::start();
    let users = dovecot.users(&[(NAME, PASSWORD), ("other", "secret")]);
    let (user, other) = (&users[0], &users[1]);
    dovecot.deliver(user, [MESSAGE; 2]);
    let relay = Relay::start(dovecot.ports.imap);
    let address = format!("\"127.0.0.1:{}\"", relay.port);
    let changes = [("limits.sessions_per_user", "1"), ("upstream.address", address.as_str())];
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
    let login = || {
        let mut session = proxy.connect(Transport::Plain);
        says(&mut session, &format!("USER {}", user.name), "+OK");
        (session.command(&format!("PASS {}", user.password)), session)
    };
    let in_use = || {
        let (reply, _) = login();
        assert!(reply.starts_with("-ERR [IN-USE] "), "{reply}");
    };
    let free = || {
        wait::until("the user's place is free", || {
            let (reply, session) = login();
            assert!(reply.starts_with("+OK") || reply.starts_with("-ERR [IN-USE] "), "{reply}");
            reply.starts_with("+OK").then_some(session)
        })
    };
    let session = free();
    in_use();
    assert_eq!(proxy.metric_with("lastpop_auth_attempts_total", "result=\"too_many\""), 1);
    // Whoever does not know the password learns nothing of it.
    let mut wrong = proxy.connect(Transport::Plain);
    says(&mut wrong, &format!("USER {}", user.name), "+OK");
    says(&mut wrong, "PASS wrong", "-ERR [AUTH]");
    drop(proxy.login(other));

    // 1. QUIT; 2. a client that goes; 3. one that goes while its UPDATE is under way.
    quit(session);
    let session = free();
    in_use();
    session.reset();
    let mut session = free();
    says(&mut session, "DELE 1", "+OK");
    relay.store(Store::Hold);
    session.send(b"QUIT\r\n");
    relay.wait_until_held();
    session.reset();
    in_use();
    relay.store(Store::Pass);
    let mut session = free();
    says(&mut session, "STAT", "+OK 1 ");
}

#[test]
fn connections_in_all_are_bounded() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, PASSWORD);
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("limits.sessions", "1")], &[]);
    let mut session = served(&proxy);
    refused(&proxy);
    session.login(&user.name, &user.password);
    refused(&proxy);
    assert_eq!(proxy.metric_with(REJECTED, "reason=\"max_total\""), 2);
    quit(session);
    drop(served(&proxy));
}
