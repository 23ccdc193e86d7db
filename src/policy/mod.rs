//! What POP3 does for a user, and why: modes, the rules that decide, and what a refused client reads.

mod mode;

pub use mode::{Mode, Planned, Setting};
