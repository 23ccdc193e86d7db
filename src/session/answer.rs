//! What a client may read when the upstream fails, and which label it gets: one match each.
//!
//! An outage is never called a wrong password, nor a wrong password an outage: `[AUTH]` makes mail programs
//! ask for the password again, `[SYS/TEMP]` makes them try later.

use super::open::Refused;
use crate::imap::Error;
use crate::imap::response::Reason;
use crate::pop3::{Code, Reply};

const LATER: &str = "The mailbox cannot be opened at the moment, and not because of your password; please \
    try again later.";
const IN_USE: &str = "The mailbox is in use by too many programs at once; please try again later.";
const ADMIN: &str = "The mail server asks you to contact your provider about this account.";

/// The answer to a password; `None` when it is wrong, which the state machine answers and counts.
pub fn to_login(refused: &Refused) -> Option<Reply> {
    if let Refused::Mode(refusal) = refused {
        return Some(refusal.reply.clone());
    }
    match kind(refused) {
        Kind::Credentials => None,
        Kind::InUse => Some(Reply::err_code(Code::InUse, IN_USE)),
        Kind::Mode | Kind::Permanent => Some(Reply::err_code(Code::SysPerm, ADMIN)),
        Kind::Temporary => Some(Reply::err_code(Code::SysTemp, LATER)),
    }
}

/// The label of a login that did not succeed, for metrics.
pub fn login_label(refused: &Refused) -> &'static str {
    match kind(refused) {
        Kind::Mode => "mode",
        Kind::Credentials => "bad_credentials",
        Kind::InUse => "too_many",
        Kind::Permanent => "permanent",
        Kind::Temporary => "upstream_unavailable",
    }
}

enum Kind {
    Credentials,
    Mode,
    InUse,
    Permanent,
    Temporary,
}

fn kind(refused: &Refused) -> Kind {
    let error = match refused {
        Refused::TooMany => return Kind::InUse,
        Refused::Mode(_) => return Kind::Mode,
        Refused::Store(_) => return Kind::Temporary,
        Refused::Upstream(error) => error,
    };
    match error {
        Error::Credentials => Kind::Credentials,
        Error::No { reason: Some(Reason::InUse), .. } | Error::Bye(Some(Reason::InUse)) => Kind::InUse,
        Error::No { reason: Some(Reason::ContactAdmin), .. } => Kind::Permanent,
        Error::No { .. }
        | Error::Bad { .. }
        | Error::Connect { .. }
        | Error::Tls { .. }
        | Error::ConnectTimeout { .. }
        | Error::Io(_)
        | Error::Closed
        | Error::Bye(_)
        | Error::Timeout
        | Error::Protocol(_)
        | Error::Incomplete
        | Error::Unusable(_) => Kind::Temporary,
    }
}

/// The process is about to end.
pub const RESTARTING: Reply =
    Reply::err_code(Code::SysTemp, "The server is being restarted; please try again in a minute.");
/// There are too many connections, in all or from this address.
pub const BUSY: Reply =
    Reply::err_code(Code::SysTemp, "Too many connections at the moment; please try again later.");
/// A message could not be read.
pub const NOT_NOW: Reply =
    Reply::err_code(Code::SysTemp, "The message cannot be read at the moment; try again later.");
/// RFC 1939 §6: QUIT's answer when not every message was taken out of the maildrop.
pub const NOT_ALL: Reply = Reply::err_code(
    Code::SysTemp,
    "Some deleted messages were not removed; they will be listed again next time.",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(error: Error) -> Option<String> {
        let mut out = Vec::new();
        to_login(&Refused::Upstream(error))?.encode(&mut out);
        Some(String::from_utf8_lossy(&out).split_whitespace().take(2).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn only_refused_credentials_are_a_wrong_password() {
        let no = |reason| Error::No { command: "LOGIN", reason };
        assert_eq!(answered(Error::Credentials), None);
        for error in [
            no(Some(Reason::Temporary)),
            no(Some(Reason::PrivacyRequired)),
            no(None),
            Error::Timeout,
            Error::Closed,
        ] {
            let text = format!("{error:?}");
            assert_eq!(answered(error).as_deref(), Some("-ERR [SYS/TEMP]"), "{text}");
        }
        assert_eq!(answered(no(Some(Reason::InUse))).as_deref(), Some("-ERR [IN-USE]"));
        assert_eq!(answered(Error::Bye(Some(Reason::InUse))).as_deref(), Some("-ERR [IN-USE]"));
        assert_eq!(answered(no(Some(Reason::ContactAdmin))).as_deref(), Some("-ERR [SYS/PERM]"));
    }
}
