//! One POP3 command line to one [`Command`] (RFC 1939 §9, RFC 2449 §5, RFC 2595 §4, RFC 5034 §4).

use nom::branch::alt;
use nom::bytes::complete::{take_till, take_while, take_while1};
use nom::character::complete::char;
use nom::combinator::{all_consuming, map, opt, rest, success};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use super::maildrop::MsgNum;

/// A command as a client may send it. Arguments that name a user or a password are the line's own
/// octets; a password is everything behind the first space, so it may hold spaces (RFC 1939 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// `USER name`
    User(&'a [u8]),
    /// `PASS string`
    Pass(&'a [u8]),
    /// `AUTH [mechanism [initial-response]]`
    Auth(Option<(&'a [u8], Option<&'a [u8]>)>),
    /// `STLS`
    Stls,
    /// `CAPA`
    Capa,
    /// `QUIT`
    Quit,
    /// `NOOP`
    Noop,
    /// `RSET`
    Rset,
    /// `STAT`
    Stat,
    /// `LIST [msg]`
    List(Option<MsgNum>),
    /// `UIDL [msg]`
    Uidl(Option<MsgNum>),
    /// `RETR msg`
    Retr(MsgNum),
    /// `DELE msg`
    Dele(MsgNum),
    /// `TOP msg n`: the header and `n` lines of the body
    Top(MsgNum, u64),
    /// `UTF8` (RFC 6856 §2): understood, so that a client that tries it is answered politely
    Utf8,
    /// `LANG [tag]` (RFC 6856 §3): likewise
    Lang,
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandError {
    /// A verb that this server does not know, or an empty line.
    Unknown,
    /// A known verb with arguments it does not take, or without one that it needs.
    Syntax,
    /// Something stands where a message number is needed, and it is none: zero, a sign, letters, or a
    /// number beyond any maildrop.
    Number,
    /// NUL or a bare CR. The line is never cut off there, and never passed on.
    Control,
}

/// Parses one line, given without its line end.
///
/// ```abnf
/// command = keyword *(SP argument) *SP
/// keyword = 3*8ALPHA           ; case-insensitive
/// number  = 1*DIGIT            ; leading zeros allowed
/// ```
pub fn parse(line: &[u8]) -> Result<Command<'_>, CommandError> {
    // Neither can stand in any argument, and no IMAP string can carry them (RFC 3501 §9, QUOTED-CHAR).
    if memchr::memchr2(0, b'\r', line).is_some() {
        return Err(CommandError::Control);
    }
    let (arguments, verb) = keyword(line).map_err(|_| CommandError::Unknown)?;
    match verb.to_ascii_uppercase().as_slice() {
        b"USER" => name(arguments).map(Command::User),
        b"PASS" => password(arguments).map(Command::Pass),
        b"AUTH" => auth(arguments).map(Command::Auth),
        b"STLS" => nothing(arguments, Command::Stls),
        b"CAPA" => nothing(arguments, Command::Capa),
        b"QUIT" => nothing(arguments, Command::Quit),
        b"NOOP" => nothing(arguments, Command::Noop),
        b"RSET" => nothing(arguments, Command::Rset),
        b"STAT" => nothing(arguments, Command::Stat),
        b"LIST" => optional_msg(arguments).map(Command::List),
        b"UIDL" => optional_msg(arguments).map(Command::Uidl),
        b"RETR" => msg(arguments).map(Command::Retr),
        b"DELE" => msg(arguments).map(Command::Dele),
        b"TOP" => top(arguments).map(|(msg, lines)| Command::Top(msg, lines)),
        b"UTF8" => nothing(arguments, Command::Utf8),
        b"LANG" => Ok(Command::Lang),
        _ => Err(CommandError::Unknown),
    }
}

/// The verb as a label from a closed set, for metrics.
pub fn label(command: &Command<'_>) -> &'static str {
    match command {
        Command::User(_) => "USER",
        Command::Pass(_) => "PASS",
        Command::Auth(_) => "AUTH",
        Command::Stls => "STLS",
        Command::Capa => "CAPA",
        Command::Quit => "QUIT",
        Command::Noop => "NOOP",
        Command::Rset => "RSET",
        Command::Stat => "STAT",
        Command::List(_) => "LIST",
        Command::Uidl(_) => "UIDL",
        Command::Retr(_) => "RETR",
        Command::Dele(_) => "DELE",
        Command::Top(..) => "TOP",
        Command::Utf8 => "UTF8",
        Command::Lang => "LANG",
    }
}

/// Every label that [`label`] gives.
pub const LABELS: [&str; 16] = [
    "USER", "PASS", "AUTH", "STLS", "CAPA", "QUIT", "NOOP", "RSET", "STAT", "LIST", "UIDL", "RETR", "DELE",
    "TOP", "UTF8", "LANG",
];

fn keyword(line: &[u8]) -> IResult<&[u8], &[u8]> {
    terminated(
        take_while1(|octet: u8| octet.is_ascii_alphanumeric()),
        alt((nom::combinator::peek(char(' ')).map(|_| ()), nom::combinator::eof.map(|_| ()))),
    )
    .parse(line)
}

/// Spaces, and nothing else that looks like one: nom's own take a TAB as well.
fn spaces0(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while(|octet| octet == b' ').parse(input)
}

fn spaces1(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|octet| octet == b' ').parse(input)
}

fn is_blank(arguments: &[u8]) -> bool {
    arguments.iter().all(|octet| *octet == b' ')
}

fn nothing<'a>(arguments: &'a [u8], command: Command<'a>) -> Result<Command<'a>, CommandError> {
    if is_blank(arguments) { Ok(command) } else { Err(CommandError::Syntax) }
}

/// `SP name`, trailing spaces dropped: a name cannot end in one, a hand-typed line can.
fn name(arguments: &[u8]) -> Result<&[u8], CommandError> {
    let end = arguments.iter().rposition(|octet| *octet != b' ').ok_or(CommandError::Syntax)?;
    let (_, name) = preceded(spaces1, rest).parse(&arguments[..=end]).map_err(|_| CommandError::Syntax)?;
    Ok(name)
}

/// `SP string`: everything behind one space. An empty password is the caller's to refuse.
fn password(arguments: &[u8]) -> Result<&[u8], CommandError> {
    let parsed: IResult<&[u8], &[u8]> = alt((preceded(char(' '), rest), success(&b""[..]))).parse(arguments);
    parsed.map(|(_, password)| password).map_err(|_| CommandError::Syntax)
}

type AuthArguments<'a> = Option<(&'a [u8], Option<&'a [u8]>)>;

fn auth(arguments: &[u8]) -> Result<AuthArguments<'_>, CommandError> {
    fn word(input: &[u8]) -> IResult<&[u8], &[u8]> {
        preceded(spaces1, take_while1(|octet| octet != b' ')).parse(input)
    }
    all_consuming(terminated(opt((word, opt(word))), spaces0))
        .parse(arguments)
        .map(|(_, parsed)| parsed)
        .map_err(|_| CommandError::Syntax)
}

