//! Tags of commands (RFC 3501 §2.2.1).

use std::fmt::{self, Display, Formatter, Write as _};

use super::fetch::number_u32;

/// The tag of a command: letters that nobody can guess who puts text into a server's mouth, and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    letters: [u8; 4],
    number: u32,
}

impl Tag {
    /// The one before the first.
    pub(super) fn new() -> Self {
        Self { letters: crate::random::letters(), number: 0 }
    }

    pub(super) const fn next(self) -> Self {
        // A connection has a session's commands, and no session has four thousand million.
        Self { number: self.number.wrapping_add(1), ..self }
    }

    /// Is it this one that a server repeats?
    pub(super) fn is(self, theirs: &[u8]) -> bool {
        let number = theirs.strip_prefix(&self.letters).map(number_u32);
        matches!(number, Some(Ok(([], number))) if number == self.number)
    }
}

impl Display for Tag {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.letters.iter().try_for_each(|letter| f.write_char(char::from(*letter)))?;
        self.number.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_itself_and_no_other() {
        let tag = Tag::new().next();
        let text = tag.to_string();
        assert!(text.len() == 5 && text.ends_with('1'), "{text}");
        assert!(tag.is(text.as_bytes()));
        for other in [
            tag.next().to_string(),
            format!("{text}0"),
            format!("x{text}"),
            String::new(),
            text[..4].to_owned(),
        ] {
            assert!(!tag.is(other.as_bytes()), "{other}");
        }
    }
}
