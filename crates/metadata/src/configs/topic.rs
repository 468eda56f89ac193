//! All configs of one topic, parsed: what its logs and its leaders go by.

use record::{BrokerId, TimestampType};

use super::broker::{BrokerConfigs, Layers};
use super::keys::{SEGMENT_BYTES_OF_TESTS, key};
use super::parse::Value;
use crate::Image;

/// `None` is "no limit" throughout.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    pub cleanup: Cleanup,
    pub compression: CompressionSetting,
    pub delete_retention_ms: i64,
    pub durability: Durability,
    pub file_delete_delay_ms: i64,
    pub index_interval_bytes: u32,
    pub max_compaction_lag_ms: Option<i64>,
    pub max_decompressed_message_bytes: u32,
    pub max_message_bytes: u32,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub min_insync_replicas: u32,
    pub preallocate: bool,
    pub retention_bytes: Option<u64>,
    pub retention_ms: Option<i64>,
    pub segment_bytes: u32,
    pub segment_index_bytes: u32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub timestamp_before_max_ms: i64,
    pub timestamp_type: TimestampType,
    pub unclean_leader_election: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cleanup {
    pub compact: bool,
    pub delete: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CompressionSetting {
    Gzip {
        level: Option<u32>,
    },
    Lz4 {
        level: i32,
    },
    /// As it comes.
    Producer,
    Snappy,
    Uncompressed,
    Zstd {
        level: i32,
    },
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Durability {
    #[default]
    Flush,
    Relaxed,
}

impl Image {
    /// Of a topic that exists or does not: then it is what one without configs of its own would have.
    pub fn topic_config(&self, topic: &str, node: BrokerId, brokers: &BrokerConfigs) -> TopicConfig {
        TopicConfig::of(&Layers::of_topic(&self.configs, topic, node, brokers))
    }
}

impl Default for TopicConfig {
    /// Kafka's, and durability=flush.
    fn default() -> Self {
        Self::of(&Layers::default())
    }
}

impl TopicConfig {
    pub fn of(layers: &Layers<'_>) -> TopicConfig {
        let value = |name: &str| layers.resolve(key(name).expect("the name is in the table")).0;
        let number = |name: &str| match value(name) {
            Value::Number(number) => number,
            _ => unreachable!("{name} is a number"),
        };
        let boolean = |name: &str| value(name) == Value::Boolean(true);
        let unless_max = |number: i64| (number != i64::MAX).then_some(number);
        let unless_negative = |number: i64| (number >= 0).then_some(number);
        // Every rule of a size keeps it within u32.
        let size = |name: &str| u32::try_from(number(name)).unwrap_or(u32::MAX);
        let size_of_tests = layers.set(&SEGMENT_BYTES_OF_TESTS).map(|value| match value {
            Value::Number(number) => u32::try_from(number).unwrap_or(0), // No batch is small enough then, as in Kafka.
            _ => unreachable!("it is a number"),
        });
        let policies = match value("cleanup.policy") {
            Value::List(policies) => policies,
            _ => unreachable!("cleanup.policy is a list"),
        };
        let level = |name: &str| number(name) as i32;
        TopicConfig {
            cleanup: Cleanup {
                compact: policies.iter().any(|policy| policy == "compact"),
                delete: policies.iter().any(|policy| policy == "delete"),
            },
            compression: match &*value("compression.type").text() {
                "gzip" => CompressionSetting::Gzip { level: u32::try_from(level("compression.gzip.level")).ok() },
                "lz4" => CompressionSetting::Lz4 { level: level("compression.lz4.level") },
                "snappy" => CompressionSetting::Snappy,
                "uncompressed" => CompressionSetting::Uncompressed,
                "zstd" => CompressionSetting::Zstd { level: level("compression.zstd.level") },
                _ => CompressionSetting::Producer,
            },
            delete_retention_ms: number("delete.retention.ms"),
            durability: match &*value("durability").text() {
                "relaxed" => Durability::Relaxed,
                _ => Durability::Flush,
            },
            file_delete_delay_ms: number("file.delete.delay.ms"),
            index_interval_bytes: size("index.interval.bytes"),
            max_compaction_lag_ms: unless_max(number("max.compaction.lag.ms")),
            max_decompressed_message_bytes: size("max.decompressed.message.bytes"),
            max_message_bytes: size("max.message.bytes"),
            min_cleanable_dirty_ratio: match value("min.cleanable.dirty.ratio") {
                Value::Double(ratio) => ratio,
                _ => unreachable!("min.cleanable.dirty.ratio is a double"),
            },
            min_compaction_lag_ms: number("min.compaction.lag.ms"),
            min_insync_replicas: size("min.insync.replicas"),
            preallocate: boolean("preallocate"),
            retention_bytes: unless_negative(number("retention.bytes")).map(i64::unsigned_abs),
            retention_ms: unless_negative(number("retention.ms")),
            segment_bytes: size_of_tests.unwrap_or_else(|| size("segment.bytes")),
            segment_index_bytes: size("segment.index.bytes"),
            segment_jitter_ms: number("segment.jitter.ms"),
            segment_ms: number("segment.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_type: match &*value("message.timestamp.type").text() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            unclean_leader_election: boolean("unclean.leader.election.enable"),
        }
    }
}
