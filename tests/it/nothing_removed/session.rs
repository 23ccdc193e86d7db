//! A random POP3 session: what it says, how it ends, and what must and may be hidden afterwards.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::dovecot::User;
use crate::support::imap::Message;
use crate::support::pop3::{Pop3, Transport};
use crate::support::proxy::Proxy;

/// What the notice is called here, which is in no mailbox.
pub(crate) const NOTICE: u32 = 0;

/// What a session says. Numbers are taken modulo the size of the maildrop.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// RETR.
    Retr(usize),
    /// TOP with this many lines.
    Top(usize, u32),
    /// DELE.
    Dele(usize),
    /// RSET.
    Rset,
    /// NOOP.
    Noop,
}

/// How a session ends.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// QUIT, and the reply is read.
    Quit,
    /// QUIT, and the client closes at once. All earlier replies were read, so the kernel sends FIN
    /// and lastpop is sure to find QUIT in front of it.
    QuitAndClose,
    /// QUIT, no more input, and the reply is read.
    QuitAndHalfClose,
    /// QUIT, and a reset, which may overtake QUIT.
    QuitAndReset,
    /// QUIT behind a RETR whose answer is cut off: nobody knows whether QUIT was read.
    QuitBehindCutRetr(usize),
    /// FIN without a word.
    Close,
    /// No more input, and the server's FIN is awaited.
    HalfClose,
    /// A reset without a word.
    Reset,
    /// The first octets of QUIT or DELE without the line end, and FIN or a reset.
    CutCommand { quit: bool, octets: usize, reset: bool },
    /// RETR, and after so many octets of the answer FIN or a reset.
    CutRetr { octets: usize, reset: bool },
}

/// A whole session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    tls: bool,
    /// All ops in one write?
    pipelined: bool,
    ops: Vec<Op>,
    end: End,
}

/// What a session had marked when it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// QUIT was read: all these are hidden.
    Quit(BTreeSet<u32>),
    /// QUIT was written, and may have been lost: all or none are hidden.
    Perhaps(BTreeSet<u32>),
    /// No QUIT: none is hidden by this session.
    Cut,
}

impl Outcome {
    /// The marks of a session whose QUIT was read.
    pub(crate) fn surely_hidden(&self) -> Option<&BTreeSet<u32>> {
        match self {
            Self::Quit(marks) => Some(marks),
            Self::Perhaps(_) | Self::Cut => None,
        }
    }

    /// The marks of a session whose QUIT may have been read.
    pub(crate) fn perhaps_hidden(&self) -> Option<&BTreeSet<u32>> {
        match self {
            Self::Perhaps(marks) => Some(marks),
            Self::Quit(_) | Self::Cut => None,
        }
    }
}

/// All sessions.
pub(crate) fn session() -> impl Strategy<Value = Session> {
    let op = prop_oneof![
        2 => (0..7_usize).prop_map(Op::Retr),
        1 => (0..7_usize, 0..20_u32).prop_map(|(message, lines)| Op::Top(message, lines)),
        4 => (0..7_usize).prop_map(Op::Dele),
        1 => Just(Op::Rset),
        1 => Just(Op::Noop),
    ];
    let end = prop_oneof![
        3 => Just(End::Quit),
        2 => Just(End::QuitAndClose),
        1 => Just(End::QuitAndHalfClose),
        1 => Just(End::QuitAndReset),
        1 => (0..50_000_usize).prop_map(End::QuitBehindCutRetr),
        1 => Just(End::Close),
        1 => Just(End::HalfClose),
        1 => Just(End::Reset),
        1 => (any::<bool>(), 1..=5_usize, any::<bool>())
            .prop_map(|(quit, octets, reset)| End::CutCommand { quit, octets, reset }),
        1 => (0..50_000_usize, any::<bool>()).prop_map(|(octets, reset)| End::CutRetr { octets, reset }),
    ];
    (any::<bool>(), any::<bool>(), vec(op, 0..10), end).prop_map(|(tls, pipelined, ops, end)| Session {
        tls,
        pipelined,
        ops,
        end,
    })
}

/// Runs a session to its end and checks every reply on the way.
pub(crate) fn run(session: &Session, proxy: &Proxy, user: &User, held: &[Message]) -> Outcome {
    let mut pop3 = proxy.connect(if session.tls { Transport::Implicit } else { Transport::Plain });
    pop3.login(&user.name, &user.password);
    assert!(pop3.command("UIDL").starts_with("+OK"));
    let uids = pop3.listing().iter().map(|line| uid_of(line)).collect();
    let hashes = held.iter().map(|message| (message.uid, message.sha256)).collect();
    let mut model = Model { uids, marks: BTreeSet::new(), hashes };
    if session.pipelined {
        let commands: String = session.ops.iter().map(|op| model.command(op)).collect();
        pop3.send(commands.as_bytes());
    }
    for op in &session.ops {
        if !session.pipelined {
            pop3.send(model.command(op).as_bytes());
        }
        model.answer(op, &mut pop3);
    }
    end(&session.end, session.tls, pop3, model)
}

