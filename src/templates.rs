//! Reading the templates of notices from a directory, so that whoever got one wrong is told file and line.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::{Config, Domain};
use crate::notice::{Kind, MAX_TEMPLATE, Placeholder, Template, TemplateError, Templates};
use crate::policy::{Mode, Response};
use crate::words::Language;

/// Most templates in the directory and its folders. They are kept in memory.
const MAX_FILES: usize = 1_000;

/// The ending of a template's name. Files with another one are left alone.
const ENDING: &str = ".eml";

/// Why the templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplatesError {
    /// A file or a folder cannot be read.
    #[error("{}: cannot be read: {source}; see notices.directory", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no template.
    #[error("{}:{}: {}", path.display(), error.line, error.problem)]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong there.
        error: TemplateError,
    },
    /// A file's name does not say what it is for.
    #[error(
        "{}: a template is named by kind (notice or farewell) and language, such as notice.lv.eml; rename it",
        path.display()
    )]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// Names that differ only in case.
    #[error("{}: another file is for the same domain, kind and language; remove one", path.display())]
    Twice {
        /// The second one.
        path: PathBuf,
    },
    /// More than can be kept.
    #[error("{}: there are more than {MAX_FILES} templates; remove some", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
    /// The language for everybody has no template.
    #[error(
        "{key} is \"{language}\", but there is no {kind}.{language}.eml for {domain}; write one and name its folder in \
        notices.directory, or choose another language",
        language = language.as_str(),
        kind = kind.as_str(),
        domain = if domain.is_empty() { "all domains" } else { domain.as_str() }
    )]
    NoLanguage {
        /// Who chose the language.
        key: String,
        /// The language.
        language: Language,
        /// What is missing in it.
        kind: Kind,
        /// Where; empty: for all domains.
        domain: String,
    },
    /// Customers would be asked to open a page that is not named.
    #[error(
        "{key} is \"{value}\", so customers see the {kind}, which names a page by {{url}}, but policy.url is empty: set \
        it, or write a template without it",
        kind = kind.as_str()
    )]
    NoPage {
        /// Who shows it.
        key: String,
        /// Its value.
        value: &'static str,
        /// What they see.
        kind: Kind,
    },
}

/// The templates that a configuration names, if customers can be shown them: in the languages of the domains, and with
/// the page that they name.
pub fn for_config(config: &Config) -> Result<Templates, TemplatesError> {
    let (policy, notices) = (&config.policy, &config.notices);
    let templates = load(notices.directory.as_deref(), &policy.language)?;
    shows(&templates, config, "", None)?;
    for (name, domain) in config.domains.iter() {
        if let Some(language) = &domain.language {
            speaks(&templates, &format!("domains.\"{name}\".language"), name, language)?;
        }
        shows(&templates, config, name, Some(domain))?;
    }
    Ok(templates)
}

fn speaks(templates: &Templates, key: &str, domain: &str, language: &Language) -> Result<(), TemplatesError> {
    match Kind::ALL.into_iter().find(|kind| !templates.has(*kind, domain, language)) {
        Some(kind) => Err(TemplatesError::NoLanguage {
            key: key.to_owned(),
            language: language.clone(),
            kind,
            domain: domain.to_owned(),
        }),
        None => Ok(()),
    }
}

/// What customers of a domain see must not lead to a page without an address.
fn shows(
    templates: &Templates,
    config: &Config,
    name: &str,
    domain: Option<&Domain>,
) -> Result<(), TemplatesError> {
    let policy = &config.policy;
    if policy.url(domain).is_some() {
        return Ok(());
    }
    let mode = domain.and_then(|domain| domain.mode).unwrap_or(policy.mode);
    let response = policy.response(domain);
    let by_mode =
        matches!(mode, Mode::Notice | Mode::Brownout).then_some((Kind::Notice, "mode", mode.as_str()));
    let by_response = (response == Response::Notice).then_some((Kind::Farewell, "response", "notice"));
    let language = domain.and_then(|domain| domain.language.as_ref());
    for (kind, key, value) in [by_mode, by_response].into_iter().flatten() {
        let chosen = templates.choose(kind, name, None, language);
        if chosen.template.placeholders().contains(&Placeholder::Url) {
            let section = if name.is_empty() { "policy".to_owned() } else { format!("domains.\"{name}\"") };
            return Err(TemplatesError::NoPage { key: format!("{section}.{key}"), value, kind });
        }
    }
    Ok(())
}

/// A file that should be a template.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    path: PathBuf,
    /// In lower case; empty: all domains.
    domain: String,
}

/// The built-in templates, and those of the directory over them: `KIND.LANGUAGE.eml` for all domains,
/// `DOMAIN/KIND.LANGUAGE.eml` for one. `language` is for whoever has none; there must be templates in it.
fn load(directory: Option<&Path>, language: &Language) -> Result<Templates, TemplatesError> {
    let mut templates = Templates::built_in(language.clone());
    let mut seen = HashSet::new();
    for Found { path, domain } in directory.map(found).transpose()?.unwrap_or_default() {
        let Some((kind, language)) = meaning(&path) else { return Err(TemplatesError::Name { path }) };
        if !seen.insert((domain.clone(), kind, language.clone())) {
            return Err(TemplatesError::Twice { path });
        }
        let file = read(&path).map_err(|source| TemplatesError::Unreadable { path: path.clone(), source })?;
        let template = Template::parse(&file).map_err(|error| TemplatesError::Broken { path, error })?;
        templates.insert(&domain, kind, language, template);
    }
    speaks(&templates, "policy.language", "", language)?;
    Ok(templates)
}

