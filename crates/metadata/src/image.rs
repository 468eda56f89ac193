//! The state of the cluster after one entry of the metadata log. A clone is a few counters; nobody changes a clone that
//! others hold.

use std::sync::Arc;

use protocol::Uuid;
use quorum::LogId;
use record::{BrokerId, ProducerId, TopicId};

use crate::{Brokers, Configs, Features, Partition, Quotas, RemovedTopics, ScramCredentials, Topics};

#[derive(Clone, Debug, Default)]
pub struct Image {
    pub topics: Topics,
    pub removed: RemovedTopics,
    pub brokers: Brokers,
    pub configs: Configs,
    pub features: Arc<Features>,
    pub quotas: Quotas,
    pub scram: ScramCredentials,
    /// The first id of the next block of producer ids.
    pub next_producer_id: ProducerId,
    /// The epoch of the next broker that registers.
    pub next_broker_epoch: i64,
    /// The entry up to which it holds everything.
    pub position: LogId,
}

/// Why the metadata has no replica on a broker where there is a log of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unplaced {
    Partition,
    Replica,
    Topic,
}

impl Image {
    /// The log directory that a broker's replica is in.
    pub fn place_of(&self, topic: TopicId, partition: i32, broker: BrokerId) -> Result<Uuid, Unplaced> {
        let topic = self.topics.by_id(topic).ok_or(Unplaced::Topic)?;
        let partition = topic.partitions.find(partition).ok_or(Unplaced::Partition)?;
        partition.directory_of(broker).ok_or(Unplaced::Replica)
    }

    /// The replica of this broker cannot be served: the broker is away, or the log directory that it is in is.
    pub fn is_offline(&self, partition: &Partition, broker: BrokerId) -> bool {
        let active = self.brokers.find(broker).filter(|broker| !broker.fenced);
        let directory = partition.directory_of(broker);
        !active.is_some_and(|broker| directory.is_none_or(|directory| broker.has_online(directory)))
    }
}

impl Unplaced {
    pub fn reason(self) -> &'static str {
        match self {
            Unplaced::Partition => "its topic has no such partition",
            Unplaced::Replica => "the partition has no replica on this broker",
            Unplaced::Topic => "the metadata has never had its topic",
        }
    }
}
