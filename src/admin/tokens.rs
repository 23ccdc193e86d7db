//! Tokens: what they look like, and the file that says which there are.
//!
//! One token a line: `name role sha256-hex created expires`, separated by blanks; `expires` may be `-`, and `#`
//! begins a comment. The file holds no token, only its digest: 256 random bits cannot be guessed from that, so
//! no slow hash is needed.

use aws_lc_rs::{constant_time, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::role::Role;

/// What every token begins with, so that it is recognised where it should not be.
const PREFIX: &str = "lp_";

/// Random octets in a token.
const OCTETS: usize = 32;

/// Longest name, in characters.
const MAX_NAME: usize = 64;

/// SHA-256 of a token.
type Digest = [u8; 32];

/// One token of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is; the name in the audit trail.
    pub name: String,
    /// What it may do.
    pub role: Role,
    digest: Digest,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is not taken any more.
    pub expires: Option<Timestamp>,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Mistake {
    /// From 1.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub message: String,
}

/// The system gives no random numbers, without which there can be no token.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers, so no token was made")]
pub struct NoRandomness;

/// A new token.
pub fn generate() -> Result<Zeroizing<String>, NoRandomness> {
    let mut octets = Zeroizing::new([0; OCTETS]);
    aws_lc_rs::rand::fill(octets.as_mut()).map_err(|_| NoRandomness)?;
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(octets.as_ref()));
    Ok(Zeroizing::new(format!("{PREFIX}{}", text.as_str())))
}

/// May a token have this name? It is one word in a file, a log and an audit trail.
pub fn is_name(name: &str) -> bool {
    let octet = |octet: u8| octet.is_ascii_alphanumeric() || b"._@-".contains(&octet);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(octet)
}

impl Entry {
    /// The entry for this token.
    pub fn new(
        name: String,
        role: Role,
        token: &str,
        created: Timestamp,
        expires: Option<Timestamp>,
    ) -> Self {
        Self { name, role, digest: sha256(token), created, expires }
    }

