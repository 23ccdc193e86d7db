//! How a session went, in few octets: the first lines before and after login, without their arguments.

use std::fmt;

use crate::pop3::Portion;
use crate::pop3::command::{Command, CommandError};

/// What a line was, as far as programs differ in it. Some no row asks for yet; they help whoever adds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Capa,
    User,
    Pass,
    /// Which mechanisms are there?
    AuthList,
    /// A mechanism, its first response on a line of its own.
    Auth,
    /// A mechanism with its first response on the same line (RFC 5034 §4).
    AuthInitial,
    Stat,
    List,
    /// `LIST n`
    ListOne,
    Uidl,
    /// `UIDL n`
    UidlOne,
    Retr,
    /// `TOP n 0`
    TopHeader,
    /// TOP with some lines of the body.
    TopLines,
    /// TOP with so many lines that it is a RETR.
    TopAll,
    Dele,
    Noop,
    Rset,
    Utf8,
    Lang,
    Quit,
    /// LAST, which RFC 1460 had and RFC 1725 took out.
    Last,
    /// Unknown, malformed, or not for this state.
    Other,
}

impl Kind {
    fn of(line: &[u8], parsed: &Result<Command<'_>, CommandError>) -> Self {
        match parsed {
            Ok(Command::Capa) => Self::Capa,
            Ok(Command::User(_)) => Self::User,
            Ok(Command::Pass(_)) => Self::Pass,
            Ok(Command::Auth(None)) => Self::AuthList,
            Ok(Command::Auth(Some((_, None)))) => Self::Auth,
            Ok(Command::Auth(Some((_, Some(_))))) => Self::AuthInitial,
            Ok(Command::Stat) => Self::Stat,
            Ok(Command::List(None)) => Self::List,
            Ok(Command::List(Some(_))) => Self::ListOne,
            Ok(Command::Uidl(None)) => Self::Uidl,
            Ok(Command::Uidl(Some(_))) => Self::UidlOne,
            Ok(Command::Retr(_)) => Self::Retr,
            Ok(Command::Top(_, 0)) => Self::TopHeader,
            Ok(Command::Top(_, lines)) if Portion::Top(*lines).is_retrieval() => Self::TopAll,
            Ok(Command::Top(..)) => Self::TopLines,
            Ok(Command::Dele(_)) => Self::Dele,
            Ok(Command::Noop) => Self::Noop,
            Ok(Command::Rset) => Self::Rset,
            Ok(Command::Utf8) => Self::Utf8,
            Ok(Command::Lang) => Self::Lang,
            Ok(Command::Quit) => Self::Quit,
            Err(CommandError::Unknown) if line.eq_ignore_ascii_case(b"LAST") => Self::Last,
            Ok(Command::Stls) | Err(_) => Self::Other,
        }
    }
}

/// The first kinds of lines in one state. Twice in a row stands for twice or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beginning<const N: usize>([Option<Kind>; N]);

impl<const N: usize> Beginning<N> {
    fn push(&mut self, kind: Kind) {
        let Some(free) = self.0.iter().position(Option::is_none) else { return };
        if !self.0[..free].ends_with(&[Some(kind); 2]) {
            self.0[free] = Some(kind);
        }
    }

    pub(super) fn begins(&self, kinds: &[Kind]) -> bool {
        kinds.len() <= N && kinds.iter().zip(&self.0).all(|(wanted, kind)| Some(*wanted) == *kind)
    }

    pub(super) fn is(&self, kinds: &[Kind]) -> bool {
        self.begins(kinds) && matches!(self.0.get(kinds.len()), Some(None))
    }
}

impl<const N: usize> fmt::Display for Beginning<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().flatten().try_for_each(|kind| write!(f, " {kind:?}"))
    }
}

/// Lines kept of a login: more than a mail program needs for one; who says more equals no row.
pub(super) const LOGIN: usize = 8;

/// Lines kept after login: enough to see a loop over messages go round twice.
pub(super) const MAILBOX: usize = 16;

/// The lines of one session, as far as a guess needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    pub(super) login: Beginning<LOGIN>,
    pub(super) mailbox: Beginning<MAILBOX>,
    pub(super) ahead: bool,
}

