//! One response of a server to a value (RFC 3501 §7, §9; RFC 5530 for response codes).
//!
//! What is not understood is [`Response::Other`] and no error: servers send more than they were asked for.
//! Only what a session relies on must be well formed: tagged status responses and FETCH.

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_till, take_while1};
use nom::character::complete::{char, space0, space1};
use nom::combinator::{map, opt, rest, value};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use super::capability::Capabilities;
use super::fetch::{self, Fetch, Flags};
use super::quota::{self, Quota};

/// A response, borrowing from the buffer that it was read into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response<'a> {
    /// The end of the command with this tag.
    Tagged(&'a [u8], Status<'a>),
    /// `+`: the server waits for more of the command.
    Continue,
    /// `* OK`, `* NO`, `* BAD`, `* BYE`, `* PREAUTH`
    Status(Status<'a>),
    /// `* CAPABILITY`
    Capability(Capabilities),
    /// `* n EXISTS`
    Exists(u32),
    /// `* n EXPUNGE`
    Expunge,
    /// `* VANISHED` (RFC 7162 §3.2.10)
    Vanished(Vanished<'a>),
    /// `* n FETCH`
    Fetch(Fetch<'a>),
    /// `* SEARCH`: numbers, raw
    Search(&'a [u8]),
    /// `* ID`: the server's own name and version, raw
    Id(&'a [u8]),
    /// `* QUOTA` with a limit of octets
    Quota(Quota),
    /// Anything else
    Other,
}

/// A status response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status<'a> {
    /// The condition.
    pub kind: Kind,
    /// The response code in brackets.
    pub code: Option<Code<'a>>,
    /// What a person may read; for logs only, and escaped there.
    pub text: &'a [u8],
}

impl Status<'_> {
    /// The reason in its response code, if it gave a known one.
    pub const fn reason(&self) -> Option<Reason> {
        match self.code {
            Some(Code::Reason(reason)) => Some(reason),
            _ => None,
        }
    }
}

/// The condition of a status response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `OK`
    Ok,
    /// `NO`
    No,
    /// `BAD`
    Bad,
    /// `BYE`
    Bye,
    /// `PREAUTH`
    Preauth,
}

/// Response codes that change what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code<'a> {
    /// `CAPABILITY ...`
    Capability(Capabilities),
    /// `PERMANENTFLAGS (...)`
    PermanentFlags(Flags<'a>),
    /// `UIDVALIDITY n`
    UidValidity(u32),
    /// `UIDNEXT n`
    UidNext(u32),
    /// `HIGHESTMODSEQ n` (RFC 7162 §3.1.2.1)
    HighestModSeq(u64),
    /// `READ-ONLY`
    ReadOnly,
    /// A reason (RFC 5530 and what servers made of it).
    Reason(Reason),
    /// Anything else.
    Other,
}

/// UIDs that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vanished<'a> {
    /// Since what the client knew at SELECT, and not just now.
    pub earlier: bool,
    /// Which, as a sequence set.
    pub uids: &'a [u8],
}

/// Why a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `AUTHENTICATIONFAILED`, `AUTHORIZATIONFAILED`, `EXPIRED`: these credentials will not do.
    Credentials,
    /// `UNAVAILABLE`, `SERVERBUG`, `THROTTLED` and the like: it may work later.
    Temporary,
    /// `INUSE`, `LIMIT`: too many at once.
    InUse,
    /// `PRIVACYREQUIRED`: no password without TLS.
    PrivacyRequired,
    /// `CONTACTADMIN`: a person must do something.
    ContactAdmin,
    /// `NONEXISTENT`: no such mailbox.
    NonExistent,
    /// `EXPUNGEISSUED`: some of the messages are gone.
    ExpungeIssued,
}

const REASONS: [(&str, Reason); 14] = [
    ("AUTHENTICATIONFAILED", Reason::Credentials),
    ("AUTHORIZATIONFAILED", Reason::Credentials),
    ("EXPIRED", Reason::Credentials),
    ("UNAVAILABLE", Reason::Temporary),
    ("SERVERBUG", Reason::Temporary),
    ("THROTTLED", Reason::Temporary),
    ("CORRUPTION", Reason::Temporary),
    ("OVERQUOTA", Reason::Temporary),
    ("INUSE", Reason::InUse),
    ("LIMIT", Reason::InUse),
    ("PRIVACYREQUIRED", Reason::PrivacyRequired),
    ("CONTACTADMIN", Reason::ContactAdmin),
    ("NONEXISTENT", Reason::NonExistent),
    ("EXPUNGEISSUED", Reason::ExpungeIssued),
];

