//! What cannot be done at once is done at the customer's next login, and the answer says why.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::{ACL, MANY, MESSAGE, SECRET, TRIED, World, done, history, is_recorded, order, waits};
use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

/// The order waits, and her login carries it out, once.
#[track_caller]
fn done_at_login(world: &World, proxy: &Proxy, messages: usize) {
    assert!(is_recorded(proxy));
    assert_eq!(world.shown(proxy), messages);
    assert!(!is_recorded(proxy) && world.hidden().is_empty());
    let told = history(proxy);
    let last = told.last().expect("an entry");
    assert_eq!((last[1].as_str(), last[3].as_str()), ("unhidden", "done at the login that was waited for"));
}

#[test]
fn a_wrong_master_password_and_the_right_one_after_a_reload() {
    for style in ["separator", "authzid"] {
        let world = World::with_messages(2);
        world.knows("wrong");
        let proxy = world.proxy("lastpop", style, &[]);
        world.delete(&proxy, &[1, 2]);
        waits(&order(&proxy, None), ". It could not be at once: the upstream refused the master credentials");
        assert_eq!((world.hidden().len(), proxy.metric_with(TRIED, "result=\"refused\"")), (2, 1));
        done_at_login(&world, &proxy, 2);

        // The file is read again with the configuration, and only with one that can be used.
        world.delete(&proxy, &[1]);
        world.knows("");
        let said = proxy.hangup();
        assert!(said.contains("was not reloaded") && said.contains("password is empty"), "{said}");
        world.knows(SECRET);
        let said = proxy.hangup();
        assert!(said.contains("were reloaded"), "{said}");
        done(&order(&proxy, None), 1);
        assert!(!proxy.log().contains(SECRET) && world.hidden().is_empty());
    }
}

#[test]
fn without_master_credentials_and_with_them_after_a_reload() {
    let world = World::with_messages(2);
    let mut proxy = Proxy::start_with(&world.dovecot, Upstream::Plain, &[MANY], &[]);
    world.delete(&proxy, &[1]);
    waits(&order(&proxy, None), "next login.");
    assert_eq!(proxy.metric(TRIED), 0);
    done_at_login(&world, &proxy, 2);
    world.delete(&proxy, &[1]);
    let file = format!("\"{}\"", world.file().display());
    proxy.reload(&[
        ("upstream.master.user", "\"lastpop\""),
        ("upstream.master.style", "\"separator\""),
        ("upstream.master.password_file", &file),
    ]);
    done(&order(&proxy, None), 1);
}

#[test]
fn a_master_user_who_may_not() {
    // 1. Not from this address.
    let world = World::with_messages(1);
    let proxy = world.proxy("elsewhere", "separator", &[]);
    world.delete(&proxy, &[1]);
    waits(&order(&proxy, None), "does not let them open this mailbox");
    done_at_login(&world, &proxy, 1);

    // 2. An access control list lets them read and no more: Dovecot says OK to STORE, and does nothing.
    let world = World::new(ACL);
    world.dovecot.write("acls", "* user=lastpop lr\n");
    world.dovecot.deliver(&world.anna, [MESSAGE; 2]);
    let proxy = world.proxy("lastpop", "authzid", &[]);
    world.delete(&proxy, &[1, 2]);
    waits(&order(&proxy, None), "the master user may not change the keyword in this mailbox");
    assert_eq!((world.hidden().len(), proxy.metric_with(TRIED, "result=\"read_only\"")), (2, 1));
    done_at_login(&world, &proxy, 2);

    // 3. Not even that.
    world.delete(&proxy, &[1]);
    world.dovecot.write("acls", "* user=lastpop l\n");
    waits(&order(&proxy, None), "the upstream failed: SELECT was refused: NO");
    // 4. Flags are all it needs.
    world.dovecot.write("acls", "* user=lastpop lrw\n");
    done(&order(&proxy, None), 1);
}

#[test]
fn an_upstream_that_is_away_or_silent() {
    let world = World::with_messages(1);
    let mut proxy = world.proxy("lastpop", "separator", &[]);
    world.delete(&proxy, &[1]);
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = |port: u16| format!("\"127.0.0.1:{port}\"");
    let there = address(world.dovecot.ports.imap);

    // 1. Nobody listens.
    let gone =
        TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address").port();
    proxy.reload(&[("upstream.address", &address(gone))]);
    waits(&order(&proxy, None), "the upstream failed: cannot connect to 127.0.0.1:");
    assert_eq!(proxy.metric_with(TRIED, "result=\"upstream\""), 1);
    proxy.reload(&[("upstream.address", &there)]);
    done_at_login(&world, &proxy, 1);

    // 2. Somebody does, and says nothing: the answer comes in time, and the work ends by itself.
    world.delete(&proxy, &[1]);
    proxy.reload(&[("upstream.address", &address(silent.local_addr().expect("its address").port()))]);
    let asked = Instant::now();
    let answer = order(&proxy, None);
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(answer["done"], false);
    let outcome = answer["outcome"].as_str().expect("a sentence");
    assert!(
        outcome.starts_with("It takes longer than 8 seconds and goes on; `lastpop user history"),
        "{outcome}"
    );
    wait::until("it is given up", || (proxy.metric_with(TRIED, "result=\"timeout\"") == 1).then_some(()));
    proxy.reload(&[("upstream.address", &there)]);
    done_at_login(&world, &proxy, 1);
}

/// The name reaches lastpop as any customer's does; upstream it would be somebody else's.
#[test]
fn a_name_with_the_separator_in_it_is_refused_and_its_order_waits() {
    // This Dovecot has no separator of its own, and so a user of that name.
    let world = World::with_messages(1);
    let plain = Dovecot::start();
    let odd = plain.user("anna%40x@example.net", "a password");
    plain.deliver(&odd, [MESSAGE]);
    let port = format!("\"127.0.0.1:{}\"", plain.ports.imap);
    let more = [("upstream.address", port.as_str())];
    let mut proxy = world.proxy("lastpop", "separator", &more);
    let mut session = proxy.login(&odd);
    assert!(session.command("DELE 1").starts_with("+OK"));
    super::quit(session);
    let path = "/api/v1/users/anna%2540x@example.net";
    let viewer = crate::support::api::VIEWER;
    wait::until("lastpop knows them", || (proxy.api("GET", path, viewer, "").status == 200).then_some(()));
    proxy.reload(&[("upstream.master.separator", "\"%\"")]);
    let body = "{\"reason\":\"ticket 7\"}";
    let operator = crate::support::api::OPERATOR;
    let answer = proxy.api("POST", &format!("{path}/unhide"), operator, body).json();
    waits(
        &answer,
        "the user's name has the separator '%' in it, so the server would open another user's mailbox",
    );
    assert_eq!(proxy.metric_with(TRIED, "result=\"name\""), 1);
    assert!(!plain.log().contains("%lastpop"), "Dovecot was not asked");
    // With a separator that is in no name it is carried out as ever.
    proxy.reload(&[("upstream.master.separator", "\"*\"")]);
    assert!(proxy.login(&odd).command("STAT").starts_with("+OK 1 "));
}
