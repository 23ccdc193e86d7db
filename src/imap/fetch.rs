//! FETCH responses (RFC 3501 §7.4.2): items in any order and case, unknown ones skipped.

use std::borrow::Cow;

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take, take_till, take_while, take_while1};
use nom::character::complete::{char, space0};
use nom::combinator::{map, map_opt, opt, recognize, value, verify};
use nom::multi::fold_many0;
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use super::{date, frame};

/// How deep parentheses may be nested in an item that is skipped. BODYSTRUCTURE is the deepest there is,
/// is never asked for, and real ones stay below this.
const MAX_DEPTH: usize = 32;

/// The items of one FETCH response that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetch<'a> {
    /// `UID`
    pub uid: Option<u32>,
    /// `RFC822.SIZE`, in octets
    pub size: Option<u64>,
    /// `FLAGS`
    pub flags: Option<Flags<'a>>,
    /// `INTERNALDATE`, in Unix seconds
    pub date: Option<i64>,
    /// The octets of a `BODY[...]` that came as a quoted string; `None` inside is NIL.
    pub body: Option<Option<Cow<'a, [u8]>>>,
}

/// A list of flags as the server wrote it. Real servers have flags with spaces and brackets in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags<'a>(&'a [u8]);

impl Flags<'_> {
    /// Is this flag among them? Flags are compared without case (RFC 3501 §9, note 1).
    pub fn contains(&self, flag: &str) -> bool {
        self.0.split(|octet| *octet == b' ').any(|word| word.eq_ignore_ascii_case(flag.as_bytes()))
    }
}

/// The beginning of a FETCH response whose body follows as a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyFollows {
    /// The UID, if it was named before the body.
    pub uid: Option<u32>,
}

/// Parses `(` items `)`.
pub fn parse(input: &[u8]) -> Option<Fetch<'_>> {
    let (rest, fetch) = delimited(char('('), items, char(')')).parse(input).ok()?;
    rest.trim_ascii().is_empty().then_some(fetch)
}

/// Parses what stands behind a streamed body: further items and `)`.
pub fn parse_tail(input: &[u8]) -> Option<Fetch<'_>> {
    let (rest, fetch) = terminated(items, char(')')).parse(input).ok()?;
    rest.trim_ascii().is_empty().then_some(fetch)
}

/// Is this line, which announces a literal, a FETCH response whose literal is a message's body?
pub fn body_follows(line: &[u8]) -> Option<BodyFollows> {
    let start = (
        tag::<_, _, nom::error::Error<&[u8]>>("* "),
        number,
        char(' '),
        tag_no_case("FETCH"),
        space0,
        char('('),
    );
    let (_, (fetch, _)) =
        preceded(start, (items, terminated(body_name, (space0, nom::combinator::eof)))).parse(line).ok()?;
    Some(BodyFollows { uid: fetch.uid })
}

/// A number of at most 19 digits.
pub fn number(input: &[u8]) -> IResult<&[u8], u64> {
    let digits = take_while1(|octet: u8| octet.is_ascii_digit());
    map_opt(digits, |digits: &[u8]| {
        let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        digits.iter().try_fold(0, add)
    })
    .parse(input)
}

/// A number that fits 32 bits.
pub fn number_u32(input: &[u8]) -> IResult<&[u8], u32> {
    map_opt(number, |number| u32::try_from(number).ok()).parse(input)
}

/// `(` flags `)`
pub fn flags(input: &[u8]) -> IResult<&[u8], Flags<'_>> {
    map(delimited(char('('), take_till(|octet| octet == b')'), char(')')), Flags).parse(input)
}

enum Item<'a> {
    Uid(u32),
    Size(u64),
    Flags(Flags<'a>),
    Date(i64),
    Body(Option<Cow<'a, [u8]>>),
    Skipped,
}

fn items(input: &[u8]) -> IResult<&[u8], Fetch<'_>> {
    let item = preceded(space0, item);
    let items = fold_many0(item, Fetch::default, |mut fetch, item| {
        match item {
            Item::Uid(uid) => fetch.uid = Some(uid),
            Item::Size(size) => fetch.size = Some(size),
            Item::Flags(flags) => fetch.flags = Some(flags),
            Item::Date(date) => fetch.date = Some(date),
            Item::Body(body) => fetch.body = Some(body),
            Item::Skipped => {}
        }
        fetch
    });
    terminated(items, space0).parse(input)
}

