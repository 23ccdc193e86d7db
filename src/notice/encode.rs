//! Text as octets that every mail program reads: ASCII, short lines, CRLF. Quoted-printable or base64 for
//! bodies (RFC 2045 §6), encoded words for headers (RFC 2047), entities for HTML.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::words::is_atext;

/// Longest line, without CRLF: RFC 2045 §6.7 and §6.8 and RFC 2047 §2 all say 76.
const LINE: usize = 76;

/// What a line of that length holds in base64.
const BASE64_LINE: usize = LINE / 4 * 3;

/// Longest word in a header. RFC 2047 allows an encoded word 75; with 60 one fits behind the field's name.
const WORD: usize = 60;

/// Around the text of an encoded word.
const ENCODED: (&str, &str) = ("=?utf-8?q?", "?=");

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Lines of text for a body, in the shorter of two encodings, whose name comes first. Both keep every octet
/// and end with CRLF. Text in Latin letters stays readable, and Cyrillic does not become three times as long.
pub(super) fn body(text: &str) -> (&'static str, Vec<u8>) {
    let (quoted, encoded) = (quoted_printable(text), base64(text));
    if quoted.len() <= encoded.len() { ("quoted-printable", quoted) } else { ("base64", encoded) }
}

fn base64(text: &str) -> Vec<u8> {
    let lines: String = text.lines().flat_map(|line| [line, "\r\n"]).collect();
    let mut out = Vec::new();
    for piece in lines.as_bytes().chunks(BASE64_LINE) {
        out.extend_from_slice(STANDARD.encode(piece).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.lines() {
        let mut room = LINE;
        let octets = line.as_bytes();
        for (at, octet) in octets.iter().copied().enumerate() {
            let is_last = at + 1 == octets.len();
            let is_literal = match octet {
                b' ' | b'\t' => !is_last,
                _ => octet.is_ascii_graphic() && octet != b'=',
            };
            let width = if is_literal { 1 } else { 3 };
            // Before the end of the line there must be room for the `=` of a soft line break.
            if room < width + usize::from(!is_last) {
                out.extend_from_slice(b"=\r\n");
                room = LINE;
            }
            room -= width;
            if is_literal { out.push(octet) } else { out.extend(escaped(octet)) }
        }
        out.extend_from_slice(b"\r\n");
    }
    out
}

const fn escaped(octet: u8) -> [u8; 3] {
    [b'=', HEX[(octet >> 4) as usize], HEX[(octet & 15) as usize]]
}

/// The text of a field such as Subject, as words between which the line may be folded.
pub(super) fn text_words(text: &str) -> Vec<String> {
    words(text, |octet| octet.is_ascii_graphic())
}

/// The name before an address, as words between which the line may be folded.
pub(super) fn phrase_words(text: &str) -> Vec<String> {
    words(text, is_atext)
}

/// The words as they are, if all are short and of these characters; else all of them encoded.
fn words(text: &str, is_plain: impl Fn(u8) -> bool) -> Vec<String> {
    let is_word = |word: &str| (1..=WORD).contains(&word.len()) && word.bytes().all(&is_plain);
    if text.is_empty() {
        Vec::new()
    } else if text.split(' ').all(is_word) && !text.contains("=?") {
        text.split(' ').map(str::to_owned).collect()
    } else {
        encoded_words(text)
    }
}

/// Each word holds whole characters (RFC 2047 §5); blanks between the words do not count (§6.2).
fn encoded_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = ENCODED.0.to_owned();
    for character in text.chars() {
        let mut octets = [0; 4];
        let encoded: String = match character {
            ' ' => "_".to_owned(),
            // What RFC 2047 §5 allows even in the name before an address.
            _ if character.is_ascii_alphanumeric() || "!*+-/".contains(character) => character.to_string(),
            _ => character.encode_utf8(&mut octets).bytes().flat_map(escaped).map(char::from).collect(),
        };
        if word.len() + encoded.len() + ENCODED.1.len() > WORD {
            words.push(std::mem::replace(&mut word, ENCODED.0.to_owned()) + ENCODED.1);
        }
        word.push_str(&encoded);
    }
    words.push(word + ENCODED.1);
    words
}

/// Appends a field. A line that would become too long is folded before a word (RFC 5322 §2.2.3).
pub(super) fn field(name: &str, words: &[String], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut length = name.len() + 1;
    for word in words {
        if length + 1 + word.len() > LINE {
            out.extend_from_slice(b"\r\n");
            length = 0;
        }
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
        length += 1 + word.len();
    }
    out.extend_from_slice(b"\r\n");
}

/// Text that stays text in HTML, in an attribute too.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::decode;
    use super::*;

    fn quoted(text: &str) -> String {
        String::from_utf8(quoted_printable(text)).expect("ASCII")
    }

    #[test]
    fn quoted_printable_lines() {
        let x = |count| "x".repeat(count);
        for (text, expected) in [
            (String::new(), String::new()),
            ("a".to_owned(), "a\r\n".to_owned()),
            ("a\n\nb\n".to_owned(), "a\r\n\r\nb\r\n".to_owned()),
            ("1 = ā".to_owned(), "1 =3D =C4=81\r\n".to_owned()),
            ("end \n\t".to_owned(), "end=20\r\n=09\r\n".to_owned()),
            (x(76), x(76) + "\r\n"),
            (x(77), x(75) + "=\r\nxx\r\n"),
            (x(73) + "=", x(73) + "=3D\r\n"),
            (x(74) + "=", x(74) + "=\r\n=3D\r\n"),
            (x(73) + "=x", x(73) + "=\r\n=3Dx\r\n"),
            (x(72) + "=x", x(72) + "=3Dx\r\n"),
            (x(75) + " x", x(75) + "=\r\n x\r\n"),
            (x(74) + " xx", x(74) + " =\r\nxx\r\n"),
        ] {
            assert_eq!(quoted(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_shorter_encoding() {
        assert_eq!(
            body("mūsu e-pasta dienests\n"),
            ("quoted-printable", b"m=C5=ABsu e-pasta dienests\r\n".to_vec())
        );
        assert_eq!(body("почта\nи\n"), ("base64", "0L/QvtGH0YLQsA0K0LgNCg==\r\n".into()));
        let lines = body(&"п".repeat(60)).1;
        assert!(lines.split(|octet| *octet == b'\n').all(|line| line.len() <= LINE + 1));
    }

    #[test]
    fn words_of_a_header() {
        for (text, words) in [
            ("", vec![]),
            ("Switch to IMAP (please)", vec!["Switch", "to", "IMAP", "(please)"]),
            ("=?x", vec!["=?utf-8?q?=3D=3Fx?="]),
            ("two  blanks", vec!["=?utf-8?q?two__blanks?="]),
            (" a", vec!["=?utf-8?q?_a?="]),
            ("a\r\nTo: x", vec!["=?utf-8?q?a=0D=0ATo=3A_x?="]),
            (
                "Lūdzu, pārslēdziet savu programmu uz IMAP",
                vec![
                    "=?utf-8?q?L=C5=ABdzu=2C_p=C4=81rsl=C4=93dziet_savu_program?=",
                    "=?utf-8?q?mu_uz_IMAP?=",
                ],
            ),
        ] {
            assert_eq!(text_words(text), words, "{text:?}");
        }
        assert_eq!(phrase_words("Mail service"), ["Mail", "service"]);
        assert_eq!(phrase_words("Example, Inc."), ["=?utf-8?q?Example=2C_Inc=2E?="]);
    }

    #[test]
    fn fields_are_folded_before_a_word() {
        let folded = |words: &[&str]| {
            let mut out = Vec::new();
            field("Subject", &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), &mut out);
            String::from_utf8(out).expect("ASCII")
        };
        assert_eq!(folded(&[]), "Subject:\r\n");
        assert_eq!(folded(&["a", "b"]), "Subject: a b\r\n");
        let word = "x".repeat(33);
        assert_eq!(folded(&[&word, &word]), format!("Subject: {word} {word}\r\n"));
        assert_eq!(folded(&[&word, &word, "y"]), format!("Subject: {word} {word}\r\n y\r\n"));
    }

    #[test]
    fn html_stays_text() {
        assert_eq!(
            html("<b id='1' class=\"x\">&amp;ā"),
            "&lt;b id=&#39;1&#39; class=&#34;x&#34;&gt;&amp;amp;ā"
        );
    }

    proptest! {
        #[test]
        fn bodies_are_undone(text in "(\\PC|[ =\t\n]){0,300}") {
            let out = quoted(&text);
            for line in out.split_terminator("\r\n") {
                prop_assert!(line.len() <= LINE && line.bytes().all(|octet| matches!(octet, b'\t' | b' '..=b'~')));
                prop_assert!(!line.ends_with([' ', '\t']));
            }
            let lines: String = text.lines().flat_map(|line| [line, "\n"]).collect();
            prop_assert_eq!(decode::body("quoted-printable", &out), lines.clone());
            let out = String::from_utf8(base64(&text)).expect("ASCII");
            prop_assert!(out.split_terminator("\r\n").all(|line| line.len() <= LINE));
            prop_assert_eq!(decode::body("base64", &out), lines);
        }

        #[test]
        fn encoded_words_are_undone(text in any::<String>(), phrase: bool) {
            let words = if phrase { phrase_words(&text) } else { text_words(&text) };
            prop_assert!(words.iter().all(|word| word.len() <= WORD && word.bytes().all(|octet| octet.is_ascii_graphic())));
            prop_assert_eq!(decode::header(&words.join(" ")), text);
        }
    }
}
