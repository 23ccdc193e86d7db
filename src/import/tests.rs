//! Files as people and spreadsheets write them.

use proptest::prelude::*;

use super::*;

fn names() -> Names {
    Names { default_domain: "example.net".to_owned(), lower_case: true }
}

fn read(format: BulkFormat, content: Content, chunks: &[&[u8]]) -> Vec<Line> {
    let mut found = Vec::new();
    let mut reader = Reader::new(format, content, names());
    for chunk in chunks {
        reader.push(chunk, |line| found.push(line));
    }
    reader.finish(|line| found.push(line));
    found
}

fn csv(text: &str) -> Vec<Line> {
    read(BulkFormat::Csv, Content::Settings, &[text.as_bytes()])
}

fn row(user: &str, mode: Option<Mode>) -> Row {
    Row { user: UserName::stored(user), mode, from: None, language: None }
}

/// The rows, and the problems with their lines.
fn split(lines: Vec<Line>) -> (Vec<Row>, Vec<(u64, String)>) {
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for line in lines {
        match line {
            Line::Row(row) => rows.push(row),
            Line::Bad(line) => bad.push((line.line, line.problem)),
        }
    }
    (rows, bad)
}

#[test]
fn with_a_header_in_any_order_and_without_one() {
    let expected = [row("anna@example.net", Some(Mode::ImapOnly)), row("bob@x", None)];
    for text in [
        "Anna,imap-only\nbob@x,inherit\n",
        "user,mode\r\nanna,imap-only\r\n\r\nbob@x,inherit",
        "\u{feff}domain,Mode,USER,more\n,imap-only,anna,x\n,,,\n,inherit,\"bob@x\",y\n",
        "mode,user\n imap-only , ANNA \ninherit,bob@x\n",
    ] {
        assert_eq!(split(csv(text)), (expected.to_vec(), vec![]), "{text:?}");
    }
    let (rows, bad) =
        split(csv("user,language,from,mode\na,LV,2026-12-01T00:00:00+02:00,notice\nb,,,pop3\n"));
    let from = "2026-11-30T22:00:00Z".parse::<Timestamp>().unwrap().as_second();
    let first =
        Row { from: Some(from), language: Language::parse("lv"), ..row("a@example.net", Some(Mode::Notice)) };
    assert_eq!((rows, bad), (vec![first, row("b@example.net", Some(Mode::Pop3))], vec![]));
}

#[test]
fn bad_lines_are_named_and_spoil_no_other() {
    let long = format!("{},notice", "x".repeat(800));
    let text =
        format!("user,mode,from,language\na,POP3\n,notice\nb\nc,notice,soon\nd,notice,,l!v\n{long}\n\"e\n");
    let mut octets = text.into_bytes();
    octets.extend_from_slice(b"jos\xe9,notice\n");
    octets.extend_from_slice(&[b'x'; LINE_LONGEST + 1]);
    octets.extend_from_slice(b"\nf,notice\n");
    let (rows, bad) = split(read(BulkFormat::Csv, Content::Settings, &[&octets]));
    assert_eq!(rows, [row("f@example.net", Some(Mode::Notice))]);
    let begins = [
        (2, "\"POP3\" is no mode; write pop3"),
        (3, "The line names no user."),
        (4, "The line has no mode; write pop3"),
        (5, "\"soon\" is no time; write it as 2026-12-01T"),
        (6, "\"l!v\" is no language tag"),
        (7, "Nobody can log in with such a name: it has more than 766 octets"),
        (8, "A quote is not closed in this line"),
        (9, "The line is not UTF-8"),
        (10, "The line is longer than 4096 octets"),
    ];
    assert_eq!(bad.len(), begins.len(), "{bad:?}");
    for ((line, problem), (expected, begin)) in bad.iter().zip(begins) {
        assert_eq!(*line, expected, "{problem}");
        assert!(problem.starts_with(begin) && problem.ends_with(['.', '?']), "{problem}");
    }
}

