//! Who is logged in, and ending sessions: `lastpop who` and `lastpop kick`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use ipnet::IpNet;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::auth::Caller;
use super::extract::{Json, Query, time};
use super::problem::Problem;
use crate::live::{self, Filter};

/// Sessions in one answer, when nothing else is asked for.
const PAGE: usize = 100;

/// Sessions in one answer at most.
const MOST: usize = 1_000;

/// Which sessions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only this user's.
    user: Option<String>,
    /// Only those with a client from this network or address.
    #[param(value_type = Option<String>, example = "192.0.2.0/24")]
    network: Option<Network>,
    /// So many at most; 100 if it is left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Go on behind this one: `next` of the page before.
    after: Option<String>,
}

/// Sessions that are logged in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sessions)]
pub(super) struct Page {
    /// By id, in its order.
    sessions: Vec<Session>,
    /// How many there are on all pages together.
    total: usize,
    /// For `after`, to see the next page; null on the last one.
    next: Option<String>,
}

/// A session that is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    /// Its id, as in lastpop's log.
    id: String,
    /// Whose it is.
    user: String,
    /// The client's address.
    #[schema(value_type = String, example = "192.0.2.7")]
    address: IpAddr,
    /// The address that it connected to.
    #[schema(value_type = String)]
    local: IpAddr,
    /// The listener that it came through.
    listener: String,
    /// When it logged in.
    #[schema(format = DateTime)]
    since: String,
    /// The version of TLS; null without.
    #[schema(example = "TLSv1.3")]
    tls: Option<&'static str>,
}

impl From<&live::Session> for Session {
    fn from(session: &live::Session) -> Self {
        Self {
            id: session.id.clone(),
            user: session.user.clone(),
            address: session.peer,
            local: session.local,
            listener: session.listener.clone(),
            since: time(session.since),
            tls: session.tls,
        }
    }
}

/// Lists the sessions that are logged in on this proxy.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions", operation_id = "list_sessions", params(Wanted),
    responses((status = 200, description = "A page of them.", body = Page))
)]
pub(super) async fn list(
    State(shared): State<Shared>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>, Problem> {
    let limit = wanted.limit.unwrap_or(PAGE);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "limit has to be from 1 to 1000."));
    }
    let filter = Filter {
        user: wanted.user.as_deref().map(canonical),
        session: None,
        network: wanted.network.map(|network| network.0),
    };
    let mut found = shared.cx.live.find(&filter);
    let total = found.len();
    found.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    let begin = wanted.after.map_or(0, |after| found.partition_point(|session| session.id <= after));
    let page = &found[begin..found.len().min(begin + limit)];
    let more = begin + page.len() < total;
    Ok(Json(Page {
        sessions: page.iter().map(|session| session.as_ref().into()).collect(),
        total,
        next: page.last().filter(|_| more).map(|session| session.id.clone()),
    }))
}

/// Which sessions to end: exactly one of `user`, `session` and `network`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Kick {
    /// All of this user's.
    user: Option<String>,
    /// The one with this id.
    session: Option<String>,
    /// All with a client from this network or address.
    #[schema(value_type = Option<String>, example = "192.0.2.0/24")]
    network: Option<Network>,
    /// Why, for the log.
    reason: Option<String>,
    /// Only say how many it would end.
    #[serde(default)]
    dry_run: bool,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Kicked {
    /// So many sessions were told to end.
    sessions: usize,
    /// Nothing was done; this is what would be.
    dry_run: bool,
}

/// Ends sessions on this proxy.
///
/// As if their connections were lost: nothing that they marked is hidden. A session that has said QUIT goes on
/// to its end.
#[utoipa::path(
    post, path = "/api/v1/sessions/kick", tag = "sessions", operation_id = "kick_sessions",
    request_body = Kick,
    responses((status = 200, description = "They were told to end.", body = Kicked))
)]
pub(super) async fn kick(
    State(shared): State<Shared>,
    caller: Caller,
    Json(kick): Json<Kick>,
) -> Result<Json<Kicked>, Problem> {
    let Kick { user, session, network, reason, dry_run } = kick;
    let filter =
        Filter { user: user.as_deref().map(canonical), session, network: network.map(|network| network.0) };
    let given = [filter.user.is_some(), filter.session.is_some(), filter.network.is_some()];
    if given.into_iter().filter(|given| *given).count() != 1 {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Exactly one of user, session and network has to be given.",
        ));
    }
    let sessions = shared.cx.live.find(&filter);
    if !dry_run {
        end(&sessions, &caller, reason.as_deref());
    }
    Ok(Json(Kicked { sessions: sessions.len(), dry_run }))
}

fn end(sessions: &[Arc<live::Session>], caller: &Caller, reason: Option<&str>) {
    for session in sessions {
        tracing::info!(
            actor = caller.name, reason, user = session.user, rip = %session.peer, session = session.id,
            "a session is ended by an operator"
        );
        session.kick.cancel();
    }
}

/// A network, or a single address.
#[derive(Debug, Clone, Copy)]
struct Network(IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let address = || text.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
        let network = text.parse::<IpNet>().ok().or_else(address).map(Self);
        network.ok_or_else(|| D::Error::custom("expected an address or a network, such as 192.0.2.0/24"))
    }
}

/// The one spelling that the live sessions have.
fn canonical(user: &str) -> String {
    user.to_ascii_lowercase()
}
