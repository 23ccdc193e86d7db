//! What every answer carries, whichever route it comes from: an id, headers for browsers, and errors in one shape.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::problem::Problem;
use crate::api::PROBLEM_TYPE;

/// The request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over from whoever asks, in characters.
const MAX_ID: usize = 64;

/// Nothing here is for a browser to keep, guess at, pass on or run. A route that serves something else sets its
/// own.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

/// The id of a request, for the log and for whoever asked.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// An answer that is plain text although its status is an error: a probe's.
#[derive(Debug, Clone, Copy)]
pub struct PlainText;

/// Goes around everything.
pub async fn envelope(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_id(id));
    let id = given.map_or_else(crate::random::session_id, str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    write_problem(&mut response, &id);
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// It stands in a header, in a log and in JSON.
fn is_id(id: &str) -> bool {
    let octet = |octet: u8| octet.is_ascii_alphanumeric() || b"._-".contains(&octet);
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(octet)
}

fn write_problem(response: &mut Response, id: &str) {
    let status = response.status();
    let error = status.is_client_error() || status.is_server_error();
    let plain = response.extensions().get::<PlainText>().is_some();
    let problem = response.extensions_mut().remove::<Problem>();
    let Some(problem) = problem.or_else(|| (error && !plain).then(|| Problem::bare(status))) else { return };
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_TYPE));
    *response.body_mut() = Body::from(problem.body(id));
}
