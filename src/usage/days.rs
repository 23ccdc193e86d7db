//! On which days was a user here? One number for the last 62 days, so that users can be counted by day without
//! counting anybody twice, however many proxies served them and however late each of them says so.

/// Seconds in a day. Days are UTC's.
pub const SECONDS: i64 = 86_400;

/// The windows of time that users are counted in: a label, and the days.
pub const WINDOWS: [(&str, i64); 4] = [("1d", 1), ("7d", 7), ("30d", 30), ("90d", 90)];

/// How many days are remembered. Two bits of a BIGINT stay free, so that no shift reaches the sign.
pub const REMEMBERED: i64 = 62;

/// All days that are remembered, as bits.
pub const MASK: i64 = (1 << REMEMBERED) - 1;

/// A set of days with at least one in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The newest day, since 1970.
    pub newest: i64,
    /// Bit n: n days before the newest.
    pub bits: i64,
}

/// The day of a moment in Unix seconds, since 1970.
pub const fn day(at: i64) -> i64 {
    at.div_euclid(SECONDS)
}

impl Days {
    /// The day of a moment in Unix seconds.
    pub const fn of(at: i64) -> Self {
        Self { newest: day(at), bits: 1 }
    }

    /// The days of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        let (new, old) = if other.newest >= self.newest { (other, self) } else { (self, other) };
        let shift = new.newest.saturating_sub(old.newest);
        let older = if shift >= REMEMBERED { 0 } else { (old.bits << shift) & MASK };
        Self { newest: new.newest, bits: new.bits | older }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The set of these days, oldest forgotten.
    fn set(days: &[i64]) -> Option<Days> {
        days.iter().map(|day| Days::of(day * SECONDS)).reduce(Days::union)
    }

    #[test]
    fn days_and_their_bits() {
        let table: [(&[i64], i64, i64); 6] = [
            (&[100], 100, 0b1),
            (&[100, 100], 100, 0b1),
            (&[100, 101], 101, 0b11),
            (&[101, 99, 101], 101, 0b101),
            (&[100, 161], 161, (1 << 61) | 1),
            (&[100, 162], 162, 0b1),
        ];
        for (days, newest, bits) in table {
            assert_eq!(set(days), Some(Days { newest, bits }), "{days:?}");
        }
        assert_eq!((day(-1), day(0), day(SECONDS - 1), day(SECONDS)), (-1, 0, 0, 1));
    }

    proptest! {
        #[test]
        fn the_order_in_which_days_are_told_makes_no_difference(
            mut days in proptest::collection::vec(0..200i64, 1..20),
            split in 0..20usize,
        ) {
            let told = set(&days);
            // Two proxies, each with a part.
            let (one, other) = days.split_at(split.min(days.len()));
            let both = [other, one].into_iter().filter_map(set).reduce(Days::union);
            prop_assert_eq!(both, told);
            days.sort_unstable();
            let newest = days[days.len() - 1];
            let bits = days.iter().filter(|day| newest - **day < REMEMBERED);
            let bits = bits.fold(0, |bits, day| bits | 1 << (newest - day));
            prop_assert_eq!(told, Some(Days { newest, bits }));
        }
    }
}
