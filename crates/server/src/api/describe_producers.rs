//! DescribeProducers: who has written to a partition of late, for the search for hanging transactions (KIP-664).
use metadata::check_topic_name;
use protocol::ErrorCode;
use protocol::describe_producers_request::DescribeProducersRequestView;
use protocol::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};

use super::{Answer, Call};

pub async fn handle(call: Call) -> Answer {
    let request: DescribeProducersRequestView<'_> = call.request()?;
    let topics = request.topics.iter().map(|topic| {
        let refused = refused(&call, topic.name);
        let partitions = topic.partition_indexes.iter().map(|index| match &refused {
            Some((error, message)) => PartitionResponse {
                partition_index: index,
                error_code: error.code(),
                error_message: Some(message.clone()),
                ..Default::default()
            },
            None => describe(&call, topic.name, index),
        });
        TopicResponse { name: topic.name.to_owned(), partitions: partitions.collect(), ..Default::default() }
    });
    call.reply(&DescribeProducersResponse { topics: topics.collect(), ..Default::default() })
}

/// Why nothing is said of any partition of this topic.
fn refused(call: &Call, topic: &str) -> Option<(ErrorCode, String)> {
    if let Err(reason) = check_topic_name(topic) {
        return Some((ErrorCode::InvalidTopicException, reason));
    }
    let is_known = call.broker.image().topics.by_name(topic).is_some();
    (!is_known)
        .then(|| (ErrorCode::UnknownTopicOrPartition, "This server does not host this topic-partition.".to_owned()))
}

fn describe(call: &Call, topic: &str, index: i32) -> PartitionResponse {
    let mut response = PartitionResponse { partition_index: index, ..Default::default() };
    let partition = call.broker.partition(topic, index).and_then(|partition| match partition.is_leader() {
        true => Ok(partition),
        false => Err(ErrorCode::NotLeaderOrFollower),
    });
    match partition {
        Err(error) => response.error_code = error.code(),
        Ok(partition) => {
            let producers = partition.log().active_producers().into_iter().map(|(id, producer)| ProducerState {
                producer_id: id.value(),
                producer_epoch: producer.epoch.value().into(),
                last_sequence: producer.last_sequence().value(),
                last_timestamp: producer.last_timestamp.0,
                coordinator_epoch: producer.coordinator_epoch,
                current_txn_start_offset: producer.txn_first_offset.map_or(-1, |offset| offset.0),
                ..Default::default()
            });
            response.active_producers = producers.collect();
        }
    }
    response
}
