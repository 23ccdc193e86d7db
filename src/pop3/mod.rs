//! POP3 as a server speaks it: bytes to values, and the decisions of RFC 1939.
//!
//! Nothing here knows that IMAP exists, reads a clock, logs, or waits. Read in this order:
//!
//! 1. [`mod@line`]: bounded command lines out of a byte buffer (RFC 1939 §3, RFC 2449 §4).
//! 2. [`command`]: one line to one [`Command`].
//! 3. [`sasl`]: the exchanges behind `AUTH` (RFC 5034, RFC 4616).
//! 4. [`authorization`]: the AUTHORIZATION state.
//! 5. [`maildrop`]: the numbered list that a session sees, and the one gate for message numbers.
//! 6. [`transaction`]: the TRANSACTION state, and the only maker of a [`QuitPlan`].
//! 7. [`reply`], [`capa`], [`dot`]: values to bytes.

pub mod authorization;
pub mod capa;
pub mod command;
pub mod dot;
pub mod line;
pub mod maildrop;
pub mod reply;
pub mod sasl;
pub mod transaction;

pub use authorization::{AuthStep, Authorization};
pub use command::Command;
pub use maildrop::{Maildrop, Message, MsgNum, Source};
pub use reply::{Code, Reply};
pub use sasl::{Credentials, Mechanism};
pub use transaction::{Portion, QuitPlan, Step, Transaction};
