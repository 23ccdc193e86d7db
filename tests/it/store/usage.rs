//! Usage: rows are the sum of what was learnt, whoever learnt it and whenever it was written.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use lastpop::config::StateUrl;
use lastpop::policy::{Mode, Setting};
use lastpop::store::{Change, Store, StoreError, Subject};
use lastpop::usage::{Delta, Ended, Login, Mailbox, Quota, Room, UNKNOWN};
use lastpop::users::UserName;

use super::{NOW, Place, on_both, once, user};
use crate::support::postgres::Postgres;
use crate::support::wait;

/// What happens at `at`, decided by a number.
fn event(at: i64, number: u64) -> Delta {
    let small = usize::try_from(number / 16 % 5).expect("small");
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, u8::try_from(number % 251).expect("small")));
    let family = [UNKNOWN, "mutt", "fetchmail"][usize::try_from(number / 7 % 3).expect("small")];
    match number % 8 {
        0..=3 => Delta::login(&Login {
            at,
            address,
            tls: number.is_multiple_of(3).then_some("TLSv1.2"),
            method: ["userpass", "plain"][small % 2],
            mailbox: number.is_multiple_of(5).then(|| Mailbox {
                messages: u32::try_from(number % 50).expect("small"),
                octets: number % 10_000,
                hidden_messages: u32::try_from(number % 7).expect("small"),
                hidden_octets: number % 9_000,
            }),
            previous: None,
        }),
        4 | 5 => Delta::ended(&Ended {
            at,
            messages: number / 16 % 5,
            octets: number % 5_000,
            deleted: small / 3,
            family,
            mailbox: (small > 3).then(|| Mailbox { messages: 7, hidden_messages: 9, ..Mailbox::default() }),
            family_known: true,
        }),
        6 => Delta::refused(at, address),
        _ => Delta::quota(Quota {
            room: (!number.is_multiple_of(3)).then_some(Room { used: number % 1_000, limit: 1_000 }),
            at,
        }),
    }
}

/// All columns but the interval between polls.
const COLUMNS: [&str; 25] = [
    "username",
    "domain",
    "first_seen",
    "last_seen",
    "address",
    "tls",
    "method",
    "sessions",
    "messages",
    "octets",
    "deleted",
    "refused",
    "last_refused",
    "maildrop_at",
    "maildrop_messages",
    "maildrop_octets",
    "hidden_messages",
    "hidden_octets",
    "quota_used",
    "quota_limit",
    "quota_at",
    "keeps_mail",
    "family",
    "active_day",
    "active_days",
];

fn row(user: &UserName, sum: &Delta) -> String {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map_or("-".to_owned(), |value| value.to_string())
    }
    let (sessions, refused, quota) = (sum.sessions, sum.refused, sum.quota);
    let room = quota.and_then(|quota| quota.room);
    [
        user.as_str().to_owned(),
        user.domain().to_owned(),
        text(sessions.map(|sessions| sessions.first)),
        text(sessions.map(|sessions| sessions.last)),
        text(sum.address),
        text(sessions.and_then(|sessions| sessions.tls)),
        text(sessions.map(|sessions| sessions.method)),
        sessions.map_or(0, |sessions| sessions.count).to_string(),
        sum.messages.to_string(),
        sum.octets.to_string(),
        sum.deleted.to_string(),
        refused.map_or(0, |refused| refused.count).to_string(),
        text(refused.map(|refused| refused.last)),
        text(sum.mailbox.map(|(at, _)| at)),
        text(sum.mailbox.map(|(_, mailbox)| mailbox.messages)),
        text(sum.mailbox.map(|(_, mailbox)| mailbox.octets)),
        text(sum.mailbox.map(|(_, mailbox)| mailbox.hidden_messages)),
        text(sum.mailbox.map(|(_, mailbox)| mailbox.hidden_octets)),
        text(room.map(|room| room.used)),
        text(room.map(|room| room.limit)),
        text(quota.map(|quota| quota.at)),
        text(sum.keeps_mail.map(u8::from)),
        text(sum.family),
        text(sessions.map(|sessions| sessions.days.newest)),
        sessions.map_or(0, |sessions| sessions.days.bits).to_string(),
    ]
    .join("|")
}

