//! How many of something each key has at once: sessions of a user, connections of an address.

use std::hash::Hash;
use std::sync::Arc;

use dashmap::{DashMap, Entry};

use crate::config::Limit;

/// Counts by key. A key is in it only while it has something, so it is no larger than what it counts.
#[derive(Debug, Clone)]
pub struct Slots<K: Eq + Hash>(Arc<DashMap<K, u32>>);

/// One of a key's slots; free again when dropped.
#[derive(Debug)]
pub struct Slot<K: Eq + Hash + Clone> {
    counts: Arc<DashMap<K, u32>>,
    key: K,
}

impl<K: Eq + Hash> Default for Slots<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Clone> Slots<K> {
    /// One more for this key, unless it has `most` already.
    pub fn enter(&self, key: K, most: Limit) -> Option<Slot<K>> {
        let mut count = self.0.entry(key.clone()).or_insert(0);
        if most.is_reached(*count) {
            return None;
        }
        *count += 1;
        Some(Slot { counts: Arc::clone(&self.0), key })
    }
}

impl<K: Eq + Hash + Clone> Drop for Slot<K> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.counts.entry(self.key.clone()) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_and_no_more_and_nothing_is_left_behind() {
        let slots = Slots::default();
        let first = slots.enter("anna", Limit::at(2));
        let second = slots.enter("anna", Limit::at(2));
        assert!(first.is_some() && second.is_some());
        assert!(slots.enter("anna", Limit::at(2)).is_none());
        assert!(slots.enter("bob", Limit::at(2)).is_some());
        drop(first);
        assert!(slots.enter("anna", Limit::at(2)).is_some());
        drop(second);
        assert!(slots.0.is_empty());
    }
}
