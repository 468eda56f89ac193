//! What is asked of each record of a batch (`LogValidator.validateRecord`), also of one that is stored as it came: a batch that cannot be read must not get into the log.

use record::{BatchView, Compression, RecordOutline, Timestamp, TimestampType};

use super::Rules;
use super::error::{RecordFault, RecordFaults};

/// What the records told so far.
pub(super) struct Walk {
    /// NONE if no record has a timestamp.
    pub max_timestamp: Timestamp,
    /// The first record that has it.
    pub max_timestamp_index: i32,
    /// Offset deltas run 0, 1, 2 and so on.
    pub offsets_in_sequence: bool,
    pub faults: RecordFaults,
    count: i32,
    skips_bytes: bool,
}

impl Walk {
    pub fn new(source: Compression, target: Compression) -> Walk {
        Walk {
            max_timestamp: Timestamp::NONE,
            max_timestamp_index: -1,
            offsets_in_sequence: true,
            faults: RecordFaults::default(),
            count: 0,
            // Kafka reads keys and values of these batches only as lengths, and says so in its messages.
            skips_bytes: source != Compression::None && source == target,
        }
    }

    pub fn take_note(&mut self, batch: &BatchView<'_>, record: &RecordOutline, rules: &Rules, now: Timestamp) {
        if let Some(fault) = fault(batch, record, rules, now, self.skips_bytes) {
            self.faults.push(self.count, fault);
        }
        if record.timestamp > self.max_timestamp {
            self.max_timestamp = record.timestamp;
            self.max_timestamp_index = self.count;
        }
        self.offsets_in_sequence &= record.offset_delta == self.count;
        self.count += 1;
    }
}

fn fault(
    batch: &BatchView<'_>,
    record: &RecordOutline,
    rules: &Rules,
    now: Timestamp,
    skips_bytes: bool,
) -> Option<RecordFault> {
    if rules.compacted && record.key_bytes.is_none() {
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
        let length = |bytes: Option<usize>| bytes.map_or(null, |bytes| bytes as i64);
        Some(RecordFault::TimestampType {
            offset: record.offset,
            timestamp: record.timestamp,
            key_bytes: length(record.key_bytes),
            value_bytes: length(record.value_bytes),
            skips_bytes,
        })
    } else {
        None
    }
}