/// A response that must be understood was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Parses a whole response: its text without the last line end, with its literals in place.
pub fn parse(response: &[u8]) -> Result<Response<'_>, Malformed> {
    if response.first() == Some(&b'+') {
        return Ok(Response::Continue);
    }
    if let Some(untagged) = response.strip_prefix(b"* ") {
        return parse_untagged(untagged);
    }
    let (_, (tag, status)) = (terminated(take_while1(|octet| octet != b' '), char(' ')), status)
        .parse(response)
        .map_err(|_| Malformed)?;
    match status.kind {
        Kind::Ok | Kind::No | Kind::Bad => Ok(Response::Tagged(tag, status)),
        Kind::Bye | Kind::Preauth => Err(Malformed),
    }
}

/// May this line announce a literal? Only data responses can; the others end in free text.
pub fn may_announce_literal(line: &[u8]) -> bool {
    line.strip_prefix(b"* ").is_some_and(|untagged| kind(untagged).is_err())
}

fn parse_untagged(untagged: &[u8]) -> Result<Response<'_>, Malformed> {
    if let Ok((_, status)) = status(untagged) {
        return Ok(Response::Status(status));
    }
    if let Ok((rest, number)) = terminated(fetch::number, space1).parse(untagged) {
        let (items, word) = take_word(rest);
        return match word.to_ascii_uppercase().as_slice() {
            b"FETCH" => fetch::parse(items.trim_ascii_start()).map(Response::Fetch).ok_or(Malformed),
            b"EXISTS" => u32::try_from(number).map(Response::Exists).map_err(|_| Malformed),
            b"EXPUNGE" => Ok(Response::Expunge),
            _ => Ok(Response::Other),
        };
    }
    let (rest, word) = take_word(untagged);
    Ok(match word.to_ascii_uppercase().as_slice() {
        b"CAPABILITY" => Response::Capability(Capabilities::parse(rest)),
        b"ID" => Response::Id(rest.trim_ascii_start()),
        b"VANISHED" => {
            let rest = rest.trim_ascii();
            let earlier = rest.get(..EARLIER.len()).is_some_and(|word| word.eq_ignore_ascii_case(EARLIER));
            let uids = if earlier { rest[EARLIER.len()..].trim_ascii_start() } else { rest };
            Response::Vanished(Vanished { earlier, uids })
        }
        b"SEARCH" => Response::Search(rest.trim_ascii()),
        b"QUOTA" => quota::parse(rest).map_or(Response::Other, Response::Quota),
        _ => Response::Other,
    })
}

const EARLIER: &[u8] = b"(EARLIER)";

fn take_word(input: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', input).unwrap_or(input.len());
    (&input[end..], &input[..end])
}

/// ```abnf
/// resp-cond-state = ("OK" / "NO" / "BAD" / "BYE" / "PREAUTH") [SP ["[" resp-text-code "]" [SP]] text]
/// ```
fn status(input: &[u8]) -> IResult<&[u8], Status<'_>> {
    map(
        (kind, preceded(space0, (opt(delimited(char('['), code, char(']'))), preceded(space0, rest)))),
        |(kind, (code, text))| Status { kind, code, text },
    )
    .parse(input)
}

fn kind(input: &[u8]) -> IResult<&[u8], Kind> {
    let word = alt((
        value(Kind::Ok, tag_no_case("OK")),
        value(Kind::No, tag_no_case("NO")),
        value(Kind::Bad, tag_no_case("BAD")),
        value(Kind::Bye, tag_no_case("BYE")),
        value(Kind::Preauth, tag_no_case("PREAUTH")),
    ));
    let end = nom::combinator::peek(alt((tag(" "), nom::combinator::eof)));
    terminated(word, end).parse(input)
}

