//! DeleteRecords: moves the start of logs forward. Rules of `ReplicaManager.deleteRecords`; answered when it is durable.
use protocol::ErrorCode;
use protocol::delete_records_request::{DeleteRecordsPartitionView, DeleteRecordsRequestView};
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
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let deleted = delete(&call, topic.name, &partition).await;
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: partition.partition_index,
                low_watermark: deleted.map_or(-1, |log_start| log_start.0),
                error_code: deleted.err().unwrap_or(ErrorCode::None).code(),
                ..Default::default()
            });
        }
        topics.push(DeleteRecordsTopicResult { name: topic.name.to_owned(), partitions, ..Default::default() });
    }
    call.reply(&DeleteRecordsResponse { topics, ..Default::default() })
}

async fn delete(call: &Call, topic: &str, asked: &DeleteRecordsPartitionView<'_>) -> Result<Offset, ErrorCode> {
    let partition = call.broker.partition(topic, asked.partition_index)?;
    if metadata::is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let offset = match asked.offset {
        ALL => partition.ends(None).map_err(|error| errors::of_read(&error))?.high_watermark,
        0.. => Offset(asked.offset),
        _ => return Err(ErrorCode::OffsetOutOfRange),
    };
    partition.delete_records(offset).await.map_err(|error| match &error {
        DeleteRecordsError::Log(error) => errors::of_log_start(error),
        DeleteRecordsError::NotLeader => ErrorCode::NotLeaderOrFollower,
        DeleteRecordsError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
    })
}
