//! What may happen to a mailbox between two polls, or during one.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::maildrop::Truth;
use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::Imap;
use crate::support::proxy::Proxy;

/// Something that happens. Messages are named by index modulo their number.
#[derive(Clone, Debug)]
enum Op {
    /// Messages of these sizes come as files.
    Deliver(Vec<usize>),
    /// One comes by IMAP, with the keyword already.
    AppendHidden,
    /// Messages go.
    Expunge(Vec<usize>),
    /// The keyword is set or taken off.
    Hide(Vec<usize>, bool),
    /// `\Seen` is.
    Seen(Vec<usize>, bool),
    /// A POP3 session deletes messages of its maildrop.
    Delete(Vec<usize>),
}

/// Some things that happen, and how one looks at it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Does the mailbox get another UIDVALIDITY first?
    pub(super) renumbers: Option<Renumbers>,
    ops: Vec<Op>,
    /// Do sessions begin meanwhile?
    pub(super) during_polls: bool,
    /// Is there one more poll, at which nothing is new?
    pub(super) again: bool,
}

/// How a mailbox gets another UIDVALIDITY.
#[derive(Clone, Copy, Debug)]
pub(super) enum Renumbers {
    /// All else stays, UIDs as well.
    InName,
    /// Dovecot loses its books.
    FromScratch,
}

/// All steps.
pub(super) fn step() -> impl Strategy<Value = Step> {
    let some = || vec(0..100_usize, 1..4);
    let op = prop_oneof![
        6 => vec(1..20_000_usize, 1..6).prop_map(Op::Deliver),
        1 => Just(Op::AppendHidden),
        2 => some().prop_map(Op::Expunge),
        3 => (some(), any::<bool>()).prop_map(|(messages, set)| Op::Hide(messages, set)),
        2 => (some(), any::<bool>()).prop_map(|(messages, set)| Op::Seen(messages, set)),
        3 => some().prop_map(Op::Delete),
    ];
    let renumbers = prop_oneof![Just(Renumbers::InName), Just(Renumbers::FromScratch)];
    (prop::option::weighted(0.1, renumbers), vec(op, 0..4), prop::bool::weighted(0.4), any::<bool>())
        .prop_map(|(renumbers, ops, during_polls, again)| Step { renumbers, ops, during_polls, again })
}

impl Step {
    /// It happens, to a mailbox that holds this. Gives the UIDs that may have been hidden or shown.
    pub(super) fn happens(
        &self,
        dovecot: &Dovecot,
        user: &User,
        proxy: &Proxy,
        before: &Truth,
    ) -> BTreeSet<u32> {
        let mut imap = Imap::open(dovecot, user);
        let mut touched = BTreeSet::new();
        for op in &self.ops {
            match op {
                Op::Deliver(sizes) => {
                    let messages: Vec<Vec<u8>> = sizes.iter().map(|size| message(*size)).collect();
                    dovecot.deliver(user, messages.iter().map(Vec::as_slice));
                }
                Op::AppendHidden => imap.append_flagged("$POP3Deleted", &message(300)),
                Op::Expunge(messages) => {
                    for uid in before.uids(messages) {
                        imap.store(uid, "+FLAGS", "\\Deleted");
                    }
                    imap.expunge();
                }
                Op::Hide(messages, set) => {
                    for uid in before.uids(messages) {
                        imap.store(uid, sign(*set), "$POP3Deleted");
                        touched.insert(uid);
                    }
                }
                Op::Seen(messages, set) => {
                    for uid in before.uids(messages) {
                        imap.store(uid, sign(*set), "\\Seen");
                    }
                }
                Op::Delete(messages) => touched.extend(delete(proxy, user, messages)),
            }
        }
        touched
    }
}

const fn sign(set: bool) -> &'static str {
    if set { "+FLAGS" } else { "-FLAGS" }
}

fn message(size: usize) -> Vec<u8> {
    let mut message = b"Subject: a message\r\n\r\n".to_vec();
    message.resize(message.len() + size, b'x');
    message.extend_from_slice(b"\r\n");
    message
}

/// Gives the UIDs.
fn delete(proxy: &Proxy, user: &User, messages: &[usize]) -> Vec<u32> {
    let mut pop3 = proxy.login(user);
    assert!(pop3.command("UIDL").starts_with("+OK"));
    let listing = pop3.listing();
    let mut deleted = Vec::new();
    for index in messages {
        let Some(line) = listing.get(index % listing.len().max(1)) else { break };
        let (number, unique_id) = line.split_once(' ').expect("a number and a unique-id");
        // Refused where it was deleted a moment ago.
        if pop3.command(&format!("DELE {number}")).starts_with("+OK") {
            deleted.push(u32::from_str_radix(&unique_id[..8], 16).expect("a UID in hexadecimal"));
        }
    }
    let reply = pop3.command("QUIT");
    assert!(reply.starts_with("+OK"), "QUIT: {reply}");
    deleted
}
