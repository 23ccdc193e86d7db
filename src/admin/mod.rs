//! HTTP for machines: `/metrics`, `/live` and `/ready`. None names a user, and none needs a token.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_appender::non_blocking::ErrorCounter;

use crate::session::Context;

/// Serves until `stop`. It outlives the POP3 listeners, so that a drain can be watched.
pub async fn run(
    listener: TcpListener,
    cx: Arc<Context>,
    log_dropped: ErrorCounter,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/live", get(|| async { "alive\n" }))
        .route("/ready", get(ready))
        .with_state(Shared { cx, log_dropped });
    axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await
}

#[derive(Clone)]
struct Shared {
    cx: Arc<Context>,
    log_dropped: ErrorCounter,
}

async fn metrics(State(Shared { cx, log_dropped }): State<Shared>) -> Response {
    cx.metrics.process.log_dropped.set(i64::try_from(log_dropped.dropped_lines()).unwrap_or(i64::MAX));
    match cx.metrics.encode() {
        Ok(text) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "cannot write the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Ready is who accepts connections. An upstream that is down does not make us unready: a load balancer
/// that took us out would turn an outage's `[SYS/TEMP]` into refused connections.
async fn ready(State(Shared { cx, .. }): State<Shared>) -> Response {
    if cx.draining.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response()
    } else {
        "ready\n".into_response()
    }
}
