//! Passwords that the upstream has accepted from users whom we refuse.
//!
//! A mail program that is refused comes again every few minutes, for years. The refusal is told only to whoever has
//! the password, so each time the upstream would have to check it; for a while it is enough that it is the
//! same as the last time. What is kept is a keyed hash, whose key dies with the process.

use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::users::UserName;

/// Users that are remembered: 100 octets each. Who falls out is checked once more.
const MOST: usize = 100_000;

/// Who was checked, and when.
#[derive(Debug)]
pub struct Verified {
    key: hmac::Key,
    users: Cache<UserName, (hmac::Tag, Instant)>,
}

impl Default for Verified {
    fn default() -> Self {
        let mut key = [0; 32];
        // Without randomness no TLS works either, and the hash of a secret in our own memory needs none.
        let _ = rand::fill(&mut key);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), users: Cache::new(MOST) }
    }
}

impl Verified {
    /// The upstream has accepted this password just now.
    pub fn remember(&self, user: &UserName, password: &[u8]) {
        self.users.insert(user.clone(), (hmac::sign(&self.key, password), Instant::now()));
    }

    /// Has it accepted this one within the last `within`? Takes the same time for every wrong one.
    pub fn holds(&self, user: &UserName, password: &[u8], within: Duration) -> bool {
        self.users.get(user).is_some_and(|(tag, at)| {
            at.elapsed() < within && hmac::verify(&self.key, password, tag.as_ref()).is_ok()
        })
    }

    /// A password was refused: what was right before may be so no more.
    pub fn forget(&self, user: &UserName) {
        self.users.remove(user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_same_password_and_only_for_a_while() {
        let verified = Verified::default();
        let (anna, hour) = (UserName::stored("anna"), Duration::from_hours(1));
        assert!(!verified.holds(&anna, b"secret", hour));
        verified.remember(&anna, b"secret");
        assert!(verified.holds(&anna, b"secret", hour));
        assert!(!verified.holds(&anna, b"Secret", hour));
        assert!(!verified.holds(&UserName::stored("bob"), b"secret", hour));
        tokio::time::advance(hour).await;
        assert!(!verified.holds(&anna, b"secret", hour));
        verified.remember(&anna, b"secret");
        verified.forget(&anna);
        assert!(!verified.holds(&anna, b"secret", hour));
    }
}
