//! Master credentials: a name and a password with which a server opens any user's mailbox, and how it is told whose.
//!
//! Nothing outside this folder reads the password: [`Master::for_user`] makes an [`Acting`], and all that takes one is
//! [`Client::act`](super::Client::act), behind which there is no way to a message's octets.

use zeroize::Zeroizing;

use super::command::Login;

/// Longest name of a user, in octets: what a session can log in with.
const MAX_USER: usize = 512;

/// Longest password, in octets, as for users.
const MAX_PASSWORD: usize = 4_096;

/// How the server is told who logs in, and as whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `user*master` as the name: Dovecot's `auth_master_user_separator`, UW.
    Separator(Separator),
    /// The authorization identity of SASL PLAIN (RFC 4616): Dovecot, Cyrus, Zimbra, James.
    Authzid,
}

/// What stands between the two names. It is in no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Separator(u8);

impl Separator {
    /// One visible character that is neither a letter nor a digit, nor `@`, which is in nearly every name.
    pub fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [octet] if octet.is_ascii_punctuation() && *octet != b'@' => Some(Self(*octet)),
            _ => None,
        }
    }

    /// Is it in there?
    fn is_in(self, name: &[u8]) -> bool {
        name.contains(&self.0)
    }
}

impl Default for Separator {
    /// Dovecot's manual has it so.
    fn default() -> Self {
        Self(b'*')
    }
}

impl std::fmt::Display for Separator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        char::from(self.0).fmt(f)
    }
}

/// Master credentials. The password is wiped from memory when they are dropped, and never printed.
#[derive(Clone)]
pub struct Master {
    user: String,
    password: Zeroizing<Vec<u8>>,
    form: Form,
}

/// Master credentials that can be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMaster {
    /// The name.
    #[error(
        "the name of the master user is empty, longer than {MAX_USER} octets, or has control characters in it"
    )]
    User,
    /// It would be taken for two names.
    #[error(
        "the name of the master user has the separator {0:?} in it, so the server would take it for two names"
    )]
    Separator(char),
    /// The password.
    #[error("the master password is empty, longer than {MAX_PASSWORD} octets, or of more than one line")]
    Password,
}

/// A user whom master credentials cannot name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// It could say something else than a name.
    #[error("the user's name is empty, longer than {MAX_USER} octets, or has control characters in it")]
    Control,
    /// The name as the mail program writes it is not known.
    #[error("the user's name is not UTF-8, and what mail programs really write is not kept")]
    Replaced,
    /// The server would read another user and another master in it.
    #[error("the user's name has the separator {0:?} in it, so the server would open another user's mailbox")]
    Separator(char),
}

/// A name that the server cannot take for anything but one.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_USER && !name.chars().any(char::is_control)
}

impl Master {
    /// Takes them, if they can be credentials at all.
    pub fn new(user: &str, password: Zeroizing<Vec<u8>>, form: Form) -> Result<Self, BadMaster> {
        Self::check_user(user, form)?;
        let one_line = memchr::memchr3(0, b'\r', b'\n', &password).is_none();
        if password.is_empty() || password.len() > MAX_PASSWORD || !one_line {
            return Err(BadMaster::Password);
        }
        Ok(Self { user: user.to_owned(), password, form })
    }

    /// Can this be the name of a master user?
    pub fn check_user(user: &str, form: Form) -> Result<(), BadMaster> {
        match form {
            _ if !is_name(user) => Err(BadMaster::User),
            Form::Separator(separator) if separator.is_in(user.as_bytes()) => {
                Err(BadMaster::Separator(char::from(separator.0)))
            }
            _ => Ok(()),
        }
    }

    /// A login as this user, unless the name could mean somebody else to the server.
    pub fn for_user<'a>(&'a self, user: &'a str) -> Result<Acting<'a>, BadName> {
        match self.form {
            _ if !is_name(user) => Err(BadName::Control),
            _ if user.contains('\u{FFFD}') => Err(BadName::Replaced),
            Form::Separator(separator) if separator.is_in(user.as_bytes()) => {
                Err(BadName::Separator(char::from(separator.0)))
            }
            _ => Ok(Acting { user, master: self }),
        }
    }

    /// Does a login of this name mean the master user? Then it is no customer's, whatever its password.
    pub fn is_meant_by(&self, name: &[u8]) -> bool {
        let separated = match self.form {
            Form::Separator(separator) => separator.is_in(name),
            Form::Authzid => false,
        };
        separated || name.trim_ascii().eq_ignore_ascii_case(self.user.as_bytes())
    }
}

impl std::fmt::Debug for Master {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, form, .. } = self;
        write!(f, "Master {{ user: {user:?}, password: ***, form: {form:?} }}")
    }
}

/// Master credentials on behalf of one user.
#[derive(Debug, Clone, Copy)]
pub struct Acting<'a> {
    user: &'a str,
    master: &'a Master,
}

