//! `lastpop token`: makes, lists and revokes the tokens of the API, by editing their file. There is no API for
//! this: whoever may write the file may do anything anyway, and a stolen token cannot make more of its kind.
#![allow(clippy::doc_markdown, reason = "comments on arguments are what --help prints")]

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Serialize;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::options::stdout;
use super::output::{self, Cell, Column, Format, Row, key, main, minor, note};
use super::place;
use super::token_edit::{EditError, edit, entries};
use crate::admin::role::Role;
use crate::admin::token_file::Tokens;
use crate::admin::tokens::{self, Entry};
use crate::config;

/// See `lastpop token --help`.
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token and print it: this once, because only its digest is kept.
    #[command(after_help = "Examples:
  lastpop token create --name grafana --role viewer
  lastpop token create --name support-desk --role operator --expires 1y > support.token")]
    Create {
        /// Whose it is; the audit trail has this name.
        #[arg(long)]
        name: String,
        /// viewer: looks. operator: changes one user at a time. admin: changes all there is.
        #[arg(long, value_parser = role())]
        role: Role,
        /// For how long it is good, such as 90d; without it, until it is revoked.
        #[arg(long, value_name = "TIME")]
        expires: Option<Span>,
        #[command(flatten)]
        place: Place,
    },
    /// List the tokens: whose they are, which role they have, since when and until when they are good.
    #[command(after_help = "Example:\n  lastpop token list")]
    List {
        #[command(flatten)]
        place: Place,
        /// The form of what is printed; without it a table on a terminal, TSV elsewhere.
        #[arg(long, value_name = "FORM")]
        format: Option<Format>,
    },
    /// Take a token away. A lastpop that is running refuses it from the next request on.
    #[command(after_help = "Example:\n  lastpop token revoke grafana")]
    Revoke {
        /// Its name.
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).try_map(|word| word.parse::<Role>())
}

/// Where the tokens are.
#[derive(Debug, Args)]
struct Place {
    /// The token file; without it admin.token_file of the configuration.
    #[arg(long)]
    file: Option<PathBuf>,
    /// The configuration, which says where the token file is.
    #[arg(long, env = "LASTPOP_CONFIG", value_name = "FILE", default_value = place::CONFIGURATION)]
    config: PathBuf,
}

impl Place {
    fn file(&self) -> Result<PathBuf, Failure> {
        match &self.file {
            Some(file) => Ok(file.clone()),
            None => Ok(config::load(&self.config).map_err(EditError::Config)?.admin.token_file),
        }
    }
}

impl Token {
    /// Does what was asked. What a script wants goes to stdout, what people want to stderr.
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Create { name, role, expires, place } => {
                let path = place.file()?;
                let (entry, token) = create(&name, role, expires, &path)?;
                print(&token).map_err(|error| lost(&name, &path, &error))?;
                let until = entry.expires.map_or_else(|| "it is revoked".to_owned(), |time| time.to_string());
                note(&format!(
                    "the token {name} was made in {}, with the role {role}, good until {until}; it is printed this \
                     once, keep it secret",
                    path.display()
                ));
                Ok(())
            }
            Command::List { place, format } => list(&place.file()?, format.unwrap_or_else(Format::usual)),
            Command::Revoke { name, place } => {
                revoke(&name, &place.file()?)?;
                note(&format!("the token {name} was revoked; it is refused from now on"));
                Ok(())
            }
        }
    }
}

fn print(token: &str) -> io::Result<()> {
    let mut out = stdout();
    writeln!(out, "{token}")?;
    out.flush()
}

/// A token that nobody has seen is of no use to anybody, and its name would be taken.
fn lost(name: &str, path: &Path, error: &io::Error) -> Failure {
    let said = match revoke(name, path) {
        Ok(()) => "so it was revoked again; give it somewhere to go and make it once more".to_owned(),
        Err(kept) => {
            format!("and it could not be revoked ({kept}); do so with `lastpop token revoke {name}`")
        }
    };
    Failure::Token(format!("the token {name} was made but could not be printed ({error}), {said}"))
}

fn create(
    name: &str,
    role: Role,
    expires: Option<Span>,
    path: &Path,
) -> Result<(Entry, Zeroizing<String>), EditError> {
    if !tokens::is_name(name) {
        return Err(EditError::Name(name.to_owned()));
    }
    let now = Timestamp::now();
    let created = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let expires = expires.map(|span| later(created, span)).transpose()?;
    let token = tokens::generate()?;
    let entry = Entry::new(name.to_owned(), role, &token, created, expires);
    edit(path, |text| {
        if entries(path, text)?.iter().any(|other| other.name == name) {
            return Err(EditError::Taken(name.to_owned()));
        }
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        Ok(format!("{text}{end}{entry}\n"))
    })?;
    Ok((entry, token))
}

