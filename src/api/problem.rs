//! How the API says that something went wrong: RFC 9457 problem details.

use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`].
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// What went wrong, and what to do (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Which kind of problem: a stable word, or `about:blank` where the status says it all.
    #[serde(rename = "type", default = "about_blank")]
    #[schema(example = "about:blank")]
    pub kind: String,
    /// The kind in a few words, the same each time.
    #[serde(default)]
    #[schema(example = "Not Found")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened this time and what to do next, in a sentence or two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<String>,
    /// The id of the request, as in the header `x-request-id` and in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub instance: Option<String>,
}

/// RFC 9457 §4.2.1: no kind beyond the status.
fn about_blank() -> String {
    "about:blank".to_owned()
}
