//! What cannot be taken back wants to be said twice: clients forget what they no longer see, so whoever saw nothing
//! but the notice downloads everything again once the mailbox is shown.

use axum::http::StatusCode;

use super::change::in_force;
use super::problem::Problem;
use super::view::View;
use super::{Shared, store_problem};
use crate::policy::{Mode, Response, Setting};
use crate::store::{Moves, StoreError, Subject};

/// May the setting of one subject become another one?
pub(super) fn permit(
    view: &View,
    subject: &Subject,
    before: Setting,
    after: Setting,
    confirmed: bool,
) -> Result<(), StoreError> {
    let settings = view.settings();
    let response = |domain| settings.policy.response(settings.domains.get(domain));
    let notice = match subject {
        Subject::User(user) => response(user.domain()) == Response::Notice,
        Subject::Domain(domain) => response(domain) == Response::Notice,
        Subject::Everyone => {
            let mut all = settings.domains.iter().map(|(domain, _)| response(domain)).chain([response("")]);
            all.any(|response| response == Response::Notice)
        }
    };
    // A plan leads there as well, only later.
    let planned = after.planned.map_or(after.mode, |planned| planned.mode);
    let then = Setting { mode: planned, planned: None, ..after };
    let mode = |setting| in_force(view, subject, setting);
    let leaves = mode(before) == Mode::ImapOnly && [after, then].map(mode) != [Mode::ImapOnly; 2];
    if !(notice && leaves) || confirmed {
        return Ok(());
    }
    Err(StoreError::Redownload(1))
}

/// What is said of a change of one subject that was not made.
pub(super) fn refused(subject: &Subject, error: StoreError) -> Problem {
    match error {
        StoreError::Redownload(_) => unconfirmed(&format!("{} has", subject.name().escape_debug())),
        error => store_problem(error),
    }
}

/// The same for many users, whoever they will be.
pub(super) fn permit_many(
    shared: &Shared,
    confirmed: bool,
) -> impl Fn(&[Moves]) -> Result<(), StoreError> + use<> {
    let (shared, now) = (shared.clone(), Shared::now());
    let settings = shared.cx.settings.load_full();
    let configured = settings.configured();
    move |moves: &[Moves]| {
        let leaves = |moved: &&Moves| {
            let mode = |own| shared.cx.store.in_force(own, &moved.domain, &configured, now);
            settings.policy.response(settings.domains.get(&moved.domain)) == Response::Notice
                && mode(moved.from) == Mode::ImapOnly
                && [moved.to, moved.then].map(mode) != [Mode::ImapOnly; 2]
        };
        let users: u64 = moves.iter().filter(leaves).map(|moved| moved.users).sum();
        if confirmed || users == 0 { Ok(()) } else { Err(StoreError::Redownload(users)) }
    }
}

/// What is answered when it was not said twice; `who` ends with "has" or "have".
pub(super) fn unconfirmed(who: &str) -> Problem {
    let detail = format!(
        "{who} seen nothing but the notice (response = \"notice\"), so mail programs have forgotten what they had: \
        they will download all mail again. Nothing was changed. Send confirm_redownload = true \
        (--confirm-redownload) if that is meant."
    );
    Problem::new(StatusCode::CONFLICT, detail)
}
