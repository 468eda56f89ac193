//! Keeps the last value of each key, for the internal offsets topic: Kafka's `Cleaner` without transactions.
//!
//! A compaction reads closed segments twice, first to learn the newest offset of each key, then to write the records
//! that are left into new segments. It goes step by step, each with at most one write or sync, and changes nothing but
//! its own new files: what takes their place, when the old ones go, and that all is durable, is the log's affair
//! (`replace` records in the journal). Offsets never change.
//!
//! Not here: batches of transactions and control batches stay as they are, and supersede nothing.

mod keys;
mod plan;
mod rewrite;
mod run;
#[cfg(test)]
mod tests;

pub use keys::KeyMap;
pub use plan::{Cleanable, Plan, PlanRules, plan};
pub use rewrite::{RewriteError, Rewritten, rewrite};
pub use run::{Compacted, Compaction, CompactionError, Progress};

/// What a topic's configuration says of its compaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CompactionRules {
    /// `delete.retention.ms`: how long a reader from the beginning may take before tombstones vanish under it.
    pub delete_retention_ms: i64,
    /// `log.cleaner.dedupe.buffer.size`, as far as it bounds us: keys and offsets in memory.
    pub key_bytes_max: usize,
}

impl Default for CompactionRules {
    fn default() -> CompactionRules {
        CompactionRules { delete_retention_ms: 86_400_000, key_bytes_max: 128 << 20 }
    }
}
