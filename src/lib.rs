//! lastpop
pub mod imap;
pub mod net;
pub mod pop3;
pub mod random;
pub mod uidl;
