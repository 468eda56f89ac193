//! Keeps the last value of each key: Kafka's `Cleaner`, and of its `LogCleanerManager` what is due.
//!
//! A run reads the dirty part of a log for the newest offset of each key, then writes what is left of the log into new
//! segments, group by group. It goes step by step, each with at most one write or sync, and changes nothing but its own new
//! files: when they take the old ones' place, and that all is durable, is the compactor's affair. Offsets never change.
//!
//! Not here: batches of transactions and control batches stay as they are, and supersede nothing.

mod choice;
mod groups;
mod keys;
mod rewrite;
mod run;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use choice::{Choice, ChoiceRules, Cleanable, by_dirt, choose};
pub use keys::KeyMap;
use record::{Offset, ProducerEpoch, ProducerId};
pub use run::{CompactionError, Finished, Make, Part, Progress, Run};

/// What a topic's configuration says of the records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CompactionRules {
    /// `delete.retention.ms`: how long a reader from the beginning may take before tombstones vanish under it.
    pub delete_retention_ms: i64,
    /// `log.cleaner.dedupe.buffer.size`, as far as it bounds us: keys and offsets in memory.
    pub key_bytes_max: usize,
    /// `segment.bytes`: old segments that have no more together become one.
    pub segment_bytes_max: u32,
}

/// The last batch of each producer that is still known: it stays, if only as a header, so that the sequence is not
/// forgotten (`UnifiedLog.lastRecordsOfActiveProducers`). Without an offset, only an epoch is known.
pub type LastBatches = BTreeMap<ProducerId, (Option<Offset>, ProducerEpoch)>;
