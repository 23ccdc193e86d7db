//! Sessions that are under way: who is here, and sending them away.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Network, PageLimit, Reason};
use crate::policy::Mode;

/// A session that is under way on this proxy, and logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Session {
    /// Its id, as in the log.
    pub session: String,
    /// The canonical name of the user.
    #[schema(example = "jane@example.net")]
    pub user: String,
    /// The client's address.
    #[schema(example = "192.0.2.7")]
    pub address: String,
    /// The TLS version; `null`: none.
    #[schema(example = "TLSv1.3")]
    pub tls: Option<String>,
    /// Since when it is connected.
    pub since: Timestamp,
    /// The mode that was decided at its login.
    pub mode: Mode,
    /// Messages retrieved so far.
    pub messages: u64,
    /// Octets retrieved so far.
    pub octets: u64,
    /// Messages marked as deleted so far.
    pub deleted: u64,
}

/// A page of the sessions of this proxy, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionList {
    /// The sessions.
    pub sessions: Vec<Session>,
    /// How many there are in all, for this question.
    pub total: u64,
    /// What to send as `after` for the next page; `null`: this is the last.
    pub next: Option<String>,
}

/// Which sessions, and which page of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// Only sessions of this user.
    #[param(example = "jane@example.net")]
    pub user: Option<String>,
    /// Only sessions from this network.
    #[param(inline, example = "192.0.2.0/24")]
    pub network: Option<Network>,
    /// The number of sessions in one answer.
    #[serde(default)]
    #[param(inline, required = false)]
    pub limit: PageLimit,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// Ends sessions, as `{"whom": {"user": "jane@example.net"}, "reason": "…"}`: those of a user on all proxies, others on
/// this one. Marked messages are not hidden, because there was no QUIT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"whom": {"user": "jane@example.net"}, "reason": "ticket 4711: the password was stolen"}))]
pub struct Kick {
    /// Whose.
    pub whom: Whom,
    /// Why.
    pub reason: Reason,
    /// Only say how many.
    #[serde(default)]
    pub dry_run: bool,
}

/// Whose sessions end: one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Whom {
    /// All sessions of this user, on all proxies.
    User(String),
    /// The session with this id.
    Session(String),
    /// All sessions from this network.
    Network(Network),
}

/// How many sessions were ended, or would have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Kicked {
    /// True: none was ended, it was only asked.
    pub dry_run: bool,
    /// How many, on this proxy.
    pub sessions: u64,
}

/// This proxy takes no new connections and ends when its sessions have, as after SIGTERM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Draining {
    /// True: it goes on as before, it was only asked.
    pub dry_run: bool,
    /// Sessions that are under way.
    pub sessions: u64,
    /// When those that are left are cut off at the latest.
    pub until: Timestamp,
}
