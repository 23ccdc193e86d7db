//! What all sessions know of the upstream between them: its habits, its mailboxes as they were, and connections that
//! wait for somebody.

use super::habits::Habits;
use super::maildrops::Maildrops;
use super::reserve::Reserve;
use crate::config::{Cache, Opening, Upstream};

/// One upstream, across sessions.
#[derive(Debug)]
pub struct Server {
    /// How it likes to be spoken to.
    pub habits: Habits,
    /// Everything at once, where it likes that?
    pub at_once: bool,
    /// What users' mailboxes held.
    pub maildrops: Maildrops,
    /// Connections on which nobody is logged in yet.
    pub reserve: Reserve,
}

impl Server {
    /// Nothing is known yet.
    pub fn new(upstream: &Upstream, cache: &Cache) -> Self {
        Self {
            habits: Habits::default(),
            at_once: upstream.opening == Opening::Auto,
            maildrops: Maildrops::new(cache.maildrops.0),
            reserve: Reserve::new(upstream.reserve),
        }
    }
}
