//! lastpop, the last POP3 server an ISP runs: a transparent POP3-to-IMAP migration proxy.
//!
//! Old mail clients speak POP3 to it, it speaks IMAP to the mail store. RETR becomes a streamed FETCH, DELE
//! becomes a flag that is set at QUIT, and nothing is ever removed. This page is the map of the code.
//!
//! # One session, from accept to close
//!
//! Read in this order, and never back:
//!
//! 1. [`listener`]: a connection is accepted, counted, and given a task.
//! 2. [`session`]: the three states of RFC 1939 §3 as three functions.
//! 3. [`pop3::command`], [`pop3::authorization`], [`session::authorization`]: lines become a user name and a
//!    password.
//! 4. [`session::open`], [`session::upstream`], [`imap::client`]: these open a mailbox upstream;
//!    [`session::verdict`] and [`policy`] say whether it is shown, with a [`notice`] or at all.
//! 5. [`pop3::maildrop`], [`pop3::transaction`], [`session::transaction`]: the mailbox as a numbered list,
//!    and what commands do to it.
//! 6. [`session::retr`], [`imap::reader`], [`pop3::dot`]: a message streams through.
//! 7. [`session::update`], [`imap::command`]: after QUIT, deleted messages are hidden.
//!
//! # Floors
//!
//! ```text
//! 4 process    cli/*, serve, check, listener, admin/*, fleet,
//!              usage/run, background, logging
//! 3 flow       session/*, usage/*, waves                         async; orchestrates, logs, counts
//! 2 peers      net/*, imap/{reader,client,login,mailbox,listing, async; each wraps one outside thing
//!              opening,ahead,unhide,acting}, metrics/*, slots, live,
//!              store/*, templates, secret
//! 1 decisions  pop3/{maildrop,authorization,transaction},        sync; no clock, no log
//!              policy/*, notice/*, family/*, import/*, uidl, users,
//!              config/*, api/*, usage/{days,delta,totals}, random
//! 0 words      pop3/{line,command,sasl,reply,capa,dot},          bytes <-> values
//!              imap/{command,flag,master,set,frame,response,
//!              fetch,date,quota,capability,snapshot,error},
//!              notice/{words,encode}, words
//! ```
//!
//! Imports go down, sideways only inside one folder, on the top floor, from `imap` to `net`, from `config` to what
//! it configures on its own floor (`uidl`, `users`, `policy`, `notice`), from `api` to `policy`, from `import` to
//! `api`, `policy` and `users`, and from `session` to `usage`. `pop3` does not know that IMAP exists, `imap` does not
//! know that POP3 exists; only `session` says both words, and `metrics` and `config` name what they need of either.
//! Floors 0 and 1 know no runtime, no log and no clock. Only floors 3 and 4 log and count. A test holds the code to
//! this.
//!
//! # What is absent on purpose
//!
//! - No IMAP command that removes anything: [`imap::command::Command`] cannot express one, and no flag can be
//!   stored that is not in [`imap::flag::Flag`].
//! - No UPDATE without QUIT: [`pop3::QuitPlan`] is made only from the proof that QUIT was read.
//! - No message on disk, and none in memory but what is asked for ahead of a reader in sequence, within a bound
//!   ([`imap::Client::body`]): bodies stream in pieces of some kilobytes, and a connection that is lost within one ends
//!   in a TCP reset ([`net::Connection::body_begins`]), so that half a message never looks whole.
//! - No text of a client or an upstream in a reply: [`pop3::Reply`] is made from our own sentences.
//! - No secret in a log: [`pop3::Credentials`], [`imap::command::Login`] and [`imap::Master`] print as `***`.
//! - No session by master credentials: only [`session::master`] logs in with them, and what it gets is an
//!   [`imap::ActingClient`], which knows no verb that reads a message or hides one.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod admin;
pub mod api;
pub mod background;
pub mod check;
pub mod cli;
pub mod config;
pub mod family;
pub mod fleet;
pub mod imap;
pub mod import;
pub mod listener;
pub mod live;
pub mod logging;
pub mod metrics;
pub mod net;
pub mod notice;
pub mod policy;
pub mod pop3;
pub mod random;
pub mod secret;
pub mod serve;
pub mod session;
pub mod slots;
pub mod store;
pub mod templates;
pub mod uidl;
pub mod usage;
pub mod users;
pub mod waves;
pub mod words;
