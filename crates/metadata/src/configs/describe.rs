//! What a topic's configs are and where they come from: the answers of DescribeConfigs and CreateTopics.

use protocol::ErrorCode;
use protocol::create_topics_response::CreatableTopicConfigs;
use protocol::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use record::BrokerId;

use super::broker::{BrokerConfigs, Layers, Source};
use super::keys::{KEYS, Key, SEGMENT_BYTES_OF_TESTS};
use crate::{Image, Resource, check_topic_name};

/// The configs of a topic by name; `names` selects some (`None` or empty: all). Kafka's `ConfigHelper`.
pub fn describe_topic(
    layers: &Layers<'_>,
    names: Option<&[String]>,
    include_synonyms: bool,
    include_documentation: bool,
) -> Vec<DescribeConfigsResourceResult> {
    let names = names.filter(|names| !names.is_empty());
    let is_wanted = |key: &&Key| names.is_none_or(|names| names.iter().any(|name| name == key.name));
    by_name(layers)
        .into_iter()
        .filter(is_wanted)
        .map(|key| {
            let (value, _) = layers.resolve(key);
            let synonyms = synonyms(key, layers);
            DescribeConfigsResourceResult {
                name: key.name.to_owned(),
                value: Some(value.text()),
                config_source: synonyms.first().map_or(Source::Default as i8, |first| first.source),
                config_type: key.kind.code(),
                documentation: include_documentation.then(|| key.documentation.to_owned()),
                synonyms: if include_synonyms { synonyms } else { Vec::new() },
                ..Default::default()
            }
        })
        .collect()
}

fn by_name(layers: &Layers<'_>) -> Vec<&'static Key> {
    let of_tests = layers.set(&SEGMENT_BYTES_OF_TESTS).map(|_| &SEGMENT_BYTES_OF_TESTS);
    let mut keys: Vec<&Key> = KEYS.iter().chain(of_tests).collect();
    keys.sort_unstable_by_key(|key| key.name);
    keys
}

/// All values that there are, the one that counts first. Those of the broker are left out while its first key for this
/// config has none: retention.ms shows nothing of log.retention.hours unless log.retention.ms is set (`dropWhile` in
/// Kafka).
fn synonyms(key: &Key, layers: &Layers<'_>) -> Vec<DescribeConfigsSynonym> {
    let of = |name: &str, value: String, source: Source| DescribeConfigsSynonym {
        name: name.to_owned(),
        value: Some(value),
        source: source as i8,
        ..Default::default()
    };
    let mut brokers = Vec::new();
    for wanted in [Source::DynamicBroker, Source::DynamicDefault, Source::Static] {
        for synonym in key.synonyms {
            let value = layers.broker_values(synonym.name).find(|(_, source)| *source == wanted);
            brokers.extend(value.map(|(text, source)| of(synonym.name, text.to_owned(), source)));
        }
    }
    brokers.extend(key.synonyms.iter().filter_map(|synonym| {
        default_of_synonym(key, synonym.name).map(|value| of(synonym.name, value, Source::Default))
    }));
    let shown = brokers.into_iter().skip_while(|synonym| synonym.name != key.synonyms[0].name);
    let topic = layers.topic.and_then(|topic| topic.value(key.name));
    let topic = topic.map(|_| of(key.name, layers.resolve(key).0.text(), Source::Topic));
    topic.into_iter().chain(shown).collect()
}

/// The default of the broker's key. Where several keys stand for one config, only the last one has a default.
fn default_of_synonym(key: &Key, name: &str) -> Option<String> {
    match name {
        "log.retention.hours" | "log.roll.hours" => Some("168".into()),
        "log.roll.jitter.hours" => Some("0".into()),
        "log.retention.ms" | "log.retention.minutes" | "log.roll.ms" | "log.roll.jitter.ms" => None,
        "log.flush.interval.ms" => None,
        _ => Some(key.default.to_owned()),
    }
}

/// What CreateTopics answers (v5+): the configs that the new topic has, by name; its own as they were given.
pub fn create_topic_configs(layers: &Layers<'_>) -> Vec<CreatableTopicConfigs> {
    by_name(layers)
        .into_iter()
        .map(|key| {
            let (value, source) = layers.resolve(key);
            let given = layers.topic.filter(|_| source == Source::Topic).and_then(|topic| topic.value(key.name));
            CreatableTopicConfigs {
                name: key.name.to_owned(),
                value: Some(given.map_or_else(|| value.text(), str::to_owned)),
                config_source: source as i8,
                ..Default::default()
            }
        })
        .collect()
}

/// No names, or none at all: every config is.
pub(super) fn is_asked(name: &str, names: Option<&[String]>) -> bool {
    names.filter(|names| !names.is_empty()).is_none_or(|names| names.iter().any(|asked| asked == name))
}

/// Which configs of a resource are asked for, and how much about them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// `None` or empty: all.
    pub names: Option<&'a [String]>,
    pub synonyms: bool,
    pub documentation: bool,
}

/// A topic's whole part of a DescribeConfigs answer, errors included.
pub fn describe_topic_result(
    image: &Image,
    node: BrokerId,
    brokers: &BrokerConfigs,
    topic: &str,
    asked: Asked<'_>,
) -> DescribeConfigsResult {
    let failed = |code: ErrorCode, text: String| (code, text, Vec::new());
    let (code, text, configs) = match check_topic_name(topic) {
        _ if topic.is_empty() => failed(ErrorCode::InvalidRequest, "Default topic resources are not allowed.".into()),
        Err(text) => failed(ErrorCode::InvalidTopicException, text),
        Ok(()) if image.topics.by_name(topic).is_none() => failed(ErrorCode::UnknownTopicOrPartition, String::new()),
        Ok(()) => {
            let layers = Layers::of_topic(&image.configs, topic, node, brokers);
            let configs = describe_topic(&layers, asked.names, asked.synonyms, asked.documentation);
            // Kafka sends an empty text here, not null.
            (ErrorCode::None, String::new(), configs)
        }
    };
    DescribeConfigsResult {
        error_code: code.code(),
        error_message: Some(text),
        resource_type: Resource::TOPIC_TYPE,
        resource_name: topic.to_owned(),
        configs,
        ..Default::default()
    }
}
