//! Firing the steps of waves on time: each second whoever looks first does it, and all others find it done.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::session::Context;
use crate::store::StoreError;

/// How often steps are looked for: the longest that one is late.
const LOOK: Duration = Duration::from_secs(1);

/// Fires steps until `stop`.
pub async fn run(cx: Arc<Context>, stop: CancellationToken) {
    stop.run_until_cancelled(async {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            // A store that is away is told by whoever follows the fleet; the step is fired when it is back.
            let _ = fire(&cx, jiff::Timestamp::now().as_second()).await;
        }
    })
    .await;
}

/// Fires all steps that are due at `now`, in Unix seconds, and says how many this proxy has fired.
pub async fn fire(cx: &Context, now: i64) -> Result<usize, StoreError> {
    let mut done = 0;
    for due in cx.store.due_steps(now).await? {
        let configured = cx.settings.load().configured();
        let fired = match cx.store.fire_step(&due, &configured, now).await {
            Ok(Some(fired)) => fired,
            Ok(None) => continue,
            Err(error) => {
                tracing::error!(wave = %due.wave, step = due.step, %error, "a step of a wave could not be fired; it is tried again");
                return Err(error);
            }
        };
        done += 1;
        cx.metrics.policy.wave_steps.inc();
        cx.metrics.policy.wave_users.inc_by(fired.users);
        tracing::info!(
            wave = %due.wave, step = due.step, mode = fired.mode.as_str(), users = fired.users,
            late = now - fired.at, finished = fired.finished, "a step of a wave was fired"
        );
    }
    Ok(done)
}
