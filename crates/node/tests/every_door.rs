//! The same odd values for every key of the broker through every door by which a configuration comes: file, variable, flag
//! and AlterConfigs. What Kafka 4.4 refuses is refused by each, with the key, the value, the door, and what to write instead.
#[allow(dead_code, reason = "each test uses its part")]
mod wire;

use std::collections::BTreeMap;

use node::config::{Config, Key, Kind, Profile, Sources, UpdateMode, all_keys, key};
use protocol::ErrorCode;
use protocol::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use wire::{Wire, with_broker};

const FILE: &str = "server.properties";

/// By value: the keys for which Kafka refuses it.
fn refused() -> BTreeMap<&'static str, Vec<&'static Key>> {
    let mut lines = include_str!("kafka/broker-values.tsv").lines().skip(1);
    let samples: Vec<&str> = lines.next().unwrap().split('\t').skip(1).collect();
    let mut refused: BTreeMap<&str, Vec<&Key>> = BTreeMap::new();
    for line in lines {
        let mut fields = line.split('\t');
        let key = key(fields.next().unwrap()).unwrap();
        // Kafka looks for the class, and we cannot; who votes and which listener is the controller's is nobody's business here.
        let others = ["controller.listener.names", "controller.quorum.bootstrap.servers", "controller.quorum.voters"];
        if key.kind != Kind::Class && !others.contains(&key.name) {
            let wrong = samples.iter().zip(fields).filter(|(_, made)| *made == "!");
            wrong.for_each(|(sample, _)| refused.entry(sample).or_default().push(key));
        }
    }
    assert!(refused.values().map(Vec::len).sum::<usize>() > 3000, "the table has as many");
    refused
}

#[derive(Clone, Copy, Debug)]
enum Door {
    File,
    Flag,
    Variable,
}

impl Door {
    /// All mistakes at once, as they are told.
    fn problems(self, written: &[(&str, &str)]) -> Vec<String> {
        let line = |(name, value): &(&str, &str)| format!("{name}={}", value.replace(' ', "\\ "));
        let file: String = written.iter().map(|pair| line(pair) + "\n").collect();
        let overrides: Vec<String> = written.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let variables: Vec<(String, String)> =
            written.iter().map(|(name, value)| (variable(name), (*value).to_owned())).collect();
        let sources = Sources {
            profile: Profile::Server,
            file: matches!(self, Door::File).then_some((FILE, file.as_bytes())),
            variables: if matches!(self, Door::Variable) { &variables } else { &[] },
            overrides: if matches!(self, Door::Flag) { &overrides } else { &[] },
            strict: true,
            ephemeral: false,
        };
        let problems = Config::load(&sources).expect_err("all of this is wrong").problems;
        problems.iter().map(ToString::to_string).collect()
    }

    fn place(self, name: &str, line: usize) -> String {
        match self {
            Door::File => format!("({FILE}, line {line})"),
            Door::Flag => "(--override)".to_owned(),
            Door::Variable => format!("(variable {})", variable(name)),
        }
    }
}

fn variable(name: &str) -> String {
    format!("KAFKA_{}", name.replace('_', "__").replace('.', "_").to_uppercase())
}

#[test]
fn a_file_a_variable_and_a_flag_refuse_what_kafka_refuses_and_say_all_of_it() {
    for (value, keys) in refused() {
        let written: Vec<(&str, &str)> = keys.iter().map(|key| (key.name, value)).collect();
        for door in [Door::File, Door::Flag, Door::Variable] {
            let problems = door.problems(&written);
            assert_eq!(problems.len(), keys.len(), "{door:?}, {value:?}: one problem for each key");
            for (at, (key, problem)) in keys.iter().zip(&problems).enumerate() {
                let shown = if key.kind == Kind::Password { "***" } else { value };
                let subject = format!("{}={shown} {}", key.name, door.place(key.name, at + 1));
                let rest = problem.strip_prefix(&subject);
                let rest = rest.unwrap_or_else(|| panic!("{door:?}: {problem:?} does not begin with {subject:?}"));
                let (rule, remedy) = rest.split_once("; ").unwrap_or_else(|| panic!("no remedy in {problem:?}"));
                assert!(rule.starts_with(" must "), "{problem}");
                assert!(!remedy.is_empty(), "{problem}");
            }
        }
    }
}

#[test]
fn alter_configs_refuses_what_kafka_refuses_and_names_it() {
    with_broker(|_, broker| async move {
        let mut wire = broker.connect().await;
        let mut asked = 0;
        for (value, keys) in refused() {
            for key in keys.iter().filter(|key| key.update_mode != UpdateMode::ReadOnly) {
                let resource = if key.update_mode == UpdateMode::PerBroker { "1" } else { "" };
                let (code, text) = alter(&mut wire, resource, key.name, value).await;
                let refusals = [ErrorCode::InvalidRequest.code(), ErrorCode::InvalidConfig.code()];
                assert!(refusals.contains(&code), "{}={value:?}: {code} {text}", key.name);
                assert!(text.contains(key.name), "{}={value:?}: {text}", key.name);
                asked += 1;
            }
        }
        assert!(asked > 500, "{asked}");
        for key in all_keys().iter().filter(|key| key.update_mode == UpdateMode::ReadOnly) {
            let (code, text) = alter(&mut wire, "1", key.name, key.default.unwrap_or("1")).await;
            let told = format!("Cannot update these configs dynamically: [{}]", key.name);
            assert_eq!((code, text), (ErrorCode::InvalidRequest.code(), told));
        }
    });
}

async fn alter(wire: &mut Wire, resource_name: &str, name: &str, value: &str) -> (i16, String) {
    let config = AlterableConfig { name: name.to_owned(), value: Some(value.to_owned()), ..Default::default() };
    let resource = AlterConfigsResource {
        resource_type: 4,
        resource_name: resource_name.to_owned(),
        configs: vec![config],
        ..Default::default()
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: true, ..Default::default() };
    let response = wire.ask(&request, 1).await.expect("an answer").responses.remove(0);
    (response.error_code, response.error_message.unwrap_or_default())
}
