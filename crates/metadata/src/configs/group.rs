//! The configs of a group (KIP-848, KIP-932, KIP-1071): which there are, what values they take, and how they are described.
//! The table and the messages are Kafka 4.4's (`GroupConfig`). The groups of these kinds come with a later release; their
//! configs are kept for them.

use protocol::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsSynonym};

use super::broker::{Layers, Source};
use super::describe::is_asked;
use super::keys::Kind;
use super::{Asked, ConfigError};
use crate::Overrides;

/// `DYNAMIC_GROUP_CONFIG`
const OF_GROUP: i8 = 8;

struct Key {
    name: &'static str,
    kind: Kind,
    default: &'static str,
    /// What the value itself must be.
    rule: Rule,
    /// The broker's key for the groups that have no value of their own.
    broker: Option<&'static str>,
    /// What brokers allow groups.
    allowed: Allowed,
    documentation: &'static str,
}

#[derive(Clone, Copy)]
enum Rule {
    Any,
    AtLeast(i32),
    OffsetReset,
    OneOf(&'static [&'static str]),
}

/// Keys of the broker, each with its default.
#[derive(Clone, Copy)]
enum Allowed {
    Anything,
    AtMost(&'static str, i32),
    Between((&'static str, i32), (&'static str, i32)),
    DeadLetterTopic,
    OneOfAssignors,
    Tags,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, rule: Rule, documentation: &'static str) -> Key {
    Key { name, kind, default, rule, broker: None, allowed: Allowed::Anything, documentation }
}

impl Key {
    const fn of_broker(self, broker: &'static str) -> Key {
        Key { broker: Some(broker), ..self }
    }

    const fn between(self, min: (&'static str, i32), max: (&'static str, i32)) -> Key {
        Key { allowed: Allowed::Between(min, max), ..self }
    }

