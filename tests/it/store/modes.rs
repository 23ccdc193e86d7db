//! Modes: set, planned, undone, seen by another proxy, never lost.

use lastpop::policy::{Mode, Planned, Setting};
use lastpop::store::{Change, Changed, Concerns, DOMAINS_MOST, Store, StoreError, Subject};

use super::{NOW, execute, on_both, user};

fn now(mode: Mode) -> Setting {
    Setting { mode: Some(mode), since: NOW, planned: None }
}

async fn set(store: &Store, subject: &Subject, setting: Setting) -> Changed {
    let change = Change { subject, actor: "ilze", reason: "a test", now: NOW };
    store.set(&change, &|_| Ok(setting)).await.expect("set")
}

async fn undo(store: &Store, subject: &Subject) -> Result<Changed, StoreError> {
    let change = Change { subject, actor: "ilze", reason: "a mistake", now: NOW + 60 };
    store.undo(&change, &|_, _| Ok(())).await
}

async fn mode(store: &Store, name: &str) -> Option<Mode> {
    store.facts(&user(name)).await.expect("facts").setting.at(NOW)
}

#[test]
fn a_mode_is_in_force_at_once_and_after_a_restart() {
    on_both("modes_set", async |place| {
        let store = place.open().await;
        let anna = Subject::User(user("anna@example.net"));
        assert_eq!(mode(&store, "anna@example.net").await, None);
        let changed = set(&store, &anna, now(Mode::ImapOnly)).await;
        assert_eq!((changed.before.mode, changed.after.mode), (None, Some(Mode::ImapOnly)));
        assert_eq!(mode(&store, "anna@example.net").await, Some(Mode::ImapOnly));
        set(&store, &Subject::Domain("example.net".to_owned()), now(Mode::Notice)).await;
        set(&store, &Subject::Everyone, now(Mode::Brownout)).await;
        store.close().await;
        drop(store);
        let store = place.open().await;
        assert_eq!(mode(&store, "anna@example.net").await, Some(Mode::ImapOnly));
        assert_eq!(store.domains().get("example.net"), Some(now(Mode::Notice)));
        assert_eq!(store.domains().everyone(), Some(now(Mode::Brownout)));
    });
}

#[test]
fn a_plan_holds_when_its_time_comes() {
    on_both("modes_planned", async |place| {
        let store = place.open().await;
        let planned = Some(Planned { mode: Some(Mode::ImapOnly), from: NOW + 100 });
        let setting = Setting { mode: Some(Mode::Notice), since: NOW, planned };
        set(&store, &Subject::User(user("anna")), setting).await;
        let stored = store.facts(&user("anna")).await.expect("facts").setting;
        assert_eq!(stored, setting);
        assert_eq!((stored.at(NOW + 99), stored.at(NOW + 100)), (Some(Mode::Notice), Some(Mode::ImapOnly)));
        // A plan to inherit again.
        let back = Setting {
            mode: Some(Mode::Notice),
            since: NOW,
            planned: Some(Planned { mode: None, from: NOW + 5 }),
        };
        set(&store, &Subject::User(user("anna")), back).await;
        assert_eq!(store.facts(&user("anna")).await.expect("facts").setting, back);
    });
}

#[test]
fn undo_walks_back_and_never_over_somebody_elses_change() {
    on_both("modes_undone", async |place| {
        let store = place.open().await;
        let anna = Subject::User(user("anna"));
        set(&store, &anna, now(Mode::Notice)).await;
        set(&store, &anna, now(Mode::ImapOnly)).await;
        assert_eq!(undo(&store, &anna).await.expect("undone").after.mode, Some(Mode::Notice));
        assert_eq!(mode(&store, "anna").await, Some(Mode::Notice));
        assert_eq!(undo(&store, &anna).await.expect("undone").after, Setting::default());
        assert_eq!(mode(&store, "anna").await, None);
        assert!(matches!(undo(&store, &anna).await, Err(StoreError::NothingToUndo(_))));
        let everyone = Subject::Everyone;
        set(&store, &everyone, now(Mode::Notice)).await;
        undo(&store, &everyone).await.expect("undone");
        assert_eq!(store.domains().everyone().and_then(|setting| setting.mode), None);
    });
}

