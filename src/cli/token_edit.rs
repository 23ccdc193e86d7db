//! Editing the token file: at once and whole, for one command at a time, and keeping what is not its business.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::admin::token_file;
use crate::admin::tokens::{self, Entry, NoRandomness};
use crate::config::ConfigError;

/// A new file: its owner writes, its group reads.
const MODE: u32 = 0o640;

/// Why the file was not changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    /// The configuration does not say where it is.
    #[error("{0}; or name the token file with --file")]
    Config(ConfigError),
    /// It cannot be read or understood.
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
    /// It cannot be written.
    #[error("{}: cannot be written: {source}; nothing was changed{}", path.display(), advice(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What to do, where it is clear.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => ". Make its folder first",
        io::ErrorKind::PermissionDenied => ". Use an account that may write there",
        _ => "",
    }
}

/// The tokens in the file's text.
pub(super) fn entries(path: &Path, text: &str) -> Result<Vec<Entry>, EditError> {
    let unusable = |mistake: tokens::Mistake| {
        EditError::Unusable(format!("{}:{}: {}", path.display(), mistake.line, mistake.message))
    };
    tokens::parse(text).map_err(unusable)
}

/// Replaces the file by what `change` makes of it, at once: whoever reads it sees the old or the new one. Two
/// commands at the same time wait for each other.
pub(super) fn edit(
    path: &Path,
    change: impl FnOnce(&str) -> Result<String, EditError>,
) -> Result<(), EditError> {
    let failed = |source| EditError::Write { path: path.to_owned(), source };
    // A link stays a link.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let lock = File::open(folder).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let text = match token_file::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(EditError::Unusable(format!("{}: cannot be used: {error}", path.display())));
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
