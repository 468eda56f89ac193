//! What our controller answers to a script of requests against what Apache Kafka 4.4 answered to it: codes, texts and
//! all. `kafka/Answers.java` made the file and says how.

mod support;

use std::collections::BTreeMap;

use controller::Handle;
use env::sim::{Settings, simulate};
use metadata::configs::{Asked, BrokerConfigs, describe_topic_result};
use protocol::alter_configs_request as alter;
use protocol::create_partitions_request as grow;
use protocol::create_topics_request as create;
use protocol::delete_topics_request as delete;
use protocol::incremental_alter_configs_request as incremental;
use protocol::{ErrorCode, Uuid};
use support::{NODE, options};

const KAFKA: &str = include_str!("kafka/answers.txt");

/// Configs that Kafka does not have.
const OWN_CONFIGS: &[&str] = &["durability"];

struct Client {
    handle: Handle,
    ids: BTreeMap<String, Uuid>,
}

type Fields<'a> = Vec<(&'a str, &'a str)>;

fn text(word: &str) -> Option<String> {
    if word == "~" {
        return None;
    }
    let repeated = word.rsplit_once('*').and_then(|(part, times)| Some(part.repeat(times.parse().ok()?)));
    Some(repeated.unwrap_or_else(|| word.to_owned()).replace('%', " "))
}

fn numbers(word: &str) -> Vec<i32> {
    word.split('+').filter(|number| !number.is_empty()).map(|number| number.parse().unwrap()).collect()
}

fn items(rest: &str) -> Vec<Fields<'_>> {
    let fields = |item| str::split(item, ' ').filter(|word| !word.is_empty());
    rest.split(" ; ")
        .map(|item| fields(item).map(|word| word.split_once('=').unwrap_or((word, ""))).collect())
        .collect()
}

fn value<'a>(fields: &Fields<'a>, wanted: &str) -> Option<&'a str> {
    fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
}

/// What is neither of these.
fn others<'a>(fields: &Fields<'a>, known: &[&str]) -> Fields<'a> {
    fields.iter().copied().filter(|(name, _)| !known.contains(name) && !name.starts_with("a:")).collect()
}

fn one(name: Option<&str>, code: i16, message: Option<&str>) -> String {
    let name = match name {
        None => "~",
        Some("") => "''",
        Some(name) => name,
    };
    let code = ErrorCode::from_code(code).unwrap().name();
    message.map_or(format!("{name} {code}"), |message| format!("{name} {code} {message}"))
}

impl Client {
    async fn answer(&mut self, line: &str) -> Vec<String> {
        let (kind, rest) = line.split_once(' ').unwrap();
        let (validate, rest) = match rest.strip_prefix("validate ") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let mut answers = match kind {
            "create" => self.create(rest, validate, false).await,
            "create-show" => self.create(rest, validate, true).await,
            "delete" => self.delete(rest).await,
            "partitions" => self.grow(rest, validate).await,
            "alter" => self.alter(rest, validate).await,
            "incremental" => self.alter_incrementally(rest, validate).await,
            "describe" => self.describe(rest),
            _ => panic!("{line}"),
        };
        answers.sort(); // As Answers.java does.
        answers
    }

    fn id(&self, word: &str) -> Uuid {
        match word.strip_prefix('@') {
            Some(name) => self.ids[name],
            None if word == "zero" => Uuid::ZERO,
            None => word.parse().unwrap(),
        }
    }

