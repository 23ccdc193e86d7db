//! Modes that were changed.

use prometheus::{Error, IntCounterVec, Opts};

use super::Register;
use crate::policy::Mode;

/// Whose setting it can be.
const SUBJECTS: [&str; 2] = ["user", "domain"];

/// Changes of policy.
#[derive(Debug)]
pub struct Policy {
    /// Changes of a setting, by whose it is and the modes in force before and after.
    pub changes: IntCounterVec,
}

impl Policy {
    pub(super) fn new(to: &Register) -> Result<Self, Error> {
        let opts = Opts::new(
            "lastpop_mode_changes_total",
            "Settings that were changed, by subject and the mode in force before and after.",
        );
        let changes = to.add(IntCounterVec::new(opts, &["subject", "from", "to"])?)?;
        for (subject, from) in SUBJECTS.iter().flat_map(|subject| Mode::ALL.map(|from| (subject, from))) {
            for mode in Mode::ALL {
                changes.with_label_values(&[*subject, from.as_str(), mode.as_str()]);
            }
        }
        Ok(Self { changes })
    }
}
