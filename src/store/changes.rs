//! Setting modes, and remembering who did: each change is one transaction of what is set, who set it and why, and
//! the generation that tells all proxies. Nothing is ever taken out of the audit trail.

use super::database::{Waits, on, transaction};
use super::domains::{COUNT, DOMAINS_MOST};
use super::generation::{Concerns, RAISE};
use super::{Store, StoreError, domains};
use crate::policy::{Mode, Planned, Setting};
use crate::users::UserName;

/// Whom a setting is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One user.
    User(UserName),
    /// All users of a domain.
    Domain(String),
    /// All users.
    Everyone,
}

/// A change that somebody wants.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Whose setting.
    pub subject: &'a Subject,
    /// Who wants it: the name of a token.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Unix seconds.
    pub now: i64,
}

/// Says what a setting is to become, once nobody else can change it; an error breaks it off, and nothing is changed.
pub type Wish<'a> = &'a (dyn Fn(Setting) -> Result<Setting, StoreError> + Sync);

/// Says whether a setting may become another one, in the same way.
pub type Consent<'a> = &'a (dyn Fn(Setting, Setting) -> Result<(), StoreError> + Sync);

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its id in the audit trail.
    pub id: String,
    /// What was set before.
    pub before: Setting,
    /// What is set now.
    pub after: Setting,
    /// The generation that tells other proxies.
    pub generation: i64,
}

/// A setting as columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Row {
    pub(super) mode: Option<String>,
    #[sqlx(rename = "mode_since")]
    pub(super) since: Option<i64>,
    pub(super) planned_mode: Option<String>,
    pub(super) planned_from: Option<i64>,
}

/// From columns.
pub(super) fn setting(row: &Row) -> Result<Setting, StoreError> {
    let planned_mode = mode(row.planned_mode.as_deref())?;
    Ok(Setting {
        mode: mode(row.mode.as_deref())?,
        since: row.since.unwrap_or_default(),
        planned: row.planned_from.map(|from| Planned { mode: planned_mode, from }),
    })
}

/// To columns.
pub(super) fn row(setting: Setting) -> Row {
    let word = |mode: Option<Mode>| mode.map(|mode| mode.as_str().to_owned());
    Row {
        mode: word(setting.mode),
        since: Some(setting.since),
        planned_mode: setting.planned.and_then(|planned| word(planned.mode)),
        planned_from: setting.planned.map(|planned| planned.from),
    }
}

pub(super) fn mode(word: Option<&str>) -> Result<Option<Mode>, StoreError> {
    let parse =
        |word: &str| word.parse::<Mode>().map_err(|_| StoreError::Foreign(format!("the mode {word:?}")));
    word.map(parse).transpose()
}

/// Ids are in the order of the changes, so that the trail can be paged through by them.
pub(super) fn id(generation: i64) -> String {
    format!("{generation:012}")
}

impl Subject {
    /// `user` or `domain`, as in the audit trail.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Domain(_) | Self::Everyone => "domain",
        }
    }

    /// The name; `*` is everyone.
    pub fn name(&self) -> &str {
        match self {
            Self::User(user) => user.as_str(),
            Self::Domain(domain) => domain,
            Self::Everyone => domains::EVERYONE,
        }
    }

    const fn select(&self) -> &'static str {
        match self {
            Self::User(_) => {
                "SELECT mode, mode_since, planned_mode, planned_from FROM users WHERE username = $1"
            }
            Self::Domain(_) | Self::Everyone => {
                "SELECT mode, mode_since, planned_mode, planned_from FROM domains WHERE domain = $1"
            }
        }
    }

    /// Parameters: name, mode, since, planned mode, planned from, batch; for users the domain as well.
    const fn upsert(&self) -> &'static str {
        match self {
            Self::User(_) => {
                "INSERT INTO users (username, mode, mode_since, planned_mode, planned_from, set_by, domain)
                VALUES ($1, $2, $3, $4, $5, $6, $7)
                ON CONFLICT (username) DO UPDATE SET mode = excluded.mode, mode_since = excluded.mode_since,
                    planned_mode = excluded.planned_mode, planned_from = excluded.planned_from,
                    set_by = excluded.set_by"
            }
            Self::Domain(_) | Self::Everyone => {
                "INSERT INTO domains (domain, mode, mode_since, planned_mode, planned_from, set_by)
                SELECT $1, $2, $3, $4, $5, $6 WHERE $7 <> ''
                ON CONFLICT (domain) DO UPDATE SET mode = excluded.mode, mode_since = excluded.mode_since,
                    planned_mode = excluded.planned_mode, planned_from = excluded.planned_from,
                    set_by = excluded.set_by"
            }
        }
    }

    fn domain(&self) -> &str {
        match self {
            Self::User(user) => user.domain(),
            Self::Domain(_) | Self::Everyone => self.name(),
        }
    }

    pub(super) fn concerns(&self) -> Concerns {
        match self {
            Self::User(user) => Concerns::User(user.clone()),
            Self::Domain(_) | Self::Everyone => Concerns::Domains,
        }
    }
}

