//! Deadlines by name: setting one again moves it. Costs a logarithm, holds no clock and wakes nobody.

use std::collections::{BTreeMap, BTreeSet};

use env::Instant;

#[derive(Clone, Debug)]
pub struct Timers<K> {
    // The same pairs, by time and by name.
    due: BTreeSet<(Instant, K)>,
    set: BTreeMap<K, Instant>,
}

impl<K: Clone + Ord> Timers<K> {
    pub fn set(&mut self, key: K, at: Instant) {
        if let Some(before) = self.set.insert(key.clone(), at) {
            self.due.remove(&(before, key.clone()));
        }
        self.due.insert((at, key));
    }

    pub fn cancel(&mut self, key: &K) {
        if let Some((key, at)) = self.set.remove_entry(key) {
            self.due.remove(&(at, key));
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the earliest that is due; of several at one time, the least by name.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.next_deadline()? > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        self.set.remove(&key);
        Some(key)
    }

    pub fn len(&self) -> usize {
        self.set.len()
    }

    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Timers { due: BTreeSet::new(), set: BTreeMap::new() }
    }
}
