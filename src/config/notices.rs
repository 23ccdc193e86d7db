//! `[notices]`: the message that tells customers to switch to IMAP.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};

use super::values;
use crate::notice::Campaign;
use crate::words::DomainName;

/// `[notices]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notices {
    /// A folder with templates that stand before the built-in ones.
    #[serde(deserialize_with = "values::path_or_empty")]
    pub directory: Option<PathBuf>,
    /// With another campaign the notice is shown again to those who have deleted it.
    #[serde(deserialize_with = "campaign")]
    pub campaign: Campaign,
    /// The domain that notices come from: `{sender_domain}` in templates, and in Message-ID. Without it that
    /// is the user's.
    #[serde(deserialize_with = "domain_or_empty")]
    pub sender_domain: Option<DomainName>,
}

fn campaign<'de, D: Deserializer<'de>>(from: D) -> Result<Campaign, D::Error> {
    const EXPECTED: &str = "1 to 32 letters without accents, digits, dots, hyphens and underscores";
    // In the environment nothing tells a number from a name that looks like one.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Number(u64),
    }
    let text = match Written::deserialize(from) {
        Ok(Written::Text(text)) => text,
        Ok(Written::Number(number)) => number.to_string(),
        Err(_) => return Err(D::Error::custom(format!("expected {EXPECTED}"))),
    };
    Campaign::parse(&text).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &EXPECTED))
}

fn domain_or_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DomainName>, D::Error> {
    parsed(from, or_empty(DomainName::parse), "a domain in ASCII such as \"example.net\", or \"\"")
}

fn or_empty<T>(parse: impl Fn(&str) -> Option<T>) -> impl Fn(&str) -> Option<Option<T>> {
    move |text| if text.is_empty() { Some(None) } else { parse(text).map(Some) }
}

fn parsed<'de, D: Deserializer<'de>, T>(
    from: D,
    parse: impl Fn(&str) -> Option<T>,
    expected: &'static str,
) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_and_what_is_not() {
        let set: Notices = toml::from_str(
            "directory = \"/etc/lastpop/notices\"\ncampaign = \"2026-11\"\nsender_domain = \"example.net\"\n",
        )
        .expect("a section");
        assert_eq!(set.directory, Some(PathBuf::from("/etc/lastpop/notices")));
        assert_eq!(set.campaign.as_str(), "2026-11");
        assert_eq!(set.sender_domain, DomainName::parse("example.net"));
        let not: Notices = toml::from_str("directory = \"\"\nsender_domain = \"\"\n").expect("a section");
        assert_eq!(not, Notices::default());
        let number: Notices = toml::from_str("campaign = 2").expect("a section");
        assert_eq!(number.campaign.as_str(), "2");
    }

    #[test]
    fn mistakes_say_what_was_expected() {
        for (text, expected) in [
            ("campaign = \"\"", "expected 1 to 32 letters"),
            ("campaign = \"wave 2\"", "expected 1 to 32 letters"),
            ("campaign = -2", "expected 1 to 32 letters"),
            ("sender_domain = \"ēģ.lv\"", "expected a domain in ASCII"),
            ("templates = \"\"", "unknown field `templates`"),
        ] {
            let error = toml::from_str::<Notices>(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
