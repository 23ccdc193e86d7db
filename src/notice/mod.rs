//! The notice: a message that exists only in POP3 and tells a customer to switch to IMAP.
//!
//! An administrator writes it as a [`Template`]: a short header, a text and a page of HTML. [`Templates`] holds
//! all of them and knows which one a user gets. [`render()`] makes the message from a template and the
//! [`Facts`] about a user, and [`unique_id()`] gives it the name that clients know it by. Nothing here reads
//! a file or a clock, so the same facts give the same octets, in every session and on every proxy.

mod choice;
mod encode;
mod header;
mod identity;
mod placeholder;
mod problem;
mod render;
mod template;
mod words;

#[cfg(test)]
mod tests;

pub use choice::{Chosen, Templates};
pub use identity::unique_id;
pub use placeholder::Placeholder;
pub use problem::{MAX_TEMPLATE, Problem, TemplateError};
pub use render::{Facts, MAX_MESSAGE, render};
pub use template::Template;
pub use words::{Campaign, Kind};
