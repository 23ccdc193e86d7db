//! Connections to the upstream on which nobody is logged in yet, made before they are needed: whoever logs in finds one
//! that is greeted, and does not wait for TCP, TLS and the greeting.
//!
//! There are as many as are used: one more for every login that found none, one fewer for each that nobody wanted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::context::{Context, Settings};
use super::enter::Connected;

/// How long one waits for somebody. Servers end connections without a login after one to three minutes.
const WAITS: Duration = Duration::from_secs(20);

/// The reserve of one upstream.
#[derive(Debug)]
pub struct Reserve {
    /// `upstream.reserve`
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many there should be.
    wanted: usize,
    dialing: usize,
    ready: VecDeque<(u64, Connected)>,
    /// The number of the next one.
    next: u64,
}

impl Reserve {
    /// An empty one of so many at most.
    pub fn new(most: u32) -> Self {
        Self { most: most as usize, state: Mutex::default() }
    }

    /// May there be any?
    pub const fn is_wanted(&self) -> bool {
        self.most > 0
    }

    /// The newest of those that wait and are still alive. Others are made in its place.
    pub fn take(&self, settings: &Arc<Settings>, cx: &Arc<Context>) -> Option<Connected> {
        if !self.is_wanted() {
            return None;
        }
        let mut found = None;
        while found.is_none() {
            let Some((_, mut connected)) = self.state().ready.pop_back() else { break };
            // A server that says something now says that it is going.
            if connected.client.is_quiet() {
                found = Some(connected);
            }
        }
        if found.is_none() {
            let mut state = self.state();
            state.wanted = (state.wanted + 1).min(self.most);
        }
        self.fill(settings, cx);
        found
    }

    fn fill(&self, settings: &Arc<Settings>, cx: &Arc<Context>) {
        if cx.draining.is_cancelled() {
            return;
        }
        let missing = {
            let mut state = self.state();
            let missing = state.wanted.saturating_sub(state.dialing + state.ready.len());
            state.dialing += missing;
            missing
        };
        for _ in 0..missing {
            let (settings, cx) = (Arc::clone(settings), Arc::clone(cx));
            tokio::spawn(async move { settings.server.reserve.make(&settings, &cx).await });
        }
    }

    /// Makes one, and takes it away again if nobody wants it.
    async fn make(&self, settings: &Settings, cx: &Arc<Context>) {
        let dialed = Connected::dial(settings, cx).await;
        let number = {
            let mut state = self.state();
            state.dialing -= 1;
            match dialed {
                Ok(connected) => {
                    state.next += 1;
                    let number = state.next;
                    state.ready.push_back((number, connected));
                    number
                }
                Err(error) => {
                    // Whoever logs in finds out, and says so.
                    tracing::debug!(%error, "no connection for the reserve");
                    state.wanted = 0;
                    return;
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(WAITS) => {}
            () = cx.draining.cancelled() => {}
        }
        let unwanted = {
            let mut state = self.state();
            let at = state.ready.iter().position(|(ready, _)| *ready == number);
            let unwanted = at.and_then(|at| state.ready.remove(at));
            state.wanted -= usize::from(unwanted.is_some() && state.wanted > 0);
            unwanted
        };
        if let Some((_, connected)) = unwanted {
            connected.logout().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
