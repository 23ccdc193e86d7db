//! Bringing hidden mail back: asked for by the support desk, done at the customer's next login, or at once where
//! master credentials open the mailbox. Whoever does it has claimed it first, so that it is done once: what a customer
//! deletes afterwards stays hidden.

use super::changes::id;
use super::database::{LOOKUP, Waits, in_time, on, transaction};
use super::generation::{Concerns, RAISE};
use super::{Store, StoreError, lease};
use crate::users::UserName;

/// Gives a row when the request stands.
const ASKED: &str = "SELECT unhide_since FROM users WHERE username = $1 AND unhide_since = $2";

const AUDIT: &str = "INSERT INTO audit (id, at, actor, action, kind, subject, detail, reason, batch)
    VALUES ($1, $2, $3, $4, 'user', $5, $6, $7, $1)";

/// For how long it is claimed, in seconds: longer than a login can take for it, each of whose steps has two minutes at
/// most. It is given back when done; only after a crash an order waits for so long.
const CLAIM: i64 = 600;

/// The right to carry out an order, which nobody else has meanwhile.
#[derive(Debug)]
pub struct Claim {
    user: UserName,
    since: i64,
    lease: String,
    holder: String,
}

/// What came of a wish to carry out an order.
#[derive(Debug)]
pub enum Claimed {
    /// It is ours.
    Ours(Claim),
    /// Somebody else is at it.
    Others,
    /// There is no order, or no more.
    Gone,
}

/// What brought hidden mail back; for the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// The customer's login.
    Login,
    /// The order itself, with master credentials.
    Order,
}

impl Claim {
    /// From when on mail is to be shown again (Unix seconds; 0: all of it).
    pub const fn since(&self) -> i64 {
        self.since
    }
}

impl Occasion {
    const fn reason(self) -> &'static str {
        match self {
            Self::Login => "done at the login that was waited for",
            Self::Order => "done at once, with the master credentials",
        }
    }
}

/// What was asked for, in the words of the audit trail.
fn asked_for(since: i64) -> String {
    match jiff::Timestamp::from_second(since) {
        Ok(at) if since > 0 => format!("since {}", at.strftime("%Y-%m-%d")),
        _ => "all".to_owned(),
    }
}

impl Store {
    /// Remembers that mail of `since` (Unix seconds; 0: all of it) and later is to be shown again at the user's
    /// next login. Gives the id in the audit trail.
    pub async fn ask_to_unhide(
        &self,
        user: &UserName,
        since: i64,
        actor: &str,
        reason: &str,
        now: i64,
    ) -> Result<String, StoreError> {
        self.database.present()?;
        let upsert = "INSERT INTO users (username, domain, unhide_since) VALUES ($1, $2, $3)
            ON CONFLICT (username) DO UPDATE SET unhide_since = excluded.unhide_since";
        let _turn = self.turns.soon().await?;
        let asked: Result<(i64, String), StoreError> = transaction!(&self.database, Waits::Briefly, tx => {
            let generation: i64 = sqlx::query_scalar(RAISE).fetch_one(&mut *tx).await?;
            let id = id(generation);
            sqlx::query(upsert).bind(user.as_str()).bind(user.domain()).bind(since).execute(&mut *tx).await?;
            sqlx::query(AUDIT)
                .bind(&id)
                .bind(now)
                .bind(actor)
                .bind("unhide")
                .bind(user.as_str())
                .bind(asked_for(since))
                .bind(reason)
                .execute(&mut *tx)
                .await?;
            Ok((generation, id))
        });
        let (generation, id) = asked?;
        self.announce(generation, &Concerns::User(user.clone())).await;
        Ok(id)
    }

    /// Claims what is ordered for a user, as the database has it now.
    pub async fn claim_unhide(&self, user: &UserName, now: i64) -> Result<Claimed, StoreError> {
        // Not the proxy alone is the holder: two of its sessions are two.
        let holder = format!("{}/{}", self.holder, String::from_utf8_lossy(&crate::random::letters::<8>()));
        let lease = format!("unhide {user}");
        in_time(LOOKUP, async {
            if !lease::take(&self.database, &lease, &holder, now, CLAIM).await? {
                return Ok(Claimed::Others);
            }
            let query = "SELECT unhide_since FROM users WHERE username = $1";
            let since: Option<Option<i64>> = on!(&self.database, pool => {
                sqlx::query_scalar(query).bind(user.as_str()).fetch_optional(pool).await
            })?;
            if let Some(since) = since.flatten() {
                return Ok(Claimed::Ours(Claim { user: user.clone(), since, lease, holder }));
            }
            lease::give_back(&self.database, &lease, &holder).await?;
            Ok(Claimed::Gone)
        })
        .await
    }

    /// Lets others have what was claimed. Should that fail, they have it a while later.
    pub async fn give_back(&self, claim: Claim) {
        let Claim { lease, holder, .. } = claim;
        let _ = in_time(LOOKUP, lease::give_back(&self.database, &lease, &holder)).await;
    }

    /// It was done: so many messages are shown again, so many the server did not bring back. A request that came
    /// meanwhile stays.
    pub async fn unhidden(
        &self,
        claim: &Claim,
        shown: usize,
        failed: usize,
        occasion: Occasion,
        now: i64,
    ) -> Result<(), StoreError> {
        let Claim { user, since, .. } = claim;
        let detail = match failed {
            0 => format!("{shown} messages"),
            _ => format!("{shown} messages; the server did not bring back {failed} more"),
        };
        // Done is done, also where it cannot be noted now: it must not be done again at each login until it can.
        self.known
            .amend(user, |facts| facts.unhide_since = facts.unhide_since.filter(|asked| asked != since));
        let noted = self.note_unhidden(user, *since, &detail, occasion.reason(), now).await;
        if let Some(generation) = noted? {
            self.announce(generation, &Concerns::User(user.clone())).await;
        }
        Ok(())
    }

    /// Gives the number of the change; none when the request was another one, or is gone.
    async fn note_unhidden(
        &self,
        user: &UserName,
        since: i64,
        detail: &str,
        reason: &str,
        now: i64,
    ) -> Result<Option<i64>, StoreError> {
        let update = "UPDATE users SET unhide_since = NULL WHERE username = $1 AND unhide_since = $2";
        let _turn = self.turns.soon().await?;
        transaction!(&self.database, Waits::Briefly, tx => {
            let asked = sqlx::query(ASKED).bind(user.as_str()).bind(since).fetch_optional(&mut *tx).await?;
            if asked.is_none() {
                return Ok(None);
            }
            // First, as in every change: two that lock in another order would wait for each other.
            let generation: i64 = sqlx::query_scalar(RAISE).fetch_one(&mut *tx).await?;
            let done = sqlx::query(update).bind(user.as_str()).bind(since).execute(&mut *tx).await?;
            if done.rows_affected() == 0 {
                return Ok(Some(generation));
            }
            sqlx::query(AUDIT)
                .bind(id(generation))
                .bind(now)
                .bind("lastpop")
                .bind("unhidden")
                .bind(user.as_str())
                .bind(detail)
                .bind(reason)
                .execute(&mut *tx)
                .await?;
            Ok(Some(generation))
        })
    }
}
