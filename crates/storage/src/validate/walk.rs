//! One pass over the records of a batch (`LogValidator.validateRecord` for each), also of those that are stored as
//! they came: a batch that cannot be read must not get into the log.

use record::{BatchView, Compression, Record, Records, Timestamp, TimestampType};

use super::Rules;
use super::error::{RecordFault, RecordFaults, ValidateError};

/// What the records told, none of them at fault.
pub(super) struct Walk {
    /// NONE if no record has a timestamp.
    pub max_timestamp: Timestamp,
    /// The first record that has it.
    pub max_timestamp_index: i32,
    /// Offset deltas run 0, 1, 2 and so on.
    pub offsets_in_sequence: bool,
}

pub(super) fn walk(
    batch: &BatchView<'_>,
    body: &[u8],
    rules: &Rules,
    now: Timestamp,
    source: Compression,
    target: Compression,
) -> Result<Walk, ValidateError> {
    let mut walk = Walk { max_timestamp: Timestamp::NONE, max_timestamp_index: -1, offsets_in_sequence: true };
    let mut faults = RecordFaults::default();
    // Kafka reads keys and values of these batches only as lengths, and says so in its messages.
    let skips_bytes = source != Compression::None && source == target;
    for (index, record) in (0..).zip(Records::new(batch, body)?) {
        let record = record?;
        if source != Compression::None && record.body_size_bytes > rules.record_bytes_max {
            let (size_bytes, size_bytes_max) = (record.body_size_bytes, rules.record_bytes_max);
            return Err(ValidateError::RecordTooLarge { size_bytes, size_bytes_max });
        }
        if let Some(fault) = fault(batch, &record, rules, now, skips_bytes) {
            faults.push(index, fault);
        }
        if record.timestamp > walk.max_timestamp {
            walk.max_timestamp = record.timestamp;
            walk.max_timestamp_index = index;
        }
        walk.offsets_in_sequence &= record.offset_delta == index;
    }
    if faults.is_empty() { Ok(walk) } else { Err(ValidateError::Records(faults)) }
}

fn fault(
    batch: &BatchView<'_>,
    record: &Record<'_>,
    rules: &Rules,
    now: Timestamp,
    skips_bytes: bool,
) -> Option<RecordFault> {
    if rules.compacted && record.key.is_none() {
        return Some(RecordFault::NoKey);
    }
    // The odd order is `LogValidator.validateTimestamp`'s: on a topic of CreateTime the bit for LogAppendTime is
    // noticed only on records without a timestamp.
    if rules.timestamp_type == TimestampType::CreateTime && record.timestamp != Timestamp::NONE {
        let age_ms = now.0.wrapping_sub(record.timestamp.0);
        if age_ms > rules.timestamp_before_max_ms || age_ms.wrapping_neg() > rules.timestamp_after_max_ms {
            return Some(RecordFault::Timestamp {
                timestamp: record.timestamp,
                offset: record.offset,
                earliest: Timestamp(now.0.wrapping_sub(rules.timestamp_before_max_ms)),
                latest: Timestamp(now.0.wrapping_add(rules.timestamp_after_max_ms)),
            });
        }
        None
    } else if batch.timestamp_type() == TimestampType::LogAppendTime {
        // A null counts as -1 where Kafka knows only lengths, and as 0 where it has the bytes.
        let null = if skips_bytes { -1 } else { 0 };
        let length = |bytes: Option<&[u8]>| bytes.map_or(null, |bytes| bytes.len() as i64);
        Some(RecordFault::TimestampType {
            offset: record.offset,
            timestamp: record.timestamp,
            key_bytes: length(record.key),
            value_bytes: length(record.value),
            skips_bytes,
        })
    } else {
        None
    }
}
