//! DescribeQuorum: who keeps the metadata (KIP-595, KIP-836). One node keeps it alone.
use protocol::ErrorCode;
use protocol::describe_quorum_request::DescribeQuorumRequestView;
use protocol::describe_quorum_response::{
    DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, TopicData,
};

use super::{Answer, Call};

const METADATA_TOPIC: &str = "__cluster_metadata";

pub async fn handle(call: Call) -> Answer {
    let request: DescribeQuorumRequestView<'_> = call.request()?;
    let asked: Vec<(&str, Vec<i32>)> = request
        .topics
        .iter()
        .map(|topic| (topic.topic_name, topic.partitions.iter().map(|partition| partition.partition_index).collect()))
        .collect();
    // Whoever asks for anything else, too, is told nothing (`DescribeQuorumRequest`, `KafkaRaftClient`).
    call.reply(&match &asked[..] {
        [(METADATA_TOPIC, indexes)] if indexes[..] == [0] => described(&call),
        _ => unknown(&asked),
    })
}

fn unknown(asked: &[(&str, Vec<i32>)]) -> DescribeQuorumResponse {
    let partition = |index: &i32| PartitionData {
        partition_index: *index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        error_message: Some("This server does not host this topic-partition.".to_owned()),
        ..Default::default()
    };
    let topics = asked.iter().map(|(name, indexes)| TopicData {
        topic_name: (*name).to_owned(),
        partitions: indexes.iter().map(partition).collect(),
        ..Default::default()
    });
    DescribeQuorumResponse { error_message: Some(String::new()), topics: topics.collect(), ..Default::default() }
}

fn described(call: &Call) -> DescribeQuorumResponse {
    let broker = &call.broker;
    let position = broker.image().position;
    let now = broker.env.clock.wall_ms();
    // An offset is that of the next entry, as everywhere in Kafka.
    let end = i64::try_from(position.index).unwrap_or(i64::MAX).saturating_add(1);
    let voter = ReplicaState {
        replica_id: broker.node_id.0,
        log_end_offset: end,
        last_fetch_timestamp: now,
        last_caught_up_timestamp: now,
        ..Default::default()
    };
    let partition = PartitionData {
        partition_index: 0,
        error_message: Some(String::new()),
        leader_id: broker.node_id.0,
        leader_epoch: i32::try_from(position.term).unwrap_or(i32::MAX),
        high_watermark: end,
        current_voters: vec![voter],
        ..Default::default()
    };
    let topic = TopicData { topic_name: METADATA_TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
    DescribeQuorumResponse {
        error_message: Some(String::new()),
        topics: vec![topic],
        nodes: if call.version >= 2 { vec![node(call)] } else { Vec::new() },
        ..Default::default()
    }
}

/// This node as its clients reach it: who keeps the metadata has no listener of its own.
fn node(call: &Call) -> Node {
    let broker = &call.broker;
    let address = broker.endpoint_of(broker.node_id, &call.peer.listener);
    let listener = address.map(|address| Listener {
        name: call.peer.listener.to_string(),
        host: address.host,
        port: u16::try_from(address.port).unwrap_or(0),
        ..Default::default()
    });
    Node { node_id: broker.node_id.0, listeners: listener.into_iter().collect(), ..Default::default() }
}
