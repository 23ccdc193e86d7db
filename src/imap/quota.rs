//! How full a mailbox is: QUOTA responses (RFC 9208 §4.2.1; RFC 2087 §5.1).
//!
//! A mailbox may have several roots (its own, its domain's), each with several resources. One answer is wanted
//! from them all: the octets of the root that is full first.

use nom::branch::alt;
use nom::bytes::complete::take_while1;
use nom::character::complete::{char, space0, space1};
use nom::combinator::{map, opt, value};
use nom::multi::fold_many0;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use super::fetch;

/// Octets in one unit of the resource STORAGE (RFC 9208 §5.1).
const UNIT: u64 = 1024;

/// How full a mailbox is, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Octets that are taken.
    pub used: u64,
    /// Octets that may be; never zero.
    pub limit: u64,
}

impl Quota {
    /// Of two limits on one mailbox, the one that mail reaches first: the one with fewer octets left.
    #[must_use]
    pub const fn tighter(self, other: Self) -> Self {
        if other.left() < self.left() { other } else { self }
    }

    const fn left(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Parses what follows `QUOTA`. `None`: it sets no limit to octets, or is not understood, which is the same to
/// whoever asks.
///
/// ```abnf
/// quota-response  = "QUOTA" SP quota-root-name SP quota-list
/// quota-root-name = astring
/// quota-list      = "(" [quota-resource *(SP quota-resource)] ")"
/// quota-resource  = resource-name SP resource-usage SP resource-limit
/// ```
pub fn parse(input: &[u8]) -> Option<Quota> {
    let (rest, quota) = preceded((space0, opt(root), space0), list).parse(input).ok()?;
    rest.trim_ascii().is_empty().then_some(quota).flatten()
}

/// The root's name, which says nothing here.
fn root(input: &[u8]) -> IResult<&[u8], ()> {
    alt((value((), fetch::quoted), value((), fetch::literal), value((), word))).parse(input)
}

fn list(input: &[u8]) -> IResult<&[u8], Option<Quota>> {
    let tightest = |most: Option<Quota>, quota: Option<Quota>| match (most, quota) {
        (Some(most), Some(quota)) => Some(most.tighter(quota)),
        (most, quota) => most.or(quota),
    };
    delimited(char('('), fold_many0(preceded(space0, resource), || None, tightest), (space0, char(')')))
        .parse(input)
}

/// One resource. Only STORAGE is understood; others may count in whatever way they like.
fn resource(input: &[u8]) -> IResult<&[u8], Option<Quota>> {
    map((word, preceded(space1, word), preceded(space1, word)), |(name, used, limit)| {
        let storage = name.eq_ignore_ascii_case(b"STORAGE");
        let (used, limit) = (octets(used)?, octets(limit)?);
        // Servers that know no "unlimited" say 0.
        (storage && limit > 0).then_some(Quota { used, limit })
    })
    .parse(input)
}

/// What the largest numbers mean does not fit; it is as good as without end.
fn octets(units: &[u8]) -> Option<u64> {
    let (rest, units) = fetch::number(units).ok()?;
    rest.is_empty().then(|| units.saturating_mul(UNIT))
}

fn word(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|octet: u8| octet > b' ' && octet != 0x7f && !b"()\"{".contains(&octet)).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_octets_of_what_is_full_first() {
        let quota = |used, limit| Some(Quota { used: used * UNIT, limit: limit * UNIT });
        let table: &[(&[u8], Option<Quota>)] = &[
            (b" \"\" (STORAGE 10 512)", quota(10, 512)),
            (b" \"User quota\" (STORAGE 10 512 MESSAGE 3 1000)", quota(10, 512)),
            (b" \"a \\\"b\\\\ (STORAGE 1 1)\" (MESSAGE 3 9 storage 0 512)", quota(0, 512)),
            (b" user.anna (MESSAGE 3 1000 STORAGE 10 512)", quota(10, 512)),
            (b" {5}\r\na) (\" (STORAGE 10 512)", quota(10, 512)),
            (b" {0}\r\n (STORAGE 10 512)", quota(10, 512)),
            (b"  #user/anna  ( STORAGE  10 512  X-FOO +1% none ) ", quota(10, 512)),
            (b" (STORAGE 10 512)", quota(10, 512)),
            (b" \"\" (STORAGE 600 512)", quota(600, 512)),
            (b" \"\" (STORAGE 10 512 STORAGE 400 410)", quota(400, 410)),
            (
                b" \"\" (STORAGE 18446744073709551615 9223372036854775807)",
                Some(Quota { used: u64::MAX, limit: u64::MAX }),
            ),
            (b" \"\" (STORAGE 10 18446744073709551616)", None),
            (b" \"\" (STORAGE -1 512)", None),
            (b" \"\" (STORAGE 10 0)", None),
            (b" \"\" (MESSAGE 3 1000)", None),
            (b" \"\" (X-STORAGE 3 1000)", None),
            (b" \"\" ()", None),
            (b" \"\" (STORAGE 10)", None),
            (b" \"\" (STORAGE 10 512", None),
            (b" \"\" (STORAGE 10 512) x", None),
            (b" \"\" STORAGE 10 512", None),
            (b" \"\"", None),
            (b"", None),
        ];
        for (line, expected) in table {
            assert_eq!(parse(line), *expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn the_tighter_of_two() {
        let quota = |used, limit| Quota { used, limit };
        // Fuller by share, but with more room.
        let (own, domain) = (quota(900, 1000), quota(99_950, 100_000));
        assert_eq!((own.tighter(domain), domain.tighter(own)), (domain, domain));
        assert_eq!(own.tighter(quota(900, 1000)), own);
        let over = quota(2000, 1000);
        assert_eq!((own.tighter(over), over.tighter(own)), (over, over));
    }
}
