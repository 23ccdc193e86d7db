//! The audit trail, newest first.

use super::changes::{Row, setting};
use super::database::on;
use super::{Store, StoreError};
use crate::policy::Setting;

/// One line of the trail.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AuditRow {
    /// Its id: later ones are greater.
    pub id: String,
    /// When, in Unix seconds.
    pub at: i64,
    /// Who: the name of a token, or `lastpop` itself.
    pub actor: String,
    /// What: `set`, `undo`, `import`, `wave`, `unhide`, …
    pub action: String,
    /// Whose: `user`, `domain`, `wave`, `proxy`.
    pub kind: String,
    /// Its name.
    pub subject: String,
    old_mode: Option<String>,
    old_since: Option<i64>,
    old_planned_mode: Option<String>,
    old_planned_from: Option<i64>,
    new_mode: Option<String>,
    new_planned_mode: Option<String>,
    new_planned_from: Option<i64>,
    /// What there is to say besides.
    pub detail: Option<String>,
    /// Why.
    pub reason: String,
    /// What was done together has the same batch.
    pub batch: String,
    /// The id of the undo, if there was one.
    pub undone_by: Option<String>,
}

/// Which lines.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    /// The kind of subject; without it, any.
    pub kind: Option<&'static str>,
    /// Its name.
    pub subject: Option<String>,
    /// The batch.
    pub batch: Option<String>,
}

impl AuditRow {
    /// What was set before.
    pub fn before(&self) -> Result<Setting, StoreError> {
        setting(&Row {
            mode: self.old_mode.clone(),
            since: self.old_since,
            planned_mode: self.old_planned_mode.clone(),
            planned_from: self.old_planned_from,
        })
    }

    /// What was set then.
    pub fn after(&self) -> Result<Setting, StoreError> {
        setting(&Row {
            mode: self.new_mode.clone(),
            since: Some(self.at),
            planned_mode: self.new_planned_mode.clone(),
            planned_from: self.new_planned_from,
        })
    }

    /// Is it about a setting at all? What a wave does to its members is, what is done to a wave is not.
    pub fn is_change(&self) -> bool {
        self.kind != "wave" && matches!(self.action.as_str(), "set" | "undo" | "import" | "wave" | "rollback")
    }
}

/// What a line can be about.
const KINDS: [&str; 4] = ["user", "domain", "wave", "proxy"];

const COLUMNS: &str = "SELECT id, at, actor, action, kind, subject, old_mode, old_since, old_planned_mode,
    old_planned_from, new_mode, new_planned_mode, new_planned_from, detail, reason, batch, undone_by
    FROM audit WHERE 1 = 1";

impl Store {
    /// Lines older than `before` (an id; `None`: from the newest on), newest first, at most `limit` of them.
    pub async fn audit(
        &self,
        trail: &Trail,
        before: Option<&str>,
        limit: u16,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let rows: Vec<AuditRow> = on!(&self.database, pool => {
            let mut query = sqlx::QueryBuilder::new(COLUMNS);
            if let Some(before) = before {
                query.push(" AND id < ").push_bind(before);
            }
            if let Some(subject) = &trail.subject {
                // All kinds by name, so that the index on kind and subject serves both.
                query.push(" AND kind IN (");
                let mut kinds = query.separated(", ");
                for kind in trail.kind.as_ref().map_or(&KINDS[..], std::slice::from_ref) {
                    kinds.push_bind(*kind);
                }
                query.push(") AND subject = ").push_bind(subject.clone());
            }
            if let Some(batch) = &trail.batch {
                query.push(" AND batch = ").push_bind(batch.clone());
            }
            query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
            query.build_query_as().fetch_all(pool).await
        })?;
        Ok(rows)
    }
}
