//! What the logs, the committer, the flusher and the readers of one directory have in common: queues between them, the
//! budget, and whether the directory is still in service. A log never reaches another log through here.
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use env::{Env, WorkerHandle};
use parking_lot::Mutex;
use tally::{Distribution, Histogram};
use tokio::sync::Notify;

use crate::budget::Budget;
use crate::flusher::Work;
use crate::journal::LaneSpace;
use crate::log::Log;
use crate::rare::Rare;
use crate::reader::Readers;
use crate::segment::OpenFiles;
use crate::settings::Settings;
use crate::syncers::Syncs;

pub(crate) struct Shared {
    pub env: Env,
    pub path: Arc<Path>,
    pub files: Arc<OpenFiles>,
    pub settings: Settings,
    pub budget: Budget,
    /// For the committer.
    pub queue: Mutex<Queue>,
    /// For the flusher.
    pub work: Mutex<Work>,
    pub lane: Mutex<LaneSpace>,
    pub readers: Readers,
    pub syncs: Syncs,
    pub counters: Counts,
    is_full: AtomicBool,
    /// The next checkpoint is the first that does not know of what may have been lost.
    pub has_accepted_loss: AtomicBool,
    /// Nobody else has the directory as long as it is held.
    pub lock: Mutex<Option<Box<dyn env::disk::Lock>>>,
    committer_has_stopped: AtomicBool,
    compactor_has_stopped: AtomicBool,
    /// The compactor is to look for something to do now, and: when the next checkpoint is there.
    pub compaction_is_wanted: AtomicBool,
    pub compaction_waits: AtomicBool,
    health: AtomicU8,
    /// Told when the directory has gone offline.
    pub failure: Notify,
    handles: OnceLock<Handles>,
}

pub(crate) struct Handles {
    pub committer: WorkerHandle,
    pub flusher: WorkerHandle,
    pub reader: WorkerHandle,
    pub syncers: Vec<WorkerHandle>,
    pub compactor: WorkerHandle,
}

#[derive(Default)]
pub(crate) struct Queue {
    /// Logs with something for the next group. Each at most once.
    pub touched: Vec<Weak<Log>>,
    /// Of those, logs whose share may be large enough to go straight to the segment.
    pub large: Vec<Weak<Log>>,
    /// The flusher has written everything: seal the lane and stop.
    pub stops: bool,
}

/// The directory takes no more part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Offline;

impl std::fmt::Display for Offline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the log directory is offline")
    }
}

impl std::error::Error for Offline {}

/// What a caller waits for. An error of the receiver means that the directory has gone: treat it as [`Offline`].
pub type Ticket<T> = tokio::sync::oneshot::Receiver<T>;

pub(crate) type Answer<T> = tokio::sync::oneshot::Sender<T>;

/// Sums since the start, and what is so now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    pub appended_batches: u64,
    pub appended_bytes: u64,
    pub groups: u64,
    pub lane_bytes: u64,
    pub pieces: u64,
    pub piece_bytes: u64,
    pub direct_pieces: u64,
    pub checkpoints: u64,
    pub recycled_files: u64,
    pub segment_syncs: u64,
    pub compactions: u64,
    /// What compactions have read and left.
    pub compacted_bytes_before: u64,
    pub compacted_bytes_after: u64,
    pub tail_bytes: u64,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub appended_batches: AtomicU64,
    pub appended_bytes: AtomicU64,
    pub groups: AtomicU64,
    pub lane_bytes: AtomicU64,
    pub pieces: AtomicU64,
    pub piece_bytes: AtomicU64,
    pub direct_pieces: AtomicU64,
    pub checkpoints: AtomicU64,
    pub recycled_files: AtomicU64,
    pub segment_syncs: AtomicU64,
    pub compactions: AtomicU64,
    pub compacted_bytes_before: AtomicU64,
    pub compacted_bytes_after: AtomicU64,
    /// From the begin of a group until it is in the lane; from then until its syncs have returned; and both.
    pub group_writes: Histogram,
    pub group_syncs: Histogram,
    pub commits: Histogram,
}

/// How long groups of appends have taken to become durable.
#[derive(Clone, Debug)]
pub struct CommitTimes {
    pub write: Distribution,
    pub sync: Distribution,
    pub both: Distribution,
}

pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

const IN_SERVICE: u8 = 0;
const CLOSING: u8 = 1;
const OFFLINE: u8 = 2;
const STOPPED: u8 = 3;

impl Shared {
    pub fn new(env: &Env, path: Arc<Path>, settings: Settings) -> Self {
        Self {
            env: env.clone(),
            path,
            files: OpenFiles::new(env.disk.clone(), settings.open_segments_max),
            budget: Budget::new(settings.memory_bytes_max),
            settings,
            queue: Mutex::default(),
            work: Mutex::default(),
            lane: Mutex::default(),
            readers: Readers::default(),
            syncs: Syncs::default(),
            counters: Counts::default(),
            is_full: AtomicBool::new(false),
            has_accepted_loss: AtomicBool::new(false),
            lock: Mutex::new(None),
            committer_has_stopped: AtomicBool::new(false),
            compactor_has_stopped: AtomicBool::new(false),
            compaction_is_wanted: AtomicBool::new(false),
            compaction_waits: AtomicBool::new(false),
            health: AtomicU8::new(IN_SERVICE),
            failure: Notify::new(),
            handles: OnceLock::new(),
        }
    }

    pub fn set_handles(&self, handles: Handles) {
        assert!(self.handles.set(handles).is_ok(), "workers are started once");
        self.wake_committer();
        self.wake_flusher();
        self.wake_reader();
    }