    const fn allowed(self, allowed: Allowed) -> Key {
        Key { allowed, ..self }
    }
}

/// Each key of a group has one of the broker's beside it: `group.` before the name, and `min.` or `max.` in it.
const KEYS: &[Key] = &[
    key(
        "consumer.assignment.interval.ms",
        Kind::Int,
        "1000",
        Rule::AtLeast(0),
        "Shortest time between two assignments.",
    )
    .of_broker("group.consumer.assignment.interval.ms")
    .between(("group.consumer.min.assignment.interval.ms", 0), ("group.consumer.max.assignment.interval.ms", 15_000)),
    key("consumer.heartbeat.interval.ms", Kind::Int, "5000", Rule::AtLeast(1), "How often members send heartbeats.")
        .of_broker("group.consumer.heartbeat.interval.ms")
        .between(
            ("group.consumer.min.heartbeat.interval.ms", 5_000),
            ("group.consumer.max.heartbeat.interval.ms", 15_000),
        ),
    key("consumer.session.timeout.ms", Kind::Int, "45000", Rule::AtLeast(1), "A member silent for longer is removed.")
        .of_broker("group.consumer.session.timeout.ms")
        .between(("group.consumer.min.session.timeout.ms", 45_000), ("group.consumer.max.session.timeout.ms", 60_000)),
    key(
        "errors.deadletterqueue.copy.record.enable",
        Kind::Boolean,
        "false",
        Rule::Any,
        "A dead letter holds the record itself, not only why it was given up.",
    ),
    key(
        "errors.deadletterqueue.topic.name",
        Kind::String,
        "",
        Rule::Any,
        "The topic of the group's dead letters; empty: it has none.",
    )
    .allowed(Allowed::DeadLetterTopic),
    key("share.assignment.interval.ms", Kind::Int, "1000", Rule::AtLeast(0), "Shortest time between two assignments.")
        .of_broker("group.share.assignment.interval.ms")
        .between(("group.share.min.assignment.interval.ms", 0), ("group.share.max.assignment.interval.ms", 15_000)),
    key("share.auto.offset.reset", Kind::String, "latest", Rule::OffsetReset, "Where a new share group begins."),
    key("share.delivery.count.limit", Kind::Int, "5", Rule::AtLeast(2), "How often a record is delivered at most.")
        .of_broker("group.share.delivery.count.limit")
        .between(("group.share.min.delivery.count.limit", 2), ("group.share.max.delivery.count.limit", 10)),
    key("share.heartbeat.interval.ms", Kind::Int, "5000", Rule::AtLeast(1), "How often members send heartbeats.")
        .of_broker("group.share.heartbeat.interval.ms")
        .between(("group.share.min.heartbeat.interval.ms", 5_000), ("group.share.max.heartbeat.interval.ms", 15_000)),
    key(
        "share.isolation.level",
        Kind::String,
        "read_uncommitted",
        Rule::OneOf(&["read_committed", "read_uncommitted"]),
        "Whether records of transactions wait for the end of these.",
    ),
    key(
        "share.partition.max.record.locks",
        Kind::Int,
        "2000",
        Rule::AtLeast(100),
        "Most locked records of a partition.",
    )
    .of_broker("group.share.partition.max.record.locks")
    .between(("group.share.min.partition.max.record.locks", 100), ("group.share.max.partition.max.record.locks", 4000)),
    key("share.record.lock.duration.ms", Kind::Int, "30000", Rule::AtLeast(1000), "How long a record stays locked.")
        .of_broker("group.share.record.lock.duration.ms")
        .between(
            ("group.share.min.record.lock.duration.ms", 15_000),
            ("group.share.max.record.lock.duration.ms", 60_000),
        ),
    key("share.renew.acknowledge.enable", Kind::Boolean, "true", Rule::Any, "Whether a lock may be renewed."),
    key("share.session.timeout.ms", Kind::Int, "45000", Rule::AtLeast(1), "A member silent for longer is removed.")
        .of_broker("group.share.session.timeout.ms")
        .between(("group.share.min.session.timeout.ms", 45_000), ("group.share.max.session.timeout.ms", 60_000)),
    key(
        "streams.assignment.interval.ms",
        Kind::Int,
        "1000",
        Rule::AtLeast(0),
        "Shortest time between two assignments.",
    )
    .of_broker("group.streams.assignment.interval.ms")
    .between(("group.streams.min.assignment.interval.ms", 0), ("group.streams.max.assignment.interval.ms", 15_000)),
    key("streams.assignor.name", Kind::String, "sticky", Rule::Any, "The assignor, one of group.streams.assignors.")
        .of_broker(ASSIGNORS)
        .allowed(Allowed::OneOfAssignors),
    key("streams.heartbeat.interval.ms", Kind::Int, "5000", Rule::AtLeast(1), "How often members send heartbeats.")
        .of_broker("group.streams.heartbeat.interval.ms")
        .between(
            ("group.streams.min.heartbeat.interval.ms", 5_000),
            ("group.streams.max.heartbeat.interval.ms", 15_000),
        ),
    key(
        "streams.initial.rebalance.delay.ms",
        Kind::Int,
        "3000",
        Rule::AtLeast(0),
        "How long a new group waits for further members.",
    )
    .of_broker("group.streams.initial.rebalance.delay.ms"),
    key("streams.num.standby.replicas", Kind::Int, "0", Rule::AtLeast(0), "Standby replicas of each task.")
        .of_broker("group.streams.num.standby.replicas")
        .allowed(Allowed::AtMost("group.streams.max.standby.replicas", 2)),
    key(
        "streams.rack.aware.assignment.tags",
        Kind::List,
        "",
        Rule::Any,
        "Tags of clients over which standby replicas are spread.",
    )
    .of_broker("group.streams.rack.aware.assignment.tags")
    .allowed(Allowed::Tags),
    key("streams.session.timeout.ms", Kind::Int, "45000", Rule::AtLeast(1), "A member silent for longer is removed.")
        .of_broker("group.streams.session.timeout.ms")
        .between(("group.streams.min.session.timeout.ms", 45_000), ("group.streams.max.session.timeout.ms", 60_000)),
];

const ASSIGNORS: &str = "group.streams.assignors";

/// Whether a group may have these configs. `brokers` say what they allow.
pub fn check_group(configs: &Overrides, brokers: &Layers<'_>) -> Result<(), ConfigError> {
    let known = |name: &str| KEYS.iter().find(|key| key.name == name);
    if let Some(name) = configs.first_unknown(|name| known(name).is_some()) {
        return Err(ConfigError(format!("Unknown group config name: {name}")));
    }
    let set = || configs.iter().filter_map(|(name, value)| Some((known(name)?, value)));
    set().try_for_each(|(key, value)| key.check(value))?;
    set().try_for_each(|(key, value)| key.check_allowed(value, brokers))
}

impl Key {
    fn check(&self, value: &str) -> Result<(), ConfigError> {
        let invalid =
            |why: String| Err(ConfigError(format!("Invalid value {value} for configuration {}: {why}", self.name)));
        let trimmed = value.trim();
        match (self.kind, self.rule) {
            (Kind::Int, rule) => match (trimmed.parse::<i32>(), rule) {
                (Err(_), _) => invalid("Not a number of type INT".to_owned()),
                (Ok(number), Rule::AtLeast(min)) if number < min => invalid(format!("Value must be at least {min}")),
                (Ok(_), _) => Ok(()),
            },
            (Kind::Boolean, _) if !["true", "false"].iter().any(|word| trimmed.eq_ignore_ascii_case(word)) => {
                invalid("Expected value to be either true or false".to_owned())
            }
            (_, Rule::OffsetReset) if !is_offset_reset(trimmed) => invalid(format!(
                "Invalid value `{trimmed}` for configuration {}. The value must be either 'earliest', 'latest' or of the \
                 format 'by_duration:<PnDTnHnMn.nS>'.",
                self.name
            )),
            (_, Rule::OneOf(words)) if !words.contains(&trimmed) => {
                invalid(format!("String must be one of: {}", words.join(", ")))
            }
            _ => Ok(()),
        }
    }

