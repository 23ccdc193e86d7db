//! RETR and TOP: a FETCH whose literal streams through the dot-stuffing writer to the client.
//!
//! Until the first octets have left, everything can still be taken back: the upstream is asked once more,
//! on a new connection if need be, and then the client reads `[SYS/TEMP]`. After that the only honest end
//! of a broken message is a TCP reset.

use std::time::Instant;

use super::answer;
use super::context::Context;
use super::enter::timed;
use super::pop::{Lost, PopStream};
use super::upstream::Upstream;
use crate::imap::Error;
use crate::imap::command::Section;
use crate::pop3::dot::DotWriter;
use crate::pop3::{Message, Portion, Reply};

/// How a message was answered.
#[derive(Debug)]
pub enum Sent {
    /// The portion is in the output, with its end.
    Complete {
        /// Octets that it took.
        octets: u64,
    },
    /// The reply is in the output, and it says that the message cannot be read now.
    Refused,
    /// Nothing is in the output: the message is gone from the mailbox.
    Vanished,
}

/// Why the session cannot go on.
#[derive(Debug)]
pub enum Broken {
    /// The client is gone.
    Client(Lost),
    /// The upstream broke off when a part of the message had left already.
    Upstream(Error),
}

/// Octets that are asked for at once when only a few lines of a body are wanted: most headers and first
/// lines fit, and a message of many megabytes costs no more than this.
const WINDOW: u64 = 32 * 1024;

/// Octets of a text that are put into the output at once.
const PIECE: usize = 16 * 1024;

/// A failure that leaves the client's side as it was.
enum Attempt {
    Done(Sent),
    /// The upstream failed, and nothing of this message has left.
    Failed(Error),
}

/// Which message is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its number and size.
    pub message: &'a Message,
    /// What the mail store calls it.
    pub uid: u32,
    /// How much of it.
    pub portion: Portion,
    /// Which are likely to be wanted next, as a whole.
    pub next: &'a [u32],
}

/// Sends a message.
pub async fn send(
    pop: &mut PopStream,
    upstream: &mut Upstream,
    cx: &Context,
    mut wanted: Wanted<'_>,
) -> Result<Sent, Broken> {
    let uid = wanted.uid;
    for last in [false, true] {
        match attempt(pop, upstream, cx, wanted).await? {
            Attempt::Done(sent) => return Ok(sent),
            Attempt::Failed(error) => {
                let session = upstream.session();
                tracing::warn!(session, uid, %error, again = !last, "a message cannot be read");
                if error.is_connection_lost() {
                    upstream.lose();
                }
                // Perhaps that was too much for it.
                wanted.next = &[];
            }
        }
    }
    pop.reply(&answer::NOT_NOW);
    Ok(Sent::Refused)
}

/// Sends the portion of a message that is here already: the notice.
pub async fn send_text(pop: &mut PopStream, text: &[u8], portion: Portion) -> Result<Sent, Broken> {
    let mark = Mark::here(pop);
    pop.reply(&Reply::ok(format!("{} octets", text.len())));
    pop.connection().body_begins();
    let mut writer = match portion {
        Portion::Whole => DotWriter::whole(),
        Portion::Top(lines) => DotWriter::top(lines),
    };
    for piece in text.chunks(PIECE) {
        writer.push(piece, pop.output());
        pop.flush_much().await.map_err(Broken::Client)?;
    }
    writer.finish(pop.output());
    pop.connection().body_ends();
    Ok(Sent::Complete { octets: mark.octets_since(pop) })
}