fn item(input: &[u8]) -> IResult<&[u8], Item<'_>> {
    // A UID of zero does not exist (RFC 3501 §2.3.1.1).
    let uid = verify(number_u32, |uid| *uid > 0);
    alt((
        map(preceded(tag_no_case("UID "), uid), Item::Uid),
        map(preceded(tag_no_case("RFC822.SIZE "), number), Item::Size),
        map(preceded((tag_no_case("FLAGS"), space0), flags), Item::Flags),
        // One that is no date is skipped.
        map(preceded((tag_no_case("INTERNALDATE"), space0), date::date_time), Item::Date),
        map(preceded((body_name, space0), nstring), Item::Body),
        map((skipped_name, space0, skipped), |_| Item::Skipped),
    ))
    .parse(input)
}

/// `BODY[section]<origin>`, `BINARY[section]`, or the older `RFC822`, `RFC822.HEADER`, `RFC822.TEXT`.
fn body_name(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let section =
        (alt((tag_no_case("BODY["), tag_no_case("BINARY["))), take_till(|octet| octet == b']'), char(']'));
    let origin = opt((char('<'), number, char('>')));
    let old = (tag_no_case("RFC822"), opt(alt((tag_no_case(".HEADER"), tag_no_case(".TEXT")))));
    let end = nom::combinator::peek(alt((tag(" "), nom::combinator::eof)));
    alt((recognize((section, origin)), recognize(terminated(old, end)))).parse(input)
}

/// The name of an item that is skipped. UID, size and flags are not: one of them that does not parse makes
/// the response malformed, where skipping it would make a message look incomplete.
fn skipped_name(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let name = take_while1(|octet: u8| octet.is_ascii_graphic() && octet != b'(' && octet != b')');
    verify(name, |name: &[u8]| {
        ["UID", "RFC822.SIZE", "FLAGS"].iter().all(|known| !name.eq_ignore_ascii_case(known.as_bytes()))
    })
    .parse(input)
}

/// `nstring`, with literal8 allowed anywhere (servers send it for messages that hold NUL).
fn nstring(input: &[u8]) -> IResult<&[u8], Option<Cow<'_, [u8]>>> {
    alt((
        value(None, tag_no_case("NIL")),
        map(literal, |octets| Some(Cow::Borrowed(octets))),
        map(quoted, Some),
    ))
    .parse(input)
}

pub(super) fn quoted(input: &[u8]) -> IResult<&[u8], Cow<'_, [u8]>> {
    let escaped = alt((
        recognize((char('\\'), take(1_usize))),
        take_while1(|octet: u8| octet != b'"' && octet != b'\\'),
    ));
    let inside = recognize(fold_many0(escaped, || (), |(), _: &[u8]| ()));
    map(delimited(char('"'), inside, char('"')), |raw: &[u8]| {
        if !raw.contains(&b'\\') {
            return Cow::Borrowed(raw);
        }
        let mut octets = raw.iter();
        let mut plain = Vec::with_capacity(raw.len());
        while let Some(octet) = octets.next() {
            plain.extend(if *octet == b'\\' { octets.next() } else { Some(octet) });
        }
        Cow::Owned(plain)
    })
    .parse(input)
}

pub(super) fn literal(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let size = map_opt(number, |size| (size <= frame::MAX_LITERAL).then_some(size));
    let announced = delimited(
        (opt(char('~')), char('{')),
        terminated(size, opt(char('+'))),
        (char('}'), opt(char('\r')), char('\n')),
    );
    nom::multi::length_data(announced).parse(input)
}

