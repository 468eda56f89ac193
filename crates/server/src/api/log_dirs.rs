//! DescribeLogDirs and AlterReplicaLogDirs: what lies where on this broker. Rules of Kafka's `ReplicaManager`. A replica
//! moves between directories once a node has several; until then each is where it can be.
use std::collections::{BTreeMap, BTreeSet};

use protocol::ErrorCode;
use protocol::alter_replica_log_dirs_request::AlterReplicaLogDirsRequestView;
use protocol::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsResponse,
};
use protocol::describe_log_dirs_request::DescribeLogDirsRequestView;
use protocol::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use record::TopicPartition;
use replication::moving::MoveError;
use storage::ConfiguredDir;

use super::{Answer, Call};

/// The file name of a replica on its way to another directory must fit into 255 bytes: `topic-partition.id-future`, with
/// an id of 32 letters (`UnifiedLog.logFutureDirName`).
const FILE_NAME_BYTES_MAX: usize = 255;
const FUTURE_BYTES: usize = "-.-future".len() + 32;

pub async fn describe(call: Call) -> Answer {
    let request: DescribeLogDirsRequestView<'_> = call.request()?;
    // None means all, and an empty list means none.
    let wanted: Option<BTreeSet<(&str, i32)>> = request.topics.map(|topics| {
        topics.iter().flat_map(|topic| topic.partitions.iter().map(move |index| (topic.topic, index))).collect()
    });
    let directories = call.broker.replicas.directories().all();
    let results = directories.iter().map(|directory| describe_one(&call, directory, wanted.as_ref())).collect();
    call.reply(&DescribeLogDirsResponse { results, ..Default::default() })
}

fn describe_one(
    call: &Call,
    configured: &ConfiguredDir,
    wanted: Option<&BTreeSet<(&str, i32)>>,
) -> DescribeLogDirsResult {
    let log_dir = configured.path().display().to_string();
    let is_cordoned = call.broker.replicas.placement().is_cordoned(configured.path());
    let space = call.broker.env.disk.space(configured.path());
    let (Ok(space), Some(directory)) = (space, configured.online()) else {
        return DescribeLogDirsResult {
            error_code: ErrorCode::KafkaStorageError.code(),
            log_dir,
            is_cordoned,
            ..Default::default()
        };
    };
    let mut topics: BTreeMap<String, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for log in directory.logs() {
        let name = log.name();
        if wanted.is_none_or(|wanted| wanted.contains(&(&*name.topic, name.partition))) {
            let partition = call.broker.replicas.partition(&name.topic, name.partition);
            let future_lag = partition.and_then(|partition| partition.future_lag(&log));
            topics.entry(name.topic.to_string()).or_default().push(DescribeLogDirsPartition {
                partition_index: name.partition,
                partition_size: i64::try_from(log.size_bytes()).unwrap_or(i64::MAX),
                offset_lag: future_lag.unwrap_or(0),
                is_future_key: future_lag.is_some(),
                ..Default::default()
            });
        }
    }
    let topics = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic { name, partitions, ..Default::default() }
    });
    DescribeLogDirsResult {
        log_dir,
        is_cordoned,
        topics: topics.collect(),
        total_bytes: i64::try_from(space.total_bytes).unwrap_or(i64::MAX),
        usable_bytes: i64::try_from(space.free_bytes).unwrap_or(i64::MAX),
        ..Default::default()
    }
}

pub async fn alter_replicas(call: Call) -> Answer {
    let request: AlterReplicaLogDirsRequestView<'_> = call.request()?;
    // Of a partition that is named twice the last directory counts.
    let mut wanted: BTreeMap<&str, BTreeMap<i32, &str>> = BTreeMap::new();
    for directory in request.dirs {
        for topic in directory.topics.iter() {
            for index in topic.partitions.iter() {
                wanted.entry(topic.name).or_default().insert(index, directory.path);
            }
        }
    }
    let results = wanted.into_iter().map(|(topic, partitions)| AlterReplicaLogDirTopicResult {
        topic_name: topic.to_owned(),
        partitions: partitions
            .into_iter()
            .map(|(index, path)| AlterReplicaLogDirPartitionResult {
                partition_index: index,
                error_code: move_to(&call, topic, index, path).err().unwrap_or(ErrorCode::None).code(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    call.reply(&AlterReplicaLogDirsResponse { results: results.collect(), ..Default::default() })
}

fn move_to(call: &Call, topic: &str, index: i32, path: &str) -> Result<(), ErrorCode> {
    if topic.len() + index.to_string().len() + FUTURE_BYTES > FILE_NAME_BYTES_MAX {
        return Err(ErrorCode::InvalidTopicException);
    }
    let broker = &call.broker;
    let wanted = broker.replicas.directories().find(path).ok_or(ErrorCode::LogDirNotFound)?;
    if broker.replicas.placement().is_cordoned(wanted.path()) {
        return Err(ErrorCode::InvalidReplicaAssignment);
    }
    let wanted = wanted.online().ok_or(ErrorCode::KafkaStorageError)?;
    let partition = match broker.partition(topic, index) {
        // Kafka keeps the old code of a replica that is not here, for this request alone.
        Err(ErrorCode::NotLeaderOrFollower) => return Err(ErrorCode::ReplicaNotAvailable),
        Err(ErrorCode::UnknownTopicOrPartition) => {
            // Where it is to be made, should it be made.
            broker.replicas.placement().prefer(TopicPartition::new(topic, index), wanted);
            return Err(ErrorCode::UnknownTopicOrPartition);
        }
        partition => partition?,
    };
    broker.replicas.move_replica(&partition, wanted).map_err(|error| match error {
        MoveError::Busy | MoveError::Offline => ErrorCode::KafkaStorageError,
    })
}