const AUDIT: &str =
    "INSERT INTO audit (id, at, actor, action, kind, subject, old_mode, old_since, old_planned_mode,
        old_planned_from, new_mode, new_planned_mode, new_planned_from, reason, batch)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $1)";

/// Writes one setting within a transaction: its columns, and its line in the audit trail.
macro_rules! write_setting {
    ($tx:ident, $subject:expr, $action:literal, $before:expr, $after:expr, $change:expr, $id:expr) => {{
        let (before, after) = (row($before), row($after));
        sqlx::query($subject.upsert())
            .bind($subject.name())
            .bind(&after.mode)
            .bind(after.since)
            .bind(&after.planned_mode)
            .bind(after.planned_from)
            .bind($id)
            .bind($subject.domain())
            .execute(&mut *$tx)
            .await?;
        sqlx::query(AUDIT)
            .bind($id)
            .bind($change.now)
            .bind($change.actor)
            .bind($action)
            .bind($subject.kind())
            .bind($subject.name())
            .bind(&before.mode)
            .bind(before.since)
            .bind(&before.planned_mode)
            .bind(before.planned_from)
            .bind(&after.mode)
            .bind(&after.planned_mode)
            .bind(after.planned_from)
            .bind($change.reason)
            .execute(&mut *$tx)
            .await?;
    }};
}

/// The newest change of a subject that was not undone.
const NEWEST: &str =
    "SELECT id, old_mode, old_since, old_planned_mode, old_planned_from, new_mode, new_planned_mode,
        new_planned_from
    FROM audit
    WHERE kind = $1 AND subject = $2 AND action IN ('set', 'import', 'wave', 'rollback') AND undone_by IS NULL
    ORDER BY id DESC LIMIT 1";

/// An import may have set the language as well; an empty one is none.
const RESTORE_LANGUAGE: &str = "UPDATE users SET language = NULLIF(a.old_language, '')
    FROM audit a WHERE a.id = $1 AND a.kind = 'user' AND users.username = a.subject
        AND users.language = a.new_language";

#[derive(sqlx::FromRow)]
struct Newest {
    id: String,
    old_mode: Option<String>,
    old_since: Option<i64>,
    old_planned_mode: Option<String>,
    old_planned_from: Option<i64>,
    new_mode: Option<String>,
    new_planned_mode: Option<String>,
    new_planned_from: Option<i64>,
}

impl Store {
    /// What is set for a subject, from the database itself.
    pub async fn setting(&self, subject: &Subject) -> Result<Setting, StoreError> {
        let found: Option<Row> = on!(&self.database, pool => sqlx::query_as(subject.select())
            .bind(subject.name()).fetch_optional(pool).await)?;
        found.map_or(Ok(Setting::default()), |found| setting(&found))
    }

