//! Rewrites a batch whose bytes cannot be kept: another codec is wanted, or its inner offsets are not in sequence
//! (`LogValidator.buildRecordsAndAssignOffsets`). Never a control batch.

use record::{BatchBuilder, BatchView, Compression, Records, Timestamp, TimestampType};

use super::error::ValidateError;
use super::{CompressionPolicy, Rules};

pub(super) fn rebuild(
    batch: &BatchView<'_>,
    body: &[u8],
    rules: &Rules,
    target: Compression,
    now: Timestamp,
) -> Result<Vec<u8>, ValidateError> {
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
        builder.append_record(&record?);
    }
    Ok(builder.build())
}
