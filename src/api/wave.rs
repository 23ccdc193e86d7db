//! Waves: planned sets of mode changes, for many users, in dated steps.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Reason, StepProgress, Steps, Target};

/// Characters that the name of a wave may have.
const NAME_LONGEST: usize = 64;

/// The name of a wave: small letters, digits, `-`, `_` and `.`, not beginning with a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9_-][a-z0-9._-]{0,63}$", example = "2026-12-small-domains")]
pub struct WaveName(String);

/// A text that is no name of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a wave has up to {NAME_LONGEST} small letters, digits, \"-\", \"_\" and \".\", and does not \
     begin with a dot"
)]
pub struct BadWaveName;

impl WaveName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WaveName {
    type Err = BadWaveName;

    fn from_str(text: &str) -> Result<Self, BadWaveName> {
        let allowed = |octet: u8| {
            octet.is_ascii_lowercase() || octet.is_ascii_digit() || matches!(octet, b'-' | b'_' | b'.')
        };
        let good =
            (1..=NAME_LONGEST).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('.');
        if good { Ok(Self(text.to_owned())) } else { Err(BadWaveName) }
    }
}

impl TryFrom<String> for WaveName {
    type Error = BadWaveName;

    fn try_from(text: String) -> Result<Self, BadWaveName> {
        text.parse()
    }
}

impl From<WaveName> for String {
    fn from(name: WaveName) -> Self {
        name.0
    }
}

impl fmt::Display for WaveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A new wave. It does nothing before it is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWave {
    /// Its name; no other wave has it.
    pub name: WaveName,
    /// Who is in it.
    pub target: Target,
    /// What happens when.
    pub steps: Steps,
    /// Why.
    pub reason: Reason,
    /// Only check it.
    #[serde(default)]
    pub dry_run: bool,
}

/// Which wave.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub struct WavePath {
    /// The name of the wave.
    #[param(inline)]
    pub wave: WaveName,
}

/// What a wave is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaveState {
    /// Made, and not started.
    Draft,
    /// Its steps fire when their time has come.
    Running,
    /// No step fires until it is resumed.
    Paused,
    /// All steps have fired.
    Finished,
    /// Members have what they had before, unless somebody set them otherwise since.
    RolledBack,
}

impl WaveState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::RolledBack => "rolled-back",
        }
    }
}

/// A wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Wave {
    /// Its name.
    pub name: WaveName,
    /// What it is doing.
    pub state: WaveState,
    /// Who is in it.
    pub target: Target,
    /// What happens when, in the order of time.
    pub steps: Vec<StepProgress>,
    /// How many members it has; `null`: not known before it starts.
    pub members: Option<u64>,
    /// Who made it: the name of the token.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Why it was made.
    pub reason: String,
}

/// A wave that was rolled back, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RolledBack {
    /// The wave.
    #[serde(flatten)]
    pub wave: Wave,
    /// Members who have again what they had before the wave.
    pub restored: u64,
    /// Members whom the wave had changed and somebody has set since: they stay as they are.
    pub left_alone: u64,
}

/// All waves, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WaveList {
    /// The waves.
    pub waves: Vec<Wave>,
}

/// What a wave would do if it were started now; nothing is changed by looking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WavePreview {
    /// Its name.
    pub name: WaveName,
    /// Users in it.
    pub users: u64,
    /// Of these, with a session in the last day.
    pub active_1: u64,
    /// Of these, with a session in the last 7 days.
    pub active_7: u64,
    /// Of these, with a session in the last 30 days.
    pub active_30: u64,
    /// Of these, already in the last step's mode or beyond.
    pub already: u64,
    /// Of these, with a setting of their own that would be replaced.
    pub own_setting: u64,
    /// Of these, never seen over POP3 (members of a CSV only).
    pub never_seen: u64,
    /// Sentences about what may surprise.
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_waves() {
        for name in ["a", "2026-12-small-domains", "_x.y", &"z".repeat(64)] {
            assert!(name.parse::<WaveName>().is_ok(), "{name}");
        }
        for name in ["", ".", "..", "A", "a b", "a/b", "ķ", &"z".repeat(65)] {
            assert_eq!(name.parse::<WaveName>(), Err(BadWaveName), "{name}");
        }
    }
}
