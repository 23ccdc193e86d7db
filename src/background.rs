//! Tasks that run beside the sessions, for as long as the process does: if one ends by itself, such as in a panic, the
//! process must not go on as if nothing had happened.

use tokio::sync::mpsc;

/// Knows which tasks have ended.
#[derive(Debug)]
pub struct Background {
    tell: mpsc::UnboundedSender<&'static str>,
    ended: mpsc::UnboundedReceiver<&'static str>,
}

impl Default for Background {
    fn default() -> Self {
        let (tell, ended) = mpsc::unbounded_channel();
        Self { tell, ended }
    }
}

impl Background {
    /// The same task, whose end is noticed, in whatever way it comes.
    pub fn watched<F: Future>(
        &self,
        name: &'static str,
        task: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        let end = End { name, tell: self.tell.clone() };
        async move {
            let _end = end;
            task.await
        }
    }

    /// Waits until a task has ended, and gives its name.
    pub async fn ended(&mut self) -> &'static str {
        match self.ended.recv().await {
            Some(name) => name,
            // Never: we could tell as well.
            None => std::future::pending().await,
        }
    }
}

/// Tells when it is dropped, which a panic does as well.
struct End {
    name: &'static str,
    tell: mpsc::UnboundedSender<&'static str>,
}

impl Drop for End {
    fn drop(&mut self) {
        // Nobody listens any more once the process is ending.
        let _ = self.tell.send(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_task_is_noticed_however_it_comes() {
        let mut background = Background::default();
        let ever = tokio::spawn(background.watched("ever", std::future::pending::<()>()));
        tokio::spawn(background.watched("done", async {}));
        assert_eq!(background.ended().await, "done");
        let panics = tokio::spawn(background.watched("panics", async { panic!("on purpose") }));
        assert_eq!(background.ended().await, "panics");
        panics.await.expect_err("a panic");
        ever.abort();
        assert_eq!(background.ended().await, "ever");
    }
}
