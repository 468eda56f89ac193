//! Metadata: the nodes, the topics that were asked for, by name or by id, and their leaders. Rules of
//! `KafkaApis.handleTopicMetadataRequest`; topics that are missing are created here where that is allowed.
use std::collections::BTreeSet;

use metadata::{Image, Partition, Topic};
use protocol::metadata_request::{MetadataRequestTopicView, MetadataRequestView};
use protocol::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use protocol::{ErrorCode, Uuid};
use record::TopicId;

use super::{Answer, Call, authorized_operations};

pub async fn handle(call: Call) -> Answer {
    let request: MetadataRequestView<'_> = call.request()?;
    if let Some(refused) = impossible(&call, &request) {
        return call.reply(&refused);
    }
    let asked = Asked::of(call.version, &request);
    let image = call.broker.image();
    if let Asked::Names(names) = &asked {
        create_missing(&call, &request, &image, names);
    }
    let describe = Describe { call: &call, image: &image, operations: request.include_topic_authorized_operations };
    let topics = match asked {
        Asked::All => image.topics.iter().map(|topic| describe.topic(topic)).collect(),
        Asked::Ids(ids) => ids.into_iter().map(|id| describe.by_id(id)).collect(),
        Asked::Names(names) => names.into_iter().map(|name| describe.by_name(name)).collect(),
    };
    let cluster_operations = match request.include_cluster_authorized_operations {
        true => authorized_operations::CLUSTER,
        false => authorized_operations::NOT_ASKED,
    };
    call.reply(&MetadataResponse {
        brokers: brokers(&call, &image),
        cluster_id: Some(call.broker.cluster_id.clone()),
        // Any node takes what is for the controller, and passes it on.
        controller_id: call.broker.node_id.0,
        topics,
        cluster_authorized_operations: cluster_operations,
        ..Default::default()
    })
}

/// What a request is about: each topic once.
enum Asked<'r> {
    All,
    Ids(BTreeSet<Uuid>),
    Names(BTreeSet<&'r str>),
}

impl<'r> Asked<'r> {
    fn of(version: i16, request: &MetadataRequestView<'r>) -> Self {
        let Some(topics) = request.topics else { return Self::All };
        if topics.is_empty() && version == 0 {
            return Self::All;
        }
        let ids: BTreeSet<Uuid> = topics.iter().map(|topic| topic.topic_id).filter(|id| !id.is_zero()).collect();
        // One id makes all of the request one by ids.
        if !ids.is_empty() {
            return Self::Ids(ids);
        }
        Self::Names(topics.iter().filter_map(|topic| topic.name).collect())
    }
}

/// Versions 10 and 11 have a field for ids that nobody may use yet; and of a request by names Kafka stumbles over a topic
/// that has none.
fn impossible(call: &Call, request: &MetadataRequestView<'_>) -> Option<MetadataResponse> {
    let topics = request.topics.unwrap_or_default();
    let error = match call.version {
        ..=11 if topics.iter().any(|topic| topic.name.is_none() || !topic.topic_id.is_zero()) => {
            ErrorCode::InvalidRequest
        }
        12.. if topics.iter().all(|topic| topic.topic_id.is_zero())
            && topics.iter().any(|topic| topic.name.is_none()) =>
        {
            ErrorCode::UnknownServerError
        }
        _ => return None,
    };
    let refused = |topic: MetadataRequestTopicView<'_>| MetadataResponseTopic {
        error_code: error.code(),
        name: Some(topic.name.unwrap_or("").to_owned()),
        topic_id: topic.topic_id,
        ..Default::default()
    };
    Some(MetadataResponse {
        topics: topics.iter().map(refused).collect(),
        error_code: if call.version >= 13 { error.code() } else { 0 },
        ..Default::default()
    })
}

