//! Summing up: one proxy counts, all of them show it, and nothing is asked of the state when somebody looks.

use std::net::{IpAddr, Ipv4Addr};

use lastpop::config::{self, UserSeries};
use lastpop::metrics::Metrics;
use lastpop::policy::{Mode, Planned, Setting};
use lastpop::store::{Change, Store, Subject};
use lastpop::usage::summary::{Domain, Rules};
use lastpop::usage::{Delta, Ended, Ledger, Login, Mailbox, Quota, Room, upkeep};

use super::{NOW, on_both, once, user};
use crate::support::promtool;

const DAY: i64 = 86_400;

async fn session(store: &Store, name: &str, days_ago: i64, family: &'static str) {
    let at = NOW - days_ago * DAY;
    let login = Login {
        at,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        tls: (days_ago < 5).then_some("TLSv1.3"),
        method: "plain",
        mailbox: Some(Mailbox { messages: 3, octets: 30, hidden_messages: 2, hidden_octets: 20 }),
        previous: None,
    };
    let ended = Ended { at, messages: 1, octets: 10, deleted: 0, family, mailbox: None, family_known: false };
    let delta = Delta::login(&login).and(Delta::ended(&ended));
    store.add_usage(&once(), &[(user(name), delta)]).await.expect("written");
}

async fn set(store: &Store, subject: Subject, setting: Setting) {
    let change = Change { subject: &subject, actor: "ilze", reason: "a test", now: NOW };
    store.set(&change, &|_| Ok(setting)).await.expect("set");
}

fn mode(mode: Mode) -> Setting {
    Setting { mode: Some(mode), since: NOW, planned: None }
}

/// Users of three domains, with modes from every rule.
async fn prepare(store: &Store) {
    session(store, "anna@a", 0, "outlook").await;
    session(store, "bob@a", 3, "outlook").await;
    session(store, "carl@a", 20, "unknown").await;
    session(store, "dora@b", 60, "mutt").await;
    session(store, "emil@c", 200, "mutt").await;
    session(store, "fritz", 0, "mutt").await;
    set(store, Subject::User(user("anna@a")), mode(Mode::ImapOnly)).await;
    // A plan whose time has come, and one whose time has not.
    let planned =
        |from| Setting { planned: Some(Planned { mode: Some(Mode::Brownout), from }), ..mode(Mode::Notice) };
    set(store, Subject::User(user("bob@a")), planned(NOW - 1)).await;
    set(store, Subject::User(user("carl@a")), planned(NOW + 1)).await;
    set(store, Subject::Domain("b".to_owned()), mode(Mode::Notice)).await;
    // Planned away: what the configuration says of the domain is in force again.
    let gone = Setting { planned: Some(Planned { mode: None, from: NOW - 1 }), ..mode(Mode::ImapOnly) };
    set(store, Subject::Domain("c".to_owned()), gone).await;
    set(store, Subject::Everyone, mode(Mode::Pop3)).await;
    let refused = Delta::refused(NOW - 2 * DAY, IpAddr::V4(Ipv4Addr::LOCALHOST));
    let full = |used, limit| Delta::quota(Quota { room: Some(Room { used, limit }), at: NOW });
    // The limit of a server that has none.
    let none = u64::try_from(i64::MAX).expect("a number");
    for (name, delta) in [
        ("anna@a", refused),
        ("bob@a", full(810, 1_000)),
        ("carl@a", full(790, 1_000)),
        ("dora@b", full(1 << 40, none)),
    ] {
        store.add_usage(&once(), &[(user(name), delta)]).await.expect("written");
    }
}

async fn sum_up(store: &Store) {
    let configured = "[c]\nmode = \"brownout\"\n[b]\nmode = \"imap-only\"\n";
    let configured: config::Domains = toml::from_str(configured).expect("domains");
    let state = store.domains().all();
    let rules = Rules { state, configured: &configured, default: Mode::ImapOnly, now: NOW };
    upkeep::sum_up(store, &rules, 3).await.expect("summed up");
}

