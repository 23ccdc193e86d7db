//! The modes, and one rule about them: which mode it says, since when, and what is planned after it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::instant;

/// What POP3 does for a user. Each takes more away than the one before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everything, as ever.
    Pop3,
    /// Everything, and one more message: the notice.
    Notice,
    /// As with a notice, but nothing inside the announced windows.
    Brownout,
    /// Nothing; the [`Response`] says how.
    ImapOnly,
}

impl Mode {
    /// All, from the one that takes nothing away on.
    pub const ALL: [Self; 4] = [Self::Pop3, Self::Notice, Self::Brownout, Self::ImapOnly];

    /// The word in configuration, state, API and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pop3 => "pop3",
            Self::Notice => "notice",
            Self::Brownout => "brownout",
            Self::ImapOnly => "imap-only",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no mode: it is \"pop3\", \"notice\", \"brownout\" or \"imap-only\"")]
pub struct UnknownMode(String);

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(word: &str) -> Result<Self, UnknownMode> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word).ok_or_else(|| UnknownMode(word.to_owned()))
    }
}

/// What a user of the mode `imap-only` sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Response {
    /// The login is refused with a sentence.
    Refuse,
    /// A maildrop with one message, the notice.
    Notice,
}

/// One rule: what a user, a domain or everyone was set to by the last command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Setting {
    /// `None`: the next rule is asked.
    pub mode: Option<Mode>,
    /// Since when, in Unix seconds; 0 where it says nothing and never did: there may be a plan all the same.
    pub since: i64,
    /// What takes its place later.
    pub planned: Option<Planned>,
}

/// What takes the place of a setting's mode, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// `None`: from then on the next rule is asked.
    pub mode: Option<Mode>,
    /// From this moment on, in Unix seconds.
    pub from: i64,
}

impl Setting {
    /// What the rule says at `now`; `None`: the next one is asked.
    pub fn at(&self, now: i64) -> Option<Mode> {
        self.settled(now).mode
    }

    /// Since when, if it was ever carried out.
    pub fn set_at(&self) -> Option<i64> {
        (self.since != 0).then_some(self.since)
    }

    /// The same rule, where a plan whose time has come is the mode, and no plan any more.
    #[must_use]
    pub fn settled(self, now: i64) -> Self {
        match self.planned {
            Some(Planned { mode, from }) if from <= now => Self { mode, since: from, planned: None },
            _ => self,
        }
    }

    /// Reads what `Display` wrote. The text has no `since`: whoever restores a rule makes a new one.
    ///
    /// ```abnf
    /// setting = mode [">" mode "@" rfc3339]
    /// mode    = "-" / "pop3" / "notice" / "brownout" / "imap-only"
    /// ```
    pub fn parse(text: &str, since: i64) -> Result<Self, NotASetting> {
        let wrong = || NotASetting(text.to_owned());
        let mode = |word: &str| match word {
            "-" => Ok(None),
            word => word.parse().map(Some).map_err(|_| wrong()),
        };
        let (now, planned) = text.split_once('>').map_or((text, None), |(now, then)| (now, Some(then)));
        let planned = planned.map(|planned| {
            let (word, from) = planned.split_once('@').ok_or_else(wrong)?;
            let from: Timestamp = from.parse().map_err(|_| wrong())?;
            Ok(Planned { mode: mode(word)?, from: from.as_second() })
        });
        Ok(Self { mode: mode(now)?, since, planned: planned.transpose()? })
    }
}

/// A text that is no [`Setting`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no setting: expected such as \"notice\" or \"notice>imap-only@2027-01-31T22:00:00Z\"")]
pub struct NotASetting(String);

/// The text of audit entries: `-` (asks the next rule), `notice`, `notice>imap-only@2027-01-31T22:00:00Z`.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |mode: Option<Mode>| mode.map_or("-", Mode::as_str);
        f.write_str(word(self.mode))?;
        match self.planned {
            Some(Planned { mode, from }) => write!(f, ">{}@{}", word(mode), instant(from)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOTICE_THEN_IMAP: Setting = Setting {
        mode: Some(Mode::Notice),
        since: 5,
        planned: Some(Planned { mode: Some(Mode::ImapOnly), from: 100 }),
    };

    #[test]
    fn one_word_for_each_mode_everywhere() {
        for mode in Mode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
            assert_eq!(serde_json::from_value::<Mode>(mode.as_str().into()).unwrap(), mode);
        }
        assert!(Mode::ALL.is_sorted());
        for word in ["", "POP3", "imap", "imap_only", "-"] {
            assert_eq!(word.parse::<Mode>(), Err(UnknownMode(word.to_owned())));
        }
    }

    #[test]
    fn a_plan_holds_from_its_moment_on() {
        assert_eq!(NOTICE_THEN_IMAP.at(99), Some(Mode::Notice));
        assert_eq!(NOTICE_THEN_IMAP.at(100), Some(Mode::ImapOnly));
        assert_eq!(NOTICE_THEN_IMAP.settled(99), NOTICE_THEN_IMAP);
        let settled = Setting { mode: Some(Mode::ImapOnly), since: 100, planned: None };
        assert_eq!(NOTICE_THEN_IMAP.settled(100), settled);
        assert_eq!(settled.settled(i64::MAX), settled);
        let ends = Setting { planned: Some(Planned { mode: None, from: 100 }), ..NOTICE_THEN_IMAP };
        assert_eq!((ends.at(99), ends.at(100)), (Some(Mode::Notice), None));
    }

    #[test]
    fn texts_of_settings() {
        let table = [
            (None, None, "-"),
            (Some(Mode::Notice), None, "notice"),
            (
                Some(Mode::Notice),
                Some((Some(Mode::ImapOnly), 1_801_432_800)),
                "notice>imap-only@2027-01-31T22:00:00Z",
            ),
            (Some(Mode::ImapOnly), Some((None, 0)), "imap-only>-@1970-01-01T00:00:00Z"),
        ];
        for (mode, planned, text) in table {
            let planned = planned.map(|(mode, from)| Planned { mode, from });
            let setting = Setting { mode, since: 7, planned };
            assert_eq!(setting.to_string(), text);
            assert_eq!(Setting::parse(text, 7), Ok(setting));
        }
        for text in
            ["", "x", "notice>", "notice>imap-only", "notice>imap-only@", "notice>imap-only@tomorrow", " -"]
        {
            assert!(Setting::parse(text, 0).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_setting_survives_its_text(
            mode in proptest::option::of(proptest::sample::select(&Mode::ALL[..])),
            then in proptest::option::of(proptest::option::of(proptest::sample::select(&Mode::ALL[..]))),
            from in -62_000_000_000i64..253_000_000_000,
            since: i64,
        ) {
            let setting = Setting { mode, since, planned: then.map(|mode| Planned { mode, from }) };
            prop_assert_eq!(Setting::parse(&setting.to_string(), since), Ok(setting));
        }
    }
}
