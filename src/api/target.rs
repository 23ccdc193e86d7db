//! Who is in a wave: the users of a CSV, of a domain, a share of them, or those for whom something holds.

use serde::{Deserialize, Serialize};

use crate::policy::Mode;

/// Who is in a wave. Members are fixed when it starts; those of a CSV are sent before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Target {
    /// The users whom a CSV names (`PUT …/members`).
    Csv,
    /// All known users of this domain; `*`: all known users.
    Domain(String),
    /// A share of the known users of a domain: always the same users for the same share, and a greater share
    /// contains a smaller one.
    Share {
        /// The domain; `*`: of all known users.
        domain: String,
        /// The share.
        percent: Percent,
    },
    /// The known users for whom all of this holds when the wave starts.
    Query(WaveUsers),
}

/// Which users a wave takes: those for whom all of it holds. At least one condition is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WaveUsers {
    /// Only users of this domain.
    #[schema(pattern = r"^[^\x00]*$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Only users for whom this mode is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Only users with this client family.
    #[schema(pattern = r"^[^\x00]*$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Only users without a login over POP3 for so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_seen_for: Option<Days>,
    /// Only users with a login over POP3 within so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_within: Option<Days>,
}

impl WaveUsers {
    /// No condition at all: that would be everyone, which nobody asks for by leaving something out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A share of the users, in percent: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schema(value_type = u8, minimum = 1, maximum = 100, example = 10)]
pub struct Percent(u8);

/// A number that is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a share is a number of percent from 1 to 100")]
pub struct BadPercent;

impl Percent {
    /// The number of percent.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Percent {
    type Error = BadPercent;

    fn try_from(percent: u8) -> Result<Self, BadPercent> {
        if (1..=100).contains(&percent) { Ok(Self(percent)) } else { Err(BadPercent) }
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

/// A number of days back from now: 1 to 3,650.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "u16", into = "u16")]
#[schema(value_type = u16, minimum = 1, maximum = 3650, example = 30)]
pub struct Days(u16);

/// Ten years: nothing older is kept.
const DAYS_BACK: u16 = 3_650;

/// A number of days that is none, or goes back too far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of days from 1 to {DAYS_BACK}")]
pub struct BadDays;

impl Days {
    /// The number of days.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Days {
    type Error = BadDays;

    fn try_from(days: u16) -> Result<Self, BadDays> {
        if (1..=DAYS_BACK).contains(&days) { Ok(Self(days)) } else { Err(BadDays) }
    }
}

impl From<Days> for u16 {
    fn from(days: Days) -> Self {
        days.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_on_the_wire() {
        let not_seen_for = Days::try_from(30).ok();
        for (target, text) in [
            (Target::Csv, r#""csv""#),
            (Target::Domain("example.net".to_owned()), r#"{"domain":"example.net"}"#),
            (
                Target::Share { domain: "example.net".to_owned(), percent: Percent(10) },
                r#"{"share":{"domain":"example.net","percent":10}}"#,
            ),
            (
                Target::Query(WaveUsers { not_seen_for, ..WaveUsers::default() }),
                r#"{"query":{"not_seen_for":30}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&target).expect("JSON"), text);
            assert_eq!(serde_json::from_str::<Target>(text).expect(text), target);
        }
        for text in [
            r#"{"csv":{}}"#,
            r#"{"share":{"domain":"x","percent":0}}"#,
            r#"{"share":{"domain":"x","percent":101}}"#,
            r#"{"share":{"domain":"x","percent":1,"more":1}}"#,
            r#"{"query":{"domian":"x"}}"#,
            r#"{"query":{"not_seen_for":0}}"#,
            r#"{"domain":"x","query":{}}"#,
        ] {
            assert!(serde_json::from_str::<Target>(text).is_err(), "{text}");
        }
    }
}
