//! Opening the state: what cannot be opened, a second proxy, an older and a newer lastpop.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use lastpop::config::StateUrl;
use lastpop::store::{Store, StoreError};

use super::{NOW, on_both, postgres, sqlite};
use crate::support::postgres::Postgres;

async fn refused(url: &StateUrl) -> String {
    Store::open(url, NOW).await.expect_err("cannot be opened").to_string()
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let text = "this is no database, and it is long enough to be read as one".repeat(100);
    std::fs::write(&path, text).expect("written");
    let error = refused(&StateUrl::Sqlite(path)).await;
    assert!(error.contains("state.db"), "{error}");
    let error = refused(&StateUrl::Sqlite(directory.path().join("no/such/folder/state.db"))).await;
    assert!(
        error.starts_with("cannot open the state: ") && error.contains("check that its folder exists"),
        "{error}"
    );
}

#[tokio::test]
async fn a_new_file_is_for_its_owner_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let store = Store::open(&StateUrl::Sqlite(path.clone()), NOW).await.expect("a store");
    for name in ["state.db", "state.db-wal"] {
        let mode =
            std::fs::metadata(directory.path().join(name)).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name} names customers");
    }
    store.close().await;
    drop(store);
    // Whoever lets others read it has a reason.
    std::fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("set");
    Store::open(&StateUrl::Sqlite(path.clone()), NOW).await.expect("a store").close().await;
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o640);
}

#[tokio::test]
async fn a_server_that_is_away_is_an_error_that_names_it_and_no_password() {
    let url = StateUrl::parse("postgres://lastpop:s3cret@127.0.0.1:1/state").expect("an address");
    let error = refused(&url).await;
    assert!(error.contains("127.0.0.1:1/state") && !error.contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_file_serves_one_proxy_until_it_hands_over() {
    let place = sqlite();
    let first = place.open().await;
    let error = refused(&place.url).await;
    assert!(error.contains("another lastpop is using the state") && error.contains("PostgreSQL"), "{error}");
    first.hand_over();
    let second = place.open().await;
    // The first one finishes what it has begun.
    first.look().await.expect("still open");
    second.look().await.expect("open");
}

#[test]
fn many_proxies_that_start_at_once_migrate_once() {
    let place = postgres("opening_at_once");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let starts: Vec<_> = (0..6)
            .map(|_| {
                let url = place.url.clone();
                tokio::spawn(async move { Store::open(&url, NOW).await.map(drop) })
            })
            .collect();
        for start in starts {
            start.await.expect("no panic").expect("opened");
        }
    });
    let rows = Postgres::shared().psql("opening_at_once", "SELECT count(*) FROM _sqlx_migrations");
    assert_eq!(rows.trim(), "1");
}

/// Expand, then contract: on tables that a newer lastpop has only added to, this one serves and starts.
#[test]
fn the_version_before_serves_and_starts_on_newer_tables_until_they_say_no() {
    on_both("opening_newer", async |place| {
        drop(place.open().await);
        change(
            &place.url,
            "opening_newer",
            &[
                "ALTER TABLE users ADD COLUMN from_the_future TEXT",
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                VALUES (9999, 'from the future', TRUE, 'x', 1)",
            ],
        )
        .await;
        drop(place.open().await);
        change(&place.url, "opening_newer", &["UPDATE schema_needs SET lowest = 9999, version = '7.0.0'"])
            .await;
        let error = Store::open(&place.url, NOW).await.expect_err("too new");
        assert!(matches!(&error, StoreError::Newer { version } if version == "7.0.0"), "{error}");
        assert!(error.to_string().contains("install version 7.0.0 or newer"), "{error}");
    });
}

async fn change(url: &StateUrl, database: &str, statements: &[&'static str]) {
    match url {
        StateUrl::Sqlite(path) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let pool = sqlx::SqlitePool::connect_with(options).await.expect("the file");
            for statement in statements {
                sqlx::query(*statement).execute(&pool).await.expect("changed");
            }
            pool.close().await;
        }
        StateUrl::Postgres(_) => {
            for statement in statements {
                Postgres::shared().psql(database, statement);
            }
        }
    }
}
