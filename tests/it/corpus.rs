//! Messages that break mail software: each is here because some server, proxy or client got it wrong.
//!
//! Everything is spelled out or computed; nothing is random, so every run sees the same octets.

use std::fmt::Write as _;

/// One nasty message, in the octets that go into the mail store.
pub(crate) struct Message {
    /// What is nasty about it.
    pub(crate) name: &'static str,
    /// Its octets.
    pub(crate) octets: Vec<u8>,
}

impl Message {
    /// The length of its longest line, line end included.
    pub(crate) fn longest_line(&self) -> usize {
        self.octets.split_inclusive(|octet| *octet == b'\n').map(<[u8]>::len).max().unwrap_or(0)
    }
}

/// The whole corpus, some 32 MB.
pub(crate) fn corpus() -> Vec<Message> {
    let mut all = small();
    all.extend(named(vec![
        ("one line of a megabyte", with_body(&"x".repeat(1 << 20))),
        ("an attachment of 30 MB", attachment()),
        ("200,000 short lines", with_body(&"a\r\n".repeat(200_000))),
    ]));
    all
}

/// The corpus without its three large messages.
pub(crate) fn small() -> Vec<Message> {
    let groups = [dots(), ends(), boundaries(), line_ends(), octets(), shapes(), protocols()];
    groups.into_iter().flat_map(named).collect()
}

