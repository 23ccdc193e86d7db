//! Live sessions: who is logged in, and what ending them does: nothing is hidden, and nothing that was promised
//! is broken.

use crate::support::api::{ADMIN, OPERATOR, VIEWER};
use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::Imap;
use crate::support::pop3::{Pop3, Transport};
use crate::support::proxy::{Proxy, Upstream};
use crate::support::relay::{Relay, Store};
use crate::support::wait;

const SESSIONS: &str = "/api/v1/sessions";
const KICK: &str = "/api/v1/sessions/kick";
const MESSAGE: &[u8] = b"Subject: a message\r\n\r\nits body\r\n";

fn with_messages(dovecot: &Dovecot, name: &str) -> User {
    let user = dovecot.user(name, "secret");
    dovecot.deliver(&user, [MESSAGE; 2]);
    user
}

/// Which messages are hidden, in the order of their UIDs.
fn hidden(dovecot: &Dovecot, user: &User) -> Vec<bool> {
    Imap::open(dovecot, user).messages().iter().map(|message| message.has("$POP3Deleted")).collect()
}

/// A session in which the first message is marked.
fn marked(proxy: &Proxy, user: &User) -> Pop3 {
    let mut session = proxy.login(user);
    assert!(session.command("DELE 1").starts_with("+OK"));
    session
}

/// How many sessions were told to end.
#[track_caller]
fn kick(proxy: &Proxy, whom: &str) -> u64 {
    kick_with(proxy, whom, false)
}

