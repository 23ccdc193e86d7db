//! What other proxies change, in force here within a second: by their messages, and by looking at the generation for
//! whoever missed one. The same look tells whether the state store is there at all.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::session::Context;
use crate::store::{Concerns, Message, Messages, StoreError};

/// How often the generation is looked at: the longest that a flip on another proxy takes to hold here.
const LOOK: Duration = Duration::from_secs(1);

/// Follows the other proxies until `stop`.
pub async fn follow(cx: Arc<Context>, stop: CancellationToken) {
    stop.run_until_cancelled(async {
        let mut messages = None;
        let mut up = true;
        let mut unreadable = Arc::default();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let heard = tokio::select! {
                message = next(&mut messages) => Some(message),
                _ = look.tick() => None,
            };
            let before = cx.store.generation();
            let result = match heard {
                Some(Ok(message)) => heed(&cx, message).await,
                // Is it the connection alone that was lost, or the store?
                Some(Err(_)) | None => seen(&cx, &mut messages).await,
            };
            let generation = cx.store.generation();
            cx.metrics.store.up.set(i64::from(result.is_ok()));
            cx.metrics.store.generation.set(generation);
            if generation < before {
                tracing::error!(
                    before,
                    generation,
                    "the state is older than it was a moment ago: are the newest changes of modes lost? The audit \
                    trail has all that are left"
                );
            }
            tell_unreadable(&cx, &mut unreadable);
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

/// Says when there are rules that are not in force here because they cannot be understood, and when there are others.
fn tell_unreadable(cx: &Context, told: &mut Arc<Vec<String>>) {
    let unreadable = cx.store.domains().unreadable();
    if unreadable != *told {
        if let Some(first) = unreadable.first() {
            let domains = unreadable.len();
            tracing::error!(
                domains,
                first,
                "rules of domains are not in force here: they cannot be understood"
            );
        } else {
            tracing::info!("all rules of domains are in force here again");
        }
        *told = unreadable;
    }
}

/// Looks at the generation, and makes sure that later messages are heard.
async fn seen(cx: &Context, messages: &mut Option<Messages>) -> Result<(), StoreError> {
    let before = cx.store.generation();
    if let Some(listening) = messages
        && let Ok(found) = listening.look().await
    {
        // First what was said until then: it says more than a number.
        while let Some(message) = listening.heard() {
            heed(cx, message).await?;
        }
        return cx.store.looked(before, found).await;
    }
    // Nothing that is known is doubted before it is known whether there is anybody to ask: logins would wait for that.
    let looked = cx.store.look().await;
    *messages = None;
    looked?;
    match cx.store.messages().await {
        Ok(Some(listening)) => {
            *messages = Some(listening);
            // What was changed before we listened.
            cx.store.look().await
        }
        // Some servers pass nothing on. They are asked: each second for the generation, at each login for the user.
        Ok(None) | Err(_) => Ok(()),
    }
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
        Message::Changed(generation, concerns) => {
            cx.store.changed(generation, &concerns).await?;
            if let Concerns::User(user) = &concerns {
                cx.store.read_again(user).await;
            }
        }
        Message::Outdated(user) => {
            cx.store.outdated(&user);
            cx.store.read_again(&user).await;
        }
        Message::Kick(user) => cx.live.kick_user(&user),
    }
    Ok(())
}