fn ledger() -> (Ledger, Metrics) {
    let metrics = Metrics::new(&[]).expect("metrics");
    (Ledger::new(&config::Usage::default(), 3, metrics.usage.clone()), metrics)
}

#[test]
fn everybody_is_counted_under_the_rule_that_decides() {
    on_both("summary_counts", async |place| {
        let store = place.open().await;
        prepare(&store).await;
        sum_up(&store).await;
        let (ledger, metrics) = ledger();
        ledger.read_snapshot(&store, NOW).await.expect("read");
        let summary = ledger.snapshot().summary.clone();
        assert_eq!((summary.at, summary.users, summary.seen), (NOW, 6, 6));
        let expected = [(Mode::Pop3, 1), (Mode::Notice, 2), (Mode::Brownout, 2), (Mode::ImapOnly, 1)];
        assert_eq!(summary.modes, expected.into());
        assert_eq!((summary.active, summary.refused), ([2, 3, 4, 5], [0, 1, 1, 1]));
        let domain = |domain: &str, users, active| Domain { users, domain: domain.to_owned(), active };
        let mut domains = summary.domains.clone();
        domains.sort_by(|one, other| one.domain.cmp(&other.domain));
        let expected = [
            domain("", 1, [1, 1, 1, 1]),
            domain("a", 3, [1, 2, 3, 3]),
            domain("b", 1, [0, 0, 0, 1]),
            domain("c", 1, [0, 0, 0, 0]),
        ];
        assert_eq!((domains.as_slice(), &summary.domains[0].domain), (&expected[..], &"a".to_owned()));
        let count = |name: &str, users| (name.to_owned(), users);
        assert_eq!(summary.families, [count("outlook", 2), count("mutt", 1), count("unknown", 1)]);
        assert_eq!(summary.tls, [count("TLSv1.3", 3), count("none", 1)]);
        assert_eq!((summary.hidden_messages, summary.hidden_octets, summary.nearly_full), (12, 120, 1));

        let text = String::from_utf8(metrics.encode().expect("text")).expect("UTF-8");
        promtool::has_no_complaint(&text);
        for sample in [
            "lastpop_users{mode=\"brownout\"} 2",
            "lastpop_pop3_active_users{window=\"30d\"} 4",
            "lastpop_pop3_active_users_by_domain{domain=\"a\",window=\"7d\"} 2",
            "lastpop_pop3_active_users_by_family{family=\"outlook\"} 2",
            "lastpop_pop3_active_users_by_tls{version=\"none\"} 1",
            "lastpop_pop3_refused_users{window=\"7d\"} 1",
            "lastpop_hidden_bytes 120",
            "lastpop_mailboxes_nearly_full 1",
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample} is not in:\n{text}");
        }
    });
}

