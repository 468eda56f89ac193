//! ElectLeaders: a partition's preferred leader leads again, or any of its replicas leads at last. Rules and words of
//! Kafka's `ReplicationControlManager.electLeaders`.

use metadata::{Partition, Record, Replicas};
use protocol::ErrorCode;
use protocol::elect_leaders_request::ElectLeadersRequest;
use protocol::elect_leaders_response::{ElectLeadersResponse, PartitionResult, ReplicaElectionResult};
use record::{BrokerId, LeaderEpoch, TopicId};

use crate::answer::ApiError;
use crate::machine::{Decision, Machine, RECORDS_PER_DECISION_MAX};

/// Kafka's `ElectionType`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Election {
    Preferred,
    /// Of a partition that has no leader, also by a replica that may lack records.
    Unclean,
}

pub fn elect_refused(request: &ElectLeadersRequest, code: ErrorCode) -> ElectLeadersResponse {
    refused(request, &code.into())
}

/// The same of the whole and of each partition that was named.
fn refused(request: &ElectLeadersRequest, error: &ApiError) -> ElectLeadersResponse {
    let named = request.topic_partitions.iter().flatten().map(|topic| ReplicaElectionResult {
        topic: topic.topic.clone(),
        partition_result: topic.partitions.iter().map(|index| result(*index, Some(error.clone()))).collect(),
        ..Default::default()
    });
    ElectLeadersResponse {
        error_code: error.code.code(),
        replica_election_results: named.collect(),
        ..Default::default()
    }
}

fn result(index: i32, error: Option<ApiError>) -> PartitionResult {
    PartitionResult {
        partition_id: index,
        error_code: error.as_ref().map_or(ErrorCode::None, |error| error.code).code(),
        error_message: error.and_then(|error| error.message),
        ..Default::default()
    }
}

pub fn elect(machine: &Machine, request: &ElectLeadersRequest) -> Decision<ElectLeadersResponse> {
    if matches!(&request.topic_partitions, Some(topics) if topics.is_empty()) {
        return Decision::nothing(ElectLeadersResponse::default()); // Kafka does not even look what kind it is.
    }
    let election = match request.election_type {
        0 => Election::Preferred,
        1 => Election::Unclean,
        other => {
            let error = ApiError::new(ErrorCode::InvalidRequest, format!("Unknown election type {other}"));
            return Decision::nothing(refused(request, &error));
        }
    };
    let mut records = Vec::new();
    let results = match &request.topic_partitions {
        Some(topics) => topics
            .iter()
            .map(|topic| ReplicaElectionResult {
                topic: topic.topic.clone(),
                partition_result: topic
                    .partitions
                    .iter()
                    .map(|index| {
                        let elected = elect_named(machine, election, &topic.topic, *index);
                        let elected = elected.and_then(|record| bounded(&mut records, record));
                        result(*index, elected.err())
                    })
                    .collect(),
                ..Default::default()
            })
            .collect(),
        None => elect_everywhere(machine, election, &mut records),
    };
    let answer = ElectLeadersResponse { replica_election_results: results, ..Default::default() };
    Decision { records, answer }
}

/// Of all partitions those are told of that needed an election; of the others only the topics.
fn elect_everywhere(machine: &Machine, election: Election, records: &mut Vec<Record>) -> Vec<ReplicaElectionResult> {
    let elect_topic = |topic: &std::sync::Arc<metadata::Topic>| {
        let partitions = topic.partitions.iter().filter_map(|(index, partition)| {
            let elected = elect_one(machine, election, topic.id, index, partition);
            if matches!(&elected, Err(error) if error.code == ErrorCode::ElectionNotNeeded) {
                return None;
            }
            Some(result(index, elected.and_then(|record| bounded(records, record)).err()))
        });
        ReplicaElectionResult {
            topic: topic.name.to_string(),
            partition_result: partitions.collect(),
            ..Default::default()
        }
    };
    machine.image.topics.iter().map(elect_topic).collect()
}

fn bounded(records: &mut Vec<Record>, record: Record) -> Result<(), ApiError> {
    if records.len() == RECORDS_PER_DECISION_MAX {
        return Err(ErrorCode::PolicyViolation.into());
    }
    records.push(record);
    Ok(())
}

fn elect_named(machine: &Machine, election: Election, name: &str, index: i32) -> Result<Record, ApiError> {
    let unknown = |text: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, text);
    let topic = machine.image.topics.by_name(name).ok_or_else(|| unknown(format!("No such topic as {name}")))?;
    let partition = topic.partitions.find(index);
    let partition = partition.ok_or_else(|| unknown(format!("No such partition as {name}-{index}")))?;
    elect_one(machine, election, topic.id, index, partition)
}

fn elect_one(
    machine: &Machine,
    election: Election,
    topic: TopicId,
    index: i32,
    partition: &Partition,
) -> Result<Record, ApiError> {
    let not_needed = match election {
        Election::Preferred => partition.leader.is_some() && partition.leader == partition.replicas.first().copied(),
        Election::Unclean => partition.leader.is_some(),
    };
    if not_needed {
        return Err(ApiError::new(ErrorCode::ElectionNotNeeded, "Leader election not needed for topic partition."));
    }
    let is_active = |id: &BrokerId| {
        let broker = machine.image.brokers.find(*id).filter(|broker| !broker.fenced);
        broker.is_some_and(|broker| partition.directory_of(*id).is_some_and(|directory| broker.has_online(directory)))
    };
    let is_in_sync = |broker: &BrokerId| partition.isr.contains(broker);
    let mut in_sync = partition.replicas.iter().copied().filter(|broker| is_active(broker) && is_in_sync(broker));
    let new_leader = match election {
        Election::Preferred => in_sync.find(|broker| Some(broker) == partition.replicas.first()).ok_or_else(|| {
            ApiError::new(ErrorCode::PreferredLeaderNotAvailable, "The preferred leader was not available.")
        }),
        Election::Unclean => {
            in_sync.next().or_else(|| partition.replicas.iter().copied().find(is_active)).ok_or_else(|| {
                ApiError::new(
                    ErrorCode::EligibleLeadersNotAvailable,
                    "Eligible topic partition leaders are not available.",
                )
            })
        }
    }?;
    let isr = match partition.isr.contains(&new_leader) {
        true => partition.isr.clone(),
        // It may lack what the others have: from now on they follow it.
        false => Replicas::from_slice(&[new_leader]),
    };
    let partition = Partition {
        leader: Some(new_leader),
        isr,
        leader_epoch: LeaderEpoch(partition.leader_epoch.value().saturating_add(1)),
        partition_epoch: partition.partition_epoch.saturating_add(1),
        ..partition.clone()
    };
    Ok(Record::Partition { topic, index, partition })
}

#[cfg(test)]
mod tests;
