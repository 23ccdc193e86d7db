//! Adding what was learnt about users to their rows. The same rules as [`Delta::and`], in SQL: a row is the sum of
//! all deltas, in whichever order proxies bring them.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::time::timeout;

use super::database::{self, Waits, transaction};
use super::once::TAKE;
use super::{Once, Store, StoreError};
use crate::usage::days::{MASK, REMEMBERED};
use crate::usage::delta::{Delta, UNKNOWN};
use crate::usage::totals;
use crate::users::UserName;

/// Users in one transaction. It takes some milliseconds, so nobody who changes a mode waits for it.
pub const BATCH: usize = 100;

/// How long one transaction may take. A connection through a firewall that forgot it hangs for longer.
const WRITE: Duration = Duration::from_secs(30);

/// In the order in which they are bound.
const COLUMNS: [&str; 26] = [
    "username",
    "domain",
    "first_seen",
    "last_seen",
    "address",
    "tls",
    "method",
    "sessions",
    "messages",
    "octets",
    "deleted",
    "refused",
    "last_refused",
    "maildrop_at",
    "maildrop_messages",
    "maildrop_octets",
    "hidden_messages",
    "hidden_octets",
    "quota_used",
    "quota_limit",
    "quota_at",
    "poll_interval",
    "keeps_mail",
    "family",
    "active_day",
    "active_days",
];

/// How many sessions the smoothed interval between polls remembers.
const SMOOTHING: i64 = 16;

/// A gap that is so many times longer than usual counts as one of this length: the night between two days of
/// polling says little. [`SLACK`] seconds let even an interval of nothing grow.
const LONGEST_GAP: i64 = 8;
const SLACK: i64 = 15;

/// What the columns of an existing row become.
fn sets() -> Vec<String> {
    let mut sets = Vec::new();
    for column in ["sessions", "messages", "octets", "deleted", "refused"] {
        sets.push(format!("{column} = users.{column} + excluded.{column}"));
    }
    // A comparison with NULL is not true.
    sets.push(
        "first_seen = CASE WHEN users.first_seen <= excluded.first_seen OR excluded.first_seen IS NULL
            THEN users.first_seen ELSE excluded.first_seen END"
            .to_owned(),
    );
    let newer = |column: &str| format!("excluded.{column} >= COALESCE(users.{column}, 0)");
    let mut when = |condition: &str, columns: &[&str]| {
        for column in columns {
            sets.push(format!(
                "{column} = CASE WHEN {condition} THEN excluded.{column} ELSE users.{column} END"
            ));
        }
    };
    when(&newer("last_seen"), &["last_seen", "tls", "method"]);
    let of_mailbox =
        ["maildrop_at", "maildrop_messages", "maildrop_octets", "hidden_messages", "hidden_octets"];
    when(&newer("maildrop_at"), &of_mailbox);
    when(&newer("last_refused"), &["last_refused"]);
    when(&newer("quota_at"), &["quota_used", "quota_limit", "quota_at"]);
    when("excluded.keeps_mail IS NOT NULL", &["keeps_mail"]);
    when(
        &format!("excluded.family IS NOT NULL AND (excluded.family <> '{UNKNOWN}' OR users.family IS NULL)"),
        &["family"],
    );
    // Of whichever was later, the session or the refused login.
    let latest = |column: &str| {
        format!(
            "(excluded.{column} >= COALESCE(users.last_seen, 0) AND excluded.{column} >= COALESCE(users.last_refused, 0))"
        )
    };
    when(&format!("{} OR {}", latest("last_seen"), latest("last_refused")), &["address"]);
    sets.extend(days());
    sets.push(poll_interval());
    sets
}

