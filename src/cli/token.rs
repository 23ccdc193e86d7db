//! `lastpop token`: makes, lists and revokes the tokens of the API, by editing their file. There is no API for
//! this: whoever may write the file may do anything anyway, and a stolen token cannot make more of its kind.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use comfy_table::Table;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use zeroize::Zeroizing;

use crate::admin::role::Role;
use crate::admin::token_file::{self, Tokens};
use crate::admin::tokens::{self, Entry, NoRandomness};
use crate::config::{self, ConfigError};

/// A new file: its owner writes, its group reads.
const MODE: u32 = 0o640;

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token and print it: this once, because only its digest is kept.
    Create {
        /// Whose it is; the audit trail has this name.
        #[arg(long)]
        name: String,
        /// viewer: looks. operator: changes one user at a time. admin: changes all there is.
        #[arg(long)]
        role: Role,
        /// For how long it is good, such as 90d; without, until it is revoked.
        #[arg(long, value_name = "TIME")]
        expires: Option<Span>,
        /// Where the tokens are.
        #[command(flatten)]
        place: Place,
    },
    /// List the tokens: who, which role, since when, until when.
    List {
        /// Where the tokens are.
        #[command(flatten)]
        place: Place,
    },
    /// Take a token away. A running lastpop refuses it from the next request on.
    Revoke {
        /// Its name.
        name: String,
        /// Where the tokens are.
        #[command(flatten)]
        place: Place,
    },
}

/// Where the tokens are.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The token file; without, `admin.token_file` of the configuration.
    #[arg(long)]
    file: Option<PathBuf>,
    /// The configuration file.
    #[arg(long, env = "LASTPOP_CONFIG", default_value = "/etc/lastpop/lastpop.toml")]
    config: PathBuf,
}

