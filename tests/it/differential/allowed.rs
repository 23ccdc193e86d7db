//! Where lastpop and Dovecot's POP3 server answer differently on purpose, each with its reason.
//!
//! Measured with Dovecot 2.3.19. The differential tests fail on a difference that is not here, and
//! on an entry that is no longer a difference.

/// Differences that have one reason.
pub(crate) struct Allowed {
    /// The script in which they occur.
    pub(crate) script: &'static str,
    /// The labels of the steps that differ.
    pub(crate) steps: &'static [&'static str],
    /// Why lastpop is right, or why both are.
    pub(crate) reason: &'static str,
}

/// Answers to commands.
pub(crate) const COMMANDS: &[Allowed] = &[
    Allowed {
        script: "numbers",
        steps: &["LIST 1␠", "UIDL 1␠", "RETR 1␠", "DELE 1␠", "TOP 1 1␠"],
        reason: "RFC 1939 §3 neither allows nor forbids a space behind the last argument; devices send it",
    },
    Allowed {
        script: "a colon",
        steps: &["NOOP:", "RETR:1"],
        reason: "RFC 1939 §3: -ERR to what is not recognised; Dovecot 2.3.19 panics (event_reason_code_prefix)",
    },
    Allowed {
        script: "a long line",
        steps: &["NOOP and 600 octets"],
        reason: "RFC 2449 §4: a command has at most 255 octets",
    },
    Allowed {
        script: "superfluous arguments",
        steps: &["NOOP x", "STAT x", "RSET x"],
        reason: "RFC 1939 §5: these take no argument; Dovecot ignores it",
    },
    Allowed {
        script: "before login",
        steps: &["QUIT x", "CAPA x", "STLS x"],
        reason: "RFC 1939 §4, RFC 2449 §5, RFC 2595 §4: these take no argument; Dovecot ignores it",
    },
    Allowed {
        script: "before login",
        steps: &["USER"],
        reason: "RFC 1939 §7: the name is required; Dovecot waits for PASS to say so",
    },
    Allowed {
        script: "before login",
        steps: &["AUTH FOO"],
        reason: "RFC 3206 §4: [AUTH] speaks of credentials, and a mechanism that is not offered is none",
    },
    Allowed {
        script: "AUTH PLAIN =",
        steps: &["line 0"],
        reason: "RFC 3206 §4: [AUTH] speaks of credentials, and there were none",
    },
    Allowed {
        script: "AUTH PLAIN with half of it",
        steps: &["line 0"],
        reason: "RFC 3206 §4: [AUTH] speaks of credentials, and there were none",
    },
    Allowed {
        script: "AUTH PLAIN with no base64",
        steps: &["line 1"],
        reason: "RFC 3206 §4: [AUTH] speaks of credentials, and there were none",
    },
];

/// Messages.
pub(crate) const MESSAGES: &[Allowed] = &[
    Allowed {
        script: "NUL",
        steps: &["RETR", "TOP 1", "TOP 5", "TOP 1000", "TOP 99999999"],
        reason: "RFC 3501 §9: an IMAP literal holds no NUL, so Dovecot's IMAP gives 0x80 where its POP3 gives NUL",
    },
    Allowed {
        script: "first octet is a dot",
        steps: &["RETR", "TOP 0", "TOP 1", "TOP 5", "TOP 1000", "TOP 99999999"],
        reason: "RFC 1939 §3: a dot is stuffed on the first line too; Dovecot does not, so the client loses it",
    },
    Allowed {
        script: "nothing but dots",
        steps: &[
            "RETR",
            "TOP 0",
            "TOP 1",
            "TOP 5",
            "TOP 1000",
            "TOP 99999999",
            "NOOP after RETR",
            "NOOP after TOP 0",
            "NOOP after TOP 1",
            "NOOP after TOP 5",
            "NOOP after TOP 1000",
            "NOOP after TOP 99999999",
        ],
        reason: "RFC 1939 §3: Dovecot does not stuff the first line, so the message ends there and the rest is taken for replies",
    },
    Allowed {
        script: "no octets at all",
        steps: &["RETR", "TOP 0", "TOP 1", "TOP 5", "TOP 1000", "TOP 99999999"],
        reason: "RFC 1939 §3 and §5: nothing plus the final dot; Dovecot sends a CRLF that its own size of 0 denies",
    },
    Allowed {
        script: "blank line of CR CR LF",
        steps: &["TOP 0", "TOP 1"],
        reason: "RFC 5322 §2.1: a header ends with an empty line; Dovecot's TOP takes any line that begins with CR for one",
    },
];