#[test]
fn a_row_is_the_sum_of_what_was_learnt() {
    on_both("usage_sum", async |place| {
        let store = place.open().await;
        let users: Vec<UserName> =
            (10..60).map(|number| user(&format!("u{number}@d{}", number % 7))).collect();
        let mut sums = vec![Delta::default(); users.len()];
        let mut number = 1_u64;
        // Each batch brings some events of most users, from some weeks, and not in the order of time.
        for batch in 0..40 {
            let mut rows = Vec::new();
            for (user, sum) in users.iter().zip(&mut sums) {
                let mut delta = Delta::default();
                for _ in 0..batch % 4 {
                    number = number
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let at = NOW + i64::try_from(number >> 33).expect("small") % 7_000_000;
                    delta = delta.and(event(at, number >> 20));
                }
                if delta != Delta::default() {
                    *sum = sum.and(delta);
                    rows.push((user.clone(), delta));
                }
            }
            if !rows.is_empty() {
                store.add_usage(&once(), &rows).await.expect("written");
            }
        }
        let found = place.rows(&COLUMNS, "users ORDER BY username").await;
        let expected: Vec<String> = users.iter().zip(&sums).map(|(user, sum)| row(user, sum)).collect();
        assert_eq!(found, expected);
    });
}

/// Sessions at these times, of which each group is written at once; the interval that comes of it.
async fn interval(place: &Place, store: &Store, name: &str, groups: &[&[i64]]) -> i64 {
    for group in groups {
        let login = |at: &i64| {
            let number = u64::try_from(at / 60).expect("a number") * 8;
            event(NOW + at, number)
        };
        let delta = group.iter().map(login).fold(Delta::default(), Delta::and);
        store.add_usage(&once(), &[(user(name), delta)]).await.expect("written");
    }
    let found = place.rows(&["poll_interval"], &format!("users WHERE username = '{name}'")).await;
    found[0].parse().unwrap_or(-1)
}

#[test]
fn the_interval_between_polls_is_learnt_and_smoothed() {
    on_both("usage_interval", async |place| {
        let store = place.open().await;
        let polls: Vec<i64> = (0..60).map(|poll| poll * 300).collect();
        assert_eq!(interval(&place, &store, "once", &[&[0]]).await, -1);
        // However it is written.
        for (name, size) in [("single", 1), ("pairs", 2), ("hourly", 12), ("all", 60)] {
            let groups: Vec<&[i64]> = polls.chunks(size).collect();
            assert_eq!(interval(&place, &store, name, &groups).await, 300, "{name}");
        }
        // Two proxies have every other poll, and write one after the other.
        let part = |odd: usize, hour: usize| -> Vec<i64> {
            polls.iter().skip(hour * 12 + odd).step_by(2).take(6).copied().collect()
        };
        let parts: Vec<Vec<i64>> = (0..5).flat_map(|hour| [part(0, hour), part(1, hour)]).collect();
        let groups: Vec<&[i64]> = parts.iter().map(Vec::as_slice).collect();
        let fleet = interval(&place, &store, "fleet", &groups).await;
        assert!((225..=375).contains(&fleet), "{fleet}");
        // A night is no new habit, and a new habit is learnt.
        let night: Vec<i64> = (0..12).map(|poll| 100_000 + poll * 300).collect();
        let after = interval(&place, &store, "hourly", &[&night]).await;
        assert!((300..600).contains(&after), "{after}");
        let daily: Vec<i64> = (1..=30).map(|day| 200_000 + day * 86_400).collect();
        let groups: Vec<&[i64]> = daily.chunks(1).collect();
        let after = interval(&place, &store, "all", &groups).await;
        assert!((60_000..=87_000).contains(&after), "{after}");
    });
}

