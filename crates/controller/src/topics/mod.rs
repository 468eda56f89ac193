//! Creating, growing and deleting topics, by the rules and with the words of Kafka's `ControllerApis` and
//! `ReplicationControlManager`.

mod create;
mod delete;
mod partitions;

use metadata::{Directories, Partition, Record, Replicas, directory_id};
use protocol::ErrorCode;
use record::{LeaderEpoch, TopicId};

pub use self::create::{auto_create, auto_create_refused, create, create_refused};
pub use self::delete::{delete, delete_by_name, delete_refused};
pub use self::partitions::{create_partitions, create_partitions_refused};
use crate::answer::ApiError;
use crate::machine::Machine;

/// A partition as it begins: led by the first of its replicas that can.
fn new_partition(machine: &Machine, replicas: Replicas) -> Option<Partition> {
    let brokers = &machine.image.brokers;
    let isr: Replicas = replicas.iter().copied().filter(|id| brokers.is_active(*id)).collect();
    let leader = *isr.first()?;
    let directories: Directories = replicas
        .iter()
        .map(|id| match brokers.find(*id).map(|broker| broker.directories.as_slice()) {
            Some([only]) => *only,
            _ => directory_id::UNASSIGNED, // The broker chooses among several.
        })
        .collect();
    Some(Partition {
        replicas,
        directories,
        isr,
        leader: Some(leader),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
    })
}

/// `validateManualPartitionAssignment`
pub fn check_assignment(machine: &Machine, brokers: &[i32], replication_factor: Option<usize>) -> Result<(), ApiError> {
    let refused = |text: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, text));
    if brokers.is_empty() {
        return refused("The manual partition assignment includes an empty replica list.".into());
    }
    let mut sorted = brokers.to_vec();
    sorted.sort_unstable();
    for (place, broker) in sorted.iter().enumerate() {
        if machine.image.brokers.find((*broker).into()).is_none() {
            return refused(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is registered."
            ));
        }
        if !machine.takes_replicas((*broker).into()) {
            return refused(format!(
                "The manual partition assignment includes broker {broker}, but all its log directories are cordoned."
            ));
        }
        if place > 0 && sorted[place - 1] == *broker {
            return refused(format!("The manual partition assignment includes the broker {broker} more than once."));
        }
    }
    match replication_factor.filter(|factor| *factor != brokers.len()) {
        None => Ok(()),
        Some(factor) => refused(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with \
             previous partitions, which have {factor} replica(s).",
            brokers.len()
        )),
    }
}

fn assigned(brokers: &[i32]) -> Replicas {
    brokers.iter().map(|id| (*id).into()).collect()
}

fn partition_record(topic: TopicId, index: usize, partition: Partition) -> Record {
    Record::Partition { topic, index: index as i32, partition }
}

pub fn check_topic_name(name: &str) -> Result<(), ApiError> {
    metadata::check_topic_name(name).map_err(|text| ApiError::new(ErrorCode::InvalidTopicException, text))
}

/// One decision may have only so many records (`BoundedListTooLongException`).
fn too_many_records() -> ApiError {
    ApiError::new(ErrorCode::PolicyViolation, "Unable to perform excessively large batch operation.")
}
