//! One user and lists of users: the setting, the mode that is in force and why, and the usage.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::PageLimit;
use crate::policy::Mode;

/// What somebody has set for a user, a domain, or everyone. A new command replaces all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Setting {
    /// The mode; `null`: none of its own, the next rule decides.
    pub mode: Option<Mode>,
    /// Since when; `null` where nothing was ever set, or is only planned.
    pub since: Option<Timestamp>,
    /// What it becomes, and when; `null`: nothing is planned.
    pub planned: Option<Planned>,
}

/// A change that takes effect by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Planned {
    /// The mode from then on; `null`: none of its own, the next rule decides.
    pub mode: Option<Mode>,
    /// From when on.
    pub from: Timestamp,
}

/// Which rule decides the mode, from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The user's own setting.
    User,
    /// The setting of the domain, made by a command.
    Domain,
    /// `mode` of the domain in the configuration file.
    DomainConfig,
    /// The setting of everyone (`*`), made by a command.
    Everyone,
    /// `policy.mode` in the configuration file.
    Config,
}

impl Rule {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Domain => "domain",
            Self::DomainConfig => "domain-config",
            Self::Everyone => "everyone",
            Self::Config => "config",
        }
    }
}

/// The mode that a login now would meet, and which rule says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Effective {
    /// The mode.
    pub mode: Mode,
    /// The rule that decides.
    pub rule: Rule,
}

/// How a user uses POP3. Counts are of all time, and begin with the first login through lastpop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Usage {
    /// The first login over POP3; `null`: never.
    pub first_seen: Option<Timestamp>,
    /// The last login over POP3; `null`: never.
    pub last_seen: Option<Timestamp>,
    /// The address that the last session came from.
    #[schema(example = "192.0.2.7")]
    pub address: Option<String>,
    /// The TLS version of the last session; `null`: it had none.
    #[schema(example = "TLSv1.3")]
    pub tls: Option<String>,
    /// How the last session logged in: `USER`, or the SASL mechanism.
    #[schema(example = "PLAIN")]
    pub method: Option<String>,
    /// Sessions.
    pub sessions: u64,
    /// Messages that were retrieved, notices not counted.
    pub messages: u64,
    /// Octets that were retrieved.
    pub octets: u64,
    /// Messages that were deleted over POP3 (which hides them), notices not counted.
    pub deleted: u64,
    /// Logins that were refused because of the mode.
    pub refused: u64,
    /// The last of these.
    pub last_refused: Option<Timestamp>,
    /// Messages in the maildrop of the last session.
    pub maildrop_messages: Option<u64>,
    /// Their octets.
    pub maildrop_octets: Option<u64>,
    /// Messages that are hidden from POP3 and still in the mailbox.
    pub hidden_messages: Option<u64>,
    /// Their octets.
    pub hidden_octets: Option<u64>,
    /// What the upstream says of the mailbox's quota; `null`: nothing.
    pub quota: Option<Quota>,
    /// Seconds between polls, as a rule.
    pub poll_interval: Option<u64>,
    /// Does the client leave mail on the server? `null`: not known yet.
    pub keeps_mail: Option<bool>,
    /// The guess at which client it is; `unknown` when unsure.
    #[schema(example = "thunderbird")]
    pub family: Option<String>,
}

/// The quota of a mailbox, by the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Quota {
    /// Octets in use.
    pub used: u64,
    /// Octets allowed.
    pub limit: u64,
    /// When the upstream said so.
    pub at: Timestamp,
}

/// One user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct User {
    /// The canonical name.
    #[schema(example = "jane@example.net")]
    pub user: String,
    /// The part behind the last `@`; empty when there is none.
    #[schema(example = "example.net")]
    pub domain: String,
    /// What is set for this user.
    pub setting: Setting,
    /// What is in force.
    pub effective: Effective,
    /// The language of notices and refusals, as a BCP 47 tag; `null`: the domain's.
    #[schema(example = "lv")]
    pub language: Option<String>,
    /// The campaign whose notice the customer has deleted last; `null`: none.
    pub notice_dismissed: Option<String>,
    /// The campaign whose last message (mode `imap-only`) the customer has deleted last; `null`: none.
    pub farewell_dismissed: Option<String>,
    /// Hidden messages since this day are brought back at the next login, `1970-01-01` meaning all; `null`:
    /// none are.
    pub unhide_since: Option<Date>,
    /// How this user uses POP3.
    pub usage: Usage,
}

/// One user, and why the mode is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UserDetail {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// Sentences, from what is in force to what else was looked at and what is planned.
    pub explanation: Vec<String>,
}

/// A page of users, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UserList {
    /// The users.
    pub users: Vec<User>,
    /// What to send as `after` for the next page; `null`: this is the last.
    pub next: Option<String>,
}

/// Which user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub struct UserPath {
    /// The name, in any spelling: as one segment of the path, so that a `/` in it is written `%2F`.
    #[param(
        min_length = 1,
        max_length = 766,
        pattern = r"^[^\x00\r\n]*[^\s\x00][^\x00\r\n]*$",
        example = "jane@example.net"
    )]
    pub user: String,
}

/// Which users, and which page of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// Only users whose name contains this.
    pub search: Option<String>,
    /// Only users of this domain; empty: only those without one.
    pub domain: Option<String>,
    /// Only users for whom this mode is in force.
    #[param(inline)]
    pub mode: Option<Mode>,
    /// Only users whose last login over POP3 was before this, or who never logged in.
    pub seen_before: Option<Timestamp>,
    /// Only users whose last login over POP3 was at this time or later.
    pub seen_after: Option<Timestamp>,
    /// Only users with this client family.
    pub family: Option<String>,
    /// The number of users in one answer.
    #[serde(default)]
    #[param(inline, required = false)]
    pub limit: PageLimit,
    /// `next` of the page before.
    pub after: Option<String>,
}

impl UserQuery {
    /// Which users, without the page.
    pub fn filter(self) -> UserFilter {
        let Self { search, domain, mode, seen_before, seen_after, family, limit: _, after: _ } = self;
        UserFilter { search, domain, mode, seen_before, seen_after, family }
    }
}

/// Which users: those for whom all of it holds. Fields are those of [`UserQuery`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Part of the name.
    pub search: Option<String>,
    /// The domain; empty: none.
    pub domain: Option<String>,
    /// The mode in force.
    pub mode: Option<Mode>,
    /// Last seen before this, or never.
    pub seen_before: Option<Timestamp>,
    /// Last seen at this time or later.
    pub seen_after: Option<Timestamp>,
    /// The client family.
    pub family: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_one_word() {
        for rule in [Rule::User, Rule::Domain, Rule::DomainConfig, Rule::Everyone, Rule::Config] {
            assert_eq!(serde_json::to_value(rule).expect("JSON"), rule.as_str());
        }
    }
}
