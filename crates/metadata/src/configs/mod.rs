//! The configs of topics, groups and subscriptions to clients' metrics. Of a topic: which there are, what values they take, where a value comes from, and what all of them
//! together mean for a log. The table and the messages are Kafka 4.4's (`LogConfig`), held against it in a test;
//! `durability` is ours.

mod broker;
mod client_metrics;
mod describe;
mod group;
mod keys;
mod parse;
mod rules;
mod topic;

pub use broker::{BrokerConfigs, BrokerKeys, Layers, NoBrokerKeys};
pub use client_metrics::{Subscribed, check_client_metrics, describe_client_metrics, subscribed};
pub use describe::{Asked, create_topic_configs, describe_topic, describe_topic_result};
pub use group::{check_group, describe_group};
pub use keys::{KEYS, Key, Kind, Rule, SEGMENT_BYTES_OF_TESTS, Synonym, Unit, key};
pub use parse::Value;
pub use rules::{ConfigError, check_topic};
pub use topic::{Cleanup, CompressionSetting, Durability, TopicConfig};
