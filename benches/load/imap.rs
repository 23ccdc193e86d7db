//! A bare IMAP client: the least that a proxy would have to say to the upstream, and so the floor under it.

use std::ops::Range;
use std::time::Instant;

use crate::Outcome;
use crate::clients::{Messages, Pace};
use crate::mail::Expected;
use crate::wire::{Wire, number, shown};

const LIST: &str = "UID FETCH 1:* (UID RFC822.SIZE FLAGS)";

/// A session whose mailbox is selected.
pub(crate) struct Imap(Wire);

impl Imap {
    fn open(port: u16) -> Outcome<Self> {
        let mut session = Self(Wire::open(port)?);
        let greeting = session.0.line()?;
        if !greeting.starts_with(b"* OK") {
            return Err(format!("the greeting is \"{}\"", shown(greeting)).into());
        }
        Ok(session)
    }

    /// A poll in one write.
    pub(crate) fn poll(port: u16, user: &str, password: &str, messages: &Messages) -> Outcome<()> {
        let mut session = Self::open(port)?;
        let commands = format!("a LOGIN {user} {password}\r\nb SELECT INBOX\r\nc {LIST}\r\nd LOGOUT\r\n");
        session.0.send(commands.as_bytes())?;
        session.tagged(b"a OK")?;
        session.tagged(b"b OK")?;
        session.listing(messages, 1)?;
        session.tagged(b"d OK")?;
        session.0.expect_end()
    }

    pub(crate) fn login(port: u16, user: &str, password: &str) -> Outcome<Self> {
        let mut session = Self::open(port)?;
        session.0.send(format!("a LOGIN {user} {password}\r\nb SELECT INBOX\r\n").as_bytes())?;
        session.tagged(b"a OK")?;
        session.tagged(b"b OK")?;
        Ok(session)
    }

    /// A poll in a session that is there already.
    pub(crate) fn poll_again(&mut self, messages: &Messages) -> Outcome<()> {
        self.0.send(format!("b NOOP\r\nc {LIST}\r\n").as_bytes())?;
        self.listing(messages, 2)
    }

    /// Reads up to the tagged answer, which must be this one.
    fn tagged(&mut self, wanted: &[u8]) -> Outcome<()> {
        loop {
            let line = self.0.line()?;
            if line.starts_with(wanted) {
                return Ok(());
            }
            if !line.starts_with(b"* ") {
                return Err(format!("\"{}\" came instead of {}", shown(line), shown(wanted)).into());
            }
        }
    }

    /// Reads up to so many tagged answers. A server may send that to NOOP after the listing.
    fn listing(&mut self, messages: &Messages, mut answers: usize) -> Outcome<()> {
        let (mut count, mut sum) = (0, 0);
        while answers > 0 {
            let line = self.0.line()?;
            if line.starts_with(b"b OK") || line.starts_with(b"c OK") {
                answers -= 1;
                continue;
            }
            if !line.starts_with(b"* ") {
                return Err(format!("the listing has \"{}\"", shown(line)).into());
            }
            if let Some(size) = after(line, b"RFC822.SIZE ") {
                count += 1;
                sum += size;
            }
        }
        if (count, sum) != (messages.count, messages.count * messages.octets) {
            return Err(format!("the listing has {count} messages with {sum} octets").into());
        }
        Ok(())
    }

    /// Reads the answers to one FETCH for each of these messages. A server may send the tagged answers to
    /// several at the end of them all.
    fn messages(&mut self, mut uids: Range<usize>, octets: usize, pace: &mut Pace) -> Outcome<Instant> {
        let mut answers = uids.len();
        let mut first = None;
        while answers > 0 {
            let line = self.0.line()?;
            if line.starts_with(b"c OK") {
                answers -= 1;
            } else if line.starts_with(b"* ") && after(line, b"{") == Some(octets) {
                let uid = uids.next().ok_or("there is one message more than expected")?;
                let came = self.body(uid, octets, pace)?;
                first.get_or_insert(came);
            } else {
                return Err(format!("UID FETCH was answered with \"{}\"", shown(line)).into());
            }
        }
        if uids.is_empty() {
            first.ok_or_else(|| "no message came".into())
        } else {
            Err("a message is missing".into())
        }
    }

    /// Reads a literal and its bracket, and says when its first octet was there.
    fn body(&mut self, uid: usize, octets: usize, pace: &mut Pace) -> Outcome<Instant> {
        let mut expected = Expected::new(uid);
        let mut left = octets;
        let mut first = None;
        while left > 0 {
            let count = {
                let chunk = self.0.octets(left)?;
                first.get_or_insert_with(Instant::now);
                if !expected.take(chunk) {
                    return Err(format!("message {uid} is another one before octet {}", octets - left).into());
                }
                chunk.len()
            };
            left -= count;
            pace.wait(count);
        }
        let end = self.0.line()?;
        if !end.ends_with(b")") {
            return Err(format!("after message {uid} came \"{}\"", shown(end)).into());
        }
        Ok(first.unwrap_or_else(Instant::now))
    }

    /// Fetches all messages, as many at once as are in a group; the octets.
    pub(crate) fn drain(&mut self, messages: &Messages, group: usize, pace: &mut Pace) -> Outcome<usize> {
        for first in (1..=messages.count).step_by(group) {
            let uids = first..(first + group).min(messages.count + 1);
            let commands: Vec<String> = uids.clone().map(fetch).collect();
            self.0.send(commands.concat().as_bytes())?;
            self.messages(uids, messages.octets, pace)?;
        }
        Ok(messages.count * messages.octets)
    }

    /// From sending FETCH to the first octet of the message; then reads the rest.
    pub(crate) fn first_octet(&mut self, uid: usize, octets: usize) -> Outcome<f64> {
        let sent = Instant::now();
        self.0.send(fetch(uid).as_bytes())?;
        let first = self.messages(uid..uid + 1, octets, &mut Pace::free())?;
        Ok((first - sent).as_secs_f64())
    }

    pub(crate) fn logout(mut self) -> Outcome<()> {
        self.0.send(b"d LOGOUT\r\n")?;
        self.tagged(b"d OK")?;
        self.0.expect_end()
    }
}

fn fetch(uid: usize) -> String {
    format!("c UID FETCH {uid} BODY.PEEK[]\r\n")
}

/// The number behind a word.
fn after(line: &[u8], word: &[u8]) -> Option<usize> {
    let at = line.windows(word.len()).position(|window| window == word)?;
    number(&line[at + word.len()..])
}
