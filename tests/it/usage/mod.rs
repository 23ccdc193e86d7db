//! The usage ledger as operations meets it: what a session leaves behind, a database that goes away, a shutdown,
//! a crash. What else is learnt is in `facts`, how much is written in `load`.

mod facts;
mod load;

use lastpop::config::StateUrl;
use lastpop::policy::{Mode, Setting};
use lastpop::store::{Change, Store, Subject};
use lastpop::users::UserName;

use crate::store::{Place, postgres, sqlite};
use crate::support::dovecot::{Dovecot, User};
use crate::support::pop3::{Body, Pop3, Transport};
use crate::support::postgres::Postgres;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

const MESSAGE: &[u8] = b"Subject: a message\r\n\r\nits body\r\n";
const NAME: &str = "anna@example.net";

/// A proxy with its state there.
fn start(dovecot: &Dovecot, url: &str, changes: &[(&str, &str)]) -> Proxy {
    let url = format!("\"{url}\"");
    let changes = [&[("state.url", url.as_str())], changes].concat();
    Proxy::start_with(dovecot, Upstream::Plain, &changes, &[])
}

fn url(place: &Place) -> String {
    match &place.url {
        StateUrl::Sqlite(path) => format!("sqlite://{}", path.display()),
        StateUrl::Postgres(url) => url.secret().to_owned(),
    }
}

/// Columns of the only row, or of none.
fn row(place: &Place, columns: &[&str]) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(place.rows(columns, "users")).pop()
}

/// One session in which messages are retrieved and perhaps deleted.
fn session(proxy: &Proxy, user: &User, commands: &[&str]) {
    let mut session = proxy.login(user);
    for command in commands {
        let said = session.command(command);
        assert!(said.starts_with("+OK"), "{command}: {said}");
        if command.starts_with("RETR") || command.starts_with("TOP") {
            assert_eq!(session.body(), Body::of(MESSAGE));
        }
    }
    quit(session);
    proxy.wait_until_left();
}

fn quit(mut session: Pop3) {
    let said = session.command("QUIT");
    assert!(said.starts_with("+OK"), "{said}");
}

#[test]
fn a_session_leaves_what_it_did() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, "secret");
    dovecot.deliver(&user, [MESSAGE; 3]);
    let place = sqlite();
    let columns = [
        "domain",
        "address",
        "tls",
        "method",
        "sessions",
        "messages",
        "octets",
        "deleted",
        "maildrop_messages",
        "hidden_messages",
        "hidden_octets",
        "keeps_mail",
        "family",
    ];
    let proxy = start(&dovecot, &url(&place), &[]);
    // As sent: with the reply before, and the full stop behind.
    let (size, sent) = (MESSAGE.len(), MESSAGE.len() + "+OK 32 octets\r\n".len() + ".\r\n".len());
    // A TOP of all lines is a retrieval, a TOP of some is none.
    session(&proxy, &user, &["RETR 1", "TOP 2 99999999", "TOP 3 5"]);
    // A new user is written at once, whatever the interval.
    wait::until("the new user is written", || row(&place, &["username"]));
    drop(proxy);
    let expected = format!("example.net|127.0.0.1|-|userpass|1|2|{}|0|3|0|0|1|unknown", 2 * sent);
    assert_eq!(row(&place, &columns), Some(expected));

    let proxy = start(&dovecot, &url(&place), &[]);
    session(&proxy, &user, &["RETR 1", "DELE 1"]);
    let mut encrypted = proxy.connect(Transport::Implicit);
    encrypted.login(&user.name, &user.password);
    quit(encrypted);
    drop(proxy);
    let expected = format!("example.net|127.0.0.1|TLSv1.3|userpass|3|3|{}|1|2|1|{size}|0|unknown", 3 * sent);
    assert_eq!(row(&place, &columns), Some(expected));
}

#[test]
fn a_database_that_goes_away_stops_no_mail_and_loses_nothing() {
    let dovecot = Dovecot::start();
    let users = dovecot.users(&[("anna", "a"), ("bob", "b"), ("carl", "c")]);
    let mut server = Postgres::start();
    let proxy = start(&dovecot, &server.url("usage"), &[("usage.flush_interval", "\"1s\"")]);
    for user in &users {
        dovecot.deliver(user, [MESSAGE; 2]);
        session(&proxy, user, &["RETR 1"]);
    }
    let totals = "SELECT sum(sessions), sum(messages) FROM";
    let written = |server: &Postgres, from: &str, expected: &str| {
        let found = || server.psql("usage", &format!("{totals} {from}"));
        wait::until(&format!("{from} has {expected}"), || (found() == expected).then_some(()));
    };
    written(&server, "users", "3|3");
    assert_eq!(proxy.metric("lastpop_store_up"), 1);

    server.stop();
    for _ in 0..3 {
        for user in &users {
            session(&proxy, user, &["RETR 1", "RETR 2"]);
        }
    }
    wait::until("the metrics tell", || (proxy.metric("lastpop_store_up") == 0).then_some(()));
    wait::until("all are waiting", || (proxy.metric("lastpop_usage_pending_users") == 3).then_some(()));
    assert!(proxy.log_with("usage cannot be written", 1).contains("usage.pending_users"));

    server.start_again();
    written(&server, "users", "12|21");
    written(&server, "daily", "12|21");
    wait::until("the metrics tell", || {
        let pending = proxy.metric("lastpop_usage_pending_users");
        (pending == 0 && proxy.metric("lastpop_store_up") == 1).then_some(())
    });
    assert_eq!(proxy.metric("lastpop_usage_dropped_total"), 0);
    proxy.log_with("usage can be written again", 1);
}

