//! What keys must agree on with each other. Each message names both and says what to do.

use std::time::Duration;

use super::{Config, ListenTls, Plaintext};

/// RFC 1939 §3: the autologout timer must be of at least ten minutes.
const SHORTEST_IDLE: Duration = Duration::from_mins(10);

/// The first disagreement.
pub(super) fn check(config: &Config) -> Result<(), String> {
    if config.listen.is_empty() {
        return Err("there is no [[listen]], so nobody could connect: add at least one".to_owned());
    }
    if config.upstream.address.is_empty() {
        return Err("upstream.address is missing: set it to the host:port of your IMAP server".to_owned());
    }
    for (at, listen) in config.listen.iter().enumerate() {
        let which = format!("listen[{at}] ({})", listen.address);
        if listen.tls != ListenTls::None && config.tls.certificates.is_empty() {
            return Err(format!(
                "{which} has tls = \"{}\", but tls.certificates is empty: name a certificate and its key there",
                listen.tls.label()
            ));
        }
        if listen.tls == ListenTls::None
            && listen.plaintext.unwrap_or(config.login.plaintext) == Plaintext::TlsOnly
        {
            return Err(format!(
                "{which} has tls = \"none\" while login.plaintext is \"tls-only\", so nobody could log in there: \
                 offer TLS, or set plaintext = \"always\" on that listener"
            ));
        }
    }
    if config.limits.idle_timeout < SHORTEST_IDLE {
        return Err(
            "limits.idle_timeout is under 10m: RFC 1939 section 3 forbids that, and clients that work \
            on a message between two commands would lose their session"
                .to_owned(),
        );
    }
    Ok(())
}
