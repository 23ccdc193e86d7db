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
    /// What is wrong with rows that were left out.
    unreadable: ArcSwap<Vec<String>>,
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

    /// Rules that are there and that cannot be understood, such as those of a newer version: nothing is in force of
    /// them here. A sentence for each.
    pub fn unreadable(&self) -> Arc<Vec<String>> {
        self.unreadable.load_full()
    }

    /// Reads all of them again.
    pub(super) async fn refresh(&self, database: &Database) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let (all, unreadable) = in_time(LOOKUP, read(database)).await?;
        self.all.store(Arc::new(all));
        self.unreadable.store(Arc::new(unreadable));
        Ok(())
    }
}

type Found = (String, Option<String>, i64, Option<String>, Option<i64>);

/// What is set, and what is wrong with what cannot be understood: one row of those must not hold up all others.
async fn read(database: &Database) -> Result<(HashMap<String, Setting>, Vec<String>), StoreError> {
    // There are no more than these, unless somebody else put them there; then it is the same ones each time.
    let query =
        "SELECT domain, mode, mode_since, planned_mode, planned_from FROM domains ORDER BY domain LIMIT $1";
    let most = DOMAINS_MOST + 1;
    let rows: Vec<Found> = on!(database, pool => sqlx::query_as(query).bind(most).fetch_all(pool).await)?;
    let (mut all, mut unreadable) = (HashMap::with_capacity(rows.len()), Vec::new());
    for (domain, mode, since, planned_mode, planned_from) in rows {
        let row = Row { mode, since: Some(since), planned_mode, planned_from };
        match setting(&row) {
            Ok(setting) => {
                all.insert(domain, setting);
            }
            Err(error) => unreadable.push(format!("{domain}: {error}")),
        }
    }
    Ok((all, unreadable))
}
