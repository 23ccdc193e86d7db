//! The steps of a wave: which mode its members get, and when.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::policy::Mode;

/// Steps that a wave may have.
pub const STEPS_MOST: usize = 20;

/// One step of a wave: from then on all members have this mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// Which mode.
    pub mode: Mode,
}

/// The steps of a wave: 1 to 20, each later than the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "Vec<Step>", into = "Vec<Step>")]
#[schema(value_type = Vec<Step>, min_items = 1, max_items = 20)]
pub struct Steps(Vec<Step>);

/// Steps that make no wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSteps {
    /// None, or more than [`STEPS_MOST`].
    #[error("a wave has 1 to {STEPS_MOST} steps")]
    Number,
    /// One is not later than the one before.
    #[error("each step of a wave is later than the one before")]
    Order,
}

impl Steps {
    /// The steps, in the order of time.
    pub fn as_slice(&self) -> &[Step] {
        &self.0
    }
}

impl TryFrom<Vec<Step>> for Steps {
    type Error = BadSteps;

    fn try_from(steps: Vec<Step>) -> Result<Self, BadSteps> {
        if !(1..=STEPS_MOST).contains(&steps.len()) {
            Err(BadSteps::Number)
        } else if !steps.is_sorted_by(|one, next| one.at < next.at) {
            Err(BadSteps::Order)
        } else {
            Ok(Self(steps))
        }
    }
}

impl From<Steps> for Vec<Step> {
    fn from(steps: Steps) -> Self {
        steps.0
    }
}

/// A step of a wave, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StepProgress {
    /// When it is due.
    pub at: Timestamp,
    /// Which mode it sets.
    pub mode: Mode,
    /// When it fired; `null`: not yet.
    pub fired_at: Option<Timestamp>,
    /// How many users it changed; `null`: not yet.
    pub users: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(hours: impl IntoIterator<Item = i64>) -> Result<Steps, BadSteps> {
        let step =
            |hour| Step { at: Timestamp::from_second(hour * 3600).expect("a time"), mode: Mode::Notice };
        hours.into_iter().map(step).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn steps_are_few_and_in_order() {
        assert!(steps([1]).is_ok() && steps(0..20).is_ok());
        assert_eq!(steps([]), Err(BadSteps::Number));
        assert_eq!(steps(0..21), Err(BadSteps::Number));
        assert_eq!(steps([1, 1]), Err(BadSteps::Order));
        assert_eq!(steps([2, 1]), Err(BadSteps::Order));
    }
}
