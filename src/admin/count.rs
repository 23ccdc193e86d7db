//! Counting answers by route. Which routes there are is known before the first request, so that nobody makes series by
//! asking for what is not there.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use crate::metrics::OTHER;
use crate::session::Context;

/// What is counted, and where.
#[derive(Clone)]
pub(super) struct Count {
    pub(super) cx: Arc<Context>,
    /// Such as `GET /api/v1/users/{user}`.
    routes: Arc<HashSet<String>>,
}

impl Count {
    /// Counts answers of these routes.
    pub(super) fn new(cx: Arc<Context>, routes: impl IntoIterator<Item = String>) -> Self {
        let routes: HashSet<String> = routes.into_iter().collect();
        cx.metrics.admin.serve(routes.iter().map(String::as_str));
        Self { cx, routes: Arc::new(routes) }
    }

    fn route(&self, request: &Request) -> &str {
        // Who answers GET answers HEAD.
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        self.routes.get(&format!("{method} {path}")).map_or(OTHER, String::as_str)
    }
}

/// Counts an answer.
pub(super) async fn count(State(count): State<Count>, request: Request, next: Next) -> Response {
    let route = count.route(&request);
    let response = next.run(request).await;
    count.cx.metrics.admin.answered(route, response.status().as_u16());
    response
}
