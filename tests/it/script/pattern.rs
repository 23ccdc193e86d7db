//! What a line from lastpop must look like: how much of it a transcript fixes, and how much it leaves open.

use std::fmt;

/// What a line from the proxy must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Any line at all.
    Any,
    /// This text and nothing else.
    Exact(String),
    /// This text, then anything.
    Prefix(String),
    /// A status indicator with its response code or first words; then the line ends or a space follows.
    Status(String),
    /// `-ERR` without a response code.
    BareError,
    /// One of these.
    Either(Vec<Pattern>),
}

impl Pattern {
    /// Reads what stands behind `S:`. Status texts are the implementation's own, so they match by their beginning;
    /// every other line must match exactly.
    pub(super) fn reply(text: &str) -> Self {
        let is_status = text.starts_with("+OK") || text.starts_with("-ERR") || text == "+";
        if is_status && text.contains(" | ") {
            return Self::Either(text.split(" | ").map(Self::reply).collect());
        }
        match text {
            "-ERR [-]" => Self::BareError,
            _ if is_status && !text.ends_with("...") => text
                .strip_suffix('$')
                .map_or_else(|| Self::Status(text.to_owned()), |all| Self::Exact(all.to_owned())),
            _ => Self::exact(text),
        }
    }

    /// Reads what stands behind `>` and its tag: exact, unless it ends with `...`.
    pub(super) fn exact(text: &str) -> Self {
        match text.strip_suffix("...") {
            Some("") => Self::Any,
            Some(start) => Self::Prefix(start.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    /// Does this line (without its line end) fit?
    pub(super) fn fits(&self, line: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => line == text.as_bytes(),
            Self::Prefix(text) => line.starts_with(text.as_bytes()),
            Self::Status(text) => {
                line.strip_prefix(text.as_bytes()).is_some_and(|rest| matches!(rest, [] | [b' ', ..]))
            }
            Self::BareError => {
                line.strip_prefix(b"-ERR").is_some_and(|rest| !rest.trim_ascii_start().starts_with(b"["))
            }
            Self::Either(patterns) => patterns.iter().any(|pattern| pattern.fits(line)),
        }
    }

    /// Is the line a status reply or a challenge, and therefore bound to ASCII and 512 octets (RFC 1939 §3)?
    pub(super) fn is_status(&self) -> bool {
        match self {
            Self::Status(_) | Self::BareError => true,
            Self::Exact(text) | Self::Prefix(text) => text.starts_with("+OK") || text.starts_with("-ERR"),
            Self::Either(patterns) => patterns.iter().any(Self::is_status),
            Self::Any => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => write!(f, "any line"),
            Self::Exact(text) => write!(f, "exactly: {text}"),
            Self::Prefix(text) | Self::Status(text) => write!(f, "beginning: {text}"),
            Self::BareError => write!(f, "-ERR without a response code"),
            Self::Either(patterns) => {
                let texts: Vec<String> = patterns.iter().map(ToString::to_string).collect();
                write!(f, "{}", texts.join(", or "))
            }
        }
    }
}

#[test]
fn patterns_know_where_a_status_ends() {
    let fits = |pattern: &str, line: &str| Pattern::reply(pattern).fits(line.as_bytes());
    assert!(fits("+OK 2 320", "+OK 2 320") && fits("+OK 2 320", "+OK 2 320 and text"));
    assert!(!fits("+OK 2 32", "+OK 2 320") && !fits("+OK", "+OKAY") && !fits("+OK 2 320$", "+OK 2 320 more"));
    assert!(
        fits("-ERR", "-ERR [AUTH] no") && !fits("-ERR [-]", "-ERR [AUTH] no") && fits("-ERR [-]", "-ERR no")
    );
    assert!(
        fits("-ERR [IN-USE] | -ERR [SYS/TEMP]", "-ERR [SYS/TEMP] busy")
            && !fits("-ERR [IN-USE] | +OK", "-ERR")
    );
    assert!(
        fits("1 120", "1 120") && !fits("1 120", "1 120 x") && fits("1 1...", "1 120") && fits("...", "")
    );
    assert!(fits("+", "+ ") && fits("+", "+ VXNlcm5hbWU6") && !fits("+", "+OK"));
}
