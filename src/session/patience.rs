//! How long the state may hold up one login: all its questions share one limit, because a mail program waits for half a
//! minute, and the upstream needs its part of that.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::store::StoreError;

/// For all questions of one login together; each takes a millisecond.
const LOGIN: Duration = Duration::from_secs(10);

/// What is left of it.
#[derive(Debug)]
pub(super) struct Patience(Duration);

impl Patience {
    /// All of it.
    pub(super) const fn new() -> Self {
        Self(LOGIN)
    }

    /// The answer of the state, if it comes in time.
    pub(super) fn ask<T>(
        &mut self,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> impl Future<Output = Result<T, StoreError>> {
        let left = self.0;
        // Its own place: a question is some kilobytes, and the session that asks lives for longer.
        let answer = timeout(left, Box::pin(question));
        async move { self.wait(answer).await.unwrap_or(Err(StoreError::Silent)) }
    }

    /// The same for a question that knows a limit and an answer of its own.
    pub(super) fn wait<T>(&mut self, question: impl Future<Output = T>) -> impl Future<Output = T> {
        let question = Box::pin(question);
        async move {
            let begun = Instant::now();
            let answer = question.await;
            self.0 = self.0.saturating_sub(begun.elapsed());
            answer
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_questions_share_one_limit() {
        let (mut patience, begun) = (Patience::new(), Instant::now());
        let slow = async || {
            sleep(LOGIN * 2 / 3).await;
            Ok(1)
        };
        assert!(matches!(patience.ask(slow()).await, Ok(1)));
        assert!(matches!(patience.ask(slow()).await, Err(StoreError::Silent)));
        assert_eq!(begun.elapsed(), LOGIN);
        // What is known at once is known.
        assert!(matches!(patience.ask(async { Ok(2) }).await, Ok(2)));
        assert!(matches!(patience.ask(slow()).await, Err(StoreError::Silent)));
        assert_eq!(begun.elapsed(), LOGIN);
    }
}
