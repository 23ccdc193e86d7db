//! When the ledger does what: it writes who is due, and one proxy of all does the upkeep; at shutdown everything
//! is written.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::summary::Rules;
use super::{seconds, upkeep};
use crate::session::Context;
use crate::store::{Store, StoreError};

/// How often is looked for who is due. "At once" means within this time.
const TICK: Duration = Duration::from_secs(2);

/// How long the state may take to come back at shutdown before what is not written is given up.
const FAREWELL: Duration = Duration::from_secs(10);

/// How often days are counted again, and old usage is forgotten.
const HOURLY: Duration = Duration::from_hours(1);

/// How long ending a lease may hold up the shutdown.
const END: Duration = Duration::from_secs(2);

/// For how long a proxy may be unsure whether something was written. A start leaves a handful of rows for that.
const WRITERS: Duration = Duration::from_hours(30 * 24);

/// The leases.
const SUMMARY: &str = "summary";
const DAILY: &str = "daily";
const RETENTION: &str = "retention";

/// Writes what is due, and does the upkeep, until `stop`; then writes all that is left. To be stopped after the
/// last session, and before the state is closed.
pub async fn run(cx: Arc<Context>, stop: CancellationToken) {
    let upkeep = stop.run_until_cancelled(async {
        tokio::join!(
            every(cx.usage.config.summary_interval, "summing up users", || summed_up(&cx)),
            every(HOURLY, "counting active users", || counted(&cx)),
            every(HOURLY, "forgetting old usage", || forgotten(&cx)),
        )
    });
    tokio::join!(upkeep, write(&cx, &stop));
    end_leases(&cx.store).await;
}

async fn write(cx: &Context, stop: &CancellationToken) {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = false;
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => {}
            () = cx.usage.full.notified() => {}
        }
        // Once the drain has begun, nothing is gained by waiting.
        let written = cx.usage.flush(&cx.store, now(), cx.draining.is_cancelled()).await;
        told(&mut away, &written);
        if written.is_err() {
            // However much more is learnt meanwhile.
            stop.run_until_cancelled(sleep(TICK)).await;
        }
    }
    let mut away_since = Instant::now();
    loop {
        let written = cx.usage.flush(&cx.store, now(), true).await;
        told(&mut away, &written);
        match written {
            Ok(()) => return,
            Err(StoreError::Busy) => away_since = Instant::now(),
            Err(_) if away_since.elapsed() < FAREWELL => {}
            Err(_) => {
                let users = cx.usage.unwritten();
                cx.usage.lost(users);
                tracing::error!(
                    users,
                    "what was learnt about these users' use of POP3 cannot be written, and is lost"
                );
                return;
            }
        }
        sleep(TICK / 2).await;
    }
}

/// Says once that it cannot be written, and once that it can.
fn told(away: &mut bool, written: &Result<(), StoreError>) {
    match written {
        Err(StoreError::Busy) => {}
        Err(error) => {
            if !*away {
                tracing::warn!(
                    %error,
                    "usage cannot be written: it is kept in memory, for as many users as usage.pending_users says"
                );
            }
            *away = true;
        }
        Ok(()) => {
            if *away {
                tracing::info!("usage can be written again: all that was learnt meanwhile is written");
            }
            *away = false;
        }
    }
}

async fn every<F: Future<Output = Result<(), StoreError>>>(
    period: Duration,
    what: &'static str,
    work: impl Fn() -> F,
) {
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = work().await {
            tracing::warn!(%error, "{what} did not work; it is tried again in {period:?}");
        }
    }
}

/// Is it this proxy's turn? Who has it keeps it; when that proxy is gone, another one takes over.
async fn leased(cx: &Context, name: &str, period: Duration) -> Result<bool, StoreError> {
    let period = seconds(period);
    cx.store.lease(name, now(), period + period / 2 + 1).await
}

/// Lets other proxies go on with it.
async fn end_leases(store: &Store) {
    let ends = async {
        for lease in [SUMMARY, DAILY, RETENTION] {
            // It runs out by itself.
            let _ = store.end_lease(lease).await;
        }
    };
    let _ = timeout(END, ends).await;
}

async fn summed_up(cx: &Context) -> Result<(), StoreError> {
    if leased(cx, SUMMARY, cx.usage.config.summary_interval).await? {
        let settings = cx.settings.load_full();
        let rules = Rules {
            state: cx.store.domains().all(),
            configured: &settings.domains,
            default: settings.policy.mode,
            now: now(),
        };
        upkeep::sum_up(&cx.store, &rules, cx.usage.users_most).await?;
    }
    cx.usage.read_snapshot(&cx.store, now()).await
}

async fn counted(cx: &Context) -> Result<(), StoreError> {
    if leased(cx, DAILY, HOURLY).await? {
        upkeep::count_days(&cx.store, now()).await?;
    }
    Ok(())
}

async fn forgotten(cx: &Context) -> Result<(), StoreError> {
    if leased(cx, RETENTION, HOURLY).await? {
        let now = now();
        let before = now - seconds(cx.usage.config.retention);
        cx.store.forget_writers(now - seconds(WRITERS)).await?;
        let users = upkeep::forget(&cx.store, before).await?;
        if users > 0 {
            tracing::info!(users, "the usage of users who were not here within usage.retention is forgotten");
        }
    }
    Ok(())
}

/// Unix seconds.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