    async fn create(&mut self, rest: &str, validate: bool, show: bool) -> Vec<String> {
        let topic = |fields: &Fields<'_>| create::CreatableTopic {
            name: value(fields, "name").and_then(text).unwrap(),
            num_partitions: value(fields, "p").map_or(1, |number| number.parse().unwrap()),
            replication_factor: value(fields, "rf").map_or(1, |number| number.parse().unwrap()),
            assignments: fields
                .iter()
                .filter_map(|(name, value)| {
                    Some(create::CreatableReplicaAssignment {
                        partition_index: name.strip_prefix("a:")?.parse().unwrap(),
                        broker_ids: numbers(value),
                        ..Default::default()
                    })
                })
                .collect(),
            configs: others(fields, &["name", "p", "rf"])
                .into_iter()
                .map(|(name, value)| create::CreatableTopicConfig {
                    name: name.to_owned(),
                    value: text(value),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        let request = create::CreateTopicsRequest {
            topics: items(rest).iter().map(topic).collect(),
            validate_only: validate,
            timeout_ms: 30_000,
            ..Default::default()
        };
        let mut answers = Vec::new();
        for topic in self.handle.create_topics(request).await.topics {
            if topic.error_code == 0 {
                self.ids.insert(topic.name.clone(), topic.topic_id);
            }
            let configs = topic.configs.unwrap();
            answers.push(format!(
                "{} p={} rf={} configs={} id={} {}",
                one(Some(&topic.name), topic.error_code, topic.error_message.as_deref()),
                topic.num_partitions,
                topic.replication_factor,
                if configs.is_empty() { "none" } else { "some" },
                if topic.topic_id.is_zero() { "zero" } else { "given" },
                topic.topic_config_error_code
            ));
            for config in configs.iter().filter(|config| show && !OWN_CONFIGS.contains(&&*config.name)) {
                let (name, value) = (&config.name, config.value.as_deref().unwrap());
                assert!(!config.read_only && !config.is_sensitive);
                answers.push(format!("{} {name}={value} source={}", topic.name, config.config_source));
            }
        }
        answers
    }

    async fn delete(&mut self, rest: &str) -> Vec<String> {
        let topic = |fields: &Fields<'_>| delete::DeleteTopicState {
            name: value(fields, "name").and_then(text),
            topic_id: value(fields, "id").map_or(Uuid::ZERO, |word| self.id(word)),
            ..Default::default()
        };
        let topics = items(rest).iter().map(topic).collect();
        let request = delete::DeleteTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() };
        let response = self.handle.delete_topics(request).await;
        let shown = |id: Uuid| match self.ids.iter().find(|(_, known)| **known == id) {
            _ if id.is_zero() => "zero".to_owned(),
            Some((name, _)) => format!("@{name}"),
            None => id.to_string(),
        };
        let answer = |topic: &protocol::delete_topics_response::DeletableTopicResult| {
            let one = one(topic.name.as_deref(), topic.error_code, topic.error_message.as_deref());
            format!("{one} id={}", shown(topic.topic_id))
        };
        response.responses.iter().map(answer).collect()
    }

