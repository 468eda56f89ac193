//! What a leader demands of a batch before it appends it: the rules of Kafka's `ProduceRequest`, `LogValidator` and
//! `UnifiedLog`, in their order. Runs before the partition's lock and so knows no offset; what the lock still has to
//! do is `Validated::header_at`. Sequences and epochs of producers are `producer_state`'s.

mod error;
mod rebuild;
mod replicated;
mod steps;
#[cfg(test)]
mod tests;
mod walk;

pub use error::{RECORD_FAULTS_MAX, RecordFault, RecordFaults, ValidateError};
use record::batch::{BatchHeader, MAGIC};
use record::control::EndTxnMarker;
use record::{
    BatchError, BatchView, Compression, Decompressor, HEADER_BYTES, LeaderEpoch, Offset, Timestamp, TimestampType,
};

pub use replicated::{ReplicatedError, replicated};
pub use steps::{Step, Validation};

use crate::producer_state::ProducerBatch;

/// What the configuration of a topic, and of the broker behind it, demands of its batches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// `cleanup.policy` contains `compact`: every record needs a key.
    pub compacted: bool,
    /// `compression.type`.
    pub compression: CompressionPolicy,
    /// `max.message.bytes`, of the batch as it came and once more as it is stored.
    pub message_bytes_max: usize,
    /// `max.decompressed.message.bytes`: of each record of a compressed batch.
    pub record_bytes_max: usize,
    /// `segment.bytes`.
    pub segment_bytes_max: usize,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
}

/// As Kafka 4.4 has them.
impl Default for Rules {
    fn default() -> Rules {
        Rules {
            compacted: false,
            compression: CompressionPolicy::Producer,
            message_bytes_max: (1 << 20) + 12,
            record_bytes_max: i32::MAX as usize - 8,
            segment_bytes_max: 1 << 30,
            timestamp_after_max_ms: 3_600_000,
            timestamp_before_max_ms: i64::MAX,
            timestamp_type: TimestampType::CreateTime,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CompressionPolicy {
    /// Whatever the producer chose.
    #[default]
    Producer,
    /// Batches of another codec are rewritten; the level counts only then.
    Codec { compression: Compression, level: Option<i32> },
}

/// Who appends. Followers do not: their batches were validated by their leader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// A Produce request of this version.
    Client { produce_version: i16 },
    /// This broker itself, for internal topics and end markers.
    Coordinator,
}

/// A batch that may be appended: all that is known of it but its offset.
#[derive(Clone, Debug)]
pub struct Validated {
    /// Of the batch as it will be stored.
    pub compression: Compression,
    pub last_offset_delta: i32,
    /// Set on topics of LogAppendTime: what the producer is told.
    pub log_append_time: Option<Timestamp>,
    /// Of a control batch that ends a transaction.
    pub marker: Option<EndTxnMarker>,
    pub max_timestamp: Timestamp,
    /// Of the first record that has it; 0 with LogAppendTime, where all have it (`RecordBatch.offsetOfMaxTimestamp`).
    pub max_timestamp_offset_delta: i32,
    pub producer: Option<ProducerBatch>,
    pub record_count: i32,
    header: BatchHeader,
    /// How much of the request's bytes is the batch.
    verbatim_bytes: usize,
    /// The whole batch, where the request's bytes could not be kept.
    rebuilt: Option<Vec<u8>>,
}

/// Zstandard came with version 7 of Produce (KIP-110); older consumers could not read it.
const ZSTD_PRODUCE_VERSION_MIN: i16 = 7;

/// Beyond it Kafka's sum of a batch's length and what stands before it turns negative.
const BATCH_BYTES_MAX: usize = i32::MAX as usize;

/// Checks the batch in `bytes`, a partition's share of a request, in one go. `now` is what the topic's clock says.
pub fn validate(
    bytes: &[u8],
    rules: &Rules,
    origin: Origin,
    now: Timestamp,
    decompressor: &mut Decompressor,
) -> Result<Validated, ValidateError> {
    let mut validation = Validation::new(bytes, rules, origin, now, decompressor)?;
    loop {
        if let Step::Done(validated) = validation.step()? {
            return Ok(validated);
        }
    }
}

impl Validated {
    /// What the batch takes in the log.
    pub fn size_bytes(&self) -> usize {
        self.rebuilt.as_ref().map_or(self.verbatim_bytes, Vec::len)
    }

    /// The header as it is stored once the lock has given the batch its place. Behind it belongs `body`.
    pub fn header_at(&self, base_offset: Offset, epoch: LeaderEpoch) -> BatchHeader {
        let mut header = self.header;
        header.assign(base_offset, epoch);
        header
    }

    /// The records as they are stored; `bytes` is what was validated.
    pub fn body<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        match &self.rebuilt {
            None => &bytes[HEADER_BYTES..self.verbatim_bytes],
            Some(rebuilt) => &rebuilt[HEADER_BYTES..],
        }
    }

    /// Whether the body is not the one that was sent.
    pub fn is_rebuilt(&self) -> bool {
        self.rebuilt.is_some()
    }

    /// Appends the whole batch to `out`, for those who keep it in one piece.
    pub fn write_to(&self, out: &mut Vec<u8>, bytes: &[u8], base_offset: Offset, epoch: LeaderEpoch) {
        out.extend_from_slice(self.header_at(base_offset, epoch).as_bytes());
        out.extend_from_slice(self.body(bytes));
    }
}

/// Exactly one batch of magic 2 (`ProduceRequest.validateRecords`). A cut-off batch behind it is left out, as
/// `UnifiedLog.trimInvalidBytes` does; a cut-off first one is none at all.
fn only_batch(bytes: &[u8], origin: Origin) -> Result<BatchView<'_>, ValidateError> {
    let produce_version = match origin {
        Origin::Client { produce_version } => produce_version,
        Origin::Coordinator => i16::MAX,
    };
    let batch = match BatchView::parse(bytes) {
        Ok(batch) => batch,
        Err(BatchError::Truncated { needed, .. }) if needed > BATCH_BYTES_MAX => {
            return Err(ValidateError::EndlessBatch);
        }
        Err(BatchError::Truncated { .. }) => return Err(ValidateError::NoBatch { produce_version }),
        Err(BatchError::UnsupportedMagic { magic }) if (0..MAGIC).contains(&magic) => {
            return Err(ValidateError::OldMagic { produce_version });
        }
        Err(error) => return Err(ValidateError::NotABatch(error)),
    };
    if produce_version < ZSTD_PRODUCE_VERSION_MIN && batch.compression() == Ok(Compression::Zstd) {
        return Err(ValidateError::ZstdNotAllowed { produce_version });
    }
    match BatchView::parse(&bytes[batch.size_bytes()..]) {
        Err(BatchError::Truncated { needed, .. }) if needed > BATCH_BYTES_MAX => Err(ValidateError::EndlessBatch),
        Err(BatchError::Truncated { .. }) => Ok(batch),
        Ok(_) => Err(ValidateError::ManyBatches { produce_version }),
        Err(BatchError::UnsupportedMagic { magic }) if (0..MAGIC).contains(&magic) => {
            Err(ValidateError::ManyBatches { produce_version })
        }
        Err(error) => Err(ValidateError::NotABatch(error)),
    }
}

