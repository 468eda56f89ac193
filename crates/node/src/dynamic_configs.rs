//! Which configs of the broker may be altered while it runs, and to what: the rules and words of Kafka's
//! `DynamicBrokerConfig` and `ConfigDef`. What is read only at the start is refused here, as nothing would come of it.
use std::collections::BTreeSet;
use std::fmt::Display;

use metadata::Image;
use metadata::configs::BrokerKeys;
use protocol::ErrorCode;
use record::BrokerId;

use crate::broker_configs::NodeConfigs;
use crate::config::{
    Effect, Key, Kind, READ_AT_START, Rule, UpdateMode, key, of_listener, per_ip_overrides, served_of_listener,
};

type Refused = (ErrorCode, String);

/// Kafka doubles or halves a pool of threads at most.
const THREADS: [&str; 9] = [
    "background.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.manager.follower.thread.pool.size",
    "remote.log.reader.threads",
];
/// Each listener has its own.
const PER_LISTENER: [&str; 10] = [
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];
/// Of the configs of one listener those that may be set for all brokers.
const ALSO_FOR_ALL: [&str; 3] = ["max.connection.creation.rate", "max.connections", "num.network.threads"];
/// What must be positive, although its range begins with 0.
const POSITIVE: [&str; 2] = ["max.connection.creation.rate", "max.connections"];
const DEDUPE_BUFFER_BYTES_MIN: i64 = 1024 * 1024;

impl BrokerKeys for NodeConfigs {
    fn check(&self, image: &Image, changes: &[(&str, Option<&str>)], cluster_wide: bool) -> Result<(), Refused> {
        check_names(changes, &READ_ONLY)?;
        check_names(changes, &WITHOUT_LISTENER)?;
        let mut by_name = changes.to_vec();
        by_name.sort_unstable();
        by_name
            .iter()
            .filter_map(|(name, value)| Some((*name, (*value)?)))
            .try_for_each(|(name, value)| check_value(name, value))?;
        if cluster_wide {
            check_names(changes, &OF_ONE_BROKER)?;
        }
        by_name.iter().try_for_each(|(name, value)| check(self, image, name, *value, cluster_wide))
    }

    fn takes_replicas(&self, image: &Image, broker: BrokerId) -> bool {
        broker != self.node_id() || self.cordoned_log_dirs(image).len() < self.log_dirs().len()
    }

    fn default(&self, name: &str) -> Option<String> {
        key(name)?.default.map(str::to_owned)
    }

    fn is_list(&self, name: &str) -> Option<bool> {
        key(name).map(|key| key.kind == Kind::List)
    }
}

/// Names that may not be altered so, whatever to: all of them are told.
struct Forbidden {
    is_of: fn(&str) -> bool,
    text: &'static str,
}

const READ_ONLY: Forbidden = Forbidden {
    is_of: |name| key(name).is_some_and(|key| key.update_mode == UpdateMode::ReadOnly),
    text: "Cannot update these configs dynamically",
};
const WITHOUT_LISTENER: Forbidden = Forbidden {
    is_of: |name| PER_LISTENER.contains(&name),
    text: "These security configs can be dynamically updated only per-listener using the listener prefix",
};
const OF_ONE_BROKER: Forbidden = Forbidden {
    is_of: |name| match of_listener(name) {
        Some((_, base)) => !ALSO_FOR_ALL.contains(&base),
        None => key(name).is_some_and(|key| key.update_mode == UpdateMode::PerBroker),
    },
    text: "Cannot update these configs at default cluster level, broker id must be specified",
};

/// What is taken back Kafka's broker does not look at: anything may be.
fn check_names(changes: &[(&str, Option<&str>)], forbidden: &Forbidden) -> Result<(), Refused> {
    let set = changes.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| *name);
    let found: Vec<&str> = set.filter(|name| (forbidden.is_of)(name)).collect();
    let text = format!("{}: [{}]", forbidden.text, found.join(", "));
    if found.is_empty() { Ok(()) } else { Err((ErrorCode::InvalidRequest, text)) }
}

/// Whether it is a value of its kind at all.
fn check_value(name: &str, value: &str) -> Result<(), Refused> {
    let base = of_listener(name).map_or(name, |(_, base)| base);
    match key(base) {
        Some(key) if key.update_mode != UpdateMode::ReadOnly => {
            parse(key, value).map_err(|text| (ErrorCode::InvalidRequest, text))
        }
        _ => Ok(()), // Kafka keeps what it does not know, for plugins.
    }
}

