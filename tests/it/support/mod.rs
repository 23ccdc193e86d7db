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
