//! Two proxies and one PostgreSQL that is killed, for a minute or what feels like one: no session is lost, no mode, no
//! line of the audit trail, and not one message of what customers did.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::json;

use super::fleet::fleet_at;
use super::{MESSAGE, PAGE, count, held, knock};
use crate::support::api::ADMIN;
use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::Imap;
use crate::support::pop3::Pop3;
use crate::support::postgres::Postgres;
use crate::support::proxy::{Proxy, lastpop};
use crate::support::{is_full, wait};

const DATABASE: &str = "outage";

/// How long the database is away at least. It takes some seconds until everybody knows.
fn outage() -> Duration {
    Duration::from_secs(if is_full() { 60 } else { 8 })
}

/// What customers did, as the ledger is to have it in the end.
#[derive(Debug, Default)]
struct Did {
    sessions: usize,
    messages: usize,
    octets: usize,
    deleted: usize,
    refused: usize,
}

impl Did {
    fn knock(&mut self, proxy: &Proxy, user: &User) -> (String, Pop3) {
        let (said, session) = knock(proxy, user);
        self.sessions += usize::from(said.starts_with("+OK"));
        self.refused += usize::from(said.starts_with("-ERR [SYS/PERM]"));
        (said, session)
    }

    #[track_caller]
    fn login(&mut self, proxy: &Proxy, user: &User) -> Pop3 {
        let (said, session) = self.knock(proxy, user);
        assert!(said.starts_with("+OK"), "{}: {said}", user.name);
        session
    }

    #[track_caller]
    fn refused(&mut self, proxy: &Proxy, user: &User) {
        let (said, _) = self.knock(proxy, user);
        assert!(said.starts_with("-ERR [SYS/PERM] "), "{}: {said}", user.name);
    }

    /// Knocks until the answer is this one; says how long that took.
    fn answered_soon(&mut self, proxy: &Proxy, user: &User, reply: &str) -> Duration {
        let begun = Instant::now();
        wait::until(&format!("{} is answered {reply}", user.name), || {
            self.knock(proxy, user).0.starts_with(reply).then(|| begun.elapsed())
        })
    }

    #[track_caller]
    fn retrieve(&mut self, session: &mut Pop3, number: usize) {
        let said = session.command(&format!("RETR {number}"));
        assert!(said.starts_with("+OK"), "RETR {number}: {said}");
        let message = session.message();
        assert_eq!(message, MESSAGE);
        self.messages += 1;
        self.octets += said.len() + "\r\n".len() + message.len() + ".\r\n".len();
    }

    /// Marks a message and quits.
    #[track_caller]
    fn delete(&mut self, mut session: Pop3, number: usize) {
        assert!(session.command(&format!("DELE {number}")).starts_with("+OK"));
        let said = session.command("QUIT");
        assert!(said.starts_with("+OK"), "QUIT: {said}");
        self.deleted += 1;
    }

    /// Waits until the database says so.
    fn is_written(&self, server: &Postgres) {
        let Self { sessions, messages, octets, deleted, refused } = self;
        let expected = format!("{sessions}|{messages}|{octets}|{deleted}|{refused}");
        for table in ["users", "daily"] {
            let sums = format!(
                "SELECT sum(sessions), sum(messages), sum(octets), sum(deleted), sum(refused) FROM {table}"
            );
            let mut found = String::new();
            let what = format!("{table} has {expected}");
            wait::until(&what, || {
                let now = server.psql(DATABASE, &sums);
                if now != found {
                    println!("{table} has {now} of {expected}");
                    found.clone_from(&now);
                }
                (now == expected).then_some(())
            });
        }
    }
}

/// Everything that nobody may lose.
fn kept(server: &Postgres) -> [String; 3] {
    [
        "SELECT * FROM audit ORDER BY id",
        "SELECT username, mode, mode_since, planned_mode, planned_from, set_by, notice_dismissed FROM users
            WHERE mode_since > 0 ORDER BY username",
        "SELECT * FROM domains ORDER BY domain",
    ]
    .map(|query| server.psql(DATABASE, query))
}

