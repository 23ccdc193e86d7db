//! The UPDATE state (RFC 1939 §6): DELE becomes a flag, and QUIT's `+OK` is earned.
//!
//! A message counts as hidden only when the upstream has shown its flags: by STORE's echo, else by asking
//! for them (Dovecot echoes nothing for flags that were set already). A tagged OK proves nothing: there are
//! servers that say it and drop keywords they do not know. A message that is gone needs no hiding.

use tokio::select;

use super::context::Context;
use super::enter::timed;
use super::upstream::Upstream;
use crate::config::{Maildrop, Seen};
use crate::imap::flag::{Change, Flag};
use crate::imap::set::UidSet;
use crate::imap::{Error, Keyword, Quota};
use crate::pop3::QuitPlan;
use crate::usage::Room;
use crate::users::UserName;

/// What became of the marked messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Hidden, as the upstream itself says, or gone; a notice: remembered as deleted.
    pub confirmed: usize,
    /// Is the notice among them?
    pub notice: bool,
    /// Still listed the next time.
    pub failed: usize,
    /// Messages of the mailbox that are hidden now and were not, and their octets; none if some are not.
    pub hidden: (u32, u64),
}

/// Carries the plan out. Whatever the client does meanwhile, this runs to its end; what comes of it is the
/// answer to QUIT. [`leave`] is for afterwards.
pub async fn update(upstream: &mut Upstream, plan: &QuitPlan, maildrop: &Maildrop, cx: &Context) -> Outcome {
    let keyword = &maildrop.hide_keyword;
    let flags = [Flag::Keyword(keyword), Flag::Seen];
    // `never` drops \Seen from the hiding as well. A mailbox that cannot keep it must not refuse the rest.
    let seen = maildrop.seen != Seen::Never && upstream.mailbox().seen;
    let flags = if seen { &flags[..] } else { &flags[..1] };
    let mut outcome = Outcome::default();
    for set in UidSet::chunks(&plan.hide) {
        match hide(upstream, &set, flags, keyword, cx).await {
            Ok(failed) => {
                outcome.failed += failed;
                outcome.confirmed += set.uids().len() - failed;
            }
            Err(error) => {
                // Connecting again has failed, so it would for every further set.
                tracing::warn!(session = upstream.session(), %error, "deleted messages could not be hidden");
                upstream.lose();
                outcome.failed = plan.hide.len() - outcome.confirmed;
                return outcome;
            }
        }
    }
    if outcome.failed == 0 {
        // There are fewer messages than UIDs.
        outcome.hidden = (u32::try_from(plan.hide.len()).unwrap_or(u32::MAX), plan.octets);
    }
    if maildrop.seen == Seen::Retr && upstream.mailbox().seen {
        mark_seen(upstream, &plan.seen, keyword, cx).await;
    }
    outcome
}

/// What is left to do upstream when the client has its answer to QUIT: to ask for the user's quota, if `ask_quota`,
/// and to log out. A shutdown does not wait for the former.
pub async fn leave(mut upstream: Upstream, user: &UserName, ask_quota: bool, cx: &Context) {
    if ask_quota && !cx.draining.is_cancelled() {
        select! {
            told = upstream.quota() => if let Ok(quota) = told {
                let room = quota.map(|Quota { used, limit }| Room { used, limit });
                cx.usage.quota(user, room, jiff::Timestamp::now().as_second());
            },
            () = cx.draining.cancelled() => upstream.lose(),
        }
    }
    upstream.logout().await;
}

/// Hides one set and says how many of it are not hidden. A lost connection is made again once and the set
/// repeated: adding a flag twice is adding it once.
async fn hide(
    upstream: &mut Upstream,
    set: &UidSet<'_>,
    flags: &[Flag<'_>],
    keyword: &Keyword,
    cx: &Context,
) -> Result<usize, Error> {
    let first = hide_once(upstream, set, flags, keyword, cx).await;
    match first {
        Err(error) if error.is_connection_lost() => {
            tracing::warn!(session = upstream.session(), %error, "the upstream was lost while hiding; once more");
            upstream.lose();
            hide_once(upstream, set, flags, keyword, cx).await
        }
        first => first,
    }
}

async fn hide_once(
    upstream: &mut Upstream,
    set: &UidSet<'_>,
    flags: &[Flag<'_>],
    keyword: &Keyword,
    cx: &Context,
) -> Result<usize, Error> {
    upstream.client().await?;
    if !upstream.mailbox().keyword {
        // Connected again, to a server that keeps no keywords for good: its echo would prove nothing.
        return Ok(set.uids().len());
    }
    let client = upstream.client().await?;
    let change = Change { add: true, echo: true, flags };
    let shown = match timed(cx, "STORE", client.store(set, change, keyword)).await {
        Ok(shown) => shown,
        Err(Error::No { .. } | Error::Bad { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    let unproven: Vec<u32> =
        set.uids().iter().copied().filter(|uid| shown.binary_search(uid).is_err()).collect();
    let mut failed = 0;
    for set in UidSet::chunks(&unproven) {
        failed += match timed(cx, "FETCH", client.flags(&set, keyword)).await {
            // Who is not named is gone.
            Ok(flags) => flags.iter().filter(|(_, hidden)| !hidden).count(),
            Err(Error::No { .. } | Error::Bad { .. }) => set.uids().len(),
            Err(error) => return Err(error),
        };
    }
    Ok(failed)
}

/// Never decides about anything: a message that stays unseen is shown as new once more.
async fn mark_seen(upstream: &mut Upstream, uids: &[u32], keyword: &Keyword, cx: &Context) {
    let change = Change { add: true, echo: false, flags: &[Flag::Seen] };
    for set in UidSet::chunks(uids) {
        let Ok(client) = upstream.client().await else { return };
        if let Err(error) = timed(cx, "STORE", client.store(&set, change, keyword)).await {
            tracing::info!(session = upstream.session(), %error, "retrieved messages stay unseen");
            upstream.lose();
            return;
        }
    }
}
