//! Who is in a wave: users of a domain, shares of it, queries; and what is in force for them, by every rule.

use lastpop::api::{Days, Percent, Target, WaveUsers};
use lastpop::policy::{Mode, Setting};
use lastpop::store::{Change, Configured, Store, Subject};

use super::waves::{CONFIGURED, name, new, order};
use super::{NOW, Place, count, execute, on_both, user};

const DAY: i64 = 86_400;

/// Makes users `PREFIXn@DOMAIN` who were seen so many days ago.
async fn seen(place: &Place, prefix: &str, domain: &str, many: u32, days_ago: i64) {
    let row =
        |number| format!("('{prefix}{number}@{domain}', '{domain}', {}, 'alpine')", NOW - days_ago * DAY);
    let rows = (0..many).map(row).collect::<Vec<_>>().join(", ");
    execute(place, &format!("INSERT INTO users (username, domain, last_seen, family) VALUES {rows}")).await;
}

async fn members(store: &Store, wave: &str, target: Target) -> Option<u64> {
    store.create_wave(&new(wave, target, &[(100, Mode::Notice)]), "ilze", NOW).await.expect("made");
    let draft = store.wave(&name(wave)).await.expect("the wave");
    assert_eq!(draft.members, None, "not known before it starts");
    let preview = store.preview_wave(&name(wave), &CONFIGURED, NOW).await.expect("a preview");
    let started = store.start_wave(&name(wave), &order(NOW), &CONFIGURED).await.expect("started");
    assert_eq!(Some(preview.users), started.members, "what was promised");
    started.members
}

#[test]
fn members_are_worked_out_at_the_start_and_stay() {
    on_both("targets_members", async |place| {
        let store = place.open().await;
        seen(&place, "user", "x", 6_000, 1).await;
        seen(&place, "old", "x", 40, 45).await;
        seen(&place, "user", "y", 5, 3).await;
        let domain = |domain: &str| Target::Domain(domain.to_owned());
        assert_eq!(members(&store, "x", domain("x")).await, Some(6_040));
        assert_eq!(members(&store, "all", domain("*")).await, Some(6_045));
        let share = |percent| Target::Share {
            domain: "x".to_owned(),
            percent: Percent::try_from(percent).expect("a share"),
        };
        let ten = members(&store, "ten", share(10)).await.expect("known");
        let fifty = members(&store, "fifty", share(50)).await.expect("known");
        assert!((500..710).contains(&ten) && (2_850..3_190).contains(&fifty), "{ten} {fifty}");
        let both = "SELECT count(*) FROM wave_members a JOIN wave_members b ON b.username = a.username
            WHERE a.wave = 'ten' AND b.wave = 'fifty'";
        assert_eq!(count(&place, both).await, i64::try_from(ten).expect("few"));
        let days = |days: u16| Days::try_from(days).ok();
        let query = |users| Target::Query(users);
        let none = WaveUsers::default();
        let not_seen = query(WaveUsers { not_seen_for: days(30), ..none.clone() });
        assert_eq!(members(&store, "old", not_seen).await, Some(40));
        let y = query(WaveUsers { domain: Some("y".to_owned()), seen_within: days(7), ..none });
        assert_eq!(members(&store, "y", y).await, Some(5));
        // Who comes later is not in it.
        seen(&place, "late", "y", 3, 0).await;
        for due in store.due_steps(NOW + 100).await.expect("due") {
            store.fire_step(&due, &CONFIGURED, NOW + 100).await.expect("fired");
        }
        let mode = async |name| store.facts(&user(name)).await.expect("facts").setting.mode;
        assert_eq!((mode("user4@y").await, mode("late0@y").await), (Some(Mode::Notice), None));
    });
}

