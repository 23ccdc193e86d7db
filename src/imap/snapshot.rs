//! A listing that is kept for the next poll, in few octets, and how it becomes the listing of then.
//!
//! A mail program asks every few minutes, mostly to learn that nothing is new. What is kept lets the server send what
//! has changed since and no more. Any doubt about it is an error, after which everything is listed anew.

use std::ops::RangeInclusive;
use std::sync::Arc;

/// One message of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its UID.
    pub uid: u32,
    /// RFC822.SIZE, in octets.
    pub octets: u64,
    /// Does it carry the keyword?
    pub hidden: bool,
}

/// What identifies the state of a mailbox at SELECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// UIDVALIDITY
    pub uidvalidity: u32,
    /// UIDNEXT: every message that comes later has this UID or a higher one (RFC 3501 §2.3.1.1).
    pub uidnext: u32,
    /// HIGHESTMODSEQ (RFC 7162 §3.1.2.1); `None`: the mailbox has no mod-sequences.
    pub modseq: Option<u64>,
}

/// A listing as it was at [`State`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    state: State,
    count: u32,
    /// For each message the distance of its UID from the one before, and its size with the mark of the hidden ones:
    /// numbers of seven bits an octet, four or five octets together.
    rows: Arc<[u8]>,
}

/// What has changed since a snapshot.
#[derive(Debug, Default)]
pub struct Changes {
    /// UIDs that are gone.
    pub gone: Vec<RangeInclusive<u32>>,
    /// Messages whose flags were told, and whether each is hidden, in the order of telling: the last one holds.
    pub flags: Vec<(u32, bool)>,
    /// Messages that are new.
    pub new: Vec<Listed>,
}

impl Snapshot {
    /// Keeps a listing, which is ascending by UID.
    pub fn new(state: State, listing: &[Listed]) -> Self {
        let mut rows = Vec::with_capacity(5 * listing.len());
        let mut last = 0;
        for row in listing {
            put(u64::from(row.uid - last), &mut rows);
            // Sizes of 2^63 octets do not exist; one that is claimed is not kept.
            put(row.octets.min(u64::MAX >> 1) << 1 | u64::from(row.hidden), &mut rows);
            last = row.uid;
        }
        let count = u32::try_from(listing.len()).unwrap_or(u32::MAX);
        Self { state, count, rows: rows.into() }
    }

    /// The same listing, found unchanged at another state of the mailbox.
    #[must_use]
    pub fn at(&self, state: State) -> Self {
        Self { state, count: self.count, rows: Arc::clone(&self.rows) }
    }

    /// The mailbox's state then.
    pub const fn state(&self) -> State {
        self.state
    }

