//! The capability list (RFC 2449 §5): what `CAPA` answers in each state, before and after STLS.

use super::sasl::Mechanism;

/// What decides which capabilities are true at this moment.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    /// STLS would be accepted now (RFC 2595 §4).
    pub stls: bool,
    /// A user name and password would be accepted now: after login, or where the connection allows it.
    pub login: bool,
}

impl Capabilities {
    /// Appends the lines of the list, without status line and without end.
    pub fn encode(self, out: &mut Vec<u8>) {
        let mut line = |text: &str| {
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(b"\r\n");
        };
        line("TOP");
        line("UIDL");
        line("RESP-CODES");
        line("AUTH-RESP-CODE");
        line("PIPELINING");
        // True as written: nothing that lies on the server is ever removed by age (RFC 2449 §6.7).
        line("EXPIRE NEVER");
        if self.stls {
            line("STLS");
        }
        if self.login {
            line("USER");
            line(&format!("SASL {}", Mechanism::NAMES.join(" ")));
        }
        line("IMPLEMENTATION lastpop");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(stls: bool, login: bool) -> String {
        let mut out = Vec::new();
        Capabilities { stls, login }.encode(&mut out);
        String::from_utf8(out).expect("capabilities are ASCII")
    }

    #[test]
    fn what_is_not_possible_is_not_offered() {
        assert!(lines(true, false).contains("\r\nSTLS\r\n"));
        assert!(!lines(true, false).contains("SASL"));
        assert!(!lines(true, false).contains("USER"));
        assert!(!lines(false, true).contains("STLS"));
        assert!(lines(false, true).contains("\r\nSASL PLAIN LOGIN\r\n"));
    }
}