#[test]
fn another_proxy_sees_a_change_by_its_message_and_without_it() {
    // A file has one proxy, so this is PostgreSQL's alone.
    let place = super::postgres("modes_fleet");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (one, other) = (place.open().await, place.open().await);
        let mut messages = other.messages().await.expect("a listener").expect("a server that speaks");
        assert_eq!(mode(&other, "anna").await, None);
        let changed = set(&one, &Subject::User(user("anna")), now(Mode::ImapOnly)).await;
        // Read before, so still as it was: nobody has told.
        assert_eq!(mode(&other, "anna").await, None);
        let message = messages.next().await.expect("a message");
        let expected = lastpop::store::Message::Changed(changed.generation, Concerns::User(user("anna")));
        assert_eq!(message, expected);
        other.changed(changed.generation, &Concerns::User(user("anna"))).await.expect("taken notice");
        assert_eq!(mode(&other, "anna").await, Some(Mode::ImapOnly));
        // And by looking, when messages were missed.
        set(&one, &Subject::User(user("anna")), now(Mode::Notice)).await;
        set(&one, &Subject::Domain("example.net".to_owned()), now(Mode::Notice)).await;
        other.look().await.expect("a look");
        assert_eq!(mode(&other, "anna").await, Some(Mode::Notice));
        assert_eq!(other.domains().get("example.net"), Some(now(Mode::Notice)));
    });
}

/// What is asked for depends on what is set, and that may change until the very moment.
#[test]
fn a_wish_is_about_what_is_set_when_it_comes_true() {
    on_both("modes_wish", async |place| {
        let store = std::sync::Arc::new(place.open().await);
        let plans: Vec<_> = (1..=20)
            .map(|number| {
                let store = std::sync::Arc::clone(&store);
                tokio::spawn(async move {
                    let anna = Subject::User(user("anna"));
                    let change = Change { subject: &anna, actor: "ilze", reason: "a test", now: NOW };
                    let later = |before: Setting| {
                        let from = before.planned.map_or(NOW, |planned| planned.from) + number;
                        Ok(Setting { planned: Some(Planned { mode: None, from }), ..before })
                    };
                    store.set(&change, &later).await.expect("set");
                })
            })
            .collect();
        for plan in plans {
            plan.await.expect("no panic");
        }
        let anna = Subject::User(user("anna"));
        let planned = Some(Planned { mode: None, from: NOW + (1..=20).sum::<i64>() });
        assert_eq!(store.setting(&anna).await.expect("set"), Setting { planned, ..Setting::default() });
        let change = Change { subject: &anna, actor: "ilze", reason: "a test", now: NOW };
        let refused = store.set(&change, &|_| Err(StoreError::Redownload(1))).await;
        assert!(matches!(refused, Err(StoreError::Redownload(1))), "{refused:?}");
        let refused = store.undo(&change, &|_, _| Err(StoreError::Redownload(1))).await;
        assert!(matches!(refused, Err(StoreError::Redownload(1))), "{refused:?}");
        assert_eq!(store.setting(&anna).await.expect("set").planned, planned);
    });
}

#[test]
fn changes_at_once_are_all_kept_and_in_order() {
    on_both("modes_at_once", async |place| {
        let store = std::sync::Arc::new(place.open().await);
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let store = std::sync::Arc::clone(&store);
                tokio::spawn(async move {
                    let subject = Subject::User(user(["anna", "bob"][number % 2]));
                    set(&store, &subject, now(Mode::ALL[number % 4])).await.generation
                })
            })
            .collect();
        let mut generations = Vec::new();
        for task in tasks {
            generations.push(task.await.expect("no panic"));
        }
        generations.sort_unstable();
        assert_eq!(generations, (1..=20).collect::<Vec<_>>());
        for name in ["anna", "bob"] {
            for _ in 0..10 {
                undo(&store, &Subject::User(user(name))).await.expect("each of the ten can be undone");
            }
            assert_eq!(mode(&store, name).await, None);
        }
    });
}

#[test]
fn more_domains_than_are_kept_in_memory_are_not_taken() {
    on_both("modes_domains_most", async |place| {
        place.open().await.close().await;
        execute(
            &place,
            &format!(
                "INSERT INTO domains (domain, mode, mode_since)
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {DOMAINS_MOST})
                SELECT 'domain' || i || '.example', 'notice', {NOW} FROM n UNION ALL SELECT '*', 'pop3', {NOW}"
            ),
        )
        .await;
        let store = place.open().await;
        let domain = |name: &str| Subject::Domain(name.to_owned());
        let one_more = domain("one-more.example");
        let change = Change { subject: &one_more, actor: "ilze", reason: "x", now: NOW };
        let refused = store.set(&change, &|_| Ok(now(Mode::Pop3))).await.expect_err("too many");
        assert!(matches!(refused, StoreError::TooManyDomains), "{refused}");
        // One that is there can be changed, and everyone is none of them.
        set(&store, &domain("domain7.example"), now(Mode::Brownout)).await;
        assert_eq!(store.domains().get("domain7.example"), Some(now(Mode::Brownout)));
        assert_eq!(store.domains().everyone(), Some(now(Mode::Pop3)));
        assert_eq!(i64::try_from(store.domains().all().len()), Ok(DOMAINS_MOST + 1));
    });
}
