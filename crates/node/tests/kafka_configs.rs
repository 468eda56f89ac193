//! The tables of keys against Kafka's own: every key of Kafka 4.4 is there with its type, default, validator, importance
//! and update mode, except for what the table of deviations names.
use std::collections::BTreeMap;

use node::config::{DEVIATIONS, Importance, Key, Kind, Rule, UpdateMode, all_keys, key};

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
    assert_eq!(own[0], "log.durability");
    assert!(own[1..].iter().all(|name| name.starts_with("ottla.")), "a key of ours has our prefix: {own:?}");

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

/// The same values for every key: what Kafka refuses is refused, what it takes comes out in the same form.
#[test]
fn every_value_is_what_kafka_makes_of_it() {
    let mut lines = include_str!("kafka/broker-values.tsv").lines().skip(1);
    let samples: Vec<&str> = lines.next().unwrap().split('\t').skip(1).collect();
    let mut differences = Vec::new();
    let mut compared = 0;
    for line in lines {
        let mut fields = line.split('\t');
        let key = key(fields.next().unwrap()).unwrap();
        // Kafka looks for the class, and we cannot. Nobody votes here, and no listener is the controller's.
        let others = ["controller.listener.names", "controller.quorum.bootstrap.servers", "controller.quorum.voters"];
        if key.kind == Kind::Class || others.contains(&key.name) {
            continue;
        }
        for (sample, kafka) in samples.iter().zip(fields) {
            let expected = match kafka {
                "!" => None,
                "=" => Some((*sample).to_owned()),
                made => Some(made.to_owned()),
            };
            let ours = key.parse(sample).ok();
            if ours != expected {
                differences.push(format!("{}={sample:?}: {ours:?}, and Kafka makes {expected:?}", key.name));
            }
            compared += 1;
        }
    }
    assert!(compared > 8000, "{compared}");
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
        Rule::Elements(names) | Rule::SomeElements(names) | Rule::OneOf(names) => format!("[{}]", names.join(", ")),
        Rule::LevelOrDefault(least, most) => format!("[{least},...,{most}] or -1"),
        Rule::NotEmpty if key.kind == Kind::List => String::new(),
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
