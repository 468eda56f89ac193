//! One replica's log: segments, and over them a tail in memory. Everything that changes it happens under one short lock;
//! no disk call is made under it. What the ends of other replicas are is not known here.
mod append;
mod control;
pub(crate) mod damage;
mod lookup;
mod read;
mod replace;
pub(crate) mod state;

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};

pub use append::{AppendError, Appended};
pub(crate) use control::answer_now;
pub use control::{LogStartError, TruncateError};
use parking_lot::{Mutex, MutexGuard};
pub use read::{FileSlice, Read, ReadError, Slice};
use record::{LeaderEpoch, Offset, ProducerId, TopicId, TopicPartition};
pub(crate) use state::{Control, Gate, State};

use crate::layout;
use crate::leader_epochs::LeaderEpochs;
use crate::producer_state::ProducerEntry;
use crate::settings::{LogConfig, Mutant};
use crate::shared::Shared;

/// Told by the committer, with no lock of the engine held.
pub trait LogListener: Send + Sync {
    fn acknowledged_end_advanced(&self, acknowledged_end: Offset);
    fn went_offline(&self);
}

/// `log_start <= durable_end <= log_end`, except that a log start may lie above both for the moment in which the log is
/// being reset to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ends {
    pub log_start: Offset,
    pub log_end: Offset,
    pub durable_end: Offset,
}

pub struct Log {
    pub(crate) shared: Arc<Shared>,
    me: Weak<Log>,
    name: TopicPartition,
    topic_id: TopicId,
    log_id: u64,
    directory: Arc<Path>,
    high_watermark: AtomicI64,
    state: Mutex<State>,
}

impl Log {
    pub(crate) fn new(
        shared: Arc<Shared>,
        name: TopicPartition,
        topic_id: TopicId,
        log_id: u64,
        high_watermark: Offset,
        state: State,
    ) -> Arc<Log> {
        let directory = shared.path.join(layout::log_dir_name(&name, log_id)).into();
        Arc::new_cyclic(|me| Log {
            shared,
            directory,
            me: me.clone(),
            name,
            topic_id,
            log_id,
            high_watermark: AtomicI64::new(high_watermark.0),
            state: Mutex::new(state),
        })
    }

    pub fn name(&self) -> &TopicPartition {
        &self.name
    }

    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    pub fn directory(&self) -> Arc<Path> {
        self.directory.clone()
    }

    /// Unique in its directory, never used twice.
    pub fn log_id(&self) -> u64 {
        self.log_id
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub fn set_listener(&self, listener: Arc<dyn LogListener>) {
        self.state().listener = Some(listener);
    }

    /// The lane has its creation: a start finds it.
    pub fn is_recorded(&self) -> bool {
        self.state().lsn > 0
    }

    pub fn ends(&self) -> Ends {
        self.state().ends()
    }

    /// What an acknowledgement by this replica waits for.
    pub fn acknowledged_end(&self) -> Offset {
        let state = self.state();
        if self.shared.settings.has(Mutant::AcknowledgeRelaxedBeforeWrite) && state.is_relaxed() {
            return state.log_end;
        }
        state.acknowledged_end()
    }

    /// Remembered through restarts, as of the last checkpoint: truncation below it is refused (rule 21).
    pub fn learn_high_watermark(&self, offset: Offset) {
        let before = self.high_watermark.fetch_max(offset.0, Ordering::Relaxed);
        if before < offset.0 {
            let mut state = self.state();
            if state.producers.first_unstable_offset().is_some() {
                state.producers.high_watermark_moved(offset);
            }
        }
    }

    pub fn high_watermark_learned(&self) -> Offset {
        Offset(self.high_watermark.load(Ordering::Relaxed))
    }

    /// Takes effect at the next group, append, roll or check of retention.
    pub fn configure(&self, mut config: LogConfig) {
        let mut state = self.state();
        if self.shared.settings.has(Mutant::SwitchWithoutSync) && state.is_relaxed() {
            config.durability = state.config.durability;
        }
        state.configure(config);
    }

    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let state = self.state();
        state.epochs.end_offset_for(epoch, state.log_end)
    }

