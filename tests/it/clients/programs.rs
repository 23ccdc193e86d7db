//! How five real POP3 clients are started, what each changes in a message by design, and which
//! messages it cannot carry at all.
//!
//! What is said here about a client was measured with Dovecot's own POP3 server: it is the client's
//! doing, not lastpop's.

use std::path::{Path, PathBuf};

use super::commands::{curl, fetchmail, getmail, mpop, poplib};
use crate::corpus::Message;
use crate::support::dovecot::User;
use crate::support::pop3::Transport;

/// A mail client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// Python's poplib, with a script that remembers unique-ids.
    Poplib,
    /// curl.
    Curl,
    /// fetchmail.
    Fetchmail,
    /// getmail6.
    Getmail,
    /// mpop.
    Mpop,
}

/// One start of a client.
pub(crate) struct Run<'a> {
    /// Which transport, on which port of localhost.
    pub(crate) transport: Transport,
    /// The port.
    pub(crate) port: u16,
    /// Whose mailbox.
    pub(crate) user: &'a User,
    /// The PEM file with the authority to trust.
    pub(crate) authority: &'a Path,
    /// Where the client keeps its configuration and what it has seen.
    pub(crate) home: &'a Path,
    /// Delete what was fetched?
    pub(crate) delete: bool,
    /// How many messages there are; only curl has to be told.
    pub(crate) count: usize,
}

impl Client {
    /// getmail6 6.18 knows POP3 and POP3 over TLS, but no STLS.
    pub(crate) fn speaks(self, transport: Transport) -> bool {
        !(self == Self::Getmail && transport == Transport::Starttls)
    }

    /// Does it know after one run what it has fetched? curl does not: it is told numbers.
    pub(crate) fn remembers(self) -> bool {
        self != Self::Curl
    }

    /// Why this message would not arrive as it is.
    pub(crate) fn cannot_carry(self, message: &Message) -> Option<&'static str> {
        let table: &[(&str, &str)] = match self {
            Self::Curl => CURL,
            Self::Mpop => &[],
            Self::Poplib => {
                let refused = message.longest_line() > 2048;
                return refused.then_some("poplib refuses lines of more than 2,048 octets");
            }
            Self::Fetchmail => FETCHMAIL,
            Self::Getmail => GETMAIL,
        };
        table.iter().find(|(name, _)| *name == message.name).map(|(_, reason)| *reason)
    }

    /// What it delivers for the octets that POP3 carries. All but poplib and curl hand the message
    /// to a program, with the line ends of the local system.
    pub(crate) fn delivers(self, octets: &[u8]) -> Vec<u8> {
        let mut delivered = octets.to_vec();
        if !delivered.is_empty() && !delivered.ends_with(b"\r\n") {
            delivered.extend(b"\r\n");
        }
        if !matches!(self, Self::Poplib | Self::Curl) {
            let ends: Vec<&[u8]> = delivered.split(|octet| *octet == b'\n').collect();
            let lines: Vec<&[u8]> =
                ends.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
            delivered = lines.join(&b'\n');
        }
        delivered
    }

    /// Runs the client and gives the messages that it delivered, in order.
    pub(crate) fn run(self, run: &Run<'_>) -> Vec<Vec<u8>> {
        let out = run.home.join("out");
        // Absent at the first run.
        let _ = std::fs::remove_dir_all(&out);
        std::fs::create_dir_all(&out).expect("a directory");
        let mut command = match self {
            Self::Poplib => poplib(run, &out),
            Self::Curl => curl(run, &out),
            Self::Fetchmail => fetchmail(run, &out),
            Self::Getmail => getmail(run, &out),
            Self::Mpop => mpop(run, &out),
        };
        command.env("HOME", run.home).env("FETCHMAILHOME", run.home).env("LC_ALL", "C");
        let output = command.output().unwrap_or_else(|error| {
            panic!("cannot start {self:?}: {error}; install the Debian packages {PACKAGES}")
        });
        // fetchmail says with 1 that there was no new mail.
        let good = output.status.success() || (self == Self::Fetchmail && output.status.code() == Some(1));
        assert!(
            good,
            "{self:?} over {:?}: {}\n{}\n{}",
            run.transport,
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        delivered_in(&out)
    }
}

const PACKAGES: &str = "python3 curl fetchmail getmail6 mpop";

/// curl writes what it reads, with one exception.
const CURL: &[(&str, &str)] = &[("no octets at all", "writes CRLF")];

/// fetchmail takes a message apart into a header and lines, and writes what it understood.
const FETCHMAIL: &[(&str, &str)] = &[
    ("CR dot CR", "drops a CR at the end or the start of a line"),
    ("ends in CR", "drops a CR at the end of a line"),
    ("ends in CRLF dot CR", "drops a CR at the end of a line"),
    ("header without blank line", "adds the blank line"),
    ("header without line end", "adds the blank line"),
    ("nothing but dots", "does not deliver it at all"),
    ("no octets at all", "writes a header of its own"),
    ("one blank line", "writes a header of its own"),
    ("no header", "writes a header of its own"),
    ("header line without colon", "drops the line"),
    ("blank line of CR CR LF", "drops a CR at the end of a line"),
    ("body begins with CR", "does not deliver it at all"),
    ("bare CR", "drops each CR"),
    ("CR CR LF", "drops a CR at the end of a line"),
    ("every octet but NUL", "drops a bare CR"),
    ("long UTF-8", "puts NUL, @ and a line end after 8,192 octets of a line"),
    ("lines of 10,000", "puts NUL, @ and a line end after 8,192 octets of a line"),
];

/// getmail6 reads a message into Python's email package and writes it anew.
const GETMAIL: &[(&str, &str)] = &[
    ("CR dot CR", "takes a bare CR for a line end"),
    ("ends in CR", "takes a bare CR for a line end"),
    ("ends in CRLF dot CR", "takes a bare CR for a line end"),
    ("first octet is a dot", "adds Return-Path where there is none"),
    ("nothing but dots", "adds Return-Path where there is none"),
    ("header without blank line", "adds Return-Path where there is none"),
    ("header without line end", "adds Return-Path where there is none"),
    ("no octets at all", "adds Return-Path where there is none"),
    ("one blank line", "adds Return-Path where there is none"),
    ("no header", "adds Return-Path where there is none"),
    ("header line without colon", "adds Return-Path where there is none"),
    ("blank line of CR CR LF", "adds Return-Path where there is none"),
    ("blank line of LF", "adds Return-Path where there is none"),
    ("body begins with CR", "adds Return-Path where there is none"),
    ("bare CR", "takes a bare CR for a line end"),
    ("CR CR LF", "takes CR CR LF for one line end"),
    ("every octet but NUL", "takes a bare CR for a line end"),
    ("byte order mark first", "adds Return-Path where there is none"),
    ("a header line of 100 KB", "folds it"),
    ("multipart, 60 deep", "adds blank lines between the parts"),
];

/// What is in the numbered files of a directory, by number.
fn delivered_in(out: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(out).expect("a directory").map(|entry| entry.expect("an entry").path()).collect();
    let number = |path: &PathBuf| -> u32 {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.parse().ok()).expect("a number")
    };
    files.sort_by_key(number);
    files.iter().map(|file| std::fs::read(file).expect("a message")).collect()
}
