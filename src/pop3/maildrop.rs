//! The maildrop: the numbered list of messages that one session sees (RFC 1939 §5).
//!
//! Three numbers could be confused here, so they are named once: a *message number* ([`MsgNum`]) is
//! POP3's, 1-based, and never changes within a session; an *id* is what the mail store calls the message,
//! opaque here, and never zero; an *index* is private to this file. [`Maildrop::message`] is the one gate from a number
//! that a client sent to a message that exists.

use std::num::NonZeroU32;

/// A message number: never zero (RFC 1939 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MsgNum(NonZeroU32);

impl MsgNum {
    /// `None` for zero.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// As a plain number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    fn index(self) -> Option<usize> {
        usize::try_from(self.0.get() - 1).ok()
    }
}

impl std::fmt::Display for MsgNum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a message's octets are to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the mail store, which calls it so.
    Stored(u32),
    /// Nowhere: it is the notice, which exists only in POP3.
    Notice,
}

/// One message of the list, 16 bytes.
#[derive(Debug, Clone, Copy)]
struct Row {
    octets: u64,
    /// Zero is the notice: no mail store calls a message so.
    id: u32,
    deleted: bool,
    delivered: bool,
}

const NOTICE: u32 = 0;

/// A message that exists and is not marked as deleted. Only [`Maildrop`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    number: MsgNum,
    id: u32,
    octets: u64,
}

impl Message {
    /// Its number in this session.
    pub const fn number(&self) -> MsgNum {
        self.number
    }

    /// Where its octets are.
    pub const fn source(&self) -> Source {
        if self.id == NOTICE { Source::Notice } else { Source::Stored(self.id) }
    }

    /// Its size in octets as listed.
    pub const fn octets(&self) -> u64 {
        self.octets
    }
}

/// The list. Its numbers, ids and sizes never change after it was made; only marks do.
#[derive(Debug, Default)]
pub struct Maildrop {
    rows: Vec<Row>,
    marked: usize,
}

impl Maildrop {
    /// The list of these messages (id, octets), numbered from 1 in this order.
    pub fn new(messages: impl IntoIterator<Item = (u32, u64)>) -> Self {
        let row = |(id, octets)| Row { octets, id, deleted: false, delivered: false };
        Self { rows: messages.into_iter().map(row).collect(), marked: 0 }
    }

    /// The same with a notice of so many octets behind all others, where it moves no message number.
    #[must_use]
    pub fn with_notice(mut self, octets: u64) -> Self {
        self.rows.push(Row { octets, id: NOTICE, deleted: false, delivered: false });
        self
    }

    /// The message with this number, unless there is none or it is marked as deleted.
    pub fn message(&self, number: MsgNum) -> Option<Message> {
        let row = self.rows.get(number.index()?)?;
        (!row.deleted).then_some(Message { number, id: row.id, octets: row.octets })
    }

    /// All messages that are not marked as deleted, in order (RFC 1939 §5, LIST).
    pub fn messages(&self) -> impl Iterator<Item = Message> {
        (1..)
            .map_while(MsgNum::new)
            .zip(&self.rows)
            .filter(|(_, row)| !row.deleted)
            .map(|(number, row)| Message { number, id: row.id, octets: row.octets })
    }

    /// Those behind this number.
    pub fn messages_after(&self, number: MsgNum) -> impl Iterator<Item = Message> {
        let first = number.get().saturating_add(1);
        let rows = self.rows.get(first as usize - 1..).unwrap_or_default();
        let numbered = (first..).map_while(MsgNum::new).zip(rows).filter(|(_, row)| !row.deleted);
        numbered.map(|(number, row)| Message { number, id: row.id, octets: row.octets })
    }

    /// How many messages are not marked as deleted, and their octets together (STAT).
    pub fn stat(&self) -> (usize, u64) {
        self.messages().fold((0, 0), |(count, sum), message| (count + 1, sum.saturating_add(message.octets)))
    }

    /// How many messages there are, marked or not.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Is there none at all?
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Marks a message as deleted.
    pub fn mark_deleted(&mut self, message: &Message) {
        let mut newly = false;
        self.mark(message, |row| newly = !std::mem::replace(&mut row.deleted, true));
        self.marked += usize::from(newly);
    }

    /// Remembers that the client has received the whole message.
    pub fn mark_delivered(&mut self, message: &Message) {
        self.mark(message, |row| row.delivered = true);
    }

