//! A wave before two proxies and one PostgreSQL: customers notice each step on both, and one of them carried it out,
//! whatever is killed meanwhile.

use jiff::Timestamp;
use lastpop::policy::Mode;
use lastpop::users::UserName;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::runtime::Runtime;

use super::fleet::fleet;
use super::{answered, answered_soon};
use crate::support::clock::Clock;
use crate::support::desk::Desk;
use crate::support::dovecot::Dovecot;
use crate::support::postgres::Postgres;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::{is_full, wait};

#[test]
fn steps_of_a_wave_are_in_force_on_every_proxy_and_carried_out_once() {
    let (dovecot, server) = (Dovecot::start(), Postgres::shared());
    let users = ["anna@example.net", "bob@example.net"].map(|name| dovecot.user(name, "a password"));
    let (proxies, desk) = fleet(&dovecot, &server, "fleet_waves", &[]);
    for proxy in &proxies {
        for user in &users {
            answered(proxy, user, "+OK");
        }
    }
    let names = users.each_ref().map(|user| UserName::stored(&user.name));
    let now = Timestamp::now().as_second();
    desk.wave("first", &names, &[(now - 60, Mode::Notice), (now + 2, Mode::ImapOnly)], now);
    for proxy in &proxies {
        for user in &users {
            answered_soon(proxy, user, "-ERR [SYS/PERM] ");
        }
    }
    for mode in ["notice", "imap-only"] {
        let label = format!("mode=\"{mode}\"");
        let fired =
            proxies.each_ref().map(|proxy| proxy.metric_with("lastpop_wave_steps_fired_total", &label));
        let moved =
            proxies.each_ref().map(|proxy| proxy.metric_with("lastpop_wave_step_users_total", &label));
        assert_eq!((fired.iter().sum::<i64>(), moved.iter().sum::<i64>()), (1, 2), "{mode} {fired:?}");
    }
    let told = |proxy: &Proxy| {
        proxy.get("/metrics").1.contains("lastpop_wave_steps{state=\"fired\",wave=\"first\"} 2\n")
    };
    wait::until("it is shown", || proxies.iter().all(told).then_some(()));
    let logs: String = proxies.iter().map(Proxy::log).collect();
    assert_eq!(logs.matches("a step of a wave was carried out").count(), 2, "{logs}");
}

const DATABASE: &str = "killed";

/// A user whose row nobody else gets at until this is dropped: a step stops there, in the middle.
struct Locked {
    _runtime: Runtime,
    _connection: PgConnection,
}

