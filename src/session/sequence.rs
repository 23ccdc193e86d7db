//! Readers who take one message after the other: what they will want next is asked for ahead.

use crate::pop3::{Maildrop, Message, Source};

/// Messages at most that are asked for ahead: enough that an upstream 10 ms away is not waited for.
const MESSAGES: usize = 8;

/// Octets at most that they have together: what is not wanted after all costs the upstream that much.
const OCTETS: u64 = 256 * 1024;

/// Follows the numbers of the messages that a client retrieves.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    last: u32,
    next: Vec<u32>,
}

impl Sequence {
    /// This message is being retrieved: UIDs of those that are likely to follow.
    pub(super) fn follow(&mut self, message: &Message, maildrop: &Maildrop) -> &[u32] {
        let number = message.number().get();
        let goes_on = number > 1 && number == self.last + 1;
        self.last = number;
        self.next.clear();
        if !goes_on {
            return &[];
        }
        let mut octets = 0;
        for message in maildrop.messages_after(message.number()).take(MESSAGES) {
            octets += message.octets();
            let Source::Stored(uid) = message.source() else { break };
            if octets > OCTETS {
                break;
            }
            self.next.push(uid);
        }
        &self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pop3::MsgNum;

    fn follow(maildrop: &Maildrop, numbers: &[u32]) -> Vec<u32> {
        let mut sequence = Sequence::default();
        let mut next = Vec::new();
        for number in numbers {
            let message = maildrop.message(MsgNum::new(*number).expect("not zero")).expect("there");
            next = sequence.follow(&message, maildrop).to_vec();
        }
        next
    }

    #[test]
    fn who_takes_two_in_a_row_will_take_the_third() {
        let maildrop = Maildrop::new((1..=20).map(|id| (100 + id, 1_000))).with_notice(10);
        assert!(follow(&maildrop, &[1]).is_empty());
        assert!(follow(&maildrop, &[1, 3]).is_empty());
        assert!(follow(&maildrop, &[3, 3]).is_empty());
        assert_eq!(follow(&maildrop, &[1, 2]), (103..=110).collect::<Vec<_>>());
        assert_eq!(follow(&maildrop, &[7, 8, 9]), (110..=117).collect::<Vec<_>>());
        assert_eq!(follow(&maildrop, &[18, 19]), [120]);
        assert!(follow(&maildrop, &[19, 20]).is_empty());
    }

    #[test]
    fn not_more_than_a_quarter_of_a_mebibyte() {
        let maildrop = Maildrop::new([(1, 1), (2, 1), (3, 100 * 1024), (4, 100 * 1024), (5, 100 * 1024)]);
        assert_eq!(follow(&maildrop, &[1, 2]), [3, 4]);
        let maildrop = Maildrop::new([(1, 1), (2, 1), (3, u64::MAX / 2), (4, 1)]);
        assert!(follow(&maildrop, &[1, 2]).is_empty());
    }
}
