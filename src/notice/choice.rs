//! Which template a user gets: the nearest one in the best language.

use std::collections::HashMap;

use super::template::Template;
use super::words::Kind;
use crate::words::Language;

/// The last resort for each kind.
const NOTICE: &str = include_str!("../../config/notices/notice.en.eml");
const FAREWELL: &str = include_str!("../../config/notices/farewell.en.eml");

/// What else is part of the program.
const FURTHER: [(Kind, &str, &str); 2] = [
    (Kind::Notice, "lv", include_str!("../../config/notices/notice.lv.eml")),
    (Kind::Farewell, "lv", include_str!("../../config/notices/farewell.lv.eml")),
];

/// The template for a user, and what it is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// The domain that it is for; empty: all.
    pub domain: &'a str,
    /// Its language.
    pub language: Language,
    /// The template.
    pub template: &'a Template,
}

/// All templates, and the language of those who have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates {
    language: Language,
    /// For all domains and in English: the last resort.
    notice: Template,
    farewell: Template,
    /// All others. The domain is in lower case; all domains are the empty one.
    others: HashMap<(String, Kind, Language), Template>,
}

impl Templates {
    /// The built-in templates, with `language` for those who have none.
    #[allow(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "the files are constants, and tests parse them"
    )]
    pub fn built_in(language: Language) -> Self {
        let parse = |file: &str| Template::parse(file.as_bytes()).expect("a template");
        let others = HashMap::new();
        let mut all = Self { language, notice: parse(NOTICE), farewell: parse(FAREWELL), others };
        for (kind, language, file) in FURTHER {
            all.insert("", kind, Language::parse(language).expect("a language"), parse(file));
        }
        all
    }

    /// Puts a template in the place of the one that is used for this domain, for all domains if it is empty.
    pub fn insert(&mut self, domain: &str, kind: Kind, language: Language, template: Template) {
        if domain.is_empty() && language == Language::english() {
            *match kind {
                Kind::Notice => &mut self.notice,
                Kind::Farewell => &mut self.farewell,
            } = template;
        } else {
            self.others.insert((domain.to_lowercase(), kind, language), template);
        }
    }

    /// The template for a user of this domain. The languages are asked in this order: the user's, the domain's,
    /// the configured one, English; each first with its region or script and then without. In each language
    /// the domain's own template is preferred to the one for all domains.
    pub fn choose<'a>(
        &'a self,
        kind: Kind,
        domain: &'a str,
        of_user: Option<&Language>,
        of_domain: Option<&Language>,
    ) -> Chosen<'a> {
        let english = Language::english();
        let languages = [of_user, of_domain, Some(&self.language), Some(&english)].into_iter().flatten();
        languages
            .flat_map(|language| [language.clone(), language.primary()])
            .find_map(|language| self.in_language(kind, domain, language))
            .unwrap_or_else(|| Chosen {
                domain: "",
                language: english.clone(),
                template: self.last_resort(kind),
            })
    }

    /// Is there a template for this domain in this language? The empty domain is all of them.
    pub fn has(&self, kind: Kind, domain: &str, language: &Language) -> bool {
        [language.clone(), language.primary()]
            .into_iter()
            .any(|language| self.in_language(kind, domain, language).is_some())
    }

    fn in_language<'a>(&'a self, kind: Kind, domain: &'a str, language: Language) -> Option<Chosen<'a>> {
        let mut key = (domain.to_lowercase(), kind, language);
        let own = self.others.get(&key).map(|template| (domain, template));
        key.0.clear();
        let for_all = || {
            let last_resort = (key.2 == Language::english()).then(|| self.last_resort(kind));
            self.others.get(&key).or(last_resort).map(|template| ("", template))
        };
        let (domain, template) = own.or_else(for_all)?;
        Some(Chosen { domain, language: key.2, template })
    }

    const fn last_resort(&self, kind: Kind) -> &Template {
        match kind {
            Kind::Notice => &self.notice,
            Kind::Farewell => &self.farewell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(tag: &str) -> Language {
        Language::parse(tag).expect("a language")
    }

    /// A template that can be told from others.
    fn template(name: &str) -> Template {
        let file = format!("From: a@example.net\nSubject: {name}\n\ntext\n<html></html>\n");
        Template::parse(file.as_bytes()).expect("a template")
    }

    #[test]
    fn the_nearest_template_in_the_best_language() {
        let mut all = Templates::built_in(language("lv"));
        for (domain, tag, name) in [
            ("", "de", "all de"),
            ("", "en", "all en"),
            ("Example.net", "de", "own de"),
            ("example.net", "fr", "own fr"),
        ] {
            all.insert(domain, Kind::Notice, language(tag), template(name));
        }
        let lv = Template::parse(FURTHER[0].2.as_bytes()).expect("a template");
        // Domain, the user's language, the domain's, what is chosen; `lv` is the built-in one.
        for (domain, of_user, of_domain, expected) in [
            ("example.net", "de", "", "own de"),
            ("EXAMPLE.NET", "de", "", "own de"),
            ("example.net", "DE_AT", "fr", "own de"),
            ("example.net", "", "fr", "own fr"),
            ("example.net", "it", "fr", "own fr"),
            ("example.net", "en", "fr", "all en"),
            ("example.org", "de", "", "all de"),
            ("example.org", "fr", "de", "all de"),
            ("example.org", "en-gb", "", "all en"),
            ("", "de", "", "all de"),
            ("example.org", "fr", "", "lv"),
            ("example.net", "", "", "lv"),
        ] {
            let [of_user, of_domain] = [of_user, of_domain].map(Language::parse);
            let chosen = all.choose(Kind::Notice, domain, of_user.as_ref(), of_domain.as_ref());
            let expected = if expected == "lv" { lv.clone() } else { template(expected) };
            assert_eq!(*chosen.template, expected, "{domain} {of_user:?} {of_domain:?}");
        }
        let farewell = Template::parse(FAREWELL.as_bytes()).expect("a template");
        assert_eq!(
            *all.choose(Kind::Farewell, "example.net", Some(&language("en")), None).template,
            farewell
        );
        assert_eq!(
            *Templates::built_in(language("de")).choose(Kind::Farewell, "", None, None).template,
            farewell
        );
    }

    #[test]
    fn which_languages_there_are() {
        let mut all = Templates::built_in(Language::english());
        all.insert("example.net", Kind::Notice, language("de"), template("own"));
        for (tag, there) in [("en", true), ("lv", true), ("lv-lv", true), ("en-gb", true), ("de", false)] {
            assert_eq!(all.has(Kind::Notice, "", &language(tag)), there, "{tag}");
        }
    }
}