type Named = Vec<(&'static str, Vec<u8>)>;

fn named(messages: Named) -> impl Iterator<Item = Message> {
    messages.into_iter().map(|(name, octets)| Message { name, octets })
}

/// Dots: the octet that POP3 must stuff, and the line that ends a message.
fn dots() -> Named {
    vec![
        ("nothing special", with_body("One line.\r\nAnother line.\r\n")),
        ("lines begin with dots", with_body(".one\r\n..two\r\n...three\r\n. four\r\n")),
        ("lines of one dot", with_body(".\r\n.\r\n.\r\nafter\r\n.\r\n")),
        ("lines of two dots", with_body("..\r\n..\r\n")),
        ("first octet is a dot", b".Subject: dotted\r\n\r\nbody\r\n".to_vec()),
        ("nothing but dots", b".\r\n..\r\n...\r\n".to_vec()),
        ("CR dot CR", with_body("a\r.\rb\r\n.\r.\r\n")),
        ("LF dot LF", with_body("a\n.\nb\r\n")),
        ("dots within lines", with_body("a.b.c.\r\nend.\r\n")),
    ]
}

/// The end of the message.
fn ends() -> Named {
    vec![
        ("no final line end", with_body("the last line ends in nothing")),
        ("ends in CR", with_body("the last line ends in CR\r")),
        ("ends in LF", with_body("the last line ends in LF\n")),
        ("ends in CRLF dot", with_body("the last line is a dot\r\n.")),
        ("ends in CRLF dot CR", with_body("the last line is a dot and CR\r\n.\r")),
        ("ends in blank lines", with_body("text\r\n\r\n\r\n\r\n")),
    ]
}

/// The boundary between header and body.
fn boundaries() -> Named {
    vec![
        ("no body", with_body("")),
        ("header without blank line", b"Subject: no blank line\r\n".to_vec()),
        ("header without line end", b"Subject: no line end".to_vec()),
        ("no octets at all", Vec::new()),
        ("one blank line", b"\r\n".to_vec()),
        ("no header", b"\r\na body, but no header\r\nsecond line\r\n".to_vec()),
        ("header line without colon", b"Subject: x\r\nno colon here\r\n\r\nbody\r\n".to_vec()),
        ("blank line of CR CR LF", b"Subject: x\r\r\n\r\r\nbody\r\nmore\r\n\r\nend\r\n".to_vec()),
        ("blank line of LF", b"Subject: x\n\nbody\nmore\n\nend\n".to_vec()),
        ("body begins with CR", b"Subject: x\r\n\r\n\rbody\r\nmore\r\n\r\nend\r\n".to_vec()),
    ]
}

/// Line ends inside the body.
fn line_ends() -> Named {
    vec![
        ("bare LF", with_body("one\ntwo\nthree\n")),
        ("bare CR", with_body("one\rtwo\rthree\r\n")),
        ("CRLF and LF mixed", with_body("one\r\ntwo\nthree\r\nfour\n\nfive\r\n")),
        ("CR CR LF", with_body("one\r\r\ntwo\r\r\n\r\r\nthree\r\n")),
    ]
}

/// Octets that are not plain text.
fn octets() -> Named {
    let range = |first: u8| (first..=0xff).collect::<Vec<u8>>();
    let invalid = b"\xc3\x28 \xa0\xa1 \xe2\x28\xa1 \xf0\x28\x8c\x28 \xed\xa0\x80\r\n";
    vec![
        ("8-bit", with_octets(&range(0x80))),
        ("every octet but NUL", with_octets(&range(0x01))),
        ("NUL", with_octets(b"before\0after\r\n\0\r\n")),
        ("invalid UTF-8", with_octets(invalid)),
        ("byte order mark first", [b"\xef\xbb\xbf".as_slice(), &with_body("body\r\n")].concat()),
        ("long UTF-8", with_body(&"Grüße, 世界! Привет, мир. 🌍 ".repeat(1_500))),
        ("control characters", with_octets(b"\x1a\x1b[2J\x07\x08\x0b\x0c\x7f\r\n\x1a\r\n")),
        ("trailing spaces", with_body("two  \r\ntab\t\r\n \r\n  \t\r\nend\r\n")),
    ]
}

/// Too many, too long, too deep.
fn shapes() -> Named {
    let long_field = format!("X-Long: {}\r\n", "h".repeat(100 << 10));
    let folded_field = format!("X-Fold: a\r\n{}", "\tfold\r\n".repeat(500));
    let lines = |lengths: [usize; 2]| lengths.map(|n| "a".repeat(n) + "\r\n").concat();
    vec![
        ("5,000 header fields", with_header(&header_fields(5_000))),
        ("a header line of 100 KB", with_header(&long_field)),
        ("a folded header field", with_header(&folded_field)),
        ("multipart, 60 deep", multipart(60)),
        ("lines of 998 and 999", with_body(&lines([998, 999]))),
        ("lines of 2,046 and 2,047", with_body(&lines([2_046, 2_047]))),
        ("lines of 10,000", with_body(&lines([10_000; 2]).repeat(5))),
        ("3,000 blank lines", with_body(&"\r\n".repeat(3_000))),
    ]
}

/// Text that looks like protocol.
fn protocols() -> Named {
    let imap = ")\r\na1 OK FETCH completed\r\n* BYE going down\r\n* 1 EXPUNGE\r\n+ go ahead\r\n\
        {5}\r\nt1 NO [SERVERBUG]\r\n* 2 FETCH (UID 2 BODY[] {3}\r\nabc)\r\n";
    let pop3 = "+OK\r\n-ERR gone\r\n.\r\n+OK 3 octets\r\nQUIT\r\n.\r\n-ERR\r\n";
    let mbox = "From somebody Thu Jan  1 00:00:00 1970\r\n>From x\r\nFrom \r\n";
    vec![
        ("looks like IMAP", with_body(imap)),
        ("looks like POP3", with_body(pop3)),
        ("looks like mbox", with_body(mbox)),
    ]
}

/// A usual header, then `body`.
fn with_body(body: &str) -> Vec<u8> {
    with_octets(body.as_bytes())
}

fn with_octets(body: &[u8]) -> Vec<u8> {
    [with_header("").as_slice(), body].concat()
}

/// A usual header with `fields` added, the blank line, and no body.
fn with_header(fields: &str) -> Vec<u8> {
    let usual = "Return-Path: <sender@example.org>\r\n\
        From: Sender <sender@example.org>\r\n\
        To: user@example.net\r\n\
        Subject: a test\r\n\
        Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n\
        Message-ID: <1@example.org>\r\n";
    format!("{usual}{fields}\r\n").into_bytes()
}

fn header_fields(count: usize) -> String {
    (0..count).fold(String::new(), |mut fields, index| {
        write!(fields, "X-Field-{index}: value {index}\r\n").expect("a string takes all");
        fields
    })
}

/// As MIME software writes an attachment: base64 in lines of 76.
fn attachment() -> Vec<u8> {
    let fields = "MIME-Version: 1.0\r\n\
        Content-Type: application/octet-stream\r\n\
        Content-Transfer-Encoding: base64\r\n";
    let mut octets = with_header(fields);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut line = 0;
    while octets.len() < 30 << 20 {
        octets.extend((0..76).map(|column| alphabet[(line * 7 + column) % alphabet.len()]));
        octets.extend(b"\r\n");
        line += 1;
    }
    octets
}

fn multipart(depth: usize) -> Vec<u8> {
    let kind = |level| format!("Content-Type: multipart/mixed; boundary=\"b{level}\"\r\n");
    let mut body = String::new();
    for level in 1..=depth {
        let parent = level - 1;
        write!(body, "--b{parent}\r\n{}\r\n", kind(level)).expect("a string takes all");
    }
    write!(body, "--b{depth}\r\n\r\nthe innermost part\r\n").expect("a string takes all");
    for level in (0..=depth).rev() {
        write!(body, "--b{level}--\r\n").expect("a string takes all");
    }
    let header = with_header(&format!("MIME-Version: 1.0\r\n{}", kind(0)));
    [header.as_slice(), body.as_bytes()].concat()
}
