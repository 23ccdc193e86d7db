//! Users as administrators see them: one, a page of them, or all of them page by page.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::batch::own_mode;
use super::changes::{Row, setting};
use super::database::on;
use super::effective::{domain_rule, effective};
use super::{Configured, Store, StoreError};
use crate::policy::{Mode, Setting};
use crate::users::UserName;

/// Everything that is known about a user. Times are in Unix seconds, sizes in octets.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
#[allow(
    missing_docs,
    reason = "the columns are explained in the migration, and for administrators in the API"
)]
pub struct UserRow {
    pub username: String,
    pub domain: String,
    #[sqlx(flatten)]
    pub(super) rule: Row,
    pub language: Option<String>,
    pub(super) notice_dismissed: Option<String>,
    pub(super) farewell_dismissed: Option<String>,
    pub unhide_since: Option<i64>,
    pub first_seen: Option<i64>,
    pub last_seen: Option<i64>,
    pub address: Option<String>,
    pub tls: Option<String>,
    pub method: Option<String>,
    pub sessions: i64,
    pub messages: i64,
    pub octets: i64,
    pub deleted: i64,
    pub refused: i64,
    pub last_refused: Option<i64>,
    pub maildrop_messages: Option<i64>,
    pub maildrop_octets: Option<i64>,
    pub hidden_messages: Option<i64>,
    pub hidden_octets: Option<i64>,
    pub quota_used: Option<i64>,
    pub quota_limit: Option<i64>,
    pub quota_at: Option<i64>,
    pub poll_interval: Option<i64>,
    pub keeps_mail: Option<i64>,
    pub family: Option<String>,
}

/// Which users: those for whom all of it holds.
#[derive(Debug, Clone, Default)]
pub struct Select {
    /// A part of the name, with no capital letter of ASCII: of those no case counts.
    pub search: Option<String>,
    /// The domain.
    pub domain: Option<String>,
    /// Last seen before this, or never.
    pub seen_before: Option<i64>,
    /// Last seen at this time or later.
    pub seen_after: Option<i64>,
    /// The client family.
    pub family: Option<String>,
    /// The mode in force.
    pub mode: Option<InForce>,
}

/// Users for whom a mode is in force, by whichever rule.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The mode.
    pub mode: Mode,
    /// At this time, in Unix seconds.
    pub now: i64,
    /// What holds where nothing is set.
    pub configured: Arc<Configured>,
}

const COLUMNS: &str =
    "SELECT u.username, u.domain, u.mode, u.mode_since, u.planned_mode, u.planned_from, u.language,
    u.notice_dismissed, u.farewell_dismissed, u.unhide_since, u.first_seen, u.last_seen, u.address, u.tls,
    u.method, u.sessions, u.messages, u.octets, u.deleted, u.refused, u.last_refused, u.maildrop_messages,
    u.maildrop_octets, u.hidden_messages, u.hidden_octets, u.quota_used, u.quota_limit, u.quota_at,
    u.poll_interval, u.keeps_mail, u.family
    FROM users u";

/// A value of a condition.
enum Value<'a> {
    Text(Cow<'a, str>),
    Number(i64),
}

/// A query for users with its values, in the order of their numbers.
struct Query<'a> {
    text: String,
    values: Vec<Value<'a>>,
}

impl UserRow {
    /// What is set for the user alone.
    pub fn setting(&self) -> Result<Setting, StoreError> {
        setting(&self.rule)
    }
}

impl<'a> Query<'a> {
    /// Users behind `after` for whom all that `select` asks for holds.
    fn new(select: &'a Select, after: &'a str, limit: u16) -> Self {
        let mut query = Self { text: COLUMNS.to_owned(), values: Vec::new() };
        if select.mode.is_some() {
            query.text += " ";
            query.text += &domain_rule("u.domain");
        }
        query.and("WHERE u.username >", Value::Text(after.into()), "");
        if let Some(search) = &select.search {
            query.and("AND lower(u.username) LIKE", Value::Text(like(search).into()), "ESCAPE '\\'");
        }
        if let Some(domain) = &select.domain {
            query.and("AND u.domain =", Value::Text(domain.into()), "");
        }
        if let Some(before) = select.seen_before {
            query.and("AND (u.last_seen IS NULL OR u.last_seen <", Value::Number(before), ")");
        }
        if let Some(after) = select.seen_after {
            query.and("AND u.last_seen >=", Value::Number(after), "");
        }
        if let Some(family) = &select.family {
            query.and("AND u.family =", Value::Text(family.into()), "");
        }
        if let Some(InForce { mode, now, configured }) = &select.mode {
            query.and("AND", Value::Text(mode.as_str().into()), "=");
            query.values.push(Value::Number(*now));
            let now = query.values.len();
            query.text += &effective(configured, "u.domain", &format!("${now}"), now + 1);
            query.values.extend(configured.bound().map(|value| Value::Text(value.into())));
        }
        query.and("ORDER BY u.username LIMIT", Value::Number(limit.into()), "");
        query
    }

