//! What a follower demands of the batches that its leader sends (`UnifiedLog.appendAsFollower`): they were validated,
//! and must only be whole, sound and in order. Their bytes are kept as they are.

use std::fmt;

use record::{BatchError, BatchView, Batches, Offset};

/// Why the rest of what a leader sent is not appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplicatedError {
    Corrupt {
        offset: Offset,
        stored: u32,
        computed: u32,
    },
    NotABatch(BatchError),
    /// Begins before the log's end or the end of the batch before it, or ends before it begins.
    OutOfOrder {
        expected_min: Offset,
        base: Offset,
        last: Offset,
    },
}

/// The whole batches in `bytes`, for a log that ends at `log_end`. A leader cuts its answer at the size that was asked
/// for, so the last may be cut off: then it is left out. After an error nothing comes.
pub fn replicated(bytes: &[u8], log_end: Offset) -> impl Iterator<Item = Result<BatchView<'_>, ReplicatedError>> {
    let mut expected_min = log_end;
    let mut failed = false;
    Batches::new(bytes).map_while(move |batch| {
        if failed {
            return None;
        }
        let checked = match batch {
            Err(BatchError::Truncated { .. }) => return None,
            Err(error) => Err(ReplicatedError::NotABatch(error)),
            Ok(batch) => check(batch, expected_min),
        };
        match &checked {
            Ok(batch) => expected_min = batch.next_offset(),
            Err(_) => failed = true,
        }
        Some(checked)
    })
}

fn check(batch: BatchView<'_>, expected_min: Offset) -> Result<BatchView<'_>, ReplicatedError> {
    let (base, last) = (batch.base_offset(), batch.last_offset());
    let (stored, computed) = (batch.crc(), batch.computed_crc());
    if stored != computed {
        return Err(ReplicatedError::Corrupt { offset: base, stored, computed });
    }
    // Compaction leaves holes before a batch and in it; it never takes the last offset away.
    if base < expected_min || last < base {
        return Err(ReplicatedError::OutOfOrder { expected_min, base, last });
    }
    Ok(batch)
}

impl fmt::Display for ReplicatedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplicatedError::Corrupt { offset, stored, computed } => {
                write!(f, "the leader's batch at offset {offset} has checksum {computed:08x} instead of {stored:08x}")
            }
            ReplicatedError::NotABatch(error) => write!(f, "the leader sent no batch: {error}"),
            ReplicatedError::OutOfOrder { expected_min, base, last } => {
                write!(f, "the leader sent offsets {base} to {last} where {expected_min} or more comes next")
            }
        }
    }
}

impl std::error::Error for ReplicatedError {}
