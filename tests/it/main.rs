//! lastpop as its users meet it: the real binary between real clients and a real Dovecot; and the rules that
//! its source is held to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod admin;
mod capabilities;
mod clients;
mod command_line;
mod commands;
mod corpus;
mod differential;
mod family;
mod imap_client;
mod lifecycle;
mod modes;
mod nothing_removed;
mod notices;
mod operations;
mod oracle;
mod script;
mod snapshots;
mod store;
mod support;
mod tidy;
mod trouble;
mod unhide;
mod upstream_tls;
mod usage;
