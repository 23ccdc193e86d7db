//! Words of the configuration: a domain; and what sentences and notices for customers are made with, a language and the
//! page that says how to switch.

use std::borrow::Borrow;
use std::fmt;

use serde::Deserialize;

/// Longest language tag (RFC 5646 §4.4.1), in octets.
const MAX_LANGUAGE: usize = 35;

/// Longest address of a page, in octets. It must fit into one line of a text that a person reads.
const MAX_URL: usize = 256;

/// Longest domain name, in octets (RFC 1035 §3.1, without the root).
const MAX_DOMAIN: usize = 253;

/// Longest label of a domain name, in octets (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// A domain name in ASCII that can stand behind the `@` of an address without quotes; an internationalised one in its
/// `xn--` form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainName(String);

impl DomainName {
    /// Labels of letters, digits, `_` and inner `-` (RFC 1035 §2.3.1), with dots between them.
    pub fn parse(text: &str) -> Option<Self> {
        let is_label = |label: &str| {
            (1..=MAX_LABEL).contains(&label.len())
                && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        (text.len() <= MAX_DOMAIN && text.split('.').all(is_label)).then(|| Self(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A language tag (RFC 5646) in lower case: `en`, `lv`, `pt-br`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Language(String);

impl Language {
    /// English, in which there is always a sentence.
    pub const ENGLISH: &str = "en";

    /// English.
    pub fn english() -> Self {
        Self::default()
    }

    /// A tag in any case; `_` is taken for `-`, as in `en_GB`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::try_from(text.to_owned()).ok()
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language without region and script: `zh` for `zh-hant`.
    #[must_use]
    pub fn primary(&self) -> Self {
        Self(self.0.split('-').next().unwrap_or_default().to_owned())
    }

    /// A tag, then its language without script and region: who reads `lv-lv` reads `lv` (RFC 4647 §3.4).
    pub fn lookup(tag: &str) -> impl Iterator<Item = &str> {
        let primary = tag.split_once('-').map(|(primary, _)| primary);
        std::iter::once(tag).chain(primary)
    }
}

impl Default for Language {
    fn default() -> Self {
        Self(Self::ENGLISH.to_owned())
    }
}

impl TryFrom<String> for Language {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let tag = text.to_ascii_lowercase().replace('_', "-");
        let mut subtags = tag.split('-');
        let is_primary = |subtag: &str| {
            (2..=8).contains(&subtag.len()) && subtag.bytes().all(|octet| octet.is_ascii_lowercase())
        };
        let is_subtag = |subtag: &str| {
            (1..=8).contains(&subtag.len()) && subtag.bytes().all(|octet| octet.is_ascii_alphanumeric())
        };
        if tag.len() <= MAX_LANGUAGE && subtags.next().is_some_and(is_primary) && subtags.all(is_subtag) {
            Ok(Self(tag))
        } else {
            Err(format!("`{text}` is no language tag: expected such as \"en\", \"lv\" or \"pt-br\""))
        }
    }
}

impl Borrow<str> for Language {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where customers read how to switch. It can stand in a POP3 reply and in HTML as it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Url(String);

impl Url {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // RFC 3986 §2: these characters, and of those that it allows not the quote that could end an attribute.
        let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&()*+,;=%".contains(&octet);
        let begins = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'[';
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let rest = rest.filter(|rest| text.len() <= MAX_URL && rest.as_bytes().first().is_some_and(begins));
        if rest.is_some_and(|rest| rest.bytes().all(allowed)) {
            Ok(Self(text))
        } else {
            Err(format!(
                "`{text}` is no address of a page: expected such as \"https://example.net/imap\", in ASCII, \
                without blanks, and at most {MAX_URL} octets"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages() {
        for (text, tag) in
            [("en", "en"), ("LV", "lv"), ("pt-BR", "pt-br"), ("en_GB", "en-gb"), ("zh-Hant-TW", "zh-hant-tw")]
        {
            assert_eq!(Language::try_from(text.to_owned()).unwrap().as_str(), tag);
        }
        for text in ["", "e", "en-", "english-language-of-the-north-of-england", "lā", "12"] {
            assert!(Language::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert_eq!(Language::lookup("pt-br").collect::<Vec<_>>(), ["pt-br", "pt"]);
        assert_eq!(Language::lookup("lv").collect::<Vec<_>>(), ["lv"]);
    }

    #[test]
    fn domains() {
        for text in ["example.net", "localhost", "xn--e-pasts.lv"] {
            assert_eq!(DomainName::parse(text).expect(text).as_str(), text);
        }
        for text in [
            "",
            "a..b",
            ".a",
            "a.",
            "a b",
            "a>b",
            "pasts.ēģ",
            "-a.lv",
            "a-.lv",
            &"x".repeat(64),
            &"x.".repeat(127),
        ] {
            assert_eq!(DomainName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn addresses() {
        for text in ["https://example.net/imap?a=1&b=2#c", "http://[2001:db8::1]/"] {
            assert!(Url::try_from(text.to_owned()).is_ok(), "{text}");
        }
        for text in [
            "",
            "https://",
            "example.net",
            "javascript:alert(1)",
            "https://a b",
            "https://a/\"x",
            "https://ā",
            "https://a\r\n",
        ] {
            assert!(Url::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