/// Sets a mode through a proxy's API; gives the status.
fn set(proxy: &Proxy, path: &str, mode: &str) -> u16 {
    let body = json!({"mode": mode, "reason": "a test"}).to_string();
    let answer = proxy.api("PUT", &format!("/api/v1/{path}/mode"), ADMIN, &body);
    match answer.status {
        200 => {}
        status => assert!(answer.problem(status).contains("Nothing was changed"), "{answer:?}"),
    }
    answer.status
}

fn wait_until_up(proxies: &[Proxy], up: i64) -> Duration {
    let begun = Instant::now();
    for proxy in proxies {
        let name = "lastpop_store_up";
        wait::until(&format!("{name} is {up}"), || (proxy.metric(name) == up).then_some(()));
    }
    begun.elapsed()
}

/// Starts a lastpop with this proxy's configuration, and waits for its end.
fn one_more(proxy: &Proxy) -> Output {
    lastpop().args(["serve", "--config"]).arg(proxy.file()).output().expect("start lastpop")
}

/// A flip through one proxy is in force on the other within a second. The last one is to `imap-only`.
fn flip_to_and_fro(proxies: &[Proxy; 2], user: &User, did: &mut Did) {
    let mut took = Vec::new();
    for (round, mode) in ["imap-only", "pop3", "imap-only", "pop3", "imap-only"].iter().enumerate() {
        let (here, there) = (&proxies[round % 2], &proxies[(round + 1) % 2]);
        assert_eq!(set(here, &format!("users/{}", user.name), mode), 200);
        let reply = if *mode == "pop3" { "+OK" } else { "-ERR [SYS/PERM]" };
        assert!(did.knock(here, user).0.starts_with(reply), "at once where it was asked for");
        took.push(did.answered_soon(there, user, reply));
    }
    took.sort();
    println!("a flip through one proxy's API was in force on the other after {took:?}");
    assert!(took[2] < Duration::from_secs(1), "{took:?}");
}

/// Both proxies notice that the database is away. What can be done without it, they do; what cannot be done, they say.
fn noticed(proxies: &[Proxy; 2], port: u16, new: &User, did: &mut Did) {
    println!("two proxies have noticed it after {:?}", wait_until_up(proxies, 0));
    let (said, _) = did.knock(&proxies[0], new);
    assert!(said.starts_with("-ERR [SYS/TEMP] "), "{said}");
    assert_eq!(set(&proxies[1], &format!("users/{}", new.name), "imap-only"), 503);
    // A proxy that is started now does not begin to serve customers whom it does not know.
    let Output { status, stdout, stderr } = one_more(&proxies[0]);
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(1), "{said}");
    let place = format!("cannot open the state in PostgreSQL at 127.0.0.1:{port}/{DATABASE}");
    assert!(said.contains(&place) && said.contains("is the server running"), "{said}");
    assert!(!said.contains("s3cret") && stdout.is_empty(), "{said}");
}

