//! One name for each user, however a mail program spells it.
//!
//! Policy, limits, usage and state know a user by the canonical name alone. Otherwise `Anna`, `anna` and
//! `anna@example.net` would be three users to us and one to the mail store, and the switch to IMAP would hold
//! for one spelling of three. The name that is sent upstream stays as the client wrote it.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::Deserialize;

use crate::words::DomainName;

/// `[users]`: how names are made canonical.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Names {
    /// The domain of names that are written without one; empty: they stay as they are.
    #[serde(deserialize_with = "domain_or_empty")]
    pub default_domain: String,
    /// Does upper and lower case make no difference before the `@`? So it is with nearly every mail server.
    pub lower_case: bool,
}

impl Default for Names {
    fn default() -> Self {
        Self { default_domain: String::new(), lower_case: true }
    }
}

/// Longest name of a user, in octets: what a session can log in with, an `@`, and a domain that was added.
pub const NAME_LONGEST: usize = 512 + 1 + 253;

/// A user's canonical name. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(Arc<str>);

impl Names {
    /// The canonical form of a name as a client or an administrator writes it.
    ///
    /// Blanks around it go, because many directories ignore them. Octets that are not UTF-8 become U+FFFD
    /// and two digits each, so that two names never become one that way.
    pub fn canonical(&self, written: &[u8]) -> UserName {
        let mut name = String::with_capacity(written.len() + self.default_domain.len() + 1);
        for chunk in written.trim_ascii().utf8_chunks() {
            name.push_str(chunk.valid());
            for octet in chunk.invalid() {
                // Writing to a String cannot fail.
                let _ = write!(name, "\u{FFFD}{octet:02x}");
            }
        }
        // A domain has no case (RFC 4343), or its rules would hold for one spelling of many.
        let from = if self.lower_case { 0 } else { name.rfind('@').unwrap_or(name.len()) };
        let lower = name.split_off(from).to_lowercase();
        name.push_str(&lower);
        if !self.default_domain.is_empty() && !name.contains('@') {
            name.push('@');
            name.push_str(&self.default_domain);
        }
        UserName(name.into())
    }
}

impl UserName {
    /// A name that is canonical already, because it comes from the state store.
    pub fn stored(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Can anybody log in with it?
    pub fn can_be_said(&self) -> bool {
        (1..=NAME_LONGEST).contains(&self.0.len()) && !self.0.contains(['\0', '\r', '\n'])
    }

    /// What stands behind the last `@`, or nothing.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A domain as configured, in lower case.
fn domain_or_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    use serde::de::{Error, Unexpected};
    let text = String::deserialize(from)?;
    if text.is_empty() || DomainName::parse(&text).is_some() {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(D::Error::invalid_value(
            Unexpected::Str(&text),
            &"a domain in ASCII such as \"example.net\", or \"\"",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_can_log_in_with() {
        let said = |name: &str| UserName::stored(name).can_be_said();
        assert!(said("anna") && said("an\tna@example.net") && said(&"x".repeat(NAME_LONGEST)));
        assert!(!said("") && !said(&"x".repeat(NAME_LONGEST + 1)));
        for odd in ["an\0na", "an\rna", "an\nna"] {
            assert!(!said(odd), "{odd:?}");
        }
    }

    #[test]
    fn all_spellings_of_a_name_are_one_user() {
        let names = Names { default_domain: "example.net".to_owned(), lower_case: true };
        for written in ["anna", "Anna", " ANNA ", "anna@example.net", "Anna@Example.NET"] {
            assert_eq!(names.canonical(written.as_bytes()).as_str(), "anna@example.net", "{written}");
        }
        assert_eq!(names.canonical(b"anna@other.example").domain(), "other.example");
        assert_eq!(names.canonical("ĀNNA".as_bytes()).as_str(), "ānna@example.net");
    }

    #[test]
    fn without_rules_only_case_and_blanks_go() {
        assert_eq!(Names::default().canonical(b" Anna").as_str(), "anna");
        assert_eq!(Names::default().canonical(b"anna").domain(), "");
        let exact = Names { lower_case: false, ..Names::default() };
        assert_eq!(exact.canonical(b"Anna").as_str(), "Anna");
        assert_eq!(exact.canonical(b"Anna@x@Example.NET").as_str(), "Anna@x@example.net");
    }

    #[test]
    fn names_that_are_not_utf8_stay_apart() {
        let name = |octets: &[u8]| Names::default().canonical(octets).as_str().to_owned();
        assert_eq!(name(b"jos\xe9"), "jos\u{FFFD}e9");
        assert_ne!(name(b"jos\xe9"), name(b"jos\xe8"));
        assert_ne!(name(b"jos\xe9"), name("josé".as_bytes()));
    }
}
