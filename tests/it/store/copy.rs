//! Backups: one moment's truth of either database in a file, and back into either.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lastpop::config::StateUrl;
use lastpop::policy::{Mode, Setting};
use lastpop::store::{Change, Select, Store, Subject, Trail, copy};
use lastpop::uidl::Recipe;

use super::{NOW, Place, execute, on_both, postgres, user};

const USERS: usize = 450;

async fn set(store: &Store, name: &str, mode: Mode) {
    let subject = Subject::User(user(name));
    let setting = Setting { mode: Some(mode), since: NOW, planned: None };
    let change = Change { subject: &subject, actor: "ilze", reason: "a 'test'", now: NOW };
    store.set(&change, &|_| Ok(setting)).await.expect("set");
}

/// More rows than one statement writes, with unique-ids and odd names.
async fn populated(store: &Store) {
    for number in 0..USERS {
        let name = format!("ģ'user{number}\"@example.net");
        set(store, &name, Mode::ALL[number % 4]).await;
    }
    let anna = user("anna");
    let facts = store.facts(&anna).await.expect("facts");
    store.pin(&anna, &facts, 7, &Recipe::parse("uw").expect("a recipe"), NOW).await.expect("a pin");
}

/// What a copy must have in common with what it was made of.
async fn everything(store: &Store) -> String {
    let users = store.users(&Select::default(), "", 1_000).await.expect("users");
    let mut users: Vec<String> = users.into_iter().map(|row| format!("{row:?}")).collect();
    users.sort();
    let trail = store.audit(&Trail::default(), None, 1_000).await.expect("a trail");
    let anna = user("anna");
    let facts = store.facts(&anna).await.expect("facts");
    let pin =
        store.pin(&anna, &facts, 7, &Recipe::parse("cyrus").expect("a recipe"), NOW).await.expect("a pin");
    format!("{users:#?} {trail:#?} {}", pin.recipe.template())
}

#[test]
fn a_backup_is_the_state_and_can_be_restored_into_either_database() {
    on_both("copy_from", async |place| {
        let store = place.open().await;
        populated(&store).await;
        let before = everything(&store).await;
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("backup.db");
        // The proxy is still running.
        let rows = copy::backup(&place.url, &file).await.expect("a backup");
        let mode = std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "it names customers");
        assert!(rows > 2 * USERS as u64, "{rows}");
        let error = copy::backup(&place.url, &file).await.expect_err("there already").to_string();
        assert!(error.contains("backup.db is there already"), "{error}");
        let files = std::fs::read_dir(directory.path()).expect("a folder").count();
        assert_eq!(files, 1, "nothing is left beside it");
        let error = copy::restore(&file, &place.url).await.expect_err("in use or not empty").to_string();
        assert!(error.contains("rows already") || error.contains("another lastpop"), "{error}");

        let name = if matches!(place.url, StateUrl::Sqlite(_)) { "copy_to_1" } else { "copy_to_2" };
        let elsewhere = postgres(name);
        let beside = StateUrl::Sqlite(directory.path().join("restored.db"));
        for target in [&elsewhere.url, &beside] {
            assert_eq!(copy::restore(&file, target).await.expect("restored"), rows);
            let restored = Store::open(target, NOW).await.expect("a state");
            assert_eq!(everything(&restored).await, before);
            // And it goes on counting where it was.
            set(&restored, "anna", Mode::Notice).await;
        }
    });
}

#[test]
fn a_backup_that_breaks_off_is_none() {
    on_both("copy_broken", async |place| {
        let store = place.open().await;
        populated(&store).await;
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("backup.db");
        let names = || {
            let entries = std::fs::read_dir(directory.path()).expect("a folder");
            entries.map(|entry| entry.expect("an entry").file_name()).collect::<Vec<_>>()
        };
        execute(&place, "ALTER TABLE waves RENAME TO away").await;
        copy::backup(&place.url, &file).await.expect_err("a table is missing");
        assert!(names().is_empty(), "{:?}", names());
        execute(&place, "ALTER TABLE away RENAME TO waves").await;
        // What one that was killed has left is in nobody's way.
        std::fs::write(directory.path().join("backup.db.partial"), "half of it").expect("written");
        copy::backup(&place.url, &file).await.expect("a backup");
        assert_eq!(names(), ["backup.db"]);
        // And it restores nothing.
        let broken = Place::of_file(&file);
        execute(&broken, "CREATE TABLE unfinished_backup (one BIGINT)").await;
        let target = StateUrl::Sqlite(directory.path().join("restored.db"));
        let refused = copy::restore(&file, &target).await.expect_err("not whole").to_string();
        assert!(refused.contains("backup.db is a backup that broke off"), "{refused}");
        execute(&broken, "DROP TABLE unfinished_backup").await;
        copy::restore(&file, &target).await.expect("restored");
    });
}

#[test]
fn a_backup_is_one_moments_truth() {
    on_both("copy_moment", async |place| {
        let store = Arc::new(place.open().await);
        let stop = Arc::new(AtomicBool::new(false));
        // Each change writes a user and a line of the trail, in one transaction.
        let writer = tokio::spawn({
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            async move {
                for number in 0.. {
                    if stop.load(Ordering::Acquire) && number >= 20 {
                        return;
                    }
                    set(&store, &format!("user{number}"), Mode::Notice).await;
                }
            }
        });
        let directory = tempfile::tempdir().expect("a directory");
        for number in 0..5 {
            let file = directory.path().join(format!("backup{number}.db"));
            copy::backup(&place.url, &file).await.expect("a backup");
            let copied = Store::open(&StateUrl::Sqlite(file), NOW).await.expect("a state");
            let users = copied.users(&Select::default(), "", 1_000).await.expect("users").len();
            let trail = copied.audit(&Trail::default(), None, 1_000).await.expect("a trail").len();
            assert_eq!(users, trail);
        }
        stop.store(true, Ordering::Release);
        writer.await.expect("no panic");
    });
}
