//! Ending the process without ending sessions: `lastpop drain`.

use axum::extract::State;
use axum::http::StatusCode;

use super::Shared;
use super::audit::{Act, note};
use super::auth::Caller;
use super::extract::Json;
use crate::api::{Draining, Order};
use crate::policy::instant;

/// Ends this proxy as SIGTERM does.
///
/// There are no new connections, and sessions may go on for `limits.drain_timeout`. Asked once more, it changes
/// nothing.
#[utoipa::path(
    post, path = "/api/v1/drain", tag = "process", operation_id = "drain", request_body = Order,
    responses(
        (status = 200, description = "Nothing was done, as was asked.", body = Draining),
        (status = 202, description = "The drain has begun.", body = Draining)
    )
)]
pub(super) async fn drain(
    State(shared): State<Shared>,
    caller: Caller,
    Json(Order { reason, dry_run, .. }): Json<Order>,
) -> (StatusCode, Json<Draining>) {
    let cx = &shared.cx;
    let timeout = cx.settings.load().limits.drain_timeout.as_secs();
    let begun = cx.drained_at.get().copied().unwrap_or_else(Shared::now);
    let until = instant(begun.saturating_add(i64::try_from(timeout).unwrap_or(i64::MAX)));
    let sessions = cx.live.len();
    let answer = Json(Draining { dry_run, sessions: sessions as u64, until });
    if dry_run {
        return (StatusCode::OK, answer);
    }
    tracing::info!(actor = caller.name, reason = reason.as_str(), "the drain was asked for over the API");
    if !cx.drain.is_cancelled() && cx.drained_at.get().is_none() {
        // First, because with nobody logged in the process ends at once.
        let act = Act { action: "drain", user: None, detail: format!("sessions under way: {sessions}") };
        note(&shared, &caller, &reason, act).await;
    }
    cx.drain.cancel();
    (StatusCode::ACCEPTED, answer)
}
