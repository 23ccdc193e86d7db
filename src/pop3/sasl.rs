//! The SASL exchanges behind `AUTH`: PLAIN (RFC 4616) and LOGIN (an old draft that mail clients use).
//!
//! Base64 can carry any octet, so this is where NUL, CR and LF in names and passwords are stopped
//! before anything is sent upstream.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Longest user name, in octets.
pub const MAX_USER: usize = 255;
/// Longest password, in octets: more than any server takes, and room for tokens.
pub const MAX_PASSWORD: usize = 4_096;

/// A user name and a password, as the client gave them: no NUL, CR or LF in either, neither empty.
/// The password is wiped from memory when this is dropped, and never printed.
#[derive(Clone)]
pub struct Credentials {
    user: Vec<u8>,
    password: Zeroizing<Vec<u8>>,
}

impl Credentials {
    /// Takes the pair if both could be a name and a password at all. An empty password is refused here,
    /// because some directories take it for an anonymous login and say yes.
    pub fn new(user: &[u8], password: &[u8]) -> Option<Self> {
        let clean = |part: &[u8], max| {
            !part.is_empty() && part.len() <= max && memchr::memchr3(0, b'\r', b'\n', part).is_none()
        };
        (clean(user, MAX_USER) && clean(password, MAX_PASSWORD))
            .then(|| Self { user: user.to_vec(), password: Zeroizing::new(password.to_vec()) })
    }

    /// The name as the client gave it.
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// The password.
    pub fn password(&self) -> &[u8] {
        &self.password
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials {{ user: \"{}\", password: *** }}", self.user.escape_ascii())
    }
}

/// The mechanisms that are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// Two prompts, name and password.
    Login,
}

impl Mechanism {
    /// Their names, in the order of preference in which they are listed.
    pub const NAMES: [&'static str; 2] = ["PLAIN", "LOGIN"];

    /// The mechanism called `name`, in any case.
    pub fn parse(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"PLAIN") {
            Some(Self::Plain)
        } else if name.eq_ignore_ascii_case(b"LOGIN") {
            Some(Self::Login)
        } else {
            None
        }
    }
}

/// What an exchange asks for next.
#[derive(Debug)]
pub enum Progress {
    /// Send `+ ` and this base64 text, then give the client's line to [`Exchange::respond`].
    Challenge(Exchange, &'static str),
    /// The exchange is complete.
    Done(Credentials),
    /// The client sent `*` (RFC 5034 §4).
    Cancelled,
    /// Not base64, or not this mechanism's form.
    Malformed,
    /// The form is right, but this can be nobody's name and password (empty, NUL, CR, LF, too long, or
    /// an authorization identity that is not the user's own).
    Unusable,
}

/// An exchange that waits for the client's next line.
#[derive(Debug)]
pub struct Exchange(Awaiting);

#[derive(Debug)]
enum Awaiting {
    Plain,
    LoginUser,
    LoginPassword { user: Vec<u8> },
}

impl Exchange {
    /// Begins with `mechanism` and the initial response if there was one; `=` stands for an empty one
    /// (RFC 5034 §4).
    pub fn start(mechanism: Mechanism, initial: Option<&[u8]>) -> Progress {
        let (awaiting, challenge) = match mechanism {
            Mechanism::Plain => (Awaiting::Plain, ""),
            Mechanism::Login => (Awaiting::LoginUser, "VXNlcm5hbWU6"), // "Username:"
        };
        match initial {
            None => Progress::Challenge(Self(awaiting), challenge),
            Some(b"=") => Self(awaiting).respond(b""),
            Some(response) => Self(awaiting).respond(response),
        }
    }

