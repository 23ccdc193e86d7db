//! Many users at once: an import is all or nothing, changes only what differs, and is undone as a whole.

use lastpop::import::Row;
use lastpop::policy::{Language, Mode, Planned, Setting};
use lastpop::store::{Applied, Change, Moves, Store, StoreError, Subject, Undone};

use super::{ANY, NOW, Place, count, execute, on_both, user};

const ACTOR: &str = "ilze";

fn row(name: &str, mode: Option<Mode>) -> Row {
    Row { user: user(name), mode, from: None, language: None }
}

async fn import(store: &Store, rows: &[Row], now: i64) -> Applied {
    let batch = store.begin_import(ACTOR, "a list", now).await.expect("begun");
    store.stage(&batch, rows).await.expect("staged");
    let would = store.apply(&batch, true, ANY).await.expect("asked");
    let applied = store.apply(&batch, false, ANY).await.expect("applied");
    assert_eq!(would, Applied { batch: None, ..applied.clone() }, "what was promised");
    applied
}

async fn setting(store: &Store, name: &str) -> Setting {
    store.facts(&user(name)).await.expect("facts").setting
}

async fn set(store: &Store, name: &str, mode: Mode, now: i64) {
    let subject = Subject::User(user(name));
    let setting = Setting { mode: Some(mode), since: now, planned: None };
    let change = Change { subject: &subject, actor: "support", reason: "asked for it", now };
    store.set(&change, &|_| Ok(setting)).await.expect("set");
}

fn moved(domain: &str, from: Option<Mode>, to: Option<Mode>, users: u64) -> Moves {
    Moves { domain: domain.to_owned(), from, to, then: to, users }
}

async fn lines(place: &Place, batch: &str) -> i64 {
    count(place, &format!("SELECT count(*) FROM audit WHERE batch = '{batch}'")).await
}

#[test]
fn an_import_changes_what_differs_and_remembers_it() {
    on_both("bulk_import", async |place| {
        let store = place.open().await;
        set(&store, "bob@x", Mode::Notice, NOW).await;
        set(&store, "eve@x", Mode::ImapOnly, NOW).await;
        let rows = [
            row("anna@x", Some(Mode::Pop3)),
            row("bob@x", Some(Mode::Notice)),
            row("carl@x", None),
            row("eve@x", None),
            // The last row of a user holds.
            row("anna@x", Some(Mode::ImapOnly)),
        ];
        assert_eq!(setting(&store, "anna@x").await, Setting::default());
        let applied = import(&store, &rows, NOW + 60).await;
        assert_eq!((applied.changed, applied.never_seen), (2, 4));
        let expected = [moved("x", None, Some(Mode::ImapOnly), 1), moved("x", Some(Mode::ImapOnly), None, 1)];
        assert_eq!(applied.moves, expected);
        let imap_only = Setting { mode: Some(Mode::ImapOnly), since: NOW + 60, planned: None };
        assert_eq!(setting(&store, "anna@x").await, imap_only);
        assert_eq!(setting(&store, "bob@x").await.since, NOW, "it was so already");
        assert_eq!(setting(&store, "eve@x").await.mode, None);
        let batch = applied.batch.expect("a batch");
        assert_eq!(lines(&place, &batch).await, 2);
        assert_eq!(count(&place, "SELECT count(*) FROM users WHERE username = 'carl@x'").await, 0);
        assert_eq!(count(&place, "SELECT count(*) FROM users WHERE domain = 'x'").await, 3);
        assert_eq!(count(&place, "SELECT count(*) FROM staged").await, 0);
        // Again, it is nothing.
        let again = import(&store, &rows, NOW + 90).await;
        assert_eq!((again.batch, again.changed), (None, 0));
        for known in ["first_seen", "last_refused"] {
            let insert =
                format!("INSERT INTO users (username, domain, {known}) VALUES ('{known}@x', 'x', 1)");
            execute(&place, &insert).await;
            let rows =
                [row(&format!("{known}@x"), None), row("new@x", None), row("anna@x", Some(Mode::ImapOnly))];
            assert_eq!(import(&store, &rows, NOW + 95).await.never_seen, 2);
        }
        // One change of one user, as any other.
        let anna = Subject::User(user("anna@x"));
        let change = Change { subject: &anna, actor: ACTOR, reason: "a mistake", now: NOW + 99 };
        assert_eq!(store.undo(&change, &|_, _| Ok(())).await.expect("undone").after.mode, None);
    });
}

