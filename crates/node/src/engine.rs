//! The configuration, in the words of the rooms below: sizes of the log engine, defaults of topics, rules of groups.
use std::time::Duration;

use controller::{InternalTopics, TopicDefaults};
use coordinator::group::GroupConfig;
use metadata::configs::BrokerConfigs;

use crate::config::{Config, Source};

/// How the process's memory is shared out (log-engine rule 24).
pub(crate) struct Memory {
    pub tails_bytes: usize,
    pub frames_bytes: usize,
}

const CLEANER_BACKOFF_MIN: Duration = Duration::from_millis(100);
const OPEN_SEGMENTS_MIN: u64 = 64;
/// Each costs the kernel a kilobyte, and a checkpoint that syncs many takes long.
const OPEN_SEGMENTS_MAX: u64 = 20_000;
const BUDGET_BYTES_MAX: u64 = 1 << 30;
const BUDGET_BYTES_MIN: u64 = 64 << 20;

impl Memory {
    /// A quarter of the machine, at most 1 GiB; at least what one largest request needs. Tails get half, requests that
    /// are being received get a quarter, the rest is for what is being sent and for the process itself.
    pub fn of(config: &Config, memory_bytes: u64) -> Memory {
        let request_bytes = config.network.request_bytes_max as u64;
        let rule = (memory_bytes / 4).min(BUDGET_BYTES_MAX).max(BUDGET_BYTES_MIN + request_bytes);
        let budget = config.memory_bytes.unwrap_or(rule);
        let frames = config.network.requests_bytes_max.unwrap_or((budget / 4).max(request_bytes + (1 << 20)));
        Memory { tails_bytes: (budget / 2) as usize, frames_bytes: frames as usize }
    }
}

/// Three quarters of the process's descriptors are for segments, whose indexes are seldom open as well; the rest is for
/// sockets.
pub(crate) fn settings(config: &Config, memory: &Memory, open_files_max: u64) -> storage::Settings {
    let of_one_directory = open_files_max / 4 * 3 / config.log_dirs.len().max(1) as u64;
    storage::Settings {
        memory_bytes_max: memory.tails_bytes,
        open_segments_max: of_one_directory.clamp(OPEN_SEGMENTS_MIN, OPEN_SEGMENTS_MAX) as usize,
        retention_check: config.log.retention_check_interval,
        compaction: storage::CompactionSettings {
            is_enabled: config.log.cleaner.is_enabled,
            // Without a pause it would do nothing else.
            backoff: config.log.cleaner.backoff.max(CLEANER_BACKOFF_MIN),
            key_bytes_max: config.log.cleaner.key_bytes_max,
            bytes_per_second_max: config.log.cleaner.bytes_per_second_max,
        },
        ..storage::Settings::default()
    }
}

/// What was set in this broker's configuration, by its keys: topics fall back to it.
pub(crate) fn broker_configs(config: &Config) -> BrokerConfigs {
    let set = config.settings.iter().filter(|setting| *setting.source != Source::Default);
    set.filter_map(|setting| Some((setting.key.name, setting.value?))).collect()
}

pub(crate) fn topic_defaults(config: &Config) -> TopicDefaults {
    let crate::config::TopicDefaults { auto_create: _, delete_enabled, num_partitions, replication_factor } =
        config.topics;
    TopicDefaults { partitions: num_partitions, replication_factor, delete_enabled }
}

pub(crate) fn internal_topics(config: &Config) -> InternalTopics {
    // Not a type of its own yet, as nothing else asks for it.
    let text = |name: &str| config.settings.find(name).and_then(|setting| setting.value);
    let number = |name: &str| text(name).and_then(|text| text.parse().ok()).unwrap_or(1);
    InternalTopics {
        offsets_partitions: config.offsets.topic_partitions,
        offsets_replication_factor: config.offsets.topic_replication_factor,
        offsets_segment_bytes: i32::try_from(config.offsets.topic_segment_bytes).unwrap_or(i32::MAX),
        transactions_partitions: number("transaction.state.log.num.partitions"),
        transactions_replication_factor: number("transaction.state.log.replication.factor") as i16,
        transactions_segment_bytes: number("transaction.state.log.segment.bytes"),
        transactions_min_isr: number("transaction.state.log.min.isr"),
    }
}

pub(crate) fn group_config(config: &Config) -> GroupConfig {
    GroupConfig {
        initial_rebalance_delay: config.groups.initial_rebalance_delay,
        members_max: config.groups.size_max,
        offset_metadata_max: config.offsets.metadata_bytes_max,
        commit_timeout: config.offsets.commit_timeout,
        retention_check_interval: config.offsets.retention_check_interval,
        retention: config.offsets.retention,
        session_timeout_max: config.groups.session_timeout_max,
        session_timeout_min: config.groups.session_timeout_min,
        ..GroupConfig::default()
    }
}