// One for each of many thousand sessions.
const _: () = assert!(size_of::<Trace>() <= 32);

impl Trace {
    /// A line before login that is no SASL response.
    pub fn login_line(&mut self, line: &[u8], parsed: &Result<Command<'_>, CommandError>) {
        self.login.push(Kind::of(line, parsed));
    }

    /// TLS is up after STLS: what was said before is forgotten here too.
    pub const fn tls_started(&mut self) {
        self.login = Beginning([None; LOGIN]);
    }

    /// A line after login.
    pub fn mailbox_line(&mut self, line: &[u8], parsed: &Result<Command<'_>, CommandError>) {
        self.mailbox.push(Kind::of(line, parsed));
    }

    /// After login a command had come before the one ahead of it was answered (RFC 2449 §6.6).
    pub const fn ahead(&mut self) {
        self.ahead = true;
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self { login: Beginning([None; LOGIN]), mailbox: Beginning([None; MAILBOX]), ahead: false }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "login:{} mailbox:{}{}", self.login, self.mailbox, if self.ahead { " (ahead)" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Family, guess};
    use super::*;
    use crate::pop3::command::parse;

    fn trace(login: &[&str], mailbox: &[&str]) -> Trace {
        let mut trace = Trace::default();
        for line in login {
            trace.login_line(line.as_bytes(), &parse(line.as_bytes()));
        }
        for line in mailbox {
            trace.mailbox_line(line.as_bytes(), &parse(line.as_bytes()));
        }
        trace
    }

    #[test]
    fn it_shows_kinds_and_no_arguments() {
        let mut trace =
            trace(&["CAPA", "USER anna", "PASS s3cret"], &["LIST", "LIST 1", "TOP 1 0", "last", "x"]);
        trace.ahead();
        assert_eq!(
            trace.to_string(),
            "login: Capa User Pass mailbox: List ListOne TopHeader Last Other (ahead)"
        );
    }

    #[test]
    fn twice_stands_for_more_and_once_does_not() {
        let retr = |times| trace(&[], &vec!["RETR 1"; times]);
        assert_ne!(retr(1), retr(2));
        assert_eq!(retr(2), retr(1000));
    }

    #[test]
    fn what_was_said_before_tls_is_forgotten() {
        let mut before = trace(&["CAPA", "USER anna", "STLS"], &[]);
        before.tls_started();
        assert_eq!(before, Trace::default());
    }

    #[test]
    fn a_login_equals_a_row_only_as_a_whole() {
        let lines = ["CAPA", "USER a", "PASS b"];
        let (all, kinds) = (trace(&lines, &[]), [Kind::Capa, Kind::User, Kind::Pass]);
        assert!(all.login.is(&kinds) && !all.login.is(&kinds[..2]));
        let again = trace(&[lines, lines, lines].concat(), &[]);
        assert!(!again.login.is(&kinds) && again.login.begins(&kinds));
    }

    const COMMANDS: [&str; 8] = ["STAT", "LIST", "LIST 1", "UIDL", "RETR 1", "TOP 1 0", "DELE 1", "CAPA"];

    proptest! {
        /// Whatever is said, there is an answer, the trace stays small, and who said more than fits in it is not
        /// taken for another by what comes then.
        #[test]
        fn any_session_has_a_guess(
            login in prop::collection::vec(".{0,9}", 0..20),
            mailbox in prop::collection::vec(prop_oneof![3 => prop::sample::select(&COMMANDS[..]).prop_map(str::to_owned), 1 => ".{0,9}"], 0..50),
            ahead: bool,
        ) {
            let lines = |lines: &[String]| lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
            let (login, mailbox) = (lines(&login), lines(&mailbox));
            let mut long = trace(&login.lines().collect::<Vec<_>>(), &mailbox.lines().collect::<Vec<_>>());
            if ahead {
                long.ahead();
            }
            prop_assert!(Family::ALL.contains(&guess(&long)));
            prop_assert!(size_of_val(&long) <= 32 && long.to_string().len() < 400);
            if long.mailbox.0.iter().all(Option::is_some) {
                let guessed = guess(&long);
                long.mailbox_line(b"STAT", &parse(b"STAT"));
                prop_assert_eq!(guess(&long), guessed);
            }
        }
    }
}
