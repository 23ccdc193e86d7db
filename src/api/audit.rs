//! The audit trail: who changed what, when, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::PageLimit;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// Its id; later entries have greater ones.
    #[schema(example = "000000000001/jane@example.net")]
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// Who: the name of the token, or `wave` and its name for what a wave did.
    #[schema(example = "support-desk")]
    pub actor: String,
    /// What was done: `set`, `undo`, `import`, `wave` (a step of one), `rollback`, `unhide`, `kick`, `drain`, and to
    /// waves themselves `create`, `members`, `start`, `pause`, `resume`, `step`, `delete`.
    #[schema(example = "set")]
    pub action: String,
    /// To what: `user`, `domain` (everyone as well), `wave`, or `proxy` (which is called as its host).
    #[schema(example = "user")]
    pub kind: String,
    /// To which.
    #[schema(example = "jane@example.net")]
    pub subject: String,
    /// The setting before: a mode, `-` for none of its own, and a plan as in
    /// `notice>imap-only@2027-01-31T22:00:00Z`; `null` where the action changes no setting.
    #[schema(example = "pop3")]
    pub before: Option<String>,
    /// The setting since, in the same form; where the action changes no setting, what else there is to say, such as
    /// who is in a wave.
    #[schema(example = "pop3>imap-only@2026-12-01T00:00:00Z")]
    pub after: Option<String>,
    /// Why.
    pub reason: String,
    /// What this was a part of: all changes of one import or one step of a wave have the same, and what was done alone
    /// is a batch of its own.
    #[schema(example = "000000000001")]
    pub batch: String,
}

/// A page of the audit trail, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditList {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// What to send as `after` for the next page, which is older; `null`: this is the last.
    pub next: Option<String>,
}

/// Which entries, and which page of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only entries about this user, domain, wave or proxy. The history of one user does not look at it.
    pub subject: Option<String>,
    /// Only entries of this batch.
    pub batch: Option<String>,
    /// The number of entries in one answer.
    #[serde(default)]
    #[param(inline, required = false)]
    pub limit: PageLimit,
    /// `next` of the page before.
    pub after: Option<String>,
}
