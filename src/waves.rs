//! The task that carries out waves: each second it looks for steps whose time has come. Every proxy does; whoever is
//! first carries a step out, and the others find that it is done.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::metrics::{Metrics, WaveShown};
use crate::store::waves::{Due, Fired, Progress};
use crate::store::{Configured, Moves, Store, StoreError};

/// How often steps are looked for: one whose time has come waits for no longer than this, and for those before it.
const LOOK: Duration = Duration::from_secs(1);

/// How long a step may take: that of ten million users takes minutes. A connection through a firewall that forgot it
/// hangs for longer.
const STEP: Duration = Duration::from_mins(30);

/// How long anything else may take: counting ten million members takes a minute.
const QUESTION: Duration = Duration::from_mins(5);

/// How often progress is shown.
const SHOW: Duration = Duration::from_secs(15);

/// How often rows of imports that nobody ended are looked for. They are removed when they are a day old.
const SWEEP: Duration = Duration::from_hours(1);

/// Carries out waves until `stop`; a step that has begun is carried out to its end. `configured` gives the modes of
/// the configuration that is in force, `now` the time in Unix seconds.
pub async fn run(
    store: &Store,
    metrics: &Metrics,
    configured: impl Fn() -> Configured + Sync,
    now: impl Fn() -> i64 + Sync,
    stop: &CancellationToken,
) {
    // Neither waits for the other. What fails of what is done besides is done the next time; that the store is away,
    // the steps tell.
    let besides = stop.run_until_cancelled(async {
        tokio::join!(
            every(SHOW, || async { drop(within(QUESTION, show(store, metrics, now())).await) }),
            every(SWEEP, || async { drop(within(QUESTION, store.remove_abandoned(now())).await) }),
        )
    });
    tokio::join!(carry_out(store, metrics, &configured, &now, stop), besides);
}

/// Carries out steps whose time has come.
async fn carry_out(
    store: &Store,
    metrics: &Metrics,
    configured: impl Fn() -> Configured,
    now: impl Fn() -> i64,
    stop: &CancellationToken,
) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut well = true;
    while stop.run_until_cancelled(look.tick()).await.is_some() {
        let fired = fire(store, metrics, &configured, now(), stop).await;
        match &fired {
            Ok(()) if !well => tracing::info!("waves are carried out again"),
            Err(error) if well => {
                tracing::error!(%error, "a wave cannot be carried out; it is tried again each second");
            }
            _ => {}
        }
        well = fired.is_ok();
    }
}

async fn every<F: Future<Output = ()>>(period: Duration, work: impl Fn() -> F) {
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        work().await;
    }
}

async fn within<T>(
    longest: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(longest, work).await.unwrap_or(Err(StoreError::Slow))
}

/// Carries out what is due. One that fails holds up its own wave, and no other.
async fn fire(
    store: &Store,
    metrics: &Metrics,
    configured: impl Fn() -> Configured,
    now: i64,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let mut failed = Ok(());
    for due in within(QUESTION, store.due_steps(now)).await? {
        // Another proxy goes on, or this one when it is there again.
        if stop.is_cancelled() {
            break;
        }
        let configured = configured();
        match within(STEP, store.fire_step(&due, &configured, now)).await {
            Ok(Some(fired)) => {
                log(&due, &fired, now);
                count(store, metrics, &configured, &fired, now);
            }
            // Another proxy was first, or somebody has paused it.
            Ok(None) => {}
            Err(error) => {
                metrics.waves.failures.inc();
                failed = Err(error);
            }
        }
    }
    failed
}

fn log(due: &Due, fired: &Fired, now: i64) {
    let Fired { mode, at, users, finished, batch, .. } = fired;
    let Due { wave, step } = due;
    let late = now - at;
    tracing::info!(%wave, step, %mode, users, late, finished, batch, "a step of a wave was carried out");
}

fn count(store: &Store, metrics: &Metrics, configured: &Configured, fired: &Fired, now: i64) {
    let mode = fired.mode.as_str();
    metrics.waves.steps_fired.with_label_values(&[mode]).inc();
    metrics.waves.step_users.with_label_values(&[mode]).inc_by(fired.users);
    count_moves(store, metrics, configured, &fired.moves, now);
}