/// A response code without its brackets. A `]` may stand inside the parentheses of PERMANENTFLAGS, where
/// Gmail has keywords with it.
fn code(input: &[u8]) -> IResult<&[u8], Code<'_>> {
    let argument = |name: &'static str| preceded((tag_no_case(name), space1), fetch::number_u32);
    alt((
        map(preceded((tag_no_case("PERMANENTFLAGS"), space0), fetch::flags), Code::PermanentFlags),
        map(argument("UIDVALIDITY"), Code::UidValidity),
        map(argument("UIDNEXT"), Code::UidNext),
        map(preceded((tag_no_case("HIGHESTMODSEQ"), space1), fetch::number), Code::HighestModSeq),
        map(preceded((tag_no_case("CAPABILITY"), space1), take_till(|octet| octet == b']')), |words| {
            Code::Capability(Capabilities::parse(words))
        }),
        map(take_till(|octet| octet == b']'), |text: &[u8]| {
            let (_, word) = take_word(text);
            let reason = REASONS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
            match reason {
                Some((_, reason)) => Code::Reason(*reason),
                None if word.eq_ignore_ascii_case(b"READ-ONLY") => Code::ReadOnly,
                None => Code::Other,
            }
        }),
    ))
    .parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(line: &[u8]) -> Option<Code<'_>> {
        match parse(line) {
            Ok(Response::Status(status) | Response::Tagged(_, status)) => status.code,
            other => panic!("{} is {other:?}", line.escape_ascii()),
        }
    }

    #[test]
    fn status_responses() {
        let status = |kind, code, text| Status { kind, code, text };
        let table: &[(&[u8], Response<'_>)] = &[
            (b"a1 OK done", Response::Tagged(b"a1", status(Kind::Ok, None, b"done"))),
            (b"a1 ok", Response::Tagged(b"a1", status(Kind::Ok, None, b""))),
            (b"* BYE  bye", Response::Status(status(Kind::Bye, None, b"bye"))),
            (b"* PREAUTH x", Response::Status(status(Kind::Preauth, None, b"x"))),
            (
                b"a1 NO [AUTHENTICATIONFAILED] no",
                Response::Tagged(b"a1", status(Kind::No, Some(Code::Reason(Reason::Credentials)), b"no")),
            ),
            (b"* OK [ALERT]", Response::Status(status(Kind::Ok, Some(Code::Other), b""))),
            (b"* OK [broken", Response::Status(status(Kind::Ok, None, b"[broken"))),
        ];
        for (line, expected) in table {
            assert_eq!(parse(line).as_ref(), Ok(expected), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn response_codes() {
        assert_eq!(code_of(b"* OK [UIDVALIDITY 3857529045] ok"), Some(Code::UidValidity(3_857_529_045)));
        assert_eq!(code_of(b"* OK [UIDVALIDITY x] ok"), Some(Code::Other));
        assert_eq!(code_of(b"* OK [UIDNEXT 7] ok"), Some(Code::UidNext(7)));
        assert_eq!(code_of(b"* OK [highestmodseq 8589934592]"), Some(Code::HighestModSeq(8_589_934_592)));
        assert_eq!(code_of(b"* OK [NOMODSEQ] none"), Some(Code::Other));
        assert_eq!(code_of(b"a OK [read-only] ok"), Some(Code::ReadOnly));
        assert_eq!(code_of(b"a NO [LIMIT] no"), Some(Code::Reason(Reason::InUse)));
        assert_eq!(code_of(b"a NO [THROTTLED 5] no"), Some(Code::Reason(Reason::Temporary)));
        assert!(
            matches!(code_of(b"* OK [CAPABILITY IMAP4rev1 SASL-IR] hi"), Some(Code::Capability(all)) if all.is_imap4())
        );
        let Some(Code::PermanentFlags(flags)) =
            code_of(b"* OK [PERMANENTFLAGS (\\Seen OIB-[Gmail]/All Mail \\*)] x")
        else {
            panic!("a list of flags")
        };
        assert!(flags.contains("\\*") && flags.contains("\\seen") && !flags.contains("\\Deleted"));
    }

    #[test]
    fn data_responses() {
        let table: &[(&[u8], Response<'_>)] = &[
            (b"+ go on", Response::Continue),
            (b"+", Response::Continue),
            (b"* 23 EXISTS", Response::Exists(23)),
            (b"* 23 exists", Response::Exists(23)),
            (b"* 23 RECENT", Response::Other),
            (b"* 3 EXPUNGE", Response::Expunge),
            (b"* FLAGS (\\Seen)", Response::Other),
            (b"* OKAY", Response::Other),
            (b"* NONSENSE {", Response::Other),
            (b"* ID NIL", Response::Id(b"NIL")),
            (b"* VANISHED 7,9:11", Response::Vanished(Vanished { earlier: false, uids: b"7,9:11" })),
            (b"* vanished (earlier) 7 ", Response::Vanished(Vanished { earlier: true, uids: b"7" })),
            (b"* VANISHED", Response::Vanished(Vanished { earlier: false, uids: b"" })),
            (b"* SEARCH", Response::Search(b"")),
            (b"* search 3 7 ", Response::Search(b"3 7")),
            (b"* QUOTA \"\" (STORAGE 1 2)", Response::Quota(Quota { used: 1024, limit: 2048 })),
            (b"* QUOTA \"\" (MESSAGE 1 2)", Response::Other),
            (b"* QUOTAROOT INBOX \"\"", Response::Other),
            (b"* ", Response::Other),
        ];
        for (line, expected) in table {
            assert_eq!(parse(line).as_ref(), Ok(expected), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn what_must_be_understood_and_is_not() {
        for line in [
            &b""[..],
            b"a1",
            b"a1 MAYBE",
            b"a1 BYE",
            b"* 1 FETCH UID 5",
            b"* 1 FETCH (UID",
            b"HTTP/1.1 400 Bad",
        ] {
            assert_eq!(parse(line), Err(Malformed), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn only_data_may_announce_a_literal() {
        assert!(may_announce_literal(b"* 1 FETCH (BODY[] {5}"));
        assert!(may_announce_literal(b"* LIST () \"/\" {5}"));
        for line in [&b"* OK see {5}"[..], b"a1 OK {5}", b"+ {5}", b"* BYE {5}"] {
            assert!(!may_announce_literal(line), "{}", line.escape_ascii());
        }
    }
}
