//! Text with places to fill in: `{user}`, `{url}` and the others.

use super::problem::Problem;

/// A place in a template, and what is put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placeholder {
    /// The user's canonical name.
    User,
    /// The user's domain; nothing where the name has none.
    Domain,
    /// `policy.url`, or the domain's own: the page that tells how to switch.
    Url,
    /// The campaign.
    Campaign,
    /// `notices.sender_domain`, else the user's domain.
    SenderDomain,
}

impl Placeholder {
    /// Every placeholder.
    pub const ALL: [Self; 5] = [Self::User, Self::Domain, Self::Url, Self::Campaign, Self::SenderDomain];

    /// The word between the braces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Domain => "domain",
            Self::Url => "url",
            Self::Campaign => "campaign",
            Self::SenderDomain => "sender_domain",
        }
    }
}

/// Text and placeholders, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Plain(String),
    Place(Placeholder),
}

impl Text {
    /// Adds `text`, with as many placeholders as are `left`. A word in braces must be one. Other braces stay
    /// as they are, because style sheets are full of them.
    pub(super) fn push(&mut self, mut text: &str, left: &mut usize) -> Result<(), Problem> {
        while let Some(at) = text.find('{') {
            self.push_plain(&text[..at]);
            if let Some((word, after)) = braced(&text[at..]) {
                let known = Placeholder::ALL.into_iter().find(|place| place.as_str() == word);
                let place = known.ok_or_else(|| Problem::UnknownPlaceholder(word.to_owned()))?;
                *left = left.checked_sub(1).ok_or(Problem::ManyPlaceholders)?;
                self.0.push(Piece::Place(place));
                text = after;
            } else {
                self.push_plain("{");
                text = &text[at + 1..];
            }
        }
        self.push_plain(text);
        Ok(())
    }

    /// Adds text in which nothing is looked for.
    pub(super) fn push_plain(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Plain(last)) => last.push_str(text),
            _ => self.0.push(Piece::Plain(text.to_owned())),
        }
    }

    /// The text with every placeholder filled in.
    pub(super) fn filled<'a>(&self, value: impl Fn(Placeholder) -> &'a str) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            out.push_str(match piece {
                Piece::Plain(text) => text,
                Piece::Place(place) => value(*place),
            });
        }
        out
    }

    /// The placeholders, in order.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = Placeholder> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Plain(_) => None,
            Piece::Place(place) => Some(*place),
        })
    }
}

/// The word of `{word}` at the beginning, and what follows. Blanks belong to it, so that `{ user }` is seen as
/// the mistake that it is.
fn braced(text: &str) -> Option<(&str, &str)> {
    let (word, after) = text.strip_prefix('{')?.split_once('}')?;
    let is_word = word.bytes().any(|octet| octet.is_ascii_alphabetic())
        && word.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"_- ".contains(&octet));
    is_word.then_some((word, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, mut left: usize) -> Result<String, Problem> {
        let mut made = Text::default();
        made.push(text, &mut left)?;
        Ok(made.filled(Placeholder::as_str).to_uppercase())
    }

    #[test]
    fn words_in_braces_are_placeholders_and_other_braces_are_text() {
        for (text, expected) in [
            ("", ""),
            ("no place", "NO PLACE"),
            ("{user}", "USER"),
            ("{user}{domain}, {url} ({campaign}).", "USERDOMAIN, URL (CAMPAIGN)."),
            ("{{user}}", "{USER}"),
            ("p { color: red } {}", "P { COLOR: RED } {}"),
            ("a{color:red}b{", "A{COLOR:RED}B{"),
            ("{sender_domain", "{SENDER_DOMAIN"),
        ] {
            assert_eq!(filled(text, 4), Ok(expected.to_owned()), "{text}");
        }
        for (text, word) in [("{name}", "name"), ("a {User}", "User"), ("{ user }", " user "), ("{{x}}", "x")]
        {
            assert_eq!(filled(text, 4), Err(Problem::UnknownPlaceholder(word.to_owned())), "{text}");
        }
        assert_eq!(filled("{user}{user}", 1), Err(Problem::ManyPlaceholders));
    }
}