/// `value` is `None` where it is taken back. What forbids the name, or is no value of its kind, has been looked for.
fn check(
    configs: &NodeConfigs,
    image: &Image,
    name: &str,
    value: Option<&str>,
    cluster_wide: bool,
) -> Result<(), Refused> {
    let invalid = |text: String| Err((ErrorCode::InvalidRequest, text));
    let check_in_sync = || match name == "min.insync.replicas" && !cluster_wide {
        true => {
            let text = "Broker-level min.insync.replicas cannot be altered while ELR is enabled.";
            Err((ErrorCode::InvalidConfig, text.to_owned()))
        }
        false => Ok(()),
    };
    let Some(value) = value else { return check_in_sync() };
    if of_listener(name).is_some() {
        return check_of_listener(configs, name, value).or_else(&invalid);
    }
    let Some(key) = key(name) else { return Ok(()) };
    check_in_sync()?;
    check_together(configs, image, name, value.trim()).or_else(&invalid)?;
    match key.effect {
        Effect::Refused(reason) if Some(value) != key.default => {
            invalid(format!("Ottla does not serve {name} yet: {reason}"))
        }
        _ if READ_AT_START.contains(&name) => {
            invalid(format!("Ottla reads {name} when it starts; write it there and restart the broker"))
        }
        _ => Ok(()),
    }
}

/// Of one listener. What it has no use for is kept all the same, as Kafka keeps it for listeners to come.
fn check_of_listener(configs: &NodeConfigs, name: &str, value: &str) -> Result<(), String> {
    let Some((listener, base)) = of_listener(name) else { return Ok(()) };
    let (Some(key), true) = (key(base), configs.has_listener(listener)) else { return Ok(()) };
    parse(key, value).map_err(|error| invalid_dynamic(&error))?;
    let is_none = || value.trim().parse().is_ok_and(|number: i64| number <= 0);
    match served_of_listener(name).is_some() && is_none() {
        true => Err(invalid_dynamic(&format!("Invalid {base} {}", value.trim()))),
        false => Ok(()),
    }
}

/// How Kafka passes on what a reconfigurable said.
fn invalid_dynamic(text: &str) -> String {
    format!(
        "Invalid value org.apache.kafka.common.config.ConfigException: {text} for configuration Invalid dynamic configuration"
    )
}

/// `ConfigDef.parseType`, and the validators. No suffixes here: what is stored is read by Kafka's rules.
fn parse(key: &Key, text: &str) -> Result<(), String> {
    let trimmed = text.trim();
    let wrong = |rule: &dyn Display| format!("Invalid value {text} for configuration {}: {rule}", key.name);
    let no_number = |kind: &str| wrong(&format_args!("Not a number of type {kind}"));
    match key.kind {
        Kind::Boolean if trimmed.eq_ignore_ascii_case("true") || trimmed.eq_ignore_ascii_case("false") => Ok(()),
        Kind::Boolean => Err(wrong(&"Expected value to be either true or false")),
        Kind::Short => in_range(key, trimmed.parse::<i16>().map_err(|_| no_number("SHORT"))?),
        Kind::Int => in_range(key, trimmed.parse::<i32>().map_err(|_| no_number("INT"))?),
        Kind::Long => in_range(key, trimmed.parse::<i64>().map_err(|_| no_number("LONG"))?),
        Kind::Double => {
            let value: f64 = trimmed.parse().map_err(|_| no_number("DOUBLE"))?;
            let wrong = |rule: String| format!("Invalid value {value:?} for configuration {}: {rule}", key.name);
            match key.rule {
                Rule::FractionUpTo(_) if value < 0.0 => Err(wrong("Value must be at least 0".into())),
                Rule::FractionUpTo(most) if value > most => Err(wrong(format!("Value must be no more than {most}"))),
                _ => Ok(()),
            }
        }
        Kind::Class if trimmed.is_empty() => Ok(()),
        Kind::Class => Err(wrong(&format_args!("Class {trimmed} could not be found."))),
        Kind::String => match key.rule {
            Rule::OneOf(choices) if !choices.contains(&trimmed) => {
                Err(wrong(&format!("String must be one of: {}", choices.join(", "))))
            }
            Rule::OneOfInAnyCase(choices) if !choices.iter().any(|choice| choice.eq_ignore_ascii_case(trimmed)) => {
                Err(wrong(&format!("String must be one of (case insensitive): {}", choices.join(", "))))
            }
            _ => Ok(()),
        },
        Kind::List => {
            let elements = || trimmed.split(',').map(str::trim).filter(|_| !trimmed.is_empty());
            let mut seen = BTreeSet::new();
            match key.rule {
                Rule::NotEmpty | Rule::SomeElements(_) if trimmed.is_empty() => Err(format!(
                    "Configuration '{}' must not be empty. Valid values include: any non-empty value",
                    key.name
                )),
                // In a file Kafka takes out what is there twice.
                _ if !elements().all(|element| seen.insert(element)) => {
                    Err(format!("Configuration '{}' values must not be duplicated.", key.name))
                }
                Rule::Elements(choices) | Rule::SomeElements(choices) => {
                    match elements().find(|element| !choices.contains(element)) {
                        None => Ok(()),
                        Some("") => Err(format!("Configuration '{}' values must not be empty.", key.name)),
                        Some(other) => Err(format!(
                            "Invalid value {other} for configuration {}: String must be one of: {}",
                            key.name,
                            choices.join(", ")
                        )),
                    }
                }
                _ if elements().any(str::is_empty) && key.name != "config.providers" => {
                    Err(format!("Configuration '{}' values must not be empty.", key.name))
                }
                _ => Ok(()),
            }
        }
        Kind::Password => Ok(()),
    }
}

