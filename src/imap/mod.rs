//! IMAP as a client speaks it, as far as a POP3 session needs it (RFC 3501, RFC 9051).
//!
//! Nothing here knows that POP3 exists. Read in this order:
//!
//! 1. [`command`]: what can be said. The closed set is the guarantee that nothing is ever removed.
//! 2. [`set`]: UIDs as sequence sets.
//! 3. [`frame`]: lines and literals out of a byte buffer.
//! 4. [`response`], [`fetch`], [`date`], [`quota`], [`capability`]: one response to a value, with nom.
//! 5. [`reader`]: responses and streamed literals from a connection.
//! 6. [`client`]: one connection, from the greeting to LOGOUT; [`opening`], [`login`], [`listing`], [`mailbox`] and
//!    [`unhide`] hold its verbs, and [`snapshot`] what is kept of a listing for the next time.
//! 7. [`master`], [`acting`]: any user's mailbox by master credentials, with few of these verbs.
//!
//! Servers whose deviations are tolerated on purpose: missing text after a status, trailing spaces in
//! CAPABILITY, an empty `+`, flags with `[`, `]` or spaces in them, unknown response codes, FETCH items in
//! any order, responses that nobody asked for at any moment, a missing UIDNEXT, literal8 for any string,
//! lines that end in a bare LF.

pub mod acting;
mod ahead;
pub mod capability;
pub mod client;
pub mod command;
pub mod date;
pub mod error;
pub mod fetch;
pub mod flag;
pub mod frame;
pub mod listing;
pub mod login;
pub mod mailbox;
pub mod master;
pub mod opening;
pub mod quota;
pub mod reader;
pub mod response;
pub mod set;
pub mod snapshot;
mod tag;
#[cfg(test)]
mod tests;
pub mod unhide;

pub use acting::ActingClient;
pub use capability::Capabilities;
pub use client::Client;
pub use error::Error;
pub use flag::Keyword;
pub use listing::Mailbox;
pub use master::{Form, Master, Separator};
pub use quota::Quota;
pub use snapshot::{Listed, Snapshot};
pub use unhide::Unhidden;
