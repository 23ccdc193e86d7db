//! The token that a command shows: where it is looked for. It is never printed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::failure::Failure;

/// The environment variable that holds a token.
pub(super) const VARIABLE: &str = "LASTPOP_TOKEN";

/// The token of the machine.
const OF_THE_MACHINE: &str = "/etc/lastpop/token";

/// Octets that are read of a file that should hold a token.
const LONGEST: u64 = 4_096;

/// A token, and where it came from.
pub(super) struct Bearer {
    /// The token.
    pub(super) token: Zeroizing<String>,
    /// Where it came from.
    pub(super) origin: Origin,
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bearer(***, {})", self.origin)
    }
}

/// Where a token came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// From [`VARIABLE`].
    Environment,
    /// From this file.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str(VARIABLE),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Bearer {
    /// From the file that was named; else from the environment; else from the first of the usual files that
    /// is there.
    pub(super) fn find(named: Option<&Path>) -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::find_in(named, &variable)
    }

    fn find_in(named: Option<&Path>, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        if let Some(path) = named {
            let text = read(path).map_err(|error| unreadable(path, &error))?;
            return Self::parse(&text, Origin::File(path.to_owned()));
        }
        if let Some(text) = variable(VARIABLE) {
            return Self::parse(&Zeroizing::new(text), Origin::Environment);
        }
        let usual = usual_files(variable);
        for path in &usual {
            match read(path) {
                Ok(text) => return Self::parse(&text, Origin::File(path.clone())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(path, &error)),
            }
        }
        let files: Vec<_> = usual.iter().map(|path| path.display().to_string()).collect();
        Err(Failure::Token(format!(
            "there is no token: {VARIABLE} is not set, and there is no file {}. Make one with `lastpop \
             token create --name NAME --role ROLE` on lastpop's machine, and keep it in one of these files, \
             which only you may read, or in one that --token-file names",
            files.join(", nor ")
        )))
    }

    /// A token as `lastpop token create` shows it.
    fn parse(text: &str, origin: Origin) -> Result<Self, Failure> {
        let token = text.trim();
        let known = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        if !token.strip_prefix("lp_").is_some_and(|rest| rest.len() == 43 && rest.bytes().all(known)) {
            return Err(Failure::Token(format!(
                "{origin} holds no token: expected \"lp_\" and 43 characters, as `lastpop token create` \
                 shows them"
            )));
        }
        Ok(Self { token: Zeroizing::new(token.to_owned()), origin })
    }
}

/// The user's own, by the XDG base directory specification, then the machine's.
fn usual_files(variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    // The specification has relative paths ignored.
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let configuration =
        absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    let own = configuration.map(|folder| folder.join("lastpop/token"));
    own.into_iter().chain([PathBuf::from(OF_THE_MACHINE)]).collect()
}

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    use std::io::Read as _;
    let mut text = Zeroizing::new(String::with_capacity(64));
    std::fs::File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Token(format!(
        "the token file {} cannot be read: {error}; name another with --token-file",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(filler: char) -> String {
        format!("lp_{}", filler.to_string().repeat(43))
    }

    #[test]
    fn from_the_strongest_place() {
        let home = tempfile::tempdir().expect("a directory");
        let (named, own) = (home.path().join("named"), home.path().join(".config/lastpop/token"));
        std::fs::create_dir_all(own.parent().expect("a folder")).expect("created");
        std::fs::write(&named, token('a') + "\n").expect("written");
        std::fs::write(&own, token('b') + "\n").expect("written");
        let home = home.path().display().to_string();
        let environment = |name: &str| match name {
            VARIABLE => Some(token('c')),
            _ => None,
        };
        let at_home = |name: &str| (name == "HOME").then(|| home.clone());
        let from_file = Bearer::find_in(Some(&named), &environment).expect("a token");
        assert_eq!((from_file.token.as_str(), from_file.origin), (token('a').as_str(), Origin::File(named)));
        let from_variable = Bearer::find_in(None, &environment).expect("a token");
        assert_eq!(
            (from_variable.token.as_str(), from_variable.origin),
            (token('c').as_str(), Origin::Environment)
        );
        let own_file = Bearer::find_in(None, &at_home).expect("a token");
        assert_eq!(own_file.token.as_str(), token('b'));
        assert_eq!(format!("{own_file:?}"), format!("Bearer(***, {})", own.display()));
    }

    #[test]
    fn the_usual_files() {
        let both = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some("/x".to_owned()),
            "HOME" => Some("/home/jane".to_owned()),
            _ => None,
        };
        assert_eq!(usual_files(&both), [Path::new("/x/lastpop/token"), Path::new(OF_THE_MACHINE)]);
        let relative = |name: &str| if name == "XDG_CONFIG_HOME" { Some("x".to_owned()) } else { both(name) };
        assert_eq!(usual_files(&relative)[0], Path::new("/home/jane/.config/lastpop/token"));
        assert_eq!(usual_files(&|_| None), [Path::new(OF_THE_MACHINE)]);
    }

    #[test]
    fn what_is_no_token_is_not_repeated() {
        for text in ["", "correct-horse", &token('a')[1..], &token('ķ'), &format!("{}x", token('a'))] {
            let error = Bearer::find_in(None, &|name| (name == VARIABLE).then(|| text.to_owned()));
            let error = error.expect_err("no token").to_string();
            assert!(error.contains("LASTPOP_TOKEN holds no token"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let error = Bearer::find_in(Some(Path::new("/nonexistent")), &|_| None).expect_err("no file");
        assert!(error.to_string().contains("/nonexistent cannot be read"), "{error}");
    }
}