impl Locked {
    fn user(server: &Postgres, name: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let lock = async {
            let mut connection = PgConnection::connect(&server.url(DATABASE)).await?;
            connection.execute("BEGIN").await?;
            let select = "SELECT 1 FROM users WHERE username = $1 FOR UPDATE";
            sqlx::query(select).bind(name).fetch_one(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        let connection = runtime.block_on(lock).expect("a lock");
        Self { _runtime: runtime, _connection: connection }
    }
}

fn number(server: &Postgres, query: &str) -> i64 {
    server.psql(DATABASE, query).parse().expect("a number")
}

fn fired(server: &Postgres, wave: &str) -> i64 {
    let query = "SELECT count(*) FROM wave_steps WHERE fired_at IS NOT NULL AND wave = ";
    number(server, &format!("{query}'{wave}'"))
}

fn wait_until_fired(server: &Postgres, wave: &str, steps: i64) {
    wait::until(&format!("{steps} steps of {wave} are carried out"), || {
        (fired(server, wave) == steps).then_some(())
    });
}

/// Proxies that are within the transaction of a step, by what they wait for or do.
fn within(server: &Postgres, condition: &str) -> i64 {
    let query = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'lastpop' AND xact_start IS NOT NULL AND ";
    number(server, &format!("{query} {condition}"))
}

/// One proxy stands before the user whose row is locked, and the other before the wave, which the first one has.
fn wait_until_stopped(server: &Postgres) {
    wait::until("both proxies wait", || (within(server, "wait_event_type = 'Lock'") == 2).then_some(()));
    assert_eq!(within(server, "query LIKE 'UPDATE users SET mode%'"), 1);
}

/// Names of a wave's users besides those who have a mailbox.
fn names(wave: &str) -> Vec<UserName> {
    (0..3_000).map(|number| UserName::stored(&format!("{wave}-{number}@example.net"))).collect()
}

#[test]
fn each_step_is_carried_out_once_whoever_is_killed_in_the_middle() {
    let (dovecot, mut server) = (Dovecot::start(), Postgres::start());
    let users = ["anna@example.net", "bob@example.net"].map(|name| dovecot.user(name, "a password"));
    let begin = Timestamp::now();
    let (clock, begin) = (Clock::at(begin), begin.as_second());
    let at = |seconds: i64| Timestamp::from_second(begin + seconds).expect("a time");
    let url = format!("\"{}\"", server.url(DATABASE));
    let environment = clock.environment();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let start = || Proxy::start_with(&dovecot, Upstream::Plain, &[("state.url", &url)], &environment);
    let mut proxies = [start(), start()];
    let desk = Desk::open(&server.url(DATABASE));
    for (proxy, user) in proxies.iter().zip(&users) {
        answered(proxy, user, "+OK");
    }
    wait::until("both users are written", || {
        (number(&server, "SELECT count(*) FROM users") == 2).then_some(())
    });
    let mut members = names("first");
    members.extend(users.each_ref().map(|user| UserName::stored(&user.name)));
    let steps = [(begin + 100, Mode::Notice), (begin + 200, Mode::Brownout), (begin + 300, Mode::ImapOnly)];
    desk.wave("first", &members, &steps, begin);

    // 1. The database is killed in the middle of a step.
    let locked = Locked::user(&server, &users[0].name);
    clock.set(at(100));
    wait_until_stopped(&server);
    server.kill();
    drop(locked);
    server.start_again();
    wait_until_fired(&server, "first", 1);
    // 2. A proxy is, whichever of the two is at it.
    let locked = Locked::user(&server, &users[0].name);
    clock.set(at(200));
    wait_until_stopped(&server);
    proxies[0].kill();
    drop(locked);
    wait_until_fired(&server, "first", 2);
    proxies[0] = start();
    // 3. The database is away at the time of a step.
    server.kill();
    clock.set(at(300));
    server.start_again();
    for proxy in &proxies {
        for user in &users {
            answered_soon(proxy, user, "-ERR [SYS/PERM] ");
        }
    }
    wait_until_fired(&server, "first", 3);
    // 4. And it is killed at any moment around it, each time at another one.
    let rounds = if is_full() { 30 } else { 1 };
    for round in 0..rounds {
        let wave = format!("round{round}");
        let due = 1_000 + 100 * round;
        let steps = [Mode::Notice, Mode::ImapOnly]
            .map(|mode| (begin + due + i64::from(mode == Mode::ImapOnly), mode));
        desk.wave(&wave, &names(&wave), &steps, begin);
        clock.set(at(due + 1));
        wait::until("a step is under way", || {
            (within(&server, "query LIKE '%audit%'") > 0 || fired(&server, &wave) > round % 2).then_some(())
        });
        server.kill();
        server.start_again();
        wait_until_fired(&server, &wave, 2);
    }

    let waves = [("first".to_owned(), 3, members.len())];
    let waves = waves.into_iter().chain((0..rounds).map(|round| (format!("round{round}"), 2, 3_000)));
    for (wave, steps, users) in waves {
        let lines = format!(
            "SELECT count(*) FROM audit WHERE kind = 'wave' AND action = 'step' AND subject = '{wave}'"
        );
        assert_eq!(number(&server, &lines), steps, "{wave}");
        let moved = format!("SELECT count(*) FROM wave_steps WHERE wave = '{wave}' AND users = {users}");
        assert_eq!(number(&server, &moved), steps, "{wave}");
        let lines = format!(
            "SELECT count(*) FROM wave_members m WHERE wave = '{wave}' AND {steps} =
                (SELECT count(*) FROM audit a WHERE a.kind = 'user' AND a.subject = m.username AND a.action = 'wave')"
        );
        assert_eq!(number(&server, &lines), i64::try_from(users).expect("few"), "{wave}");
        let state = server.psql(DATABASE, &format!("SELECT state FROM waves WHERE wave = '{wave}'"));
        assert_eq!(state, "finished", "{wave}");
    }
    assert_eq!(number(&server, "SELECT count(*) FROM users WHERE mode IS DISTINCT FROM 'imap-only'"), 0);
}
