//! Flags that may be changed: a closed set, in which `\Deleted` does not exist.

/// A flag that may be changed. `\Deleted` is none of them, and a [`Keyword`] cannot spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag<'a> {
    /// `\Seen`
    Seen,
    /// A keyword
    Keyword(&'a Keyword),
}

/// What a STORE does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// Add the flags, or take them off?
    pub add: bool,
    /// Ask for the new flags to be echoed?
    pub echo: bool,
    /// The flags; the others stay as they are.
    pub flags: &'a [Flag<'a>],
}

/// A flag keyword: an atom that is no system flag (RFC 3501 §2.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyword(String);

/// Longest keyword: Dovecot's `mail_max_keyword_length`.
const MAX_KEYWORD: usize = 50;

impl Keyword {
    /// Takes `text` if it is an atom of at most 50 octets.
    ///
    /// ```abnf
    /// keyword       = 1*ATOM-CHAR
    /// atom-specials = "(" / ")" / "{" / SP / CTL / "%" / "*" / DQUOTE / "\" / "]"
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let atom = |octet: u8| octet.is_ascii_graphic() && !br#"(){%*"\]"#.contains(&octet);
        (!text.is_empty() && text.len() <= MAX_KEYWORD && text.bytes().all(atom))
            .then(|| Self(text.to_owned()))
    }

    /// The atom.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Flag<'_> {
    /// As IMAP writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Seen => "\\Seen",
            Self::Keyword(keyword) => keyword.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_keyword_can_be_a_system_flag_or_break_a_line() {
        for text in ["\\Deleted", "", "a b", "a)", "a\r\nX", "a\"", "*", "a]", "ā", &"x".repeat(51)] {
            assert_eq!(Keyword::parse(text), None, "{text}");
        }
        for text in ["$POP3Deleted", "Pop3Hidden", "a[b", "x"] {
            assert_eq!(Keyword::parse(text).map(|keyword| keyword.0).as_deref(), Some(text));
        }
    }
}
