//! Hidden mail comes back, once, as the support desk has ordered: here at the customer's login, before the listing is
//! shown; in [`master`](super::master) at once.

use super::context::Context;
use super::patience::Patience;
use super::upstream::Upstream;
use crate::imap::Listed;
use crate::imap::{Error, Unhidden};
use crate::store::{Claim, Claimed, Facts, Occasion, StoreError};
use crate::users::UserName;

/// What INBOX holds. If hidden mail is to be shown again, it is brought back first; should that fail as a whole, the
/// mail that there is is shown, and the next login tries again. What single messages refuse is not tried again: it would
/// bring back what the user deletes from now on as well.
pub(super) async fn listing(
    user: &UserName,
    facts: &Facts,
    upstream: &mut Upstream,
    cx: &Context,
    patience: &mut Patience,
    now: i64,
) -> Result<Vec<Listed>, Error> {
    if facts.unhide_since.is_none() {
        return upstream.list().await;
    }
    // Claimed before the listing: what others do to the mailbox for this order is then in it.
    let Some(claim) = claim(user, cx, patience, now).await else { return upstream.list().await };
    let listing = match upstream.list_now().await {
        Ok(mut listing) => {
            match upstream.unhide(&mut listing, from(&claim)).await {
                Ok(unhidden) => {
                    let noted = patience.ask(note(user, &claim, unhidden, Occasion::Login, cx, now)).await;
                    if let Err(error) = noted {
                        tracing::warn!(%user, %error, "hidden mail will be brought back once more");
                    }
                }
                Err(error) => {
                    tracing::warn!(%user, %error, "hidden mail could not be brought back");
                    if error.is_connection_lost() {
                        upstream.lose();
                    }
                }
            }
            Ok(listing)
        }
        Err(error) => Err(error),
    };
    patience.wait(cx.store.give_back(claim)).await;
    listing
}

/// The order, unless it waits for another login.
async fn claim(user: &UserName, cx: &Context, patience: &mut Patience, now: i64) -> Option<Claim> {
    match patience.ask(cx.store.claim_unhide(user, now)).await {
        Ok(Claimed::Ours(claim)) => Some(claim),
        Ok(Claimed::Gone) => None,
        Ok(Claimed::Others) => {
            tracing::info!(%user, "somebody else is bringing hidden mail back; this session shows what there is");
            None
        }
        Err(error) => {
            cx.metrics.store.errors.inc();
            tracing::warn!(%user, %error, "hidden mail waits for the next login");
            None
        }
    }
}

/// From when on, if not all of it.
pub(super) fn from(claim: &Claim) -> Option<i64> {
    Some(claim.since()).filter(|since| *since > 0)
}

/// Tells the log and the state what came of it.
pub(super) async fn note(
    user: &UserName,
    claim: &Claim,
    Unhidden { shown, failed }: Unhidden,
    occasion: Occasion,
    cx: &Context,
    now: i64,
) -> Result<(), StoreError> {
    if failed > 0 {
        tracing::warn!(%user, messages = shown, failed, "not all hidden mail could be brought back");
    } else {
        tracing::info!(%user, messages = shown, "hidden mail was brought back");
    }
    let noted = cx.store.unhidden(claim, shown, failed, occasion, now).await;
    if noted.is_err() {
        cx.metrics.store.errors.inc();
    }
    noted
}
