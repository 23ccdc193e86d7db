//! Counting users. Each question reads the table once, row by row, so that ten million users cost seconds of one
//! proxy's time and no memory.

use futures_util::TryStreamExt as _;

use super::changes::mode;
use super::database::{Waits, on, transaction};
use super::{Store, StoreError};
use crate::policy::Mode;
use crate::usage::days::{SECONDS, WINDOWS};

/// Most families and TLS versions that are told apart; there are some dozens.
const KINDS: i64 = 1_000;

/// Most domains of one day.
const DOMAINS: i64 = 200_000;

/// Users of one domain with the same mode of their own. Times count back from the moment that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The domain.
    pub domain: String,
    /// The mode that is set for these users alone, with plans carried out.
    pub mode: Option<Mode>,
    /// How many there are.
    pub users: i64,
    /// How many of them ever had a session.
    pub seen: i64,
    /// With a session in the last 1, 7, 30 and 90 days.
    pub active: [i64; 4],
    /// Refused because of their mode in the last 1, 7, 30 and 90 days.
    pub refused: [i64; 4],
    /// Messages hidden from POP3.
    pub hidden_messages: i64,
    /// Their octets.
    pub hidden_octets: i64,
    /// Mailboxes that are over 80 % of their quota.
    pub nearly_full: i64,
}

/// A user who was here lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recent {
    /// The name.
    pub user: String,
    /// The domain.
    pub domain: String,
    /// The mode that is set for this user alone, with plans carried out.
    pub mode: Option<Mode>,
    /// The last session, in Unix seconds.
    pub last_seen: i64,
    /// Sessions.
    pub sessions: i64,
    /// Messages that were retrieved.
    pub messages: i64,
    /// Octets that are hidden from POP3.
    pub hidden_octets: i64,
}

#[derive(sqlx::FromRow)]
struct FoundGroup {
    domain: String,
    mode: Option<String>,
    users: i64,
    seen: i64,
    active_1: i64,
    active_7: i64,
    active_30: i64,
    active_90: i64,
    refused_1: i64,
    refused_7: i64,
    refused_30: i64,
    refused_90: i64,
    hidden_messages: i64,
    hidden_octets: i64,
    nearly_full: i64,
}

/// $1: now; $2 to $5: 1, 7, 30 and 90 days before. Users of a domain come one after the other.
const GROUPS: &str = "SELECT domain, mode, COUNT(*) AS users, COUNT(last_seen) AS seen,
        COUNT(CASE WHEN last_seen > $2 THEN 1 END) AS active_1,
        COUNT(CASE WHEN last_seen > $3 THEN 1 END) AS active_7,
        COUNT(CASE WHEN last_seen > $4 THEN 1 END) AS active_30,
        COUNT(CASE WHEN last_seen > $5 THEN 1 END) AS active_90,
        COUNT(CASE WHEN last_refused > $2 THEN 1 END) AS refused_1,
        COUNT(CASE WHEN last_refused > $3 THEN 1 END) AS refused_7,
        COUNT(CASE WHEN last_refused > $4 THEN 1 END) AS refused_30,
        COUNT(CASE WHEN last_refused > $5 THEN 1 END) AS refused_90,
        CAST(COALESCE(SUM(hidden_messages), 0) AS BIGINT) AS hidden_messages,
        CAST(COALESCE(SUM(hidden_octets), 0) AS BIGINT) AS hidden_octets,
        COUNT(CASE WHEN quota_used / 4 > quota_limit / 5 THEN 1 END) AS nearly_full
    FROM (
        SELECT domain, CASE WHEN planned_from <= $1 THEN planned_mode ELSE mode END AS mode, last_seen, last_refused,
            hidden_messages, hidden_octets, quota_used, quota_limit
        FROM users
    ) AS settled
    GROUP BY domain, mode
    ORDER BY domain";

/// $1: now; $2: how many.
const RECENT: &str = "SELECT username, domain, CASE WHEN planned_from <= $1 THEN planned_mode ELSE mode END,
        last_seen, sessions, messages, COALESCE(hidden_octets, 0)
    FROM users WHERE last_seen IS NOT NULL
    ORDER BY last_seen DESC LIMIT $2";