#[test]
fn plans_and_languages_come_in_as_well() {
    on_both("bulk_plans", async |place| {
        let store = place.open().await;
        set(&store, "anna", Mode::Notice, NOW).await;
        let later = Some(NOW + 1_000);
        let rows = [
            Row { from: later, language: Language::parse("lv"), ..row("anna", Some(Mode::ImapOnly)) },
            Row { from: later, ..row("bob", None) },
            Row { from: Some(NOW - 5), ..row("carl", Some(Mode::Brownout)) },
        ];
        let applied = import(&store, &rows, NOW + 10).await;
        assert_eq!(applied.changed, 3);
        let planned = Some(Planned { mode: Some(Mode::ImapOnly), from: NOW + 1_000 });
        let anna = Setting { mode: Some(Mode::Notice), since: NOW, planned };
        assert_eq!(setting(&store, "anna").await, anna);
        assert_eq!(setting(&store, "bob").await.planned, Some(Planned { mode: None, from: NOW + 1_000 }));
        assert_eq!(
            setting(&store, "carl").await,
            Setting { mode: Some(Mode::Brownout), since: NOW + 10, planned: None }
        );
        assert_eq!(store.facts(&user("anna")).await.expect("facts").language, Language::parse("lv"));
        // Its time has come: an export that says so changes nothing.
        let same = import(&store, &[row("anna", Some(Mode::ImapOnly))], NOW + 2_000).await;
        assert_eq!(same.changed, 0);
        // Only the language: since when the mode holds does not change.
        let rows = [Row { language: Language::parse("en"), ..row("carl", Some(Mode::Brownout)) }];
        assert_eq!(import(&store, &rows, NOW + 2_010).await.changed, 1);
        assert_eq!(setting(&store, "carl").await.since, NOW + 10);
        // Undone one by one, with the language.
        let carl = Subject::User(user("carl"));
        let change = Change { subject: &carl, actor: ACTOR, reason: "a mistake", now: NOW + 2_020 };
        store.undo(&change, &|_, _| Ok(())).await.expect("undone");
        let facts = store.facts(&user("carl")).await.expect("facts");
        assert_eq!((facts.language.clone(), facts.setting.mode), (None, Some(Mode::Brownout)));
    });
}