    /// Takes every deletion mark off again (RSET).
    pub fn unmark_all(&mut self) {
        self.rows.iter_mut().for_each(|row| row.deleted = false);
        self.marked = 0;
    }

    /// How many messages are marked as deleted.
    pub const fn marked(&self) -> usize {
        self.marked
    }

    /// The ids marked as deleted, in order, without the notice.
    pub fn deleted(&self) -> impl Iterator<Item = u32> {
        self.deleted_rows().map(|row| row.id)
    }

    /// The octets of these.
    pub fn deleted_octets(&self) -> u64 {
        self.deleted_rows().fold(0, |sum, row| sum.saturating_add(row.octets))
    }

    fn deleted_rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.deleted && row.id != NOTICE)
    }

    /// Is the notice marked as deleted?
    pub fn notice_deleted(&self) -> bool {
        self.rows.last().is_some_and(|row| row.id == NOTICE && row.deleted)
    }

    /// The ids that were delivered whole and are not marked as deleted, in order.
    pub fn delivered(&self) -> impl Iterator<Item = u32> {
        let seen = |row: &&Row| row.delivered && !row.deleted && row.id != NOTICE;
        self.rows.iter().filter(seen).map(|row| row.id)
    }

    fn mark(&mut self, message: &Message, set: impl FnOnce(&mut Row)) {
        if let Some(row) = message.number.index().and_then(|index| self.rows.get_mut(index)) {
            set(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(number: u32) -> MsgNum {
        MsgNum::new(number).expect("not zero")
    }

    fn three() -> Maildrop {
        Maildrop::new([(11, 100), (12, 200), (15, 300)])
    }

    #[test]
    fn a_row_is_sixteen_bytes() {
        assert_eq!(size_of::<Row>(), 16);
    }

    #[test]
    fn the_gate_lets_only_live_messages_through() {
        let mut maildrop = three();
        assert_eq!(maildrop.message(n(3)).map(|m| m.source()), Some(Source::Stored(15)));
        assert_eq!(maildrop.message(n(4)), None);
        assert_eq!(maildrop.message(n(u32::MAX)), None);
        let second = maildrop.message(n(2)).expect("there");
        maildrop.mark_deleted(&second);
        assert_eq!(maildrop.message(n(2)), None);
        assert_eq!(Maildrop::default().message(n(1)), None);
    }

    #[test]
    fn numbers_stay_when_a_message_is_marked() {
        let mut maildrop = three();
        let first = maildrop.message(n(1)).expect("there");
        maildrop.mark_deleted(&first);
        assert_eq!(
            maildrop.messages().map(|m| (m.number(), m.source())).collect::<Vec<_>>(),
            [(n(2), Source::Stored(12)), (n(3), Source::Stored(15))]
        );
        assert_eq!(maildrop.stat(), (2, 500));
        assert_eq!(maildrop.marked(), 1);
        maildrop.mark_deleted(&first);
        assert_eq!(maildrop.marked(), 1);
        maildrop.unmark_all();
        assert_eq!(maildrop.marked(), 0);
        assert_eq!(maildrop.stat(), (3, 600));
    }

    #[test]
    fn delivered_and_deleted_are_kept_apart() {
        let mut maildrop = three();
        for message in [maildrop.message(n(1)), maildrop.message(n(3))].into_iter().flatten() {
            maildrop.mark_delivered(&message);
        }
        let third = maildrop.message(n(3)).expect("there");
        maildrop.mark_deleted(&third);
        assert_eq!((maildrop.deleted().collect::<Vec<_>>(), maildrop.deleted_octets()), (vec![15], 300));
        assert_eq!(maildrop.delivered().collect::<Vec<_>>(), [11]);
    }

    #[test]
    fn the_notice_is_the_last_message_and_nothing_in_the_mail_store() {
        let mut maildrop = three().with_notice(50);
        assert_eq!(maildrop.stat(), (4, 650));
        let notice = maildrop.message(n(4)).expect("there");
        assert_eq!(notice.source(), Source::Notice);
        maildrop.mark_delivered(&notice);
        assert!(!maildrop.notice_deleted());
        maildrop.mark_deleted(&notice);
        assert!(maildrop.notice_deleted());
        assert_eq!((maildrop.deleted().count(), maildrop.delivered().count()), (0, 0));
        assert_eq!(maildrop.marked(), 1);
        maildrop.unmark_all();
        assert!(!maildrop.notice_deleted());
        assert!(!three().notice_deleted());
    }
}
