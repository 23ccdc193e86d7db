//! The modes, and what is set for one subject: a user, a domain, or everyone.

use serde::{Deserialize, Serialize};

/// What POP3 does for a user, in the order in which a migration goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// As ever.
    Pop3,
    /// As ever, and a notice that asks to switch.
    Notice,
    /// Refused inside announced windows.
    Brownout,
    /// Refused, or nothing but a notice.
    ImapOnly,
}

impl Mode {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Pop3, Self::Notice, Self::Brownout, Self::ImapOnly];

    /// The word for it, everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pop3 => "pop3",
            Self::Notice => "notice",
            Self::Brownout => "brownout",
            Self::ImapOnly => "imap-only",
        }
    }

    /// The mode with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// What is set for one subject. Times are in Unix seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Setting {
    /// `None`: the next rule decides.
    pub mode: Option<Mode>,
    /// Since when.
    pub since: i64,
    /// What is planned.
    pub planned: Option<Planned>,
}

/// A change that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// As in [`Setting`].
    pub mode: Option<Mode>,
    /// From when on.
    pub from: i64,
}

impl Setting {
    /// The same with a plan whose time has come carried out.
    #[must_use]
    pub fn settled(self, now: i64) -> Self {
        match self.planned {
            Some(planned) if planned.from <= now => {
                Self { mode: planned.mode, since: planned.from, planned: None }
            }
            _ => self,
        }
    }

    /// The mode that holds now.
    pub fn at(self, now: i64) -> Option<Mode> {
        self.settled(now).mode
    }
}
