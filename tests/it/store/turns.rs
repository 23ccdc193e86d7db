//! Many who wait for one change of many users: they are told soon, and nobody else notices.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use lastpop::config::StateUrl;
use lastpop::policy::{Mode, Setting};
use lastpop::store::{Change, Changed, Select, Store, StoreError, Subject};
use lastpop::usage::Delta;
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};

use super::{NOW, Place, file, on_both, once, sqlite, user};

/// More than either database has connections.
const WAITING: usize = 40;

/// Somebody else who is changing policy, and takes a while.
enum Other {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Other {
    async fn begins(place: &Place) -> Self {
        let raise = "UPDATE counters SET value = value + 1 WHERE name = 'generation'";
        match &place.url {
            StateUrl::Sqlite(path) => {
                let mut other = SqliteConnection::connect_with(&file(path)).await.expect("the file");
                other.execute("BEGIN IMMEDIATE").await.expect("a transaction");
                other.execute(raise).await.expect("raised");
                Self::Sqlite(other)
            }
            StateUrl::Postgres(url) => {
                let mut other = PgConnection::connect(url.secret()).await.expect("the server");
                other.execute("BEGIN").await.expect("a transaction");
                other.execute(raise).await.expect("raised");
                Self::Postgres(other)
            }
        }
    }

    async fn ends(self) {
        match self {
            Self::Sqlite(mut other) => other.execute("COMMIT").await.map(drop),
            Self::Postgres(mut other) => other.execute("COMMIT").await.map(drop),
        }
        .expect("committed");
    }
}

async fn set(store: &Store, name: &str) -> Result<Changed, StoreError> {
    let subject = Subject::User(user(name));
    let setting = Setting { mode: Some(Mode::Notice), since: NOW, planned: None };
    let change = Change { subject: &subject, actor: "ilze", reason: "a test", now: NOW };
    store.set(&change, &|_| Ok(setting)).await
}

#[test]
fn who_waits_for_a_change_of_many_keeps_nobody_else_waiting() {
    on_both("turns", async |place| {
        let store = Arc::new(place.open().await);
        let other = Other::begins(&place).await;
        let changes: Vec<_> = (0..WAITING)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { set(&store, &format!("user{number}")).await })
            })
            .collect();
        let mut asked = 0;
        while !changes.iter().all(tokio::task::JoinHandle::is_finished) {
            // Nobody knows them yet, so the database is asked.
            store.facts(&user(&format!("new{asked}"))).await.expect("facts");
            store.look().await.expect("a look");
            store.users(&Select::default(), "", 10).await.expect("users");
            asked += 1;
        }
        println!("the database was asked {asked} times meanwhile");
        for change in changes {
            let refused = change.await.expect("no panic");
            assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
        }
        other.ends().await;
        assert_eq!(set(&store, "anna").await.expect("its turn").generation, 2);
    });
}

/// Whoever writes usage tries again then, for as long as it takes, also at shutdown.
#[tokio::test]
async fn another_writer_to_the_file_is_no_outage() {
    let place = sqlite();
    let store = place.open().await;
    let other = Other::begins(&place).await;
    let rows = [(user("anna"), Delta::refused(NOW, IpAddr::V4(Ipv4Addr::LOCALHOST)))];
    let written = store.add_usage(&once(), &rows).await;
    assert!(matches!(written, Err(StoreError::Busy)), "{written:?}");
    other.ends().await;
    store.add_usage(&once(), &rows).await.expect("written");
}
