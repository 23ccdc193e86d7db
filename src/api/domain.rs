//! Domains, and everyone (`*`): their settings and how many users they have.

use serde::{Deserialize, Serialize};

use super::{Effective, PageLimit, Setting};
use crate::policy::Mode;

/// A domain that has users, a setting, or a section in the configuration; or `*` for everyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DomainRow {
    /// The domain; `*`: everyone; empty: the users without one.
    #[schema(example = "example.net")]
    pub domain: String,
    /// What is set for it by a command.
    pub setting: Setting,
    /// What the configuration file says of it; `null`: nothing.
    pub configured: Option<Mode>,
    /// The mode of its users that have no setting of their own, and the rule that decides.
    pub effective: Effective,
    /// Known users, as of the last summary.
    pub users: u64,
    /// Users with a session in the last 30 days, as of the last summary.
    pub active_30: u64,
}

/// A page of domains, `*` first, then in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DomainList {
    /// The domains.
    pub domains: Vec<DomainRow>,
    /// What to send as `after` for the next page; `null`: this is the last.
    pub next: Option<String>,
}

/// Which domain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub struct DomainPath {
    /// The domain, or `*` for everyone.
    #[param(min_length = 1, max_length = 253, example = "example.net")]
    pub domain: String,
}

/// Which page of the domains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DomainQuery {
    /// The number of domains in one answer.
    #[serde(default)]
    #[param(inline, required = false)]
    pub limit: PageLimit,
    /// `next` of the page before.
    pub after: Option<String>,
}
