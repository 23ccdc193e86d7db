//! Everything that can be said to an IMAP server, as a closed set (RFC 3501 §6).
//!
//! This type is the guarantee that nothing is ever removed: it has no EXPUNGE, CLOSE, MOVE, DELETE, APPEND
//! or COPY, and its STORE adds or removes flags of [`Flag`], in which `\Deleted` does not exist.

use std::fmt::Display;
use std::io::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::flag::{Change, Flag, Keyword};
use super::master::Acting;
use super::set::UidSet;

/// A command without its tag.
#[derive(Debug)]
pub enum Command<'a> {
    /// RFC 3501 §6.1.1
    Capability,
    /// RFC 2971: who is behind this connection. `None` values become NIL.
    Id(&'a [(&'a str, String)]),
    /// RFC 3501 §6.2.1
    StartTls,
    /// RFC 3501 §6.2.3
    Login(Login<'a>),
    /// RFC 3501 §6.2.2 with PLAIN (RFC 4616); `true`: with an initial response (RFC 4959)
    AuthenticatePlain(Login<'a>, bool),
    /// The same, on behalf of another user
    AuthenticateAs(Acting<'a>, bool),
    /// RFC 3501 §6.3.1. Never EXAMINE: Courier does not keep UIDVALIDITY on it.
    SelectInbox,
    /// The same, and the mod-sequence: Dovecot names it only to who asks (RFC 7162 §3.1.8)
    SelectCounted,
    /// The same, and what has changed since this UIDVALIDITY and mod-sequence (RFC 7162 §3.2.5)
    SelectSince(u32, u64),
    /// From here on the server speaks of UIDs that vanish (RFC 5161, RFC 7162 §3.2.3)
    EnableQresync,
    /// UID, size and flags of every message from this UID on, and of the last one in any case
    FetchListing(u32),
    /// UID and flags of messages below this UID that have changed since this mod-sequence (RFC 7162 §3.1.4.1)
    FetchChanged(u32, u64),
    /// The messages that carry a keyword (RFC 3501 §6.4.4)
    SearchKeyword(&'a Keyword),
    /// Octets of one message, without setting `\Seen` (RFC 3501 §6.4.5)
    FetchBody(u32, Section),
    /// Does the message still exist?
    FetchUid(u32),
    /// The flags of some messages
    FetchFlags(&'a UidSet<'a>),
    /// When some messages came (RFC 3501 §2.3.3)
    FetchDates(&'a UidSet<'a>),
    /// Adds or removes flags (RFC 3501 §6.4.6)
    Store(&'a UidSet<'a>, Change<'a>),
    /// How full INBOX is (RFC 9208 §4.1.2)
    QuotaRoot,
    /// RFC 3501 §6.1.3
    Logout,
}

/// A user name and a password; neither holds NUL, CR or LF.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The name, as it is sent upstream.
    pub user: &'a [u8],
    /// The password.
    pub password: &'a [u8],
}

impl std::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login {{ user: \"{}\", password: *** }}", self.user.escape_ascii())
    }
}

/// Which octets of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `BODY.PEEK[]`
    Whole,
    /// `BODY.PEEK[HEADER]`
    Header,
    /// `BODY.PEEK[]<origin.octets>`
    Window {
        /// The first octet.
        origin: u64,
        /// How many at most.
        octets: u64,
    },
}

/// A command as bytes. Where [`Encoded::pauses`] says so, the server must ask for more first.
pub struct Encoded {
    /// The whole command with its CRLF; wiped when dropped, because LOGIN is one of them.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Offsets behind synchronising literals' announcements (RFC 3501 §7.5), ascending.
    pub pauses: Vec<usize>,
}

impl Command<'_> {
    /// Writes the command with `tag`.
    pub fn encode(&self, tag: impl Display) -> Encoded {
        // Large enough from the start: a buffer that grows leaves an unwiped copy behind.
        let secrets = match self {
            Self::Login(login) | Self::AuthenticatePlain(login, _) => login.user.len() + login.password.len(),
            Self::AuthenticateAs(acting, _) => acting.length(),
            _ => 0,
        };
        let bytes = Zeroizing::new(Vec::with_capacity(128 + 2 * secrets));
        let mut to = Encoded { bytes, pauses: Vec::new() };
        // Writing to a Vec cannot fail.
        let _ = write!(to.bytes, "{tag}");
        match self {
            Self::Capability => to.text(" CAPABILITY"),
            Self::Id(fields) => to.id(fields),
            Self::StartTls => to.text(" STARTTLS"),
            Self::Login(login) => {
                to.text(" LOGIN ");
                to.string(login.user);
                to.text(" ");
                to.string(login.password);
            }
            Self::AuthenticatePlain(login, initial_response) => {
                to.plain(b"", login, *initial_response);
            }
            Self::AuthenticateAs(acting, initial_response) => {
                to.plain(acting.user(), &acting.login(), *initial_response);
            }
            Self::SelectInbox => to.text(" SELECT INBOX"),
            Self::SelectCounted => to.text(" SELECT INBOX (CONDSTORE)"),
            Self::SelectSince(uidvalidity, modseq) => {
                to.text(&format!(" SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))"));
            }
            Self::EnableQresync => to.text(" ENABLE QRESYNC"),
            Self::FetchListing(from) => to.text(&format!(" UID FETCH {from}:* (UID RFC822.SIZE FLAGS)")),
            Self::FetchChanged(below, since) => {
                to.text(&format!(
                    " UID FETCH 1:{} (UID FLAGS) (CHANGEDSINCE {since})",
                    below.saturating_sub(1).max(1)
                ));
            }
            Self::SearchKeyword(keyword) => to.text(&format!(" UID SEARCH KEYWORD {}", keyword.as_str())),
            Self::FetchBody(uid, Section::Whole) => to.text(&format!(" UID FETCH {uid} BODY.PEEK[]")),
            Self::FetchBody(uid, Section::Header) => to.text(&format!(" UID FETCH {uid} BODY.PEEK[HEADER]")),
            Self::FetchBody(uid, Section::Window { origin, octets }) => {
                to.text(&format!(" UID FETCH {uid} BODY.PEEK[]<{origin}.{octets}>"));
            }
            Self::FetchUid(uid) => to.text(&format!(" UID FETCH {uid} (UID)")),
            Self::FetchFlags(set) => to.text(&format!(" UID FETCH {} (UID FLAGS)", set.as_str())),
            Self::FetchDates(set) => to.text(&format!(" UID FETCH {} (UID INTERNALDATE)", set.as_str())),
            Self::Store(set, change) => {
                let sign = if change.add { '+' } else { '-' };
                let silent = if change.echo { "" } else { ".SILENT" };
                let flags: Vec<&str> = change.flags.iter().map(Flag::as_str).collect();
                to.text(&format!(" UID STORE {} {sign}FLAGS{silent} ({})", set.as_str(), flags.join(" ")));
            }
            Self::QuotaRoot => to.text(" GETQUOTAROOT INBOX"),
            Self::Logout => to.text(" LOGOUT"),
        }
        to.text("\r\n");
        to
    }

    /// Is it one that only snapshots give cause for?
    pub const fn asks_for_changes(&self) -> bool {
        matches!(
            self,
            Self::EnableQresync
                | Self::SelectCounted
                | Self::SelectSince(..)
                | Self::FetchChanged(..)
                | Self::SearchKeyword(_)
        )
    }

    /// The verb, a label from a closed set for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Capability => "CAPABILITY",
            Self::Id(_) => "ID",
            Self::StartTls => "STARTTLS",
            Self::Login(_) => "LOGIN",
            Self::AuthenticatePlain(..) | Self::AuthenticateAs(..) => "AUTHENTICATE",
            Self::SelectInbox | Self::SelectCounted | Self::SelectSince(..) => "SELECT",
            Self::EnableQresync => "ENABLE",
            Self::SearchKeyword(_) => "SEARCH",
            Self::FetchListing(_)
            | Self::FetchChanged(..)
            | Self::FetchBody(..)
            | Self::FetchUid(_)
            | Self::FetchFlags(_)
            | Self::FetchDates(_) => "FETCH",
            Self::Store(..) => "STORE",
            Self::QuotaRoot => "GETQUOTAROOT",
            Self::Logout => "LOGOUT",
        }
    }
}

