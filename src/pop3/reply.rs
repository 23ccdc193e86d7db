//! What a client may read: status lines (RFC 1939 §3) with response codes (RFC 2449 §8, RFC 3206).
//!
//! A reply's text is ours alone: nothing that a client sent and nothing that the upstream said has a way
//! in, except a user's canonical name once its password was accepted.

use std::borrow::Cow;

/// Longest status line, with its CRLF (RFC 2449 §4).
pub const MAX_REPLY: usize = 512;

/// A response code: what a client's program does about an `-ERR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// `[AUTH]`: the user name or password is wrong; ask for another (RFC 3206 §4).
    Auth,
    /// `[IN-USE]`: somebody else has it now; try again later (RFC 2449 §8.1.2).
    InUse,
    /// `[SYS/TEMP]`: our trouble, and it may pass (RFC 3206 §3).
    SysTemp,
    /// `[SYS/PERM]`: trying again will not help; a person must do something (RFC 3206 §3).
    SysPerm,
}

impl Code {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "[AUTH] ",
            Self::InUse => "[IN-USE] ",
            Self::SysTemp => "[SYS/TEMP] ",
            Self::SysPerm => "[SYS/PERM] ",
        }
    }
}

/// A status line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    ok: bool,
    code: Option<Code>,
    text: Cow<'static, str>,
}

impl Reply {
    /// `+OK text`
    pub fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self { ok: true, code: None, text: text.into() }
    }

    /// `-ERR text`
    pub const fn err(text: &'static str) -> Self {
        Self { ok: false, code: None, text: Cow::Borrowed(text) }
    }

    /// `-ERR [code] text`
    pub const fn err_code(code: Code, text: &'static str) -> Self {
        Self { ok: false, code: Some(code), text: Cow::Borrowed(text) }
    }

    /// `-ERR [code] text`, for a text that is made for one user.
    pub const fn err_code_owned(code: Code, text: String) -> Self {
        Self { ok: false, code: Some(code), text: Cow::Owned(text) }
    }

    /// Does it begin with `+OK`?
    pub const fn is_ok(&self) -> bool {
        self.ok
    }

    /// Appends the line to `out`, as ASCII and at most [`MAX_REPLY`] octets long: whatever is no
    /// printable ASCII in a configured text becomes `?`, and what is too long is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(if self.ok { b"+OK" } else { b"-ERR" });
        if self.code.is_some() || !self.text.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(self.code.map_or("", Code::as_str).as_bytes());
        let room = MAX_REPLY - 2 - (out.len() - start);
        let ascii = |c: char| {
            if matches!(c, ' '..='~') { c as u8 } else { b'?' }
        };
        out.extend(self.text.chars().map(ascii).take(room));
        out.extend_from_slice(b"\r\n");
    }
}

/// The end of a multi-line reply (RFC 1939 §3).
pub const END: &[u8] = b".\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.encode(&mut out);
        String::from_utf8(out).expect("replies are ASCII")
    }

    #[test]
    fn status_lines() {
        assert_eq!(encoded(&Reply::ok("")), "+OK\r\n");
        assert_eq!(encoded(&Reply::ok("2 320")), "+OK 2 320\r\n");
        assert_eq!(encoded(&Reply::err("No.")), "-ERR No.\r\n");
        assert_eq!(encoded(&Reply::err_code(Code::SysTemp, "Later.")), "-ERR [SYS/TEMP] Later.\r\n");
        assert_eq!(encoded(&Reply::err_code(Code::InUse, "")), "-ERR [IN-USE] \r\n");
        let owned = Reply::err_code_owned(Code::SysPerm, "Use IMAP.".to_owned());
        assert_eq!(owned, Reply::err_code(Code::SysPerm, "Use IMAP."));
        assert_eq!(encoded(&owned), "-ERR [SYS/PERM] Use IMAP.\r\n");
    }

    #[test]
    fn a_configured_text_can_neither_break_the_line_nor_exceed_it() {
        assert_eq!(encoded(&Reply::ok("a\r\nb\u{101}")), "+OK a??b?\r\n");
        assert_eq!(encoded(&Reply::ok("x".repeat(9_999))).len(), MAX_REPLY);
    }
}
