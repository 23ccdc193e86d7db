//! What operations and support see of lastpop: metrics here, the log in `logs`, the bounds in `limits`, and
//! unique-ids across restarts in `pins`.

mod limits;
mod logs;
mod pins;

use crate::support::dovecot::{Dovecot, User};
use crate::support::pop3::{Body, Pop3, TRANSPORTS, Transport};
use crate::support::promtool;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::relay::{Relay, Store};

const MESSAGE: &[u8] = b"Subject: a message\r\n\r\nits body\r\n";

/// A name and a password that stand nowhere by chance.
const NAME: &str = "anna.quisenberry@example.net";
const PASSWORD: &str = "Tr0ub4dor-zyzzyva";

fn retrieve(session: &mut Pop3, number: usize) {
    assert!(session.command(&format!("RETR {number}")).starts_with("+OK"));
    assert_eq!(session.body(), Body::of(MESSAGE));
}

/// The command is answered with this.
#[track_caller]
fn says(session: &mut Pop3, command: &str, reply: &str) {
    let said = session.command(command);
    assert!(said.starts_with(reply), "{command}: {said}");
}

/// QUIT, and the connection is closed.
#[track_caller]
fn quit(mut session: Pop3) {
    says(&mut session, "QUIT", "+OK");
}

/// What the books say about messages that were marked by DELE.
#[derive(Debug, PartialEq, Eq)]
struct Books {
    marked: i64,
    confirmed: i64,
    failed: i64,
    discarded: i64,
    pending: i64,
}

impl Books {
    fn read(proxy: &Proxy) -> Self {
        let result = |result: &str| {
            proxy.metric_with("lastpop_messages_marked_results_total", &format!("result=\"{result}\""))
        };
        Self {
            marked: proxy.metric("lastpop_messages_marked_deleted_total"),
            confirmed: result("confirmed"),
            failed: result("failed"),
            discarded: result("discarded"),
            pending: proxy.metric("lastpop_messages_marked_pending"),
        }
    }
}

/// A session of everything, over each transport.
fn some_sessions(proxy: &Proxy, user: &User) {
    for transport in TRANSPORTS {
        let mut session = proxy.connect(transport);
        session.login(&user.name, &user.password);
        for listing in ["LIST", "UIDL", "CAPA"] {
            says(&mut session, listing, "+OK");
            session.listing();
        }
        retrieve(&mut session, 1);
        says(&mut session, "TOP 1 0", "+OK");
        session.body();
        says(&mut session, "RETR 99", "-ERR");
        says(&mut session, "NONSENSE", "-ERR");
        quit(session);
        let mut wrong = proxy.connect(transport);
        says(&mut wrong, &format!("USER {}", user.name), "+OK");
        says(&mut wrong, "PASS wrong", "-ERR [AUTH]");
    }
    proxy.wait_until_left();
}

#[test]
fn promtool_has_no_complaint() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, PASSWORD);
    dovecot.deliver(&user, [MESSAGE; 2]);
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    some_sessions(&proxy, &user);
    let (status, text) = proxy.get("/metrics");
    assert_eq!(status, 200);
    promtool::has_no_complaint(&text);
}

#[test]
fn metrics_count_what_happened_and_name_nobody() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, PASSWORD);
    dovecot.deliver(&user, [MESSAGE; 2]);
    // Listeners are named by their own address, so that of the client has to be another. A reserve of connections
    // would make their number depend on the moment.
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("upstream.reserve", "0")], &[]);
    some_sessions(&proxy, &user);
    let mut from_elsewhere = Pop3::connect_from("127.77.0.9", proxy.endpoints.plain);
    from_elsewhere.login(&user.name, &user.password);
    quit(from_elsewhere);
    proxy.wait_until_left();

    for (name, label, count) in [
        ("lastpop_connections_accepted_total", "", 7),
        ("lastpop_connections_rejected_total", "", 0),
        ("lastpop_auth_attempts_total", "result=\"ok\"", 4),
        ("lastpop_auth_attempts_total", "result=\"bad_credentials\"", 3),
        ("lastpop_plaintext_logins_total", "", 2),
        ("lastpop_tls_handshakes_total", "result=\"TLSv1.3\"", 4),
        ("lastpop_commands_total", "command=\"RETR\",result=\"ok\"", 3),
        ("lastpop_commands_total", "command=\"RETR\",result=\"err\"", 3),
        ("lastpop_commands_total", "command=\"other\",result=\"err\"", 3),
        ("lastpop_retrievals_total", "command=\"TOP\",result=\"complete\"", 3),
        ("lastpop_message_size_bytes_count", "", 3),
        ("lastpop_message_size_bytes_sum", "", 3 * i64::try_from(MESSAGE.len()).expect("a length")),
        ("lastpop_message_size_mismatches_total", "", 0),
        ("lastpop_session_duration_seconds_count", "", 4),
        ("lastpop_upstream_connects_total", "result=\"ok\"", 7),
        ("lastpop_upstream_commands_total", "command=\"LOGIN\",result=\"ok\"", 1),
        ("lastpop_upstream_commands_total", "command=\"OPEN\",result=\"ok\"", 3),
        ("lastpop_upstream_commands_total", "command=\"OPEN\",result=\"credentials\"", 3),
        ("lastpop_maildrop_snapshots_total", "result=\"none\"", 1),
        ("lastpop_maildrop_snapshots_total", "result=\"unchanged\"", 3),
        ("lastpop_maildrop_snapshots_kept", "", 1),
        ("lastpop_upstream_up", "", 1),
        ("lastpop_panics_total", "", 0),
        ("lastpop_draining", "", 0),
        ("lastpop_config_last_reload_successful", "", 1),
    ] {
        assert_eq!(proxy.metric_with(name, label), count, "{name} {label}");
    }
    let (_, text) = proxy.get("/metrics");
    for secret in ["quisenberry", "example.net", PASSWORD, "127.77.0.9"] {
        assert!(!text.contains(secret), "{secret} is in:\n{text}");
    }
}

