//! A small strict reader of messages, to hold what is written against.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A message with a text and a page of HTML.
pub(crate) struct Message {
    fields: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Message {
    /// Panics at whatever is not as the RFCs have it, or shows a field twice.
    pub(crate) fn read(octets: &[u8]) -> Self {
        let text = std::str::from_utf8(octets).expect("ASCII");
        assert!(text.ends_with("\r\n"), "no end");
        for line in text.split_terminator("\r\n") {
            assert!(line.len() <= 998, "too long: {line}");
            assert!(
                line.bytes().all(|octet| matches!(octet, b'\t' | b' '..=b'~')),
                "not ASCII text: {line:?}"
            );
        }
        let (fields, body) = Self::split(text);
        let boundary = Self::of(&fields, "Content-Type");
        let boundary = boundary.strip_prefix("multipart/alternative; boundary=\"").expect("a boundary");
        let boundary = boundary.strip_suffix('"').expect("an end");
        let body = format!("\r\n{body}");
        let delimiter = format!("\r\n--{boundary}");
        let mut parts = body.split(&delimiter);
        assert_eq!(parts.next(), Some(""), "something before the first part");
        let [text, html] = ["text/plain", "text/html"].map(|kind| {
            let part = parts.next().expect("a part").strip_prefix("\r\n").expect("a line");
            let (fields, body) = Self::split(part);
            assert_eq!(Self::of(&fields, "Content-Type"), format!("{kind}; charset=utf-8"));
            self::body(&Self::of(&fields, "Content-Transfer-Encoding"), body)
        });
        assert_eq!((parts.next(), parts.next()), (Some("--\r\n"), None), "the end");
        Self { fields, text, html }
    }

    /// A field of the message, decoded.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| header(value))
    }

    fn of(fields: &[(String, String)], name: &str) -> String {
        fields.iter().find(|(other, _)| other == name).expect(name).1.clone()
    }

    /// Header and body.
    fn split(text: &str) -> (Vec<(String, String)>, &str) {
        let (head, body) = text.split_once("\r\n\r\n").expect("an empty line");
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in head.split("\r\n") {
            if line.starts_with(' ') {
                assert!(!line.trim().is_empty(), "a line of blanks");
                fields.last_mut().expect("a field").1.push_str(line);
            } else {
                let (name, value) = line.split_once(':').expect("a field");
                assert!(fields.iter().all(|(other, _)| !other.eq_ignore_ascii_case(name)), "{name} twice");
                fields.push((name.to_owned(), value.to_owned()));
            }
        }
        for (_, value) in &mut fields {
            *value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        }
        (fields, body)
    }
}

/// The lines of a body as text with LF.
pub(crate) fn body(encoding: &str, text: &str) -> String {
    let octets = match encoding {
        "quoted-printable" => unescaped(&text.replace("=\r\n", ""), false),
        "base64" => STANDARD.decode(text.replace("\r\n", "")).expect("base64"),
        other => panic!("encoding {other}"),
    };
    String::from_utf8(octets).expect("UTF-8").replace("\r\n", "\n")
}

/// A header's text with its encoded words decoded, each by itself.
pub(crate) fn header(text: &str) -> String {
    let mut out = String::new();
    let mut after_encoded = false;
    for (at, word) in text.split(' ').enumerate() {
        let encoded = word.strip_prefix("=?utf-8?q?").and_then(|word| word.strip_suffix("?="));
        if at > 0 && !(after_encoded && encoded.is_some()) {
            out.push(' ');
        }
        match encoded {
            Some(encoded) => out.push_str(&String::from_utf8(unescaped(encoded, true)).expect("UTF-8")),
            None => out.push_str(word),
        }
        after_encoded = encoded.is_some();
    }
    out
}

fn unescaped(text: &str, in_header: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b'=' => {
                let digits = [octets.next().expect("a digit"), octets.next().expect("a digit")];
                let digits = std::str::from_utf8(&digits).expect("digits").to_owned();
                out.push(u8::from_str_radix(&digits, 16).expect("hexadecimal"));
            }
            b'_' if in_header => out.push(b' '),
            _ => out.push(octet),
        }
    }
    out
}
