//! One line of dialogue: who sends or must receive what. The format is told in [`super`].

use std::fmt;
use std::path::PathBuf;

use super::deed::Deed;
use super::pattern::Pattern;

/// One line of a transcript.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) place: Place,
    pub(super) what: What,
}

/// Where a step was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.text)
    }
}

/// What a step does or expects. `client` counts from 1; `upstream` is `None` for the newest connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    ClientSends { client: usize, bytes: Vec<u8> },
    ClientCloses { client: usize },
    ClientResets { client: usize },
    Reply { client: usize, pattern: Pattern },
    ReplyBytes { client: usize, bytes: Vec<u8> },
    ReplyLines { client: usize, with: Vec<String>, without: Vec<String> },
    ProxyCloses { client: usize },
    ProxyResets { client: usize },
    ProxyEnds { client: usize },
    Connects,
    Command { upstream: Option<usize>, tag: String, pattern: Pattern },
    CommandBytes { upstream: Option<usize>, bytes: Vec<u8> },
    UpstreamIsLeft { upstream: Option<usize> },
    Answer { upstream: Option<usize>, line: String },
    AnswerBytes { upstream: Option<usize>, bytes: Vec<u8> },
    ServerCloses { upstream: Option<usize> },
    ServerResets { upstream: Option<usize> },
    Does(Deed),
}

/// One line of dialogue, and how many times it stands for itself.
pub(super) fn step(line: &str) -> Result<(usize, What), String> {
    let (side, rest) = line.split_at_checked(1).ok_or("not a step")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = rest.split_at(digits);
    let number: Option<usize> = if number.is_empty() { None } else { number.parse().ok() };
    let (raw, rest) = match (side, rest.bytes().next()) {
        (_, Some(b'=')) => (true, rest.get(1..).unwrap_or_default()),
        ("C" | "S", Some(b':')) => (false, rest.get(1..).unwrap_or_default()),
        (">" | "<", None | Some(b' ')) => (false, rest),
        _ => return Err("not a step: a line begins with C: S: > < C= S= >= <= @ or #".to_owned()),
    };
    let text = match rest.strip_prefix(' ') {
        Some(text) => text,
        None if rest.is_empty() => "",
        None => return Err("a space must follow the sign".to_owned()),
    };
    let client = number.unwrap_or(1);
    let what = match (side, raw, bracketed(text)) {
        ("C", true, _) => What::ClientSends { client, bytes: unescape(text)? },
        ("S", true, _) => What::ReplyBytes { client, bytes: unescape(text)? },
        (">", true, _) => What::CommandBytes { upstream: number, bytes: unescape(text)? },
        ("<", true, _) => What::AnswerBytes { upstream: number, bytes: unescape(text)? },
        ("C", false, Some("closes")) => What::ClientCloses { client },
        ("C", false, Some("resets")) => What::ClientResets { client },
        ("C", false, None) => What::ClientSends { client, bytes: format!("{text}\r\n").into_bytes() },
        ("S", false, Some("closes")) => What::ProxyCloses { client },
        ("S", false, Some("resets")) => What::ProxyResets { client },
        ("S", false, Some("ends")) => What::ProxyEnds { client },
        ("S", false, Some(event)) if event.starts_with("lines") => reply_lines(client, event)?,
        ("S", false, None) => return reply(client, text),
        (">", false, Some("connects")) if number.is_none() => What::Connects,
        (">", false, Some("closes")) => What::UpstreamIsLeft { upstream: number },
        (">", false, None) => {
            let (tag, command) = text.split_once(' ').ok_or("a tag and a command")?;
            What::Command { upstream: number, tag: tag.to_owned(), pattern: Pattern::exact(command) }
        }
        ("<", false, Some("closes")) => What::ServerCloses { upstream: number },
        ("<", false, Some("resets")) => What::ServerResets { upstream: number },
        ("<", false, None) => What::Answer { upstream: number, line: text.to_owned() },
        _ => return Err("unknown event in brackets".to_owned()),
    };
    Ok((1, what))
}

