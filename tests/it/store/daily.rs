//! Days: totals add up, users are counted once whichever proxies served them, and old usage is forgotten.

use std::net::{IpAddr, Ipv4Addr};

use lastpop::policy::{Mode, Setting};
use lastpop::store::{Change, Store, Subject};
use lastpop::usage::totals::Totals;
use lastpop::usage::{Delta, Login, upkeep};

use super::{NOW, on_both, once, user};

const DAY: i64 = 86_400;
/// The day of [`NOW`].
const TODAY: i64 = NOW / DAY;

fn login(at: i64) -> Delta {
    Delta::login(&Login {
        at,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        tls: None,
        method: "plain",
        mailbox: None,
        previous: None,
    })
}

/// Sessions so many days ago, each written by itself.
async fn seen(store: &Store, name: &str, days_ago: &[i64]) {
    for days in days_ago {
        store.add_usage(&once(), &[(user(name), login(NOW - days * DAY))]).await.expect("written");
    }
}

#[test]
fn totals_of_days_add_up() {
    on_both("daily_totals", async |place| {
        let store = place.open().await;
        let totals = Totals { sessions: 1, messages: 2, octets: 3, deleted: 4, refused: 5 };
        let rows = [(1, "a".into(), totals), (1, "b".into(), totals), (2, "a".into(), totals)];
        store.add_daily(&once(), &rows).await.expect("written");
        store.add_daily(&once(), &rows[..1]).await.expect("written");
        let columns = ["day", "domain", "sessions", "messages", "octets", "deleted", "refused", "active_1"];
        let found = place.rows(&columns, "daily ORDER BY day, domain").await;
        assert_eq!(found, ["1|a|2|4|6|8|10|0", "1|b|1|2|3|4|5|0", "2|a|1|2|3|4|5|0"]);
    });
}

#[test]
fn a_user_counts_once_on_a_day_however_late_it_is_told() {
    on_both("daily_active", async |place| {
        let store = place.open().await;
        store
            .add_daily(&once(), &[(TODAY, "x".into(), Totals { sessions: 9, ..Totals::default() })])
            .await
            .expect("written");
        seen(&store, "anna@x", &[0, 0, 1, 8]).await;
        seen(&store, "bob@x", &[1]).await;
        seen(&store, "carl@x", &[6]).await;
        seen(&store, "dora@x", &[29]).await;
        seen(&store, "emil@x", &[30]).await;
        // Told in another order, and after a long silence.
        seen(&store, "fritz@y", &[2, 0, 40]).await;
        seen(&store, "gina@y", &[100]).await;
        upkeep::count_days(&store, NOW).await.expect("counted");
        let columns = ["day", "domain", "active_1", "active_7", "active_30", "sessions"];
        let expected = [
            (2, "x", [0, 2, 4], 0),
            (2, "y", [1, 1, 1], 0),
            (1, "x", [2, 3, 5], 0),
            (1, "y", [0, 1, 1], 0),
            (0, "x", [1, 3, 4], 9),
            (0, "y", [1, 1, 1], 0),
        ];
        let expected: Vec<String> = expected
            .into_iter()
            .map(|(ago, domain, [one, seven, thirty], sessions)| {
                format!("{}|{domain}|{one}|{seven}|{thirty}|{sessions}", TODAY - ago)
            })
            .collect();
        assert_eq!(place.rows(&columns, "daily ORDER BY day, domain").await, expected);
        // One who was here yesterday is told of only now.
        seen(&store, "hugo@x", &[1]).await;
        upkeep::count_days(&store, NOW).await.expect("counted");
        let yesterday =
            place.rows(&columns, &format!("daily WHERE domain = 'x' AND day = {}", TODAY - 1)).await;
        assert_eq!(yesterday, [format!("{}|x|3|4|6|0", TODAY - 1)]);
    });
}

#[test]
fn old_usage_is_forgotten_and_what_was_set_stays() {
    on_both("daily_retention", async |place| {
        let store = place.open().await;
        let set = async |name: &str, mode: Option<Mode>| {
            let subject = Subject::User(user(name));
            let setting = Setting { mode, since: NOW, planned: None };
            let change = Change { subject: &subject, actor: "ilze", reason: "a test", now: NOW };
            store.set(&change, &|_| Ok(setting)).await.expect("set");
        };
        for name in ["old", "old-with-mode", "old-set-back"] {
            seen(&store, name, &[500, 401]).await;
        }
        set("old-with-mode", Some(Mode::ImapOnly)).await;
        set("old-set-back", None).await;
        set("never-here", Some(Mode::Notice)).await;
        seen(&store, "lately", &[399]).await;
        let knocked = |days: i64| Delta::refused(NOW - days * DAY, IpAddr::V4(Ipv4Addr::LOCALHOST));
        seen(&store, "knocking", &[500]).await;
        store.add_usage(&once(), &[(user("knocking"), knocked(10))]).await.expect("written");
        store.add_usage(&once(), &[(user("knocked"), knocked(450))]).await.expect("written");
        // More than one statement takes.
        let many: Vec<_> =
            (1_000..2_200).map(|number| (user(&format!("z{number}")), login(NOW - 500 * DAY))).collect();
        for chunk in many.chunks(100) {
            store.add_usage(&once(), chunk).await.expect("written");
        }
        let forgotten = upkeep::forget(&store, NOW - 400 * DAY).await.expect("forgotten");
        assert_eq!(forgotten, 4 + 1_200);
        let columns = ["username", "mode", "sessions", "last_seen", "address", "active_days"];
        let found = place.rows(&columns, "users ORDER BY username").await;
        let expected = [
            format!("knocking|-|1|{}|127.0.0.1|1", NOW - 500 * DAY),
            format!("lately|-|1|{}|127.0.0.1|1", NOW - 399 * DAY),
            "never-here|notice|0|-|-|0".to_owned(),
            "old-with-mode|imap-only|0|-|-|0".to_owned(),
        ];
        assert_eq!(found, expected);
        assert_eq!(upkeep::forget(&store, NOW - 400 * DAY).await.expect("nothing left"), 0);
    });
}
