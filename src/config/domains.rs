//! `[domains."example.net"]`: what is different for the users of one domain.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::values;
use crate::policy::{Language, Mode, Response, Sentences, Url};
use crate::words::DomainName;

/// Domains that a configuration may name. The state holds rules for any number of them.
const MAX_DOMAINS: usize = 10_000;

/// What is different for the users of one domain. What is not set is as for everyone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Domain {
    /// Its mode, unless a rule in the state for the domain or the user says otherwise.
    pub mode: Option<Mode>,
    /// Instead of `policy.response`.
    pub response: Option<Response>,
    /// Instead of `policy.language`.
    pub language: Option<Language>,
    /// Instead of `policy.url`.
    #[serde(deserialize_with = "values::url_or_empty")]
    pub url: Option<Url>,
    /// Sentences that go before those of `policy.refusals`.
    pub refusals: Sentences,
}

/// All `[domains."…"]`, by name in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domains(BTreeMap<String, Domain>);

impl Domains {
    /// What is different for this domain, however its letters are written.
    pub fn get(&self, name: &str) -> Option<&Domain> {
        if name.bytes().any(|octet| octet.is_ascii_uppercase()) {
            self.0.get(&name.to_ascii_lowercase())
        } else {
            self.0.get(name)
        }
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Domain)> {
        self.0.iter().map(|(name, domain)| (name.as_str(), domain))
    }
}

impl<'de> Deserialize<'de> for Domains {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Tables;
        impl<'de> Visitor<'de> for Tables {
            type Value = Domains;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tables such as [domains.\"example.net\"]")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Domains, A::Error> {
                let mut domains = BTreeMap::new();
                while let Some(Name(name)) = map.next_key()? {
                    if domains.len() == MAX_DOMAINS {
                        return Err(A::Error::custom(format!(
                            "there are more than {MAX_DOMAINS} domains: keep their modes in the state instead, by \
                            `lastpop domain set`"
                        )));
                    }
                    let domain: Domain = map.next_value()?;
                    if domains.insert(name.clone(), domain).is_some() {
                        return Err(A::Error::custom(format!(
                            "{name} is there twice; upper and lower case are the same: keep one"
                        )));
                    }
                }
                Ok(Domains(domains))
            }
        }
        from.deserialize_map(Tables)
    }
}

/// A domain name in lower case.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Name(String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.to_ascii_lowercase();
        if DomainName::parse(&name).is_some() {
            return Ok(Self(name));
        }
        let what_else = match text.as_str() {
            "*" | "" => "what holds for everyone is in [policy]",
            _ if !text.is_ascii() => "names in other letters are written in their form with xn--",
            _ => "what stands behind the @ in a user's name",
        };
        Err(format!("`{text}` is no domain: expected a name such as \"example.net\"; {what_else}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(text: &str) -> Result<Domains, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        let domains =
            domains("[\"Example.NET\"]\nmode = \"notice\"\n[local]\n[\"xn--e1aybc.example\"]").unwrap();
        for name in ["example.net", "EXAMPLE.net"] {
            assert_eq!(domains.get(name).unwrap().mode, Some(Mode::Notice));
        }
        assert_eq!(domains.get("local"), Some(&Domain::default()));
        assert_eq!(domains.get("example.org"), None);
        assert_eq!(domains.get(""), None);
        assert_eq!(domains.iter().count(), 3);
    }

    #[test]
    fn what_is_no_domain() {
        let long = format!("{}.example", "x".repeat(64));
        for name in [
            "",
            "*",
            "*.example.net",
            "example.net.",
            ".net",
            "a b",
            "-a.net",
            "a-.net",
            "a@b",
            "ā.lv",
            &long,
        ] {
            let message = domains(&format!("[\"{name}\"]")).unwrap_err();
            assert!(message.contains("is no domain: expected a name such as"), "{message}");
        }
        let twice = domains("[\"example.net\"]\n[\"Example.net\"]").unwrap_err();
        assert!(twice.contains("example.net is there twice"), "{twice}");
    }

    #[test]
    fn there_are_not_too_many() {
        let many =
            |count: usize| (0..count).map(|at| format!("[\"d{at}.example\"]")).collect::<Vec<_>>().join("\n");
        assert_eq!(domains(&many(MAX_DOMAINS)).unwrap().iter().count(), MAX_DOMAINS);
        assert!(domains(&many(MAX_DOMAINS + 1)).unwrap_err().contains("more than 10000 domains"));
    }
}