#[test]
fn a_batch_is_undone_but_for_whom_somebody_changed_since() {
    on_both("bulk_undo", async |place| {
        let store = place.open().await;
        set(&store, "bob", Mode::Notice, NOW).await;
        let all = ["anna", "bob", "carl", "dora"];
        let rows = all.map(|name| Row { language: Language::parse("lv"), ..row(name, Some(Mode::ImapOnly)) });
        let first = import(&store, &rows, NOW + 10).await.batch.expect("a batch");
        let rows = ["anna", "bob"].map(|name| row(name, Some(Mode::Brownout)));
        let second = import(&store, &rows, NOW + 20).await.batch.expect("a batch");
        // To the same mode, but on purpose.
        set(&store, "carl", Mode::ImapOnly, NOW + 30).await;
        let undo = async |batch: &str, now| {
            let would = store.undo_batch(batch, ACTOR, "a mistake", now, true, ANY).await?;
            let undone = store.undo_batch(batch, ACTOR, "a mistake", now, false, ANY).await?;
            assert_eq!(would, Undone { batch: None, ..undone.clone() }, "what was promised");
            Ok::<_, StoreError>(undone)
        };
        let undone = undo(&first, NOW + 40).await.expect("undone");
        assert_eq!((undone.restored, undone.left_alone), (1, 3));
        assert_eq!(undone.moves, [moved("", Some(Mode::ImapOnly), None, 1)]);
        assert_eq!(setting(&store, "dora").await, Setting::default());
        assert_eq!(store.facts(&user("dora")).await.expect("facts").language, None);
        assert_eq!(setting(&store, "anna").await.mode, Some(Mode::Brownout));
        // Walking back works as with single changes.
        assert_eq!(undo(&second, NOW + 50).await.expect("undone").restored, 2);
        let undone = undo(&first, NOW + 60).await.expect("undone");
        assert_eq!((undone.restored, undone.left_alone), (2, 1));
        assert_eq!(setting(&store, "anna").await, Setting::default());
        assert_eq!(setting(&store, "bob").await.mode, Some(Mode::Notice));
        assert_eq!(setting(&store, "bob").await.since, NOW);
        assert_eq!(setting(&store, "carl").await.mode, Some(Mode::ImapOnly));
        // A plan that was carried out since is undone as well.
        let planned = Row { from: Some(NOW + 100), ..row("dora", Some(Mode::ImapOnly)) };
        let third = import(&store, &[planned], NOW + 65).await.batch.expect("a batch");
        let undone = undo(&third, NOW + 200).await.expect("undone");
        assert_eq!(undone.moves, [moved("", Some(Mode::ImapOnly), None, 1)]);
        let error = undo(&second, NOW + 270).await.expect_err("nothing is left");
        assert_eq!(error.to_string(), format!("there is no change of the batch {second} left to undo"));
    });
}

#[test]
fn what_nobody_applied_is_forgotten() {
    on_both("bulk_abandoned", async |place| {
        let store = place.open().await;
        let lost = store.begin_import(ACTOR, "a list", NOW).await.expect("begun");
        store.stage(&lost, &[row("anna", Some(Mode::ImapOnly))]).await.expect("staged");
        let dropped = store.begin_import(ACTOR, "a list", NOW + 1).await.expect("begun");
        store.stage(&dropped, &[row("anna", Some(Mode::Notice))]).await.expect("staged");
        store.abandon(&dropped).await.expect("abandoned");
        assert_eq!(store.apply(&dropped, false, ANY).await.expect("applied"), Applied::default());
        assert_eq!(count(&place, "SELECT count(*) FROM staged").await, 1);
        store.begin_import(ACTOR, "a list", NOW + 86_400).await.expect("begun");
        assert_eq!(count(&place, "SELECT count(*) FROM staged").await, 1);
        store.begin_import(ACTOR, "a list", NOW + 86_401).await.expect("begun");
        assert_eq!(count(&place, "SELECT count(*) FROM staged").await, 0);
        assert_eq!(setting(&store, "anna").await, Setting::default());
    });
}

#[test]
fn a_bulk_change_is_one_generation_and_one_message() {
    let place = super::postgres("bulk_message");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (one, other) = (place.open().await, place.open().await);
        let mut messages = other.messages().await.expect("a listener").expect("a server that speaks");
        assert_eq!(setting(&other, "user7@x").await, Setting::default());
        let rows: Vec<Row> =
            (0..1_200).map(|number| row(&format!("user{number}@x"), Some(Mode::Notice))).collect();
        let applied = import(&one, &rows, NOW).await;
        assert_eq!((applied.changed, applied.never_seen), (1_200, 1_200));
        let lastpop::store::Message::Changed(generation, concerns) =
            messages.next().await.expect("a message")
        else {
            panic!("no change");
        };
        assert_eq!(generation, 1);
        other.changed(generation, &concerns).await.expect("taken notice");
        assert_eq!(setting(&other, "user7@x").await.mode, Some(Mode::Notice));
        assert_eq!(count(&place, "SELECT value FROM counters WHERE name = 'generation'").await, 1);
    });
}
