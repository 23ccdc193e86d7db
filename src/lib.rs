//! lastpop
pub mod config;
pub mod imap;
pub mod metrics;
pub mod net;
pub mod pop3;
pub mod random;
pub mod uidl;