fn optional_msg(arguments: &[u8]) -> Result<Option<MsgNum>, CommandError> {
    if is_blank(arguments) { Ok(None) } else { msg(arguments).map(Some) }
}

fn msg(arguments: &[u8]) -> Result<MsgNum, CommandError> {
    if is_blank(arguments) {
        return Err(CommandError::Syntax);
    }
    let (_, word) =
        all_consuming(terminated(word, spaces0)).parse(arguments).map_err(|_| CommandError::Number)?;
    msg_num(word)
}

fn top(arguments: &[u8]) -> Result<(MsgNum, u64), CommandError> {
    let (_, (msg, lines)) = all_consuming(terminated((word, word), spaces0))
        .parse(arguments)
        .map_err(|_| CommandError::Syntax)?;
    Ok((msg_num(msg)?, number(lines)?))
}

fn word(input: &[u8]) -> IResult<&[u8], &[u8]> {
    preceded(spaces1, take_till(|octet| octet == b' ')).parse(input)
}

fn msg_num(word: &[u8]) -> Result<MsgNum, CommandError> {
    u32::try_from(number(word)?).ok().and_then(MsgNum::new).ok_or(CommandError::Number)
}

/// Digits only: no sign, no overflow, nothing behind them.
fn number(word: &[u8]) -> Result<u64, CommandError> {
    let digits = map(take_while(|octet: u8| octet.is_ascii_digit()), |digits: &[u8]| {
        // Longer than any u64 even with leading zeros is refused before it is converted.
        if digits.is_empty() || digits.len() > 20 {
            return None;
        }
        digits.iter().try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
    });
    let (_, number) = all_consuming::<_, nom::error::Error<&[u8]>, _>(digits)
        .parse(word)
        .map_err(|_| CommandError::Number)?;
    number.ok_or(CommandError::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(number: u32) -> MsgNum {
        MsgNum::new(number).expect("not zero")
    }

    #[test]
    fn commands() {
        use Command as C;
        let table: &[(&[u8], Command<'_>)] = &[
            (b"USER anna@example.net", C::User(b"anna@example.net")),
            (b"user  anna ", C::User(b"anna")),
            (b"USER an na", C::User(b"an na")),
            (b"PASS secret", C::Pass(b"secret")),
            (b"PASS  two  spaces ", C::Pass(b" two  spaces ")),
            (b"PASS \xc4\x81", C::Pass(b"\xc4\x81")),
            (b"PASS", C::Pass(b"")),
            (b"AUTH", C::Auth(None)),
            (b"AUTH PLAIN", C::Auth(Some((b"PLAIN", None)))),
            (b"AUTH PLAIN AGEAYg==", C::Auth(Some((b"PLAIN", Some(b"AGEAYg=="))))),
            (b"CAPA", C::Capa),
            (b"stls", C::Stls),
            (b"QUIT ", C::Quit),
            (b"LIST", C::List(None)),
            (b"LIST ", C::List(None)),
            (b"LIST 1", C::List(Some(n(1)))),
            (b"UIDL  007 ", C::Uidl(Some(n(7)))),
            (b"RETR 4294967295", C::Retr(n(u32::MAX))),
            (b"DELE 2", C::Dele(n(2))),
            (b"TOP 1 0", C::Top(n(1), 0)),
            (b"TOP 1 99999999", C::Top(n(1), 99_999_999)),
            (b"LANG en", C::Lang),
        ];
        for (line, expected) in table {
            assert_eq!(parse(line).as_ref(), Ok(expected), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn message_numbers_that_are_none() {
        for argument in [
            "0",
            "00",
            "-1",
            "+1",
            "1x",
            "x",
            "1 x",
            "1 2",
            "1.0",
            "0x1",
            "4294967296",
            "99999999999999999999999",
        ] {
            for verb in ["RETR", "DELE", "LIST", "UIDL"] {
                let line = format!("{verb} {argument}");
                assert_eq!(parse(line.as_bytes()), Err(CommandError::Number), "{line}");
            }
        }
    }

    #[test]
    fn lines_that_are_no_command() {
        use CommandError as E;
        let table: &[(&[u8], CommandError)] = &[
            (b"", E::Unknown),
            (b" NOOP", E::Unknown),
            (b"NOOP:", E::Unknown),
            (b"GET / HTTP/1.1", E::Unknown),
            (b"NOOP x", E::Syntax),
            (b"USER", E::Syntax),
            (b"USER  ", E::Syntax),
            (b"RETR", E::Syntax),
            (b"TOP 1", E::Syntax),
            (b"TOP 1 2 3", E::Syntax),
            (b"TOP 1 -1", E::Number),
            (b"TOP 0 1", E::Number),
            (b"TOP 1 99999999999999999999999", E::Number),
            (b"USER a\0b", E::Control),
            (b"PASS a\rb", E::Control),
            (b"RETR\t1", E::Unknown),
            (b"RETR \t1", E::Number),
            (b"LIST \t1", E::Number),
            (b"LIST \t", E::Number),
            (b"TOP 1\t1", E::Syntax),
            (b"AUTH PLAIN a b", E::Syntax),
        ];
        for (line, expected) in table {
            assert_eq!(parse(line), Err(*expected), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn every_verb_gives_the_label_that_is_its_name() {
        for verb in LABELS {
            let lines = [verb.to_owned(), format!("{verb} 1"), format!("{verb} 1 1")];
            let command = lines.iter().find_map(|line| parse(line.as_bytes()).ok().map(|c| label(&c)));
            assert_eq!(command, Some(verb));
        }
    }
}
