//! Hidden mail comes back at once, where master credentials open the mailbox; otherwise the order waits for the
//! customer's next login, and whoever gave it reads why.
//!
//! This is the only place that logs in with master credentials. No session is made of what it opens: see
//! [`ActingClient`].

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::context::{Context, Settings};
use super::enter::{Open, dial, timed};
use super::open::mailbox as summed_up;
use super::unhide::{from, note};
use crate::config;
use crate::imap::master::{BadMaster, BadName};
use crate::imap::{ActingClient, Client, Error, Master, Unhidden};
use crate::secret;
use crate::store::{Claim, Claimed, Occasion, StoreError};
use crate::users::UserName;

/// Master sessions at once. Orders come from people, one at a time; a script that gives many at once must not take
/// the upstream's connections away from customers.
pub const MOST: usize = 8;

/// Longest time for one order, from connecting to the note that it is done. Whoever waits for it was answered long
/// before; a mailbox that takes longer is left to the login, which has more time.
const LONGEST: Duration = Duration::from_mins(1);

/// What became of an order.
#[derive(Debug)]
pub enum AtOnce {
    /// So many messages are shown again.
    Done(usize),
    /// The same, but the state could not be told, so the next login does it once more.
    DoneNotNoted(usize),
    /// The customer's login was faster, or another order.
    DoneElsewhere,
    /// Another order for the user has taken its place, and brought so many messages back.
    Replaced(usize),
    /// It waits for the next login.
    Waits(Failure),
    /// It goes on; the caller has waited long enough.
    GoesOn,
}

/// Why an order waits. Each is the end of a sentence.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The user cannot be named to the upstream.
    #[error("{0}")]
    Name(#[from] BadName),
    /// A login or another order is at it.
    #[error("hidden mail of this user is being brought back at this moment, by a login or for another order")]
    Busy,
    /// [`MOST`] orders are being carried out.
    #[error("{MOST} other orders are being carried out at this moment")]
    Full,
    /// The process ends.
    #[error("this lastpop is shutting down")]
    Draining,
    /// The credentials, or what they may open.
    #[error("the upstream refused the master credentials, or does not let them open this mailbox")]
    Refused,
    /// They may not change it.
    #[error("the master user may not change the keyword in this mailbox")]
    ReadOnly,
    /// Not the customer's.
    #[error(
        "what the upstream opened is not the mailbox that the customer's sessions were shown (its UIDVALIDITY is \
        another)"
    )]
    OtherMailbox,
    /// Some did not come back.
    #[error("the upstream brought {shown} messages back, but {failed} not")]
    Incomplete {
        /// They are shown again.
        shown: usize,
        /// They are not.
        failed: usize,
    },
    /// The upstream is away, or failed.
    #[error("the upstream failed: {0}")]
    Upstream(#[source] Error),
    /// A minute is over, or the upstream says nothing.
    #[error("the upstream takes too long")]
    Timeout,
    /// The state failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Credentials => Self::Refused,
            Error::Timeout | Error::ConnectTimeout { .. } => Self::Timeout,
            error => Self::Upstream(error),
        }
    }
}

impl Failure {
    /// A label from a closed set, for metrics.
    const fn label(&self) -> &'static str {
        match self {
            Self::Name(_) => "name",
            Self::Busy => "busy",
            Self::Full => "full",
            Self::Draining => "draining",
            Self::Refused => "refused",
            Self::ReadOnly => "read_only",
            Self::OtherMailbox => "other_mailbox",
            Self::Incomplete { .. } => "incomplete",
            Self::Upstream(_) => "upstream",
            Self::Timeout => "timeout",
            Self::Store(_) => "store",
        }
    }
}

/// The file of the master password cannot be used.
#[derive(Debug, thiserror::Error)]
pub struct MasterError {
    path: PathBuf,
    #[source]
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("{0}")]
    Unusable(#[from] BadMaster),
}

impl fmt::Display for MasterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; see upstream.master.password_file", self.path.display(), self.why)
    }
}

/// Reads the master password. Also says whether everybody on this machine can read it.
pub fn load(config: &config::Master) -> Result<(Master, bool), MasterError> {
    let read = || {
        let secret = secret::read(&config.password_file)?;
        Ok((Master::new(&config.user, secret.text, config.form())?, secret.open_to_everybody))
    };
    read().map_err(|why| MasterError { path: config.password_file.clone(), why })
}

/// Carries out the order to show mail of `since` (Unix seconds; 0: all of it) again, which is recorded already.
/// `None` where there are no master credentials. The work goes on to its end when nobody waits for it any more.
pub async fn unhide(cx: &Arc<Context>, user: &UserName, since: i64, patience: Duration) -> Option<AtOnce> {
    let settings = cx.settings.load_full();
    settings.master.as_ref()?;
    let (cx_of_work, user_of_work) = (Arc::clone(cx), user.clone());
    let work = cx.updates.spawn(async move {
        let became = carried_out(&cx_of_work, &settings, &user_of_work, since).await;
        let label = match &became {
            AtOnce::DoneElsewhere => "done_elsewhere",
            AtOnce::Waits(failure) => {
                tracing::warn!(user = %user_of_work, reason = %failure, "hidden mail waits for the next login");
                failure.label()
            }
            _ => "done",
        };
        cx_of_work.metrics.upstream.unhides_at_once.with_label_values(&[label]).inc();
        became
    });
    Some(match timeout(patience, work).await {
        Ok(Ok(became)) => became,
        // A panic; its text was written to the log.
        Ok(Err(_)) => AtOnce::Waits(Failure::Upstream(Error::Protocol("lastpop itself failed"))),
        Err(_) => AtOnce::GoesOn,
    })
}

