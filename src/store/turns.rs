//! Whose turn is it to change policy?
//!
//! Every change raises one number, and the row of that number is locked until the change is committed: one that concerns
//! a million users locks it for a minute. Each of those who wait for it holds a connection to the database, so only
//! a few may; the others wait here, and hold nothing that a login needs.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::StoreError;

/// Changes of policy at once, of one proxy: a quarter of its connections. They go one after the other anyway.
const AT_ONCE: usize = 4;

/// How long somebody waits for a turn who waits for the answer as well; and then as long again for the row. An API
/// request has ten seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// The turns.
#[derive(Debug)]
pub(super) struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Turns {
    /// A turn, for as long as the value lives, for a change of one user or of one rule.
    pub(super) async fn soon(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        timeout(PATIENCE, self.take()).await.unwrap_or(Err(StoreError::Busy))
    }

    /// The same for a change of many users, however long it takes.
    pub(super) async fn take(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        // There always are turns: nobody takes them away.
        self.0.acquire().await.map_err(|_| StoreError::Busy)
    }
}