impl Acting<'_> {
    /// How the server is told.
    pub(super) const fn form(&self) -> Form {
        self.master.form
    }

    /// As whom.
    pub(super) const fn user(&self) -> &[u8] {
        self.user.as_bytes()
    }

    /// Who logs in.
    pub(super) fn login(&self) -> Login<'_> {
        Login { user: self.master.user.as_bytes(), password: &self.master.password }
    }

    /// Both names as one.
    pub(super) fn names(&self, separator: Separator) -> String {
        format!("{}{separator}{}", self.user, self.master.user)
    }

    /// Octets of all three.
    pub(super) fn length(&self) -> usize {
        self.user.len() + self.master.user.len() + self.master.password.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::command::Command;

    fn master(user: &str, password: &str, form: Form) -> Result<Master, BadMaster> {
        Master::new(user, Zeroizing::new(password.as_bytes().to_vec()), form)
    }

    fn star() -> Form {
        Form::Separator(Separator::default())
    }

    #[test]
    fn a_separator_is_one_character_that_no_name_needs() {
        for text in ["*", "%", "+", "/", "\\", "\"", "-"] {
            assert_eq!(Separator::parse(text).map(|separator| separator.to_string()).as_deref(), Some(text));
        }
        for text in ["", "@", "a", "7", " ", "**", "\n", "\0", "ā", "×"] {
            assert_eq!(Separator::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn two_names_in_one_are_told_apart_by_the_separator_alone() {
        let lastpop = master("lastpop", "secret", star()).expect("credentials");
        let names = |user| lastpop.for_user(user).map(|acting| acting.names(Separator::default()));
        assert_eq!(names("anna@example.net").as_deref(), Ok("anna@example.net*lastpop"));
        assert_eq!(names("jürgen \"x\" %u").as_deref(), Ok("jürgen \"x\" %u*lastpop"));
        // A server splits at the first or at the last one: either way it would be somebody else.
        for user in ["anna*bob", "*", "anna*", "*anna", "anna*lastpop", "a*b*c"] {
            assert_eq!(names(user), Err(BadName::Separator('*')), "{user}");
        }
        let said = BadName::Separator('*').to_string();
        assert!(said.contains("'*'") && said.contains("another user's mailbox"), "{said}");
        let percent = Form::Separator(Separator::parse("%").expect("a separator"));
        let percent = master("lastpop", "secret", percent).expect("credentials");
        assert!(percent.for_user("anna*bob").is_ok() && percent.for_user("anna%bob").is_err());
    }

    #[test]
    fn a_name_can_say_nothing_but_a_name() {
        for form in [star(), Form::Authzid] {
            let lastpop = master("lastpop", "secret", form).expect("credentials");
            for user in ["", "a\0b", "\0", "a\r\nb LOGOUT", "a\nb", "a\u{1b}", "a\u{85}b", &"x".repeat(513)] {
                let refused = lastpop.for_user(user).map(|_| ());
                assert_eq!(refused, Err(BadName::Control), "{user:?}");
            }
            assert_eq!(lastpop.for_user("jos\u{FFFD}e9").map(|_| ()), Err(BadName::Replaced));
        }
        // Without a separator none is in the way.
        let authzid = master("lastpop", "secret", Form::Authzid).expect("credentials");
        assert!(authzid.for_user("anna*bob").is_ok());
    }

    #[test]
    fn what_can_be_no_credentials() {
        for user in ["", "a\0", "a\n", &"x".repeat(513)] {
            assert_eq!(master(user, "x", star()).map(|_| ()), Err(BadMaster::User), "{user:?}");
        }
        assert_eq!(master("a*b", "x", star()).map(|_| ()), Err(BadMaster::Separator('*')));
        assert!(master("a*b", "x", Form::Authzid).is_ok());
        for password in ["", "a\0b", "a\nb", "a\r", &"x".repeat(4_097)] {
            assert_eq!(master("a", password, star()).map(|_| ()), Err(BadMaster::Password), "{password:?}");
        }
    }

    #[test]
    fn whoever_spells_the_master_user_is_no_customer() {
        let separated = master("lastpop", "x", star()).expect("credentials");
        let authzid = master("lastpop", "x", Form::Authzid).expect("credentials");
        for (name, by_separator, by_authzid) in [
            (&b"anna"[..], false, false),
            (b"anna*lastpop", true, false),
            (b"anna*bob", true, false),
            (b"lastpop", true, true),
            (b" LastPop ", true, true),
            (b"lastpop2", false, false),
            (b"jos\xe9", false, false),
        ] {
            assert_eq!((separated.is_meant_by(name), authzid.is_meant_by(name)), (by_separator, by_authzid));
        }
    }

    #[test]
    fn the_authorization_identity_is_the_user() {
        let lastpop = master("lastpop", "p\"\\", Form::Authzid).expect("credentials");
        let acting = lastpop.for_user("anna").expect("a name");
        let text = |initial| {
            let encoded = Command::AuthenticateAs(acting, initial).encode("a");
            let pauses = encoded.pauses.len();
            (String::from_utf8(encoded.bytes.to_vec()).expect("ASCII"), pauses)
        };
        // anna NUL lastpop NUL p"\
        assert_eq!(text(true), ("a AUTHENTICATE PLAIN YW5uYQBsYXN0cG9wAHAiXA==\r\n".to_owned(), 0));
        assert_eq!(text(false), ("a AUTHENTICATE PLAIN\r\nYW5uYQBsYXN0cG9wAHAiXA==\r\n".to_owned(), 1));
    }

    #[test]
    fn the_password_is_never_printed() {
        let lastpop = master("lastpop", "tops3cret", Form::Authzid).expect("credentials");
        let acting = lastpop.for_user("anna").expect("a name");
        let printed = format!("{lastpop:?} {acting:?} {:?}", Command::AuthenticateAs(acting, true));
        assert!(printed.contains("lastpop") && !printed.contains("tops3cret"), "{printed}");
    }
}