#[test]
fn what_does_not_fit_while_the_database_is_away_is_counted() {
    let dovecot = Dovecot::start();
    let users = dovecot.users(&[("anna", "a"), ("bob", "b"), ("carl", "c")]);
    let mut server = Postgres::start();
    let few = [("usage.flush_interval", "\"1s\""), ("usage.pending_users", "2")];
    let proxy = start(&dovecot, &server.url("usage"), &few);
    let sessions = |server: &Postgres| server.psql("usage", "SELECT sum(sessions) FROM users");
    for (number, user) in users.iter().enumerate() {
        session(&proxy, user, &[]);
        let written = (number + 1).to_string();
        wait::until("it is written", || (sessions(&server) == written).then_some(()));
    }
    server.stop();
    for user in &users {
        session(&proxy, user, &[]);
    }
    wait::until("one is forgotten", || (proxy.metric("lastpop_usage_dropped_total") > 0).then_some(()));
    server.start_again();
    wait::until("the others are written", || (sessions(&server) == "5").then_some(()));
}

#[test]
fn a_shutdown_writes_everything() {
    for place in [sqlite(), postgres("usage_shutdown")] {
        let dovecot = Dovecot::start();
        let user = dovecot.user(NAME, "secret");
        dovecot.deliver(&user, [MESSAGE; 2]);
        let mut proxy = start(&dovecot, &url(&place), &[]);
        session(&proxy, &user, &["RETR 1"]);
        wait::until("the new user is written", || row(&place, &["username"]));
        session(&proxy, &user, &["RETR 1"]);
        // This one is still there when the shutdown begins.
        let mut open = proxy.login(&user);
        assert!(open.command("RETR 2").starts_with("+OK"));
        assert_eq!(open.body(), Body::of(MESSAGE));
        assert_eq!(row(&place, &["sessions"]).as_deref(), Some("1"));
        proxy.signal("TERM");
        quit(open);
        assert_eq!(proxy.exit_code(), Some(0));
        assert_eq!(row(&place, &["sessions", "messages"]).as_deref(), Some("3|3"));
    }
}

#[test]
fn a_crash_loses_what_was_learnt_lately_and_no_mode() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, "secret");
    let place = postgres("usage_crash");
    let mut proxy = start(&dovecot, &url(&place), &[]);
    session(&proxy, &user, &[]);
    wait::until("the new user is written", || row(&place, &["username"]));
    session(&proxy, &user, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(&place.url, 0).await.expect("a store");
        let subject = Subject::User(UserName::stored(NAME));
        let setting = Setting { mode: Some(Mode::Notice), since: 1, planned: None };
        let change = Change { subject: &subject, actor: "ilze", reason: "a test", now: 1 };
        store.set(&change, &|_| Ok(setting)).await.expect("set");
        store.close().await;
    });
    proxy.signal("KILL");
    assert_eq!(proxy.exit_code(), None);
    assert_eq!(row(&place, &["sessions", "mode"]).as_deref(), Some("1|notice"));
    let proxy = start(&dovecot, &url(&place), &[]);
    session(&proxy, &user, &[]);
    drop(proxy);
    assert_eq!(row(&place, &["sessions", "mode"]).as_deref(), Some("2|notice"));
    let changes = runtime.block_on(place.rows(&["action", "new_mode"], "audit"));
    assert_eq!(changes, ["set|notice"]);
}

/// What one proxy sums up, another one shows.
#[test]
fn the_metrics_say_how_many_there_are() {
    let dovecot = Dovecot::start();
    let users = dovecot.users(&[(NAME, "a"), ("bob@example.net", "b"), ("carl@example.org", "c")]);
    let place = postgres("usage_metrics");
    let often = [("usage.summary_interval", "\"1s\"")];
    let proxies = [start(&dovecot, &url(&place), &often), start(&dovecot, &url(&place), &often)];
    for (number, user) in users.iter().enumerate() {
        session(&proxies[number % 2], user, &[]);
    }
    for proxy in &proxies {
        let by = |name: &str, label: &str| proxy.metric_with(name, label);
        wait::until("all are counted", || (by("lastpop_users", "mode=\"pop3\"") == 3).then_some(()));
        assert_eq!(by("lastpop_pop3_active_users", "window=\"1d\""), 3);
        let domain = "domain=\"example.net\",window=\"90d\"";
        assert_eq!(by("lastpop_pop3_active_users_by_domain", domain), 2);
    }
}