/// Behind the answer, which is UNKNOWN_TOPIC_OR_PARTITION: the client asks again.
fn create_missing(call: &Call, request: &MetadataRequestView<'_>, image: &Image, names: &BTreeSet<&str>) {
    if !request.allow_auto_topic_creation || !call.broker.settings.auto_create_topics {
        return;
    }
    let is_missing = |name: &&str| image.topics.by_name(name).is_none() && metadata::check_topic_name(name).is_ok();
    let missing = call.broker.auto_creation.begin(names.iter().copied().filter(is_missing));
    if missing.is_empty() {
        return;
    }
    let broker = call.broker.clone();
    let create = async move {
        for result in broker.controller.auto_create_topics(missing.clone()).await {
            if result.error_code != 0 && result.error_code != ErrorCode::TopicAlreadyExists.code() {
                tracing::warn!(topic = result.name, error = ?ErrorCode::from_code(result.error_code), "a topic could not be created automatically");
            }
        }
        broker.auto_creation.ended(&missing);
    };
    call.broker.env.spawn.task("auto-creation", Box::pin(create));
}

fn brokers(call: &Call, image: &Image) -> Vec<MetadataResponseBroker> {
    let broker = |broker: &metadata::Broker| {
        let endpoint = broker.endpoint(&call.peer.listener)?;
        Some(MetadataResponseBroker {
            node_id: broker.id.0,
            host: endpoint.host.clone(),
            port: endpoint.port.into(),
            rack: broker.rack.clone(),
            ..Default::default()
        })
    };
    image.brokers.iter().filter(|broker| !broker.fenced).filter_map(|one| broker(one)).collect()
}

struct Describe<'c> {
    call: &'c Call,
    image: &'c Image,
    operations: bool,
}

impl Describe<'_> {
    fn by_name(&self, name: &str) -> MetadataResponseTopic {
        match self.image.topics.by_name(name) {
            Some(topic) => self.topic(topic),
            None => MetadataResponseTopic {
                error_code: missing(name).code(),
                name: Some(name.to_owned()),
                is_internal: metadata::is_internal(name),
                topic_authorized_operations: self.operations(),
                ..Default::default()
            },
        }
    }

    fn by_id(&self, id: Uuid) -> MetadataResponseTopic {
        match self.image.topics.by_id(TopicId(id.0)) {
            Some(topic) => self.topic(topic),
            None => MetadataResponseTopic {
                error_code: ErrorCode::UnknownTopicId.code(),
                name: None,
                topic_id: id,
                ..Default::default()
            },
        }
    }

    fn topic(&self, topic: &Topic) -> MetadataResponseTopic {
        MetadataResponseTopic {
            name: Some(topic.name.to_string()),
            topic_id: Uuid(topic.id.0),
            is_internal: topic.is_internal(),
            partitions: topic.partitions.iter().map(|(index, partition)| self.partition(index, partition)).collect(),
            topic_authorized_operations: self.operations(),
            ..Default::default()
        }
    }

    fn partition(&self, index: i32, partition: &Partition) -> MetadataResponsePartition {
        let ids = |nodes: &[record::BrokerId]| nodes.iter().map(|node| node.0).collect::<Vec<i32>>();
        let is_offline = |node: &&record::BrokerId| self.image.is_offline(partition, **node);
        let leader = partition.leader.filter(|leader| !is_offline(&leader));
        MetadataResponsePartition {
            error_code: self.partition_error(leader).code(),
            partition_index: index,
            leader_id: leader.map_or(-1, |leader| leader.0),
            leader_epoch: partition.leader_epoch.0,
            replica_nodes: ids(&partition.replicas),
            isr_nodes: ids(&partition.isr),
            offline_replicas: partition.replicas.iter().filter(is_offline).map(|node| node.0).collect(),
            ..Default::default()
        }
    }

    fn partition_error(&self, leader: Option<record::BrokerId>) -> ErrorCode {
        let Some(leader) = leader else { return ErrorCode::LeaderNotAvailable };
        match self.call.broker.endpoint_of(leader, &self.call.peer.listener) {
            Some(_) => ErrorCode::None,
            None if self.call.version >= 6 => ErrorCode::ListenerNotFound,
            None => ErrorCode::LeaderNotAvailable,
        }
    }

    fn operations(&self) -> i32 {
        match self.operations {
            true => authorized_operations::TOPIC,
            false => authorized_operations::NOT_ASKED,
        }
    }
}

fn missing(name: &str) -> ErrorCode {
    match metadata::check_topic_name(name).is_ok() {
        true => ErrorCode::UnknownTopicOrPartition,
        false => ErrorCode::InvalidTopicException,
    }
}
