//! What a server says it can do (RFC 3501 §7.2.1), as far as it matters here.

/// A capability that changes what is sent, or what an operator should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// `IMAP4rev1` (RFC 3501)
    Imap4Rev1,
    /// `IMAP4rev2` (RFC 9051)
    Imap4Rev2,
    /// `STARTTLS`
    StartTls,
    /// `LOGINDISABLED`: LOGIN must not be sent (RFC 3501 §6.2.3)
    LoginDisabled,
    /// `AUTH=PLAIN`
    AuthPlain,
    /// `SASL-IR` (RFC 4959)
    SaslIr,
    /// `ID` (RFC 2971)
    Id,
    /// `CONDSTORE` (RFC 7162)
    CondStore,
    /// `QRESYNC` (RFC 7162)
    QResync,
    /// `OBJECTID` (RFC 8474)
    ObjectId,
    /// `QUOTA` (RFC 9208)
    Quota,
}

/// Every capability with its word, in the order in which people are shown them.
pub const ALL: [(&str, Capability); 11] = [
    ("IMAP4rev1", Capability::Imap4Rev1),
    ("IMAP4rev2", Capability::Imap4Rev2),
    ("STARTTLS", Capability::StartTls),
    ("LOGINDISABLED", Capability::LoginDisabled),
    ("AUTH=PLAIN", Capability::AuthPlain),
    ("SASL-IR", Capability::SaslIr),
    ("ID", Capability::Id),
    ("CONDSTORE", Capability::CondStore),
    ("QRESYNC", Capability::QResync),
    ("OBJECTID", Capability::ObjectId),
    ("QUOTA", Capability::Quota),
];

/// A set of capabilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities(u16);

impl Capabilities {
    /// Reads the words behind `CAPABILITY`; extra spaces and unknown words are no error.
    pub fn parse(words: &[u8]) -> Self {
        let known = |word: &[u8]| ALL.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        let words = words.split(|octet| *octet == b' ');
        Self(words.filter_map(known).fold(0, |bits, (_, capability)| bits | 1 << *capability as u16))
    }

    /// Is it among them?
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & 1 << capability as u16 != 0
    }

    /// Is this a server that we can speak to at all?
    pub const fn is_imap4(self) -> bool {
        self.has(Capability::Imap4Rev1) || self.has(Capability::Imap4Rev2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let all = Capabilities::parse(b" imap4REV1  SASL-IR AUTH=PLAIN AUTH=X NEWTHING ");
        assert!(all.is_imap4() && all.has(Capability::SaslIr) && all.has(Capability::AuthPlain));
        assert!(!all.has(Capability::StartTls) && !all.has(Capability::Id));
        assert!(Capabilities::parse(b"IMAP4rev2").is_imap4());
        assert!(!Capabilities::parse(b"IMAP4rev12 IDLE").is_imap4());
        assert_eq!(Capabilities::parse(b"IMAP4").0, 0);
    }

    #[test]
    fn each_word_is_its_own() {
        for (name, capability) in ALL {
            let parsed = Capabilities::parse(name.as_bytes());
            assert!(ALL.iter().all(|(_, other)| parsed.has(*other) == (*other == capability)), "{name}");
        }
    }
}
