//! The tables of keys against Kafka's own: every key of Kafka 4.4 is there with its type, default, validator, importance
//! and update mode, except for what the table of deviations names.
use std::collections::BTreeMap;

use node::config::{DEVIATIONS, Importance, Key, Rule, UpdateMode, all_keys};

#[test]
fn every_key_of_kafka_is_as_kafka_has_it() {
    let facts: BTreeMap<&str, Vec<&str>> = include_str!("kafka/broker-configs.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|fields| (fields[0], fields))
        .collect();
    assert_eq!(facts.len(), 379, "Kafka 4.4.0 has as many");

    let ours: BTreeMap<&str, &Key> = all_keys().iter().map(|key| (key.name, *key)).collect();
    assert_eq!(ours.len(), all_keys().len(), "no key is in two tables");
    let own: Vec<&str> = ours.keys().copied().filter(|name| !facts.contains_key(name)).collect();
    assert_eq!(own, ["log.durability", "ottla.cluster.id", "ottla.http.listener", "ottla.memory.bytes"]);

    let mut differences = Vec::new();
    for (name, fields) in &facts {
        let Some(key) = ours.get(name) else {
            differences.push(format!("{name} is missing"));
            continue;
        };
        let kafka = [fields[1], fields[2], fields[3], fields[4], fields[5], fields[6]];
        let deviates = DEVIATIONS.iter().any(|deviation| deviation.name == *name && deviation.server.is_some());
        let default = if deviates { kafka[1].to_owned() } else { key.default.unwrap_or("null").to_owned() };
        let ours = [
            key.kind.to_string().to_uppercase(),
            default,
            validator(key, kafka[2]),
            importance(key).to_owned(),
            update_mode(key).to_owned(),
            key.internal.to_string(),
        ];
        if ours != kafka {
            differences.push(format!("{name}: {ours:?}, and Kafka has {kafka:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// As Kafka's validators print themselves. Those that Kafka prints as nothing check lists, as our lists always do.
fn validator(key: &Key, kafka: &str) -> String {
    match key.rule {
        Rule::Any => match kafka {
            "" | "non-empty list" | "non-null string" => kafka.to_owned(),
            _ => "-".to_owned(),
        },
        Rule::AtLeast(least) => format!("[{least},...]"),
        Rule::Between(least, most) => format!("[{least},...,{most}]"),
        Rule::FractionUpTo(most) => format!("[0,...,{most}]"),
        Rule::Elements(names) | Rule::OneOf(names) => format!("[{}]", names.join(", ")),
        Rule::LevelOrDefault(least, most) => format!("[{least},...,{most}] or -1"),
        Rule::NotEmpty => "non-empty string".to_owned(),
        Rule::OneOfInAnyCase(names) => format!("(case insensitive) [{}]", names.join(", ")),
    }
}

fn importance(key: &Key) -> &'static str {
    match key.importance {
        Importance::High => "HIGH",
        Importance::Medium => "MEDIUM",
        Importance::Low => "LOW",
    }
}

fn update_mode(key: &Key) -> &'static str {
    match key.update_mode {
        UpdateMode::ClusterWide => "cluster-wide",
        UpdateMode::PerBroker => "per-broker",
        UpdateMode::ReadOnly => "read-only",
    }
}