/// $1: the day; 30 days end with it, and 7.
const ACTIVE: &str = "SELECT domain, COUNT(CASE WHEN (days & 1) <> 0 THEN 1 END), COUNT(CASE WHEN (days & 127) <> 0 THEN 1 END),
        COUNT(*)
    FROM (
        SELECT domain, CASE WHEN active_day >= $1 THEN active_days >> CAST(active_day - $1 AS INTEGER)
            ELSE active_days << CAST($1 - active_day AS INTEGER) END AS days
        FROM users WHERE active_day > $1 - 30 AND active_day < $1 + 62
    ) AS seen
    WHERE (days & 1073741823) <> 0
    GROUP BY domain LIMIT $2";

type FoundRecent = (String, String, Option<String>, i64, i64, i64, i64);

impl Store {
    /// Counts all users by domain and by the mode that is set for them alone, domain by domain. `now` is in
    /// Unix seconds.
    pub async fn groups(&self, now: i64, mut each: impl FnMut(Group)) -> Result<(), StoreError> {
        let [day, week, month, quarter] = WINDOWS.map(|(_, days)| now - days * SECONDS);
        on!(&self.database, pool => {
            let mut rows = sqlx::query_as(GROUPS)
                .bind(now)
                .bind(day)
                .bind(week)
                .bind(month)
                .bind(quarter)
                .fetch(pool);
            while let Some(found) = rows.try_next().await? {
                let found: FoundGroup = found;
                each(Group {
                    domain: found.domain,
                    mode: mode(found.mode.as_deref())?,
                    users: found.users,
                    seen: found.seen,
                    active: [found.active_1, found.active_7, found.active_30, found.active_90],
                    refused: [found.refused_1, found.refused_7, found.refused_30, found.refused_90],
                    hidden_messages: found.hidden_messages,
                    hidden_octets: found.hidden_octets,
                    nearly_full: found.nearly_full,
                });
            }
            Ok(())
        })
    }

    /// Counts users with a session since `since`, in Unix seconds, by family and by the TLS version of the last one.
    pub async fn kinds(&self, since: i64) -> Result<Vec<(Option<String>, Option<String>, i64)>, StoreError> {
        let query =
            "SELECT family, tls, COUNT(*) FROM users WHERE last_seen > $1 GROUP BY family, tls LIMIT $2";
        Ok(on!(&self.database, pool =>
            sqlx::query_as(query).bind(since).bind(KINDS).fetch_all(pool).await)?)
    }

    /// The users who were here last, and at most `most` of them.
    pub async fn recent(&self, now: i64, most: u32) -> Result<Vec<Recent>, StoreError> {
        let found: Vec<FoundRecent> = on!(&self.database, pool =>
            sqlx::query_as(RECENT).bind(now).bind(i64::from(most)).fetch_all(pool).await)?;
        let recent = |(user, domain, own, last_seen, sessions, messages, hidden_octets): FoundRecent| {
            let mode = mode(own.as_deref())?;
            Ok(Recent { user, domain, mode, last_seen, sessions, messages, hidden_octets })
        };
        found.into_iter().map(recent).collect()
    }

    /// Counts again who was here on a day (since 1970), and in the 7 and in the 30 days that end with it, by domain.
    pub async fn count_active(&self, day: i64) -> Result<(), StoreError> {
        self.database.present()?;
        let mut domains: Vec<(String, i64, i64, i64)> = on!(&self.database, pool =>
            sqlx::query_as(ACTIVE).bind(day).bind(DOMAINS).fetch_all(pool).await)?;
        // In the order in which everybody writes them. The database sorts in another one.
        domains.sort_unstable();
        let upsert = "INSERT INTO daily (day, domain, active_1, active_7, active_30) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (day, domain) DO UPDATE SET active_1 = excluded.active_1, active_7 = excluded.active_7,
                active_30 = excluded.active_30
            WHERE daily.active_1 <> excluded.active_1 OR daily.active_7 <> excluded.active_7
                OR daily.active_30 <> excluded.active_30";
        for chunk in domains.chunks(super::BATCH) {
            let done: Result<(), StoreError> = transaction!(&self.database, Waits::Long, tx => {
                for (domain, active_1, active_7, active_30) in chunk {
                    sqlx::query(upsert)
                        .bind(day)
                        .bind(domain)
                        .bind(active_1)
                        .bind(active_7)
                        .bind(active_30)
                        .execute(&mut *tx)
                        .await?;
                }
                Ok(())
            });
            done?;
        }
        Ok(())
    }
}
