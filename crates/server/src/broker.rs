//! What the APIs of one node work on: its image of the cluster, its partitions, its groups, the controller. Put together
//! by `node`; knows no socket.
use std::sync::Arc;
use std::time::Duration;

use controller::Handle;
use env::Env;
use metadata::{Endpoint, Image, Topic};
use protocol::ErrorCode;
use protocol::describe_configs_response::DescribeConfigsResult;
use record::BrokerId;
use replication::{Partition, Replicas};

use crate::auto_creation::AutoCreation;
use crate::error_counts::ErrorCounts;
use crate::fetch_session::FetchSessions;
use crate::groups::Groups;
use crate::loggers::Loggers;
use crate::producer_ids::ProducerIds;
use crate::quotas::{Client, Quotas};
use crate::request_times::RequestTimes;
use crate::telemetry::Telemetry;

pub struct Broker {
    pub env: Env,
    pub node_id: BrokerId,
    pub cluster_id: String,
    pub controller: Handle,
    pub replicas: Arc<Replicas>,
    pub groups: Groups,
    pub loggers: Loggers,
    pub fetch_sessions: FetchSessions,
    pub producer_ids: ProducerIds,
    pub quotas: Quotas,
    pub telemetry: Arc<Telemetry>,
    pub auto_creation: AutoCreation,
    /// By the place of the API in [`crate::api::SERVED`].
    pub request_times: RequestTimes,
    /// The same.
    pub error_counts: ErrorCounts,
    pub settings: Settings,
    pub configs: Arc<dyn BrokerConfigs>,
}

/// What the APIs must know of the node's configuration. Names are Kafka's, in the comments where they differ.
#[derive(Clone, Debug)]
pub struct Settings {
    pub auto_create_topics: bool,
    /// `fetch.max.bytes`
    pub fetch_bytes_max: usize,
    /// `max.request.partition.size.limit`
    pub request_partitions_max: usize,
}

/// The broker's own configuration, as DescribeConfigs shows it: `node` knows the keys.
pub trait BrokerConfigs: Send + Sync {
    /// The configs of this broker (`Some(names)`: only these), with what is set dynamically taken from the image.
    fn describe(&self, image: &Image, query: &ConfigQuery<'_>) -> DescribeConfigsResult;
}

/// What a DescribeConfigs asks of one resource.
pub struct ConfigQuery<'q> {
    /// The id of a broker, or empty for what is set for all brokers.
    pub resource_name: &'q str,
    pub names: Option<Vec<&'q str>>,
    pub include_synonyms: bool,
    pub include_documentation: bool,
}

/// Where a client reaches a node.
pub struct NodeAddress {
    pub host: String,
    pub port: i32,
    pub rack: Option<String>,
}

impl Broker {
    pub fn image(&self) -> Arc<Image> {
        self.controller.image()
    }

    /// A node as those see it who came through this listener.
    pub fn endpoint_of(&self, node: BrokerId, listener: &str) -> Option<NodeAddress> {
        let image = self.image();
        let broker = image.brokers.find(node)?;
        let Endpoint { host, port, .. } = broker.endpoint(listener)?.clone();
        Some(NodeAddress { host, port: port.into(), rack: broker.rack.clone() })
    }

    /// Counts changes of partitions that a client asks for: whether they are allowed, and for how long it is to be silent.
    pub fn mutations_taken(&self, client_id: &str, partitions: usize, is_strict: bool) -> (bool, Duration) {
        let (image, now) = (self.image(), self.env.clock.now());
        let client = Client::anonymous(client_id);
        self.quotas.record_mutations(&image.quotas, client, partitions as f64, is_strict, now)
    }

    /// The replica of a partition that the cluster knows; the error if it does not, or if it is not on this node.
    pub fn partition(&self, topic: &str, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let image = self.image();
        let topic = image.topics.by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        self.partition_of(topic, index)
    }

    /// The same, of a topic that was found already.
    pub fn partition_of(&self, topic: &Topic, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        match topic.partitions.find(index) {
            None => Err(ErrorCode::UnknownTopicOrPartition),
            Some(_) => self.replica(&topic.name, index),
        }
    }

    /// The replica of a partition, if it is on this node (`ReplicaManager.getPartitionOrError`).
    pub fn replica(&self, topic: &str, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        match self.replicas.partition(topic, index) {
            None => Err(ErrorCode::NotLeaderOrFollower),
            Some(partition) if partition.is_offline() => Err(ErrorCode::KafkaStorageError),
            Some(partition) => Ok(partition),
        }
    }
}