    /// Sets what holds for a subject. It is in force here when this returns.
    pub async fn set(&self, change: &Change<'_>, wish: Wish<'_>) -> Result<Changed, StoreError> {
        self.database.present()?;
        let subject = change.subject;
        let _turn = self.turns.soon().await?;
        let changed: Result<Changed, StoreError> = transaction!(&self.database, Waits::Briefly, tx => {
            // First, so that changes queue up behind each other.
            let generation: i64 = sqlx::query_scalar(RAISE).fetch_one(&mut *tx).await?;
            let found: Option<Row> = sqlx::query_as(subject.select())
                .bind(subject.name())
                .fetch_optional(&mut *tx)
                .await?;
            if let (None, Subject::Domain(_)) = (&found, subject) {
                let there: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut *tx).await?;
                if there >= DOMAINS_MOST {
                    return Err(StoreError::TooManyDomains);
                }
            }
            let before = found.map_or(Ok(Setting::default()), |found| setting(&found))?;
            let after = wish(before)?;
            let id = id(generation);
            write_setting!(tx, subject, "set", before, after, change, &id);
            Ok(Changed { id, before, after, generation })
        });
        let changed = changed?;
        self.made(subject, &changed).await;
        Ok(changed)
    }

    /// What is set, and what would be after an undo.
    pub async fn would_undo(&self, subject: &Subject) -> Result<(Setting, Setting), StoreError> {
        let newest: Option<Newest> = on!(&self.database, pool => sqlx::query_as(NEWEST)
            .bind(subject.kind()).bind(subject.name()).fetch_optional(pool).await)?;
        let newest = newest.ok_or_else(|| StoreError::NothingToUndo(subject.name().to_owned()))?;
        let before = self.setting(subject).await?;
        let (undone, after) = newest.read()?;
        if (before.mode, before.planned) == (undone.mode, undone.planned) {
            Ok((before, after))
        } else {
            Err(StoreError::Superseded(subject.name().to_owned()))
        }
    }

    /// Takes back the newest change of a subject that was not taken back.
    pub async fn undo(&self, change: &Change<'_>, consent: Consent<'_>) -> Result<Changed, StoreError> {
        self.database.present()?;
        let subject = change.subject;
        let _turn = self.turns.soon().await?;
        let changed: Result<Changed, StoreError> = transaction!(&self.database, Waits::Briefly, tx => {
            let generation: i64 = sqlx::query_scalar(RAISE).fetch_one(&mut *tx).await?;
            let newest: Option<Newest> = sqlx::query_as(NEWEST)
                .bind(subject.kind())
                .bind(subject.name())
                .fetch_optional(&mut *tx)
                .await?;
            let newest = newest.ok_or_else(|| StoreError::NothingToUndo(subject.name().to_owned()))?;
            let found: Option<Row> = sqlx::query_as(subject.select())
                .bind(subject.name())
                .fetch_optional(&mut *tx)
                .await?;
            let before = found.map_or(Ok(Setting::default()), |found| setting(&found))?;
            let (undone, after) = newest.read()?;
            if (before.mode, before.planned) != (undone.mode, undone.planned) {
                return Err(StoreError::Superseded(subject.name().to_owned()));
            }
            consent(before, after)?;
            let id = id(generation);
            write_setting!(tx, subject, "undo", before, after, change, &id);
            sqlx::query(RESTORE_LANGUAGE).bind(&newest.id).execute(&mut *tx).await?;
            sqlx::query("UPDATE audit SET undone_by = $1 WHERE id = $2")
                .bind(&id)
                .bind(&newest.id)
                .execute(&mut *tx)
                .await?;
            Ok(Changed { id, before, after, generation })
        });
        let changed = changed?;
        self.made(subject, &changed).await;
        Ok(changed)
    }
}

impl Store {
    /// A change was committed.
    async fn made(&self, subject: &Subject, changed: &Changed) {
        if let Subject::User(user) = subject {
            // Whatever happens to the database from here on.
            self.known.amend(user, |facts| facts.setting = changed.after);
        }
        self.announce(changed.generation, &subject.concerns()).await;
    }
}

impl Newest {
    /// What it set, and what was set before it.
    fn read(&self) -> Result<(Setting, Setting), StoreError> {
        let set = Row {
            mode: self.new_mode.clone(),
            since: None,
            planned_mode: self.new_planned_mode.clone(),
            planned_from: self.new_planned_from,
        };
        let before = Row {
            mode: self.old_mode.clone(),
            since: self.old_since,
            planned_mode: self.old_planned_mode.clone(),
            planned_from: self.old_planned_from,
        };
        Ok((setting(&set)?, setting(&before)?))
    }
}