    fn check_allowed(&self, value: &str, brokers: &Layers<'_>) -> Result<(), ConfigError> {
        let name = self.name;
        let refused = |text: String| Err(ConfigError(text));
        let of_broker = |(key, default): (&str, i32)| -> i32 {
            brokers.broker_values(key).find_map(|(text, _)| text.trim().parse().ok()).unwrap_or(default)
        };
        let number: i32 = value.trim().parse().unwrap_or(0);
        match self.allowed {
            Allowed::Between(min, max) if !(of_broker(min)..=of_broker(max)).contains(&number) => {
                refused(format!("{name} must be in the range {} to {} inclusive.", of_broker(min), of_broker(max)))
            }
            Allowed::AtMost(key, default) if number > of_broker((key, default)) => {
                refused(format!("{name} must be less than or equal to {}", of_broker((key, default))))
            }
            Allowed::DeadLetterTopic if value.starts_with("__") => {
                refused(format!("{name}: DLQ topic name must not start with '__'"))
            }
            Allowed::OneOfAssignors => {
                let known = brokers.broker_values(ASSIGNORS).next().map_or(self.default, |(text, _)| text);
                let known: Vec<&str> = known.split(',').map(str::trim).collect();
                match known.contains(&value.trim()) {
                    true => Ok(()),
                    false => refused(format!(
                        "{name} '{value}' is not a registered task assignor. Registered assignors are: [{}].",
                        known.join(", ")
                    )),
                }
            }
            Allowed::Tags => {
                let mut tags: Vec<&str> = value.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
                let count = tags.len();
                tags.sort_unstable();
                tags.dedup();
                match tags.len() == count {
                    true => Ok(()),
                    false => refused(format!("{name} must not contain duplicate tag keys.")),
                }
            }
            Allowed::Anything | Allowed::AtMost(..) | Allowed::Between(..) | Allowed::DeadLetterTopic => Ok(()),
        }
    }

    /// The first one counts.
    fn synonyms(&self, group: Option<&Overrides>, brokers: &Layers<'_>) -> Vec<DescribeConfigsSynonym> {
        let of = |name: &str, value: &str, source: i8| DescribeConfigsSynonym {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            source,
            ..Default::default()
        };
        let own = group
            .and_then(|group| group.value(self.name))
            .map(|value| of(self.name, &self.kind.shown(value), OF_GROUP));
        let broker = self.broker.unwrap_or(self.name);
        // Of a list of assignors the first one is the group's.
        let first = |value: &'_ str| match self.allowed {
            Allowed::OneOfAssignors => value.split(',').next().unwrap_or_default().trim().to_owned(),
            _ => value.to_owned(),
        };
        let of_broker = brokers.broker_values(broker).map(|(value, source)| of(broker, &first(value), source as i8));
        let default = of(broker, self.default, Source::Default as i8);
        own.into_iter().chain(of_broker).chain([default]).collect()
    }
}