/// Any value: a string, an atom, or parentheses with values in them, without recursion.
fn skipped(input: &[u8]) -> IResult<&[u8], ()> {
    let mut rest = input;
    let mut depth = 0_usize;
    loop {
        let (after, token) = alt((
            value(1_i8, tag("(")),
            value(-1, tag(")")),
            value(0, literal),
            value(0, quoted),
            value(0, take_while1(|octet: u8| octet.is_ascii_graphic() && !b"()\"".contains(&octet))),
        ))
        .parse(rest)?;
        depth = match token {
            1 => depth + 1,
            -1 if depth > 0 => depth - 1,
            0 => depth,
            _ => {
                return Err(nom::Err::Error(nom::error::make_error(rest, nom::error::ErrorKind::Verify)));
            }
        };
        if depth > MAX_DEPTH {
            return Err(nom::Err::Failure(nom::error::make_error(rest, nom::error::ErrorKind::TooLarge)));
        }
        if depth == 0 {
            return Ok((after, ()));
        }
        (rest, _) = take_while(|octet| octet == b' ').parse(after)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flagged(fetch: &Fetch<'_>, flag: &str) -> bool {
        fetch.flags.is_some_and(|flags| flags.contains(flag))
    }

    #[test]
    fn items_in_any_order() {
        for line in [
            &b"(UID 7 RFC822.SIZE 300 FLAGS (\\Seen $POP3Deleted))"[..],
            b"(flags (\\Seen $pop3deleted) rfc822.size 300 uid 7)",
            b"(MODSEQ (12) UID 7 X-GM-LABELS (\"a)\" b (c d)) RFC822.SIZE 300 INTERNALDATE \"1-Jan\" FLAGS (\\Seen $POP3Deleted) )",
            b"(ENVELOPE (NIL {3}\r\n)(\" x) UID 7 RFC822.SIZE 300 FLAGS(\\Seen $POP3Deleted))",
        ] {
            let fetch = parse(line).unwrap_or_else(|| panic!("{}", line.escape_ascii()));
            assert_eq!((fetch.uid, fetch.size), (Some(7), Some(300)), "{}", line.escape_ascii());
            assert!(flagged(&fetch, "\\Seen") && flagged(&fetch, "$POP3Deleted") && !flagged(&fetch, "Seen"));
        }
    }

    #[test]
    fn flags_as_gmail_has_them() {
        let fetch = parse(b"(UID 7 FLAGS (OIB-Seen-[Gmail]/All Mail \\Seen))").expect("a FETCH");
        assert!(flagged(&fetch, "\\Seen"));
        assert!(parse(b"(UID 7 FLAGS ())").is_some_and(|fetch| !flagged(&fetch, "\\Seen")));
    }

    #[test]
    fn a_date_that_is_none_is_skipped() {
        let date = |line: &'static [u8]| parse(line).map(|fetch| (fetch.uid, fetch.date));
        assert_eq!(date(b"(INTERNALDATE \" 1-Jan-1970 01:00:07 +0100\" UID 7)"), Some((Some(7), Some(7))));
        assert_eq!(date(b"(internaldate NIL UID 7)"), Some((Some(7), None)));
        assert_eq!(date(b"(UID 7 INTERNALDATE \"yesterday\")"), Some((Some(7), None)));
        assert_eq!(date(b"(UID 7 INTERNALDATE \"yesterday)"), None);
    }

    #[test]
    fn bodies_that_are_no_literal() {
        let body = |line: &'static [u8]| parse(line).and_then(|fetch| fetch.body);
        assert_eq!(body(b"(UID 7 BODY[] NIL)"), Some(None));
        assert_eq!(body(b"(UID 7 BODY[] \"\")"), Some(Some(Cow::Borrowed(&b""[..]))));
        assert_eq!(body(b"(BODY[]<0> \"a\\\"b\\\\c\" UID 7)"), Some(Some(Cow::Borrowed(&b"a\"b\\c"[..]))));
        assert_eq!(body(b"(RFC822 \"x\" UID 7)"), Some(Some(Cow::Borrowed(&b"x"[..]))));
        assert_eq!(body(b"(UID 7)"), None);
    }

    #[test]
    fn what_is_malformed() {
        let deep = [&b"(X "[..], &b"(".repeat(40), &b")".repeat(40), b")"].concat();
        for line in [
            &b""[..],
            b"(",
            b"(UID 0)",
            b"(UID x)",
            b"(UID -1)",
            b"(UID 4294967296)",
            b"(RFC822.SIZE -1)",
            b"(RFC822.SIZE 99999999999999999999)",
            b"(UID 7) x",
            b"(FLAGS \\Seen)",
            b"(BODY[] \"x)",
            b"(X (y)",
            &deep,
        ] {
            assert_eq!(parse(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn the_line_before_a_streamed_body() {
        let uid = |line: &[u8]| body_follows(line).map(|follows| follows.uid);
        assert_eq!(uid(b"* 1 FETCH (UID 7 BODY[] "), Some(Some(7)));
        assert_eq!(uid(b"* 1 fetch (FLAGS (\\Seen) body[]<0> "), Some(None));
        assert_eq!(uid(b"* 1 FETCH (UID 7 BODY[HEADER]"), Some(Some(7)));
        assert_eq!(uid(b"* 1 FETCH (RFC822 "), Some(None));
        assert_eq!(uid(b"* 1 FETCH (UID 7 ENVELOPE "), None);
        assert_eq!(uid(b"* LIST () "), None);
        assert_eq!(parse_tail(b" UID 7 FLAGS (\\Seen))").and_then(|fetch| fetch.uid), Some(7));
        assert_eq!(parse_tail(b")"), Some(Fetch::default()));
        assert_eq!(parse_tail(b" UID 7"), None);
    }
}
