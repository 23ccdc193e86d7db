//! What other proxies change, in force here within a second: by their messages, and by looking at the generation for
//! whoever missed one. The same look tells whether the state store is there at all.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::session::Context;
use crate::store::{Message, Messages, StoreError};

/// How often the generation is looked at: the longest that a flip on another proxy takes to hold here.
const LOOK: Duration = Duration::from_secs(1);

/// Follows the other proxies until `stop`.
pub async fn follow(cx: Arc<Context>, stop: CancellationToken) {
    stop.run_until_cancelled(async {
        let mut messages = None;
        let mut up = true;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let heard = tokio::select! {
                message = next(&mut messages) => Some(message),
                _ = look.tick() => None,
            };
            let result = match heard {
                Some(Ok(message)) => heed(&cx, message).await,
                Some(Err(error)) => {
                    messages = None;
                    Err(error)
                }
                None => seen(&cx, &mut messages).await,
            };
            cx.metrics.store.up.set(i64::from(result.is_ok()));
            cx.metrics.store.generation.set(cx.store.generation());
            match result {
                Ok(()) if !up => tracing::info!("the state store is back"),
                Err(error) if up => {
                    tracing::error!(%error, "the state store is away: sessions go on with what is known");
                }
                _ => {}
            }
            up = cx.metrics.store.up.get() == 1;
        }
    })
    .await;
}

/// Looks at the generation, after making sure that later messages are heard.
async fn seen(cx: &Context, messages: &mut Option<Messages>) -> Result<(), StoreError> {
    if messages.is_none() {
        *messages = cx.store.messages().await?;
    }
    cx.store.look().await
}

/// The next message; without a channel for them, never.
async fn next(messages: &mut Option<Messages>) -> Result<Message, StoreError> {
    match messages {
        Some(messages) => messages.next().await,
        None => std::future::pending().await,
    }
}

async fn heed(cx: &Context, message: Message) -> Result<(), StoreError> {
    match message {
        Message::Changed(generation, concerns) => cx.store.changed(generation, &concerns).await,
        Message::Outdated(user) => {
            cx.store.outdated(&user);
            Ok(())
        }
        Message::Kick(user) => {
            cx.live.kick_user(&user);
            Ok(())
        }
    }
}
