//! From credentials to a maildrop: the upstream is asked, and its listing becomes what the client sees.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::context::{Context, Settings};
use super::upstream::{Origin, Upstream};
use crate::imap::Error;
use crate::pop3::{Credentials, Maildrop, Transaction};
use crate::slots::Slot;
use crate::store::{Pin, StoreError};
use crate::uidl::Recipe;
use crate::users::UserName;

/// A session that is logged in.
#[derive(Debug)]
pub struct Opened {
    /// The state machine with its maildrop.
    pub transaction: Transaction,
    /// The connection behind it.
    pub upstream: Upstream,
    /// The recipe for its unique-ids: the one that served this user first.
    pub recipe: Arc<Recipe>,
    /// How many messages are hidden.
    pub hidden: usize,
    /// Counts among the user's sessions as long as it lives.
    pub slot: Slot<UserName>,
}

/// Why there is none.
#[derive(Debug)]
pub enum Refused {
    /// The upstream refused or failed.
    Upstream(Error),
    /// The user has `limits.sessions_per_user` sessions already.
    TooMany,
    /// The listing needs a stored fact that is not to be had now.
    Store(StoreError),
}

/// Opens the maildrop. The password is accepted only when INBOX was selected and listed as a whole: some
/// servers say OK to any LOGIN, and a partial listing would make clients forget what they have seen.
pub async fn open(
    credentials: Credentials,
    origin: Origin,
    settings: &Arc<Settings>,
    cx: &Arc<Context>,
) -> Result<Opened, Refused> {
    let user = settings.names.canonical(credentials.user());
    let (upstream, listing) = Upstream::open(credentials, origin, Arc::clone(settings), Arc::clone(cx))
        .await
        .map_err(Refused::Upstream)?;
    let Some(slot) = cx.users.enter(user.clone(), settings.limits.sessions_per_user) else {
        upstream.logout().await;
        return Err(Refused::TooMany);
    };
    // Committed before the reply that relies on it.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let uidvalidity = upstream.mailbox().uidvalidity;
    let pin = match pin(&user, uidvalidity, settings, cx, now).await {
        Ok(pin) => pin,
        Err(error) => {
            cx.metrics.store.errors.inc();
            upstream.logout().await;
            return Err(Refused::Store(error));
        }
    };
    if pin.uidvalidity_changed {
        cx.metrics.store.uidvalidity_changes.inc();
        tracing::warn!(
            %user,
            uidvalidity,
            "UIDVALIDITY changed: this user's clients download everything again"
        );
    }
    let shown = listing.iter().filter(|row| !row.hidden).map(|row| (row.uid, row.octets));
    let maildrop = Maildrop::new(shown);
    let hidden = listing.len() - maildrop.len();
    let transaction = Transaction::new(maildrop, upstream.mailbox().keyword);
    Ok(Opened { transaction, upstream, recipe: pin.recipe, hidden, slot })
}

async fn pin(
    user: &UserName,
    uidvalidity: u32,
    settings: &Settings,
    cx: &Context,
    now: i64,
) -> Result<Pin, StoreError> {
    let facts = cx.store.facts(user).await?;
    cx.store.pin(user, &facts, uidvalidity, &settings.maildrop.uidl, now).await
}
