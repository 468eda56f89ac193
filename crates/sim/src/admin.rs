//! Creates, deletes and changes topics through the broker, and tells the ledger what that allows and promises.
use std::sync::Arc;
use std::time::Duration;

use env::Env;
use env::sim::Chance;
use protocol::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use protocol::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use protocol::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use protocol::metadata_response::MetadataResponse;
use protocol::{ErrorCode, Request, Uuid};

use crate::ledger::{Deletion, Promise};
use crate::shared::{Phase, Shared};
use crate::wire::Wire;

const CREATE_TOPICS_VERSION: i16 = 7;
const DELETE_TOPICS_VERSION: i16 = 6;
const DELETE_RECORDS_VERSION: i16 = 2;
const ALTER_CONFIGS_VERSION: i16 = 1;
const METADATA_VERSION: i16 = 12;
const TOPIC_RESOURCE: i8 = 2;
/// A change of durability has happened so long after its answer, if the broker was up all the time.
const SWITCH_TIME: Duration = Duration::from_millis(400);

/// A topic that a run uses.
#[derive(Clone, Debug)]
pub struct TopicPlan {
    pub name: &'static str,
    pub partitions: usize,
    pub promise: Promise,
    /// `retention.ms`
    pub retention: Option<Duration>,
    /// `delete.retention.ms` of one that is compacted.
    pub delete_retention: Option<Duration>,
    pub configs: Vec<(&'static str, String)>,
}

pub struct Admin {
    env: Env,
    shared: Shared,
    chance: Chance,
    wire: Option<Wire>,
}

/// What an admin does while the producers produce.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    DeleteRecords(&'static str),
    Recreate(&'static str),
    Switch(&'static str),
}

/// What admins do, each of them one list. Apache Kafka has no durability to switch.
pub const ACTS: [&[Act]; 2] = [
    &[Act::DeleteRecords("orders"), Act::Recreate("reborn")],
    &[Act::DeleteRecords("switching"), Act::Switch("switching"), Act::Switch("switching")],
];

impl Admin {
    pub fn new(env: Env, shared: Shared, chance: Chance) -> Self {
        Self { env, shared, chance, wire: None }
    }

    pub async fn run(mut self, plans: Vec<TopicPlan>, acts: &[Act]) {
        self.shared.client_began();
        while self.shared.phase() == Phase::Load {
            let pause = Duration::from_millis(self.chance.in_range(20..120));
            self.pause(pause).await;
            self.shared.quiet().await;
            match *self.chance.pick(acts) {
                Act::DeleteRecords(name) => self.delete_records(name).await,
                Act::Recreate(name) => {
                    let plan = plans.iter().find(|plan| plan.name == name).expect("a topic of ours");
                    self.delete(name).await;
                    self.create(plan).await;
                }
                Act::Switch(name) => self.switch(name).await,
            }
        }
        self.shared.client_ended();
    }

    pub async fn pause(&mut self, span: Duration) {
        self.env.clock.sleep_until(self.env.clock.now() + span).await;
    }

    /// Asks until there is an answer that says something.
    async fn insist<R: Request + Sync, T>(
        &mut self,
        request: &R,
        version: i16,
        mut read: impl FnMut(R::Response) -> Option<T>,
    ) -> T {
        loop {
            if self.wire.is_none() {
                self.wire = Wire::connect(&self.env, self.shared.address).await.ok();
            }
            if let Some(wire) = &mut self.wire {
                match wire.call(request, version).await {
                    Ok(response) => {
                        if let Some(answer) = read(response) {
                            return answer;
                        }
                    }
                    Err(_) => self.wire = None,
                }
            }
            let pause = Duration::from_micros(self.chance.in_range(500..10_000));
            self.pause(pause).await;
        }
    }

    /// Makes a topic; if an attempt without an answer has made it, finds it.
    pub async fn create(&mut self, plan: &TopicPlan) {
        let configs = plan.configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some(value.clone()),
            ..Default::default()
        });
        let topic = CreatableTopic {
            name: plan.name.to_owned(),
            num_partitions: plan.partitions as i32,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let made = self
            .insist(&request, CREATE_TOPICS_VERSION, |response| {
                let answer = &response.topics[0];
                match error_of(answer.error_code) {
                    ErrorCode::None => Some(Some(answer.topic_id)),
                    ErrorCode::TopicAlreadyExists => Some(None),
                    error if error.is_retriable() => None,
                    error => panic!("CreateTopics {}: {error} {:?}", plan.name, answer.error_message),
                }
            })
            .await;
        let id = match made {
            Some(id) => id,
            None => self.find(plan.name).await,
        };
        self.shared.ledger().topic_created(id, plan);
    }

    async fn find(&mut self, name: &str) -> Uuid {
        let asked = MetadataRequestTopic { topic_id: Uuid::ZERO, name: Some(name.to_owned()), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
        let found = |response: MetadataResponse| {
            let topic = &response.topics[0];
            (topic.error_code == 0).then_some(topic.topic_id)
        };
        self.insist(&request, METADATA_VERSION, found).await
    }

    async fn delete(&mut self, name: &str) {
        let Some(id) = self.shared.topic_id(name) else { return };
        self.shared.ledger().topic(id).deletion = Deletion::Asked;
        let topic = DeleteTopicState { name: None, topic_id: id, ..Default::default() };
        let request = DeleteTopicsRequest { topics: vec![topic], timeout_ms: 5_000, ..Default::default() };
        self.insist(&request, DELETE_TOPICS_VERSION, |response| match error_of(response.responses[0].error_code) {
            // An attempt without an answer has deleted it.
            ErrorCode::None | ErrorCode::UnknownTopicId => Some(()),
            error if error.is_retriable() => None,
            error => panic!("DeleteTopics {id}: {error}"),
        })
        .await;
        self.shared.ledger().topic(id).deletion = Deletion::Done;
    }

    async fn delete_records(&mut self, name: &str) {
        let Some(id) = self.shared.topic_id(name) else { return };
        let partitions = self.shared.ledger().topic(id).partitions.len();
        let partition = self.chance.index(partitions);
        let start = self.shared.ledger().known_start(id, partition);
        let known = self.shared.ledger().known_end(id, partition).max(start) - start;
        // All of it, seldom.
        let most = if self.chance.happens(0.1) { known } else { self.chance.in_range(0..known as u64 / 3 + 1) as i64 };
        let offset = start + most;
        self.shared.ledger().delete_records_asked(id, partition, offset);
        let asked = DeleteRecordsPartition { partition_index: partition as i32, offset, ..Default::default() };
        let topic = DeleteRecordsTopic { name: name.to_owned(), partitions: vec![asked], ..Default::default() };
        let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 5_000, ..Default::default() };
        let relaxed = self.shared.ledger().topic(id).was_relaxed;
        let log_start = self
            .insist(&request, DELETE_RECORDS_VERSION, |response| {
                let answer = &response.topics[0].partitions[0];
                match error_of(answer.error_code) {
                    ErrorCode::None => Some(answer.low_watermark),
                    // A power loss has taken what was there.
                    ErrorCode::OffsetOutOfRange if relaxed => Some(0),
                    error if error.is_retriable() => None,
                    error => panic!("DeleteRecords {name}-{partition} to {offset}: {error}"),
                }
            })
            .await;
        self.shared.ledger().delete_records_done(id, partition, log_start);
    }

    /// Changes one config of a topic, which may not be there yet.
    async fn set_config(&mut self, topic: &str, name: &str, value: &str) {
        let config = AlterableConfig {
            name: name.to_owned(),
            config_operation: 0,
            value: Some(value.to_owned()),
            ..Default::default()
        };
        let resource = AlterConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: topic.to_owned(),
            configs: vec![config],
            ..Default::default()
        };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        self.insist(&request, ALTER_CONFIGS_VERSION, |response| match error_of(response.responses[0].error_code) {
            ErrorCode::None => Some(()),
            error if error.is_retriable() => None,
            error => panic!("IncrementalAlterConfigs {topic}: {error}"),
        })
        .await;
    }

