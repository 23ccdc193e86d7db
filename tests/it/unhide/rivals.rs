//! An order, a login and another order at the same moment: one of them does it, once, and the others say so.

use std::thread;

use super::{OPERATOR, PATH, TRIED, VIEWER, World, done, history, is_recorded, order, quit, waits};
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::relay::{Relay, Store};
use crate::support::wait;

const BUSY: &str = "hidden mail of this user is being brought back at this moment";

/// How often it was done, by the audit trail.
fn times_done(proxy: &Proxy) -> usize {
    history(proxy).iter().filter(|entry| entry[1] == "unhidden").count()
}

/// lastpop before a relay before Dovecot.
fn relayed(world: &World) -> (Relay, Proxy) {
    let relay = Relay::start(world.dovecot.ports.imap);
    let address = format!("\"127.0.0.1:{}\"", relay.port);
    let proxy = world.proxy("lastpop", "separator", &[("upstream.address", &address)]);
    (relay, proxy)
}

#[test]
fn a_login_and_another_order_while_one_is_carried_out() {
    let world = World::with_messages(3);
    let (relay, proxy) = relayed(&world);
    world.delete(&proxy, &[1, 2]);
    relay.store(Store::Hold);
    thread::scope(|scope| {
        let first = scope.spawn(|| order(&proxy, None));
        relay.wait_until_held();
        // 1. Her session shows what there is, and does not do the same once more.
        let mut session = proxy.login(&world.anna);
        assert!(session.command("STAT").starts_with("+OK 1 "));
        // 2. Neither does an order.
        waits(&order(&proxy, None), BUSY);
        relay.store(Store::Pass);
        first.join().expect("no panic");
        // 3. What she deletes in that session is none of it, and stays hidden.
        assert!(session.command("DELE 1").starts_with("+OK"));
        quit(session);
    });
    // On a machine that is busy the answer may have come before the end.
    wait::until("it is done", || (!is_recorded(&proxy)).then_some(()));
    assert_eq!(history(&proxy).last().expect("an entry")[2], "2 messages");
    assert_eq!((times_done(&proxy), world.shown(&proxy), world.hidden().len()), (1, 2, 1));
    assert_eq!((proxy.metric_with(TRIED, "\"done\""), proxy.metric_with(TRIED, "\"busy\"")), (1, 1));
}

#[test]
fn an_order_while_her_login_carries_it_out() {
    let world = World::with_messages(3);
    world.knows("wrong");
    let (relay, proxy) = relayed(&world);
    world.delete(&proxy, &[1, 2]);
    waits(&order(&proxy, None), "refused the master credentials");
    world.knows(super::SECRET);
    proxy.hangup();
    relay.store(Store::Hold);
    thread::scope(|scope| {
        let login = scope.spawn(|| {
            let mut session = proxy.login(&world.anna);
            let said = session.command("STAT");
            quit(session);
            said
        });
        relay.wait_until_held();
        waits(&order(&proxy, None), BUSY);
        relay.store(Store::Pass);
        assert!(login.join().expect("no panic").starts_with("+OK 3 "));
    });
    // It was the same order, and it is done.
    assert_eq!((times_done(&proxy), is_recorded(&proxy)), (1, false));
    world.delete(&proxy, &[3]);
    assert_eq!((world.shown(&proxy), world.hidden().len()), (2, 1));
}

/// On two proxies with one state. Each round she deletes all, and all is ordered back, in three places at once while
/// she logs in. Whoever does it: all of it is back, and what she deletes afterwards stays hidden.
#[test]
fn whoever_is_first_it_is_done_once() {
    let (world, server) = (World::with_messages(5), Postgres::shared());
    let url = format!("\"{}\"", server.url("at_once_rivals"));
    let proxies = [(); 2].map(|()| world.proxy("lastpop", "authzid", &[("state.url", &url)]));
    let [one, other] = &proxies;
    let mut orders = 0;
    for round in 0..10 {
        world.delete(one, &[1, 2, 3, 4, 5]);
        assert_eq!(world.hidden().len(), 5, "round {round}");
        thread::scope(|scope| {
            let rivals = [one, other, one].map(|proxy| {
                orders += 1;
                scope.spawn(move || order(proxy, None))
            });
            let login = scope.spawn(|| world.shown(other));
            for rival in rivals {
                let answer = rival.join().expect("no panic");
                let why = answer["outcome"].as_str().expect("a sentence");
                assert!(answer["done"] == true || why.contains(BUSY), "round {round}: {why}");
            }
            let shown = login.join().expect("no panic");
            assert!(shown <= 5, "round {round}");
        });
        // An order that found somebody at work may have come a moment after the end; then her login does it.
        assert_eq!(world.shown(one), 5, "round {round}");
        assert!(!is_recorded(one) && world.hidden().is_empty(), "round {round}");
    }
    assert!(times_done(one) <= orders, "never more often than it was ordered");
    let brought_back: u64 = history(one)
        .iter()
        .filter(|entry| entry[1] == "unhidden")
        .filter_map(|entry| entry[2].split(' ').next()?.parse::<u64>().ok())
        .sum();
    assert_eq!(brought_back, 50, "each message once in each round");
    // Nobody has claimed anything any more, and no connection is left.
    for proxy in &proxies {
        wait::until("no connection is left", || {
            (proxy.metric("lastpop_upstream_connections_active") == 0).then_some(())
        });
    }
    assert_eq!(
        server.psql("at_once_rivals", "SELECT COUNT(*) FROM leases WHERE name LIKE 'unhide %'").trim(),
        "0"
    );
}

/// She is logged in all the while: what she sees does not change, and what she deletes is hidden.
#[test]
fn a_session_that_is_under_way_sees_nothing_of_it() {
    let world = World::with_messages(4);
    let proxy = world.proxy("lastpop", "separator", &[]);
    world.delete(&proxy, &[1, 2]);
    let mut session = proxy.login(&world.anna);
    assert!(session.command("STAT").starts_with("+OK 2 "));
    done(&order(&proxy, None), 2);
    assert!(session.command("STAT").starts_with("+OK 2 "));
    assert!(session.command("DELE 1").starts_with("+OK"));
    quit(session);
    assert_eq!((world.hidden(), world.shown(&proxy)), (vec![3], 3));
    let answer = proxy.api("POST", &format!("{PATH}/unhide"), VIEWER, "{\"reason\":\"x\"}");
    answer.problem(403);
    let unknown = "/api/v1/users/nobody@example.net/unhide";
    proxy.api("POST", unknown, OPERATOR, "{\"reason\":\"x\"}").problem(404);
}