/// `S: …`, perhaps with `[N times]` before the pattern.
fn reply(client: usize, text: &str) -> Result<(usize, What), String> {
    let (times, text) = match text.strip_prefix('[').and_then(|rest| rest.split_once(" times] ")) {
        Some((times, text)) => (times.parse().map_err(|_| "not a number of times")?, text),
        None => (1, text),
    };
    Ok((times, What::Reply { client, pattern: Pattern::reply(text) }))
}

/// `[lines with A; B without C; D]`.
fn reply_lines(client: usize, event: &str) -> Result<What, String> {
    let rest = event.strip_prefix("lines").unwrap_or(event);
    let (with, without) = rest.split_once(" without ").unwrap_or((rest, ""));
    let with = match with.trim_start().strip_prefix("with ") {
        Some(list) => list,
        None if with.is_empty() => "",
        None => return Err("write [lines with A; B without C; D]".to_owned()),
    };
    let list = |texts: &str| texts.split("; ").filter(|text| !text.is_empty()).map(str::to_owned).collect();
    Ok(What::ReplyLines { client, with: list(with), without: list(without) })
}

/// The inside of `[closes]`; a repetition is not an event.
fn bracketed(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']').filter(|inside| !inside.contains(']'))
}

/// Raw lines: `\r \n \t \0 \\ \xHH` and `\(TEXT*COUNT)`.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (bytes, used) = match escape.bytes().next() {
            Some(b'r') => (vec![b'\r'], 1),
            Some(b'n') => (vec![b'\n'], 1),
            Some(b't') => (vec![b'\t'], 1),
            Some(b'0') => (vec![0], 1),
            Some(b'\\') => (vec![b'\\'], 1),
            Some(b'x') => {
                let hex = escape.get(1..3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
                (vec![hex.ok_or("\\x wants two hexadecimal digits")?], 3)
            }
            Some(b'(') => {
                let (inside, _) = escape[1..].split_once(')').ok_or("\\( without )")?;
                let (what, count) = inside.rsplit_once('*').ok_or("write \\(TEXT*COUNT)")?;
                let count: usize = count.parse().map_err(|_| "not a count")?;
                (unescape(what)?.repeat(count), inside.len() + 2)
            }
            _ => return Err("unknown escape".to_owned()),
        };
        out.extend(bytes);
        rest = &escape[used..];
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

#[test]
fn raw_lines_are_unescaped() {
    assert_eq!(unescape(r"a\r\n\0\x7f\\ \(x\n*3)é").unwrap(), b"a\r\n\0\x7f\\ x\nx\nx\n\xc3\xa9");
    assert!(unescape(r"\q").is_err() && unescape(r"\x4").is_err() && unescape(r"\(a").is_err());
}

#[test]
fn steps_say_who_does_what() {
    let one = |line: &str| step(line).unwrap().1;
    assert_eq!(one("C2: NOOP"), What::ClientSends { client: 2, bytes: b"NOOP\r\n".to_vec() });
    assert_eq!(one("S: [resets]"), What::ProxyResets { client: 1 });
    assert_eq!(one("> [connects]"), What::Connects);
    assert_eq!(one(">2 [closes]"), What::UpstreamIsLeft { upstream: Some(2) });
    assert_eq!(one("< "), What::Answer { upstream: None, line: String::new() });
    let lines = What::ReplyLines {
        client: 1,
        with: vec!["TOP".into(), "SASL PLAIN".into()],
        without: vec!["STLS".into()],
    };
    assert_eq!(one("S: [lines with TOP; SASL PLAIN without STLS]"), lines);
    assert_eq!(step("S: [500 times] +OK").unwrap().0, 500);
    for wrong in ["X: a", "C NOOP", "S: [dances]", "> [connects", ">NOOP", "S:+OK", "> tag"] {
        assert!(step(wrong).is_err(), "{wrong}");
    }
}
