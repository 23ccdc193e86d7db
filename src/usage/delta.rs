//! What was learnt about one user since the row in the state was written. Deltas add up, in memory and in the
//! database by the same rules, so it makes no difference when something is written.

use std::net::IpAddr;

use super::days::Days;

/// The family of a client that could not be guessed.
pub const UNKNOWN: &str = "unknown";

/// What was learnt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delta {
    /// Sessions that began.
    pub sessions: Option<Sessions>,
    /// Logins that were refused because of the mode.
    pub refused: Option<Refused>,
    /// Where the last of either came from.
    pub address: Option<IpAddr>,
    /// Messages that were retrieved: of the mailbox, as all counts of messages.
    pub messages: u32,
    /// Octets that were sent for them.
    pub octets: u64,
    /// Messages that were deleted over POP3.
    pub deleted: u32,
    /// Does the client leave mail on the server? `None`: nothing was learnt.
    pub keeps_mail: Option<bool>,
    /// Which client it may be.
    pub family: Option<&'static str>,
    /// What is in the mailbox.
    pub mailbox: Option<(i64, Mailbox)>,
    /// What the upstream says of the quota.
    pub quota: Option<Quota>,
}

/// What is in a mailbox; in [`Delta`] with the time of the listing, in Unix seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// Messages that POP3 shows.
    pub messages: u32,
    /// Messages that are hidden from POP3.
    pub hidden_messages: u32,
    /// Octets of the former.
    pub octets: u64,
    /// Octets of the latter.
    pub hidden_octets: u64,
}

/// Sessions of one user, of which the last one's facts are kept. Times are in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sessions {
    /// How many.
    pub count: u32,
    /// When the first began.
    pub first: i64,
    /// When the last began.
    pub last: i64,
    /// On which days.
    pub days: Days,
    /// The TLS version, if there was TLS.
    pub tls: Option<&'static str>,
    /// How the client gave its password.
    pub method: &'static str,
}

/// Refused logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub count: u32,
    /// When the last was, in Unix seconds.
    pub last: i64,
}

/// What the upstream said of the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How full the mailbox is; `None`: it sets no limit, or does not tell.
    pub room: Option<Room>,
    /// When the upstream said so, in Unix seconds.
    pub at: i64,
}

/// How full a mailbox is, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In use.
    pub used: u64,
    /// Allowed.
    pub limit: u64,
}

/// A session has begun.
#[derive(Debug, Clone, Copy)]
pub struct Login {
    /// When, in Unix seconds.
    pub at: i64,
    /// From where.
    pub address: IpAddr,
    /// The TLS version, if there is TLS.
    pub tls: Option<&'static str>,
    /// How the client gave its password, as a label.
    pub method: &'static str,
    /// What is in the mailbox, unless nobody looked.
    pub mailbox: Option<Mailbox>,
    /// The session before, as far as the state knows.
    pub previous: Option<i64>,
}

/// A session has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// When, in Unix seconds.
    pub at: i64,
    /// Messages that were retrieved whole.
    pub messages: u64,
    /// Octets that were sent for them.
    pub octets: u64,
    /// Messages that were deleted, and therefore hidden.
    pub deleted: usize,
    /// Which client it may be, or [`UNKNOWN`].
    pub family: &'static str,
    /// What is in the mailbox now, if QUIT has changed it.
    pub mailbox: Option<Mailbox>,
    /// Did the state know of a family before? A first guess is written at once.
    pub family_known: bool,
}

impl Delta {
    /// What a login tells.
    pub fn login(login: &Login) -> Self {
        let sessions = Sessions {
            count: 1,
            first: login.at,
            last: login.at,
            days: Days::of(login.at),
            tls: login.tls,
            method: login.method,
        };
        let mailbox = login.mailbox.map(|mailbox| (login.at, mailbox));
        Self { sessions: Some(sessions), address: Some(login.address), mailbox, ..Self::default() }
    }

    /// What the end of a session tells.
    pub fn ended(ended: &Ended) -> Self {
        let keeps_mail = match (ended.messages, ended.deleted) {
            (0, 0) => None,
            (_, deleted) => Some(deleted == 0),
        };
        Self {
            messages: u32::try_from(ended.messages).unwrap_or(u32::MAX),
            octets: ended.octets,
            deleted: count(ended.deleted),
            keeps_mail,
            family: Some(ended.family),
            mailbox: ended.mailbox.map(|mailbox| (ended.at, mailbox)),
            ..Self::default()
        }
    }

    /// What a refused login tells.
    pub fn refused(at: i64, address: IpAddr) -> Self {
        Self { refused: Some(Refused { count: 1, last: at }), address: Some(address), ..Self::default() }
    }

    /// What the upstream tells of the quota.
    pub fn quota(quota: Quota) -> Self {
        Self { quota: Some(quota), ..Self::default() }
    }

    /// Both; `other` was learnt later.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        // Where two proxies, or the database, bring them together, the later one may know less.
        let address =
            if other.touched() >= self.touched() { other.address.or(self.address) } else { self.address };
        Self {
            sessions: both(self.sessions, other.sessions, Sessions::and),
            refused: both(self.refused, other.refused, Refused::and),
            address,
            messages: self.messages.saturating_add(other.messages),
            octets: self.octets.saturating_add(other.octets),
            deleted: self.deleted.saturating_add(other.deleted),
            keeps_mail: other.keeps_mail.or(self.keeps_mail),
            family: other.family.filter(|family| *family != UNKNOWN).or(self.family).or(other.family),
            mailbox: both(self.mailbox, other.mailbox, |one, two| if two.0 >= one.0 { two } else { one }),
            quota: both(self.quota, other.quota, |one, two| if two.at >= one.at { two } else { one }),
        }
    }

    /// When the client was last heard of.
    fn touched(&self) -> Option<i64> {
        let seen = self.sessions.map(|sessions| sessions.last);
        seen.max(self.refused.map(|refused| refused.last))
    }

    /// Mean seconds between the sessions in here.
    pub fn poll_interval(&self) -> Option<i64> {
        let Sessions { count, first, last, .. } = self.sessions?;
        (count > 1).then(|| (last - first) / i64::from(count - 1))
    }
}

