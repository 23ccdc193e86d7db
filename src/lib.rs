//! lastpop
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
pub mod admin;
pub mod check;
pub mod cli;
pub mod config;
pub mod imap;
pub mod listener;
pub mod logging;
pub mod metrics;
pub mod net;
pub mod pop3;
pub mod random;
pub mod serve;
pub mod session;
pub mod slots;
pub mod uidl;
