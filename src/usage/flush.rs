//! How is what was learnt written? In batches, each one transaction, and what cannot be written is kept.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::delta::Delta;
use super::pending::Due;
use super::{Ledger, seconds};
use crate::store::{BATCH, Store, StoreError};
use crate::users::UserName;

/// Seconds between two writes of the daily totals: there are as many rows as domains, whoever was here.
const TOTALS: i64 = 300;

impl Ledger {
    /// Writes whoever is due at `now`, in Unix seconds, or all. After an error, what was not written is kept.
    /// A connection that is lost while the database commits may let one batch count twice.
    pub async fn flush(&self, store: &Store, now: i64, all: bool) -> Result<(), StoreError> {
        let result = self.write(store, now, all).await;
        self.metrics.pending.set(i64::try_from(self.pending.len()).unwrap_or(i64::MAX));
        if result.is_ok() {
            self.metrics.last_flush.set(now);
        }
        result
    }

    async fn write(&self, store: &Store, now: i64, all: bool) -> Result<(), StoreError> {
        // A shutdown is in a hurry. After an error of one, the others must come to their end, or lose what they hold.
        let writers = if all { store.writers() } else { 1 };
        let results = join_all((0..writers).map(|_| self.write_users(store, now, all))).await;
        results.into_iter().collect::<Result<(), _>>()?;
        if all || now >= self.book_due.load(Ordering::Relaxed) {
            self.write_totals(store).await?;
            let every = seconds(self.config.flush_interval).min(TOTALS);
            self.book_due.store(now.saturating_add(every), Ordering::Relaxed);
        }
        Ok(())
    }

    async fn write_users(&self, store: &Store, now: i64, all: bool) -> Result<(), StoreError> {
        loop {
            let (rows, due) = self.batch(now, all);
            if rows.is_empty() {
                return Ok(());
            }
            let begun = Instant::now();
            if let Err(error) = store.add_usage(&rows).await {
                for ((user, delta), at) in rows.into_iter().zip(due) {
                    self.lost(self.pending.put_back(user, Due { delta, at }));
                }
                return Err(error);
            }
            self.metrics.flush_duration.observe(begun.elapsed().as_secs_f64());
            self.metrics.rows_written.inc_by(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        }
    }

    /// The next users to write, in the order of their names: no two proxies wait for each other's rows.
    fn batch(&self, now: i64, all: bool) -> (Vec<(UserName, Delta)>, Vec<i64>) {
        let next = || self.pending.take(if all || self.is_full() { i64::MAX } else { now });
        let mut taken: Vec<_> = std::iter::from_fn(next).take(BATCH).collect();
        taken.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        taken.into_iter().map(|(user, due)| ((user, due.delta), due.at)).unzip()
    }

    async fn write_totals(&self, store: &Store) -> Result<(), StoreError> {
        let rows = self.book().take();
        for (written, chunk) in rows.chunks(BATCH).enumerate() {
            if let Err(error) = store.add_daily(chunk).await {
                let mut book = self.book();
                for (day, domain, totals) in &rows[written * BATCH..] {
                    book.add(*day, domain, totals);
                }
                return Err(error);
            }
            self.metrics.rows_written.inc_by(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}