#[test]
fn a_database_that_is_killed_loses_no_session_no_mode_and_no_usage() {
    let (dovecot, mut server) = (Dovecot::start(), Postgres::start());
    let names = ["anna", "bob", "carl", "dora", "eve", "new"].map(|name| format!("{name}@example.net"));
    let names: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a password")).collect();
    let users = dovecot.users(&names);
    let [anna, bob, carl, dora, eve, new] = &users[..] else { unreachable!("six users") };
    for user in &users {
        dovecot.deliver(user, [MESSAGE; 6]);
    }
    let before = Imap::open(&dovecot, anna).messages();
    let url = server.url(DATABASE).replace("//lastpop@", "//lastpop:s3cret@");
    let (proxies, _) = fleet_at(&dovecot, &url, &[("usage.flush_interval", "\"1s\""), PAGE]);
    let mut did = Did::default();

    // 1. A flip through one proxy is in force on the other within a second.
    for proxy in &proxies {
        for user in [anna, bob, carl, dora, eve] {
            did.login(proxy, user);
        }
    }
    flip_to_and_fro(&proxies, carl, &mut did);
    assert_eq!(set(&proxies[0], &format!("users/{}", dora.name), "notice"), 200);
    for proxy in &proxies {
        wait::until("the notice is there", || (count(&mut did.login(proxy, dora)) == 7).then_some(()));
    }
    // Two sessions that will see all of it. And the newest flip: acknowledged, and then the lights go out.
    let mut through = proxies.each_ref().map(|proxy| did.login(proxy, anna));
    assert_eq!(set(&proxies[0], "domains/example.org", "notice"), 200);
    assert_eq!(set(&proxies[0], &format!("users/{}", eve.name), "imap-only"), 200);
    did.answered_soon(&proxies[1], eve, "-ERR [SYS/PERM]");
    let modes = kept(&server);

    // 2. Away.
    server.kill();
    let killed = Instant::now();
    let mut rounds = 0;
    // Before anybody has noticed, and on and on.
    while rounds < 5 || killed.elapsed() < outage() {
        rounds += 1;
        for (proxy, through) in proxies.iter().zip(&mut through) {
            did.retrieve(through, 1 + rounds % 6);
            dovecot.deliver(bob, [MESSAGE]);
            let mut session = did.login(proxy, bob);
            assert_eq!(count(&mut session), 7);
            did.retrieve(&mut session, 7);
            did.delete(session, 7);
            did.refused(proxy, carl);
            did.refused(proxy, eve);
            let mut session = did.login(proxy, dora);
            assert_eq!(count(&mut session), 7);
            assert!(session.command("UIDL 7").contains("{notice}"));
        }
        if rounds == 1 {
            noticed(&proxies, server.port, new, &mut did);
        }
    }
    let during = proxies.each_ref().map(|proxy| did.login(proxy, anna));
    // One that began before ends now, the others when it is back.
    let [first, mut second] = through;
    did.delete(first, 1);
    println!("{rounds} rounds on each proxy in {:?} without a database", killed.elapsed());
    for proxy in &proxies {
        assert_eq!(proxy.metric("lastpop_store_up"), 0);
        assert!(proxy.metric("lastpop_usage_pending_users") > 0);
    }

    // 3. Back.
    server.start_again();
    println!("two proxies have noticed it after {:?}", wait_until_up(&proxies, 1));
    assert_eq!(kept(&server), modes);
    did.retrieve(&mut second, 2);
    did.delete(second, 2);
    for (session, number) in during.into_iter().zip([3, 4]) {
        did.delete(session, number);
    }
    for proxy in &proxies {
        did.refused(proxy, carl);
        did.refused(proxy, eve);
        did.login(proxy, new);
        assert_eq!(count(&mut did.login(proxy, anna)), 2);
    }
    let undo =
        proxies[1].api("POST", &format!("/api/v1/users/{}/undo", eve.name), ADMIN, r#"{"reason": "a test"}"#);
    assert_eq!(undo.status, 200, "{undo:?}");
    for proxy in &proxies {
        println!("then a flip was in force after {:?}", did.answered_soon(proxy, eve, "+OK"));
        proxy.wait_until_left();
    }
    did.is_written(&server);
    for proxy in &proxies {
        assert_eq!(proxy.metric("lastpop_usage_dropped_total"), 0);
        assert_eq!(proxy.metric("lastpop_messages_marked_pending"), 0);
    }
    // And nothing of it has removed anything.
    let after = Imap::open(&dovecot, anna).messages();
    assert_eq!(held(&after), held(&before));
    let hidden: Vec<bool> = after.iter().map(|message| message.has("$POP3Deleted")).collect();
    assert_eq!(hidden, [true, true, true, true, false, false]);
    let after = Imap::open(&dovecot, bob).messages();
    assert_eq!(after.len(), 6 + 2 * rounds);
    assert!(after.iter().skip(6).all(|message| message.has("$POP3Deleted")));
}