    /// Has the topic of offsets roll often enough to be compacted, once a group has had it made.
    pub async fn hasten_offsets(mut self) {
        let segment_ms = self.chance.in_range(40..400).to_string();
        self.set_config("__consumer_offsets", "segment.ms", &segment_ms).await;
    }

    /// Changes the durability of a topic. What it promises is promised from when the switch must have happened.
    async fn switch(&mut self, name: &str) {
        let Some(id) = self.shared.topic_id(name) else { return };
        let to = match self.shared.ledger().topic(id).promise {
            Promise::Durable => Promise::Relaxed,
            Promise::Relaxed => Promise::Durable,
        };
        let value = match to {
            Promise::Durable => "flush",
            Promise::Relaxed => {
                self.shared.ledger().promise_relaxed(id);
                "relaxed"
            }
        };
        self.set_config(name, "durability", value).await;
        if to == Promise::Relaxed {
            return;
        }
        // The switch follows the answer; a crash in between has the next process do it.
        while self.shared.phase() == Phase::Load {
            let boots = self.shared.ledger().boots;
            self.pause(SWITCH_TIME).await;
            let mut ledger = self.shared.ledger();
            if ledger.boots == boots && ledger.is_up {
                ledger.promise_durable(id);
                return;
            }
        }
    }

    /// Topics whose deletion was acknowledged are gone, and all others are there.
    pub async fn check_topics(&mut self) {
        let topics: Vec<(Uuid, Deletion, Arc<str>)> = {
            let ledger = self.shared.ledger();
            ledger.topics.iter().map(|(id, topic)| (*id, topic.deletion, topic.name.clone())).collect()
        };
        for (id, deletion, name) in topics {
            let asked = MetadataRequestTopic { topic_id: id, name: None, ..Default::default() };
            let request = MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
            let error =
                self.insist(&request, METADATA_VERSION, |response| Some(error_of(response.topics[0].error_code))).await;
            match deletion {
                Deletion::No => assert_eq!(error, ErrorCode::None, "{name} ({id}) is gone"),
                Deletion::Done => assert_eq!(error, ErrorCode::UnknownTopicId, "{name} ({id}) is back"),
                Deletion::Asked => {}
            }
        }
    }
}

fn error_of(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).expect("an error of Kafka")
}