async fn carried_out(cx: &Arc<Context>, settings: &Settings, user: &UserName, since: i64) -> AtOnce {
    let now = jiff::Timestamp::now().as_second();
    let (claim, unhidden) = match brought_back(cx, settings, user, now).await {
        Ok(Some(done)) => done,
        Ok(None) => return AtOnce::DoneElsewhere,
        Err(failure) => return AtOnce::Waits(failure),
    };
    let noted = note(user, &claim, unhidden, Occasion::Order, cx, now).await;
    let replaced = claim.since() != since;
    cx.store.give_back(claim).await;
    match noted {
        Ok(()) if replaced => AtOnce::Replaced(unhidden.shown),
        Ok(()) => AtOnce::Done(unhidden.shown),
        Err(error) => {
            tracing::warn!(%user, %error, "hidden mail will be brought back once more");
            AtOnce::DoneNotNoted(unhidden.shown)
        }
    }
}

/// What came back, all of it, with the claim under which it did; `None` when there was nothing to do any more.
async fn brought_back(
    cx: &Arc<Context>,
    settings: &Settings,
    user: &UserName,
    now: i64,
) -> Result<Option<(Claim, Unhidden)>, Failure> {
    // The caller has looked: there are some.
    let Some(master) = &settings.master else { return Ok(None) };
    master.for_user(user.as_str())?;
    if cx.draining.is_cancelled() {
        return Err(Failure::Draining);
    }
    let Ok(_place) = cx.masters.try_acquire() else { return Err(Failure::Full) };
    let uidvalidity = cx.store.facts(user).await?.uidvalidity();
    let claim = match cx.store.claim_unhide(user, now).await? {
        Claimed::Ours(claim) => claim,
        Claimed::Others => return Err(Failure::Busy),
        Claimed::Gone => return Ok(None),
    };
    let work = in_mailbox(cx, settings, master, user, uidvalidity, from(&claim));
    let result = tokio::select! {
        result = timeout(LONGEST, work) => result.unwrap_or(Err(Failure::Timeout)),
        // What is half done is done again by the customer's next login, before anything is shown.
        () = cx.closing.cancelled() => Err(Failure::Draining),
    };
    match result {
        Ok(unhidden) => Ok(Some((claim, unhidden))),
        Err(failure) => {
            cx.store.give_back(claim).await;
            Err(failure)
        }
    }
}

async fn in_mailbox(
    cx: &Arc<Context>,
    settings: &Settings,
    master: &Master,
    user: &UserName,
    uidvalidity: Option<u32>,
    since: Option<i64>,
) -> Result<Unhidden, Failure> {
    let keyword = &settings.maildrop.hide_keyword;
    let (client, open) = dial(settings, cx).await?;
    let mut opened = Opened { client: enter(client, cx, master, user).await?, open };
    let client = &mut opened.client;
    let mailbox = timed(cx, "SELECT", client.select(keyword)).await?;
    // A server that does not know the authorization identity opens the master user's own.
    if uidvalidity.is_some_and(|shown| shown != mailbox.uidvalidity) {
        return Err(Failure::OtherMailbox);
    }
    if !mailbox.keyword {
        return Err(Failure::ReadOnly);
    }
    let mut listing = timed(cx, "LIST", client.list(&mailbox, keyword)).await?;
    let unhidden = timed(cx, "UNHIDE", client.unhide(&mut listing, since, keyword)).await?;
    cx.usage.looked(user, summed_up(&listing), jiff::Timestamp::now().as_second());
    client.logout().await;
    match unhidden {
        Unhidden { failed: 0, .. } => Ok(unhidden),
        // The customer's own login may be allowed more.
        Unhidden { shown, failed } => Err(Failure::Incomplete { shown, failed }),
    }
}

async fn enter(
    mut client: Client,
    cx: &Context,
    master: &Master,
    user: &UserName,
) -> Result<ActingClient, Failure> {
    let id = [("name", "lastpop".to_owned()), ("version", env!("CARGO_PKG_VERSION").to_owned())];
    timed(cx, "ID", client.id(&id)).await?;
    let acting = master.for_user(user.as_str())?;
    Ok(timed(cx, "LOGIN", client.act(acting)).await?)
}

/// A mailbox that counts among the open connections.
struct Opened {
    client: ActingClient,
    open: Open,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.open.count(self.client.traffic());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::AT_ONCE;

    #[test]
    fn every_failure_has_its_series_and_ends_a_sentence() {
        let all = [
            Failure::Name(BadName::Control),
            Failure::Busy,
            Failure::Full,
            Failure::Draining,
            Failure::Refused,
            Failure::ReadOnly,
            Failure::OtherMailbox,
            Failure::Incomplete { shown: 1, failed: 2 },
            Failure::Upstream(Error::Closed),
            Failure::Timeout,
            Failure::Store(StoreError::Silent),
        ];
        for failure in &all {
            assert!(AT_ONCE.contains(&failure.label()), "{failure:?}");
            let text = failure.to_string();
            assert!(!text.ends_with('.') && !text.is_empty(), "{text}");
        }
        // And those that are none.
        assert_eq!(AT_ONCE.len(), all.len() + 2);
    }
}
