//! Our table of topic configs against Kafka's own `LogConfig`: which there are, their kinds and defaults, which values
//! are taken, and every message, letter by letter. `kafka/TopicConfigs.java` made the file and says how.

use std::collections::BTreeMap;

use metadata::Overrides;
use metadata::configs::{BrokerConfigs, KEYS, check_topic, key};

const KAFKA: &str = include_str!("kafka/topic_configs.txt");

/// Ours, and no one else's.
const OWN: &[&str] = &["durability"];

/// Kafka's answer with its placeholders filled in for this value.
fn filled(answer: &str, value: &str) -> String {
    let list: Vec<&str> = value.split(',').map(str::trim).collect();
    let double = value.trim().trim_end_matches(['f', 'd']).parse::<f64>().map(java_double).unwrap_or_default();
    answer
        .replace("{value}", value.trim())
        .replace("{list}", &format!("[{}]", list.join(", ")))
        .replace("{first}", list[0])
        .replace("{double}", &double)
}

/// Only for the values in the file.
fn java_double(value: f64) -> String {
    match value {
        value if value.abs() >= 1e7 && value.is_finite() => {
            let text = format!("{value:E}");
            if text.contains('.') { text } else { text.replace('E', ".0E") }
        }
        value if value.is_infinite() => "Infinity".into(),
        value => format!("{value:?}"),
    }
}

fn answer(configs: &[(&str, &str)]) -> String {
    let overrides: Overrides = configs.iter().copied().collect();
    match check_topic(&overrides, &BrokerConfigs::default()) {
        Ok(()) => "ok".into(),
        Err(error) => error.0,
    }
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

#[test]
fn every_value_is_taken_or_refused_in_kafka_s_words() {
    let (table, together) = KAFKA.split_once("together\n").unwrap();
    let mut names = Vec::new();
    let mut compared = 0;
    for line in table.lines() {
        if let Some(line) = line.strip_prefix("  ") {
            let name = *names.last().unwrap();
            // Values hold no arrow.
            let (values, kafka) = line.split_once(" -> ").unwrap();
            for value in quoted(values) {
                assert_eq!(answer(&[(name, value)]), filled(kafka, value), "{name}={value:?}");
                compared += 1;
            }
            continue;
        }
        let [name, kind, default, importance] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let key = key(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!((key.kind.name(), key.default, "MEDIUM"), (kind, default, importance), "{name}");
        assert!(key.documentation.len() > 20 && key.documentation.ends_with('.'), "{name} is explained");
        names.push(name);
    }
    let ours: Vec<&str> = KEYS.iter().map(|key| key.name).filter(|name| !OWN.contains(name)).collect();
    assert_eq!(ours, names, "in the order in which Kafka looks at them");
    assert!(compared > 2000, "{compared} values");

    for line in together.lines() {
        let (configs, kafka) = line.trim().split_once(" -> ").unwrap();
        let configs: Vec<(&str, &str)> = configs.split(',').map(|config| config.split_once('=').unwrap()).collect();
        let kafka = kafka.trim_start_matches("InvalidConfigurationException ");
        assert_eq!(answer(&configs), kafka, "{configs:?}");
    }
}

#[test]
fn defaults_parse_to_themselves() {
    for key in KEYS {
        assert_eq!(key.parse(key.default).unwrap().text(), key.default, "{}", key.name);
    }
}

#[test]
fn segments_for_tests_count_and_are_told_only_where_they_are_set() {
    use metadata::configs::{Layers, TopicConfig, create_topic_configs, describe_topic};
    let told = |topic: &Overrides| {
        let layers = Layers { topic: Some(topic), ..Layers::default() };
        let asked = ["internal.segment.bytes".to_owned()];
        let described = describe_topic(&layers, Some(&asked), true, false);
        let created = create_topic_configs(&layers).into_iter().filter(|config| config.name == asked[0]);
        let values = described.into_iter().map(|config| config.value).chain(created.map(|config| config.value));
        (TopicConfig::of(&layers).segment_bytes, values.flatten().collect::<Vec<_>>())
    };
    let of = |value: &str| [("internal.segment.bytes", value), ("segment.bytes", "2000000")].into_iter().collect();
    assert_eq!(told(&of("200")), (200, vec!["200".to_owned(); 2]));
    assert_eq!(told(&of("-5")), (0, vec!["-5".to_owned(); 2]));
    assert_eq!(told(&[("segment.bytes", "2000000")].into_iter().collect()), (2_000_000, Vec::new()));
}

#[test]
fn of_several_unknown_configs_the_first_in_kafka_s_order_is_named() {
    assert_eq!(answer(&[("alpha", "1"), ("retention.ms", "1"), ("zeta", "1")]), "Unknown topic config name: zeta");
}

#[test]
fn synonyms_and_layers_are_looked_at_in_kafka_s_order() {
    use metadata::configs::{Layers, TopicConfig, describe_topic};
    let fixed: BrokerConfigs =
        [("log.retention.hours", "2"), ("log.retention.minutes", "30"), ("log.segment.bytes", "2000000")]
            .into_iter()
            .collect();
    let default: Overrides = [("log.segment.bytes", "3000000")].into_iter().collect();
    let dynamic: Overrides = [("log.segment.bytes", "4000000")].into_iter().collect();
    let topic: Overrides = [("max.message.bytes", " 5 ")].into_iter().collect();
    let layers =
        Layers { topic: Some(&topic), dynamic: Some(&dynamic), dynamic_default: Some(&default), fixed: Some(&fixed) };
    let config = TopicConfig::of(&layers);
    assert_eq!(config.retention_ms, Some(30 * 60 * 1000), "minutes hide hours");
    assert_eq!(config.segment_bytes, 4_000_000);
    assert_eq!(config.max_message_bytes, 5);
    let all = describe_topic(&layers, None, true, false);
    let described: BTreeMap<&str, _> = all.iter().map(|config| (&*config.name, config)).collect();
    let of = |name: &str| {
        let synonyms = &described[name].synonyms;
        synonyms.iter().map(|s| format!("{}={} {}", s.name, s.value.as_deref().unwrap(), s.source)).collect::<Vec<_>>()
    };
    assert_eq!(
        of("segment.bytes"),
        [
            "log.segment.bytes=4000000 2",
            "log.segment.bytes=3000000 3",
            "log.segment.bytes=2000000 4",
            "log.segment.bytes=1073741824 5"
        ]
    );
    assert_eq!(of("max.message.bytes"), ["max.message.bytes=5 1", "message.max.bytes=1048588 5"]);
    assert!(of("retention.ms").is_empty(), "nothing is shown while log.retention.ms is not set");
    assert_eq!(described["max.message.bytes"].config_source, 1);
    assert_eq!(described["retention.ms"].value.as_deref(), Some("1800000"));
}
