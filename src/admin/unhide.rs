//! Bringing hidden mail back, as an operator orders: at once where there are master credentials, otherwise, and where
//! that fails, at the customer's next login.

use std::time::Duration;

use axum::extract::State;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use super::auth::Caller;
use super::extract::{Json, Path};
use super::problem::Problem;
use super::users::{named, unknown};
use super::{Shared, store_problem};
use crate::api::{Unhidden, Unhide, UserPath};
use crate::session::master::{self, AtOnce};
use crate::users::UserName;

/// How long whoever gives the order waits for it, all in all: less than a request may take ([`crate::api::DEADLINE`]).
/// The work goes on.
const PATIENCE: Duration = Duration::from_secs(8);

/// When an order waits, whatever the reason.
const RECORDED: &str = "The order is recorded, and is carried out at the customer's next login";

/// Shows hidden messages again: at once with `[upstream.master]`, otherwise at the customer's next login.
///
/// What cannot be done at once stays recorded for the next login, and `outcome` says why. The answer comes within ten
/// seconds; work that takes longer goes on.
#[utoipa::path(
    post, path = "/api/v1/users/{user}/unhide", tag = "users", operation_id = "unhide",
    params(UserPath), request_body = Unhide,
    responses(
        (status = 200, description = "What was done, will be done, or would be.", body = Unhidden),
        (status = 404, description = "The user is not known.", body = crate::api::Problem)
    )
)]
pub(super) async fn unhide(
    State(shared): State<Shared>,
    caller: Caller,
    Path(UserPath { user: name }): Path<UserPath>,
    Json(Unhide { since, reason, dry_run }): Json<Unhide>,
) -> Result<Json<Unhidden>, Problem> {
    let begun = Instant::now();
    let user = named(&shared, &name)?;
    let row = shared.cx.store.user(&user).await.map_err(store_problem)?;
    let Some(row) = row else { return Err(unknown(user.as_str())) };
    let hidden = row.hidden_messages.and_then(|messages| u64::try_from(messages).ok());
    let hidden = hidden.filter(|_| since.is_none());
    let answer = |done, messages, outcome, warnings| {
        Ok(Json(Unhidden { user: user.to_string(), dry_run, since, done, messages, outcome, warnings }))
    };
    let mut warnings = Vec::new();
    if dry_run {
        if row.hidden_messages == Some(0) {
            warnings.push(NOTHING_HIDDEN.to_owned());
        }
        let at_once = shared.cx.settings.load().master.is_some();
        let when =
            if at_once { "at once, with the master credentials" } else { "at the customer's next login" };
        return answer(false, hidden, format!("The order would be carried out {when}."), warnings);
    }
    let seconds = midnight(since);
    let asked = shared.cx.store.ask_to_unhide(&user, seconds, &caller.name, reason.as_str(), Shared::now());
    asked.await.map_err(store_problem)?;
    tracing::info!(actor = caller.name, %user, reason = reason.as_str(), "hidden mail is to be shown again");
    let patience = PATIENCE.saturating_sub(begun.elapsed());
    let became = master::unhide(&shared.cx, &user, seconds, patience).await;
    let (done, messages, outcome) = told(became.as_ref(), &user);
    if !done && row.hidden_messages == Some(0) {
        warnings.push(NOTHING_HIDDEN.to_owned());
    }
    if let Some(AtOnce::DoneNotNoted(_)) = became {
        warnings.push(
            "The state could not be told that it is done, so it is done once more at the customer's next login."
                .to_owned(),
        );
    }
    answer(done, if done { messages } else { hidden }, outcome, warnings)
}

const NOTHING_HIDDEN: &str = "At the last login nothing was hidden.";

/// The beginning of the day, in Unix seconds; 0 without one.
fn midnight(since: Option<Date>) -> i64 {
    let at = since.and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    at.map_or(0, |at| at.timestamp().as_second())
}

/// Is it done, how many came back, and the sentence that says so.
fn told(became: Option<&AtOnce>, user: &UserName) -> (bool, Option<u64>, String) {
    match became {
        None => (false, None, format!("{RECORDED}.")),
        Some(AtOnce::Done(messages) | AtOnce::DoneNotNoted(messages)) => {
            (true, Some(*messages as u64), shown(*messages))
        }
        Some(AtOnce::DoneElsewhere) => {
            let outcome = "It was done a moment ago, by a login of the customer or for another order.";
            (true, None, outcome.to_owned())
        }
        Some(AtOnce::Replaced(messages)) => {
            let outcome = format!("Another order has taken the place of this one. {}", shown(*messages));
            (true, Some(*messages as u64), outcome)
        }
        Some(AtOnce::Waits(failure)) => {
            (false, None, format!("{RECORDED}. It could not be at once: {failure}."))
        }
        Some(AtOnce::GoesOn) => {
            let outcome = format!(
                "It takes longer than {} seconds and goes on; `lastpop user history {}` shows when it is done. {RECORDED} \
                if it fails.",
                PATIENCE.as_secs(),
                user.as_str().escape_debug(),
            );
            (false, None, outcome)
        }
    }
}

fn shown(messages: usize) -> String {
    match messages {
        0 => "No such message was hidden, so none had to be shown again.".to_owned(),
        1 => "1 message is shown again.".to_owned(),
        _ => format!("{messages} messages are shown again."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::master::Failure;

    #[test]
    fn whatever_became_of_an_order_is_told_in_sentences() {
        let anna = UserName::stored("anna");
        for (became, done, messages, sentence) in [
            (None, false, None, "The order is recorded, and is carried out at the customer's next login."),
            (
                Some(AtOnce::Done(0)),
                true,
                Some(0),
                "No such message was hidden, so none had to be shown again.",
            ),
            (Some(AtOnce::Done(1)), true, Some(1), "1 message is shown again."),
            (Some(AtOnce::DoneNotNoted(7)), true, Some(7), "7 messages are shown again."),
            (Some(AtOnce::DoneElsewhere), true, None, "It was done a moment ago, "),
            (
                Some(AtOnce::Replaced(2)),
                true,
                Some(2),
                "Another order has taken the place of this one. 2 messages",
            ),
            (
                Some(AtOnce::Waits(Failure::Refused)),
                false,
                None,
                "next login. It could not be at once: the upstream",
            ),
            (
                Some(AtOnce::GoesOn),
                false,
                None,
                "It takes longer than 8 seconds and goes on; `lastpop user history anna`",
            ),
        ] {
            let (is_done, count, outcome) = told(became.as_ref(), &anna);
            assert_eq!((is_done, count), (done, messages), "{became:?}");
            assert!(outcome.contains(sentence) && outcome.ends_with('.'), "{became:?}: {outcome}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight() {
        assert_eq!(midnight(Some(Date::constant(2026, 11, 1))), 1_793_491_200);
        assert_eq!(midnight(None), 0);
    }
}
