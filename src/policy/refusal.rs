//! The sentence that a refused client shows: found by domain and language, then filled in.
//!
//! A user's name is told only to somebody who has shown its password.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::sentence::MAX_USER;
use super::{Language, Sentence, Url, local};

/// Why a login is refused, and so which sentence is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// POP3 is switched off.
    ImapOnly,
    /// POP3 is switched off inside a window.
    Brownout,
}

impl Occasion {
    /// All.
    pub const ALL: [Self; 2] = [Self::ImapOnly, Self::Brownout];

    /// The word in configuration and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImapOnly => "imap-only",
            Self::Brownout => "brownout",
        }
    }
}

/// Sentences by occasion and language: `[policy.refusals]`, `[domains."…".refusals]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Sentences {
    /// For users who are switched to IMAP.
    pub imap_only: BTreeMap<Language, Sentence>,
    /// For users inside a brownout.
    pub brownout: BTreeMap<Language, Sentence>,
}

impl Sentences {
    /// The sentences for one occasion.
    pub const fn of(&self, occasion: Occasion) -> &BTreeMap<Language, Sentence> {
        match occasion {
            Occasion::ImapOnly => &self.imap_only,
            Occasion::Brownout => &self.brownout,
        }
    }

    /// The sentences of this program, which name a page if there is one.
    pub fn built_in(url: Option<&Url>) -> &'static Self {
        static WITHOUT_AND_WITH: LazyLock<[Sentences; 2]> = LazyLock::new(|| {
            [false, true].map(|with_url| {
                let sentences = |text: fn(&BuiltIn) -> &'static str| {
                    BUILT_IN.iter().map(|words| words.sentence(text(words), with_url)).collect()
                };
                Sentences {
                    imap_only: sentences(|words| words.imap_only),
                    brownout: sentences(|words| words.brownout),
                }
            })
        });
        &WITHOUT_AND_WITH[usize::from(url.is_some())]
    }
}

/// The words of a language that is built in.
struct BuiltIn {
    language: &'static str,
    /// For the name of somebody who has not shown a password.
    this_account: &'static str,
    imap_only: &'static str,
    brownout: &'static str,
    /// Added when there is a page.
    how: &'static str,
}

/// English first: it is taken where no other language fits.
const BUILT_IN: [BuiltIn; 2] = [
    BuiltIn {
        language: Language::ENGLISH,
        this_account: "this account",
        imap_only: "POP3 is switched off for {user}. Please set up IMAP in your mail program.",
        brownout: "POP3 is switched off for {user} until {until}, and soon for good. Please set up IMAP in your \
            mail program.",
        how: " How to do it: {url}",
    },
    BuiltIn {
        language: "lv",
        this_account: "sis konts",
        imap_only: "Ar POP3 {user} vairs nav pieejams. Ludzu, iestatiet IMAP sava e-pasta programma.",
        brownout: "Ar POP3 {user} nav pieejams lidz {until} un driz nebus pieejams vispar. Ludzu, iestatiet IMAP \
            sava e-pasta programma.",
        how: " Ka to izdarit: {url}",
    },
];

impl BuiltIn {
    #[allow(clippy::expect_used, reason = "all texts are constants, and a test parses every one")]
    fn sentence(&self, text: &str, with_url: bool) -> (Language, Sentence) {
        let text = if with_url { format!("{text}{}", self.how) } else { text.to_owned() };
        let language = Language::try_from(self.language.to_owned()).expect("a tag");
        (language, Sentence::try_from(text).expect("a sentence"))
    }
}

/// What "this account" is in this language, if that is built in.
pub fn this_account(language: &str) -> Option<&'static str> {
    let words = |tag| BUILT_IN.iter().find(|words| words.language == tag);
    Language::lookup(language).find_map(words).map(|words| words.this_account)
}

/// All that decides how a refusal reads for one user.
#[derive(Debug, Clone, Copy)]
pub struct Wording<'a> {
    /// Sentences of the user's domain, which go before those of everyone.
    pub domain: Option<&'a Sentences>,
    /// Sentences for everyone, which go before those that are built in.
    pub everyone: &'a Sentences,
    /// Tags by preference: the user's, the domain's, everyone's. English comes after them.
    pub languages: [Option<&'a str>; 3],
    /// The page that says how to switch.
    pub url: Option<&'a Url>,
    /// Where the customers' clocks are.
    pub zone: &'a TimeZone,
}

