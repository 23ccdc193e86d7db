//! A sentence with places to fill in, which stands in a POP3 reply.
//!
//! A reply is ASCII of at most 512 octets, so a sentence is ASCII, and one whose longest form would not fit is
//! a mistake in the configuration.

use serde::Deserialize;

use super::Url;
use crate::pop3::reply::MAX_REPLY;

/// Longest canonical name that is told, in octets; of a longer one a sentence says "this account".
pub const MAX_USER: usize = 255;
/// Longest `{until}`, in octets: the short names of time zones have at most six letters.
const MAX_UNTIL: usize = "2026-12-01 11:00 ZZZZZZ".len();
/// What a sentence has of a status line.
pub const ROOM: usize = MAX_REPLY - "-ERR [SYS/PERM] \r\n".len();

/// A sentence with places to fill in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Sentence(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

/// What can be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `{user}`: the user's name, or "this account".
    User,
    /// `{url}`: the page that says how to switch.
    Url,
    /// `{until}`: the end of the brownout.
    Until,
}

impl TryFrom<String> for Sentence {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(odd) = text.chars().find(|c| !matches!(c, ' '..='~')) {
            return Err(format!(
                "`{}` is neither a visible ASCII character nor a blank, and a POP3 reply holds nothing else: write \
                it without diacritics and on one line",
                odd.escape_default()
            ));
        }
        if text.trim().is_empty() {
            return Err("the sentence is empty: leave the key out for the built-in one".to_owned());
        }
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, braced) = rest.split_at(at);
            let places = [("{user}", Place::User), ("{url}", Place::Url), ("{until}", Place::Until)];
            let found =
                places.into_iter().find_map(|(word, place)| Some((place, braced.strip_prefix(word)?)));
            let Some((place, after)) = found else {
                return Err(format!(
                    "`{braced}` begins with a brace, but only {{user}}, {{url}} and {{until}} can be filled in"
                ));
            };
            parts.extend([Part::Text(before.to_owned()), Part::Place(place)]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }
}

impl Sentence {
    /// Does something go into this place?
    pub fn uses(&self, place: Place) -> bool {
        self.0.contains(&Part::Place(place))
    }

    /// The most octets that it can come to.
    pub fn longest(&self, url: Option<&Url>) -> usize {
        let longest = |part: &Part| match part {
            Part::Text(text) => text.len(),
            Part::Place(Place::User) => MAX_USER,
            Part::Place(Place::Url) => url.map_or(0, |url| url.as_str().len()),
            Part::Place(Place::Until) => MAX_UNTIL,
        };
        self.0.iter().map(longest).sum()
    }

    /// The text, with these in their places.
    pub(super) fn fill(&self, user: &str, url: &str, until: &str) -> String {
        let fill = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Place(Place::User) => user.to_owned(),
            Part::Place(Place::Url) => url.to_owned(),
            Part::Place(Place::Until) => until.to_owned(),
        };
        self.0.iter().map(fill).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_reply_could_hold_is_refused() {
        for (text, expected) in [
            ("POP3 ir slēgts.", "without diacritics"),
            ("one\r\ntwo", "on one line"),
            ("tab\t", "on one line"),
            (" ", "is empty"),
            ("Dear {name}", "`{name}` begins with a brace"),
            ("{user", "only {user}, {url} and {until}"),
            ("a } b", "only {user}, {url} and {until}"),
            ("{{user}}", "only {user}, {url} and {until}"),
        ] {
            let message = Sentence::try_from(text.to_owned()).unwrap_err();
            assert!(message.contains(expected), "{text:?} gives {message:?}");
        }
    }

    #[test]
    fn places_are_filled_in() {
        let url = Url::try_from("https://example.net".to_owned()).unwrap();
        let sentence = Sentence::try_from("{user}: use IMAP ({url}), {user}".to_owned()).unwrap();
        assert_eq!(sentence.fill("anna", "/", "never"), "anna: use IMAP (/), anna");
        assert!(sentence.uses(Place::User) && sentence.uses(Place::Url) && !sentence.uses(Place::Until));
        assert_eq!(sentence.longest(Some(&url)), 2 * MAX_USER + ": use IMAP (https://example.net), ".len());
        assert_eq!(sentence.longest(None), 2 * MAX_USER + ": use IMAP (), ".len());
    }
}
