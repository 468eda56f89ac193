//! A metadata log on one disk, for a quorum of one: this node always leads, what is synced is committed. Its files are
//! those that a member of a larger quorum will open later: entries have terms, a vote lies beside them.
//!
//! Knows nothing of other nodes, and of what an entry means.

mod format;
mod inspect;
mod log_file;
mod open;
mod recover;
mod snapshot;
mod worker;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use env::WorkerHandle;
use record::BrokerId;
use tokio::sync::oneshot;

pub use self::inspect::{Inspected, inspect};
pub use self::recover::OpenError;
use crate::ENTRY_BYTES_MAX;
use crate::metadata_log::{LogId, MetadataLog, Payload, Pieces, Proposal, ProposeError, Role, Unread};

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub node_id: BrokerId,
    /// A snapshot is wanted when the log files have more than this.
    pub snapshot_after_bytes: u64,
    /// How long after a group an empty one seals it.
    pub seal_after: Duration,
    /// Between two tries to write while the disk is full.
    pub full_disk_pause: Duration,
    /// What may be proposed and not yet read back.
    pub unread_bytes_max: usize,
}

impl Settings {
    pub fn new(node_id: BrokerId) -> Self {
        Self {
            node_id,
            snapshot_after_bytes: 20 * 1024 * 1024, // As `metadata.log.max.record.bytes.between.snapshots`.
            seal_after: Duration::from_millis(5),
            full_disk_pause: Duration::from_secs(1),
            unread_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// Every start begins a file, and so does every snapshot: with more of them than this one is wanted, so that a node
/// that only ever restarts does not collect files.
const FILES_WITHOUT_SNAPSHOT_MAX: usize = 16;

pub struct LocalLog {
    shared: Arc<Shared>,
    worker: WorkerHandle,
    role: Role,
    settings: Settings,
}

/// What the log's callers and its worker have in common.
struct Shared {
    queue: Mutex<Queue>,
    unread: Arc<Unread>,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Queued>,
    snapshot: Option<(LogId, Pieces)>,
    is_snapshot_running: bool,
    /// Of all log files.
    log_bytes: u64,
    log_files: usize,
    is_closed: bool,
    /// Told when the log is at rest.
    closing: Vec<oneshot::Sender<()>>,
}

struct Queued {
    payload: Payload,
    /// The worker's own first entry has none.
    committed: Option<oneshot::Sender<LogId>>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetadataLog for LocalLog {
    fn propose(&self, records: Bytes) -> Result<Proposal, ProposeError> {
        if records.len() > ENTRY_BYTES_MAX {
            return Err(ProposeError::TooLarge);
        }
        if self.shared.unread.bytes() > self.settings.unread_bytes_max {
            return Err(ProposeError::Full);
        }
        let (committed, proposal) = oneshot::channel();
        let payload = Payload::Records(records);
        let mut queue = self.shared.queue();
        if queue.is_closed {
            return Err(ProposeError::Closed);
        }
        self.shared.unread.proposed(&payload);
        queue.entries.push_back(Queued { payload, committed: Some(committed) });
        drop(queue);
        self.worker.wake();
        Ok(Proposal(proposal))
    }

    fn role(&self) -> Role {
        self.role
    }

    fn wants_snapshot(&self) -> bool {
        let queue = self.shared.queue();
        let is_due =
            queue.log_bytes > self.settings.snapshot_after_bytes || queue.log_files > FILES_WITHOUT_SNAPSHOT_MAX;
        is_due && !queue.is_snapshot_running && !queue.is_closed
    }

    fn take_snapshot(&self, last: LogId, pieces: Pieces) {
        let mut queue = self.shared.queue();
        if queue.is_snapshot_running || queue.is_closed {
            return;
        }
        queue.is_snapshot_running = true;
        queue.snapshot = Some((last, pieces));
        drop(queue);
        self.worker.wake();
    }

    fn close(&self) -> oneshot::Receiver<()> {
        let (at_rest, answer) = oneshot::channel();
        let mut queue = self.shared.queue();
        queue.is_closed = true;
        queue.closing.push(at_rest);
        drop(queue);
        self.worker.wake();
        answer
    }
}