    /// Is it over?
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn parse(line: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected: name role sha256-hex created expires, such as \
            \"anna admin 5e88...d8 2026-11-01T12:00:00Z -\"";
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, role, digest, created, expires] = words[..] else {
            return Err(format!("there are {} words; {EXPECTED}", words.len()));
        };
        if !is_name(name) {
            return Err(format!(
                "the name has other characters than letters, digits and . _ @ -, or more than {MAX_NAME}"
            ));
        }
        let role = role.parse().map_err(|_| "the role is none of viewer, operator, admin".to_owned())?;
        let digest = from_hex(digest).ok_or("the digest is not 64 hexadecimal digits")?;
        let time = |text: &str, which: &str| {
            text.parse::<Timestamp>()
                .map_err(|_| format!("the time {which} is none such as 2026-11-01T12:00:00Z"))
        };
        let created = time(created, "of creation")?;
        let expires = if expires == "-" { None } else { Some(time(expires, "of expiry")?) };
        Ok(Self { name: name.to_owned(), role, digest, created, expires })
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ", self.name, self.role)?;
        self.digest.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
        write!(f, " {} ", self.created)?;
        match self.expires {
            Some(expires) => expires.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// The tokens of a file. One line that cannot be understood spoils it: it may have been meant to revoke.
pub fn parse(text: &str) -> Result<Vec<Entry>, Mistake> {
    let mut entries: Vec<Entry> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let mistake = |message| Mistake { line: at + 1, message };
        let entry = Entry::parse(line).map_err(mistake)?;
        if entries.iter().any(|other| other.name == entry.name) {
            return Err(mistake(format!("there is another token named {} above", entry.name)));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The entry of this token, if there is one. How long it takes says nothing about the token.
pub fn find<'a>(entries: &'a [Entry], token: &str) -> Option<&'a Entry> {
    let digest = sha256(token);
    entries.iter().fold(None, |found, entry| {
        match constant_time::verify_slices_are_equal(&entry.digest, &digest) {
            Ok(()) => Some(entry),
            Err(_) => found,
        }
    })
}

fn sha256(token: &str) -> Digest {
    let mut octets = Digest::default();
    octets.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    octets
}

fn from_hex(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    if text.len() != 2 * digest.len() || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    for (octet, at) in digest.iter_mut().zip((0..text.len()).step_by(2)) {
        *octet = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[A-Za-z0-9._@-]{1,64}",
            role in prop::sample::select(&Role::ALL[..]),
            token in ".*",
            created in 0..4_000_000_000_i64,
            expires in prop::option::of(0..4_000_000_000_i64),
        ) {
            let time = |second| Timestamp::from_second(second).expect("a time");
            let entry = Entry::new(name, role, &token, time(created), expires.map(time));
            prop_assert_eq!(parse(&entry.to_string()), Ok(vec![entry]));
        }

        #[test]
        fn nothing_that_is_read_is_a_panic(text in ".*") {
            let _ = parse(&text);
        }
    }

    fn time(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    #[test]
    fn a_token_is_found_by_itself_alone_and_never_stands_in_the_file() {
        let (one, other) = (generate().expect("a token"), generate().expect("a token"));
        assert_eq!((one.len(), one.starts_with("lp_")), (46, true));
        assert_ne!(one, other);
        let created = time("2026-11-01T12:00:00Z");
        let entries: Vec<Entry> = [("anna", &one, None), ("bob@host", &other, Some(created))]
            .into_iter()
            .map(|(name, token, expires)| {
                Entry::new(name.to_owned(), Role::Operator, token, created, expires)
            })
            .collect();
        let text = entries.iter().map(Entry::to_string).collect::<Vec<_>>().join("\n");
        assert!(!text.contains(one.as_str()) && !text.contains(&one[3..]));
        let read = parse(&format!("# tokens\n\n{text} # the end")).expect("what was written");
        assert_eq!(read, entries);
        assert_eq!(find(&read, &one).expect("the first").name, "anna");
        assert_eq!(find(&read, &other).expect("the second").name, "bob@host");
        for wrong in ["", "lp_", &one[1..], &format!("{}x", one.as_str()), &one.to_lowercase()] {
            assert_eq!(find(&read, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn it_is_over_from_the_moment_on_that_is_written() {
        let created = time("2026-11-01T12:00:00Z");
        let with = |expires| Entry::new("a".to_owned(), Role::Viewer, "lp_x", created, expires);
        assert!(!with(None).has_expired(Timestamp::MAX));
        let until = with(Some(time("2026-11-02T12:00:00Z")));
        assert!(!until.has_expired(time("2026-11-02T11:59:59.999Z")));
        assert!(until.has_expired(time("2026-11-02T12:00:00Z")));
    }

    #[test]
    fn mistakes_name_their_line() {
        let good = format!("anna admin {} 2026-11-01T12:00:00Z -", "5e".repeat(32));
        assert_eq!(parse(&good).expect("good").len(), 1);
        for (from, to, said) in [
            (" -", "", "there are 4 words; expected: name role"),
            ("anna", "an\u{fc}a", "the name has other characters"),
            ("admin", "root", "the role is none of viewer, operator, admin"),
            ("5e5e", "5e", "not 64 hexadecimal digits"),
            ("5e5e", "5\u{e9}5", "not 64 hexadecimal digits"),
            ("12:00", "noon", "the time of creation is none"),
            (" -", " 90d", "the time of expiry is none"),
            ("anna", "bob admin x\nanna", "there are 3 words"),
        ] {
            let mistake = parse(&format!("# one\n{}", good.replacen(from, to, 1))).expect_err(to);
            assert_eq!(mistake.line, 2, "{mistake}");
            assert!(mistake.message.contains(said), "{mistake}");
        }
        let twice = parse(&format!("{good}\n{good}")).expect_err("twice");
        assert_eq!(twice.to_string(), "line 2: there is another token named anna above");
    }
}
