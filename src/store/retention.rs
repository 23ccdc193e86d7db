//! Forgetting how somebody used POP3, once that was long ago. What an administrator has set for them stays, and so
//! does the recipe for their unique-ids: whoever comes back after years must not download everything again.

use super::database::{Waits, transaction};
use super::{Store, StoreError};

/// Rows in one statement.
const CHUNK: i64 = 500;

/// Rows are old when neither a session nor a refused login came after $1. The statement asks twice, because a row
/// may come to new life between the two.
macro_rules! old {
    () => {
        "(last_seen < $1 AND (last_refused IS NULL OR last_refused < $1) OR last_seen IS NULL AND last_refused < $1)"
    };
}

/// Nothing is set for the user alone.
macro_rules! nothing_set {
    () => {
        "mode IS NULL AND planned_from IS NULL AND language IS NULL AND unhide_since IS NULL"
    };
}

const DELETE: &str = concat!(
    "DELETE FROM users WHERE username IN (SELECT username FROM users WHERE ",
    old!(),
    " AND ",
    nothing_set!(),
    " LIMIT $2) AND ",
    old!(),
    " AND ",
    nothing_set!()
);

const CLEAR: &str = concat!(
    "UPDATE users SET first_seen = NULL, last_seen = NULL, address = NULL, tls = NULL, method = NULL, sessions = 0,
        messages = 0, octets = 0, deleted = 0, refused = 0, last_refused = NULL, maildrop_at = NULL, maildrop_messages = NULL,
        maildrop_octets = NULL, hidden_messages = NULL, hidden_octets = NULL, quota_used = NULL, quota_limit = NULL,
        quota_at = NULL, poll_interval = NULL, keeps_mail = NULL, family = NULL, active_day = NULL, active_days = 0
    WHERE username IN (SELECT username FROM users WHERE ",
    old!(),
    " AND NOT (",
    nothing_set!(),
    ") LIMIT $2) AND ",
    old!()
);

impl Store {
    /// Forgets the usage of some users who were not here since `before`, in Unix seconds; rows that hold nothing
    /// else go. Says how many they were; when none, there are no more.
    pub async fn forget_usage(&self, before: i64) -> Result<u64, StoreError> {
        self.database.present()?;
        let mut forgotten = 0;
        for statement in [DELETE, CLEAR] {
            let done: Result<u64, StoreError> = transaction!(&self.database, Waits::Hardly, tx => {
                Ok(sqlx::query(statement).bind(before).bind(CHUNK).execute(&mut *tx).await?.rows_affected())
            });
            forgotten += done?;
        }
        Ok(forgotten)
    }
}
