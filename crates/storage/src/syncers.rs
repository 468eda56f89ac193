//! Threads that sync files side by side, so that whoever needs many waits for the disk once and not once for each. The
//! committer and the flusher each have one set of files at a time, and help with it while they wait. What a sync means is
//! theirs.
use std::path::Path;
use std::sync::Arc;

use env::{Next, Worker};
use parking_lot::Mutex;

use crate::segment::Segment;
use crate::shared::{Shared, count};

/// Whose set it is. Acknowledgements wait for the committer's: it goes first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Owner {
    Committer,
    Flusher,
}

pub(crate) enum Sync {
    Segment(Arc<Segment>),
    Directory(Arc<Path>),
}

#[derive(Default)]
pub(crate) struct Syncs {
    committer: Mutex<Set>,
    flusher: Mutex<Set>,
}

#[derive(Default)]
struct Set {
    waiting: Vec<Sync>,
    running: usize,
    has_failed: bool,
}

/// What a thread finds when it looks for work in a set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    Synced,
    /// Others are still at it; the last of them wakes the owner.
    Running,
    /// Everything that was given has been synced.
    Nothing,
    /// One could not be synced, and the directory is offline.
    Failed,
}

impl Syncs {
    fn of(&self, owner: Owner) -> &Mutex<Set> {
        match owner {
            Owner::Committer => &self.committer,
            Owner::Flusher => &self.flusher,
        }
    }
}

impl Shared {
    /// For whoever has time first: a syncer, or the owner.
    pub fn sync_soon(&self, owner: Owner, sync: Sync) {
        let waiting = self.sync_later(owner, sync);
        self.wake_syncer(waiting);
    }

    /// For the owner itself, which wakes nobody since it has but this one. How many wait now.
    pub fn sync_later(&self, owner: Owner, sync: Sync) -> usize {
        let mut set = self.syncs.of(owner).lock();
        set.waiting.push(sync);
        set.waiting.len()
    }

    /// Everything that was given has been synced.
    pub fn has_synced_all(&self, owner: Owner) -> bool {
        let set = self.syncs.of(owner).lock();
        set.running == 0 && set.waiting.is_empty() && !set.has_failed
    }

    /// Syncs one that waits.
    pub fn sync_next(&self, owner: Owner) -> Found {
        let sync = {
            let mut set = self.syncs.of(owner).lock();
            match set.waiting.pop() {
                _ if set.has_failed => return Found::Failed,
                None if set.running > 0 => return Found::Running,
                None => return Found::Nothing,
                Some(sync) => {
                    set.running += 1;
                    sync
                }
            }
        };
        let failed = match sync {
            Sync::Segment(segment) => {
                count(&self.counters.segment_syncs, 1);
                segment.sync().err().map(|error| ("a sync of a segment failed", error.to_string()))
            }
            Sync::Directory(path) => {
                let synced = self.env.disk.sync_dir(&path);
                synced.err().map(|error| ("a sync of a directory failed", error.to_string()))
            }
        };
        let is_last = {
            let mut set = self.syncs.of(owner).lock();
            set.running -= 1;
            // Before the owner can see that nothing is left.
            set.has_failed |= failed.is_some();
            set.running == 0 && set.waiting.is_empty()
        };
        if let Some((what, error)) = failed {
            self.go_offline(what, &error);
            return Found::Failed;
        }
        if is_last {
            match owner {
                Owner::Committer => self.wake_committer(),
                Owner::Flusher => self.wake_flusher(),
            }
        }
        Found::Synced
    }
}

pub(crate) struct Syncer {
    pub shared: Arc<Shared>,
}

impl Worker for Syncer {
    fn step(&mut self) -> Next {
        if [Owner::Committer, Owner::Flusher].into_iter().any(|owner| self.shared.sync_next(owner) == Found::Synced) {
            return Next::Again;
        }
        if self.shared.has_stopped() { Next::Stop } else { Next::Idle }
    }
}