#[test]
fn usage_and_modes_leave_each_other_alone() {
    on_both("usage_modes", async |place| {
        let store = place.open().await;
        let (anna, bob) = (user("anna"), user("bob"));
        let setting = Setting { mode: Some(Mode::ImapOnly), since: NOW, planned: None };
        let set = async |user: &UserName| {
            let subject = Subject::User(user.clone());
            let change = Change { subject: &subject, actor: "ilze", reason: "a test", now: NOW };
            store.set(&change, &|_| Ok(setting)).await.expect("set");
        };
        // One has a mode first, the other a session.
        set(&anna).await;
        let rows = [(anna.clone(), event(NOW, 0)), (bob.clone(), event(NOW, 0))];
        store.add_usage(&once(), &rows).await.expect("written");
        set(&bob).await;
        store.add_usage(&once(), &rows).await.expect("written");
        let found = place.rows(&["mode", "sessions", "first_seen"], "users").await;
        assert_eq!(found, [format!("imap-only|2|{NOW}"), format!("imap-only|2|{NOW}")]);
    });
}

/// Who was written is not new any more, also where facts are in memory.
#[test]
fn facts_know_what_was_written() {
    on_both("usage_facts", async |place| {
        let store = place.open().await;
        let anna = user("anna");
        assert_eq!(store.facts(&anna).await.expect("facts").last_seen, None);
        let quota = Delta::quota(Quota { room: Some(Room { used: 1, limit: 2 }), at: NOW + 1 });
        let ended = |family| {
            let (messages, octets, deleted) = (1, 10, 0);
            Delta::ended(&Ended {
                at: NOW,
                messages,
                octets,
                deleted,
                family,
                mailbox: None,
                family_known: false,
            })
        };
        let delta = event(NOW, 0).and(quota).and(ended("mutt"));
        store.add_usage(&once(), &[(anna.clone(), delta)]).await.expect("written");
        store.add_usage(&once(), &[(anna.clone(), ended(UNKNOWN))]).await.expect("written");
        for store in [store, place_again(&place).await] {
            let facts = store.facts(&anna).await.expect("facts");
            assert_eq!((facts.last_seen, facts.quota_at), (Some(NOW), Some(NOW + 1)));
            assert_eq!(facts.family.as_deref(), Some("mutt"));
            store.hand_over();
        }
    });
}

/// The same state, with nothing in memory.
async fn place_again(place: &Place) -> Store {
    match &place.url {
        // A file serves one at a time: a copy will do.
        StateUrl::Sqlite(path) => {
            let copy = path.with_extension("copy");
            std::fs::copy(path, &copy).expect("a copy");
            std::fs::copy(path.with_extension("db-wal"), path.with_extension("copy-wal")).expect("a copy");
            Store::open(&StateUrl::Sqlite(copy), NOW).await.expect("a store")
        }
        StateUrl::Postgres(_) => place.open().await,
    }
}

/// A change of many users locks their rows in its own order. Usage must neither wait for it with rows of its own
/// locked, nor make the server break it off as a deadlock.
#[test]
fn usage_gives_way_to_a_change_of_many_users() {
    let server = Postgres::shared();
    let url = StateUrl::parse(&server.url("usage_gives_way")).expect("an address");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let rows = ["anna", "zoe"].map(|name| (user(name), event(NOW, 0)));
    let store = runtime.block_on(Store::open(&url, NOW)).expect("a store");
    runtime.block_on(store.add_usage(&once(), &rows)).expect("written");
    let change = std::thread::spawn({
        let server = Arc::clone(&server);
        move || {
            // Longer than PostgreSQL waits before it looks for a deadlock.
            let change =
                "BEGIN; UPDATE users SET language = 'lv' WHERE username = 'zoe'; SELECT pg_sleep(1.5);
                UPDATE users SET language = 'lv' WHERE username = 'anna'; SELECT pg_sleep(1.5); COMMIT";
            server.psql("usage_gives_way", change);
        }
    });
    let asleep =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = 'usage_gives_way' AND wait_event = 'PgSleep'";
    wait::until("the change is under way", || (server.psql("postgres", asleep) == "1").then_some(()));
    let mut busy = 0;
    wait::until("the usage is written", || match runtime.block_on(store.add_usage(&once(), &rows)) {
        Ok(()) => Some(()),
        Err(StoreError::Busy) => {
            busy += 1;
            None
        }
        Err(error) => panic!("{error}"),
    });
    change.join().expect("the change was not broken off");
    assert!(busy > 0);
    let found =
        server.psql("usage_gives_way", "SELECT sum(sessions), min(language), max(language) FROM users");
    assert_eq!(found, "4|lv|lv");
}
