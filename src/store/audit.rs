//! The audit trail, newest first.

use super::changes::{Row, id, setting};
use super::database::{Waits, on, transaction};
use super::generation::{Concerns, RAISE};
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
    /// What: `set`, `undo`, `import`, `wave`, `unhide`, `kick`, …
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

/// Something that was done and sets nothing.
#[derive(Debug, Clone, Copy)]
pub struct Note<'a> {
    /// What.
    pub action: &'static str,
    /// To what: `user` or `proxy`.
    pub kind: &'static str,
    /// Its name.
    pub subject: &'a str,
    /// What there is to say besides.
    pub detail: &'a str,
    /// Who did it.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Unix seconds.
    pub now: i64,
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
    /// Writes a line about what was done and sets nothing.
    pub async fn note(&self, note: &Note<'_>) -> Result<(), StoreError> {
        self.database.present()?;
        let line = "INSERT INTO audit (id, at, actor, action, kind, subject, detail, reason, batch)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $1)";
        let _turn = self.turns.soon().await?;
        let written: Result<i64, StoreError> = transaction!(&self.database, Waits::Briefly, tx => {
            let generation: i64 = sqlx::query_scalar(RAISE).fetch_one(&mut *tx).await?;
            sqlx::query(line)
                .bind(id(generation))
                .bind(note.now)
                .bind(note.actor)
                .bind(note.action)
                .bind(note.kind)
                .bind(note.subject)
                .bind(note.detail)
                .bind(note.reason)
                .execute(&mut *tx)
                .await?;
            Ok(generation)
        });
        self.announce(written?, &Concerns::Domains).await;
        Ok(())
    }

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