impl Wording<'_> {
    /// POP3 is switched off. `user` is the canonical name of somebody whose password the upstream accepted,
    /// and `None` for anybody else.
    pub fn imap_only(&self, user: Option<&str>) -> String {
        self.told(Occasion::ImapOnly, user, "")
    }

    /// POP3 is switched off for now. `user` as for [`Self::imap_only`].
    pub fn brownout(&self, until: Timestamp, user: Option<&str>) -> String {
        self.told(Occasion::Brownout, user, &local(until, self.zone))
    }

    fn told(&self, occasion: Occasion, user: Option<&str>, until: &str) -> String {
        // English is built in, so there is always a sentence.
        let (language, sentence) = self.find(occasion).unzip();
        let unknown = language.and_then(this_account).unwrap_or(BUILT_IN[0].this_account);
        let user = user.filter(|name| name.len() <= MAX_USER).unwrap_or(unknown);
        let url = self.url.map_or("", Url::as_str);
        sentence.map(|sentence| sentence.fill(user, url, until)).unwrap_or_default()
    }

    /// The sentence in the first language that has one, and that language.
    fn find(&self, occasion: Occasion) -> Option<(&str, &Sentence)> {
        let layers = [self.domain, Some(self.everyone), Some(Sentences::built_in(self.url))];
        let languages = self.languages.into_iter().flatten().chain([Language::ENGLISH]);
        languages.flat_map(Language::lookup).find_map(|language| {
            let sentence = layers.into_iter().flatten().find_map(|layer| layer.of(occasion).get(language))?;
            Some((language, sentence))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::sentence::{Place, ROOM};
    use crate::pop3::{Code, Reply};

    fn sentences(text: &str) -> Sentences {
        toml::from_str(text).unwrap()
    }

    fn wording<'a>(everyone: &'a Sentences, url: Option<&'a Url>, zone: &'a TimeZone) -> Wording<'a> {
        Wording { domain: None, everyone, languages: [None; 3], url, zone }
    }

    #[test]
    fn built_in_sentences_with_and_without_a_page() {
        let none = Sentences::default();
        let url = Url::try_from("https://example.net/imap".to_owned()).unwrap();
        let zone = TimeZone::get("Europe/Riga").unwrap();
        let until = "2026-12-01T09:00Z".parse().unwrap();
        let english = wording(&none, None, &zone);
        let latvian = Wording { languages: [Some("lv"), None, None], ..english };
        let (anna, nobody) = (Some("anna@example.net"), None);
        let with_url = |wording| Wording { url: Some(&url), ..wording };
        let table = [
            (
                english.imap_only(anna),
                "POP3 is switched off for anna@example.net. Please set up IMAP in your mail program.",
            ),
            (
                with_url(english).imap_only(nobody),
                "POP3 is switched off for this account. Please set up IMAP in your mail program. How to do it: \
                https://example.net/imap",
            ),
            (
                with_url(english).brownout(until, anna),
                "POP3 is switched off for anna@example.net until 2026-12-01 11:00 EET, and soon for good. Please \
                set up IMAP in your mail program. How to do it: https://example.net/imap",
            ),
            (
                latvian.imap_only(nobody),
                "Ar POP3 sis konts vairs nav pieejams. Ludzu, iestatiet IMAP sava e-pasta programma.",
            ),
            (
                with_url(latvian).brownout(until, anna),
                "Ar POP3 anna@example.net nav pieejams lidz 2026-12-01 11:00 EET un driz nebus pieejams vispar. Ludzu, \
                iestatiet IMAP sava e-pasta programma. Ka to izdarit: https://example.net/imap",
            ),
        ];
        for (told, expected) in table {
            assert_eq!(told, expected);
        }
        let long = "a".repeat(MAX_USER + 1);
        assert_eq!(english.imap_only(Some(&long)), english.imap_only(None), "what would not fit is not told");
    }

    #[test]
    fn built_in_sentences_leave_room_for_a_page() {
        let url = Url::try_from(format!("https://example.net/{}", "x".repeat(70))).unwrap();
        for occasion in Occasion::ALL {
            let sentences = Sentences::built_in(Some(&url)).of(occasion);
            assert_eq!(sentences.len(), BUILT_IN.len());
            for (language, sentence) in sentences {
                assert!(sentence.longest(Some(&url)) <= ROOM, "{} in {language}", occasion.as_str());
                assert_eq!(sentence.uses(Place::Until), occasion == Occasion::Brownout);
            }
        }
    }

    #[test]
    fn the_language_is_looked_for_first_and_the_domain_before_everyone() {
        let everyone = sentences("imap-only = { lv = \"lv everyone\", de = \"de everyone\" }");
        let domain = sentences("imap-only = { lv = \"lv domain\", ru = \"ru domain {user}\" }");
        let zone = TimeZone::UTC;
        let wording = Wording { domain: Some(&domain), ..wording(&everyone, None, &zone) };
        let table = [
            ([Some("lv"), None, None], "lv domain"),
            ([Some("lv-lv"), None, None], "lv domain"),
            ([Some("de"), Some("lv"), None], "de everyone"),
            ([None, Some("ru"), Some("lv")], "ru domain this account"),
            ([Some("fr"), None, Some("de-at")], "de everyone"),
            ([Some("fr"), Some("es"), None], "POP3 is switched off for"),
            ([None; 3], "POP3 is switched off for"),
        ];
        for (languages, expected) in table {
            let told = Wording { languages, ..wording }.imap_only(None);
            assert!(told.starts_with(expected), "{languages:?} gives {told:?}");
        }
    }

    proptest! {
        /// A sentence that the configuration takes is told whole, whatever is filled in.
        #[test]
        fn what_fits_at_its_longest_is_never_cut(
            text in "[ -z]{0,160}(\\{user\\})?[ -z]{0,60}(\\{until\\})?(\\{url\\})?[ -z]{1,20}",
            user in proptest::option::of("[ -~]{0,300}"),
            url in "https://[a-z][a-z/]{0,89}",
            until in 0..250_000_000_000i64,
        ) {
            let sentence = Sentence::try_from(text.clone());
            prop_assume!(sentence.is_ok());
            let url = Url::try_from(url).unwrap();
            prop_assume!(sentence.unwrap().longest(Some(&url)) <= ROOM);
            let everyone = Sentences {
                brownout: [(Language::default(), Sentence::try_from(text).unwrap())].into(),
                ..Sentences::default()
            };
            let until = super::super::instant(until);
            let zone = TimeZone::get("Asia/Kathmandu").unwrap();
            let told = wording(&everyone, Some(&url), &zone).brownout(until, user.as_deref());
            let mut line = Vec::new();
            Reply::err_code_owned(Code::SysPerm, told.clone()).encode(&mut line);
            prop_assert_eq!(String::from_utf8(line).unwrap(), format!("-ERR [SYS/PERM] {told}\r\n"));
        }
    }
}