    /// Goes on with a value between two pieces of text.
    fn and(&mut self, before: &str, value: Value<'a>, behind: &str) {
        self.values.push(value);
        // Writing to a String cannot fail.
        let _ = write!(self.text, " {before} ${} {behind}", self.values.len());
    }
}

impl Store {
    /// One user, if there is a row.
    pub async fn user(&self, user: &UserName) -> Result<Option<UserRow>, StoreError> {
        let query = AssertSqlSafe(format!("{COLUMNS} WHERE u.username = $1"));
        let found: Option<UserRow> = on!(&self.database, pool => sqlx::query_as(query).bind(user.as_str()).fetch_optional(pool).await)?;
        Ok(found)
    }

    /// The users behind `after` (a name; empty: from the first on), in the order of the octets of their
    /// names, at most `limit` of them.
    pub async fn users(&self, select: &Select, after: &str, limit: u16) -> Result<Vec<UserRow>, StoreError> {
        let Query { text, values } = Query::new(select, after, limit);
        let rows: Vec<UserRow> = on!(&self.database, pool => {
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for value in &values {
                query = match value {
                    Value::Text(text) => query.bind(text.as_ref()),
                    Value::Number(number) => query.bind(number),
                };
            }
            query.fetch_all(pool).await
        })?;
        Ok(rows)
    }

    /// How many users of a domain (of all: `None`) have no setting of their own, and so follow its rule.
    pub async fn followers(&self, domain: Option<&str>, now: i64) -> Result<u64, StoreError> {
        let own = own_mode("", "$1");
        let of = domain.map_or("", |_| "AND domain = $2");
        let query = AssertSqlSafe(format!("SELECT count(*) FROM users WHERE {own} IS NULL {of}"));
        let count: i64 = on!(&self.database, pool => {
            let mut query = sqlx::query_scalar(query).bind(now);
            if let Some(domain) = domain {
                query = query.bind(domain);
            }
            query.fetch_one(pool).await
        })?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

/// A domain and how many users are known in it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DomainCount {
    /// The domain; empty: the users without one.
    pub domain: String,
    /// Known users.
    pub users: i64,
    /// Those seen since the time that was asked about.
    pub active: i64,
}

impl Store {
    /// Domains that have users, behind `after` (`None`: from the first on), in the order of octets, at most `limit`
    /// of them. Who was seen since `since` (Unix seconds) counts as active.
    pub async fn domain_counts(
        &self,
        after: Option<&str>,
        limit: u16,
        since: i64,
    ) -> Result<Vec<DomainCount>, StoreError> {
        let select = "SELECT domain, count(*) AS users, count(CASE WHEN last_seen >= $1 THEN 1 END) AS active
            FROM users WHERE domain > $2 OR (domain = '' AND $3 = 1) GROUP BY domain ORDER BY domain LIMIT $4";
        let counts: Vec<DomainCount> = on!(&self.database, pool => sqlx::query_as(select)
            .bind(since)
            .bind(after.unwrap_or_default())
            .bind(i64::from(after.is_none()))
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await)?;
        Ok(counts)
    }

    /// The same for one domain.
    pub async fn domain_count(&self, domain: &str, since: i64) -> Result<DomainCount, StoreError> {
        let select = "SELECT CAST($1 AS TEXT) AS domain, count(*) AS users,
                count(CASE WHEN last_seen >= $2 THEN 1 END) AS active
            FROM users WHERE domain = $1";
        let count: DomainCount = on!(&self.database, pool => sqlx::query_as(select)
            .bind(domain).bind(since).fetch_one(pool).await)?;
        Ok(count)
    }

    /// The same for all users together.
    pub async fn count_users(&self, since: i64) -> Result<DomainCount, StoreError> {
        let select = "SELECT '*' AS domain, count(*) AS users,
                count(CASE WHEN last_seen >= $1 THEN 1 END) AS active
            FROM users";
        let count: DomainCount =
            on!(&self.database, pool => sqlx::query_as(select).bind(since).fetch_one(pool).await)?;
        Ok(count)
    }
}

/// Anything that contains `text`, as LIKE has it.
fn like(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_is_no_pattern() {
        assert_eq!(like("anna"), "%anna%");
        assert_eq!(like("50%_\\"), "%50\\%\\_\\\\%");
    }
}
