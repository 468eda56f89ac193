//! A topic's configuration, as the log and the checks of batches want it.
use std::time::Duration;

use metadata::configs::{CompressionSetting, Durability, TopicConfig};
use record::{Compression, TopicPartition};
use storage::LogConfig;
use storage::validate::{CompressionPolicy, Rules};

const UNLIMITED: i64 = -1;

pub(crate) fn of_log(name: &TopicPartition, config: &TopicConfig, producer_expiration: Duration) -> LogConfig {
    let limit = |limit: Option<i64>| limit.unwrap_or(UNLIMITED);
    LogConfig {
        durability: match config.durability {
            Durability::Flush => storage::Durability::Flush,
            Durability::Relaxed => storage::Durability::Relaxed,
        },
        segment_bytes: config.segment_bytes,
        segment_ms: match (config.cleanup.compact, config.max_compaction_lag_ms) {
            (true, Some(lag_ms)) => config.segment_ms.min(lag_ms),
            _ => config.segment_ms,
        },
        segment_jitter_ms: jitter(name, config.segment_jitter_ms.min(config.segment_ms)),
        segment_index_bytes: config.segment_index_bytes,
        index_interval_bytes: config.index_interval_bytes,
        retention_ms: limit(config.retention_ms),
        retention_bytes: config.retention_bytes.map_or(UNLIMITED, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        deletes: config.cleanup.delete,
        compacts: config.cleanup.compact,
        delete_retention_ms: config.delete_retention_ms,
        dirty_ratio_min: config.min_cleanable_dirty_ratio,
        compaction_lag_ms_min: config.min_compaction_lag_ms,
        compaction_lag_ms_max: config.max_compaction_lag_ms.unwrap_or(i64::MAX),
        producer_expiration_ms: producer_expiration.as_millis() as i64,
    }
}

/// Kafka draws it anew for each segment, so that not all logs roll at once. Drawn from the name it does that too, and
/// needs no chance.
fn jitter(name: &TopicPartition, jitter_ms_max: i64) -> i64 {
    if jitter_ms_max <= 0 {
        return 0;
    }
    let mut hash = name.partition as u64;
    for byte in name.topic.bytes() {
        hash = hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte);
    }
    (hash % jitter_ms_max as u64) as i64
}

fn target(compression: Compression, level: Option<i32>) -> CompressionPolicy {
    CompressionPolicy::Codec { compression, level }
}

pub(crate) fn of_rules(config: &TopicConfig) -> Rules {
    Rules {
        compacted: config.cleanup.compact,
        compression: match config.compression {
            CompressionSetting::Producer => CompressionPolicy::Producer,
            CompressionSetting::Uncompressed => target(Compression::None, None),
            CompressionSetting::Gzip { level } => target(Compression::Gzip, level.map(|level| level as i32)),
            CompressionSetting::Lz4 { level } => target(Compression::Lz4, Some(level)),
            CompressionSetting::Snappy => target(Compression::Snappy, None),
            CompressionSetting::Zstd { level } => target(Compression::Zstd, Some(level)),
        },
        message_bytes_max: config.max_message_bytes as usize,
        record_bytes_max: config.max_decompressed_message_bytes as usize,
        segment_bytes_max: config.segment_bytes as usize,
        timestamp_after_max_ms: config.timestamp_after_max_ms,
        timestamp_before_max_ms: config.timestamp_before_max_ms,
        timestamp_type: config.timestamp_type,
    }
}
