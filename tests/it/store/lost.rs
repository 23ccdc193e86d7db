//! A connection that is lost while PostgreSQL commits: nobody knows whether it did, and nothing is added up twice or
//! called undone.

use std::net::{IpAddr, Ipv4Addr};

use lastpop::api::Target;
use lastpop::config::{self, StateUrl};
use lastpop::metrics::Metrics;
use lastpop::policy::{Mode, Setting};
use lastpop::store::{Change, Store, StoreError, Subject};
use lastpop::usage::{Ledger, Login};

use super::waves::{CONFIGURED, name, new, order};
use super::{NOW, user};
use crate::support::desk::add_members;
use crate::support::postgres::Postgres;
use crate::support::relay::{self, Relay};
use crate::support::wait;

const DATABASE: &str = "lost";

/// Three batches, and the totals of a day.
const USERS: usize = 250;
const TRANSACTIONS: usize = 4;

async fn through(relay: &Relay, server: &Postgres) -> Store {
    let direct = server.url(DATABASE);
    let url = direct.replace(&format!(":{}/", server.port), &format!(":{}/", relay.port));
    Store::open(&StateUrl::parse(&url).expect("an address"), NOW).await.expect("a store")
}

/// One more session of each user.
fn learn(ledger: &Ledger) {
    for number in 0..USERS {
        let login = Login {
            at: NOW,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            tls: None,
            method: "plain",
            mailbox: None,
            previous: None,
        };
        ledger.login(&user(&format!("user{number}@example.net")), &login);
    }
}

#[tokio::test]
async fn usage_of_which_nobody_knows_whether_it_was_written_is_written_once() {
    let server = Postgres::shared();
    let relay = Relay::to_postgres(server.port);
    let store = through(&relay, &server).await;
    let sums = |table: &str| server.psql(DATABASE, &format!("SELECT sum(sessions) FROM {table}"));
    let mut expected = 0;
    let lost: Vec<_> = (0..TRANSACTIONS).map(relay::Store::Lose).chain([relay::Store::Cut]).collect();
    // A shutdown writes several batches side by side.
    for (all, lost) in [false, true].into_iter().flat_map(|all| lost.iter().map(move |lost| (all, *lost))) {
        let metrics = Metrics::new(&[]).expect("metrics");
        let ledger = Ledger::new(&config::Usage::default(), 1, metrics.usage.clone());
        learn(&ledger);
        relay.store(lost);
        let error = ledger.flush(&store, NOW, all).await.expect_err("lost");
        // Where every new connection is broken, some of those side by side have not begun.
        let unsure = matches!(error, StoreError::Unsure(_));
        assert!(unsure || lost == relay::Store::Cut, "{lost:?}: {error}");
        assert!(metrics.usage.pending.get() > 0 || lost == relay::Store::Lose(TRANSACTIONS - 1));
        // What is learnt meanwhile is not mixed with it.
        learn(&ledger);
        relay.store(relay::Store::Pass);
        while let Err(error) = ledger.flush(&store, NOW, true).await {
            // The server may still be at it.
            assert!(matches!(error, StoreError::Busy), "{lost:?}: {error}");
        }
        expected += 2 * USERS;
        for table in ["users", "daily"] {
            assert_eq!(sums(table), expected.to_string(), "{table}, {lost:?}, all: {all}");
        }
        assert_eq!(metrics.usage.pending.get(), 0);
        assert_eq!(metrics.usage.dropped.get(), 0);
    }
    let writers = "SELECT count(*) FROM usage_writers";
    assert_ne!(server.psql(DATABASE, writers), "0");
    store.forget_writers(NOW).await.expect("none is older");
    assert_ne!(server.psql(DATABASE, writers), "0");
    store.forget_writers(NOW + 1).await.expect("forgotten");
    assert_eq!(server.psql(DATABASE, writers), "0");
}

#[tokio::test]
async fn a_change_of_which_nobody_knows_is_not_called_undone() {
    let server = Postgres::shared();
    let relay = Relay::to_postgres(server.port);
    let store = through(&relay, &server).await;
    let subject = Subject::User(user("anna@example.org"));
    let setting = Setting { mode: Some(Mode::Notice), since: NOW, planned: None };
    let change = Change { subject: &subject, actor: "ilze", reason: "a test", now: NOW };
    let made = "SELECT count(*) FROM audit WHERE subject = 'anna@example.org'";
    for (lost, count) in [(relay::Store::Lose(0), "1"), (relay::Store::Cut, "1")] {
        // Over a connection that there is.
        store.look().await.expect("a look");
        relay.store(lost);
        let error = store.set(&change, &|_| Ok(setting)).await.expect_err("lost");
        assert!(error.is_unsure() && error.to_string().contains("may be changed or not"), "{error}");
        relay.store(relay::Store::Pass);
        wait::until("it is so in the database", || (server.psql(DATABASE, made) == count).then_some(()));
    }
    // Whoever did not hear of it finds it all the same.
    store.look().await.expect("a look");
    assert_eq!(store.facts(&user("anna@example.org")).await.expect("facts").setting, setting);
}

#[tokio::test]
async fn a_step_of_which_nobody_knows_is_not_carried_out_again() {
    let server = Postgres::shared();
    let relay = Relay::to_postgres(server.port);
    let store = through(&relay, &server).await;
    let waved = "SELECT count(*) FROM users WHERE mode = 'notice' AND username LIKE 'user%@waved'";
    let members: Vec<_> = (0..10).map(|number| user(&format!("user{number}@waved"))).collect();
    let name = name("lost");
    store.create_wave(&new("lost", Target::Csv, &[(10, Mode::Notice)]), "ilze", NOW).await.expect("made");
    add_members(&store, &name, &members, false, NOW).await.expect("added");
    store.start_wave(&name, &order(NOW), &CONFIGURED).await.expect("started");
    let due = store.due_steps(NOW + 10).await.expect("due").pop().expect("a step");
    for (lost, moved) in [(relay::Store::Cut, "0"), (relay::Store::Lose(0), "10")] {
        store.look().await.expect("a look");
        relay.store(lost);
        let error = store.fire_step(&due, &CONFIGURED, NOW + 10).await.expect_err("lost");
        assert!(error.is_unsure(), "{error}");
        relay.store(relay::Store::Pass);
        wait::until("it is so in the database", || (server.psql(DATABASE, waved) == moved).then_some(()));
    }
    assert_eq!(store.due_steps(NOW + 10).await.expect("none"), []);
    assert_eq!(store.fire_step(&due, &CONFIGURED, NOW + 10).await.expect("nothing to do"), None);
    let lines = "SELECT count(*) FROM audit WHERE action = 'wave' AND subject LIKE 'user%@waved'";
    assert_eq!(server.psql(DATABASE, lines), "10");
}