impl Encoded {
    fn text(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A quoted string where no octet needs escaping, else a synchronising literal: LITERAL+ sent to a
    /// server that ignores the plus would make a password's rest a command.
    fn string(&mut self, string: &[u8]) {
        let plain = |octet: &u8| matches!(octet, b' '..=b'~') && !matches!(octet, b'"' | b'\\');
        if string.iter().all(plain) {
            self.text("\"");
            self.bytes.extend_from_slice(string);
            self.text("\"");
        } else {
            self.text(&format!("{{{}}}\r\n", string.len()));
            self.pauses.push(self.bytes.len());
            self.bytes.extend_from_slice(string);
        }
    }

    /// AUTHENTICATE PLAIN (RFC 4616); without a `user` to act for, `login` acts for itself.
    fn plain(&mut self, user: &[u8], login: &Login<'_>, initial_response: bool) {
        self.text(" AUTHENTICATE PLAIN");
        if initial_response {
            self.text(" ");
        } else {
            self.text("\r\n");
            self.pauses.push(self.bytes.len());
        }
        let message = Zeroizing::new([user, b"\0", login.user, b"\0", login.password].concat());
        let response = Zeroizing::new(STANDARD.encode(&message));
        self.text(&response);
    }

    fn id(&mut self, fields: &[(&str, String)]) {
        self.text(" ID (");
        for (at, (name, value)) in fields.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            // Values are addresses, ports and our own words: whatever else got in is dropped.
            let value: String =
                value.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect();
            self.text(&format!("{space}\"{name}\" \"{value}\""));
        }
        self.text(")");
    }
}

#[cfg(test)]
mod tests {
    use super::super::master::{Form, Master};
    use super::*;

    fn text(command: &Command<'_>) -> String {
        String::from_utf8_lossy(&command.encode("a").bytes).into_owned()
    }

