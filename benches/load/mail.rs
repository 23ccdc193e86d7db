//! The messages: made so that a reader knows every octet of message n without a copy of it, and written as
//! the maildirs that the upstream serves.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::Outcome;
use crate::args::{Args, Users};

/// What a body is made of: a line as base64 has them, with CRLF, so that the file is what goes over the wire.
const LINE: &[u8; 78] = b"VGhpcyBpcyBhIGxpbmUgb2YgYSBtZXNzYWdlIHRoYXQgaXMgb25seSB0aGVyZSB0byBiZSByZWFk\r\n";

/// Many lines, to compare much at once, and few enough for a core's own cache.
static LINES: LazyLock<Vec<u8>> = LazyLock::new(|| LINE.repeat(800));

/// Names of one file at most: some file systems allow 65,000.
const LINKS: usize = 30_000;

fn header(number: usize) -> Vec<u8> {
    format!("From: a@example.net\r\nTo: b@example.net\r\nSubject: {number:08}\r\n\r\n").into_bytes()
}

/// How many octets a message has that should have about so many: whole lines.
pub(crate) fn octets(about: usize) -> usize {
    let header = header(0).len();
    header + about.saturating_sub(header).div_ceil(LINE.len()) * LINE.len()
}

/// A message that is being read.
pub(crate) struct Expected {
    header: Vec<u8>,
    at: usize,
}

impl Expected {
    pub(crate) fn new(number: usize) -> Self {
        Self { header: header(number), at: 0 }
    }

    /// Takes the next octets, and says whether they are the ones that the message has there.
    pub(crate) fn take(&mut self, mut octets: &[u8]) -> bool {
        while !octets.is_empty() {
            let rest = match self.header.get(self.at..) {
                Some(rest) if !rest.is_empty() => rest,
                _ => &LINES[(self.at - self.header.len()) % LINE.len()..],
            };
            let count = rest.len().min(octets.len());
            if octets[..count] != rest[..count] {
                return false;
            }
            self.at += count;
            octets = &octets[count..];
        }
        true
    }
}

fn write(path: &Path, number: usize, octets: usize) -> Outcome<()> {
    let mut file = std::io::BufWriter::with_capacity(1 << 20, fs::File::create(path)?);
    let header = header(number);
    file.write_all(&header)?;
    for _ in 0..(octets - header.len()) / LINE.len() {
        file.write_all(LINE)?;
    }
    Ok(file.flush()?)
}

/// A message's file; the names are in the order in which the messages get their UIDs. The S at the end says
/// that it has been read, so that nobody needs to write flags, whatever his settings are.
fn file(maildir: &Path, number: usize, octets: usize) -> PathBuf {
    maildir.join(format!("cur/{}.M0P1.bench,S={octets},W={octets}:2,S", 1_000_000_000 + number))
}

/// Writes `--messages N` of `--size OCTETS` for `--users PREFIX:COUNT` as maildirs in `--dir`. The users
/// share files; with `--same yes` all messages of a user do, which is for those that nobody reads.
pub(crate) fn fill(args: &Args) -> Outcome<()> {
    let users = Users::new(args)?;
    let folder: PathBuf = args.need("--dir")?;
    let messages: usize = args.need("--messages")?;
    let octets = octets(args.need("--size")?);
    let same = args.get::<String>("--same")?.is_some();
    let first = folder.join(users.name(0));
    for turn in 0..users.count {
        let maildir = folder.join(users.name(turn));
        for part in ["cur", "new", "tmp"] {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(maildir.join(part))?;
        }
        for number in 1..=messages {
            let source = if same { (number - 1) / LINKS * LINKS + 1 } else { number };
            let path = file(&maildir, number, octets);
            if turn == 0 && number == source {
                write(&path, number, octets)?;
            } else {
                fs::hard_link(file(&first, source, octets), path)?;
            }
        }
    }
    Ok(())
}