#[track_caller]
fn kick_with(proxy: &Proxy, whom: &str, dry_run: bool) -> u64 {
    let body = format!("{{\"whom\":{whom},\"reason\":\"ticket 7\",\"dry_run\":{dry_run}}}");
    let answer = proxy.api("POST", KICK, OPERATOR, &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["sessions"].as_u64().expect("a number")
}

/// The connection is closed, without a word.
#[track_caller]
fn is_closed(mut session: Pop3) {
    let (rest, end) = session.end();
    assert!(rest.is_empty() && end.is_ok(), "{rest:?} {end:?}");
}

#[test]
fn who_is_logged_in() {
    let dovecot = Dovecot::start();
    let [anna, bob] = ["anna@example.net", "bob@example.net"].map(|name| with_messages(&dovecot, name));
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let list = |query: &str| proxy.api("GET", &format!("{SESSIONS}{query}"), VIEWER, "").json();
    assert_eq!(list(""), serde_json::json!({"sessions": [], "total": 0, "next": null}));

    let _nobody = proxy.connect(Transport::Plain);
    let mut encrypted = proxy.connect(Transport::Implicit);
    encrypted.login("Anna@Example.net", &anna.password);
    let mut from_elsewhere = Pop3::connect_from("127.77.0.9", proxy.endpoints.plain);
    from_elsewhere.login(&bob.name, &bob.password);
    let both = list("");
    assert_eq!((both["total"].as_u64(), both["next"].is_null()), (Some(2), true), "{both}");

    let found = list("?user=ANNA%40example.net");
    let session = &found["sessions"][0];
    assert_eq!(session["user"], "anna@example.net");
    assert_eq!((&session["address"], &session["mode"]), (&"127.0.0.1".into(), &"pop3".into()));
    assert_eq!(session["tls"], "TLSv1.3");
    assert!(session["since"].as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z')));
    let id = session["session"].as_str().expect("an id");
    assert!(proxy.log_with(id, 1).contains("\"login\""), "the log has the same id");

    for (query, total) in [
        ("?network=127.77.0.9/32", 1),
        ("?network=127.0.0.0/8", 2),
        ("?network=127.0.0.0/16&user=bob@example.net", 0),
        ("?network=2001:db8::/32", 0),
        ("?user=nobody", 0),
    ] {
        assert_eq!(list(query)["total"], total, "{query}");
    }
    let first = list("?limit=1");
    assert_eq!((first["sessions"].as_array().map(Vec::len), &first["total"]), (Some(1), &2.into()));
    let second = list(&format!("?limit=1&after={}", first["next"].as_str().expect("one more")));
    assert_ne!(first["sessions"][0]["session"], second["sessions"][0]["session"]);
    assert!(second["next"].is_null(), "{second}");
    for query in ["?limit=0", "?limit=1001", "?limit=x", "?network=x"] {
        proxy.api("GET", &format!("{SESSIONS}{query}"), VIEWER, "").problem(400);
    }

    assert!(encrypted.command("QUIT").starts_with("+OK"));
    drop(from_elsewhere);
    wait::until("nobody is logged in", || (list("")["total"] == 0).then_some(()));
}

#[test]
fn a_session_that_is_kicked_is_closed_and_hides_nothing() {
    let dovecot = Dovecot::start();
    let [anna, bob] = ["anna", "bob"].map(|name| with_messages(&dovecot, name));
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let (first, second, mut other) = (marked(&proxy, &anna), marked(&proxy, &anna), marked(&proxy, &bob));
    assert_eq!(kick_with(&proxy, r#"{"user":"anna"}"#, true), 2);
    assert_eq!(kick(&proxy, r#"{"user":"Anna"}"#), 2);
    is_closed(first);
    is_closed(second);
    assert!(other.command("NOOP").starts_with("+OK"), "only that user's");
    assert_eq!(hidden(&dovecot, &anna), [false, false]);

    let id = proxy.api("GET", SESSIONS, VIEWER, "").json()["sessions"][0]["session"].take();
    assert_eq!(kick(&proxy, &format!("{{\"session\":{id}}}")), 1);
    is_closed(other);
    let mut from_elsewhere = Pop3::connect_from("127.77.0.9", proxy.endpoints.plain);
    from_elsewhere.login(&bob.name, &bob.password);
    let here = marked(&proxy, &bob);
    assert_eq!(kick(&proxy, r#"{"network":"127.0.0.0/16"}"#), 1);
    is_closed(here);
    assert_eq!(kick(&proxy, r#"{"network":"127.77.0.9/32"}"#), 1);
    is_closed(from_elsewhere);
    assert_eq!(kick(&proxy, r#"{"user":"anna"}"#), 0);
    proxy.wait_until_left();
    assert_eq!(hidden(&dovecot, &bob), [false, false]);

    assert_eq!(proxy.metric_with("lastpop_sessions_total", "result=\"kicked\""), 5);
    let log = proxy.log_with("\"result\":\"kicked\"", 5);
    let acts: Vec<&str> = log.lines().filter(|line| line.contains("ended by an operator")).collect();
    assert_eq!(acts.len(), 5, "{log}");
    assert!(acts.iter().all(|line| line.contains("\"actor\":\"an-operator\"")), "{log}");
    assert!(acts[0].contains("\"reason\":\"ticket 7\"") && acts[0].contains("\"user\":\"anna\""), "{log}");
    // One line for each act, and none for what was only asked.
    let here = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let session = format!("session {}", id.as_str().expect("an id"));
    let expected = [
        ("user", "anna", "0 sessions on this proxy"),
        ("proxy", here.trim(), "1 session from 127.77.0.9/32"),
        ("proxy", here.trim(), "1 session from 127.0.0.0/16"),
        ("user", "bob", session.as_str()),
        ("user", "anna", "2 sessions on this proxy"),
    ];
    assert_eq!(trail(&proxy, "kick", "an-operator", "ticket 7"), expected.map(told));
}

fn told((kind, subject, after): (&str, &str, &str)) -> [String; 3] {
    [kind, subject, after].map(str::to_owned)
}

/// The audit trail as kind, subject and what is told besides; it holds nothing but this.
fn trail(proxy: &Proxy, action: &str, actor: &str, reason: &str) -> Vec<[String; 3]> {
    let list = proxy.api("GET", "/api/v1/audit", VIEWER, "").json();
    let entries = list["entries"].as_array().expect("entries").iter();
    let field = |entry: &serde_json::Value, name: &str| entry[name].as_str().expect(name).to_owned();
    entries
        .map(|entry| {
            assert_eq!((&entry["action"], &entry["actor"]), (&action.into(), &actor.into()));
            assert_eq!((&entry["reason"], &entry["before"]), (&reason.into(), &serde_json::Value::Null));
            ["kind", "subject", "after"].map(|name| field(entry, name))
        })
        .collect()
}

#[test]
fn exactly_one_thing_is_kicked() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    for body in [r#"{"user":"a","session":"b"}"#, r#"{"all":true}"#, r#"{"network":"x"}"#] {
        let body = format!("{{\"whom\":{body},\"reason\":\"x\"}}");
        let answer = proxy.api("POST", KICK, OPERATOR, &body);
        // serde takes some of these for JSON that is none.
        answer.problem(if answer.status == 400 { 400 } else { 422 });
    }
    proxy.api("POST", KICK, OPERATOR, r#"{"whom":{"user":"a"}}"#).problem(422);
    proxy.api("POST", KICK, OPERATOR, "").problem(415);
}

/// Once QUIT was read, the deletions are promised.
#[test]
fn an_update_under_way_is_not_ended() {
    let dovecot = Dovecot::start();
    let user = with_messages(&dovecot, "user");
    let relay = Relay::start(dovecot.ports.imap);
    let address = format!("\"127.0.0.1:{}\"", relay.port);
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("upstream.address", &address)], &[]);
    let mut session = marked(&proxy, &user);
    relay.store(Store::Hold);
    session.send(b"QUIT\r\n");
    relay.wait_until_held();
    assert_eq!(kick(&proxy, r#"{"user":"user"}"#), 1, "it is still one of the user's sessions");
    relay.store(Store::Pass);
    let reply = session.line();
    assert!(reply.starts_with("+OK"), "{reply}");
    drop(session);
    proxy.wait_until_left();
    assert_eq!(hidden(&dovecot, &user), [true, false]);
    assert_eq!(proxy.metric_with("lastpop_sessions_total", "result=\"quit\""), 1);
}

/// A clean close would make half a message look whole.
#[test]
fn a_message_that_is_cut_short_ends_in_a_reset() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("user", "secret");
    // More than the buffers between two sockets hold.
    let large =
        [b"Subject: large\r\n\r\n", "x".repeat(78).as_bytes(), b"\r\n".repeat(24 << 20).as_slice()].concat();
    dovecot.deliver(&user, [large.as_slice()]);
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let mut session = proxy.login(&user);
    assert!(session.command("RETR 1").starts_with("+OK"));
    assert_eq!(kick(&proxy, r#"{"user":"user"}"#), 1);
    proxy.wait_until_left();
    let (_, end) = session.end();
    assert_eq!(end.expect_err("no clean end").kind(), std::io::ErrorKind::ConnectionReset);
    assert!(!Imap::open(&dovecot, &user).messages()[0].has("\\Seen"), "it was not delivered");
}

#[test]
fn a_drain_over_the_api_is_one_by_sigterm() {
    let dovecot = Dovecot::start();
    let user = with_messages(&dovecot, "user");
    let patient = ("limits.drain_timeout", "\"1h\"");
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[patient], &[]);
    let mut session = marked(&proxy, &user);
    let drain = |body: &str, token: &str| proxy.api("POST", "/api/v1/drain", token, body);
    drain(r#"{"reason":"update"}"#, OPERATOR).problem(403);
    let answer = drain(r#"{"reason":"update","dry_run":true}"#, ADMIN);
    assert_eq!((answer.status, answer.json()["sessions"].as_u64()), (200, Some(1)));
    assert_eq!(proxy.get("/ready").0, 200, "that changed nothing");
    assert_eq!(drain(r#"{"reason":"update"}"#, ADMIN).status, 202);
    wait::until("lastpop drains", || (proxy.get("/ready") == (503, "draining\n".to_owned())).then_some(()));
    assert_eq!(drain(r#"{"reason":"again"}"#, ADMIN).status, 202, "once more changes nothing");
    assert_eq!(proxy.api("GET", SESSIONS, VIEWER, "").json()["total"], 1, "the API goes on");
    let here = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let once = told(("proxy", here.trim(), "sessions under way: 1"));
    assert_eq!(trail(&proxy, "drain", "an-admin", "update"), [once]);
    let log = proxy.log_with("asked for over the API", 1);
    assert!(log.contains("\"actor\":\"an-admin\"") && log.contains("\"reason\":\"update\""), "{log}");
    assert!(session.command("QUIT").starts_with("+OK"));
    drop(session);
    assert_eq!(proxy.exit_code(), Some(0));
    assert_eq!(hidden(&dovecot, &user), [true, false]);

    // Whoever asks is answered, also when there is nothing to wait for.
    let mut idle = Proxy::start(&dovecot, Upstream::Plain);
    assert_eq!(idle.api("POST", "/api/v1/drain", ADMIN, r#"{"reason":"update"}"#).status, 202);
    assert_eq!(idle.exit_code(), Some(0));
}
