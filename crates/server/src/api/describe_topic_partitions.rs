//! DescribeTopicPartitions: topics page by page (KIP-966). Rules of Kafka's `DescribeTopicPartitionsRequestHandler`.
use std::collections::BTreeSet;

use metadata::{Image, Topic};
use protocol::describe_topic_partitions_request::DescribeTopicPartitionsRequestView;
use protocol::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use protocol::{ErrorCode, Uuid};
use record::BrokerId;

use super::{Answer, Call, authorized_operations};

pub async fn handle(call: Call) -> Answer {
    let request: DescribeTopicPartitionsRequestView<'_> = call.request()?;
    let cursor = request.cursor.map(|cursor| (cursor.topic_name, cursor.partition_index));
    let image = call.broker.image();
    let asked: BTreeSet<&str> = request.topics.iter().map(|topic| topic.name).collect();
    let is_stray = |(topic, partition): (&str, i32)| partition < 0 || !asked.is_empty() && !asked.contains(topic);
    if cursor.is_some_and(is_stray) {
        // As often as it was asked for.
        let topics = request.topics.iter().map(|topic| refused(topic.name, ErrorCode::InvalidRequest)).collect();
        return call.reply(&DescribeTopicPartitionsResponse { topics, ..Default::default() });
    }
    let from = cursor.map_or("", |(topic, _)| topic);
    let names: Vec<&str> = match asked.is_empty() {
        true => image.topics.iter_from(from).map(|topic| &*topic.name).collect(),
        false => asked.into_iter().filter(|name| *name >= from).collect(),
    };
    let limit = (request.response_partition_limit.max(1) as usize).min(call.broker.settings.request_partitions_max);
    call.reply(&page(&image, &names, cursor, limit))
}

fn page(image: &Image, names: &[&str], cursor: Option<(&str, i32)>, limit: usize) -> DescribeTopicPartitionsResponse {
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut left = limit;
    for name in names {
        let first = cursor.filter(|(topic, _)| topic == name).map_or(0, |(_, partition)| partition);
        if left == 0 {
            response.next_cursor = Some(next(name, first));
            return response;
        }
        let Some(topic) = image.topics.by_name(name) else {
            response.topics.push(missing(name));
            continue;
        };
        let described = describe(image, topic, first, left);
        // Kafka adds as Java does: so far behind the last partition that the sum wraps, it goes on below the first one.
        let end = first.wrapping_add(left as i32).min(topic.partitions.len() as i32);
        left -= described.partitions.len();
        response.topics.push(described);
        if end < topic.partitions.len() as i32 {
            response.next_cursor = Some(next(name, end));
            return response;
        }
    }
    response
}

fn next(topic: &str, partition: i32) -> Cursor {
    Cursor { topic_name: topic.to_owned(), partition_index: partition, ..Default::default() }
}

fn missing(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = match metadata::check_topic_name(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic {
        is_internal: metadata::is_internal(name),
        topic_authorized_operations: authorized_operations::TOPIC,
        ..refused(name, error)
    }
}

fn refused(name: &str, error: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code: error.code(),
        name: Some(name.to_owned()),
        topic_authorized_operations: authorized_operations::NOT_ASKED,
        ..Default::default()
    }
}

fn describe(image: &Image, topic: &Topic, first: i32, limit: usize) -> DescribeTopicPartitionsResponseTopic {
    let ids = |nodes: &[BrokerId]| nodes.iter().map(|node| node.0).collect::<Vec<i32>>();
    let partitions = topic.partitions.iter().skip(first as usize).take(limit).map(|(index, partition)| {
        let is_offline = |node: &&BrokerId| image.is_offline(partition, **node);
        // With nobody in sync, whoever was the last has everything that was committed (KIP-966): on one node, the replica.
        let eligible = if partition.isr.is_empty() { ids(&partition.replicas) } else { vec![] };
        let leader = partition.leader.filter(|leader| !is_offline(&leader));
        DescribeTopicPartitionsResponsePartition {
            partition_index: index,
            leader_id: leader.map_or(-1, |leader| leader.0),
            leader_epoch: partition.leader_epoch.0,
            replica_nodes: ids(&partition.replicas),
            isr_nodes: ids(&partition.isr),
            eligible_leader_replicas: Some(eligible.clone()),
            last_known_elr: Some(eligible),
            offline_replicas: partition.replicas.iter().filter(is_offline).map(|node| node.0).collect(),
            ..Default::default()
        }
    });
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: Uuid(topic.id.0),
        is_internal: topic.is_internal(),
        partitions: partitions.collect(),
        topic_authorized_operations: authorized_operations::TOPIC,
        ..Default::default()
    }
}
