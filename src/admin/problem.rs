//! What an error looks like: problem details (RFC 9457), whoever it was that refused.
//!
//! A [`Problem`] travels with the answer; [`super::envelope`] writes it, because only there the request's id is
//! known, and gives every error that has none a sentence of its own.

use std::borrow::Cow;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api;

/// Why a request was not carried out.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    detail: Cow<'static, str>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with a sentence that says what happened and what to do next.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, detail: detail.into(), header: None }
    }

    /// The problem of an answer that has a status and no more.
    pub fn bare(status: StatusCode) -> Self {
        Self::new(status, sentence(status))
    }

    /// Something failed that should not; the log says what.
    pub fn internal() -> Self {
        Self::bare(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Too often; when to come again.
    pub fn too_often(detail: &'static str, wait: Duration) -> Self {
        // Whole seconds, and never 0: that would ask for the same again.
        let seconds = wait.as_secs() + 1;
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).with(header::RETRY_AFTER, seconds.into())
    }

    /// A part of the request that cannot be read, with what axum says about it behind its first colon.
    pub(super) fn not_understood(status: StatusCode, part: &str, text: &str) -> Self {
        let reason = text.split_once(": ").map_or(text, |(_, reason)| reason);
        let detail =
            format!("The {part} is not understood: {reason}. GET /api/v1/openapi.json describes it.");
        Self::new(status, detail)
    }

    /// The same with a header that the status asks for.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// The JSON object for the request with this id.
    pub(super) fn body(&self, request: &str) -> String {
        let body = api::Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: Some(self.detail.to_string()),
            instance: Some(request.to_owned()),
        };
        // Text and a number cannot fail.
        serde_json::to_string(&body).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, header) = (self.status, self.header.clone());
        let mut response = (status, Extension(self)).into_response();
        response.headers_mut().extend(header);
        response
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            status @ StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(
                status,
                "The body has to be JSON; say so with the header \"Content-Type: application/json\".",
            ),
            status @ (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) => {
                Self::not_understood(status, "body", &rejection.body_text())
            }
            status => Self::bare(status),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::not_understood(rejection.status(), "query", &rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::not_understood(rejection.status(), "path", &rejection.body_text())
    }
}

/// What to say where nobody said anything.
fn sentence(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "There is nothing at this path; GET /api/v1/openapi.json lists all paths.",
        StatusCode::METHOD_NOT_ALLOWED => {
            "This path does not take this method; the header Allow names those that it takes."
        }
        StatusCode::PAYLOAD_TOO_LARGE => "The body is longer than this path takes.",
        StatusCode::SERVICE_UNAVAILABLE => {
            "lastpop could not answer in time. A change that was asked for may be made all the same: look before you \
            try again, and at lastpop's log if this goes on."
        }
        StatusCode::INTERNAL_SERVER_ERROR => {
            "Something failed inside lastpop; its log says what, under this id."
        }
        status if status.is_server_error() => "lastpop cannot answer this request; its log may say why.",
        _ => "This request cannot be carried out as it is.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_a_json_object_with_all_five_members() {
        let problem = Problem::too_often("Too \"often\".", Duration::from_millis(1500));
        let body: serde_json::Value = serde_json::from_str(&problem.body("id")).expect("JSON");
        assert_eq!(
            body,
            serde_json::json!({
                "type": "about:blank", "title": "Too Many Requests", "status": 429,
                "detail": "Too \"often\".", "instance": "id",
            })
        );
        let response = problem.into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
    }
}
