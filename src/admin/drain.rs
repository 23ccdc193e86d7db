//! Ending the process without ending sessions: `lastpop drain`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::auth::Caller;
use super::extract::Json;

/// Why the proxy is drained.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Drain {
    /// Why, for the log.
    reason: String,
    /// Only say how many sessions there are.
    #[serde(default)]
    dry_run: bool,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Draining {
    /// So many sessions may go on for `limits.drain_timeout`.
    sessions: usize,
    /// Nothing was done; this is what would be.
    dry_run: bool,
}

/// Ends this proxy as SIGTERM does.
///
/// There are no new connections, and sessions may go on for `limits.drain_timeout`. Asked once more, it changes
/// nothing.
#[utoipa::path(
    post, path = "/api/v1/drain", tag = "process", operation_id = "drain", request_body = Drain,
    responses(
        (status = 200, description = "Nothing was done, as was asked.", body = Draining),
        (status = 202, description = "The drain has begun.", body = Draining)
    )
)]
pub(super) async fn drain(
    State(Shared { cx, .. }): State<Shared>,
    caller: Caller,
    Json(Drain { reason, dry_run }): Json<Drain>,
) -> (StatusCode, Json<Draining>) {
    let answer = Json(Draining { sessions: cx.live.len(), dry_run });
    if dry_run {
        return (StatusCode::OK, answer);
    }
    tracing::info!(actor = caller.name, reason, "the drain was asked for over the API");
    cx.drain.cancel();
    (StatusCode::ACCEPTED, answer)
}
