//! CreatePartitions: a topic grows, never shrinks.

use std::collections::BTreeMap;

use metadata::Record;
use protocol::ErrorCode;
use protocol::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use protocol::create_partitions_response::{CreatePartitionsResponse, CreatePartitionsTopicResult};

use super::{assigned, check_assignment, new_partition, partition_record};
use crate::allowance::Allowance;
use crate::answer::ApiError;
use crate::machine::{Decision, Machine, RECORDS_PER_DECISION_MAX};
use crate::placement;

pub fn create_partitions_refused(request: &CreatePartitionsRequest, code: ErrorCode) -> CreatePartitionsResponse {
    refused(request, &code.into())
}

fn refused(request: &CreatePartitionsRequest, error: &ApiError) -> CreatePartitionsResponse {
    let results = request.topics.iter().map(|topic| result(&topic.name, Err(error.clone()))).collect();
    CreatePartitionsResponse { results, ..Default::default() }
}

fn result(name: &str, outcome: Result<(), ApiError>) -> CreatePartitionsTopicResult {
    let error = outcome.err();
    CreatePartitionsTopicResult {
        name: name.to_owned(),
        error_code: error.as_ref().map_or(ErrorCode::None, |error| error.code).code(),
        error_message: error.and_then(|error| error.message),
        ..Default::default()
    }
}

pub fn create_partitions(
    machine: &Machine,
    request: &CreatePartitionsRequest,
    allowance: &Allowance,
) -> Decision<CreatePartitionsResponse> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    request.topics.iter().for_each(|topic| *times.entry(&topic.name).or_default() += 1);
    let mut results: Vec<CreatePartitionsTopicResult> = times
        .iter()
        .filter(|(_, times)| **times > 1)
        .map(|(name, _)| result(name, Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name."))))
        .collect();

    let single = || request.topics.iter().filter(|topic| times[&*topic.name] == 1);
    let added: usize = single().map(|topic| added_partitions(machine, topic)).fold(0, usize::saturating_add);
    if added > RECORDS_PER_DECISION_MAX {
        let text = "Excessively large number of additional partitions per request.";
        return Decision::nothing(refused(request, &ApiError::new(ErrorCode::PolicyViolation, text)));
    }
    let mut records = Vec::new();
    for topic in single() {
        let outcome = grow(machine, topic).and_then(|mut grown| {
            allowance.take(grown.len())?;
            records.append(&mut grown);
            Ok(())
        });
        results.push(result(&topic.name, outcome));
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, answer: CreatePartitionsResponse { results, ..Default::default() } }
}

/// What a valid request would add: bounds the work before it is begun.
fn added_partitions(machine: &Machine, topic: &CreatePartitionsTopic) -> usize {
    let Some(present) = machine.image.topics.by_name(&topic.name) else { return 0 };
    usize::try_from(topic.count).unwrap_or(0).saturating_sub(present.partitions.len())
}

fn grow(machine: &Machine, request: &CreatePartitionsTopic) -> Result<Vec<Record>, ApiError> {
    let topic = machine.image.topics.by_name(&request.name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let present = topic.partitions.len();
    let invalid = |text: String| Err(ApiError::new(ErrorCode::InvalidPartitions, text));
    let additional = match i64::from(request.count) - present as i64 {
        0 => return invalid(format!("Topic already has {present} partition(s).")),
        less if less < 0 => {
            return invalid(format!(
                "The topic {} currently has {present} partition(s); {} would not be an increase.",
                request.name, request.count
            ));
        }
        more => more as usize,
    };
    let factor = topic.partitions.iter().next().map_or(1, |(_, first)| first.replicas.len());
    let replicas = match &request.assignments {
        Some(assignments) if assignments.len() != additional => {
            let text = format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            );
            return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, text));
        }
        Some(assignments) => {
            let check = |brokers: &Vec<i32>| check_assignment(machine, brokers, Some(factor));
            assignments.iter().try_for_each(|assignment| check(&assignment.broker_ids))?;
            assignments.iter().map(|assignment| assigned(&assignment.broker_ids)).collect()
        }
        None => placement::place(machine, additional, factor as i16)?,
    };
    let is_manual = request.assignments.is_some();
    let record = |(index, replicas)| {
        let partition = new_partition(machine, replicas).ok_or_else(|| match is_manual {
            true => ApiError::new(
                ErrorCode::InvalidReplicaAssignment,
                format!(
                    "All brokers specified in the manual partition assignment for partition {index} are fenced or in \
                     controlled shutdown."
                ),
            ),
            false => ApiError::new(
                ErrorCode::InvalidReplicationFactor,
                format!(
                    "Unable to replicate the partition {factor} time(s): All brokers are currently fenced or in \
                     controlled shutdown."
                ),
            ),
        })?;
        Ok(partition_record(topic.id, index, partition))
    };
    (present..).zip(replicas).map(record).collect()
}
