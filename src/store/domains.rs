//! The modes of domains and of everyone: few, and needed at every login, so all of them are in memory.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::StoreError;
use super::changes::{Row, setting};
use super::database::{Database, on};
use crate::policy::Setting;

/// The row that holds for everyone.
pub(super) const EVERYONE: &str = "*";

/// Most domains that are read. An ISP's hundred thousand customers' domains are 10 MB.
const MOST: i64 = 200_000;

/// All that is set, as one value that is replaced as a whole.
#[derive(Debug, Default)]
pub struct Domains(ArcSwap<HashMap<String, Setting>>);

impl Domains {
    /// What is set for a domain.
    pub fn get(&self, domain: &str) -> Option<Setting> {
        self.0.load().get(domain).copied()
    }

    /// What is set for everyone.
    pub fn everyone(&self) -> Option<Setting> {
        self.get(EVERYONE)
    }

    /// All of them; `*` is everyone.
    pub fn all(&self) -> Arc<HashMap<String, Setting>> {
        self.0.load_full()
    }

    pub(super) fn replace(&self, all: HashMap<String, Setting>) {
        self.0.store(Arc::new(all));
    }
}

type Found = (String, Option<String>, i64, Option<String>, Option<i64>);

pub(super) async fn read(database: &Database) -> Result<HashMap<String, Setting>, StoreError> {
    let query = "SELECT domain, mode, mode_since, planned_mode, planned_from FROM domains LIMIT $1";
    let rows: Vec<Found> = on!(database, pool => sqlx::query_as(query).bind(MOST).fetch_all(pool).await)?;
    let set = |(domain, mode, since, planned_mode, planned_from): Found| {
        let row = Row { mode, since: Some(since), planned_mode, planned_from };
        Ok((domain, setting(&row)?))
    };
    rows.into_iter().map(set).collect()
}
