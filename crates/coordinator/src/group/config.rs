//! What of `group.*` and `offsets.*` the coordinator of classic groups heeds, with Kafka 4.4's defaults
//! (`GroupCoordinatorConfig`). The keys of the offsets topic itself are the server's.

use std::time::Duration;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupConfig {
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members after its first.
    pub initial_rebalance_delay: Duration,
    /// `group.max.size`
    pub members_max: usize,
    /// `offset.metadata.max.bytes`, which Kafka counts in UTF-16 code units.
    pub offset_metadata_max: usize,
    /// `offsets.commit.timeout.ms`: how long an answer waits for its records to be committed.
    pub commit_timeout: Duration,
    /// `offsets.retention.check.interval.ms`
    pub retention_check_interval: Duration,
    /// `offsets.retention.minutes`
    pub retention: Duration,
    /// `group.max.session.timeout.ms`
    pub session_timeout_max: Duration,
    /// `group.min.session.timeout.ms`
    pub session_timeout_min: Duration,
    /// Requests that may wait in one partition; not a key of Kafka's.
    pub tickets_max: usize,
}

impl Default for GroupConfig {
    fn default() -> GroupConfig {
        GroupConfig {
            initial_rebalance_delay: Duration::from_secs(3),
            members_max: i32::MAX as usize,
            offset_metadata_max: 4096,
            commit_timeout: Duration::from_secs(5),
            retention_check_interval: Duration::from_secs(600),
            retention: Duration::from_secs(7 * 24 * 3600),
            session_timeout_max: Duration::from_secs(1800),
            session_timeout_min: Duration::from_secs(6),
            tickets_max: 100_000,
        }
    }
}

impl GroupConfig {
    /// A lone developer does not wait three seconds for members that never come.
    pub fn dev() -> GroupConfig {
        GroupConfig { initial_rebalance_delay: Duration::ZERO, ..GroupConfig::default() }
    }
}