/// As [`crate::usage::days::Days::union`].
fn days() -> [String; 2] {
    let shifted = |old: &str, new: &str| {
        format!(
            "{new}.active_days | CASE WHEN {new}.active_day - {old}.active_day >= {REMEMBERED} THEN 0
                ELSE ({old}.active_days << CAST({new}.active_day - {old}.active_day AS INTEGER)) & {MASK} END"
        )
    };
    let cases = |column: &str, newer: &str, older: &str| {
        format!(
            "{column} = CASE WHEN excluded.active_day IS NULL THEN users.{column}
                WHEN users.active_day IS NULL THEN excluded.{column}
                WHEN excluded.active_day >= users.active_day THEN {newer} ELSE {older} END"
        )
    };
    [
        cases("active_days", &shifted("users", "excluded"), &shifted("excluded", "users")),
        cases("active_day", "excluded.active_day", "users.active_day"),
    ]
}

/// All time between sessions by all sessions, of which those long ago count less and less. Time and sessions are
/// both counted once, whichever proxy brings them, so it is right where a user's sessions are spread over many.
fn poll_interval() -> String {
    let longest = format!("{LONGEST_GAP} * (users.poll_interval + {SLACK})");
    // Since the last session that the row knows of: a gap, and the time within what is added. Where another proxy
    // has written later sessions already, only what goes beyond.
    let time = format!(
        "CASE WHEN excluded.last_seen <= users.last_seen THEN 0
            WHEN excluded.first_seen <= users.last_seen THEN excluded.last_seen - users.last_seen
            WHEN excluded.first_seen - users.last_seen > {longest}
                THEN {longest} + excluded.last_seen - excluded.first_seen
            ELSE excluded.last_seen - users.last_seen END"
    );
    let weight = format!("({SMOOTHING} + excluded.sessions)");
    format!(
        "poll_interval = CASE
            WHEN excluded.last_seen IS NULL OR users.last_seen IS NULL
                THEN COALESCE(users.poll_interval, excluded.poll_interval)
            WHEN users.poll_interval IS NULL
                THEN CASE WHEN excluded.last_seen > users.last_seen
                    THEN (excluded.last_seen - users.last_seen) / excluded.sessions ELSE excluded.poll_interval END
            ELSE (users.poll_interval * {SMOOTHING} + {time} + {weight} / 2) / {weight} END"
    )
}

/// The statement for so many rows.
fn upsert(rows: usize) -> String {
    format!(
        "INSERT INTO users ({}) VALUES {} ON CONFLICT (username) DO UPDATE SET {}",
        COLUMNS.join(", "),
        database::rows("", rows, COLUMNS.len(), 1),
        sets().join(", ")
    )
}

/// Takes the number of a transaction; 0: it was committed before.
macro_rules! take {
    ($tx:ident, $once:ident) => {
        sqlx::query(TAKE)
            .bind(&$once.writer)
            .bind($once.number)
            .bind($once.at)
            .execute(&mut *$tx)
            .await?
            .rows_affected()
    };
}

/// The statement for a whole batch, which is worth preparing.
static WHOLE: LazyLock<String> = LazyLock::new(|| upsert(BATCH));

const DAILY_COLUMNS: usize = 7;

fn daily(rows: usize) -> String {
    format!(
        "INSERT INTO daily (day, domain, sessions, messages, octets, deleted, refused) VALUES {}
        ON CONFLICT (day, domain) DO UPDATE SET sessions = daily.sessions + excluded.sessions,
            messages = daily.messages + excluded.messages, octets = daily.octets + excluded.octets,
            deleted = daily.deleted + excluded.deleted, refused = daily.refused + excluded.refused",
        database::rows("", rows, DAILY_COLUMNS, 1)
    )
}

/// Within the time that one transaction may take.
async fn written(work: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
    timeout(WRITE, work).await.unwrap_or(Err(StoreError::Slow))
}