/// What the name says.
fn meaning(path: &Path) -> Option<(Kind, Language)> {
    let (kind, language) = path.file_name()?.to_str()?.strip_suffix(ENDING)?.split_once('.')?;
    Some((Kind::parse(kind)?, Language::parse(language)?))
}

/// The templates of the directory and of the folders in it, in the order of their names.
fn found(directory: &Path) -> Result<Vec<Found>, TemplatesError> {
    let mut found = Vec::new();
    let mut add = |path: PathBuf, domain: &str| {
        if path.to_string_lossy().ends_with(ENDING) {
            found.push(Found { path, domain: domain.to_owned() });
        }
        if found.len() > MAX_FILES {
            return Err(TemplatesError::TooMany { path: directory.to_owned() });
        }
        Ok(())
    };
    for (name, path) in entries(directory)? {
        if path.is_dir() {
            for (_, path) in entries(&path)? {
                add(path, &name.to_lowercase())?;
            }
        } else {
            add(path, "")?;
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// What is in a folder, without what is hidden: Kubernetes and editors keep their own files there.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, TemplatesError> {
    let unreadable = |source| TemplatesError::Unreadable { path: folder.to_owned(), source };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            entries.push((name, entry.path()));
        }
    }
    Ok(entries)
}

/// The file, or as much of it as shows that it is too long.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = Vec::new();
    std::fs::File::open(path)?.take(MAX_TEMPLATE as u64 + 1).read_to_end(&mut file)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(tag: &str) -> Language {
        Language::parse(tag).expect("a language")
    }

    fn file(subject: &str) -> String {
        format!("From: a@example.net\nSubject: {subject}\n\ntext\n<html></html>\n")
    }

    /// A directory with these files.
    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        directory
    }

    fn message(files: &[(&str, &str)]) -> String {
        let directory = directory(files);
        let error = load(Some(directory.path()), &Language::english()).expect_err("a mistake").to_string();
        error.replace(&format!("{}", directory.path().display()), "DIR")
    }

    #[test]
    fn without_a_directory_there_are_the_built_in_ones() {
        let templates = load(None, &language("lv")).expect("templates");
        assert_eq!(templates, Templates::built_in(language("lv")));
    }

    #[test]
    fn files_stand_before_what_is_built_in() {
        let (all, own) = (file("all"), file("own"));
        let directory = directory(&[
            ("notice.en.eml", &all),
            ("README", "not a template"),
            ("notice.en.eml~", "not a template"),
            (".hidden.eml", "not a template"),
            ("..data/notice.en.eml", "not a template"),
            ("Example.NET/notice.DE.eml", &own),
            ("empty/README", "not a template"),
        ]);
        let templates = load(Some(directory.path()), &Language::english()).expect("templates");
        let parsed = |text: &str| Template::parse(text.as_bytes()).expect("a template");
        let de = language("de");
        assert_eq!(*templates.choose(Kind::Notice, "example.net", Some(&de), None).template, parsed(&own));
        assert_eq!(*templates.choose(Kind::Notice, "example.org", Some(&de), None).template, parsed(&all));
        let built_in = Templates::built_in(Language::english());
        let lv = language("lv");
        assert_eq!(
            templates.choose(Kind::Notice, "", Some(&lv), None),
            built_in.choose(Kind::Notice, "", Some(&lv), None)
        );
    }

    #[test]
    fn mistakes_name_the_file_and_the_line() {
        let good = file("all");
        let long = "x".repeat(MAX_TEMPLATE + 1);
        for (files, expected) in [
            (vec![("notice.en.eml", "Subject: x\n\ntext\n<html></html>\n")], "DIR/notice.en.eml:2: "),
            (
                vec![("a.lv/farewell.lv.eml", "From: x\n")],
                "DIR/a.lv/farewell.lv.eml:1: `x` is not one address",
            ),
            (vec![("notice.en.eml", &long)], "DIR/notice.en.eml:1: the file is longer"),
            (vec![("notcie.en.eml", &good)], "DIR/notcie.en.eml: a template is named by"),
            (vec![("notice.eml", &good)], "DIR/notice.eml: a template is named by"),
            (vec![("notice.en.eml", &good), ("notice.EN.eml", &good)], "DIR/notice.en.eml: another file"),
        ] {
            let message = message(&files);
            assert!(message.starts_with(expected), "{message}");
        }
        let nowhere = load(Some(Path::new("/nonexistent")), &Language::english()).expect_err("nowhere");
        assert!(nowhere.to_string().starts_with("/nonexistent: cannot be read: "), "{nowhere}");
    }

    #[test]
    fn the_language_for_everybody_needs_both_templates() {
        let error = load(None, &language("de")).expect_err("no German").to_string();
        assert!(error.starts_with("policy.language is \"de\", but there is no notice.de.eml"), "{error}");
        let text = file("all");
        let directory = directory(&[("notice.de.eml", &text), ("x.de/farewell.de.eml", &text)]);
        let error = load(Some(directory.path()), &language("de")).expect_err("one").to_string();
        assert!(error.contains("there is no farewell.de.eml for all domains"), "{error}");
        std::fs::write(directory.path().join("farewell.de.eml"), &text).expect("written");
        assert!(load(Some(directory.path()), &language("de-at")).is_ok());
    }

    #[test]
    fn not_more_than_can_be_kept() {
        let names: Vec<String> = (0..=MAX_FILES).map(|number| format!("{number}.lv/notice.lv.eml")).collect();
        let text = file("own");
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), text.as_str())).collect();
        assert_eq!(message(&files), "DIR: there are more than 1000 templates; remove some");
        assert!(load(Some(directory(&files[1..]).path()), &Language::english()).is_ok());
    }
}