async fn attempt(
    pop: &mut PopStream,
    upstream: &mut Upstream,
    cx: &Context,
    Wanted { message, uid, portion, next }: Wanted<'_>,
) -> Result<Attempt, Broken> {
    let begun = Instant::now();
    let client = match upstream.client().await {
        Ok(client) => client,
        Err(error) => return Ok(Attempt::Failed(error)),
    };
    let (mut section, mut writer) = match portion {
        Portion::Whole => (Section::Whole, DotWriter::whole()),
        Portion::Top(0) => (Section::Header, DotWriter::top(0)),
        Portion::Top(lines) if portion.is_retrieval() => (Section::Whole, DotWriter::top(lines)),
        Portion::Top(lines) => (Section::Window { origin: 0, octets: WINDOW }, DotWriter::top(lines)),
    };
    let mark = Mark::here(pop);
    let mut fetched = 0;
    loop {
        // 1. Ask. `+OK` is written only when the body of our UID has begun.
        let body = match timed(cx, "FETCH", client.body(uid, section, next)).await {
            Ok(body) => body,
            Err(error) => return mark.undo(pop, error),
        };
        let Some(mut body) = body else {
            let error = match timed(cx, "FETCH", client.exists(uid)).await {
                // A window behind the end: some servers answer NIL instead of nothing.
                Ok(true) if fetched > 0 => break,
                Ok(false) if fetched == 0 => return Ok(Attempt::Done(Sent::Vanished)),
                Ok(true) => Error::Protocol("a message without a body"),
                Ok(false) => Error::Protocol("a message that went away between two windows"),
                Err(error) => error,
            };
            return mark.undo(pop, error);
        };
        if fetched == 0 {
            pop.reply(&Reply::ok(format!("{} octets", message.octets())));
            pop.connection().body_begins();
            cx.metrics.sessions.first_byte.observe(begun.elapsed().as_secs_f64());
        }
        // 2. Stream.
        loop {
            match client.chunk(&mut body).await {
                Ok(Some(chunk)) => writer.push(chunk, pop.output()),
                Ok(None) => break,
                Err(error) => return mark.undo(pop, error),
            }
            pop.flush_much().await.map_err(Broken::Client)?;
        }
        // 3. Only now is it known that the body was whole.
        let octets = match client.body_end(body).await {
            Ok(octets) => octets,
            Err(error) => return mark.undo(pop, error),
        };
        fetched += octets;
        match section {
            Section::Window { origin, octets: asked } if octets > asked && origin > 0 => {
                let error = Error::Protocol("the server sends more of a message than was asked for");
                return mark.undo(pop, error);
            }
            // A server that knows no windows has sent the whole message at once: that is its end.
            Section::Window { octets: asked, .. } if octets == asked && !writer.is_complete() => {
                section = Section::Window { origin: fetched, octets: WINDOW };
            }
            Section::Window { .. } | Section::Whole | Section::Header => break,
        }
    }
    writer.finish(pop.output());
    pop.connection().body_ends();
    if section == Section::Whole {
        #[allow(clippy::cast_precision_loss, reason = "for a histogram whose buckets are further apart")]
        cx.metrics.sessions.message_size.observe(fetched as f64);
        cx.metrics.sessions.size_mismatches.inc_by(u64::from(fetched != message.octets()));
        cx.metrics.sessions.mended.inc_by(u64::from(writer.mended()));
    }
    Ok(Attempt::Done(Sent::Complete { octets: mark.octets_since(pop) }))
}

/// Where a message begins in what the client is sent.
struct Mark {
    sent: u64,
    output: usize,
}

impl Mark {
    fn here(pop: &mut PopStream) -> Self {
        Self { sent: pop.connection().traffic().1, output: pop.output().len() }
    }

    /// Takes back what is in the output, if nothing has left since.
    fn undo(self, pop: &mut PopStream, error: Error) -> Result<Attempt, Broken> {
        if pop.connection().traffic().1 != self.sent {
            return Err(Broken::Upstream(error));
        }
        pop.output().truncate(self.output);
        pop.connection().body_ends();
        Ok(Attempt::Failed(error))
    }

    fn octets_since(&self, pop: &mut PopStream) -> u64 {
        pop.connection().traffic().1 - self.sent + pop.output().len() as u64 - self.output as u64
    }
}
