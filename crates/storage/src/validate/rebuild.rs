//! Rewrites a batch whose bytes cannot be kept: another codec is wanted (`LogValidator.buildRecordsAndAssignOffsets`),
//! or the inner offsets of an uncompressed one are not in sequence. Never a control batch.

use record::{BatchBuilder, BatchView, Compression, ProducerEpoch, ProducerId, Records, Timestamp, TimestampType};

use super::error::ValidateError;
use super::{CompressionPolicy, Rules};

pub(super) fn rebuild(
    batch: &BatchView<'_>,
    body: &[u8],
    rules: &Rules,
    target: Compression,
    now: Timestamp,
) -> Result<Vec<u8>, ValidateError> {
    check_producer(batch)?;
    let mut builder = BatchBuilder::new(target).with_producer(
        batch.producer_id(),
        batch.producer_epoch(),
        batch.base_sequence(),
        batch.is_transactional(),
    );
    builder.compression_level = match rules.compression {
        CompressionPolicy::Producer => None,
        CompressionPolicy::Codec { level, .. } => level,
    };
    builder.log_append_time = (rules.timestamp_type == TimestampType::LogAppendTime).then_some(now);
    for record in Records::new(batch, body)? {
        let record = record?;
        if record.timestamp < Timestamp::NONE {
            return Err(ValidateError::NotRebuildable { reason: "Invalid negative timestamp" });
        }
        builder.append_record(&record);
    }
    Ok(builder.build())
}

/// What Kafka notices only when it writes a batch itself (`MemoryRecordsBuilder.validateProducerState`).
fn check_producer(batch: &BatchView<'_>) -> Result<(), ValidateError> {
    let has_producer = batch.producer_id() != ProducerId::NONE;
    let reason = if !has_producer && batch.is_transactional() {
        "Cannot write transactional messages without a valid producer ID"
    } else if has_producer && batch.producer_epoch() == ProducerEpoch::NONE {
        "Invalid negative producer epoch"
    } else if has_producer && batch.base_sequence().is_none() {
        "Invalid negative sequence number used"
    } else {
        return Ok(());
    };
    Err(ValidateError::NotRebuildable { reason })
}