/// Counts changes of many users by the modes that were and are in force. `now` is in Unix seconds.
pub fn count_moves(store: &Store, metrics: &Metrics, configured: &Configured, moves: &[Moves], now: i64) {
    for Moves { domain, from, to, users, .. } in moves {
        let [from, to] = [from, to].map(|own| store.in_force(*own, domain, configured, now).as_str());
        metrics.policy.changes.with_label_values(&["user", from, to]).inc_by(*users);
    }
}

/// Shows how far the waves are.
async fn show(store: &Store, metrics: &Metrics, now: i64) -> Result<(), StoreError> {
    let shown = |progress: Progress| WaveShown {
        wave: progress.wave.to_string(),
        users: progress.users.map(|users| [users.moved, users.left_alone, users.waiting]),
        steps: [progress.fired, progress.due, progress.planned],
    };
    let waves: Vec<WaveShown> = store.wave_progress(now).await?.into_iter().map(shown).collect();
    metrics.waves.show(&waves);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::{CreateWave, Step, Target};
    use crate::config::StateUrl;
    use crate::import::Row;
    use crate::policy::Mode;
    use crate::store::waves::Order;
    use crate::users::UserName;

    const NOW: i64 = 1_790_000_000;

    /// A state with a wave of two users, two steps of which are due.
    async fn due() -> (tempfile::TempDir, Store, Configured) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&StateUrl::Sqlite(directory.path().join("state.db")), NOW).await.unwrap();
        let configured = Configured { mode: Mode::Pop3, domains: BTreeMap::new() };
        let step = |at: i64, mode| Step { at: jiff::Timestamp::from_second(NOW + at).unwrap(), mode };
        let new = CreateWave {
            name: "first".parse().unwrap(),
            target: Target::Csv,
            steps: vec![step(-60, Mode::Notice), step(-5, Mode::Brownout), step(60, Mode::ImapOnly)]
                .try_into()
                .unwrap(),
            reason: "a test".parse().unwrap(),
            dry_run: false,
        };
        let name = store.create_wave(&new, "ilze", NOW).await.unwrap().name;
        let member = |name| Row { user: UserName::stored(name), mode: None, from: None, language: None };
        let list = store.begin_import("ilze", "a test", NOW).await.unwrap();
        store.stage(&list, &["anna@x", "bob@y"].map(member)).await.unwrap();
        store.add_members(&name, &list, false).await.unwrap();
        let order = Order { actor: "ilze", reason: "a test", dry_run: false, now: NOW };
        store.start_wave(&name, &order, &configured).await.unwrap();
        (directory, store, configured)
    }

    #[tokio::test]
    async fn no_step_begins_at_shutdown() {
        let (_directory, store, configured) = due().await;
        let (metrics, stop) = (Metrics::new(&[]).unwrap(), CancellationToken::new());
        // It is asked for the first step, and that one is carried out to its end.
        let asked = || {
            stop.cancel();
            configured.clone()
        };
        fire(&store, &metrics, asked, NOW, &stop).await.unwrap();
        assert_eq!(store.due_steps(NOW).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_is_due_is_carried_out_and_counted() {
        let (_directory, store, configured) = due().await;
        let metrics = Metrics::new(&[]).unwrap();
        for _ in 0..2 {
            fire(&store, &metrics, || configured.clone(), NOW, &CancellationToken::new()).await.unwrap();
            show(&store, &metrics, NOW).await.unwrap();
            let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
            for series in [
                "lastpop_wave_steps_fired_total{mode=\"notice\"} 1",
                "lastpop_wave_step_users_total{mode=\"brownout\"} 2",
                "lastpop_mode_changes_total{from=\"pop3\",subject=\"user\",to=\"notice\"} 2",
                "lastpop_mode_changes_total{from=\"notice\",subject=\"user\",to=\"brownout\"} 2",
                "lastpop_wave_users{state=\"moved\",wave=\"first\"} 2",
                "lastpop_wave_steps{state=\"fired\",wave=\"first\"} 2",
                "lastpop_wave_steps{state=\"planned\",wave=\"first\"} 1",
                "lastpop_wave_step_failures_total 0",
            ] {
                assert!(text.contains(series), "{series}");
            }
        }
    }
}
