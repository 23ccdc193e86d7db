//! What one proxy does for all of them: summing up, counting who was here on a day, and forgetting.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::summary::{Recents, Rules, Snapshot, Sum, Summary};
use super::{Ledger, days};
use crate::metrics;
use crate::metrics::{FAMILIES, TLS_VERSIONS};
use crate::store::{Store, StoreError};

/// Days that are counted again each time: today, and those of which a proxy may not have written everything.
const LATE_DAYS: i64 = 2;

/// Between two statements that forget, so that others get at the database.
const PAUSE: Duration = Duration::from_millis(100);

/// Names of what is kept.
const NUMBERS: &str = "usage";
const RECENT: &str = "recent-users";
const KEY: &str = "user-hash-key";

/// Sums up all users, and keeps that for all proxies.
pub async fn sum_up(store: &Store, rules: &Rules<'_>, users_most: u32) -> Result<(), StoreError> {
    let now = rules.now;
    let mut sum = Sum::new(rules);
    store.groups(now, |group| sum.add(group)).await?;
    let summary = sum.end(&store.kinds(now - 30 * days::SECONDS).await?);
    let recent = Recents::new(store.recent(now, users_most).await?, rules, summary.seen);
    store.keep_summary(RECENT, now, &json(&recent)).await?;
    store.keep_summary(NUMBERS, now, &json(&summary)).await
}

/// Counts again who was here today and on the days before.
pub async fn count_days(store: &Store, now: i64) -> Result<(), StoreError> {
    let today = days::day(now);
    for day in today - LATE_DAYS..=today {
        store.count_active(day).await?;
    }
    Ok(())
}

/// Forgets the usage of all who were not here since `before`, in Unix seconds; says how many.
pub async fn forget(store: &Store, before: i64) -> Result<u64, StoreError> {
    let mut users = 0;
    loop {
        match store.forget_usage(before).await? {
            0 => return Ok(users),
            more => users += more,
        }
        sleep(PAUSE).await;
    }
}

impl Ledger {
    /// Reads what was summed up last, by whichever proxy, and shows it. `now` is in Unix seconds.
    pub async fn read_snapshot(&self, store: &Store, now: i64) -> Result<(), StoreError> {
        // Of the proxies that propose one at the same time, the first has its way.
        let proposed = [(); 3].map(|()| crate::random::session_id()).concat();
        let key = store.keep_first(KEY, now, &proposed).await?;
        let summary = parsed(store.summary(NUMBERS).await?)?;
        let recent = parsed(store.summary(RECENT).await?)?;
        show(&self.metrics, &summary, &self.snapshot.load().summary);
        self.snapshot.store(Arc::new(Snapshot { summary, recent, key }));
        Ok(())
    }
}

fn json(value: &impl serde::Serialize) -> String {
    // Numbers, texts and lists always have a form in JSON.
    serde_json::to_string(value).unwrap_or_default()
}

fn parsed<T: Default + serde::de::DeserializeOwned>(kept: Option<(i64, String)>) -> Result<T, StoreError> {
    let foreign = |error| StoreError::Foreign(format!("a summary that cannot be read ({error})"));
    kept.map_or(Ok(T::default()), |(_, body)| serde_json::from_str(&body).map_err(foreign))
}

/// Sets the gauges, and takes away those of domains that are not told apart any more.
fn show(metrics: &metrics::Usage, summary: &Summary, before: &Summary) {
    let windows = days::WINDOWS.map(|(label, _)| label);
    let big = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    metrics.summary_time.set(summary.at);
    for (mode, users) in &summary.modes {
        metrics.users.with_label_values(&[mode.as_str()]).set(big(*users));
    }
    for (window, (active, refused)) in windows.iter().zip(summary.active.iter().zip(summary.refused)) {
        metrics.active.with_label_values(&[window]).set(big(*active));
        metrics.knocking.with_label_values(&[window]).set(big(refused));
    }
    metrics.hidden_messages.set(big(summary.hidden_messages));
    metrics.hidden_bytes.set(big(summary.hidden_octets));
    metrics.nearly_full.set(big(summary.nearly_full));
    for domain in &summary.domains {
        for (window, active) in windows.iter().zip(domain.active) {
            metrics.active_by_domain.with_label_values(&[domain.domain.as_str(), window]).set(big(active));
        }
    }
    for gone in
        before.domains.iter().filter(|old| !summary.domains.iter().any(|new| new.domain == old.domain))
    {
        for window in windows {
            // It is there, because it was set before.
            let _ = metrics.active_by_domain.remove_label_values(&[gone.domain.as_str(), window]);
        }
    }
    for (gauges, always, now, before) in [
        (&metrics.active_by_family, &FAMILIES[..], &summary.families, &before.families),
        (&metrics.active_by_tls, &TLS_VERSIONS[..], &summary.tls, &before.tls),
    ] {
        for (name, users) in now {
            gauges.with_label_values(&[name]).set(big(*users));
        }
        for (gone, _) in before.iter().filter(|(old, _)| !now.iter().any(|(new, _)| new == old)) {
            if always.contains(&gone.as_str()) {
                gauges.with_label_values(&[gone]).set(0);
            } else {
                let _ = gauges.remove_label_values(&[gone]);
            }
        }
    }
}