#[test]
fn small_domains_are_counted_together_and_what_is_gone_is_not_shown() {
    on_both("summary_domains", async |place| {
        let store = place.open().await;
        let login = |at| Delta::refused(at, IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut rows: Vec<_> =
            (1_000..1_250).map(|number| (user(&format!("a@d{number}")), login(NOW))).collect();
        rows.extend((1_000..1_200).map(|number| (user(&format!("b@d{number}")), login(NOW))));
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        for chunk in rows.chunks(100) {
            store.add_usage(&once(), chunk).await.expect("written");
        }
        let (ledger, metrics) = ledger();
        let shown = async || {
            sum_up(&store).await;
            ledger.read_snapshot(&store, NOW).await.expect("read");
            String::from_utf8(metrics.encode().expect("text")).expect("UTF-8")
        };
        let series = |text: &str| text.matches("lastpop_pop3_active_users_by_domain{").count();
        let text = shown().await;
        assert_eq!(series(&text), 4 * 201);
        let last = ledger.snapshot().summary.domains.last().cloned().expect("a domain");
        assert_eq!((last.domain.as_str(), last.users), ("_other", 50));
        assert!(text.contains("{domain=\"d1199\",window=\"1d\"}") && !text.contains("d1200"), "{text}");
        assert_eq!(upkeep::forget(&store, NOW + 1).await.expect("forgotten"), 450);
        session(&store, "anna@new", 0, "mutt").await;
        session(&store, "bob@new", 20, "unknown").await;
        let text = shown().await;
        assert_eq!(series(&text), 4);
        for series in [
            "{domain=\"new\",window=\"1d\"} 1",
            "{family=\"mutt\"} 1",
            "{family=\"unknown\"} 1",
            "{version=\"TLSv1.3\"} 1",
            "{version=\"none\"} 1",
        ] {
            assert!(text.contains(series), "{series} is not in:\n{text}");
        }
        // Nobody is left: what is shown even where nobody ever was is 0 again.
        assert_eq!(upkeep::forget(&store, NOW + 1).await.expect("forgotten"), 2);
        let text = shown().await;
        assert!(!text.contains("{family=\"mutt\"}"), "{text}");
        for series in ["{family=\"unknown\"} 0", "{version=\"TLSv1.3\"} 0", "{version=\"none\"} 0"] {
            assert!(text.contains(series), "{series} is not in:\n{text}");
        }
    });
}

#[test]
fn users_are_shown_from_memory_by_name_or_by_hash() {
    on_both("summary_users", async |place| {
        let store = place.open().await;
        prepare(&store).await;
        sum_up(&store).await;
        let ((one, _), (other, _)) = (ledger(), ledger());
        one.read_snapshot(&store, NOW).await.expect("read");
        other.read_snapshot(&store, NOW).await.expect("read");
        store.close().await;
        let text =
            |ledger: &Ledger, form, most| String::from_utf8(ledger.user_metrics(form, most)).expect("UTF-8");
        let full = text(&one, UserSeries::Full, 10);
        promtool::has_no_complaint(&full);
        for sample in [
            "lastpop_user_series{state=\"exported\"} 3",
            "lastpop_user_series{state=\"left_out\"} 3",
            "lastpop_user_pop3_sessions_total{user=\"anna@a\"} 1",
            "lastpop_user_pop3_messages_total{user=\"fritz\"} 1",
            "lastpop_user_hidden_bytes{user=\"bob@a\"} 20",
        ] {
            assert!(full.lines().any(|line| line == sample), "{sample} is not in:\n{full}");
        }
        let last = "lastpop_user_last_pop3_session_timestamp_seconds";
        for (who, at) in [
            ("user=\"anna@a\",domain=\"a\",mode=\"imap-only\"", NOW),
            ("user=\"bob@a\",domain=\"a\",mode=\"brownout\"", NOW - 3 * DAY),
            ("user=\"fritz\",domain=\"\",mode=\"pop3\"", NOW),
        ] {
            let sample = format!("{last}{{{who}}} {at}");
            assert!(full.lines().any(|line| line == sample), "{sample} is not in:\n{full}");
        }
        // Those who were here last.
        let fewer = text(&one, UserSeries::Full, 2);
        assert!(
            !fewer.contains("bob@a") && fewer.contains("lastpop_user_series{state=\"left_out\"} 4"),
            "{fewer}"
        );
        let hashed = text(&one, UserSeries::Hashed, 10);
        promtool::has_no_complaint(&hashed);
        assert_eq!(hashed, text(&other, UserSeries::Hashed, 10));
        assert!(!hashed.contains("anna") && hashed.contains("domain=\"a\",mode=\"imap-only\""), "{hashed}");
        let off = text(&one, UserSeries::Off, 10);
        assert_eq!(off.lines().last(), Some("lastpop_user_series{state=\"left_out\"} 6"));
        assert_eq!(off.lines().count(), 4);
    });
}
