//! May a topic have these configs? Kafka's `LogConfig.validate`, and what this broker refuses for now.

use std::collections::BTreeMap;
use std::fmt;

use super::broker::{BrokerConfigs, Layers};
use super::keys::{KEYS, SEGMENT_BYTES_OF_TESTS, key};
use super::parse::Value;
use crate::Overrides;

/// Kafka's message. The code is always INVALID_CONFIG.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// All that the topic would have set, on a broker that is configured so.
pub fn check_topic(configs: &Overrides, brokers: &BrokerConfigs) -> Result<(), ConfigError> {
    if let Some(name) = configs.first_unknown(|name| key(name).is_some()) {
        return Err(ConfigError(format!("Unknown topic config name: {name}")));
    }
    let mut values = BTreeMap::new();
    for key in KEYS {
        let value = match configs.value(key.name) {
            Some(text) => key.parse(text).map_err(ConfigError)?,
            None => Layers::of_brokers(brokers).resolve(key).0,
        };
        values.insert(key.name, value);
    }
    // Kafka looks at it last.
    configs
        .value(SEGMENT_BYTES_OF_TESTS.name)
        .map_or(Ok(()), |text| SEGMENT_BYTES_OF_TESTS.parse(text).map(drop))
        .map_err(ConfigError)?;
    let number = |name: &str| match &values[name] {
        Value::Number(number) => *number,
        _ => unreachable!("{name} is a number"),
    };
    let (min, max) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"));
    if min > max {
        return Err(ConfigError(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
        )));
    }
    if values["remote.storage.enable"] == Value::Boolean(true) {
        return Err(ConfigError(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
                .into(),
        ));
    }
    Ok(())
}