    fn one_of_each<'a>(
        set: &'a UidSet<'a>,
        flags: &'a [Flag<'a>],
        id: &'a [(&'a str, String)],
        keyword: &'a Keyword,
        acting: Acting<'a>,
    ) -> Vec<Command<'a>> {
        let login = Login { user: b"u", password: b"p" };
        let mut all = vec![
            Command::Capability,
            Command::Id(id),
            Command::StartTls,
            Command::Login(login),
            Command::AuthenticatePlain(login, true),
            Command::AuthenticateAs(acting, true),
            Command::SelectInbox,
            Command::SelectCounted,
            Command::SelectSince(7, 9),
            Command::EnableQresync,
            Command::FetchListing(1),
            Command::FetchChanged(7, 9),
            Command::SearchKeyword(keyword),
            Command::FetchBody(7, Section::Whole),
            Command::FetchBody(7, Section::Header),
            Command::FetchBody(7, Section::Window { origin: 0, octets: 9 }),
            Command::FetchUid(7),
            Command::FetchFlags(set),
            Command::FetchDates(set),
            Command::QuotaRoot,
            Command::Logout,
        ];
        for (add, echo) in [(true, true), (true, false), (false, true), (false, false)] {
            all.push(Command::Store(set, Change { add, echo, flags }));
        }
        all
    }

    /// Breaks when a variant is added that `one_of_each` does not hold, so that none escapes the test below.
    fn is_listed(command: &Command<'_>) -> bool {
        match command {
            Command::Capability
            | Command::Id(_)
            | Command::StartTls
            | Command::Login(_)
            | Command::AuthenticatePlain(..)
            | Command::AuthenticateAs(..)
            | Command::SelectInbox
            | Command::SelectCounted
            | Command::SelectSince(..)
            | Command::EnableQresync
            | Command::FetchListing(_)
            | Command::FetchChanged(..)
            | Command::SearchKeyword(_)
            | Command::FetchBody(_, Section::Whole | Section::Header | Section::Window { .. })
            | Command::FetchUid(_)
            | Command::FetchFlags(_)
            | Command::FetchDates(_)
            | Command::QuotaRoot
            | Command::Store(..)
            | Command::Logout => true,
        }
    }

    #[test]
    fn no_command_can_remove_anything() {
        const ALLOWED: [&str; 12] = [
            "CAPABILITY",
            "ID",
            "STARTTLS",
            "LOGIN",
            "AUTHENTICATE",
            "SELECT",
            "ENABLE QRESYNC",
            "UID FETCH",
            "UID SEARCH KEYWORD",
            "UID STORE",
            "GETQUOTAROOT",
            "LOGOUT",
        ];
        let keyword = Keyword::parse("$POP3Deleted").expect("an atom");
        let flags = [Flag::Seen, Flag::Keyword(&keyword)];
        let set = UidSet::one(&7);
        let password = Zeroizing::new(b"p".to_vec());
        let master = Master::new("m", password, Form::Authzid).expect("credentials");
        for command in one_of_each(&set, &flags, &[], &keyword, master.for_user("u").expect("a name")) {
            assert!(is_listed(&command));
            let line = text(&command);
            let said = line.strip_prefix("a ").expect("a tag");
            let verb = ALLOWED
                .iter()
                .find(|verb| said.strip_prefix(**verb).is_some_and(|rest| rest.starts_with([' ', '\r'])));
            assert!(verb.is_some(), "{line}");
            assert!(
                !line.to_ascii_uppercase().contains("DELETED)") || line.contains("$POP3Deleted"),
                "{line}"
            );
            assert!(!line.contains("\\Deleted"), "{line}");
            assert_eq!(line.matches("\r\n").count(), 1, "{line}");
            if verb == Some(&"UID STORE") {
                assert!(line.contains(" +FLAGS") || line.contains(" -FLAGS"), "{line}");
            }
            assert!(!line.contains("BODY["), "{line} would set \\Seen");
        }
    }

    #[test]
    fn store() {
        let keyword = Keyword::parse("$POP3Deleted").expect("an atom");
        let uids = [3, 4, 5, 9];
        let set = UidSet::chunks(&uids).next().expect("not empty");
        let flags = [Flag::Keyword(&keyword), Flag::Seen];
        let hide = Command::Store(&set, Change { add: true, echo: true, flags: &flags });
        assert_eq!(text(&hide), "a UID STORE 3:5,9 +FLAGS ($POP3Deleted \\Seen)\r\n");
        let seen = Command::Store(&set, Change { add: true, echo: false, flags: &flags[1..] });
        assert_eq!(text(&seen), "a UID STORE 3:5,9 +FLAGS.SILENT (\\Seen)\r\n");
    }

    #[test]
    fn id_fields_cannot_break_out() {
        let fields = [("name", "last\"pop\\\r\n".to_owned()), ("x-originating-ip", "192.0.2.7".to_owned())];
        assert_eq!(
            text(&Command::Id(&fields)),
            "a ID (\"name\" \"lastpop\" \"x-originating-ip\" \"192.0.2.7\")\r\n"
        );
    }
}
