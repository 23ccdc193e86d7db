//! What happened on each day, by domain, whoever did it.

use std::collections::BTreeMap;

/// Domains of which one proxy keeps totals between two writes, which is some minutes. What is beyond counts as
/// [`OTHER`]: 10 MB at most.
const MOST: usize = 100_000;

/// The domains that are not told apart.
pub const OTHER: &str = "_other";

/// Additive totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sessions that began.
    pub sessions: u64,
    /// Messages that were retrieved.
    pub messages: u64,
    /// Octets that were sent for them.
    pub octets: u64,
    /// Messages that were deleted over POP3.
    pub deleted: u64,
    /// Logins that were refused because of the mode.
    pub refused: u64,
}

impl Totals {
    /// Adds the other's.
    pub const fn add(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.messages += other.messages;
        self.octets += other.octets;
        self.deleted += other.deleted;
        self.refused += other.refused;
    }
}

/// The totals of one day, since 1970, and domain.
pub type Row = (i64, Box<str>, Totals);

/// Totals that are not written yet.
#[derive(Debug, Default)]
pub struct Book {
    days: BTreeMap<i64, BTreeMap<Box<str>, Totals>>,
    domains: usize,
}

impl Book {
    /// Adds to a domain's totals of a day.
    pub fn add(&mut self, day: i64, domain: &str, totals: &Totals) {
        let domains = self.days.entry(day).or_default();
        let known = domains.contains_key(domain);
        let domain = if known || self.domains < MOST { domain } else { OTHER };
        if let Some(sum) = domains.get_mut(domain) {
            sum.add(totals);
        } else {
            domains.insert(domain.into(), *totals);
            self.domains += 1;
        }
    }

    /// Takes all out, in the order of days and domains: all proxies write them in the same order, so that none
    /// waits for one that waits for it.
    pub fn take(&mut self) -> Vec<Row> {
        let days = std::mem::take(&mut self.days);
        self.domains = 0;
        days.into_iter()
            .flat_map(|(day, domains)| domains.into_iter().map(move |(domain, totals)| (day, domain, totals)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_by_day_and_domain() {
        let mut book = Book::default();
        let one = Totals { sessions: 1, octets: 10, ..Totals::default() };
        for (day, domain) in [(2, "b"), (1, "b"), (2, "a"), (2, "b")] {
            book.add(day, domain, &one);
        }
        let rows: Vec<(i64, String, u64)> = book
            .take()
            .into_iter()
            .map(|(day, domain, totals)| (day, domain.into(), totals.octets))
            .collect();
        assert_eq!(rows, [(1, "b".to_owned(), 10), (2, "a".to_owned(), 10), (2, "b".to_owned(), 20)]);
        assert_eq!(book.take(), []);
    }

    #[test]
    fn there_are_not_too_many_domains() {
        let mut book = Book::default();
        let one = Totals { sessions: 1, ..Totals::default() };
        for number in 0..MOST + 10 {
            book.add(1, &format!("d{number}"), &one);
        }
        let rows = book.take();
        assert_eq!(rows.len(), MOST + 1);
        assert_eq!(rows[0], (1, OTHER.into(), Totals { sessions: 10, ..Totals::default() }));
    }
}
