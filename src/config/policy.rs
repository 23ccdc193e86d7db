//! `[policy]`: what POP3 does for users unless a rule in the state says otherwise, and how refusals read.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Deserialize;

use super::{Domain, values};
use crate::policy::{Language, Mode, Response, Sentences, Url, Window, Windows, Wording};

/// `[policy]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The weakest rule: for whom no other says anything.
    pub mode: Mode,
    /// What a user of the mode `imap-only` sees.
    pub response: Response,
    /// Where the customers' clocks are: for windows, and for times in sentences.
    #[serde(deserialize_with = "values::time_zone")]
    pub time_zone: TimeZone,
    /// Is the password checked upstream before a refusal is told? If not, anybody can find out who is switched.
    pub verify_before_refusing: bool,
    /// A refused client that comes again with the same password is not checked again for this long.
    #[serde(deserialize_with = "values::duration")]
    pub remember_verified: Duration,
    /// The page that says how to switch.
    #[serde(deserialize_with = "values::url_or_empty")]
    pub url: Option<Url>,
    /// The language of users for whom no other is known.
    pub language: Language,
    /// When users of the mode `brownout` are refused.
    pub brownout: Vec<Window>,
    /// Sentences, instead of those that are built in.
    pub refusals: Sentences,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Pop3,
            response: Response::Refuse,
            time_zone: TimeZone::UTC,
            verify_before_refusing: true,
            remember_verified: Duration::from_hours(1),
            url: None,
            language: Language::default(),
            brownout: Vec::new(),
            refusals: Sentences::default(),
        }
    }
}

impl Policy {
    /// The windows in which users of the mode `brownout` are refused.
    pub fn windows(&self) -> Windows {
        Windows::new(self.time_zone.clone(), self.brownout.clone())
    }

    /// What users of this domain see in the mode `imap-only`.
    pub fn response(&self, domain: Option<&Domain>) -> Response {
        domain.and_then(|domain| domain.response).unwrap_or(self.response)
    }

    /// The page for users of this domain.
    pub fn url<'a>(&'a self, domain: Option<&'a Domain>) -> Option<&'a Url> {
        domain.and_then(|domain| domain.url.as_ref()).or(self.url.as_ref())
    }

    /// How refusals read for a user of this domain, whose language is perhaps known.
    pub fn wording<'a>(&'a self, domain: Option<&'a Domain>, language: Option<&'a str>) -> Wording<'a> {
        let of_domain = domain.and_then(|domain| domain.language.as_ref());
        Wording {
            domain: domain.map(|domain| &domain.refusals),
            everyone: &self.refusals,
            languages: [language, of_domain.map(Language::as_str), Some(self.language.as_str())],
            url: self.url(domain),
            zone: &self.time_zone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn what_holds_for_a_domain_and_what_for_everyone() {
        let config: Config = toml::from_str(
            "[policy]\nurl = \"https://example.net/imap\"\ntime_zone = \"Europe/Riga\"\nlanguage = \"lv\"\n\
            [[policy.brownout]]\ndays = \"2026-12-01\"\nfrom = \"09:00\"\nto = \"11:00\"\n\
            [policy.refusals.imap-only]\nlv = \"Tikai IMAP: {url}\"\n\
            [domains.\"Example.ORG\"]\nmode = \"brownout\"\nresponse = \"notice\"\nlanguage = \"EN\"\n\
            url = \"https://example.org\"\nrefusals.imap-only.en = \"Only IMAP, {user}: {url}\"\n",
        )
        .unwrap();
        let (policy, org) = (&config.policy, config.domains.get("example.org"));
        assert_eq!(org.and_then(|domain| domain.mode), Some(Mode::Brownout));
        assert_eq!((policy.response(org), policy.response(None)), (Response::Notice, Response::Refuse));
        assert_eq!(policy.wording(None, None).imap_only(None), "Tikai IMAP: https://example.net/imap");
        let wording = policy.wording(org, None);
        assert_eq!(wording.imap_only(Some("a@example.org")), "Only IMAP, a@example.org: https://example.org");
        assert_eq!(policy.wording(org, Some("lv")).imap_only(None), "Tikai IMAP: https://example.org");
        let nine: jiff::Timestamp = "2026-12-01T09:00+02".parse().unwrap();
        let until = policy.windows().active(nine).unwrap();
        assert!(wording.brownout(until, None).contains("for this account until 2026-12-01 11:00 EET, "));
    }
}