    /// How many messages there were.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Octets that it takes in memory, without the key that it is found by.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.rows.len()
    }

    /// The messages, ascending by UID.
    pub fn listing(&self) -> impl Iterator<Item = Listed> {
        let (mut rest, mut uid) = (&self.rows[..], 0);
        std::iter::from_fn(move || {
            uid += u32::try_from(take(&mut rest)?).ok()?;
            let size = take(&mut rest)?;
            Some(Listed { uid, octets: size >> 1, hidden: size & 1 == 1 })
        })
    }

    /// The listing with these changes, and whether there were any. `None` if they do not fit it: then the whole mailbox
    /// is to be listed.
    pub fn with(&self, mut changes: Changes) -> Option<(Vec<Listed>, bool)> {
        // Of several words about one message the last holds: the sort keeps their order.
        changes.flags.sort_by_key(|(uid, _)| *uid);
        changes.gone.sort_by_key(|range| *range.start());
        let (mut flags, mut gone) = (changes.flags.iter().peekable(), changes.gone.iter().peekable());
        let mut differs = !changes.new.is_empty();
        let mut listing = Vec::with_capacity(self.count as usize + changes.new.len());
        for mut row in self.listing() {
            while gone.next_if(|range| *range.end() < row.uid).is_some() {}
            if gone.peek().is_some_and(|range| range.contains(&row.uid)) {
                differs = true;
                continue;
            }
            while flags.next_if(|(uid, _)| *uid < row.uid).is_some() {}
            while let Some((_, hidden)) = flags.next_if(|(uid, _)| *uid == row.uid) {
                differs |= row.hidden != *hidden;
                row.hidden = *hidden;
            }
            listing.push(row);
        }
        listing.append(&mut changes.new);
        listing.is_sorted_by(|one, next| one.uid < next.uid).then_some((listing, differs))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn put(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn take(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (at, octet) in from.iter().enumerate() {
        number |= u64::from(octet & 0x7f) << (7 * at);
        if *octet < 0x80 {
            *from = &from[at + 1..];
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const STATE: State = State { uidvalidity: 1, uidnext: 200, modseq: Some(7) };

    /// Messages with UIDs below 200.
    fn messages() -> impl Strategy<Value = BTreeMap<u32, (u64, bool)>> {
        prop::collection::btree_map(
            1_u32..200,
            (any::<u64>().prop_map(|size| size >> 1), any::<bool>()),
            0..100,
        )
    }

    fn rows(messages: &BTreeMap<u32, (u64, bool)>) -> Vec<Listed> {
        messages
            .iter()
            .map(|(uid, (octets, hidden))| Listed { uid: *uid, octets: *octets, hidden: *hidden })
            .collect()
    }

    #[test]
    fn a_message_takes_four_or_five_octets() {
        let listing: Vec<Listed> = (1..=1_000)
            .map(|uid| Listed { uid, octets: 4_000 + 700 * u64::from(uid), hidden: uid % 9 == 0 })
            .collect();
        let size = Snapshot::new(STATE, &listing).size();
        assert!((3_000..4_200).contains(&size), "{size}");
    }

    #[test]
    fn what_came_twice_or_before_its_time_does_not_fit() {
        let row = |uid| Listed { uid, octets: 1, hidden: false };
        let snapshot = Snapshot::new(STATE, &[row(3), row(5)]);
        let with = |new: &[u32]| {
            let new = new.iter().map(|uid| row(*uid)).collect();
            snapshot.with(Changes { new, ..Changes::default() }).map(|(listing, _)| listing.len())
        };
        assert_eq!(with(&[200, 201]), Some(4));
        assert_eq!(with(&[5]), None);
        assert_eq!(with(&[201, 200]), None);
        assert_eq!(with(&[200, 200]), None);
    }

    proptest! {
        #[test]
        fn what_was_kept_comes_back(messages in messages()) {
            let listing = rows(&messages);
            let snapshot = Snapshot::new(STATE, &listing);
            prop_assert_eq!(snapshot.listing().collect::<Vec<_>>(), listing.clone());
            prop_assert_eq!(snapshot.count() as usize, listing.len());
            prop_assert_eq!(snapshot.with(Changes::default()), Some((listing, false)));
        }

        #[test]
        fn changes_make_it_the_listing_of_now(
            before in messages(),
            gone in prop::collection::btree_set(1_u32..220, 0..30),
            flags in prop::collection::vec((1_u32..220, any::<bool>()), 0..30),
            new in prop::collection::btree_map(200_u32..220, (0_u64..1_000_000, any::<bool>()), 0..10),
        ) {
            let changes = Changes {
                gone: gone.iter().map(|uid| *uid..=*uid).collect(),
                flags: flags.clone(),
                new: rows(&new),
            };
            let mut now = before.clone();
            now.retain(|uid, _| !gone.contains(uid));
            for (uid, hidden) in flags {
                if let Some(message) = now.get_mut(&uid) {
                    message.1 = hidden;
                }
            }
            now.extend(new);
            let changed = now != before;
            let (listing, told) = Snapshot::new(STATE, &rows(&before)).with(changes).expect("changes that fit");
            prop_assert_eq!(listing, rows(&now));
            prop_assert!(told || !changed);
        }

        #[test]
        fn ranges_are_as_good_as_single_uids(before in messages(), from in 1_u32..220, octets in 0_u32..50) {
            let gone: BTreeSet<u32> = (from..=from + octets).collect();
            let snapshot = Snapshot::new(STATE, &rows(&before));
            let with = |gone: Vec<RangeInclusive<u32>>| snapshot.with(Changes { gone, ..Changes::default() });
            let single = gone.iter().rev().map(|uid| *uid..=*uid).collect();
            prop_assert_eq!(with(vec![from..=from + octets]), with(single));
        }
    }
}
