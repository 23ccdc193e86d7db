//! Changing a setting: of one user, of a domain, of everyone. What would surprise is said.

use std::time::Duration;

use axum::http::{StatusCode, header};
use tokio::time::timeout;

use super::auth::Caller;
use super::problem::Problem;
use super::redownload::{permit, refused, unconfirmed};
use super::view::{View, setting};
use super::{Shared, store_problem, warnings};
use crate::api::{self, Order, SetMode};
use crate::live::Filter;
use crate::policy::{Mode, Planned, Rules, Setting};
use crate::store::waves::WaveError;
use crate::store::{self, Changed, StoreError, Subject};

/// After so many seconds a change that did not get its turn is worth another try: one of a million users takes a minute.
const BUSY: u32 = 60;

/// How long counting those whom a change concerns may hold up its answer; of ten million users it takes longer.
const COUNTING: Duration = Duration::from_secs(3);

/// Sets a mode as ordered, or says what would come of it.
pub(super) async fn planned(
    shared: &Shared,
    caller: &Caller,
    subject: &Subject,
    order: &SetMode,
) -> Result<api::Change, Problem> {
    let (store, now) = (&shared.cx.store, Shared::now());
    let from = order.from.map(jiff::Timestamp::as_second).filter(|from| *from > now);
    let wish = |before: Setting| {
        let after = match from {
            // Until then what is in force now stays.
            Some(from) => {
                Setting { planned: Some(Planned { mode: order.mode, from }), ..before.settled(now) }
            }
            None => Setting { mode: order.mode, since: now, planned: None },
        };
        permit(&View::new(shared), subject, before, after, order.confirm_redownload)?;
        Ok(after)
    };
    let result = if order.dry_run {
        store.setting(subject).await.and_then(|before| Ok((before, wish(before)?)))
    } else {
        let reason = order.reason.as_str();
        let change = store::Change { subject, actor: &caller.name, reason, now };
        let changed = store.set(&change, &wish).await;
        changed.map(|changed| made(shared, caller, subject, &changed, reason))
    };
    let (before, after) = result.map_err(|error| refused(subject, error))?;
    let never_seen = is_new(shared, subject).await;
    answer(shared, subject, order.dry_run, (before, after), never_seen).await
}

/// Takes the newest change back, or says what would come of it.
pub(super) async fn undone(
    shared: &Shared,
    caller: &Caller,
    subject: &Subject,
    order: &Order,
) -> Result<api::Change, Problem> {
    let (store, now) = (&shared.cx.store, Shared::now());
    let consent =
        |before, after| permit(&View::new(shared), subject, before, after, order.confirm_redownload);
    let result = if order.dry_run {
        store.would_undo(subject).await.and_then(|(before, after)| {
            consent(before, after)?;
            Ok((before, after))
        })
    } else {
        let reason = order.reason.as_str();
        let change = store::Change { subject, actor: &caller.name, reason, now };
        let changed = store.undo(&change, &consent).await;
        changed.map(|changed| made(shared, caller, subject, &changed, reason))
    };
    let (before, after) = result.map_err(|error| refused(subject, error))?;
    answer(shared, subject, order.dry_run, (before, after), false).await
}

/// Is this a user who has never tried to log in? What cannot be asked now surprises nobody.
async fn is_new(shared: &Shared, subject: &Subject) -> bool {
    let Subject::User(user) = subject else { return false };
    let here = Filter { user: Some(user.clone()), ..Filter::default() };
    match shared.cx.store.user(user).await {
        Ok(Some(row)) if row.first_seen.is_some() || row.last_refused.is_some() => false,
        // Who came a moment ago is written down later.
        Ok(_) => shared.cx.live.find(&here).is_empty(),
        Err(_) => false,
    }
}

/// A change was made: it is logged and counted.
fn made(
    shared: &Shared,
    caller: &Caller,
    subject: &Subject,
    changed: &Changed,
    reason: &str,
) -> (Setting, Setting) {
    log(caller, subject, changed, reason);
    count(shared, &View::new(shared), subject, changed);
    (changed.before, changed.after)
}