#[test]
fn a_header_without_a_mode_is_the_one_thing_that_is_told() {
    let (rows, bad) = split(csv("user,from\na,\nb,\n"));
    assert_eq!((rows.len(), bad.len(), bad[0].0), (0, 1, 1));
    assert!(bad[0].1.contains("no column mode"), "{}", bad[0].1);
}

#[test]
fn members_are_names_alone() {
    let expected = [row("anna@example.net", None), row("bob@x", None)];
    for text in ["user\nanna\nbob@x", "n,user\n1,anna\n2,bob@x\n", "User,whatever\nanna,x\nbob@x\n"] {
        let found = split(read(BulkFormat::Csv, Content::Members, &[text.as_bytes()]));
        assert_eq!(found, (expected.to_vec(), vec![]), "{text:?}");
    }
    for text in [
        "name\nanna\n",
        "anna\nbob@x\n",
        "{\"user\":\"Anna\"}\n{\"user\":\"bob@x\"}\n",
        "\nuser;mode\nanna;x\n",
    ] {
        let (rows, bad) = split(read(BulkFormat::Csv, Content::Members, &[text.as_bytes()]));
        assert_eq!((rows.len(), bad.len()), (0, 1), "{text:?}");
        assert!(bad[0].1.contains("no column user"), "{}", bad[0].1);
    }
    let text = "{\"user\":\"Anna\"}\n\n{\"user\":\"bob@x\",\"mode\":\"x\"}\n";
    let found = split(read(BulkFormat::Ndjson, Content::Members, &[text.as_bytes()]));
    assert_eq!(found, (expected.to_vec(), vec![]));
}

#[test]
fn one_json_object_a_line() {
    let text = concat!(
        "{\"user\":\"Anna\",\"mode\":\"imap-only\",\"from\":null,\"more\":1}\r\n",
        "{\"user\":\"bob@x\",\"mode\":null}\n",
        "{\"user\":\"c\"}\n",
        "{\"user\":\"c\\u0000\",\"mode\":\"pop3\"}\n",
        "c,pop3\n",
        "{\"mode\":\"inherit\",\"user\":\"d\",\"from\":\"2026-12-01T00:00:00Z\",\"language\":\"lv\"}",
    );
    let (rows, bad) = split(read(BulkFormat::Ndjson, Content::Settings, &[text.as_bytes()]));
    let from = "2026-12-01T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
    let last = Row { from: Some(from), language: Language::parse("lv"), ..row("d@example.net", None) };
    assert_eq!(rows, [row("anna@example.net", Some(Mode::ImapOnly)), row("bob@x", None), last]);
    assert_eq!(bad.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4, 5]);
    let missing = "The line cannot be understood as a JSON object with user and mode: missing field `mode`.";
    assert_eq!(bad[0].1, missing);
}

/// Lines that are good, bad, and blank.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "[a-zA-Z@\" ]{0,8},(pop3|notice|inherit|x|),?(2026-12-01T00:00:00Z)?",
        Just("user,mode".to_owned()),
        Just("{\"user\":\"a\",\"mode\":\"pop3\"}".to_owned()),
        Just("x".repeat(LINE_LONGEST + 1)),
        "\\PC{0,12}",
    ];
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n")];
    proptest::collection::vec((line, end), 0..12)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect::<String>().into_bytes())
}

proptest! {
    #[test]
    fn rows_are_the_same_however_the_network_cuts_them(
        text in text(),
        cuts in proptest::collection::vec(0..64usize, 0..40),
        json in any::<bool>(),
    ) {
        let format = if json { BulkFormat::Ndjson } else { BulkFormat::Csv };
        let (mut chunks, mut rest) = (Vec::new(), text.as_slice());
        for cut in cuts {
            let (chunk, next) = rest.split_at(cut.min(rest.len()));
            chunks.push(chunk);
            rest = next;
        }
        chunks.push(rest);
        let whole = read(format, Content::Settings, &[&text]);
        prop_assert_eq!(read(format, Content::Settings, &chunks), whole);
    }
}