/// `UnifiedLog.analyzeAndValidateRecords`.
fn check_as_a_whole(batch: &BatchView<'_>, rules: &Rules, origin: Origin) -> Result<(), ValidateError> {
    let base_offset = batch.base_offset();
    if matches!(origin, Origin::Client { .. }) && base_offset != Offset::ZERO {
        return Err(ValidateError::BaseOffset { base_offset });
    }
    let (size_bytes, size_bytes_max) = (batch.size_bytes(), rules.message_bytes_max);
    if size_bytes > size_bytes_max {
        return Err(ValidateError::TooLarge { size_bytes, size_bytes_max });
    }
    if !batch.crc_is_valid() {
        return Err(ValidateError::Corrupt { crc: batch.crc() });
    }
    Ok(())
}

/// `LogValidator.validateBatch`.
fn check_header(batch: &BatchView<'_>, origin: Origin) -> Result<(), ValidateError> {
    if origin == Origin::Coordinator {
        return Ok(());
    }
    let (first, last) = (batch.base_offset(), batch.last_offset());
    let count = batch.record_count();
    let counted = last - first + 1;
    if counted <= 0 {
        return Err(ValidateError::OffsetRange { first, last });
    }
    if count <= 0 {
        return Err(ValidateError::RecordCount { count });
    }
    if counted != i64::from(count) {
        return Err(ValidateError::OffsetsAndCount { first, last, count });
    }
    if batch.is_control() {
        return Err(ValidateError::ControlBatch);
    }
    let base_sequence = batch.base_sequence();
    if batch.has_producer_id() && base_sequence.is_none() {
        return Err(ValidateError::Sequence { base_sequence, producer_id: batch.producer_id() });
    }
    Ok(())
}
