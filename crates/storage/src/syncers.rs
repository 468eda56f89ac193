//! Threads that sync a group's files side by side, so that the group waits for the disk once and not once for each file.
//! The committer, which waits for them, helps. Which files belong to which group is the committer's affair.
use std::sync::Arc;

use env::{Next, Worker, WorkerHandle};
use parking_lot::Mutex;

use crate::segment::Segment;
use crate::shared::Shared;

/// What is to be synced, and how much of it is under way.
#[derive(Default)]
pub(crate) struct Syncs(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Vec<Arc<Segment>>,
    running: usize,
    has_failed: bool,
}

/// What a thread finds when it looks for work.
pub(crate) enum Found {
    Synced,
    /// Others are still at it, and the last of them wakes the committer.
    Running,
    /// Everything that was given has been synced.
    Nothing,
    /// One could not be synced: nothing is to be believed, and the directory goes offline.
    Failed,
}

impl Shared {
    /// For the syncers, as soon as one of them has time.
    pub fn sync_soon(&self, segment: Arc<Segment>, syncers: &[WorkerHandle]) {
        let waiting = {
            let mut state = self.syncs.0.lock();
            state.waiting.push(segment);
            state.waiting.len()
        };
        if let Some(syncer) = syncers.get(waiting % syncers.len().max(1)) {
            syncer.wake();
        }
    }

    /// Everything that was given has been synced.
    pub fn has_synced_all(&self) -> bool {
        let state = self.syncs.0.lock();
        state.running == 0 && state.waiting.is_empty() && !state.has_failed
    }

    /// Syncs one file that waits.
    pub fn sync_next(&self) -> Found {
        let segment = {
            let mut state = self.syncs.0.lock();
            match state.waiting.pop() {
                _ if state.has_failed => return Found::Failed,
                None if state.running > 0 => return Found::Running,
                None => return Found::Nothing,
                Some(segment) => {
                    state.running += 1;
                    segment
                }
            }
        };
        let synced = segment.sync();
        let is_last = {
            let mut state = self.syncs.0.lock();
            state.running -= 1;
            // Before the committer can see that nothing is left.
            state.has_failed |= synced.is_err();
            state.running == 0 && state.waiting.is_empty()
        };
        if let Err(error) = synced {
            self.go_offline("a sync of a segment failed", &error);
            return Found::Failed;
        }
        if is_last {
            self.wake_committer();
        }
        Found::Synced
    }
}

pub(crate) struct Syncer {
    pub shared: Arc<Shared>,
}

impl Worker for Syncer {
    fn step(&mut self) -> Next {
        match self.shared.sync_next() {
            Found::Synced => Next::Again,
            _ if self.shared.has_stopped() => Next::Stop,
            Found::Running | Found::Nothing | Found::Failed => Next::Idle,
        }
    }
}
