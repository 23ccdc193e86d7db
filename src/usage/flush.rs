//! How is what was learnt written? In batches, each one transaction, and what cannot be written is kept. Where it is
//! open whether a batch was written, because an answer was lost, it is written again as it was: the state takes each
//! once.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::delta::Delta;
use super::pending::Due;
use super::totals;
use super::{Ledger, seconds};
use crate::store::{BATCH, Once, Store, StoreError};
use crate::users::UserName;

/// Seconds between two writes of the daily totals: there are as many rows as domains, whoever was here.
const TOTALS: i64 = 300;

/// Whoever writes one batch after the other, and its name in the state.
#[derive(Debug)]
pub(super) struct Hand<T> {
    writer: String,
    held: Mutex<Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    /// Batches that were written.
    written: i64,
    /// The next one, if it may be written already. It must stay as it is.
    unsure: Vec<T>,
}

impl<T> Hand<T> {
    pub(super) const fn new(writer: String) -> Self {
        Self { writer, held: Mutex::new(Held { written: 0, unsure: Vec::new() }) }
    }

    /// Rows of which it is open whether they were written.
    pub(super) fn unsure(&self) -> usize {
        self.held().unsure.len()
    }

    fn take_unsure(&self) -> Vec<T> {
        std::mem::take(&mut self.held().unsure)
    }

    fn keep_unsure(&self, rows: Vec<T>) {
        self.held().unsure = rows;
    }

    /// What the next batch is called.
    fn once(&self, now: i64) -> Once {
        Once { writer: self.writer.clone(), number: self.held().written + 1, at: now }
    }

    fn written(&self) {
        self.held().written += 1;
    }

    fn held(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    /// Writes whoever is due at `now`, in Unix seconds, or all. After an error, what was not written is kept.
    pub async fn flush(&self, store: &Store, now: i64, all: bool) -> Result<(), StoreError> {
        let result = self.write(store, now, all).await;
        self.metrics.pending.set(i64::try_from(self.unwritten()).unwrap_or(i64::MAX));
        if result.is_ok() {
            self.metrics.last_flush.set(now);
        }
        result
    }

    /// Users about whom something is not written, or may not be.
    pub(super) fn unwritten(&self) -> usize {
        self.pending.len() + self.hands.iter().map(Hand::unsure).sum::<usize>()
    }

    async fn write(&self, store: &Store, now: i64, all: bool) -> Result<(), StoreError> {
        // A shutdown is in a hurry. After an error of one, the others must come to their end, or lose what they hold.
        let writers = if all { store.writers() } else { 1 };
        let hands = self.hands.iter().enumerate();
        let hands = hands.filter(|(number, hand)| *number < writers || hand.unsure() > 0);
        let results = join_all(hands.map(|(_, hand)| self.write_users(store, hand, now, all))).await;
        results.into_iter().collect::<Result<(), _>>()?;
        if all || now >= self.book_due.load(Ordering::Relaxed) || self.totals.unsure() > 0 {
            self.write_totals(store, now).await?;
            let every = seconds(self.config.flush_interval).min(TOTALS);
            self.book_due.store(now.saturating_add(every), Ordering::Relaxed);
        }
        Ok(())
    }

    async fn write_users(
        &self,
        store: &Store,
        hand: &Hand<(UserName, Delta)>,
        now: i64,
        all: bool,
    ) -> Result<(), StoreError> {
        loop {
            let again = hand.take_unsure();
            let (rows, due) = if again.is_empty() { self.batch(now, all) } else { (again, Vec::new()) };
            if rows.is_empty() {
                return Ok(());
            }
            let begun = Instant::now();
            if let Err(error) = store.add_usage(&hand.once(now), &rows).await {
                if error.is_unsure() || due.is_empty() {
                    hand.keep_unsure(rows);
                } else {
                    for ((user, delta), at) in rows.into_iter().zip(due) {
                        self.lost(self.pending.put_back(user, Due { delta, at }));
                    }
                }
                return Err(error);
            }
            hand.written();
            self.metrics.flush_duration.observe(begun.elapsed().as_secs_f64());
            self.metrics.rows_written.inc_by(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        }
    }

    /// The next users to write, in the order of their names: no two proxies wait for each other's rows. With each, when
    /// it was due.
    fn batch(&self, now: i64, all: bool) -> (Vec<(UserName, Delta)>, Vec<i64>) {
        let next = || self.pending.take(if all || self.is_full() { i64::MAX } else { now });
        let mut taken: Vec<_> = std::iter::from_fn(next).take(BATCH).collect();
        taken.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        taken.into_iter().map(|(user, due)| ((user, due.delta), due.at)).unzip()
    }

    async fn write_totals(&self, store: &Store, now: i64) -> Result<(), StoreError> {
        let hand = &self.totals;
        let again = hand.take_unsure();
        if !again.is_empty()
            && let Err(error) = self.add_totals(store, &again, now).await
        {
            hand.keep_unsure(again);
            return Err(error);
        }
        let rows = self.book().take();
        for (written, chunk) in rows.chunks(BATCH).enumerate() {
            if let Err(error) = self.add_totals(store, chunk, now).await {
                let mut rest = &rows[written * BATCH..];
                if error.is_unsure() {
                    hand.keep_unsure(chunk.to_vec());
                    rest = &rest[chunk.len()..];
                }
                let mut book = self.book();
                for (day, domain, totals) in rest {
                    book.add(*day, domain, totals);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn add_totals(&self, store: &Store, rows: &[totals::Row], now: i64) -> Result<(), StoreError> {
        store.add_daily(&self.totals.once(now), rows).await?;
        self.totals.written();
        self.metrics.rows_written.inc_by(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        Ok(())
    }
}