/// `ShareGroupAutoOffsetResetStrategy`
fn is_offset_reset(text: &str) -> bool {
    match text.strip_prefix("by_duration:") {
        Some(duration) => is_duration(duration),
        None => text == "earliest" || text == "latest",
    }
}

/// A duration of ISO 8601 that is not negative: days, and behind a T hours, minutes and seconds, in this order.
fn is_duration(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let Some(rest) = upper.strip_prefix('P') else { return false };
    let (days, time) = rest.split_once('T').map_or((rest, None), |(days, time)| (days, Some(time)));
    let (mut seconds, mut parts) = (0.0, 0);
    for (text, units) in
        [(days, &[('D', 86_400.0)][..]), (time.unwrap_or(""), &[('H', 3600.0), ('M', 60.0), ('S', 1.0)])]
    {
        let mut left = text;
        for (unit, worth) in units {
            let Some((number, behind)) = left.split_once(*unit) else { continue };
            let is_number = number
                .trim_start_matches(['-', '+'])
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (*unit == 'S' && byte == b'.'));
            let Some(number) = number.parse::<f64>().ok().filter(|_| is_number) else { return false };
            seconds += number * worth;
            parts += 1;
            left = behind;
        }
        if !left.is_empty() {
            return false;
        }
    }
    parts > 0 && seconds >= 0.0 && time != Some("")
}

/// The configs of a group by name. `brokers` have what the group has not.
pub fn describe_group(
    group: Option<&Overrides>,
    brokers: &Layers<'_>,
    asked: Asked<'_>,
) -> Vec<DescribeConfigsResourceResult> {
    let wanted = KEYS.iter().filter(|key| is_asked(key.name, asked.names));
    let describe = |key: &Key| {
        let synonyms = key.synonyms(group, brokers);
        let first = synonyms.first().expect("there is always the default");
        DescribeConfigsResourceResult {
            name: key.name.to_owned(),
            value: first.value.clone(),
            config_source: first.source,
            config_type: key.kind.code(),
            documentation: asked.documentation.then(|| key.documentation.to_owned()),
            synonyms: if asked.synonyms { synonyms } else { Vec::new() },
            ..Default::default()
        }
    };
    wanted.map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_iso_8601_and_not_negative() {
        for good in ["PT1H", "P1D", "P1DT2H3M4.5S", "pt0s", "PT1H-30M", "PT+1M"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "P", "PT", "P1DT", "1H", "PT-1H", "PT1M1H", "P1H", "PT1.5H", "PTxS", "PT1S1", "x"] {
            assert!(!is_duration(bad), "{bad}");
        }
    }

    #[test]
    fn what_brokers_allow_is_what_was_set_for_them() {
        let brokers = [("group.consumer.max.session.timeout.ms", "90000"), ("group.streams.assignors", "one, two")];
        let brokers = brokers.into_iter().collect();
        let layers = Layers::of_brokers(&brokers);
        let check = |name: &str, value: &str| check_group(&[(name, value)].into_iter().collect(), &layers);
        assert_eq!(check("consumer.session.timeout.ms", "90000"), Ok(()));
        let text = "consumer.session.timeout.ms must be in the range 45000 to 90000 inclusive.";
        assert_eq!(check("consumer.session.timeout.ms", "90001"), Err(ConfigError(text.into())));
        assert_eq!(check("streams.assignor.name", "two"), Ok(()));
        let described = describe_group(None, &layers, Asked::default());
        let assignor = described.iter().find(|config| config.name == "streams.assignor.name").unwrap();
        assert_eq!((assignor.value.as_deref(), assignor.config_source), (Some("one"), Source::Static as i8));
    }
}