/// No count of ours comes near the end of a BIGINT.
fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Store {
    /// Adds what was learnt about these users to their rows, as one transaction and once. Every proxy gives them in the order
    /// of their names.
    pub async fn add_usage(&self, once: &Once, rows: &[(UserName, Delta)]) -> Result<(), StoreError> {
        self.database.present()?;
        written(self.upsert_usage(once, rows)).await?;
        for (user, delta) in rows {
            self.known.amend(user, |facts| {
                facts.last_seen = facts.last_seen.max(delta.sessions.map(|sessions| sessions.last));
                facts.quota_at = facts.quota_at.max(delta.quota.map(|quota| quota.at));
                if let Some(family) = delta.family.filter(|new| *new != UNKNOWN || facts.family.is_none()) {
                    facts.family = Some(family.to_owned());
                }
            });
        }
        Ok(())
    }

    async fn upsert_usage(&self, once: &Once, rows: &[(UserName, Delta)]) -> Result<(), StoreError> {
        let whole = rows.len() == BATCH;
        let text = if whole { WHOLE.clone() } else { upsert(rows.len()) };
        transaction!(&self.database, Waits::Hardly, tx => {
            if take!(tx, once) == 0 {
                return Ok(());
            }
            let mut query = sqlx::query(AssertSqlSafe(text)).persistent(whole);
            for (user, delta) in rows {
                let (sessions, refused, quota) = (delta.sessions, delta.refused, delta.quota);
                let room = quota.and_then(|quota| quota.room);
                query = query
                    .bind(user.as_str())
                    .bind(user.domain())
                    .bind(sessions.map(|sessions| sessions.first))
                    .bind(sessions.map(|sessions| sessions.last))
                    .bind(delta.address.map(|address| address.to_canonical().to_string()))
                    .bind(sessions.and_then(|sessions| sessions.tls))
                    .bind(sessions.map(|sessions| sessions.method))
                    .bind(sessions.map_or(0, |sessions| i64::from(sessions.count)))
                    .bind(i64::from(delta.messages))
                    .bind(big(delta.octets))
                    .bind(i64::from(delta.deleted))
                    .bind(refused.map_or(0, |refused| i64::from(refused.count)))
                    .bind(refused.map(|refused| refused.last))
                    .bind(delta.mailbox.map(|(at, _)| at))
                    .bind(delta.mailbox.map(|(_, mailbox)| i64::from(mailbox.messages)))
                    .bind(delta.mailbox.map(|(_, mailbox)| big(mailbox.octets)))
                    .bind(delta.mailbox.map(|(_, mailbox)| i64::from(mailbox.hidden_messages)))
                    .bind(delta.mailbox.map(|(_, mailbox)| big(mailbox.hidden_octets)))
                    .bind(room.map(|room| big(room.used)))
                    .bind(room.map(|room| big(room.limit)))
                    .bind(quota.map(|quota| quota.at))
                    .bind(delta.poll_interval())
                    .bind(delta.keeps_mail.map(i64::from))
                    .bind(delta.family)
                    .bind(sessions.map(|sessions| sessions.days.newest))
                    .bind(sessions.map_or(0, |sessions| sessions.days.bits));
            }
            query.execute(&mut *tx).await?;
            Ok(())
        })
    }

    /// Adds to the totals of days and domains, as one transaction and once. Every proxy gives them in this order.
    pub async fn add_daily(&self, once: &Once, rows: &[totals::Row]) -> Result<(), StoreError> {
        self.database.present()?;
        written(self.upsert_daily(once, rows)).await
    }

    async fn upsert_daily(&self, once: &Once, rows: &[totals::Row]) -> Result<(), StoreError> {
        transaction!(&self.database, Waits::Hardly, tx => {
            if take!(tx, once) == 0 {
                return Ok(());
            }
            let mut query = sqlx::query(AssertSqlSafe(daily(rows.len()))).persistent(false);
            for (day, domain, totals) in rows {
                query = query
                    .bind(*day)
                    .bind(domain.as_ref())
                    .bind(big(totals.sessions))
                    .bind(big(totals.messages))
                    .bind(big(totals.octets))
                    .bind(big(totals.deleted))
                    .bind(big(totals.refused));
            }
            query.execute(&mut *tx).await?;
            Ok(())
        })
    }
}
