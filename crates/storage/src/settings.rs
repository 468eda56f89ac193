//! What an operator may choose of the log engine: sizes and times of one directory, and of one log. The rules of messages
//! (`max.message.bytes`, timestamps, codecs) are `validate::Rules`; they are looked at before the engine is.
use std::time::Duration;

use crate::rare::Rare;
#[cfg(feature = "mutants")]
use crate::rare::Reached;

/// Of one log directory. Not changed while it is open.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One file of the lane. A group never spans two.
    pub lane_file_bytes: u64,
    /// The lane grows file by file up to this. More than four times `checkpoint_bytes`, or commits wait for checkpoints.
    pub lane_bytes_max: u64,
    /// A checkpoint begins once the lane has grown by this much since the last.
    pub checkpoint_bytes: u64,
    /// One group takes at most this much, or one batch if that is larger.
    pub group_bytes_max: usize,
    /// All tails together; beyond it [`crate::LogDir::admits`] says no.
    pub memory_bytes_max: usize,
    /// Tails are written to segments in pieces of this size,
    pub piece_bytes: usize,
    /// or after this time, whatever their size.
    pub piece_age: Duration,
    /// A group without a successor is sealed by an empty one after this time.
    pub seal_after: Duration,
    /// A log's share of a group from this size on goes straight to its segment. A sync of a growing file waits for its
    /// data, its inode and its extents, one after the other, and costs the CPU as much as writing 100 KiB twice.
    pub direct_bytes: usize,
    /// If its batches are at least this large on average: many small ones are faster in the lane, whose sync has no
    /// growing file to wait for.
    pub direct_batch_bytes: usize,
    /// So many segments have their files open, those aside that have unsynced bytes or a reader.
    pub open_segments_max: usize,
    /// Threads that sync the files of direct pieces, beside the committer.
    pub syncers: usize,
    /// `log.retention.check.interval.ms`
    pub retention_check: Duration,
    pub compaction: CompactionSettings,
    /// Less free space than this, beside what is not yet flushed, and produces are refused.
    pub free_bytes_min: u64,
    /// A bug to be found by the tests that must find it.
    #[cfg(feature = "mutants")]
    pub mutant: Option<Mutant>,
    /// Told of rare states.
    #[cfg(feature = "mutants")]
    pub reached: Reached,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lane_file_bytes: 32 << 20,
            lane_bytes_max: 1 << 30,
            checkpoint_bytes: 256 << 20,
            group_bytes_max: 4 << 20,
            memory_bytes_max: 512 << 20,
            piece_bytes: 256 << 10,
            piece_age: Duration::from_secs(1),
            seal_after: Duration::from_millis(5),
            direct_bytes: 256 << 10,
            direct_batch_bytes: 8 << 10,
            open_segments_max: 10_000,
            syncers: 8,
            retention_check: Duration::from_secs(300),
            compaction: CompactionSettings::default(),
            free_bytes_min: 64 << 20,
            #[cfg(feature = "mutants")]
            mutant: None,
            #[cfg(feature = "mutants")]
            reached: Reached::default(),
        }
    }
}

/// Kafka's `log.cleaner.*`, as far as they mean something here.
#[derive(Clone, Copy, Debug)]
pub struct CompactionSettings {
    /// `log.cleaner.enable`
    pub is_enabled: bool,
    /// `log.cleaner.backoff.ms`: when to look again after nothing was found.
    pub backoff: Duration,
    /// `log.cleaner.dedupe.buffer.size`: memory for keys, in one run.
    pub key_bytes_max: usize,
    /// `log.cleaner.io.max.bytes.per.second`: read and written together.
    pub bytes_per_second_max: f64,
}

impl Default for CompactionSettings {
    fn default() -> Self {
        Self {
            is_enabled: true,
            backoff: Duration::from_secs(15),
            key_bytes_max: 128 << 20,
            bytes_per_second_max: f64::MAX,
        }
    }
}

/// Who this directory belongs to. A directory of another cluster or node is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// `None` takes the directory's, or makes one when it formats.
    pub cluster_id: Option<String>,
    pub node_id: i32,
}

/// When an append counts as done on this replica.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Durability {
    /// After the sync of its group.
    #[default]
    Flush,
    /// After the write of its group, which outlives the process as Kafka's page cache does. A power loss may take the
    /// newest group.
    Relaxed,
}

