//! A maildrop as POP3 shows it, and the mailbox as IMAP tells the truth of it.

use std::collections::BTreeSet;

use crate::support::dovecot::User;
use crate::support::imap::{Imap, Message};
use crate::support::pop3::{Pop3, Transport};
use crate::support::proxy::Proxy;

/// What STAT, LIST and UIDL say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Maildrop {
    stat: String,
    list: Vec<String>,
    uidl: Vec<String>,
}

/// What is in the mailbox.
#[derive(Debug)]
pub(super) struct Truth {
    uidvalidity: u32,
    messages: Vec<Message>,
}

impl Truth {
    /// As of now.
    pub(super) fn of(imap: &mut Imap) -> Self {
        Self { uidvalidity: imap.uidvalidity(), messages: imap.messages() }
    }

    /// The UIDs of all messages, by index modulo their number.
    pub(super) fn uids(&self, indices: &[usize]) -> BTreeSet<u32> {
        let count = self.messages.len().max(1);
        indices.iter().filter_map(|index| Some(self.messages.get(index % count)?.uid)).collect()
    }

    fn visible(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| !message.has("$POP3Deleted"))
    }

    /// What lastpop has to show.
    pub(super) fn maildrop(&self) -> Maildrop {
        let octets: u64 = self.visible().map(|message| message.size).sum();
        let number = |at: usize| at + 1;
        Maildrop {
            stat: format!("+OK {} {octets}", self.visible().count()),
            list: self
                .visible()
                .enumerate()
                .map(|(at, message)| format!("{} {}", number(at), message.size))
                .collect(),
            uidl: self
                .visible()
                .enumerate()
                .map(|(at, message)| format!("{} {}", number(at), unique_id(message.uid, self.uidvalidity)))
                .collect(),
        }
    }
}

fn unique_id(uid: u32, uidvalidity: u32) -> String {
    format!("{uid:08x}{uidvalidity:08x}")
}

impl Maildrop {
    fn read(pop3: &mut Pop3) -> Self {
        let stat = pop3.command("STAT");
        let mut listing = |command: &str| {
            assert!(pop3.command(command).starts_with("+OK"), "{command}");
            pop3.listing()
        };
        let (list, uidl) = (listing("LIST"), listing("UIDL"));
        assert!(pop3.command("QUIT").starts_with("+OK"));
        Self { stat, list, uidl }
    }

    /// It was shown while one became the other, and while these UIDs were hidden or shown, perhaps more than once.
    pub(super) fn lies_between(&self, before: &Truth, after: &Truth, touched: &BTreeSet<u32>) {
        let numbers = self.list.iter().map(|line| line.split_once(' ').expect("a number and a size"));
        let octets: u64 = numbers.map(|(_, size)| size.parse::<u64>().expect("a size")).sum();
        assert_eq!(self.stat, format!("+OK {} {octets}", self.uidl.len()), "{self:?}");
        let shown: BTreeSet<&str> =
            self.uidl.iter().map(|line| line.split_once(' ').expect("a number and a unique-id").1).collect();
        let is_there = |truth: &Truth, hidden: bool| -> BTreeSet<u32> {
            let messages = truth.messages.iter().filter(|message| message.has("$POP3Deleted") == hidden);
            messages.map(|message| message.uid).filter(|uid| !touched.contains(uid)).collect()
        };
        for (hidden, expected) in [(false, true), (true, false)] {
            for uid in is_there(before, hidden).intersection(&is_there(after, hidden)) {
                let listed = shown.contains(unique_id(*uid, after.uidvalidity).as_str());
                assert_eq!(listed, expected, "{uid} in {self:?} between {before:?} and {after:?}");
            }
        }
    }
}

/// A session that looks and leaves.
pub(super) fn poll(proxy: &Proxy, user: &User) -> Maildrop {
    Maildrop::read(&mut proxy.login(user))
}

/// The same while somebody else is at work there: a mailbox that changes twice while it is listed is not to be had.
pub(super) fn poll_at_a_bad_time(proxy: &Proxy, user: &User) -> Option<Maildrop> {
    let mut pop3 = proxy.connect(Transport::Plain);
    assert!(pop3.command(&format!("USER {}", user.name)).starts_with("+OK"));
    let reply = pop3.command(&format!("PASS {}", user.password));
    if reply.starts_with("-ERR [SYS/TEMP]") {
        return None;
    }
    assert!(reply.starts_with("+OK"), "{reply}");
    Some(Maildrop::read(&mut pop3))
}
