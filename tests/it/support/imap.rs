//! A tiny blocking IMAP client that looks at the truth: which messages are there, with which flags.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::dovecot::{Dovecot, User};

/// The longest silence from a local server that is not yet a failure.
const SILENCE: Duration = Duration::from_mins(1);

/// One message as IMAP shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its UID.
    pub(crate) uid: u32,
    /// Its flags and keywords, as spelled by the server.
    pub(crate) flags: Vec<String>,
    /// RFC822.SIZE.
    pub(crate) size: u64,
    /// SHA-256 of BODY[].
    pub(crate) sha256: [u8; 32],
}

impl Message {
    /// Is `flag` set? Flags are case-insensitive (RFC 3501 §2.3.2).
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|set| set.eq_ignore_ascii_case(flag))
    }
}

/// A session with the INBOX selected.
pub(crate) struct Imap {
    stream: BufReader<TcpStream>,
    commands: u32,
}

impl Imap {
    /// Logs in and selects INBOX.
    pub(crate) fn open(dovecot: &Dovecot, user: &User) -> Self {
        let mut imap = Self::connect(dovecot);
        imap.login(user).expect("an IMAP login straight to Dovecot");
        imap.command("SELECT INBOX");
        imap
    }

    /// Does this user's login work yet?
    pub(crate) fn try_login(dovecot: &Dovecot, user: &User) -> Option<()> {
        Self::connect(dovecot).login(user)
    }

