//! Two proxies whose connections for messages are lost, hang, or were never of use: nothing that is changed meanwhile is
//! missed by either.

use std::process::Command;
use std::time::Instant;

use lastpop::store::Subject;
use lastpop::users::UserName;

use super::fleet::{fleet, fleet_at};
use super::{MESSAGE, PAGE, answered_soon, count, of, quit, set};
use crate::support::dovecot::{Dovecot, User};
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::wait;

/// The server's processes behind the connections that listen.
const LISTENING: &str = "SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE '%listens%' AND state = 'idle'";

const NOTICE: (&str, &str) = ("policy.mode", "\"notice\"");

fn listening(server: &Postgres, database: &str) -> Vec<String> {
    server.psql(database, LISTENING).lines().map(str::to_owned).collect()
}

fn wait_until_both_listen(server: &Postgres, database: &str) -> Vec<String> {
    wait::until("both proxies listen", || Some(listening(server, database)).filter(|all| all.len() == 2))
}

/// Deletes the last message; there are so many.
fn delete_last(proxy: &Proxy, user: &User, messages: usize) {
    let mut session = proxy.login(user);
    assert_eq!(count(&mut session), messages);
    assert!(session.command(&format!("DELE {messages}")).starts_with("+OK"));
    quit(session);
}

fn listed(proxy: &Proxy, user: &User) -> usize {
    count(&mut proxy.login(user))
}

#[test]
fn proxies_that_cannot_hear_each_other_miss_nothing() {
    const DATABASE: &str = "fleet_deaf";
    let (dovecot, server) = (Dovecot::start(), Postgres::shared());
    let names = ["anna@example.net", "bob@example.net", "carl@example.org", "dora@example.net"];
    let users = dovecot.users(&names.map(|name| (name, "a password")));
    let [anna, bob, carl, dora] = &users[..] else { unreachable!("four users") };
    for user in &users {
        dovecot.deliver(user, [MESSAGE; 2]);
    }
    // A role that can be forbidden to speak.
    let url = server.url(DATABASE).replace("//lastpop@", "//deaf@");
    server.psql("postgres", &format!("CREATE ROLE deaf LOGIN; ALTER DATABASE {DATABASE} OWNER TO deaf"));
    let ([one, other], desk) = fleet_at(&dovecot, &url, &[NOTICE, PAGE]);
    // Hidden mail, and everybody known to both.
    delete_last(&one, dora, 3);
    delete_last(&one, dora, 2);
    for proxy in [&one, &other] {
        let each: Vec<usize> = users.iter().map(|user| listed(proxy, user)).collect();
        assert_eq!(each, [3, 3, 3, 1]);
    }
    wait_until_both_listen(&server, DATABASE);

    // 1. From now on nobody is told anything.
    server.psql(DATABASE, "REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC");
    let ended = LISTENING.replace("SELECT pid", "SELECT count(pg_terminate_backend(pid))");
    assert_eq!(server.psql(DATABASE, &ended), "2");
    wait::until("nobody listens", || listening(&server, DATABASE).is_empty().then_some(()));
    delete_last(&one, anna, 3);
    assert_eq!(listed(&other, anna), 2, "at once");
    let domain = Subject::Domain("example.org".to_owned());
    for (subject, user) in [(&of(bob), bob), (&domain, carl)] {
        set(&desk, subject, "imap-only");
        let took = [&one, &other].map(|proxy| answered_soon(proxy, user, "-ERR [SYS/PERM] "));
        println!("without messages, a flip was in force on both proxies {took:?} after it was committed");
    }
    desk.unhide(&UserName::stored(&dora.name), 0, 0).expect("asked");
    wait::until("it is done", || (listed(&other, dora) == 2).then_some(()));
    delete_last(&other, dora, 2);
    for proxy in [&one, &other] {
        assert_eq!(listed(proxy, dora), 1, "it is done once");
        assert_eq!(proxy.metric("lastpop_store_up"), 1);
        assert!(!proxy.log().contains("the state store is away"));
    }

    // 2. And now they are again.
    server.psql(DATABASE, "GRANT EXECUTE ON FUNCTION pg_notify(text, text) TO PUBLIC");
    wait_until_both_listen(&server, DATABASE);
    set(&desk, &of(bob), "notice");
    for proxy in [&one, &other] {
        answered_soon(proxy, bob, "+OK");
        assert_eq!(listed(proxy, bob), 3);
    }
    delete_last(&other, bob, 3);
    wait::until("the other proxy is told", || (listed(&one, bob) == 2).then_some(()));
}

/// A process of the server that does nothing until this is dropped: as when a network swallows everything.
struct Stopped<'a>(&'a [String]);

impl<'a> Stopped<'a> {
    fn stop(processes: &'a [String]) -> Self {
        signal("STOP", processes);
        Self(processes)
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        signal("CONT", self.0);
    }
}

fn signal(name: &str, processes: &[String]) {
    let sent = Command::new("kill").arg(format!("-{name}")).args(processes).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -{name} {processes:?}");
}

#[test]
fn a_connection_that_hangs_is_given_up_and_what_it_kept_back_is_asked_for() {
    const DATABASE: &str = "fleet_hangs";
    let (dovecot, server) = (Dovecot::start(), Postgres::shared());
    let user = dovecot.user("anna@example.net", "a password");
    dovecot.deliver(&user, [MESSAGE; 2]);
    let ([one, other], _desk) = fleet(&dovecot, &server, DATABASE, &[NOTICE, PAGE]);
    let before = wait_until_both_listen(&server, DATABASE);
    for proxy in [&one, &other] {
        assert_eq!(listed(proxy, &user), 3);
    }
    let stopped = Stopped::stop(&before);
    delete_last(&one, &user, 3);
    let begun = Instant::now();
    wait::until("the other proxy asks", || (listed(&other, &user) == 2).then_some(()));
    println!("what a hanging connection kept back was asked for after {:?}", begun.elapsed());
    wait::until("both listen again", || {
        let now = listening(&server, DATABASE);
        (now.iter().filter(|process| !before.contains(process)).count() == 2).then_some(())
    });
    drop(stopped);
    for proxy in [&one, &other] {
        assert_eq!(proxy.metric("lastpop_store_up"), 1);
        assert!(!proxy.log().contains("the state store is away"));
    }
}