async fn answer(
    shared: &Shared,
    subject: &Subject,
    dry_run: bool,
    (before, after): (Setting, Setting),
    never_seen: bool,
) -> Result<api::Change, Problem> {
    let view = View::new(shared);
    let (effective, followers) = match subject {
        Subject::User(user) => (view.effective(&view.rules(user.domain(), Some(after))), None),
        Subject::Domain(domain) => {
            let rules = Rules { domain: Some(after), ..view.rules(domain, None) };
            (view.effective(&rules), followers(shared, Some(domain), dry_run).await?)
        }
        Subject::Everyone => {
            let rules = Rules { everyone: Some(after), ..view.rules("", None) };
            (view.effective(&rules), followers(shared, None, dry_run).await?)
        }
    };
    Ok(api::Change {
        subject: subject.name().to_owned(),
        dry_run,
        before: setting(before.settled(view.now)),
        after: setting(after),
        effective,
        followers,
        warnings: warnings::of(&view, subject, after, never_seen),
    })
}

/// How many users follow a rule. What is changed already is no error because they cannot be counted.
async fn followers(shared: &Shared, domain: Option<&str>, dry_run: bool) -> Result<Option<u64>, Problem> {
    match timeout(COUNTING, shared.cx.store.followers(domain, Shared::now())).await {
        Ok(Ok(followers)) => Ok(Some(followers)),
        Ok(Err(error)) if dry_run => Err(store_problem(error)),
        Ok(Err(_)) | Err(_) => Ok(None),
    }
}

fn log(caller: &Caller, subject: &Subject, changed: &Changed, reason: &str) {
    tracing::info!(
        actor = caller.name, kind = subject.kind(), subject = subject.name(),
        before = %changed.before, after = %changed.after, reason, id = changed.id,
        "a mode was set"
    );
}

/// The mode that is in force for whom a change is about, if this is their setting.
pub(super) fn in_force(view: &View, subject: &Subject, setting: Setting) -> Mode {
    let rules = match subject {
        Subject::User(user) => view.rules(user.domain(), Some(setting)),
        Subject::Domain(domain) => Rules { domain: Some(setting), ..view.rules(domain, None) },
        Subject::Everyone => Rules { everyone: Some(setting), ..view.rules("", None) },
    };
    rules.decide(view.now).mode
}

/// Counts a change by the modes that were and are in force.
fn count(shared: &Shared, view: &View, subject: &Subject, changed: &Changed) {
    let mode = |setting| in_force(view, subject, setting);
    let (from, to) = (mode(changed.before).as_str(), mode(changed.after).as_str());
    shared.cx.metrics.policy.changes.with_label_values(&[subject.kind(), from, to]).inc();
}

/// What the API says of a store that did not do it.
#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn of_store(error: StoreError) -> Problem {
    let status = match error {
        StoreError::Wave(WaveError::Unknown(_)) => StatusCode::NOT_FOUND,
        StoreError::Redownload(1) => return unconfirmed("1 user has"),
        StoreError::Redownload(users) => {
            return unconfirmed(&format!("{users} users have"));
        }
        StoreError::Wave(WaveError::NoCondition) => StatusCode::UNPROCESSABLE_ENTITY,
        StoreError::TooManyDomains
        | StoreError::NothingToUndo(_)
        | StoreError::Superseded(_)
        | StoreError::Wave(_) => StatusCode::CONFLICT,
        StoreError::Foreign(_) => {
            tracing::error!(%error, "the state cannot be understood");
            return Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("Nothing was changed: {error} A newer lastpop may know it."),
            );
        }
        StoreError::Busy => {
            let detail = "Other changes are under way, such as one of many users, and this one did not get its turn. \
                Nothing was changed; try again in a minute.";
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
                .with(header::RETRY_AFTER, BUSY.into());
        }
        _ => {
            tracing::error!(%error, "the state store failed under the API");
            let detail = match error {
                StoreError::Unsure(_) => {
                    "The state store was lost in the very moment of the change, which may or may not have been made. \
                    Look at the history before you try again."
                }
                StoreError::Done(_) => {
                    "It is done, but the state store did not answer any more when it was asked for the result. There \
                    is no need to try again."
                }
                _ => {
                    "The state store does not answer. Nothing was changed; try again, and see lastpop's log."
                }
            };
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        }
    };
    Problem::new(status, format!("{error}."))
}
