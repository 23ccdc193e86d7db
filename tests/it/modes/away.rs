//! A state that goes away stops no mail of whoever this proxy knows, and changes no mode; who is not known waits,
//! unless their domain's rule refuses them.

use std::time::Instant;

use lastpop::store::Subject;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{MESSAGE, PAGE, answered, answered_soon, count, knock, of, quit, set};
use crate::support::desk::Desk;
use crate::support::dovecot::Dovecot;
use crate::support::pop3::Pop3;
use crate::support::postgres::Postgres;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

const UP: &str = "lastpop_store_up";

fn wait_until_up(proxy: &Proxy, up: i64) {
    wait::until(&format!("{UP} is {up}"), || (proxy.metric(UP) == up).then_some(()));
}

/// A change of the tables, or a network that swallows everything, lets no login wait for long.
#[test]
fn a_state_that_does_not_answer_is_as_good_as_away() {
    let (dovecot, server) = (Dovecot::start(), Postgres::shared());
    let names = ["known@example.net", "new@example.net", "newer@example.net"];
    let users = dovecot.users(&names.map(|name| (name, "a password")));
    let url = format!("\"{}\"", server.url("silent"));
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("state.url", &url)], &[]);
    answered(&proxy, &users[0], "+OK");
    // What everybody's facts are is not sure any more.
    server.psql("silent", "UPDATE counters SET value = value + 2 WHERE name = 'generation'");
    wait::until("it is heard", || (proxy.metric("lastpop_policy_generation") == 2).then_some(()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let lock = async {
        let mut connection = PgConnection::connect(&server.url("silent")).await?;
        connection.execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await?;
        Ok::<_, sqlx::Error>(connection)
    };
    let locked = runtime.block_on(lock).expect("a lock");
    let asked = Instant::now();
    answered(&proxy, &users[0], "+OK");
    answered(&proxy, &users[1], "-ERR [SYS/TEMP] ");
    println!("two logins took {:?} while the state did not answer", asked.elapsed());
    runtime.block_on(locked.close()).expect("no lock any more");
    answered_soon(&proxy, &users[1], "+OK");
    // It answers questions and writes nothing: what waits for that shares one limit.
    proxy.reload(&[("policy.mode", "\"notice\""), ("policy.url", "\"https://example.net/switch\"")]);
    let lock = async {
        let mut connection = PgConnection::connect(&server.url("silent")).await?;
        connection.execute("BEGIN; LOCK TABLE uidl_pins, last_uidvalidity, notices IN SHARE MODE").await?;
        Ok::<_, sqlx::Error>(connection)
    };
    let locked = runtime.block_on(lock).expect("a lock");
    let asked = Instant::now();
    answered(&proxy, &users[2], "-ERR [SYS/TEMP] ");
    println!("a first login took {:?} while nothing could be written", asked.elapsed());
    runtime.block_on(locked.close()).expect("no lock any more");
    answered_soon(&proxy, &users[2], "+OK");
}

#[test]
fn modes_hold_on_while_the_state_is_away_and_follow_again_when_it_is_back() {
    let (dovecot, mut server) = (Dovecot::start(), Postgres::start_with(&["fsync=off"]));
    let names = ["pop3", "imap", "notice", "new"].map(|name| format!("{name}@example.net"));
    let gone = ["gone@example.org".to_owned(), "exception@example.org".to_owned()];
    let names: Vec<(&str, &str)> =
        names.iter().chain(&gone).map(|name| (name.as_str(), "a password")).collect();
    let users = dovecot.users(&names);
    let [pop3, imap, notice, new, gone, exception] = &users[..] else { unreachable!("six users") };
    for user in &users {
        dovecot.deliver(user, [MESSAGE; 2]);
    }
    let url = server.url("away");
    let quoted = format!("\"{url}\"");
    let changes = [("state.url", quoted.as_str()), PAGE];
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
    let desk = Desk::open(&url);
    set(&desk, &of(imap), "imap-only");
    set(&desk, &of(notice), "notice");
    set(&desk, &of(exception), "pop3");
    set(&desk, &Subject::Domain("example.org".to_owned()), "imap-only");
    wait::until("the rules are heard", || (proxy.metric("lastpop_policy_generation") == 4).then_some(()));
    answered(&proxy, imap, "-ERR [SYS/PERM] ");
    let unique_ids = |session: &mut Pop3| -> Vec<String> {
        assert!(session.command("UIDL").starts_with("+OK"));
        let lines = session.listing();
        lines.iter().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect()
    };
    let before = [pop3, notice].map(|user| unique_ids(&mut proxy.login(user)));
    assert_eq!(before.each_ref().map(Vec::len), [2, 3]);
    answered(&proxy, exception, "+OK");

    // 1. Away. A session that is under way goes on to its end, and hides what it deletes.
    let mut under_way = proxy.login(pop3);
    server.stop();
    wait_until_up(&proxy, 0);
    for command in ["RETR 1", "DELE 1"] {
        let said = under_way.command(command);
        assert!(said.starts_with("+OK"), "{command}: {said}");
        if command == "RETR 1" {
            assert_eq!(under_way.message(), MESSAGE);
        }
    }
    quit(under_way);
    let asked = Instant::now();
    let during = [pop3, notice].map(|user| unique_ids(&mut proxy.login(user)));
    assert_eq!(during, [before[0][1..].to_vec(), before[1].clone()]);
    answered(&proxy, imap, "-ERR [SYS/PERM] POP3 is switched off for imap@example.net.");
    answered(&proxy, exception, "+OK");
    println!("four logins of users who are known took {:?} while the state was away", asked.elapsed());
    let asked = Instant::now();
    answered(&proxy, new, "-ERR [SYS/TEMP] ");
    answered(&proxy, gone, "-ERR [SYS/PERM] POP3 is switched off for gone@example.org.");
    println!("two of users who are not took {:?}", asked.elapsed());
    let wrong = new.with_password("wrong");
    answered(&proxy, &wrong, "-ERR [AUTH] ");
    // A notice cannot be remembered as deleted now, and QUIT says so; messages can.
    let mut session = proxy.login(notice);
    for number in [1, 3] {
        assert!(session.command(&format!("DELE {number}")).starts_with("+OK"));
    }
    let said = session.command("QUIT");
    assert!(said.starts_with("-ERR [SYS/TEMP] "), "{said}");
    let mut session = proxy.login(notice);
    assert_eq!(count(&mut session), 2);
    assert!(session.command("UIDL 2").contains("{notice}"));
    quit(session);
    assert!(proxy.metric("lastpop_store_errors_total") >= 2);
    // A campaign cannot begin now, and that keeps nobody from their mail.
    proxy.reload(&[("notices.campaign", "\"2\"")]);
    assert_eq!(count(&mut proxy.login(notice)), 1);
    proxy.reload(&[("notices.campaign", "\"1\"")]);
    assert_eq!(proxy.metric(UP), 0);

    // 2. Back.
    server.start_again();
    set(&desk, &of(pop3), "imap-only");
    let took = answered_soon(&proxy, pop3, "-ERR [SYS/PERM] ");
    println!("a flip right after the restart was in force after {took:?}");
    wait_until_up(&proxy, 1);
    let (said, session) = knock(&proxy, new);
    assert!(said.starts_with("+OK"), "{said}");
    quit(session);
    let mut session = proxy.login(notice);
    assert!(session.command("DELE 2").starts_with("+OK"));
    quit(session);
    assert_eq!(count(&mut proxy.login(notice)), 1);
}
