//! Who is asking, and may they? Every request but those to probes and metrics needs a token (RFC 6750).

use std::net::IpAddr;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::Shared;
use super::envelope::RequestId;
use super::problem::Problem;
use super::role::Role;
use super::token_file::Tokens;
use super::tokens;

/// The client's address; none on a unix socket.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub Option<IpAddr>);

/// Whose token came with the request. A route takes it as an argument to know who acts.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The token's name, for log and audit trail.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Missing only where `authenticate` was left out: then nobody is let in.
        parts.extensions.get().cloned().ok_or_else(Problem::internal)
    }
}

/// Why a token was not taken.
enum Refusal {
    /// There is none in the request.
    Missing,
    /// There is something else than a bearer token.
    Malformed,
    /// No token was made yet.
    NoneExists,
    /// The token file cannot be used.
    Unusable,
    /// The file does not have it.
    Unknown,
    /// It was good once.
    Expired(String),
}

impl Refusal {
    /// For the log, if it is worth a line there.
    const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Missing => None,
            Self::Malformed => Some("malformed"),
            Self::NoneExists => Some("there is no token file"),
            Self::Unusable => Some("the token file cannot be used"),
            Self::Unknown => Some("unknown"),
            Self::Expired(_) => Some("expired"),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"lastpop\"");
        const INVALID: HeaderValue =
            HeaderValue::from_static("Bearer realm=\"lastpop\", error=\"invalid_token\"");
        let (challenge, detail) = match refusal {
            Refusal::Missing => {
                (CHALLENGE, "A token is needed here: send it as \"Authorization: Bearer TOKEN\".".to_owned())
            }
            Refusal::Malformed => (
                CHALLENGE,
                "The header Authorization is not understood: send one, as \"Bearer TOKEN\".".to_owned(),
            ),
            Refusal::NoneExists => (
                INVALID,
                "No token exists yet: make one on this machine with `lastpop token create --name NAME --role ROLE`."
                    .to_owned(),
            ),
            Refusal::Unusable => {
                return Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The token file cannot be used, so no token is taken; lastpop's log says what is wrong with it.",
                );
            }
            Refusal::Unknown => {
                (INVALID, "This token is unknown here; it may have been revoked. Make another.".to_owned())
            }
            Refusal::Expired(name) => {
                (INVALID, format!("The token {name} has expired; make another with `lastpop token create`."))
            }
        };
        Self::new(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, challenge)
    }
}

/// Lets nobody through without a token, and nobody too often. Whatever changes something is logged here, so that
/// no route can forget it.
pub async fn authenticate(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = match caller(&shared, request.headers()).await {
        Ok(caller) => caller,
        Err(refusal) => return Err(refused(&shared, &request, refusal)),
    };
    shared.rates.request(&caller.name).map_err(|wait| {
        Problem::too_often("This token asks too often; see admin.requests_per_second.", wait)
    })?;
    request.extensions_mut().insert(caller.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let response = next.run(request).await;
    if !matches!(method, Method::GET | Method::HEAD) {
        let status = response.status().as_u16();
        tracing::info!(actor = caller.name, role = %caller.role, %method, path, status, request = id, "API request");
    }
    Ok(response)
}

async fn caller(shared: &Shared, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (header, more) = (all.next(), all.next());
    let header = header.ok_or(Refusal::Missing)?.to_str().ok().filter(|_| more.is_none());
    let token = header.and_then(bearer).ok_or(Refusal::Malformed)?;
    match &*shared.tokens.tokens().await {
        Tokens::Missing => Err(Refusal::NoneExists),
        Tokens::Unusable(_) => Err(Refusal::Unusable),
        Tokens::Known(entries) => {
            let entry = tokens::find(entries, token).ok_or(Refusal::Unknown)?;
            if entry.has_expired(Timestamp::now()) {
                return Err(Refusal::Expired(entry.name.clone()));
            }
            Ok(Caller { name: entry.name.clone(), role: entry.role })
        }
    }
}

/// The token in the header's value. The scheme is case-insensitive (RFC 9110 §11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ')).then_some(token)
}

/// A wrong token costs an answer and a line in the log, but only so often. Right ones from the same address are
/// taken all the same: they cannot be guessed, and behind one address are many.
fn refused(shared: &Shared, request: &Request, refusal: Refusal) -> Problem {
    let Some(reason) = refusal.reason() else { return refusal.into() };
    let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0);
    if let Err(wait) = shared.rates.failure(peer) {
        return Problem::too_often("Too many tokens from this address were refused.", wait);
    }
    let id = request.extensions().get::<RequestId>().map(|id| id.0.as_str());
    let address = peer.map_or_else(|| "unix socket".to_owned(), |peer| peer.to_string());
    tracing::warn!(
        rip = address,
        reason,
        path = request.uri().path(),
        request = id,
        "an API token was refused"
    );
    refusal.into()
}

/// Lets nobody through whose role is less.
pub async fn require(
    State(needed): State<Role>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if caller.role < needed {
        let Caller { name, role } = caller;
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!("The token {name} has the role {role}; this needs the role {needed}."),
        ));
    }
    Ok(next.run(request).await.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens() {
        for header in ["Bearer lp_x", "bearer lp_x", "BEARER   lp_x "] {
            assert_eq!(bearer(header), Some("lp_x"), "{header}");
        }
        for header in ["", "lp_x", "Bearer", "Bearer ", "Basic lp_x", "Bearer a b", "Bearerlp_x"] {
            assert_eq!(bearer(header), None, "{header}");
        }
    }
}
