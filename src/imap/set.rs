//! Sequence sets of UIDs (RFC 3501 §9, `sequence-set`), written compactly and in bounded pieces.

use std::ops::RangeInclusive;

use nom::Parser;
use nom::combinator::all_consuming;

use super::fetch::number_u32;

/// Longest set in one command, in octets: the whole command stays under the 1,000 octets that old servers
/// read (UW's limit), and Dovecot's and Cyrus's are far larger.
pub const MAX_SET: usize = 900;

/// A non-empty set of UIDs as text, and the UIDs themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UidSet<'a> {
    text: String,
    uids: &'a [u32],
}

impl<'a> UidSet<'a> {
    /// As IMAP writes it, such as `1:4,7`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The UIDs of the set, ascending.
    pub const fn uids(&self) -> &'a [u32] {
        self.uids
    }

    /// One UID.
    pub fn one(uid: &'a u32) -> Self {
        Self { text: uid.to_string(), uids: std::slice::from_ref(uid) }
    }

    /// Cuts ascending UIDs into sets of at most [`MAX_SET`] octets each.
    pub fn chunks(mut uids: &'a [u32]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let mut text = String::new();
            let mut taken = 0;
            while let Some(first) = uids.get(taken) {
                let run = 1 + uids[taken..]
                    .windows(2)
                    .take_while(|pair| pair[0].checked_add(1) == Some(pair[1]))
                    .count();
                let last = uids[taken + run - 1];
                let range = if run == 1 { first.to_string() } else { format!("{first}:{last}") };
                if text.len() + 1 + range.len() > MAX_SET {
                    break;
                }
                if !text.is_empty() {
                    text.push(',');
                }
                text.push_str(&range);
                taken += run;
            }
            let (head, tail) = uids.split_at(taken);
            uids = tail;
            (!head.is_empty()).then_some(Self { text, uids: head })
        })
    }
}

/// The ranges of a set as a server writes it. `None` if it is none, or names a `*`.
pub fn ranges(set: &[u8]) -> Option<Vec<RangeInclusive<u32>>> {
    fn number(text: &[u8]) -> Option<u32> {
        Some(all_consuming(number_u32).parse(text).ok()?.1)
    }
    let range = |range: &[u8]| {
        let mut ends = range.splitn(2, |octet| *octet == b':');
        let first = number(ends.next()?)?;
        let last = ends.next().map_or(Some(first), number)?;
        Some(first.min(last)..=first.max(last))
    };
    set.split(|octet| *octet == b',').map(range).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(uids: &[u32]) -> Vec<String> {
        UidSet::chunks(uids).map(|set| set.text).collect()
    }

    #[test]
    fn runs_become_ranges() {
        assert_eq!(texts(&[]), Vec::<String>::new());
        assert_eq!(texts(&[7]), ["7"]);
        assert_eq!(texts(&[1, 2, 3, 4, 7, 9, 10]), ["1:4,7,9:10"]);
        assert_eq!(texts(&[u32::MAX - 1, u32::MAX]), ["4294967294:4294967295"]);
    }

    #[test]
    fn what_servers_write() {
        assert_eq!(ranges(b"7"), Some(vec![7..=7]));
        assert_eq!(ranges(b"1:4,9:7,4294967295"), Some(vec![1..=4, 7..=9, u32::MAX..=u32::MAX]));
        for set in [&b""[..], b"1,", b"*", b"1:*", b"a", b"1:2:3", b"+1", b"4294967296", b" 1"] {
            assert_eq!(ranges(set), None, "{}", set.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn chunks_are_bounded_and_lose_nothing(uids in prop::collection::btree_set(0_u32..100_000, 0..2_000)) {
            let uids: Vec<u32> = uids.into_iter().collect();
            let mut back = Vec::new();
            for set in UidSet::chunks(&uids) {
                prop_assert!(set.text.len() <= MAX_SET);
                for range in set.text.split(',') {
                    let (first, last) = range.split_once(':').unwrap_or((range, range));
                    back.extend(first.parse::<u32>().expect("digits")..=last.parse().expect("digits"));
                }
            }
            prop_assert_eq!(back, uids);
        }
    }
}
