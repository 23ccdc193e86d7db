//! A million users: what a login, a list and an export cost on each database. The figures are printed; with
//! `IT_FULL=1` the number of users is the real one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lastpop::config::StateUrl;
use lastpop::policy::Mode;
use lastpop::store::{InForce, Select, Store};
use sqlx::AssertSqlSafe;

use super::waves::CONFIGURED;
use super::{NOW, Place, on_both, user};
use crate::support::is_full;

/// Lookups that are timed.
const LOOKUPS: usize = 2_000;

fn users() -> i64 {
    if is_full() { 1_000_000 } else { 20_000 }
}

/// Rows for `count` users of 50 domains, every tenth with a mode, all seen within 100 days.
fn rows(count: i64) -> String {
    format!(
        "INSERT INTO users (username, domain, mode, mode_since, first_seen, last_seen, sessions, family, active_day)
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
        SELECT 'user' || i || '@domain' || (i % 50) || '.example', 'domain' || (i % 50) || '.example',
            CASE WHEN i % 10 = 0 THEN 'imap-only' END, {NOW}, {NOW} - 8640000, {NOW} - (i % 100) * 86400, i, 'curl', 0
        FROM n"
    )
}

fn pins() -> &'static str {
    "INSERT INTO uidl_pins (username, uidvalidity, recipe, first_served)
        SELECT username, 7, '{uid:08x}{uidvalidity:08x}', 0 FROM users"
}

async fn fill(place: &Place) {
    let statements = [rows(users()), pins().to_owned(), "ANALYZE".to_owned()];
    match &place.url {
        StateUrl::Sqlite(path) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let pool = sqlx::SqlitePool::connect_with(options).await.expect("the file");
            for statement in statements {
                sqlx::query(AssertSqlSafe(statement)).execute(&pool).await.expect("rows");
            }
            pool.close().await;
        }
        StateUrl::Postgres(url) => {
            let pool = sqlx::PgPool::connect(url.secret()).await.expect("the server");
            for statement in statements {
                sqlx::query(AssertSqlSafe(statement)).execute(&pool).await.expect("rows");
            }
            pool.close().await;
        }
    }
}

fn name(number: i64) -> String {
    let number = 1 + number % users();
    format!("user{number}@domain{}.example", number % 50)
}

/// Median and worst.
async fn timed<T>(what: &str, times: usize, mut work: impl AsyncFnMut(i64) -> T) {
    let mut taken = Vec::with_capacity(times);
    for number in 0..times {
        let begun = Instant::now();
        // Far apart, so that no page of the database serves two of them.
        work(i64::try_from(number).expect("few") * 7_919).await;
        taken.push(begun.elapsed());
    }
    taken.sort();
    let last = taken.last().copied().unwrap_or(Duration::ZERO);
    println!("  {what}: median {:?}, worst {last:?} of {times}", taken[times / 2]);
}

#[test]
fn what_a_million_users_cost() {
    on_both("scale", async |place| {
        drop(place.open().await);
        fill(&place).await;
        let store = place.open().await;
        println!("{} users:", users());
        lookups(&store).await;
        lists(&store).await;
    });
}

async fn lookups(store: &Store) {
    // Whoever is told of changes need not ask.
    let _messages = store.messages().await.expect("a listener");
    timed("a login's facts, by one query", LOOKUPS, async |number| {
        store.facts(&user(&name(number))).await.expect("facts")
    })
    .await;
    timed("a login's facts, from memory", LOOKUPS, async |number| {
        store.facts(&user(&name(number))).await.expect("facts")
    })
    .await;
}

async fn lists(store: &Store) {
    let all = Select::default();
    timed("the first page of 100", 20, async |_| {
        assert_eq!(store.users(&all, "", 100).await.expect("a page").len(), 100);
    })
    .await;
    timed("any page of 100", 20, async |number| store.users(&all, &name(number), 100).await.expect("a page"))
        .await;
    let domain = Select { domain: Some("domain7.example".to_owned()), ..Select::default() };
    timed("a page of a domain", 20, async |_| store.users(&domain, "", 100).await.expect("a page")).await;
    let search = Select { search: Some("user199".to_owned()), ..Select::default() };
    timed("a page of a search", 5, async |_| store.users(&search, "", 100).await.expect("a page")).await;
    let in_force = InForce { mode: Mode::ImapOnly, now: NOW, configured: Arc::new(CONFIGURED.clone()) };
    let flipped = Select { mode: Some(in_force), seen_after: Some(NOW - 86_400 * 30), ..Select::default() };
    timed("a page of who is flipped and was here within 30 days", 5, async |_| {
        assert_eq!(store.users(&flipped, "", 100).await.expect("a page").len(), 100);
    })
    .await;
    timed("all users, page by page of 1,000", 1, async |_| {
        let (mut after, mut count) = (String::new(), 0);
        loop {
            let page = store.users(&all, &after, 1_000).await.expect("a page");
            let Some(last) = page.last() else { break };
            after.clone_from(&last.username);
            count += page.len();
        }
        assert_eq!(i64::try_from(count), Ok(users()));
    })
    .await;
}