#[test]
fn a_preview_says_who_is_active_and_what_is_replaced() {
    on_both("targets_preview", async |place| {
        let store = place.open().await;
        for (prefix, days) in [("a", 0), ("b", 6), ("c", 29), ("d", 31)] {
            seen(&place, prefix, "x", 10, days).await;
        }
        let set = async |name: &str, mode| {
            let subject = Subject::User(user(name));
            let setting = Setting { mode: Some(mode), since: NOW, planned: None };
            let change = Change { subject: &subject, actor: "support", reason: "a call", now: NOW };
            store.set(&change, &|_| Ok(setting)).await.expect("set");
        };
        set("a0@x", Mode::ImapOnly).await;
        set("a1@x", Mode::Notice).await;
        set("d1@x", Mode::Pop3).await;
        set("never@x", Mode::Notice).await;
        let plan = new("w", Target::Domain("x".to_owned()), &[(-5, Mode::Notice), (100, Mode::Brownout)]);
        store.create_wave(&plan, "ilze", NOW).await.expect("made");
        let preview = store.preview_wave(&name("w"), &CONFIGURED, NOW).await.expect("a preview");
        assert_eq!((preview.users, preview.never_seen), (41, 1));
        assert_eq!((preview.active_1, preview.active_7, preview.active_30), (10, 20, 30));
        assert_eq!((preview.already, preview.own_setting), (1, 3));
        assert_eq!(preview.warnings.len(), 2, "{:?}", preview.warnings);
        store.start_wave(&name("w"), &order(NOW), &CONFIGURED).await.expect("started");
        for due in store.due_steps(NOW).await.expect("due") {
            store.fire_step(&due, &CONFIGURED, NOW).await.expect("fired");
        }
        // What the wave itself has set is nobody's own.
        let preview = store.preview_wave(&name("w"), &CONFIGURED, NOW).await.expect("a preview");
        assert_eq!((preview.users, preview.already, preview.own_setting), (41, 1, 2));
    });
}

/// Every rule above every other: the query must find what a login would meet.
#[test]
fn the_mode_in_force_is_what_the_rules_say() {
    on_both("targets_effective", async |place| {
        let store = place.open().await;
        let configured = Configured {
            mode: Mode::Notice,
            domains: ["c0.example", "c1.example"].map(|name| (name.to_owned(), Mode::Brownout)).into(),
        };
        // (mode, planned mode, seconds until the plan)
        let settings: [(&str, &str, i64); 5] = [
            ("NULL", "NULL", 0),
            ("'imap-only'", "NULL", 0),
            ("'pop3'", "'brownout'", 1),
            ("'pop3'", "'brownout'", -1),
            ("'imap-only'", "NULL", -1),
        ];
        let columns = |(mode, planned, from): (&str, &str, i64)| {
            let from = if from == 0 { "NULL".to_owned() } else { (NOW + from).to_string() };
            format!("{mode}, {planned}, {from}")
        };
        // What each of them says at NOW.
        let says = [None, Some(Mode::ImapOnly), Some(Mode::Pop3), Some(Mode::Brownout), None];
        for (everyone, everyone_says) in settings.into_iter().zip(says) {
            for table in ["users", "domains", "waves", "wave_steps", "wave_members"] {
                execute(&place, &format!("DELETE FROM {table}")).await;
            }
            let domain = |domain: &str, setting| {
                format!(
                    "INSERT INTO domains (domain, mode, planned_mode, planned_from) VALUES ('{domain}', {})",
                    columns(setting)
                )
            };
            execute(&place, &domain("*", everyone)).await;
            let mut expected = Vec::new();
            for (set, (setting, domain_says)) in settings.into_iter().zip(says).enumerate() {
                for (configures, config_says) in [('c', Some(Mode::Brownout)), ('n', None)] {
                    let name = format!("{configures}{set}.example");
                    let config_says = config_says.filter(|_| set < 2);
                    execute(&place, &domain(&name, setting)).await;
                    for (own, (setting, user_says)) in settings.into_iter().zip(says).enumerate() {
                        let insert = format!(
                            "INSERT INTO users (username, domain, mode, planned_mode, planned_from)
                            VALUES ('{own}@{name}', '{name}', {})",
                            columns(setting)
                        );
                        execute(&place, &insert).await;
                        let rules = [user_says, domain_says, config_says, everyone_says];
                        expected.push(rules.into_iter().flatten().next().unwrap_or(configured.mode));
                    }
                }
            }
            for mode in Mode::ALL {
                let users = WaveUsers { mode: Some(mode), ..WaveUsers::default() };
                let wave = new(mode.as_str(), Target::Query(users), &[(100, Mode::Notice)]);
                store.create_wave(&wave, "ilze", NOW).await.expect("made");
                let preview = store.preview_wave(&wave.name, &configured, NOW).await.expect("a preview");
                let wanted = expected.iter().filter(|in_force| **in_force == mode).count();
                assert_eq!(preview.users, wanted as u64, "{mode} with {everyone:?} for everyone");
            }
        }
    });
}