impl Sessions {
    fn and(self, other: Self) -> Self {
        let latest = if other.last >= self.last { other } else { self };
        Self {
            count: self.count.saturating_add(other.count),
            first: self.first.min(other.first),
            days: self.days.union(other.days),
            ..latest
        }
    }
}

impl Refused {
    fn and(self, other: Self) -> Self {
        Self { count: self.count.saturating_add(other.count), last: self.last.max(other.last) }
    }
}

fn both<T>(one: Option<T>, other: Option<T>, and: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(and(one, other)),
        (one, other) => one.or(other),
    }
}

/// A mailbox has fewer messages than UIDs, and those have 32 bits.
fn count(messages: usize) -> u32 {
    u32::try_from(messages).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn at(at: i64, from: u8) -> Delta {
        Delta::login(&Login {
            at,
            address: address(from),
            tls: from.is_multiple_of(2).then_some("TLSv1.3"),
            method: "plain",
            mailbox: (from > 3).then_some(Mailbox { messages: u32::from(from), ..Mailbox::default() }),
            previous: None,
        })
    }

    fn end(messages: u64, deleted: usize, family: &'static str) -> Delta {
        Delta::ended(&Ended {
            at: 0,
            messages,
            octets: messages * 7,
            deleted,
            family,
            mailbox: None,
            family_known: true,
        })
    }

    #[test]
    fn what_a_session_tells_of_its_client() {
        for (messages, deleted, keeps_mail) in
            [(0, 0, None), (3, 0, Some(true)), (3, 1, Some(false)), (0, 1, Some(false))]
        {
            assert_eq!(end(messages, deleted, UNKNOWN).keeps_mail, keeps_mail);
        }
        // A poll without new mail takes back nothing.
        assert_eq!(end(3, 0, "mutt").and(end(0, 0, UNKNOWN)).keeps_mail, Some(true));
        for (before, then, family) in
            [("mutt", UNKNOWN, "mutt"), (UNKNOWN, "mutt", "mutt"), ("mutt", "fetchmail", "fetchmail")]
        {
            assert_eq!(end(0, 0, before).and(end(0, 0, then)).family, Some(family));
        }
    }

    #[test]
    fn the_latest_session_wins_whoever_tells_of_it_last() {
        let (early, late) = (at(1_000, 5), at(2_000, 4));
        for sum in [early.and(late), late.and(early)] {
            let sessions = sum.sessions.expect("sessions");
            assert_eq!((sessions.count, sessions.first, sessions.last), (2, 1_000, 2_000));
            assert_eq!(
                (sum.mailbox.map(|(_, mailbox)| mailbox.messages), sessions.tls),
                (Some(4), Some("TLSv1.3"))
            );
            assert_eq!(sum.address, Some(address(4)));
        }
        // Nobody looked into the mailbox: what was there before is still the best that is known.
        let unseen = at(3_000, 2);
        assert_eq!(late.and(unseen).mailbox, late.mailbox);
        let knocking = at(1_000, 1).and(Delta::refused(1_500, address(9)));
        assert_eq!(knocking.address, Some(address(9)));
        assert_eq!(Delta::refused(500, address(9)).and(at(1_000, 1)).address, Some(address(1)));
        let quota = |at| Quota { room: Some(Room { used: 1, limit: 2 }), at };
        let sum = Delta::quota(quota(9)).and(Delta::quota(quota(8)));
        assert_eq!(sum.quota, Some(quota(9)));
    }

    #[test]
    fn an_interval_needs_two_sessions() {
        assert_eq!(at(1_000, 1).poll_interval(), None);
        let three = [0, 290, 600].map(|second| at(second, 1)).into_iter().fold(Delta::default(), Delta::and);
        assert_eq!(three.poll_interval(), Some(300));
    }

    fn event() -> impl Strategy<Value = Delta> {
        let family = proptest::sample::select(&[UNKNOWN, "mutt", "fetchmail"][..]);
        prop_oneof![
            (0..5_000_000i64, 0..9u8).prop_map(|(when, from)| at(when, from)),
            (0..5u64, 0..3usize, family)
                .prop_map(|(messages, deleted, family)| end(messages, deleted, family)),
            (0..5_000_000i64, 0..9u8).prop_map(|(when, from)| Delta::refused(when, address(from))),
            (0..9u64, 0..9i64).prop_map(|(used, at)| Delta::quota(Quota {
                room: (used > 0).then_some(Room { used, limit: 9 }),
                at
            })),
        ]
    }

    proptest! {
        /// Written after each event, or all at once, or anything in between: the row is the same.
        #[test]
        fn it_makes_no_difference_when_something_is_written(
            events in proptest::collection::vec(event(), 0..20),
            cuts in proptest::collection::vec(0..20usize, 0..5),
        ) {
            let sum = |events: &[Delta]| events.iter().copied().fold(Delta::default(), Delta::and);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(events.len())).collect();
            cuts.extend([0, events.len()]);
            cuts.sort_unstable();
            let written = cuts.windows(2).map(|cut| sum(&events[cut[0]..cut[1]]));
            let row = written.fold(Delta::default(), Delta::and);
            prop_assert_eq!(row, sum(&events));
        }
    }
}
