//! Why a wave cannot be made, or not do what is asked of it.

use crate::api::{WaveName, WaveState};

/// Waves that are kept; a finished one can be deleted.
pub const WAVES_MOST: i64 = 1_000;

/// What can be asked of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Fix its members, and fire its steps from now on.
    Start,
    /// Fire no step until it is resumed.
    Pause,
    /// Fire steps again.
    Resume,
    /// Give members back what they had.
    RollBack,
    /// Forget it.
    Delete,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaveError {
    /// There is none of this name.
    #[error("there is no wave {0}; look at the list of waves")]
    Unknown(WaveName),
    /// The name is taken.
    #[error("there is a wave {0} already, with another target or other steps; give the new one another name")]
    Exists(WaveName),
    /// There are [`WAVES_MOST`].
    #[error("there are {WAVES_MOST} waves already, and more are not kept; delete some that have finished")]
    TooMany,
    /// A query without a condition.
    #[error(
        "the query names no condition, so it would take everyone; if that is meant, take the domain \"*\""
    )]
    NoCondition,
    /// Members are sent for a wave whose target is no list.
    #[error(
        "the members of the wave {0} are worked out when it starts; only a wave whose target is csv is sent a list"
    )]
    NoList(WaveName),
    /// Members are sent for a wave that was started.
    #[error(
        "the wave {0} has started, and its members are fixed; make another wave for those who are missing"
    )]
    MembersFixed(WaveName),
    /// It would do nothing for nobody.
    #[error(
        "nobody is in the wave {0}, so there is nothing to start; send its list, or make one with another target"
    )]
    NoMembers(WaveName),
    /// The wave is not in a state for it.
    #[error("the wave {name} {is} and cannot be {done}; {next}")]
    State {
        /// Its name.
        name: WaveName,
        /// What it is doing.
        is: &'static str,
        /// What is asked of it.
        done: &'static str,
        /// What to do instead.
        next: &'static str,
    },
}

impl Act {
    /// The word in the audit trail.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::RollBack => "rollback",
            Self::Delete => "delete",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::RollBack => "rolled back",
            Self::Delete => "deleted",
        }
    }

    /// Does it change a wave in this state? If it may not, what to do instead.
    fn on(self, state: WaveState) -> Result<bool, &'static str> {
        use WaveState::{Draft, Finished, Paused, RolledBack, Running};
        match (self, state) {
            (Self::Start, Draft)
            | (Self::Pause, Running)
            | (Self::Resume, Paused)
            | (Self::RollBack, Running | Paused | Finished)
            | (Self::Delete, Draft | Finished | RolledBack) => Ok(true),
            (Self::Start | Self::Resume, Running) | (Self::Pause, Paused) | (Self::RollBack, RolledBack) => {
                Ok(false)
            }
            (Self::Start, Paused) => Err("resume it"),
            (Self::Pause | Self::Resume, Draft) => Err("start it first"),
            (Self::RollBack, Draft) => Err("it has changed nobody: delete it"),
            (Self::Delete, Running | Paused) => Err("roll it back, or let it finish"),
            (Self::Start | Self::Pause | Self::Resume, Finished | RolledBack) => Err("make a new one"),
        }
    }

    /// Does it change the wave `name` in this state?
    pub(super) fn changes(self, name: &WaveName, state: WaveState) -> Result<bool, WaveError> {
        let is = match state {
            WaveState::Draft => "is a draft",
            WaveState::Running => "is running",
            WaveState::Paused => "is paused",
            WaveState::Finished => "has finished",
            WaveState::RolledBack => "was rolled back",
        };
        let refused = |next| WaveError::State { name: name.clone(), is, done: self.done(), next };
        self.on(state).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_asked_of_a_wave() {
        use WaveState::{Draft, Finished, Paused, RolledBack, Running};
        let name: WaveName = "w".parse().unwrap();
        let (yes, nothing, no) = (Some(true), Some(false), None);
        for (act, on) in [
            (Act::Start, [yes, nothing, no, no, no]),
            (Act::Pause, [no, yes, nothing, no, no]),
            (Act::Resume, [no, nothing, yes, no, no]),
            (Act::RollBack, [no, yes, yes, yes, nothing]),
            (Act::Delete, [yes, no, no, yes, yes]),
        ] {
            let states = [Draft, Running, Paused, Finished, RolledBack];
            assert_eq!(states.map(|state| act.changes(&name, state).ok()), on, "{act:?}");
        }
        let error = Act::Start.changes(&name, Paused).unwrap_err().to_string();
        assert_eq!(error, "the wave w is paused and cannot be started; resume it");
    }
}