/// Months and years included, as the calendar has them in UTC.
fn later(now: Timestamp, span: Span) -> Result<Timestamp, EditError> {
    let then = now.to_zoned(TimeZone::UTC).checked_add(span).map_err(|_| EditError::Expires)?.timestamp();
    if then > now { Ok(then) } else { Err(EditError::Expires) }
}

fn revoke(name: &str, path: &Path) -> Result<(), EditError> {
    edit(path, |text| {
        if !entries(path, text)?.iter().any(|entry| entry.name == name) {
            return Err(EditError::NoSuchToken(name.to_owned()));
        }
        let others = |line: &&str| line.split_whitespace().next() != Some(name);
        Ok(text.split_inclusive('\n').filter(others).collect())
    })
}

/// A token as it is listed.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    role: &'static str,
    created: Timestamp,
    expires: Option<Timestamp>,
    expired: bool,
}

impl Row for Listed {
    const COLUMNS: &'static [Column] =
        &[key("name"), key("role"), minor("created"), main("expires"), main("expired")];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            Cell::Text(&self.name),
            Cell::Text(self.role),
            Cell::Time(self.created),
            Cell::of(self.expires, Cell::Time),
            Cell::Flag(self.expired),
        ]
    }
}

fn list(path: &Path, format: Format) -> Result<(), Failure> {
    let entries = match Tokens::read(path) {
        Tokens::Known(entries) => entries,
        Tokens::Missing => Vec::new(),
        Tokens::Unusable(message) => return Err(EditError::Unusable(message).into()),
    };
    if entries.is_empty() {
        note(&format!("there is no token in {}; make one with `lastpop token create`", path.display()));
    }
    let now = Timestamp::now();
    let listed: Vec<Listed> = entries
        .into_iter()
        .map(|entry| Listed {
            expired: entry.has_expired(now),
            role: entry.role.as_str(),
            created: entry.created,
            expires: entry.expires,
            name: entry.name,
        })
        .collect();
    Ok(output::all(format, &listed, &mut stdout())?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let Tokens::Known(entries) = Tokens::read(path) else { panic!("no tokens in {}", path.display()) };
        entries.into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn what_people_wrote_into_the_file_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("admin.tokens");
        create("anna", Role::Admin, None, &path).expect("made");
        assert_eq!(std::fs::metadata(&path).expect("a file").mode() & 0o777, 0o640);
        let text = std::fs::read_to_string(&path).expect("text");
        std::fs::write(&path, format!("# ours\n{text}# no line end")).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o604)).expect("chmod");
        create("bob", Role::Viewer, Some(Span::new().days(90)), &path).expect("made");
        assert_eq!(names(&path), ["anna", "bob"]);
        revoke("anna", &path).expect("revoked");
        assert_eq!(names(&path), ["bob"]);
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.starts_with("# ours\n# no line end\nbob viewer "), "{text}");
        assert_eq!(std::fs::metadata(&path).expect("a file").mode() & 0o777, 0o604);
        let left = std::fs::read_dir(directory.path()).expect("a folder").count();
        assert_eq!(left, 1, "nothing lies beside it");
    }

    #[test]
    fn a_link_stays_a_link() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, link) = (directory.path().join("real"), directory.path().join("link"));
        create("anna", Role::Admin, None, &path).expect("made");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        create("bob", Role::Admin, None, &link).expect("made");
        assert!(std::fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(names(&path), ["anna", "bob"]);
    }

    #[test]
    fn what_cannot_be_changes_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("admin.tokens");
        assert!(matches!(revoke("anna", &path), Err(EditError::NoSuchToken(_))));
        assert!(!path.exists());
        create("anna", Role::Admin, None, &path).expect("made");
        let before = std::fs::read_to_string(&path).expect("text");
        assert!(matches!(create("anna", Role::Viewer, None, &path), Err(EditError::Taken(_))));
        assert!(matches!(create("an na", Role::Viewer, None, &path), Err(EditError::Name(_))));
        for span in [Span::new().days(-1), Span::new(), Span::new().years(19_000)] {
            assert!(matches!(create("bob", Role::Viewer, Some(span), &path), Err(EditError::Expires)));
        }
        assert_eq!(std::fs::read_to_string(&path).expect("text"), before);
        std::fs::write(&path, format!("{before}nonsense\n")).expect("written");
        let error = create("bob", Role::Viewer, None, &path).expect_err("nonsense").to_string();
        assert!(error.contains("admin.tokens:2: there are 1 words"), "{error}");
        let nowhere = create("bob", Role::Viewer, None, Path::new("/nonexistent/tokens"));
        assert!(
            nowhere.expect_err("no folder").to_string().contains("/nonexistent/tokens: cannot be written")
        );
    }

    #[test]
    fn many_at_the_same_time_lose_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("admin.tokens");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    create(&format!("n{number}"), Role::Viewer, None, path).map(drop).expect("made");
                });
            }
        });
        assert_eq!(names(&path).len(), 8);
    }
}