/// Why there is no such token.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    /// The configuration cannot be used.
    #[error("{0}; or name the token file with --file")]
    Config(#[from] ConfigError),
    /// The token file cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// A name that cannot be one.
    #[error("\"{0}\" cannot be a name: take up to 64 letters, digits and . _ @ -")]
    Name(String),
    /// A time of expiry that cannot be one.
    #[error("--expires has to be a time from now on, such as 90d or 12h")]
    Expires,
    /// There is one of that name.
    #[error("there is a token named {0} already: revoke it first, or take another name")]
    Taken(String),
    /// There is none of that name.
    #[error("there is no token named {0}; `lastpop token list` shows all")]
    NoSuchToken(String),
    /// No randomness.
    #[error("{0}")]
    NoRandomness(#[from] NoRandomness),
    /// The file cannot be written.
    #[error("{}: cannot be written: {source}; nothing was changed", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody reads what is printed.
    #[error("cannot print: {0}")]
    Print(io::Error),
}

impl Place {
    fn file(&self) -> Result<PathBuf, TokenError> {
        match &self.file {
            Some(file) => Ok(file.clone()),
            None => Ok(config::load(&self.config)?.admin.token_file),
        }
    }
}

/// Does it. What a script wants goes to stdout, what people want to stderr.
pub(super) fn run(command: &Command) -> Result<(), TokenError> {
    match command {
        Command::Create { name, role, expires, place } => {
            let path = place.file()?;
            let (entry, token) = create(name, *role, *expires, &path)?;
            let until = entry.expires.map_or_else(|| "it is revoked".to_owned(), |time| time.to_string());
            say(&format!(
                "The token {name} was made in {}, with the role {role}, good until {until}. It is printed this \
                 once; keep it secret.",
                path.display()
            ));
            print(&format!("{}\n", token.as_str()))
        }
        Command::List { place } => list(&place.file()?),
        Command::Revoke { name, place } => revoke(name, &place.file()?),
    }
}

fn create(
    name: &str,
    role: Role,
    expires: Option<Span>,
    path: &Path,
) -> Result<(Entry, Zeroizing<String>), TokenError> {
    if !tokens::is_name(name) {
        return Err(TokenError::Name(name.to_owned()));
    }
    let now = Timestamp::now();
    let created = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let expires = expires.map(|span| later(created, span)).transpose()?;
    let token = tokens::generate()?;
    let entry = Entry::new(name.to_owned(), role, &token, created, expires);
    edit(path, |text| {
        if entries(path, text)?.iter().any(|other| other.name == name) {
            return Err(TokenError::Taken(name.to_owned()));
        }
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        Ok(format!("{text}{end}{entry}\n"))
    })?;
    Ok((entry, token))
}

/// Months and years included, as the calendar has them in UTC.
fn later(now: Timestamp, span: Span) -> Result<Timestamp, TokenError> {
    let then = now.to_zoned(TimeZone::UTC).checked_add(span).map_err(|_| TokenError::Expires)?.timestamp();
    if then > now { Ok(then) } else { Err(TokenError::Expires) }
}

fn list(path: &Path) -> Result<(), TokenError> {
    const HEAD: [&str; 4] = ["NAME", "ROLE", "CREATED", "EXPIRES"];
    let entries = match Tokens::read(path) {
        Tokens::Known(entries) => entries,
        Tokens::Missing => Vec::new(),
        Tokens::Unusable(message) => return Err(TokenError::Unusable(message)),
    };
    if entries.is_empty() {
        say(&format!("There is no token in {}; make one with `lastpop token create`.", path.display()));
    }
    let now = Timestamp::now();
    let rows = entries.iter().map(|entry| {
        let expires = match entry.expires {
            None => "never".to_owned(),
            Some(time) if entry.has_expired(now) => format!("{time} (expired)"),
            Some(time) => time.to_string(),
        };
        [entry.name.clone(), entry.role.to_string(), entry.created.to_string(), expires]
    });
    if io::stdout().is_terminal() {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_header(HEAD).add_rows(rows);
        return print(&format!("{table}\n"));
    }
    let lines: String = rows.map(|row| row.join("\t") + "\n").collect();
    print(&lines)
}

fn revoke(name: &str, path: &Path) -> Result<(), TokenError> {
    edit(path, |text| {
        if !entries(path, text)?.iter().any(|entry| entry.name == name) {
            return Err(TokenError::NoSuchToken(name.to_owned()));
        }
        let others = |line: &&str| line.split_whitespace().next() != Some(name);
        Ok(text.split_inclusive('\n').filter(others).collect())
    })?;
    say(&format!("The token {name} was revoked; it is refused from now on."));
    Ok(())
}

fn entries(path: &Path, text: &str) -> Result<Vec<Entry>, TokenError> {
    let unusable = |mistake: tokens::Mistake| {
        TokenError::Unusable(format!("{}:{}: {}", path.display(), mistake.line, mistake.message))
    };
    tokens::parse(text).map_err(unusable)
}

/// Replaces the file by what `change` makes of it, at once: whoever reads it sees the old or the new one. Two
/// commands at the same time wait for each other.
fn edit(path: &Path, change: impl FnOnce(&str) -> Result<String, TokenError>) -> Result<(), TokenError> {
    let failed = |source| TokenError::Write { path: path.to_owned(), source };
    // A link stays a link.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let lock = File::open(folder).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let text = match token_file::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(TokenError::Unusable(format!("{}: cannot be read: {error}", path.display())));
        }
    };
    let new = change(&text)?;
    let beside = folder.join(format!(".lastpop-token-{}", crate::random::session_id()));
    let written = write_beside(&beside, path, folder, &new).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // It may not be there.
        let _ = std::fs::remove_file(&beside);
    }
    written.map_err(failed)?;
    lock.sync_all().map_err(failed)
}

/// Owner, group and mode stay as they are. A new file has the group of its folder, as far as whoever runs this
/// may give it that: lastpop has to read it.
fn write_beside(beside: &Path, path: &Path, folder: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = std::fs::metadata(path) {
        fchown(&file, Some(old.uid()), Some(old.gid()))?;
        file.set_permissions(PermissionsExt::from_mode(old.mode() & 0o7777))?;
    } else {
        let _ = fchown(&file, None, Some(std::fs::metadata(folder)?.gid()));
        file.set_permissions(PermissionsExt::from_mode(MODE))?;
    }
    file.sync_all()
}

fn print(text: &str) -> Result<(), TokenError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(TokenError::Print)
}

#[allow(clippy::print_stderr, reason = "what people want to know; stdout is for scripts")]
fn say(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
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
        assert_eq!(std::fs::metadata(&path).expect("a file").mode() & 0o777, MODE);
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
        assert!(matches!(revoke("anna", &path), Err(TokenError::NoSuchToken(_))));
        assert!(!path.exists());
        create("anna", Role::Admin, None, &path).expect("made");
        let before = std::fs::read_to_string(&path).expect("text");
        assert!(matches!(create("anna", Role::Viewer, None, &path), Err(TokenError::Taken(_))));
        assert!(matches!(create("an na", Role::Viewer, None, &path), Err(TokenError::Name(_))));
        for span in [Span::new().days(-1), Span::new(), Span::new().years(19_000)] {
            assert!(matches!(create("bob", Role::Viewer, Some(span), &path), Err(TokenError::Expires)));
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
