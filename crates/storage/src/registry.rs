//! All logs of a directory, by identity and by name. A deleted log is not found any more at once; its identity stays
//! until its deletion is durable, so that no checkpoint leaves it out too early. A stray is not found either, and stays.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use record::TopicId;

use crate::log::Log;

#[derive(Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_id: BTreeMap<u64, Arc<Log>>,
    by_topic: BTreeMap<(TopicId, i32), u64>,
    strays: BTreeSet<u64>,
    next_log_id: u64,
}

impl Registry {
    pub fn new(next_log_id: u64) -> Self {
        let state = State { next_log_id, ..State::default() };
        Self { state: Mutex::new(state) }
    }

    /// Adds what `make` makes of a fresh identity, unless there is such a log.
    pub fn create(
        &self,
        topic_id: TopicId,
        partition: i32,
        make: impl FnOnce(u64) -> Arc<Log>,
    ) -> Result<Arc<Log>, ()> {
        let mut state = self.state.lock();
        if state.by_topic.contains_key(&(topic_id, partition)) {
            return Err(());
        }
        let log_id = state.next_log_id;
        state.next_log_id += 1;
        let log = make(log_id);
        state.by_id.insert(log_id, log.clone());
        state.by_topic.insert((topic_id, partition), log_id);
        Ok(log)
    }

    pub fn insert_recovered(&self, log: Arc<Log>) {
        let mut state = self.state.lock();
        let before = state.by_topic.insert((log.topic_id(), log.name().partition), log.log_id());
        // It was a stray when the partition was made anew.
        state.strays.extend(before);
        state.by_id.insert(log.log_id(), log);
    }

    /// It is not found by name any more, and no stray. False if it was neither.
    pub fn hide(&self, log: &Log) -> bool {
        self.state.lock().hide(log)
    }

    /// It is not found by name any more, and stays.
    pub fn keep_stray(&self, log: &Log) {
        let mut state = self.state.lock();
        if state.hide(log) {
            state.strays.insert(log.log_id());
        }
    }

    pub fn strays(&self) -> Vec<Arc<Log>> {
        let state = self.state.lock();
        state.strays.iter().filter_map(|id| state.by_id.get(id).cloned()).collect()
    }

    pub fn strays_count(&self) -> usize {
        self.state.lock().strays.len()
    }

    pub fn remove(&self, log_id: u64) {
        self.state.lock().by_id.remove(&log_id);
    }

    pub fn find(&self, topic_id: TopicId, partition: i32) -> Option<Arc<Log>> {
        let state = self.state.lock();
        let id = state.by_topic.get(&(topic_id, partition))?;
        state.by_id.get(id).cloned()
    }

    /// Those that are not being deleted, in the order of their identities.
    pub fn logs(&self) -> Vec<Arc<Log>> {
        let state = self.state.lock();
        let mut ids: Vec<u64> = state.by_topic.values().copied().collect();
        ids.sort_unstable();
        ids.iter().filter_map(|id| state.by_id.get(id).cloned()).collect()
    }

    pub fn len(&self) -> usize {
        self.state.lock().by_topic.len()
    }

    /// Up to `max` of all that are known, behind this identity.
    pub fn after(&self, log_id: Option<u64>, max: usize) -> Vec<Arc<Log>> {
        let state = self.state.lock();
        let from = log_id.map_or(0, |id| id + 1);
        state.by_id.range(from..).take(max).map(|(_, log)| log.clone()).collect()
    }

    pub fn next_log_id(&self) -> u64 {
        self.state.lock().next_log_id
    }
}

impl State {
    fn hide(&mut self, log: &Log) -> bool {
        let key = (log.topic_id(), log.name().partition);
        let is_found = self.by_topic.get(&key) == Some(&log.log_id());
        if is_found {
            self.by_topic.remove(&key);
        }
        is_found | self.strays.remove(&log.log_id())
    }
}
