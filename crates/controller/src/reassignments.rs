//! AlterPartitionReassignments: which brokers have a replica of a partition. Checked by the rules and with the words of
//! Kafka's `ReplicationControlManager`; as nothing is copied between brokers yet, only what changes nothing is accepted.

use metadata::Partition;
use protocol::ErrorCode;
use protocol::alter_partition_reassignments_request::{AlterPartitionReassignmentsRequest, ReassignablePartition};
use protocol::alter_partition_reassignments_response::{
    AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
};

use crate::answer::ApiError;
use crate::machine::{Decision, Machine};
use crate::topics::check_assignment;

pub fn reassign_refused(
    request: &AlterPartitionReassignmentsRequest,
    code: ErrorCode,
) -> AlterPartitionReassignmentsResponse {
    let responses = request.topics.iter().map(|topic| {
        let refused = topic.partitions.iter().map(|wanted| response(wanted.partition_index, Err(code.into())));
        ReassignableTopicResponse { name: topic.name.clone(), partitions: refused.collect(), ..Default::default() }
    });
    AlterPartitionReassignmentsResponse {
        error_code: code.code(),
        error_message: None,
        responses: responses.collect(),
        ..Default::default()
    }
}

pub fn reassign(
    machine: &Machine,
    request: &AlterPartitionReassignmentsRequest,
) -> Decision<AlterPartitionReassignmentsResponse> {
    let may_change_factor = request.allow_replication_factor_change;
    let responses = request.topics.iter().map(|topic| ReassignableTopicResponse {
        name: topic.name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|wanted| response(wanted.partition_index, check(machine, &topic.name, wanted, may_change_factor)))
            .collect(),
        ..Default::default()
    });
    Decision::nothing(AlterPartitionReassignmentsResponse {
        // Kafka answers a request about nothing before it has looked at it.
        allow_replication_factor_change: may_change_factor || request.topics.is_empty(),
        error_message: request.topics.is_empty().then(String::new),
        responses: responses.collect(),
        ..Default::default()
    })
}

fn response(index: i32, outcome: Result<(), ApiError>) -> ReassignablePartitionResponse {
    let error = outcome.err();
    ReassignablePartitionResponse {
        partition_index: index,
        error_code: error.as_ref().map_or(ErrorCode::None, |error| error.code).code(),
        error_message: error.and_then(|error| error.message),
        ..Default::default()
    }
}

fn check(
    machine: &Machine,
    topic: &str,
    wanted: &ReassignablePartition,
    may_change_factor: bool,
) -> Result<(), ApiError> {
    let index = wanted.partition_index;
    let unknown = |text: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, text);
    let found = machine.image.topics.by_name(topic);
    let found = found.ok_or_else(|| unknown(format!("Unable to find a topic named {topic}.")))?;
    let partition = found.partitions.find(index);
    let partition = partition.ok_or_else(|| unknown(format!("Unable to find partition {topic}:{index}.")))?;
    match &wanted.replicas {
        None => Err(ErrorCode::NoReassignmentInProgress.into()),
        Some(replicas) => check_target(machine, partition, replicas, may_change_factor),
    }
}

fn check_target(
    machine: &Machine,
    partition: &Partition,
    replicas: &[i32],
    may_change_factor: bool,
) -> Result<(), ApiError> {
    check_assignment(machine, replicas, None)?;
    let present = partition.replicas.len();
    if !may_change_factor && replicas.len() != present {
        let text = format!("The replication factor is changed from {present} to {}", replicas.len());
        return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, text));
    }
    match partition.replicas.iter().map(|broker| broker.value()).eq(replicas.iter().copied()) {
        true => Ok(()),
        false => {
            let text = "Ottla does not move replicas between brokers yet.";
            Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, text))
        }
    }
}