/// Of one log; Kafka's topic configs of the same names, with Kafka's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    pub durability: Durability,
    pub segment_bytes: u32,
    pub segment_ms: i64,
    /// Drawn once per log from `segment.jitter.ms`.
    pub segment_jitter_ms: i64,
    pub segment_index_bytes: u32,
    pub index_interval_bytes: u32,
    /// -1: for ever.
    pub retention_ms: i64,
    /// -1: any size.
    pub retention_bytes: i64,
    /// `cleanup.policy` contains `delete`.
    pub deletes: bool,
    /// `cleanup.policy` contains `compact`.
    pub compacts: bool,
    pub delete_retention_ms: i64,
    /// `min.cleanable.dirty.ratio`
    pub dirty_ratio_min: f64,
    /// `min.compaction.lag.ms`
    pub compaction_lag_ms_min: i64,
    /// `max.compaction.lag.ms`; `segment_ms` is no more than this.
    pub compaction_lag_ms_max: i64,
    pub producer_expiration_ms: i64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            durability: Durability::Flush,
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3600 * 1000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * 24 * 3600 * 1000,
            retention_bytes: -1,
            deletes: true,
            compacts: false,
            delete_retention_ms: 24 * 3600 * 1000,
            dirty_ratio_min: 0.5,
            compaction_lag_ms_min: 0,
            compaction_lag_ms_max: i64::MAX,
            producer_expiration_ms: 24 * 3600 * 1000,
        }
    }
}

/// Bugs planted at run time. Each must be found by the enumeration of crashes or by the simulation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mutant {
    AcknowledgeBeforeSync,
    AcknowledgePastGroup,
    AcknowledgeRelaxedBeforeWrite,
    AnswerDuplicateEarly,
    CheckpointBeforeDirectorySync,
    CheckpointBeforeSegmentSync,
    CutAcknowledgedGroup,
    DirectWithoutSync,
    ForgetProducersInRecovery,
    ForgetTombstonesEarly,
    HeaderAheadOfSync,
    IgnoreCreateInReplay,
    IgnoreDeleteInReplay,
    IgnoreReplaceInReplay,
    IgnoreTruncateInReplay,
    NoDirectorySyncOnDirectPath,
    PublishUnsyncedAfterRecovery,
    /// Only the older checkpoint needs what is gone then, and that only where the newer one rots.
    RecycleAfterOneCheckpoint,
    RecycleBeforeCheckpoint,
    RemoveReplacedEarly,
    ReplaceBeforeDirectorySync,
    ReplayDiscardedGroup,
    RetrySyncAfterError,
    SwitchWithoutSync,
    UseSnapshotBeyondEnd,
}

impl Mutant {
    /// Those that take more load or time than the enumeration has: the simulation finds them.
    pub const OF_A_BROKER: [Mutant; 6] = [
        Mutant::CheckpointBeforeDirectorySync,
        Mutant::CheckpointBeforeSegmentSync,
        Mutant::ForgetProducersInRecovery,
        Mutant::ForgetTombstonesEarly,
        Mutant::HeaderAheadOfSync,
        Mutant::RecycleAfterOneCheckpoint,
    ];

    /// Those that the enumeration finds.
    pub const ALL: [Mutant; 19] = [
        Mutant::AcknowledgeBeforeSync,
        Mutant::AcknowledgePastGroup,
        Mutant::AcknowledgeRelaxedBeforeWrite,
        Mutant::AnswerDuplicateEarly,
        Mutant::CutAcknowledgedGroup,
        Mutant::DirectWithoutSync,
        Mutant::IgnoreCreateInReplay,
        Mutant::IgnoreDeleteInReplay,
        Mutant::IgnoreReplaceInReplay,
        Mutant::IgnoreTruncateInReplay,
        Mutant::NoDirectorySyncOnDirectPath,
        Mutant::PublishUnsyncedAfterRecovery,
        Mutant::RecycleBeforeCheckpoint,
        Mutant::RemoveReplacedEarly,
        Mutant::ReplaceBeforeDirectorySync,
        Mutant::ReplayDiscardedGroup,
        Mutant::RetrySyncAfterError,
        Mutant::SwitchWithoutSync,
        Mutant::UseSnapshotBeyondEnd,
    ];
}

impl Settings {
    /// They stay open, so they are synced early when there are more.
    pub(crate) fn dirty_segments_max(&self) -> usize {
        self.open_segments_max / 5 * 4
    }

    /// Whether this bug is planted. Never, in a build without the feature.
    #[cfg(feature = "mutants")]
    pub(crate) fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn has(&self, _mutant: Mutant) -> bool {
        false
    }

    /// The engine is in this state. Nobody asks, in a build without the feature.
    #[cfg(feature = "mutants")]
    pub(crate) fn reached(&self, rare: Rare) {
        self.reached.note(rare);
    }

    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn reached(&self, _rare: Rare) {}
}
