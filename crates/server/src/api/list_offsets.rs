//! ListOffsets: where a partition begins and ends, and which record came first after a time. Rules of Kafka's
//! `ReplicaManager.fetchOffset` and `Partition.fetchOffsetForTimestamp`.
use std::collections::{BTreeMap, BTreeSet};

use protocol::ErrorCode;
use protocol::list_offsets_request::{ListOffsetsPartitionView, ListOffsetsRequestView};
use protocol::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse};
use record::{LeaderEpoch, Offset, Timestamp};
use replication::partition::{Partition, Visibility};
use storage::TimestampOffset;

use super::{Answer, Call, errors};

/// Kafka's special timestamps, and the version from which on each may be asked for.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
const SINCE: [(i64, i16); 6] = [
    (LATEST, 1),
    (EARLIEST, 1),
    (MAX_TIMESTAMP, 7),
    (EARLIEST_LOCAL, 8),
    (LATEST_TIERED, 9),
    (EARLIEST_PENDING_UPLOAD, 11),
];
const CONSUMER_REPLICA_ID: i32 = -1;

pub async fn handle(call: Call) -> Answer {
    let request: ListOffsetsRequestView<'_> = call.request()?;
    let visibility = match (request.replica_id, request.isolation_level) {
        (CONSUMER_REPLICA_ID, 1) => Visibility::Committed,
        (CONSUMER_REPLICA_ID, _) => Visibility::Uncommitted,
        _ => Visibility::Debugging,
    };
    let asked = count(&request);
    let mut answered = BTreeSet::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            if !answered.insert((topic.name, partition.partition_index)) {
                continue;
            }
            let found = match asked[&(topic.name, partition.partition_index)] {
                1 => find(&call, topic.name, &partition, visibility).await,
                _ => Err(ErrorCode::InvalidRequest),
            };
            partitions.push(respond(call.version, partition.partition_index, found));
        }
        if partitions.is_empty() {
            continue;
        }
        topics.push(ListOffsetsTopicResponse { name: topic.name.to_owned(), partitions, ..Default::default() });
    }
    call.reply(&ListOffsetsResponse { topics, ..Default::default() })
}

/// How often each partition is asked for: more than once is an error (`ListOffsetsRequest.duplicatePartitions`).
fn count<'r>(request: &ListOffsetsRequestView<'r>) -> BTreeMap<(&'r str, i32), u32> {
    let mut asked = BTreeMap::new();
    for topic in request.topics {
        for partition in topic.partitions {
            *asked.entry((topic.name, partition.partition_index)).or_default() += 1;
        }
    }
    asked
}

async fn find(
    call: &Call,
    topic: &str,
    asked: &ListOffsetsPartitionView<'_>,
    visibility: Visibility,
) -> Result<Option<TimestampOffset>, ErrorCode> {
    let timestamp = asked.timestamp;
    if timestamp < 0 && !SINCE.iter().any(|&(special, since)| special == timestamp && call.version >= since) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let partition = call.broker.partition(topic, asked.partition_index)?;
    let epoch = Some(LeaderEpoch(asked.current_leader_epoch)).filter(|epoch| *epoch != LeaderEpoch::NONE);
    let ends = partition.ends(epoch).map_err(|error| errors::of_read(&error))?;
    let up_to = partition.visible_end(&ends, visibility).map_err(|error| errors::of_read(&error))?;
    let at = |offset: Offset, leader_epoch| TimestampOffset { timestamp: Timestamp::NONE, offset, leader_epoch };
    Ok(match timestamp {
        LATEST => Some(at(up_to, ends.epoch)),
        EARLIEST | EARLIEST_LOCAL => {
            let epoch = partition.log().epoch_at(ends.log_start).unwrap_or(LeaderEpoch::NONE);
            Some(at(ends.log_start, epoch))
        }
        // Without tiering nothing is tiered, and nothing waits to be.
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => None,
        MAX_TIMESTAMP => by_time(partition.offset_of_max_timestamp(up_to).await, &partition)?,
        _ => by_time(partition.offset_for_timestamp(Timestamp(timestamp), up_to).await, &partition)?,
    })
}

fn by_time(
    found: Result<Option<TimestampOffset>, replication::partition::ReadError>,
    partition: &Partition,
) -> Result<Option<TimestampOffset>, ErrorCode> {
    found.map_err(|error| {
        tracing::warn!(partition = %partition.name(), ?error, "no offset could be found by time");
        errors::of_read(&error)
    })
}

fn respond(
    version: i16,
    index: i32,
    found: Result<Option<TimestampOffset>, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let nothing = ListOffsetsPartitionResponse { partition_index: index, ..Default::default() };
    match found {
        Ok(Some(found)) => ListOffsetsPartitionResponse {
            timestamp: found.timestamp.0,
            offset: found.offset.0,
            leader_epoch: if version >= 4 { found.leader_epoch.0 } else { LeaderEpoch::NONE.0 },
            ..nothing
        },
        Ok(None) => nothing,
        Err(error) => ListOffsetsPartitionResponse { error_code: error.code(), ..nothing },
    }
}
