//! Which mail program was this? A guess from the order of a session's commands, `unknown` when unsure.
//!
//! No program says its name over POP3, but some have a habit that no other one has: fetchmail asks for 99999999
//! lines, getmail lists everything twice. A row of the table in `rules.rs` stands on such a habit and on nothing
//! less, for a wrong name is worse than none. An order that any simple program would choose (USER, PASS, STAT,
//! UIDL, LIST, RETR) has no row, whoever was seen with it. So the same program is often unknown when there was no
//! new mail; [`Family::remember`] keeps what an earlier session told.
//!
//! What counts is the order before and after login, the form of the arguments, and whether commands came ahead of
//! replies. STLS starts afresh, so that a program has one order with and without TLS. The version of TLS and the
//! time between sessions tell programs apart badly, and are not used.
//!
//! Every row was made from sessions of the real program, kept in `tests/family`. What could not be recorded, such
//! as Outlook and Apple Mail, comes out as `unknown` until somebody does so: with `log.level = "debug"` each
//! session of a user ends with a line `commands` that shows its [`Trace`] in the words of this table; take
//! sessions with and without new mail, and compare them with all that are there.

mod rules;
pub mod trace;

use std::fmt;
use std::str::FromStr;

use rules::RULES;
pub use trace::Trace;

/// A mail program, or several that are alike over POP3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// curl, or a program on its library.
    Curl,
    /// Emacs (`pop3.el`: Gnus, Rmail).
    Emacs,
    /// GNOME Evolution, or another program on its library Camel.
    Evolution,
    /// fdm.
    Fdm,
    /// fetchmail.
    Fetchmail,
    /// getmail.
    Getmail,
    /// A program on the c-client library: Alpine, Pine, PHP's imap extension.
    CClient,
    /// A Java program on `JavaMail` (Jakarta Mail).
    JavaMail,
    /// Mailfilter.
    Mailfilter,
    /// GNU Mailutils, with its movemail.
    Mailutils,
    /// mpop.
    Mpop,
    /// Mutt or `NeoMutt`.
    MuttOrNeomutt,
    /// A Perl program on `Mail::Box`.
    PerlMailBox,
    /// S-nail.
    SNail,
    /// Thunderbird.
    Thunderbird,
    /// Thunderbird, or mpop over TLS: alike until something is deleted or several messages are asked for at once.
    ThunderbirdOrMpop,
    /// Nobody can tell.
    #[default]
    Unknown,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 17] = [
        Self::Curl,
        Self::Emacs,
        Self::Evolution,
        Self::Fdm,
        Self::Fetchmail,
        Self::Getmail,
        Self::CClient,
        Self::JavaMail,
        Self::Mailfilter,
        Self::Mailutils,
        Self::Mpop,
        Self::MuttOrNeomutt,
        Self::PerlMailBox,
        Self::SNail,
        Self::Thunderbird,
        Self::ThunderbirdOrMpop,
        Self::Unknown,
    ];

    /// The name in logs, metrics and the state.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Emacs => "emacs",
            Self::Evolution => "evolution",
            Self::Fdm => "fdm",
            Self::Fetchmail => "fetchmail",
            Self::Getmail => "getmail",
            Self::CClient => "c-client",
            Self::JavaMail => "javamail",
            Self::Mailfilter => "mailfilter",
            Self::Mailutils => "mailutils",
            Self::Mpop => "mpop",
            Self::MuttOrNeomutt => "mutt-or-neomutt",
            Self::PerlMailBox => "perl-mail-box",
            Self::SNail => "s-nail",
            Self::Thunderbird => "thunderbird",
            Self::ThunderbirdOrMpop => "thunderbird-or-mpop",
            Self::Unknown => "unknown",
        }
    }

    /// What to remember of a user known by earlier sessions (`self`) after one more: the newest name, unless
    /// the last session only told less than that.
    #[must_use]
    pub const fn remember(self, now: Self) -> Self {
        match (self, now) {
            (_, Self::Unknown) | (Self::Thunderbird | Self::Mpop, Self::ThunderbirdOrMpop) => self,
            _ => now,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no family.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no client family; write one of those that are listed with the users, or \"unknown\"")]
pub struct NoFamily(String);

impl FromStr for Family {
    type Err = NoFamily;

    fn from_str(word: &str) -> Result<Self, NoFamily> {
        Self::ALL.into_iter().find(|family| family.as_str() == word).ok_or_else(|| NoFamily(word.to_owned()))
    }
}

/// The program that did this, if there is only one that would.
pub fn guess(trace: &Trace) -> Family {
    RULES.iter().find(|rule| rule.fits(trace)).map_or(Family::Unknown, |rule| rule.family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_read_back_from_its_name() {
        for family in Family::ALL {
            assert_eq!(family.as_str().parse(), Ok(family));
        }
        let error = "outlook".parse::<Family>().expect_err("it cannot be told").to_string();
        assert!(error.starts_with("\"outlook\" is no client family"), "{error}");
    }

    #[test]
    fn less_is_not_remembered_over_more() {
        use Family as F;
        assert_eq!(F::Thunderbird.remember(F::Unknown), F::Thunderbird);
        assert_eq!(F::Mpop.remember(F::ThunderbirdOrMpop), F::Mpop);
        assert_eq!(F::ThunderbirdOrMpop.remember(F::Thunderbird), F::Thunderbird);
        assert_eq!(F::Fetchmail.remember(F::ThunderbirdOrMpop), F::ThunderbirdOrMpop);
        assert_eq!(F::Unknown.remember(F::Curl), F::Curl);
    }
}