/// The UID in a line of the listing that UIDL gives: the first eight hexadecimal digits. A notice has none.
pub(crate) fn uid_of(line: &str) -> u32 {
    let (_, unique_id) = line.split_once(' ').expect("a number and a unique-id");
    if unique_id.starts_with("{notice}") {
        return NOTICE;
    }
    u32::from_str_radix(&unique_id[..8], 16).expect("a UID in hexadecimal")
}

/// What the maildrop of this session looks like.
struct Model {
    uids: Vec<u32>,
    marks: BTreeSet<u32>,
    hashes: BTreeMap<u32, [u8; 32]>,
}

impl Model {
    /// The message number for an index, which is 1 in an empty maildrop.
    fn number(&self, index: usize) -> usize {
        index % self.uids.len().max(1) + 1
    }

    /// The message with this index, unless it is deleted or there is none.
    fn message(&self, index: usize) -> Option<u32> {
        let uid = *self.uids.get(self.number(index) - 1)?;
        (!self.marks.contains(&uid)).then_some(uid)
    }

    fn command(&self, op: &Op) -> String {
        match op {
            Op::Retr(index) => format!("RETR {}\r\n", self.number(*index)),
            Op::Top(index, lines) => format!("TOP {} {lines}\r\n", self.number(*index)),
            Op::Dele(index) => format!("DELE {}\r\n", self.number(*index)),
            Op::Rset => "RSET\r\n".to_owned(),
            Op::Noop => "NOOP\r\n".to_owned(),
        }
    }

    fn answer(&mut self, op: &Op, pop3: &mut Pop3) {
        let expected = match op {
            Op::Retr(index) | Op::Top(index, _) | Op::Dele(index) => self.message(*index).is_some(),
            Op::Rset | Op::Noop => true,
        };
        let reply = pop3.line();
        assert_eq!(reply.starts_with("+OK"), expected, "{op:?}: {reply}");
        match op {
            Op::Retr(index) => {
                if let Some(uid) = self.message(*index) {
                    assert_eq!(pop3.body().sha256, self.hashes[&uid], "{op:?}");
                }
            }
            Op::Top(index, _) => {
                if self.message(*index).is_some() {
                    pop3.body();
                }
            }
            Op::Dele(index) => self.marks.extend(self.message(*index)),
            Op::Rset => self.marks.clear(),
            Op::Noop => (),
        }
    }

    /// A message that RETR still gives; the last that is no notice first, because it is the long one.
    fn retrievable(&self) -> Option<usize> {
        let there = (0..self.uids.len()).rev().filter(|index| self.message(*index).is_some());
        there.min_by_key(|index| self.uids[*index] == NOTICE)
    }
}

fn end(end: &End, tls: bool, mut pop3: Pop3, model: Model) -> Outcome {
    match end {
        End::Quit => {
            let reply = pop3.command("QUIT");
            assert!(reply.starts_with("+OK"), "QUIT: {reply}");
            assert_eq!(pop3.drain(), 0, "octets after QUIT");
            Outcome::Quit(model.marks)
        }
        End::QuitAndHalfClose => {
            pop3.send(b"QUIT\r\n");
            pop3.half_close();
            // A TLS server may stop to write once it has read close_notify.
            if let Some(reply) = pop3.try_line() {
                assert!(reply.starts_with("+OK"), "QUIT: {reply}");
            } else {
                assert!(tls, "no reply to QUIT");
            }
            pop3.drain();
            Outcome::Quit(model.marks)
        }
        End::QuitAndClose => {
            pop3.send(b"QUIT\r\n");
            Outcome::Quit(model.marks)
        }
        End::QuitAndReset => {
            pop3.send(b"QUIT\r\n");
            pop3.reset();
            Outcome::Perhaps(model.marks)
        }
        End::QuitBehindCutRetr(octets) => {
            cut_retr(&mut pop3, &model, *octets, "QUIT\r\n");
            pop3.reset();
            Outcome::Perhaps(model.marks)
        }
        End::Close => Outcome::Cut,
        End::HalfClose => {
            pop3.half_close();
            pop3.drain();
            Outcome::Cut
        }
        End::Reset => {
            pop3.reset();
            Outcome::Cut
        }
        End::CutCommand { quit, octets, reset } => {
            let command = if *quit { "QUIT\r" } else { "DELE 1\r" };
            pop3.send(&command.as_bytes()[..*octets]);
            leave(pop3, *reset)
        }
        End::CutRetr { octets, reset } => {
            cut_retr(&mut pop3, &model, *octets, "");
            leave(pop3, *reset)
        }
    }
}

/// Asks for a message, and reads no more than `octets` of the answer.
fn cut_retr(pop3: &mut Pop3, model: &Model, octets: usize, and_then: &str) {
    if let Some(index) = model.retrievable() {
        pop3.send(format!("RETR {}\r\n{and_then}", model.number(index)).as_bytes());
        pop3.read_some(octets);
    }
}

fn leave(pop3: Pop3, reset: bool) -> Outcome {
    if reset {
        pop3.reset();
    }
    Outcome::Cut
}
