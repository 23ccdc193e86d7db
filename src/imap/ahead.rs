//! Bodies that are asked for before they are wanted: a reader who takes one message after the other waits for a distant
//! server once, and not for each.
//!
//! A server may answer several questions first and say afterwards that each answer was whole, as Dovecot does. Until
//! that is said of the message that is wanted, those behind it are held here, within a bound.

use std::collections::VecDeque;

use super::client::Client;
use super::command::{Command, Encoded, Section};
use super::error::Error;
use super::fetch::BodyFollows;
use super::response::{Kind, Status};
use super::tag::Tag;

/// Octets of bodies at most that are held for one session; what is beyond it is asked for again when it is wanted. Those
/// who ask ahead ask for less: this is for servers whose messages are larger than they say.
const HELD: u64 = 512 * 1024;

/// Bodies that were asked for and are not wanted yet, in the order of asking.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    bodies: VecDeque<Awaited>,
    held: u64,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Awaited {
    pub(super) tag: Tag,
    uid: u32,
    /// Was it asked for before it was wanted?
    pub(super) early: bool,
    pub(super) octets: Option<Vec<u8>>,
    /// How the command ended, if it has.
    pub(super) ended: Option<Kind>,
}

impl Ahead {
    /// Is this the end of one of their commands?
    pub(super) fn ends(&mut self, theirs: &[u8], status: &Status<'_>) -> bool {
        let found = self.bodies.iter_mut().find(|awaited| awaited.tag.is(theirs));
        found.map(|awaited| awaited.ended = Some(status.kind)).is_some()
    }

    fn pop(&mut self) -> Option<Awaited> {
        let awaited = self.bodies.pop_front()?;
        self.held -= awaited.octets.as_ref().map_or(0, Vec::len) as u64;
        Some(awaited)
    }
}

impl Client {
    /// Asks for a whole message, and for those that are likely to be wanted `next`, as far as they have not been asked
    /// for. Gives what is there of the first.
    pub(super) async fn ask_for(&mut self, uid: u32, next: &[u32]) -> Result<Awaited, Error> {
        let mut said = Vec::new();
        let asked = self.ahead.bodies.front().is_some_and(|awaited| awaited.uid == uid);
        let found = if asked { self.ahead.pop() } else { None };
        let awaited = match found {
            // One that has ended must have brought its body.
            Some(awaited)
                if awaited.ended.is_none_or(|kind| kind == Kind::Ok && awaited.octets.is_some()) =>
            {
                awaited
            }
            _ => {
                self.drop_ahead().await?;
                self.say(uid, &mut said)
            }
        };
        // Several at a time: each write wakes the server up.
        if 2 * self.ahead.bodies.len() <= next.len() {
            for uid in next {
                if !self.ahead.bodies.iter().any(|awaited| awaited.uid == *uid) {
                    let awaited = Awaited { early: true, ..self.say(*uid, &mut said) };
                    self.ahead.bodies.push_back(awaited);
                }
            }
        }
        if !said.is_empty() {
            self.send_together(&said).await?;
        }
        Ok(awaited)
    }

    /// Reads past what was asked for and is not wanted any more.
    pub(super) async fn drop_ahead(&mut self) -> Result<(), Error> {
        while let Some(awaited) = self.ahead.pop() {
            if awaited.ended.is_some() {
                continue;
            }
            match self.read_to_end(awaited.tag, "FETCH", &mut |_| {}).await {
                Ok(()) | Err(Error::No { .. } | Error::Bad { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A body comes that is not the one that is wanted now: it is held if it will be.
    pub(super) async fn hold(&mut self, follows: BodyFollows) -> Result<(), Error> {
        let Some(at) = self.ahead.bodies.iter().position(|awaited| Some(awaited.uid) == follows.uid) else {
            return Ok(());
        };
        let length = self.reader.body_left();
        if self.ahead.held + length > HELD {
            return Ok(());
        }
        let mut octets = Vec::new();
        while let Some(chunk) = self.reader.chunk().await? {
            octets.extend_from_slice(chunk);
        }
        self.reader.tail().await?;
        self.ahead.held += length;
        // A server that sends it twice is believed the first time.
        match &mut self.ahead.bodies[at].octets {
            Some(_) => self.ahead.held -= length,
            there => *there = Some(octets),
        }
        Ok(())
    }

    fn say(&mut self, uid: u32, said: &mut Vec<Encoded>) -> Awaited {
        let tag = self.next_tag();
        said.push(Command::FetchBody(uid, Section::Whole).encode(tag));
        Awaited { tag, uid, early: false, octets: None, ended: None }
    }
}
