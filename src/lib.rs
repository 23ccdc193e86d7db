//! lastpop
pub mod pop3;
