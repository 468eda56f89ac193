//! What brokers contribute to a topic's configs, and the layers in which a value is looked for.

use std::collections::BTreeMap;

use protocol::ErrorCode;
use record::BrokerId;

use super::keys::{Key, Synonym, Unit};
use super::parse::Value;
use crate::{Configs, Image, Overrides, Resource};

/// What was set in the configuration of this broker, by the broker's own keys; not what has its default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BrokerConfigs(BTreeMap<String, String>);

impl BrokerConfigs {
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for BrokerConfigs {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(values: I) -> Self {
        Self(values.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// The registry of broker keys, which lives above this crate.
pub trait BrokerKeys: Send + Sync {
    /// May these keys be set to these values while the broker runs (`None`: taken back), for one broker or for all? Names
    /// are in Kafka's order. The error is for the client.
    fn check(
        &self,
        image: &Image,
        changes: &[(&str, Option<&str>)],
        cluster_wide: bool,
    ) -> Result<(), (ErrorCode, String)>;
    /// Whether elements can be added to it and taken away; nothing for what is no key.
    fn is_list(&self, name: &str) -> Option<bool>;
    fn default(&self, name: &str) -> Option<String>;
    /// Whether a log directory of this broker takes new replicas: `cordoned.log.dirs` (KIP-1066).
    fn takes_replicas(&self, _image: &Image, _broker: BrokerId) -> bool {
        true
    }
}

/// For tests: no broker key can be altered.
#[derive(Clone, Copy, Debug)]
pub struct NoBrokerKeys;

impl BrokerKeys for NoBrokerKeys {
    fn check(&self, _: &Image, changes: &[(&str, Option<&str>)], _: bool) -> Result<(), (ErrorCode, String)> {
        let names: Vec<&str> = changes.iter().map(|(name, _)| *name).collect();
        let text = format!("Cannot update these configs dynamically: [{}]", names.join(", "));
        if names.is_empty() { Ok(()) } else { Err((ErrorCode::InvalidRequest, text)) }
    }

    fn is_list(&self, _: &str) -> Option<bool> {
        None
    }

    fn default(&self, _: &str) -> Option<String> {
        None
    }
}

/// Kafka's `DescribeConfigsResponse.ConfigSource`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefault = 3,
    Static = 4,
    Default = 5,
}

/// Where a topic's value is looked for, the first one first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layers<'a> {
    pub topic: Option<&'a Overrides>,
    pub dynamic: Option<&'a Overrides>,
    pub dynamic_default: Option<&'a Overrides>,
    pub fixed: Option<&'a BrokerConfigs>,
}

impl<'a> Layers<'a> {
    pub fn of_brokers(brokers: &'a BrokerConfigs) -> Self {
        Self { fixed: Some(brokers), ..Self::default() }
    }

    /// Of a topic, as this broker sees it.
    pub fn of_topic(configs: &'a Configs, topic: &str, node: BrokerId, brokers: &'a BrokerConfigs) -> Self {
        Self {
            topic: configs.of(&Resource::topic(topic)),
            dynamic: configs.of(&Resource::Broker(node)),
            dynamic_default: configs.of(&Resource::BrokerDefault),
            fixed: Some(brokers),
        }
    }

    /// The broker's values for one of its own keys, by layer.
    pub fn broker_values(&self, name: &str) -> impl Iterator<Item = (&'a str, Source)> + use<'a> {
        let of = |overrides: Option<&'a Overrides>| overrides.and_then(|overrides| overrides.value(name));
        [
            (of(self.dynamic), Source::DynamicBroker),
            (of(self.dynamic_default), Source::DynamicDefault),
            (self.fixed.and_then(|fixed| fixed.value(name)), Source::Static),
        ]
        .into_iter()
        .filter_map(|(value, source)| value.map(|value| (value, source)))
    }

    /// What the topic itself has set.
    pub fn set(&self, key: &Key) -> Option<Value> {
        self.topic.and_then(|topic| topic.value(key.name)).and_then(|text| key.parse(text).ok())
    }

    /// The value that counts. A text that does not parse was checked by nobody: the next one counts.
    pub fn resolve(&self, key: &Key) -> (Value, Source) {
        if let Some(value) = self.set(key) {
            return (value, Source::Topic);
        }
        let of_broker = key.synonyms.iter().find_map(|synonym| {
            self.broker_values(synonym.name).find_map(|(text, source)| Some((synonym.value(key, text)?, source)))
        });
        of_broker.unwrap_or_else(|| (key.default_value(), Source::Default))
    }
}

impl Synonym {
    /// What the broker's text is for the topic.
    pub fn value(&self, key: &Key, text: &str) -> Option<Value> {
        let factor: i64 = match self.unit {
            Unit::Same => return key.parse(text).ok(),
            Unit::Minutes => 60 * 1000,
            Unit::Hours => 60 * 60 * 1000,
        };
        let number: i64 = text.trim().parse().ok()?;
        // Negative is "no limit", whatever the unit.
        Some(Value::Number(if number < 0 { number } else { number.saturating_mul(factor) }))
    }
}
