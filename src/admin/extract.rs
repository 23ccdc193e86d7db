//! What routes take from a request. As axum's own, but what cannot be taken is a [`Problem`].

use axum::body::{Body, Bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Is there an escaped NUL in a text of this JSON? As it is, it cannot be in one.
fn says_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        rest = &rest[at + 1..];
        if rest.starts_with(b"u0000") {
            return true;
        }
        // What is escaped may be a backslash.
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

/// The body, or an answer, as JSON.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// What stands behind the `?`.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// What stands in the path.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let body = body.map_err(JsonRejection::from)?;
        let request = Request::from_parts(parts, Body::from(body.clone()));
        let axum::Json(value) = axum::Json::from_request(request, state).await?;
        if says_nul(&body) {
            // What is kept could be looked for in PostgreSQL later, which takes none.
            let reason = "there is NUL in it, which no text here can have";
            return Err(Problem::not_understood(StatusCode::UNPROCESSABLE_ENTITY, "body", reason));
        }
        Ok(Self(value))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // No name has NUL in it, and PostgreSQL takes none: what stands in its place here is found nowhere either.
        let query = parts.uri.query().unwrap_or_default().replace("%00", "%EF%BF%BD");
        let uri: Uri = format!("/?{query}").parse().map_err(|_| Problem::internal())?;
        let axum::extract::Query(value) = axum::extract::Query::try_from_uri(&uri)?;
        Ok(Self(value))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path(value) = axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_found_where_it_is_one() {
        for json in [r#""\u0000""#, r#"{"a":"x\\\u0000"}"#, r#"["\n\u0000"]"#] {
            assert!(says_nul(json.as_bytes()), "{json}");
        }
        for json in [r#""\\u0000""#, r#""\u0001""#, r#""u0000""#, r#""\\""#, "\\"] {
            assert!(!says_nul(json.as_bytes()), "{json}");
        }
    }
}
