//! The token file as a running lastpop sees it: looked at with each request and read again when it has changed,
//! so that a token that was revoked is dead at once.

use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::tokens::{self, Entry};

/// Longest file, in octets; some thousand tokens.
const MAX_FILE: u64 = 1024 * 1024;

/// The file, and what it held last.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    held: ArcSwap<Held>,
}

#[derive(Debug)]
struct Held {
    stamp: Stamp,
    tokens: Arc<Tokens>,
}

/// What the file holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Tokens {
    /// These.
    Known(Vec<Entry>),
    /// There is no file, so no token was made yet.
    Missing,
    /// It cannot be read or understood, so nobody is let in. For the log.
    Unusable(String),
}

/// By what a changed file is known.
#[derive(Debug, PartialEq, Eq)]
enum Stamp {
    /// Device, inode, length, times of change of content and of inode.
    There(u64, u64, u64, (i64, i64), (i64, i64)),
    Failed(io::ErrorKind),
}

impl Stamp {
    fn of(path: &Path) -> Self {
        match std::fs::metadata(path) {
            Ok(data) => Self::There(
                data.dev(),
                data.ino(),
                data.len(),
                (data.mtime(), data.mtime_nsec()),
                (data.ctime(), data.ctime_nsec()),
            ),
            Err(error) => Self::Failed(error.kind()),
        }
    }
}

impl TokenFile {
    /// Reads the file for the first time.
    pub fn open(path: PathBuf) -> Self {
        let held = Held::read(&path);
        held.log(&path);
        Self { path, held: ArcSwap::from_pointee(held) }
    }

    /// What it holds now.
    pub async fn tokens(self: &Arc<Self>) -> Arc<Tokens> {
        let this = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || this.look()).await;
        // It does not panic, and is never cancelled.
        looked.unwrap_or_else(|error| Arc::new(Tokens::Unusable(error.to_string())))
    }

    fn look(&self) -> Arc<Tokens> {
        let held = self.held.load();
        if Stamp::of(&self.path) == held.stamp {
            return Arc::clone(&held.tokens);
        }
        let held = Held::read(&self.path);
        held.log(&self.path);
        let tokens = Arc::clone(&held.tokens);
        self.held.store(Arc::new(held));
        tokens
    }
}

impl Held {
    /// The stamp first: what changes between the two is read again the next time.
    fn read(path: &Path) -> Self {
        Self { stamp: Stamp::of(path), tokens: Arc::new(Tokens::read(path)) }
    }

    fn log(&self, path: &Path) {
        let path = path.display();
        match &*self.tokens {
            Tokens::Known(entries) => {
                tracing::info!(%path, tokens = entries.len(), "the token file was read");
            }
            Tokens::Missing => tracing::warn!(
                %path,
                "there is no token file, so nobody can use the API; `lastpop token create` makes one"
            ),
            Tokens::Unusable(reason) => {
                tracing::error!(%path, reason, "the token file cannot be used, so nobody can use the API");
            }
        }
    }
}

impl Tokens {
    /// Reads the file.
    pub fn read(path: &Path) -> Self {
        match read(path) {
            Ok(text) => match tokens::parse(&text) {
                Ok(entries) => Self::Known(entries),
                Err(mistake) => {
                    Self::Unusable(format!("{}:{}: {}", path.display(), mistake.line, mistake.message))
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Missing,
            Err(error) => Self::Unusable(format!("{}: cannot be used: {error}", path.display())),
        }
    }
}

/// Others than owner and group may write to it.
const WRITABLE_BY_OTHERS: u32 = 0o002;

/// The file's text, if it is not too long, and if not everybody on this machine could have written it.
pub fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut file = std::fs::File::open(path)?;
    let about = file.metadata()?;
    if about.is_file() && about.mode() & WRITABLE_BY_OTHERS != 0 {
        let what = format!(
            "everybody on this machine may write to it, and so make tokens; take that away with `chmod o-w {}`, and \
             revoke what `lastpop token list` shows and you did not make",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    file.by_ref().take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::role::Role;
    use super::*;

    fn line(name: &str) -> String {
        let now = jiff::Timestamp::UNIX_EPOCH;
        format!("{}\n", Entry::new(name.to_owned(), Role::Viewer, "lp_x", now, None))
    }

    fn names(tokens: &Arc<Tokens>) -> Vec<&str> {
        let Tokens::Known(entries) = &**tokens else { panic!("{tokens:?}") };
        entries.iter().map(|entry| entry.name.as_str()).collect()
    }

    #[tokio::test]
    async fn what_is_in_the_file_counts_and_nothing_that_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("admin.tokens");
        let file = Arc::new(TokenFile::open(path.clone()));
        assert_eq!(*file.tokens().await, Tokens::Missing);
        std::fs::write(&path, line("anna")).expect("written");
        assert_eq!(names(&file.tokens().await), ["anna"]);
        assert!(Arc::ptr_eq(&file.tokens().await, &file.tokens().await), "it is not read without need");

        // As an editor does, and as `lastpop token` does.
        std::fs::write(&path, line("anna") + &line("bob")).expect("written");
        assert_eq!(names(&file.tokens().await), ["anna", "bob"]);
        let beside = directory.path().join("new");
        std::fs::write(&beside, line("bob")).expect("written");
        std::fs::rename(&beside, &path).expect("renamed");
        assert_eq!(names(&file.tokens().await), ["bob"]);

        std::fs::write(&path, line("bob") + "anna\n").expect("written");
        let Tokens::Unusable(message) = &*file.tokens().await else { panic!("a mistake") };
        assert!(message.starts_with(&format!("{}:2: there are 1 words", path.display())), "{message}");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(*file.tokens().await, Tokens::Missing);
    }

    #[test]
    fn a_file_that_everybody_may_write_to_is_not_believed() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("admin.tokens");
        std::fs::write(&path, line("anna")).expect("written");
        for (mode, believed) in [(0o640, true), (0o664, true), (0o666, false), (0o602, false), (0o644, true)]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
            match Tokens::read(&path) {
                Tokens::Unusable(message) => {
                    let advice = format!("`chmod o-w {}`", path.display());
                    assert!(!believed && message.contains(&advice), "{mode:o}: {message}");
                }
                tokens => assert!(believed && matches!(tokens, Tokens::Known(_)), "{mode:o}: {tokens:?}"),
            }
        }
    }

    #[test]
    fn a_file_without_end_is_not_read() {
        let Tokens::Unusable(message) = Tokens::read(Path::new("/dev/zero")) else { panic!("too long") };
        assert!(message.contains("longer than 1 MiB"), "{message}");
    }
}
