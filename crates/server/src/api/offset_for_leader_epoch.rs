//! OffsetForLeaderEpoch: where an epoch ended, so that a consumer sees whether its log was truncated (KIP-320).
use protocol::ErrorCode;
use protocol::offset_for_leader_epoch_request::{OffsetForLeaderEpochRequestView, OffsetForLeaderPartitionView};
use protocol::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use record::{LeaderEpoch, Offset};

use super::{Answer, Call, errors};

pub async fn handle(call: Call) -> Answer {
    let request: OffsetForLeaderEpochRequestView<'_> = call.request()?;
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let unknown = EpochEndOffset { partition: partition.partition, ..Default::default() };
            match find(&call, topic.topic, &partition) {
                Ok(Some((epoch, end))) => EpochEndOffset { leader_epoch: epoch.0, end_offset: end.0, ..unknown },
                Ok(None) => unknown,
                Err(error) => EpochEndOffset { error_code: error.code(), ..unknown },
            }
        });
        OffsetForLeaderTopicResult {
            topic: topic.topic.to_owned(),
            partitions: partitions.collect(),
            ..Default::default()
        }
    });
    call.reply(&OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() })
}

fn find(
    call: &Call,
    topic: &str,
    asked: &OffsetForLeaderPartitionView<'_>,
) -> Result<Option<(LeaderEpoch, Offset)>, ErrorCode> {
    let partition = call.broker.partition(topic, asked.partition)?;
    let current = Some(LeaderEpoch(asked.current_leader_epoch)).filter(|epoch| *epoch != LeaderEpoch::NONE);
    partition.end_offset_for_epoch(current, LeaderEpoch(asked.leader_epoch)).map_err(|error| errors::of_read(&error))
}