    pub fn wake_committer(&self) {
        if let Some(handles) = self.handles.get() {
            handles.committer.wake();
        }
    }

    pub fn wake_flusher(&self) {
        if let Some(handles) = self.handles.get() {
            handles.flusher.wake();
        }
    }

    pub fn want_compaction(&self) {
        self.compaction_is_wanted.store(true, Ordering::Release);
        self.wake_compactor();
    }

    pub fn wake_compactor(&self) {
        if let Some(handles) = self.handles.get() {
            handles.compactor.wake();
        }
    }

    pub fn wake_reader(&self) {
        if let Some(handles) = self.handles.get() {
            handles.reader.wake();
        }
    }

    pub fn wake_syncer(&self, number: usize) {
        if let Some(handles) = self.handles.get()
            && !handles.syncers.is_empty()
        {
            handles.syncers[number % handles.syncers.len()].wake();
        }
    }

    fn wake_syncers(&self) {
        self.handles.get().into_iter().flat_map(|handles| &handles.syncers).for_each(WorkerHandle::wake);
    }

    pub fn takes_appends(&self) -> bool {
        self.health.load(Ordering::Acquire) == IN_SERVICE
    }

    pub fn is_offline(&self) -> bool {
        self.health.load(Ordering::Acquire) == OFFLINE
    }

    /// The file system has no room for more than what was already let in.
    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    pub fn set_full(&self, is_full: bool) {
        if self.is_full.swap(is_full, Ordering::Relaxed) != is_full {
            if is_full {
                tracing::warn!(directory = %self.path.display(), "the file system is full: produces are refused");
            }
            self.budget.room.notify_waiters();
        }
    }

    /// The committer has sealed the lane and touches it no more.
    pub fn set_committer_stopped(&self) {
        self.committer_has_stopped.store(true, Ordering::Release);
        self.wake_flusher();
    }

    pub fn committer_has_stopped(&self) -> bool {
        self.committer_has_stopped.load(Ordering::Acquire)
    }

    /// The compactor touches no file any more.
    pub fn set_compactor_stopped(&self) {
        self.compactor_has_stopped.store(true, Ordering::Release);
        self.wake_flusher();
    }

    pub fn compactor_has_stopped(&self) -> bool {
        self.compactor_has_stopped.load(Ordering::Acquire)
    }

    /// Everything is written and synced: the directory may be another's.
    pub fn set_stopped(&self) {
        self.health.store(STOPPED, Ordering::Release);
        *self.lock.lock() = None;
        self.wake_reader();
        self.wake_syncers();
    }

    pub fn has_stopped(&self) -> bool {
        matches!(self.health.load(Ordering::Acquire), OFFLINE | STOPPED)
    }

    /// True for the first who asks.
    pub fn begin_closing(&self) -> bool {
        self.health.compare_exchange(IN_SERVICE, CLOSING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// After an error of a sync, or of a write that may not fail, nothing more is promised: no retry, no further
    /// acknowledgement (rule 12). The workers see it at their next step and stop.
    pub fn go_offline(&self, what: &str, error: &dyn std::fmt::Display) {
        if self.health.swap(OFFLINE, Ordering::AcqRel) != OFFLINE {
            self.settings.reached(Rare::WentOffline);
            tracing::error!(directory = %self.path.display(), "{what}: {error}; the log directory goes offline");
        }
        self.wake_committer();
        self.wake_flusher();
        self.wake_reader();
        self.wake_syncers();
        self.wake_compactor();
        self.budget.room.notify_waiters();
        self.failure.notify_waiters();
    }

    /// Whether the directory itself is gone.
    pub fn is_taken_away(&self) -> bool {
        self.env.disk.space(&self.path).is_err_and(|error| self.leave_if_gone(&error))
    }

    /// By what a look at the directory has answered. Writes to files that are open would go on, and nobody would ever find
    /// them: it is offline from now on.
    pub fn leave_if_gone(&self, error: &std::io::Error) -> bool {
        let is_gone = error.kind() == std::io::ErrorKind::NotFound;
        if is_gone {
            self.go_offline("the directory is gone", error);
        }
        is_gone
    }

    /// Whether somebody has made the file of this name in the directory, which asks for something.
    pub fn is_asked(&self, name: &str) -> std::io::Result<bool> {
        Ok(self.env.disk.read_dir(&self.path)?.iter().any(|entry| entry.name == name))
    }

    /// What that file asks for is done.
    pub fn has_done(&self, name: &str) {
        let path = self.path.join(name);
        if let Err(error) = self.env.disk.remove_file(&path) {
            tracing::warn!(path = %path.display(), "cannot be removed: {error}; please do");
        }
    }

    pub fn commit_times(&self) -> CommitTimes {
        let Counts { group_writes, group_syncs, commits, .. } = &self.counters;
        CommitTimes { write: group_writes.read(), sync: group_syncs.read(), both: commits.read() }
    }

    pub fn counters(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.counters;
        Counters {
            appended_batches: read(&counts.appended_batches),
            appended_bytes: read(&counts.appended_bytes),
            groups: read(&counts.groups),
            lane_bytes: read(&counts.lane_bytes),
            pieces: read(&counts.pieces),
            piece_bytes: read(&counts.piece_bytes),
            direct_pieces: read(&counts.direct_pieces),
            checkpoints: read(&counts.checkpoints),
            recycled_files: read(&counts.recycled_files),
            segment_syncs: read(&counts.segment_syncs),
            compactions: read(&counts.compactions),
            compacted_bytes_before: read(&counts.compacted_bytes_before),
            compacted_bytes_after: read(&counts.compacted_bytes_after),
            tail_bytes: self.budget.used() as u64,
        }
    }
}