    pub(crate) fn epochs(&self) -> LeaderEpochs {
        self.state().epochs.clone()
    }

    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.state().epochs.epoch_for(offset)
    }

    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.state().epochs.latest().map(|latest| latest.epoch)
    }

    /// A leader's first act in its epoch: from `start` on, what is appended belongs to it.
    pub fn assign_epoch(&self, epoch: LeaderEpoch, start: Offset) {
        self.state().epochs.assign(epoch, start);
    }

    /// This log, a whole copy of `source`, is to take its place: it remembers of each producer what that one does. What
    /// compaction or DeleteRecords has taken was never copied, and may yet come again. Where that is news it is durable as
    /// soon as [`Self::has_durable_producers`] says so.
    pub fn remember_producers_of(&self, source: &Log) {
        let mut producers = source.state().producers.clone();
        producers.high_watermark_moved(self.high_watermark_learned());
        let mut state = self.state();
        if producers.end() == state.producers.end() && producers != state.producers {
            state.producers = producers;
            state.checkpointed.producers_learned();
            drop(state);
            self.shared.want_checkpoint();
        }
    }

    /// A start would know of this log's producers all that it does.
    pub fn has_durable_producers(&self) -> bool {
        !self.state().checkpointed.lacks_producers()
    }

    pub(crate) fn start_and_config(&self) -> (Offset, LogConfig) {
        let state = self.state();
        (state.log_start, state.config.clone())
    }

    /// Some of its records were taken away by compaction, if not all that did so has been deleted since.
    pub(crate) fn was_compacted(&self) -> bool {
        let state = self.state();
        state.compacted_end > state.log_start || state.segments.iter().any(|segment| segment.generation() > 0)
    }

    /// Until `end_copy` no compaction begins: a copy that has some records from before and some from after one may lack the
    /// tombstone of a key that it has. One that is under way shows in [`Self::replacements`], whose value is returned.
    pub fn begin_copy(&self) -> u64 {
        let mut state = self.state();
        state.is_being_copied = true;
        state.replacements
    }

    pub fn end_copy(&self) {
        self.state().is_being_copied = false;
    }

    /// How often compacted segments have taken the place of others.
    pub fn replacements(&self) -> u64 {
        self.state().replacements
    }

    pub fn size_bytes(&self) -> u64 {
        self.state().segments.iter().map(|segment| u64::from(segment.summary().size_bytes)).sum()
    }

    pub fn segments(&self) -> usize {
        self.state().segments.len()
    }

    pub fn active_producers(&self) -> Vec<(ProducerId, ProducerEntry)> {
        self.state().producers.producers().map(|(id, entry)| (id, entry.clone())).collect()
    }

    pub fn first_unstable_offset(&self) -> Option<Offset> {
        self.state().producers.first_unstable_offset()
    }

    /// Everything that was appended or asked for is durable, and in the files, or in the lane where that is enough.
    pub(crate) fn is_settled(&self, leaves_tail: bool) -> bool {
        let state = self.state();
        let is_written =
            state.gate == Gate::Deleted || (leaves_tail || state.tail.is_empty()) && state.durable_end == state.log_end;
        is_written && state.controls.is_empty() && !state.is_queued && !state.is_cutting
    }

    /// Puts the log into the committer's queue. Called under its lock.
    pub(crate) fn enqueue(&self, state: &mut State) {
        let is_large = state.pending_bytes >= self.shared.settings.direct_bytes && !state.is_large;
        if !state.is_queued || is_large {
            let mut queue = self.shared.queue.lock();
            if !state.is_queued {
                state.is_queued = true;
                queue.touched.push(self.me.clone());
            }
            if is_large {
                state.is_large = true;
                queue.large.push(self.me.clone());
            }
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({}, {})", self.name, self.log_id)
    }
}
