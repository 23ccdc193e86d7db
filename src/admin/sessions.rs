//! Who is logged in, and ending sessions: `lastpop who` and `lastpop kick`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use jiff::Timestamp;

use super::Shared;
use super::audit::{Act, note};
use super::auth::Caller;
use super::extract::{Json, Query};
use super::problem::Problem;
use crate::api::{Kick, Kicked, Network, Session, SessionList, SessionQuery, Whom};
use crate::live::{self, Filter};
use crate::policy::instant;

impl From<&live::Session> for Session {
    fn from(session: &live::Session) -> Self {
        let so_far = &session.progress;
        Self {
            session: session.id.clone(),
            user: session.user.to_string(),
            address: session.peer.to_string(),
            tls: session.tls.map(str::to_owned),
            since: instant(session.since),
            mode: session.mode,
            messages: so_far.messages.load(Ordering::Relaxed),
            octets: so_far.octets.load(Ordering::Relaxed),
            deleted: so_far.marked.load(Ordering::Relaxed),
        }
    }
}

/// Lists the sessions that are logged in on this proxy.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions", operation_id = "list_sessions", params(SessionQuery),
    responses((status = 200, description = "A page of them.", body = SessionList))
)]
pub(super) async fn list(
    State(shared): State<Shared>,
    Query(query): Query<SessionQuery>,
) -> Result<Json<SessionList>, Problem> {
    let filter = Filter {
        user: query.user.map(|user| shared.canonical(&user)),
        session: None,
        network: query.network.map(Network::get),
    };
    let mut found = shared.cx.live.find(&filter);
    let total = found.len();
    found.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    let begin = query.after.map_or(0, |after| found.partition_point(|session| session.id <= after));
    let page = &found[begin..total.min(begin + usize::from(query.limit.get()))];
    let more = begin + page.len() < total;
    Ok(Json(SessionList {
        sessions: page.iter().map(|session| session.as_ref().into()).collect(),
        total: total as u64,
        next: page.last().filter(|_| more).map(|session| session.id.clone()),
    }))
}

/// Ends sessions.
///
/// As if their connections were lost: nothing that they marked is hidden. A session that has said QUIT goes on
/// to its end. A user's sessions are ended on all proxies, and those of this proxy are counted.
#[utoipa::path(
    post, path = "/api/v1/sessions/kick", tag = "sessions", operation_id = "kick_sessions",
    request_body = Kick,
    responses((status = 200, description = "They were told to end.", body = Kicked))
)]
pub(super) async fn kick(
    State(shared): State<Shared>,
    caller: Caller,
    Json(Kick { whom, reason, dry_run }): Json<Kick>,
) -> Result<Json<Kicked>, Problem> {
    let filter = match whom {
        Whom::User(user) => Filter { user: Some(shared.canonical(&user)), ..Filter::default() },
        Whom::Session(id) => Filter { session: Some(id), ..Filter::default() },
        Whom::Network(network) => Filter { network: Some(network.get()), ..Filter::default() },
    };
    let sessions = shared.cx.live.find(&filter);
    if !dry_run {
        end(&sessions, &caller, reason.as_str());
        if let Some(user) = &filter.user {
            shared.cx.store.tell_kick(user).await;
        }
        if let Some(act) = act(&filter, &sessions) {
            note(&shared, &caller, &reason, act).await;
        }
    }
    Ok(Json(Kicked { dry_run, sessions: sessions.len() as u64 }))
}

/// What the audit trail says of it; `None` when nothing was done.
fn act<'a>(filter: &'a Filter, sessions: &'a [Arc<live::Session>]) -> Option<Act<'a>> {
    let count = match sessions.len() {
        1 => "1 session".to_owned(),
        count => format!("{count} sessions"),
    };
    let (user, detail) = match (filter, sessions) {
        // Other proxies may have some.
        (Filter { user: Some(user), .. }, _) => (Some(user.as_str()), format!("{count} on this proxy")),
        (_, []) => return None,
        (Filter { network: Some(network), .. }, _) => (None, format!("{count} from {network}")),
        (_, [session, ..]) => (Some(session.user.as_str()), format!("session {}", session.id)),
    };
    Some(Act { action: "kick", user, detail })
}

fn end(sessions: &[Arc<live::Session>], caller: &Caller, reason: &str) {
    for session in sessions {
        tracing::info!(
            actor = caller.name, reason, user = %session.user, rip = %session.peer, session = session.id,
            "a session is ended by an operator"
        );
        session.kick.cancel();
    }
}

impl Shared {
    /// The one name of a user that somebody has written in some way.
    pub(super) fn canonical(&self, user: &str) -> crate::users::UserName {
        self.cx.settings.load().names.canonical(user.as_bytes())
    }

    /// Unix seconds.
    pub(super) fn now() -> i64 {
        Timestamp::now().as_second()
    }
}