fn in_range(key: &Key, value: impl Into<i64>) -> Result<(), String> {
    let value: i64 = value.into();
    let wrong = |rule: String| Err(format!("Invalid value {value} for configuration {}: {rule}", key.name));
    match key.rule {
        Rule::AtLeast(least) | Rule::Between(least, _) if value < least => {
            wrong(format!("Value must be at least {least}"))
        }
        Rule::Between(_, most) if value > most => wrong(format!("Value must be no more than {most}")),
        Rule::LevelOrDefault(least, most) if value != -1 && !(least..=most).contains(&value) => {
            wrong(format!("Value must be between {least} and {most} or equal to -1"))
        }
        _ => Ok(()),
    }
}

/// What does not go with the rest of the configuration (`KafkaConfig.validateValues` and the reconfigurables).
fn check_together(configs: &NodeConfigs, image: &Image, name: &str, value: &str) -> Result<(), String> {
    let number = || value.parse::<i64>().unwrap_or_default(); // It was parsed before.
    let present = |name: &str| configs.value(image, name).unwrap_or_default();
    let present_number = |name: &str| present(name).parse::<i64>().unwrap_or_default();
    let required = |holds: bool, rule: String| if holds { Ok(()) } else { Err(format!("requirement failed: {rule}")) };
    let dynamic = |text: String| invalid_dynamic(&text);
    match name {
        "log.retention.ms" | "log.retention.minutes" | "log.retention.hours" => {
            required(number() != 0, format!("{name} must be unlimited (-1) or, greater than or equal to 1"))
        }
        "log.roll.ms" => required(number() >= 1, format!("{name} must be greater than or equal to 1")),
        "log.roll.jitter.ms" => required(number() >= 0, format!("{name} must be greater than or equal to 0")),
        "log.cleaner.dedupe.buffer.size" => {
            let threads = present_number("log.cleaner.threads").max(1);
            let rule = format!("{name} must be at least 1MB per cleaner thread.");
            required(number() / threads >= DEDUPE_BUFFER_BYTES_MIN, rule)
        }
        "log.cleaner.threads" => {
            let (now, text) = (present_number(name), "Log cleaner threads cannot be");
            required(number() >= 1, format!("{name} must be at least 1"))?;
            match number() {
                less if less < now / 2 => {
                    Err(dynamic(format!("{text} reduced to less than half the current value {now}")))
                }
                more if more > now * 2 => {
                    Err(dynamic(format!("{text} increased to more than double the current value {now}")))
                }
                _ => Ok(()),
            }
        }
        "cordoned.log.dirs" => {
            let given: Vec<&str> = value.split(',').map(str::trim).filter(|path| !path.is_empty()).collect();
            let all_or_some = !given.contains(&"*") || given.len() == 1;
            required(all_or_some, format!("When {name} is set to *, it must not contain other values"))?;
            let is_own = |path: &&str| *path == "*" || configs.log_dirs().iter().any(|own| own.to_str() == Some(path));
            let missing: Vec<&str> = given.into_iter().filter(|path| !is_own(path)).collect();
            let rule = "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries :";
            required(missing.is_empty(), format!("{rule} {}", missing.join(", ")))
        }
        "max.connections.per.ip" => required(
            number() > 0 || !present("max.connections.per.ip.overrides").is_empty(),
            format!("{name} can be set to zero only if max.connections.per.ip.overrides property is set."),
        ),
        "max.connections.per.ip.overrides" if per_ip_overrides(value).is_none() => {
            Err(format!("Error parsing configuration property '{name}': it is not host:number, host:number, ..."))
        }
        _ if POSITIVE.contains(&name) && number() <= 0 => Err(dynamic(format!("Invalid {name} {value}"))),
        _ if THREADS.contains(&name) => {
            let (now, text) = (present_number(name), "Dynamic thread count update validation failed for");
            let value = number();
            if value < now / 2 {
                let bound = format!("value should be at least half the current value {now}");
                return Err(dynamic(format!("{text} {name}={value}, {bound}")));
            }
            if value > now * 2 {
                let bound = format!("value should not be greater than double the current value {now}");
                return Err(dynamic(format!("{text} {name}={value}, {bound}")));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
