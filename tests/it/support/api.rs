//! The admin API from outside: tokens for every role, requests octet by octet, answers taken apart.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A token of each role. Every lastpop that a test starts takes them.
pub(crate) const VIEWER: &str = "lp_viewer-viewer-viewer-viewer-viewer-viewer-v";
/// May change one user at a time.
pub(crate) const OPERATOR: &str = "lp_operator-operator-operator-operator-operato";
/// May do everything.
pub(crate) const ADMIN: &str = "lp_admin-admin-admin-admin-admin-admin-admin-a";
/// Was an administrator's.
pub(crate) const EXPIRED: &str = "lp_expired-expired-expired-expired-expired-exp";
/// Nobody's.
pub(crate) const UNKNOWN: &str = "lp_unknown-unknown-unknown-unknown-unknown-unk";

/// Writes the token file: names are `a-viewer`, `an-operator`, `an-admin` and `expired`.
pub(crate) fn write_tokens(file: &Path) {
    let mut text = "# for tests\n".to_owned();
    for (name, role, token, expires) in [
        ("a-viewer", "viewer", VIEWER, "-"),
        ("an-operator", "operator", OPERATOR, "9999-01-01T00:00:00Z"),
        ("an-admin", "admin", ADMIN, "-"),
        ("expired", "admin", EXPIRED, "2026-01-01T00:00:00Z"),
    ] {
        let digest = Sha256::digest(token).iter().fold(String::new(), |mut hex, octet| {
            write!(hex, "{octet:02x}").expect("a string takes all");
            hex
        });
        writeln!(text, "{name} {role} {digest} 2025-01-01T00:00:00Z {expires}").expect("a string takes all");
    }
    std::fs::write(file, text).expect("write the token file");
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    head: String,
    /// The body.
    pub(crate) body: String,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        self.head.lines().find(|line| of(line)).and_then(|line| Some(line.split_once(':')?.1.trim()))
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The sentence of a problem with this status, which has to be whole (RFC 9457).
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{self:?}");
        assert_eq!(problem["instance"].as_str(), self.header("x-request-id"), "{self:?}");
        assert!(problem["type"].is_string() && problem["title"].is_string(), "{self:?}");
        problem["detail"].as_str().expect("a detail").to_owned()
    }
}

/// A request as it goes over the wire. An empty token is none, and so is an empty body.
pub(crate) fn request(method: &str, path: &str, token: &str, body: &str) -> String {
    let token = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let body = if body.is_empty() {
        "\r\n".to_owned()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{token}{body}")
}

/// Sends a request over a connection that is made, and reads the answer to its end.
#[track_caller]
pub(crate) fn exchange(mut http: impl Read + Write, request: &str) -> Answer {
    http.write_all(request.as_bytes()).expect("send a request");
    http.flush().expect("send a request");
    let mut text = Vec::new();
    // Who refuses a body without reading it may reset the connection behind the answer.
    let _ = http.read_to_end(&mut text);
    let text = String::from_utf8(text).expect("an answer in UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
