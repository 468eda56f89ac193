//! The state that decisions are made on, and their shape. Deciding changes nothing: it yields records and an answer.

use std::ops::RangeInclusive;
use std::sync::Arc;

use metadata::configs::{BrokerConfigs, BrokerKeys, Layers};
use metadata::{Delta, Image, Record};
use record::{BrokerId, TopicId};

/// Kafka's `QuorumController.MAX_RECORDS_PER_USER_OP`, which is also the limit of partitions in one request.
pub const RECORDS_PER_DECISION_MAX: usize = 10_000;

pub struct Options {
    pub node_id: BrokerId,
    pub defaults: TopicDefaults,
    pub internal_topics: InternalTopics,
    /// Set in the configuration of the brokers, by their own keys.
    pub broker_configs: BrokerConfigs,
    pub broker_keys: Arc<dyn BrokerKeys>,
    /// Those that this node knows, and at which levels.
    pub features: Vec<(&'static str, RangeInclusive<i16>)>,
    /// What may wait to be decided on; further callers wait.
    pub requests_max: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct TopicDefaults {
    /// `num.partitions`
    pub partitions: i32,
    /// `default.replication.factor`
    pub replication_factor: i16,
    /// `delete.topic.enable`
    pub delete_enabled: bool,
}

/// How `__consumer_offsets` and `__transaction_state` are made when they are first needed.
#[derive(Clone, Copy, Debug)]
pub struct InternalTopics {
    pub offsets_partitions: i32,
    pub offsets_replication_factor: i16,
    pub offsets_segment_bytes: i32,
    pub transactions_partitions: i32,
    pub transactions_replication_factor: i16,
    pub transactions_segment_bytes: i32,
    pub transactions_min_isr: i32,
}

/// What was decided. Without records the answer still waits for the records of earlier decisions that it may rest on.
#[derive(Debug)]
pub struct Decision<A> {
    pub records: Vec<Record>,
    pub answer: A,
}

impl<A> Decision<A> {
    pub fn nothing(answer: A) -> Self {
        Self { records: Vec::new(), answer }
    }
}

pub struct Machine {
    /// As it will be when all that was proposed is committed.
    pub image: Image,
    pub options: Options,
    pub rng: Arc<dyn env::Rng>,
}

impl Machine {
    pub fn apply(&mut self, records: Vec<Record>) {
        let mut delta = Delta::default(); // Nobody acts on what is only proposed.
        records.into_iter().for_each(|record| self.image.apply(record, &mut delta));
    }

    /// A broker of which all log directories are cordoned gets no new ones.
    pub fn takes_replicas(&self, broker: BrokerId) -> bool {
        self.options.broker_keys.takes_replicas(&self.image, broker)
    }

    pub fn layers<'a>(&'a self, topic: &str) -> Layers<'a> {
        Layers::of_topic(&self.image.configs, topic, self.options.node_id, &self.options.broker_configs)
    }

    pub fn new_topic_id(&self) -> TopicId {
        loop {
            let mut bytes = [0; 16];
            self.rng.fill(&mut bytes);
            if let Some(id) = TopicId::from_random(bytes) {
                return id;
            }
        }
    }
}

#[cfg(test)]
pub mod tests;
