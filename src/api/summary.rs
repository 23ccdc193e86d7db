//! How far the migration is: the state of today, and the days before.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::policy::Mode;

/// Days that one answer about the past may hold: three years.
pub const DAYS_MOST: u16 = 1_096;

/// How far the migration is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Summary {
    /// When this was counted.
    pub as_of: Timestamp,
    /// Known users.
    pub users: u64,
    /// Known users by the mode that is in force, all four modes in their order.
    pub modes: Vec<ModeCount>,
    /// Users with a session in the last 1, 7, 30 and 90 days.
    pub active: ActiveUsers,
    /// The domains with the most active users; what does not fit is summed up as `_other`.
    pub domains: Vec<DomainCount>,
    /// Users with a session in the last 30 days, by client family, the greatest first.
    pub families: Vec<NamedCount>,
    /// The same by the TLS version of their last session; `none` without TLS.
    pub tls: Vec<NamedCount>,
    /// Users refused because of their mode in the last 30 days: their clients still knock.
    pub knocking: u64,
    /// Messages that are hidden from POP3 and still in the mailboxes.
    pub hidden_messages: u64,
    /// Their octets.
    pub hidden_octets: u64,
    /// Mailboxes over 80 % of their quota.
    pub nearly_full: u64,
}

/// Users in a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModeCount {
    /// The mode.
    pub mode: Mode,
    /// The users.
    pub users: u64,
}

/// Users with a session within a window of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ActiveUsers {
    /// In the last day.
    #[serde(rename = "1d")]
    pub day: u64,
    /// In the last 7 days.
    #[serde(rename = "7d")]
    pub days_7: u64,
    /// In the last 30 days.
    #[serde(rename = "30d")]
    pub days_30: u64,
    /// In the last 90 days.
    #[serde(rename = "90d")]
    pub days_90: u64,
}

/// Users of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DomainCount {
    /// The domain.
    pub domain: String,
    /// Its known users.
    pub users: u64,
    /// Those with a session in the last 30 days.
    pub active_30: u64,
}

/// Users by some word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NamedCount {
    /// The word.
    pub name: String,
    /// The users.
    pub users: u64,
}

/// One day of a domain, or of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Daily {
    /// The day, in UTC.
    pub day: Date,
    /// The domain; `*`: all together.
    pub domain: String,
    /// Users with a session on this day.
    pub active_1: u64,
    /// Users with a session in the 7 days up to this one.
    pub active_7: u64,
    /// Users with a session in the 30 days up to this one.
    pub active_30: u64,
    /// Sessions.
    pub sessions: u64,
    /// Messages that were retrieved, notices not counted.
    pub messages: u64,
    /// Octets that were retrieved.
    pub octets: u64,
    /// Messages that were deleted over POP3, notices not counted.
    pub deleted: u64,
    /// Logins that were refused because of the mode.
    pub refused: u64,
}

/// Days, oldest first. A day on which nothing happened may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DailyList {
    /// The days.
    pub days: Vec<Daily>,
}

/// Which days, and whose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DailyQuery {
    /// The first day; without it 30 days before the last one. At most 1,096 days are answered.
    pub from: Option<Date>,
    /// The last day; without it today.
    pub to: Option<Date>,
    /// Only this domain; without it all together (`*`).
    pub domain: Option<String>,
}
