//! lastpop as its users meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]
mod oracle;
mod tidy;
