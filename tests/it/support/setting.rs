//! How much of something a test does, where the environment may say otherwise.

use std::str::FromStr;

/// The number in the environment variable `name`, or `default`.
pub(crate) fn setting<T: FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}
