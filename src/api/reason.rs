//! Why somebody changes something: required, because the audit trail is read by others later.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Characters that a reason may have.
pub const REASON_LONGEST: usize = 500;

/// Why something is changed: one line that is not blank, at most 500 characters. The audit trail keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(
    value_type = String,
    min_length = 1,
    max_length = 500,
    pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
    example = "ticket 4711: customer has moved to IMAP"
)]
pub struct Reason(String);

/// A text that says no reason, or that would spoil the list it is shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReason {
    /// Nothing but blanks.
    #[error("a reason is needed, such as \"ticket 4711\": it is kept in the audit trail")]
    Blank,
    /// More characters than [`REASON_LONGEST`].
    #[error("the reason is too long: at most {REASON_LONGEST} characters are kept")]
    TooLong,
    /// A line break or another control character.
    #[error("the reason must be one line without control characters")]
    Control,
}

impl Reason {
    /// The text, without blanks around it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = BadReason;

    fn from_str(text: &str) -> Result<Self, BadReason> {
        if text.chars().count() > REASON_LONGEST {
            Err(BadReason::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(BadReason::Control)
        } else if text.trim().is_empty() {
            Err(BadReason::Blank)
        } else {
            Ok(Self(text.trim().to_owned()))
        }
    }
}

impl TryFrom<String> for Reason {
    type Error = BadReason;

    fn try_from(text: String) -> Result<Self, BadReason> {
        text.parse()
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_says_something() {
        assert_eq!(" ticket 1 ".parse::<Reason>().expect("a reason").as_str(), "ticket 1");
        assert!("ķ".repeat(REASON_LONGEST).parse::<Reason>().is_ok());
        for (text, error) in [
            ("", BadReason::Blank),
            (" \u{2003} ", BadReason::Blank),
            ("a\nb", BadReason::Control),
            ("a\u{1b}[2J", BadReason::Control),
            (&"x".repeat(REASON_LONGEST + 1), BadReason::TooLong),
        ] {
            assert_eq!(text.parse::<Reason>(), Err(error), "{text:?}");
        }
        assert!(serde_json::from_str::<Reason>("\" \"").is_err());
    }
}
