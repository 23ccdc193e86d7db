//! Reading a secret from the file that the configuration names, so that it stands neither there nor in the environment.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

/// Longest file, in octets. Passwords are shorter; a file that never ends must not fill our memory.
const LONGEST: u64 = 8 * 1024;

/// Bits of a file's mode that let everybody on this machine read or change it.
const EVERYBODY: u32 = 0o006;

/// A secret, and how its file is kept.
#[derive(Debug)]
pub struct Secret {
    /// What the file holds, without the line end at its end.
    pub text: Zeroizing<Vec<u8>>,
    /// May everybody on this machine read it, or change it?
    pub open_to_everybody: bool,
}

/// Reads it.
pub fn read(path: &Path) -> std::io::Result<Secret> {
    // Room for all of it from the start: a buffer that grows leaves an unwiped copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(LONGEST + 1).unwrap_or_default()));
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    file.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(std::io::Error::other("it is longer than any password"));
    }
    if text.last() == Some(&b'\n') {
        text.pop();
        if text.last() == Some(&b'\r') {
            text.pop();
        }
    }
    Ok(Secret { text, open_to_everybody: mode & EVERYBODY != 0 })
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};

    use super::*;

    #[test]
    fn one_line_end_is_not_part_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        for (held, expected) in [
            ("x", "x"),
            ("x\n", "x"),
            ("x\r\n", "x"),
            (" x \n\n", " x \n"),
            ("", ""),
            ("\n", ""),
            ("x\r", "x\r"),
        ] {
            write(&path, held).expect("written");
            assert_eq!(read(&path).expect("a secret").text.as_slice(), expected.as_bytes(), "{held:?}");
        }
        write(&path, "x".repeat(9_000)).expect("written");
        read(&path).expect_err("too long");
        read(&folder.path().join("nothing")).expect_err("not there");
    }

    #[test]
    fn it_is_said_when_everybody_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        write(&path, "x").expect("written");
        for (mode, everybody) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            set_permissions(&path, Permissions::from_mode(mode)).expect("chmod");
            assert_eq!(read(&path).expect("a secret").open_to_everybody, everybody, "{mode:o}");
        }
    }
}
