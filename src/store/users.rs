//! Users as administrators see them: one, a page of them, or all of them page by page.

use super::changes::{Row, setting};
use super::database::on;
use super::{Store, StoreError};
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

/// Users for whom a mode is in force: by their own setting, or because the rule that they inherit says so.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The mode.
    pub mode: Mode,
    /// At this time, in Unix seconds.
    pub now: i64,
    /// Who inherits it.
    pub inherited: Inherited,
}

/// Domains whose users have a mode unless they have one of their own.
#[derive(Debug, Clone)]
pub enum Inherited {
    /// Of these domains.
    Of(Vec<String>),
    /// Of all but these.
    AllBut(Vec<String>),
}

const COLUMNS: &str = "SELECT username, domain, mode, mode_since, planned_mode, planned_from, language,
    notice_dismissed, farewell_dismissed, unhide_since, first_seen, last_seen, address, tls, method, sessions,
    messages, octets, deleted, refused, last_refused, maildrop_messages, maildrop_octets, hidden_messages,
    hidden_octets, quota_used, quota_limit, quota_at, poll_interval, keeps_mail, family
    FROM users WHERE username > ";

/// The user's own mode, with a plan whose time has come carried out; a time follows, and [`OWN_END`].
const OWN: &str = "CASE WHEN planned_from IS NOT NULL AND planned_from <= ";
const OWN_END: &str = " THEN planned_mode ELSE mode END";

impl UserRow {
    /// What is set for the user alone.
    pub fn setting(&self) -> Result<Setting, StoreError> {
        setting(&self.rule)
    }
}

/// Adds what `select` asks for to a query that ends within its WHERE.
macro_rules! push_select {
    ($query:ident, $select:expr) => {
        let select: &Select = $select;
        if let Some(search) = &select.search {
            $query.push(" AND lower(username) LIKE ").push_bind(like(search)).push(" ESCAPE '\\'");
        }
        if let Some(domain) = &select.domain {
            $query.push(" AND domain = ").push_bind(domain.clone());
        }
        if let Some(before) = select.seen_before {
            $query.push(" AND (last_seen IS NULL OR last_seen < ").push_bind(before).push(")");
        }
        if let Some(after) = select.seen_after {
            $query.push(" AND last_seen >= ").push_bind(after);
        }
        if let Some(family) = &select.family {
            $query.push(" AND family = ").push_bind(family.clone());
        }
        if let Some(InForce { mode, now, inherited }) = &select.mode {
            $query.push(" AND (").push(OWN).push_bind(*now).push(OWN_END);
            $query.push(" = ").push_bind(mode.as_str());
            $query.push(" OR (").push(OWN).push_bind(*now).push(OWN_END).push(" IS NULL AND ");
            let (domains, of) = match inherited {
                Inherited::Of(domains) => (domains, true),
                Inherited::AllBut(domains) => (domains, false),
            };
            match (domains.is_empty(), of) {
                (true, true) => drop($query.push("1 = 0")),
                (true, false) => drop($query.push("1 = 1")),
                (false, of) => {
                    $query.push(if of { "domain IN (" } else { "domain NOT IN (" });
                    let mut list = $query.separated(", ");
                    for domain in domains {
                        list.push_bind(domain.clone());
                    }
                    $query.push(")");
                }
            }
            $query.push("))");
        }
    };
}

impl Store {
    /// One user, if there is a row.
    pub async fn user(&self, user: &UserName) -> Result<Option<UserRow>, StoreError> {
        let found: Option<UserRow> = on!(&self.database, pool => {
            let mut query = sqlx::QueryBuilder::new(COLUMNS);
            query.push("'' AND username = ").push_bind(user.as_str());
            query.build_query_as().fetch_optional(pool).await
        })?;
        Ok(found)
    }

    /// The users behind `after` (a name; empty: from the first on), in the order of the octets of their
    /// names, at most `limit` of them.
    pub async fn users(&self, select: &Select, after: &str, limit: u16) -> Result<Vec<UserRow>, StoreError> {
        let rows: Vec<UserRow> = on!(&self.database, pool => {
            let mut query = sqlx::QueryBuilder::new(COLUMNS);
            query.push_bind(after);
            push_select!(query, select);
            query.push(" ORDER BY username LIMIT ").push_bind(i64::from(limit));
            query.build_query_as().fetch_all(pool).await
        })?;
        Ok(rows)
    }

    /// How many users of a domain (of all: `None`) have no setting of their own, and so follow its rule.
    pub async fn followers(&self, domain: Option<&str>, now: i64) -> Result<u64, StoreError> {
        let count: i64 = on!(&self.database, pool => {
            let mut query = sqlx::QueryBuilder::new("SELECT count(*) FROM users WHERE ");
            query.push(OWN).push_bind(now).push(OWN_END).push(" IS NULL");
            if let Some(domain) = domain {
                query.push(" AND domain = ").push_bind(domain);
            }
            query.build_query_scalar().fetch_one(pool).await
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
