//! What is no part of the API: probes for whoever balances load, and metrics. Only those that name users need a
//! token.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};

use super::envelope::PlainText;
use super::problem::Problem;
use super::role::Role;
use super::{Shared, auth};

/// What all of these are, for who counts.
pub(super) fn names() -> impl Iterator<Item = String> {
    ["/live", "/ready", "/metrics", "/metrics/users"].into_iter().map(|path| format!("GET {path}"))
}

/// `/live` and `/ready`.
pub(super) fn probes() -> Router<Shared> {
    Router::new().route("/live", get(|| async { "alive\n" })).route("/ready", get(ready))
}

/// `/metrics`.
pub(super) fn metrics() -> Router<Shared> {
    Router::new().route("/metrics", get(encoded))
}

/// `/metrics/users`, for whoever has a token; or, on a listener of its own, for everyone who gets there.
pub(super) fn user_metrics(token: bool, shared: Shared) -> Router<Shared> {
    let router = Router::new().route("/metrics/users", get(users));
    if token {
        router
            .route_layer(from_fn_with_state(Role::Viewer, auth::require))
            .route_layer(from_fn_with_state(shared, auth::authenticate))
    } else {
        router
    }
}

/// From memory: a scrape asks the state nothing.
async fn users(State(Shared { cx, series, .. }): State<Shared>) -> Response {
    let (form, most) = series;
    let text = cx.usage.user_metrics(form, most);
    ([(header::CONTENT_TYPE, TEXT)], text).into_response()
}

/// The format of metrics.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

async fn encoded(State(Shared { cx, log_dropped, .. }): State<Shared>) -> Response {
    cx.metrics.process.log_dropped.set(i64::try_from(log_dropped.dropped_lines()).unwrap_or(i64::MAX));
    match cx.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
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