    /// Takes the client's line.
    pub fn respond(self, line: &[u8]) -> Progress {
        if line == b"*" {
            return Progress::Cancelled;
        }
        let Ok(decoded) = STANDARD.decode(line).map(Zeroizing::new) else {
            return Progress::Malformed;
        };
        match self.0 {
            Awaiting::Plain => plain(&decoded),
            Awaiting::LoginUser => {
                let awaiting = Awaiting::LoginPassword { user: decoded.to_vec() };
                Progress::Challenge(Self(awaiting), "UGFzc3dvcmQ6") // "Password:"
            }
            Awaiting::LoginPassword { user } => done(&user, &decoded),
        }
    }
}

/// `message = [authzid] NUL authcid NUL passwd` (RFC 4616 §2). Some clients send their own name as
/// authzid (mutt does); any other would ask for somebody else's mailbox.
fn plain(message: &[u8]) -> Progress {
    let parts: Vec<&[u8]> = message.splitn(3, |octet| *octet == 0).collect();
    match parts.as_slice() {
        [authzid, user, password] if authzid.is_empty() || authzid == user => done(user, password),
        [_, _, _] => Progress::Unusable,
        _ => Progress::Malformed,
    }
}

fn done(user: &[u8], password: &[u8]) -> Progress {
    Credentials::new(user, password).map_or(Progress::Unusable, Progress::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(mechanism: Mechanism, lines: &[&[u8]]) -> Progress {
        let mut progress = Exchange::start(mechanism, None);
        for line in lines {
            match progress {
                Progress::Challenge(exchange, _) => progress = exchange.respond(line),
                other => return other,
            }
        }
        progress
    }

    fn pair(progress: &Progress) -> Option<(&[u8], &[u8])> {
        match progress {
            Progress::Done(credentials) => Some((credentials.user(), credentials.password())),
            _ => None,
        }
    }

    #[test]
    fn plain_with_and_without_initial_response() {
        let message = STANDARD.encode(b"\0anna\0p w");
        let direct = Exchange::start(Mechanism::Plain, Some(message.as_bytes()));
        assert_eq!(pair(&direct), Some((&b"anna"[..], &b"p w"[..])));
        assert_eq!(pair(&finish(Mechanism::Plain, &[message.as_bytes()])), pair(&direct));
    }

    #[test]
    fn authzid_may_only_be_oneself() {
        let own = STANDARD.encode(b"anna\0anna\0x");
        assert!(pair(&finish(Mechanism::Plain, &[own.as_bytes()])).is_some());
        let other = STANDARD.encode(b"boss\0anna\0x");
        assert!(matches!(finish(Mechanism::Plain, &[other.as_bytes()]), Progress::Unusable));
    }

    #[test]
    fn login_asks_twice() {
        assert_eq!(pair(&finish(Mechanism::Login, &[b"YW5uYQ==", b"eA=="])), Some((&b"anna"[..], &b"x"[..])));
        assert!(matches!(finish(Mechanism::Login, &[b"YW5uYQ==", b"*"]), Progress::Cancelled));
        assert!(matches!(finish(Mechanism::Login, &[b"YW5uYQ==", b""]), Progress::Unusable));
    }

    #[test]
    fn nothing_that_could_inject_gets_through() {
        for message in
            [&b"\0anna\r\nX LOGIN a b\0pw"[..], b"\0anna\0p\nw", b"\0anna\0p\0w", b"\0anna\0", b"\0\0pw"]
        {
            let line = STANDARD.encode(message);
            let progress = finish(Mechanism::Plain, &[line.as_bytes()]);
            assert!(matches!(progress, Progress::Unusable), "{}", message.escape_ascii());
        }
    }

    #[test]
    fn what_is_not_base64_is_malformed() {
        for line in [&b"AA=A"[..], b"A", b"A A=", b"\xc4\x81", b"YW5uYQ", b"YW5uYQ=="] {
            assert!(
                matches!(finish(Mechanism::Plain, &[line]), Progress::Malformed),
                "{}",
                line.escape_ascii()
            );
        }
        assert!(matches!(Exchange::start(Mechanism::Plain, Some(b"=")), Progress::Malformed));
    }

    #[test]
    fn a_password_is_never_printed() {
        let credentials = Credentials::new(b"anna", b"tops3cret").expect("usable");
        assert!(!format!("{credentials:?}").contains("tops3cret"));
    }
}