    async fn grow(&mut self, rest: &str, validate: bool) -> Vec<String> {
        let topic = |fields: &Fields<'_>| grow::CreatePartitionsTopic {
            name: value(fields, "name").and_then(text).unwrap(),
            count: value(fields, "count").unwrap().parse().unwrap(),
            assignments: value(fields, "a").map(|lists| {
                let assignment =
                    |list| grow::CreatePartitionsAssignment { broker_ids: numbers(list), ..Default::default() };
                lists.split('|').map(assignment).collect()
            }),
            ..Default::default()
        };
        let request = grow::CreatePartitionsRequest {
            topics: items(rest).iter().map(topic).collect(),
            timeout_ms: 30_000,
            validate_only: validate,
            ..Default::default()
        };
        let results = self.handle.create_partitions(request).await.results;
        results.iter().map(|topic| one(Some(&topic.name), topic.error_code, topic.error_message.as_deref())).collect()
    }

    async fn alter(&mut self, rest: &str, validate: bool) -> Vec<String> {
        let resource = |fields: &Fields<'_>| alter::AlterConfigsResource {
            resource_type: value(fields, "type").unwrap().parse().unwrap(),
            resource_name: value(fields, "name").and_then(text).unwrap(),
            configs: others(fields, &["type", "name"])
                .into_iter()
                .map(|(name, value)| alter::AlterableConfig {
                    name: name.to_owned(),
                    value: text(value),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        let resources = items(rest).iter().map(resource).collect();
        let request = alter::AlterConfigsRequest { resources, validate_only: validate, ..Default::default() };
        let responses = self.handle.alter_configs(request).await.responses;
        let answer = |name: &str, code, message: &Option<String>| one(Some(name), code, message.as_deref());
        responses
            .iter()
            .map(|r| format!("{} {}", r.resource_type, answer(&r.resource_name, r.error_code, &r.error_message)))
            .collect()
    }

    async fn alter_incrementally(&mut self, rest: &str, validate: bool) -> Vec<String> {
        let operation = |word: &str| {
            let place = ["set", "delete", "append", "subtract"].iter().position(|name| *name == word);
            place.map_or_else(|| word.parse().unwrap(), |place| place as i8)
        };
        let resource = |fields: &Fields<'_>| incremental::AlterConfigsResource {
            resource_type: value(fields, "type").unwrap().parse().unwrap(),
            resource_name: value(fields, "name").and_then(text).unwrap(),
            configs: others(fields, &["type", "name"])
                .into_iter()
                .map(|(name, value)| {
                    let (word, name) = name.split_once(':').unwrap();
                    incremental::AlterableConfig {
                        name: name.to_owned(),
                        config_operation: operation(word),
                        value: text(value),
                        ..Default::default()
                    }
                })
                .collect(),
            ..Default::default()
        };
        let resources = items(rest).iter().map(resource).collect();
        let request =
            incremental::IncrementalAlterConfigsRequest { resources, validate_only: validate, ..Default::default() };
        let responses = self.handle.incremental_alter_configs(request).await.responses;
        responses
            .iter()
            .map(|r| {
                let answer = one(Some(&r.resource_name), r.error_code, r.error_message.as_deref());
                format!("{} {answer}", r.resource_type)
            })
            .collect()
    }

    fn describe(&self, rest: &str) -> Vec<String> {
        let mut answers = Vec::new();
        for fields in items(rest) {
            let name = value(&fields, "name").and_then(text).unwrap();
            let names: Option<Vec<String>> =
                value(&fields, "keys").map(|keys| keys.split(',').map(str::to_owned).collect());
            let asked = Asked { names: names.as_deref(), synonyms: true, documentation: false };
            let image = self.handle.image();
            let result = describe_topic_result(&image, NODE, &BrokerConfigs::default(), &name, asked);
            answers.push(format!("2 {}", one(Some(&name), result.error_code, result.error_message.as_deref())));
            for config in result.configs.iter().filter(|config| !OWN_CONFIGS.contains(&&*config.name)) {
                let synonyms: Vec<String> = config
                    .synonyms
                    .iter()
                    .map(|synonym| format!("{}={}:{}", synonym.name, synonym.value.as_deref().unwrap(), synonym.source))
                    .collect();
                answers.push(format!(
                    "  {}={} source={} type={} [{}]",
                    config.name,
                    config.value.as_deref().unwrap(),
                    config.config_source,
                    config.config_type,
                    synonyms.join(" ")
                ));
            }
        }
        answers
    }
}

#[test]
fn every_answer_is_kafka_s() {
    simulate(Settings::seed(1), |world| async move {
        let machine = world.machine("broker");
        let (handle, _) = support::start(&machine.env(), options(2)).await;
        let mut client = Client { handle, ids: BTreeMap::new() };
        let mut lines = KAFKA.lines().peekable();
        let mut requests = 0;
        while let Some(line) = lines.next() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut kafka = Vec::new();
            while let Some(answer) = lines.next_if(|line| line.starts_with("> ")) {
                kafka.push(answer[2..].to_owned());
            }
            let ours = client.answer(line).await;
            assert_eq!(ours, kafka, "{line}");
            requests += 1;
        }
        assert!(requests > 120, "{requests} requests");
    });
}
