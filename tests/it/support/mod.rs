//! What the tests stand on: a real Dovecot, a running lastpop, and small clients for both sides.

pub(crate) mod api;
pub(crate) mod certificates;
pub(crate) mod clock;
pub(crate) mod desk;
pub(crate) mod dovecot;
pub(crate) mod imap;
pub(crate) mod pop3;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod promtool;
pub(crate) mod proxy;
pub(crate) mod relay;
pub(crate) mod setting;
pub(crate) mod wait;

/// Are the long tests asked for, with real numbers and real minutes (`IT_FULL=1`, `tests/run.sh --full`)?
pub(crate) fn is_full() -> bool {
    std::env::var_os("IT_FULL").is_some()
}
