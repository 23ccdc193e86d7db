//! What needs no token: probes for whoever balances load, and metrics that name no user.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};

use super::Shared;
use super::envelope::PlainText;
use super::problem::Problem;

/// `/live` and `/ready`.
pub(super) fn probes() -> Router<Shared> {
    Router::new().route("/live", get(|| async { "alive\n" })).route("/ready", get(ready))
}

/// `/metrics`.
pub(super) fn metrics() -> Router<Shared> {
    Router::new().route("/metrics", get(encoded))
}

async fn encoded(State(Shared { cx, log_dropped, .. }): State<Shared>) -> Response {
    cx.metrics.process.log_dropped.set(i64::try_from(log_dropped.dropped_lines()).unwrap_or(i64::MAX));
    match cx.metrics.encode() {
        Ok(text) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "cannot write the metrics");
            Problem::internal().into_response()
        }
    }
}

/// Ready is who accepts connections. An upstream that is down does not make us unready: a load balancer
/// that took us out would turn an outage's `[SYS/TEMP]` into refused connections.
async fn ready(State(Shared { cx, .. }): State<Shared>) -> Response {
    if cx.draining.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, Extension(PlainText), "draining\n").into_response()
    } else {
        "ready\n".into_response()
    }
}
