//! DeleteRecords: moves the start of logs forward. Rules of `ReplicaManager.deleteRecords`; answered when it is durable.
use std::collections::BTreeMap;

use protocol::ErrorCode;
use protocol::delete_records_request::DeleteRecordsRequestView;
use protocol::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use record::Offset;
use replication::partition::DeleteRecordsError;

use super::{Answer, Call, errors};

/// Up to the high watermark.
const ALL: i64 = -1;

pub async fn handle(call: Call) -> Answer {
    let request: DeleteRecordsRequestView<'_> = call.request()?;
    // Of a partition that is named twice the last offset counts, as in Kafka's map.
    let mut wanted: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
    for topic in request.topics {
        for partition in topic.partitions {
            wanted.entry(topic.name).or_default().insert(partition.partition_index, partition.offset);
        }
    }
    let mut topics = Vec::with_capacity(wanted.len());
    for (name, offsets) in wanted {
        let mut partitions = Vec::with_capacity(offsets.len());
        for (index, offset) in offsets {
            let deleted = delete(&call, name, index, offset).await;
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: index,
                low_watermark: deleted.map_or(-1, |log_start| log_start.0),
                error_code: deleted.err().unwrap_or(ErrorCode::None).code(),
                ..Default::default()
            });
        }
        topics.push(DeleteRecordsTopicResult { name: name.to_owned(), partitions, ..Default::default() });
    }
    call.reply(&DeleteRecordsResponse { topics, ..Default::default() })
}

/// What nobody is to delete: each key is to stay until it is overwritten.
fn is_only_compacted(call: &Call, topic: &str) -> bool {
    let broker = &call.broker;
    let configs = broker.replicas.broker_configs();
    let cleanup = broker.image().topic_config(topic, broker.node_id, configs).cleanup;
    cleanup.compact && !cleanup.delete
}

async fn delete(call: &Call, topic: &str, index: i32, offset: i64) -> Result<Offset, ErrorCode> {
    let partition = call.broker.partition(topic, index)?;
    if metadata::is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    if is_only_compacted(call, topic) {
        return Err(ErrorCode::PolicyViolation);
    }
    let offset = match offset {
        ALL => partition.ends(None).map_err(|error| errors::of_read(&error))?.high_watermark,
        0.. => Offset(offset),
        _ => return Err(ErrorCode::OffsetOutOfRange),
    };
    partition.delete_records(offset).await.map_err(|error| match &error {
        DeleteRecordsError::Log(error) => errors::of_log_start(error),
        DeleteRecordsError::NotLeader => ErrorCode::NotLeaderOrFollower,
        DeleteRecordsError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
    })
}