#[test]
fn the_probes_answer() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    assert_eq!(proxy.get("/live"), (200, "alive\n".to_owned()));
    assert_eq!(proxy.get("/ready"), (200, "ready\n".to_owned()));
    assert_eq!(proxy.get("/nothing").0, 401);
}

/// An upstream that is down is no reason to be taken out by a load balancer.
#[test]
fn ready_without_an_upstream() {
    let dovecot = Dovecot::start();
    let nobody = ("upstream.address", "\"127.0.0.1:1\"");
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[nobody], &[]);
    let mut session = proxy.connect(Transport::Plain);
    says(&mut session, "USER x", "+OK");
    says(&mut session, "PASS x", "-ERR [SYS/TEMP]");
    assert_eq!(proxy.get("/ready").0, 200);
    assert_eq!(proxy.metric("lastpop_upstream_up"), 0);
    assert_eq!(
        proxy.metric_with(
            "lastpop_auth_attempts_total",
            "method=\"userpass\",result=\"upstream_unavailable\""
        ),
        1
    );
}

/// marked = confirmed + failed + discarded + pending, whatever becomes of sessions.
#[test]
fn the_books_on_deleted_messages_balance() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, PASSWORD);
    dovecot.deliver(&user, [MESSAGE; 20]);
    let relay = Relay::start(dovecot.ports.imap);
    let address = format!("\"127.0.0.1:{}\"", relay.port);
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("upstream.address", &address)], &[]);
    let marked = |numbers: &[usize]| {
        let mut session = proxy.login(&user);
        for number in numbers {
            says(&mut session, &format!("DELE {number}"), "+OK");
        }
        session
    };
    let mut expected = Books { marked: 2, confirmed: 2, failed: 0, discarded: 0, pending: 0 };
    assert_eq!(Books::read(&proxy), Books { marked: 0, confirmed: 0, ..expected });

    // 1. QUIT.
    quit(marked(&[1, 2]));
    proxy.wait_until_idle();
    assert_eq!(Books::read(&proxy), expected);

    // 2. RSET discards, and what is marked after it counts again.
    let mut session = marked(&[1, 2, 3]);
    says(&mut session, "DELE 3", "-ERR");
    says(&mut session, "NOOP", "+OK");
    expected = Books { marked: 5, pending: 3, ..expected };
    assert_eq!(Books::read(&proxy), expected);
    says(&mut session, "RSET", "+OK");
    says(&mut session, "NOOP", "+OK");
    expected = Books { discarded: 3, pending: 0, ..expected };
    assert_eq!(Books::read(&proxy), expected);
    says(&mut session, "DELE 4", "+OK");
    quit(session);
    proxy.wait_until_idle();
    expected = Books { marked: 6, confirmed: 3, ..expected };
    assert_eq!(Books::read(&proxy), expected);

    // 3. Clients that go, with a reset and without.
    marked(&[1, 2]).reset();
    drop(marked(&[3]));
    proxy.wait_until_idle();
    expected = Books { marked: 9, discarded: 6, ..expected };
    assert_eq!(Books::read(&proxy), expected);

    // 4. An UPDATE under way is pending, also when its client is gone.
    let mut session = marked(&[1]);
    relay.store(Store::Hold);
    session.send(b"QUIT\r\n");
    relay.wait_until_held();
    session.reset();
    expected = Books { marked: 10, pending: 1, ..expected };
    assert_eq!(Books::read(&proxy), expected);
    relay.store(Store::Pass);
    proxy.wait_until_idle();
    expected = Books { confirmed: 4, pending: 0, ..expected };
    assert_eq!(Books::read(&proxy), expected);

    // 5. An UPDATE that fails says so.
    let mut session = marked(&[1, 2]);
    relay.store(Store::Cut);
    says(&mut session, "QUIT", "-ERR [SYS/TEMP]");
    drop(session);
    proxy.wait_until_idle();
    expected = Books { marked: 12, failed: 2, ..expected };
    assert_eq!(Books::read(&proxy), expected);
    let Books { marked, confirmed, failed, discarded, pending } = expected;
    assert_eq!(marked, confirmed + failed + discarded + pending);
}