    fn connect(dovecot: &Dovecot) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", dovecot.ports.imap)).expect("connect");
        stream.set_read_timeout(Some(SILENCE)).expect("timeout");
        let mut imap = Self { stream: BufReader::new(stream), commands: 0 };
        let greeting = imap.response(&mut |_| ());
        assert!(greeting.starts_with("* OK"), "{greeting}");
        imap
    }

    fn login(&mut self, user: &User) -> Option<()> {
        // Literals carry any name and password.
        self.write(format!("l LOGIN {{{}}}\r\n", user.name.len()).as_bytes());
        self.continuation();
        self.write(format!("{} {{{}}}\r\n", user.name, user.password.len()).as_bytes());
        self.continuation();
        self.write(format!("{}\r\n", user.password).as_bytes());
        loop {
            let response = self.response(&mut |_| ());
            if response.starts_with("l ") {
                return response.starts_with("l OK").then_some(());
            }
        }
    }

    /// Every message of the INBOX, by ascending UID.
    pub(crate) fn messages(&mut self) -> Vec<Message> {
        let tag = self.send("UID FETCH 1:* (UID FLAGS RFC822.SIZE BODY.PEEK[])");
        let mut messages = Vec::new();
        loop {
            let mut hash = Sha256::new();
            let response = self.response(&mut |bytes| hash.update(bytes));
            if let Some(rest) = response.strip_prefix(&tag) {
                assert!(rest.starts_with(" OK"), "{response}");
                return messages;
            }
            if response.contains(" FETCH (") {
                let sha256 = hash.finalize().into();
                let (uid, size) = (number(&response, "UID "), number(&response, "RFC822.SIZE "));
                let uid = u32::try_from(uid).expect("a UID");
                messages.push(Message { uid, flags: flags(&response), size, sha256 });
            }
        }
    }

    /// The octets of one message.
    pub(crate) fn body(&mut self, uid: u32) -> Vec<u8> {
        let tag = self.send(&format!("UID FETCH {uid} BODY.PEEK[]"));
        let mut body = Vec::new();
        loop {
            let response = self.response(&mut |bytes| body.extend_from_slice(bytes));
            if let Some(rest) = response.strip_prefix(&tag) {
                assert!(rest.starts_with(" OK"), "{response}");
                return body;
            }
        }
    }

    /// New mail arrives.
    pub(crate) fn append(&mut self, message: &[u8]) {
        self.append_as("", message);
    }

    /// Mail that came on `date`, such as `17-Jul-1996 02:44:25 -0700`.
    pub(crate) fn append_dated(&mut self, date: &str, message: &[u8]) {
        self.append_as(&format!("\"{date}\" "), message);
    }

    /// Mail that comes with a flag.
    pub(crate) fn append_flagged(&mut self, flag: &str, message: &[u8]) {
        self.append_as(&format!("({flag}) "), message);
    }

    /// What UIDVALIDITY is now; a session never sees it change.
    pub(crate) fn uidvalidity(&mut self) -> u32 {
        let tag = self.send("STATUS INBOX (UIDVALIDITY)");
        let mut uidvalidity = None;
        loop {
            let response = self.response(&mut |_| ());
            if response.starts_with("* STATUS ") {
                uidvalidity = u32::try_from(number(&response, "UIDVALIDITY ")).ok();
            }
            if let Some(rest) = response.strip_prefix(&tag) {
                assert!(rest.starts_with(" OK"), "{response}");
                return uidvalidity.expect("UIDVALIDITY in STATUS");
            }
        }
    }

    fn append_as(&mut self, with: &str, message: &[u8]) {
        let tag = self.send(&format!("APPEND INBOX {with}{{{}}}", message.len()));
        self.continuation();
        self.write(message);
        self.write(b"\r\n");
        self.completion(&tag);
    }

    /// `what` is `+FLAGS` or `-FLAGS`; `flags` is a flag list without parentheses.
    pub(crate) fn store(&mut self, uid: u32, what: &str, flags: &str) {
        self.command(&format!("UID STORE {uid} {what} ({flags})"));
    }

    /// Removes what is marked `\Deleted`: another client at work, never lastpop.
    pub(crate) fn expunge(&mut self) {
        self.command("EXPUNGE");
    }

    fn command(&mut self, command: &str) {
        let tag = self.send(command);
        self.completion(&tag);
    }

    fn send(&mut self, command: &str) -> String {
        self.commands += 1;
        let tag = format!("t{}", self.commands);
        self.write(format!("{tag} {command}\r\n").as_bytes());
        tag
    }

    fn completion(&mut self, tag: &str) {
        loop {
            let response = self.response(&mut |_| ());
            if let Some(rest) = response.strip_prefix(tag) {
                assert!(rest.starts_with(" OK"), "{response}");
                return;
            }
        }
    }

    fn continuation(&mut self) {
        let response = self.response(&mut |_| ());
        assert!(response.starts_with('+'), "{response}");
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("write to IMAP");
    }

    /// One response without its literals, whose octets go to `literal`.
    fn response(&mut self, literal: &mut dyn FnMut(&[u8])) -> String {
        let mut whole = String::new();
        loop {
            let mut line = Vec::new();
            self.stream.read_until(b'\n', &mut line).expect("read from IMAP");
            assert!(line.ends_with(b"\r\n"), "IMAP ended after {whole:?}");
            whole.push_str(&String::from_utf8_lossy(&line[..line.len() - 2]));
            let Some(length) = literal_length(&whole) else {
                return whole;
            };
            self.copy(length, literal);
        }
    }

    fn copy(&mut self, mut length: u64, literal: &mut dyn FnMut(&[u8])) {
        let mut buffer = vec![0; 64 * 1024];
        while length > 0 {
            let wanted = usize::try_from(length).map_or(buffer.len(), |n| n.min(buffer.len()));
            let read = self.stream.read(&mut buffer[..wanted]).expect("read a literal");
            assert!(read > 0, "IMAP ended inside a literal");
            literal(&buffer[..read]);
            length -= read as u64;
        }
    }
}

/// The `n` of `{n}` at the end of a line.
fn literal_length(line: &str) -> Option<u64> {
    let (_, digits) = line.strip_suffix('}')?.rsplit_once('{')?;
    digits.parse().ok()
}

/// The number after `name`.
fn number(response: &str, name: &str) -> u64 {
    let (_, rest) = response.split_once(name).unwrap_or_else(|| panic!("{name}in {response}"));
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or_else(|_| panic!("{name}in {response}"))
}

fn flags(response: &str) -> Vec<String> {
    let (_, rest) = response.split_once("FLAGS (").expect("FLAGS in FETCH");
    let (list, _) = rest.split_once(')').expect("a flag list");
    list.split_whitespace().map(str::to_owned).collect()
}
