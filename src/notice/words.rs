//! The words of notices: kind and campaign. Each is parsed once and then holds only what makes sense in a header, a file name and a unique-id.

/// Longest name of a campaign, in characters.
const MAX_CAMPAIGN: usize = 32;

/// Longest local part of an address, in octets (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL: usize = 64;

/// Which message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// While POP3 still works: the last message of the maildrop.
    Notice,
    /// After the switch: the only message of a user whose mode is `imap-only`.
    Farewell,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Notice, Self::Farewell];

    /// The word in file names and unique-ids.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Farewell => "farewell",
        }
    }

    /// The kind of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The name of a campaign: whoever has deleted its notice sees the notice of the next campaign again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Campaign(String);

impl Campaign {
    /// 1 to 32 of the letters `A`-`Z` and `a`-`z`, digits, `.`, `_` and `-`: it stands in a header and in logs.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"._-".contains(&octet);
        ((1..=MAX_CAMPAIGN).contains(&text.len()) && text.bytes().all(fits)).then(|| Self(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Campaign {
    fn default() -> Self {
        Self("1".to_owned())
    }
}

/// A character of an atom (RFC 5322 §3.2.3).
pub(super) const fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(
            octet,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'/'
                | b'='
                | b'?'
                | b'^'
                | b'_'
                | b'`'
                | b'{'
                | b'|'
                | b'}'
                | b'~'
        )
}

/// Can this stand before the `@` of an address without quotes?
pub(super) fn is_local_part(text: &str) -> bool {
    let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atext);
    text.len() <= MAX_LOCAL && text.split('.').all(is_atom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn campaigns() {
        for text in ["1", "2026-11", "Wave_3.b", &"x".repeat(32)] {
            assert_eq!(Campaign::parse(text).expect(text).as_str(), text);
        }
        for text in ["", "a b", "a\r\nTo: x", "ā", "a{b", &"x".repeat(33)] {
            assert_eq!(Campaign::parse(text), None, "{text}");
        }
    }

    #[test]
    fn local_parts() {
        assert!(is_local_part("anna.o'neil+pop") && is_local_part(&"x".repeat(64)));
        for text in ["", "a..b", "a b", "\"a\"", "a,b", "ā", "a@b", &"x".repeat(65)] {
            assert!(!is_local_part(text), "{text}");
        }
    }
}
