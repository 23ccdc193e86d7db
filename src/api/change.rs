//! Changes of one setting: what is asked for, and what came of it.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Effective, Reason, Setting};
use crate::policy::Mode;

/// Sets the mode of a user, a domain, or everyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMode {
    /// The mode; `null`: none of its own, the next rule decides.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    pub mode: Option<Mode>,
    /// From when on; `null`: at once. Until then what is in force now stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Why.
    pub reason: Reason,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// Yes, customers may download their mail again: needed to leave `imap-only` where its response is the
    /// notice, because clients have forgotten by then what they had.
    #[serde(default)]
    pub confirm_redownload: bool,
}

/// An order that needs nothing but a reason: undo, drain, and what can be done with a wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Order {
    /// Why.
    #[param(inline)]
    pub reason: Reason,
    /// Only say what would change.
    #[serde(default)]
    #[param(required = false)]
    pub dry_run: bool,
    /// Yes, customers may download their mail again (see `SetMode`).
    #[serde(default)]
    #[param(required = false)]
    pub confirm_redownload: bool,
}

/// What became of a setting, or what would have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// The canonical name of the user, the domain, or `*`.
    #[schema(example = "jane@example.net")]
    pub subject: String,
    /// True: nothing was changed, it was only asked.
    pub dry_run: bool,
    /// The setting as it was.
    pub before: Setting,
    /// The setting as it is now, or would be.
    pub after: Setting,
    /// The mode that is then in force, and the rule that decides.
    pub effective: Effective,
    /// For a domain or everyone: how many known users have no setting of their own, and so follow this one; `null` where
    /// counting them takes too long.
    pub followers: Option<u64>,
    /// Sentences about what may surprise.
    pub warnings: Vec<String>,
}

/// Brings messages back into POP3 that were deleted there: at once where lastpop has master credentials, otherwise at
/// the customer's next login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unhide {
    /// Only messages that arrived on this day or later; `null`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Date>,
    /// Why.
    pub reason: Reason,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of an order to bring messages back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Unhidden {
    /// The canonical name.
    pub user: String,
    /// True: nothing was changed, it was only asked.
    pub dry_run: bool,
    /// Only messages that arrived on this day or later; `null`: all.
    pub since: Option<Date>,
    /// True: it is done already. False: it is done at the customer's next login, before the listing.
    pub done: bool,
    /// How many messages: those that came back when it is done, otherwise those that were hidden at the last
    /// login; `null`: not known.
    pub messages: Option<u64>,
    /// What was done, or when it will be and why not at once; whole sentences.
    #[schema(example = "3 messages are shown again.")]
    pub outcome: String,
    /// Sentences about what may surprise.
    pub warnings: Vec<String>,
}
