//! The modes of domains and of everyone: few, and needed at every login, so all of them are in memory.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::StoreError;
use super::changes::{Row, setting};
use super::database::{Database, LOOKUP, in_time, on};
use crate::policy::Setting;

/// The row that holds for everyone.
pub(super) const EVERYONE: &str = "*";

/// Most domains that have a mode of their own, everyone's not counted. An ISP's hundred thousand customers' domains
/// are 10 MB.
pub const DOMAINS_MOST: i64 = 200_000;

/// How many there are; for the transaction that adds one, as changes come one after the other.
pub(super) const COUNT: &str = "SELECT count(*) FROM domains WHERE domain <> '*'";

/// All that is set, as one value that is replaced as a whole.
#[derive(Debug, Default)]
pub struct Domains {
    all: ArcSwap<HashMap<String, Setting>>,
    /// Whose turn it is to read: what was read earlier must not take the place of what was read later.
    turn: Mutex<()>,
}

impl Domains {
    /// What is set for a domain.
    pub fn get(&self, domain: &str) -> Option<Setting> {
        self.all.load().get(domain).copied()
    }

    /// What is set for everyone.
    pub fn everyone(&self) -> Option<Setting> {
        self.get(EVERYONE)
    }

    /// All of them; `*` is everyone.
    pub fn all(&self) -> Arc<HashMap<String, Setting>> {
        self.all.load_full()
    }

    /// Reads all of them again.
    pub(super) async fn refresh(&self, database: &Database) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        self.all.store(Arc::new(in_time(LOOKUP, read(database)).await?));
        Ok(())
    }
}

type Found = (String, Option<String>, i64, Option<String>, Option<i64>);

async fn read(database: &Database) -> Result<HashMap<String, Setting>, StoreError> {
    // There are no more than these, unless somebody else put them there; then it is the same ones each time.
    let query =
        "SELECT domain, mode, mode_since, planned_mode, planned_from FROM domains ORDER BY domain LIMIT $1";
    let most = DOMAINS_MOST + 1;
    let rows: Vec<Found> = on!(database, pool => sqlx::query_as(query).bind(most).fetch_all(pool).await)?;
    let set = |(domain, mode, since, planned_mode, planned_from): Found| {
        let row = Row { mode, since: Some(since), planned_mode, planned_from };
        Ok((domain, setting(&row)?))
    };
    rows.into_iter().map(set).collect()
}
