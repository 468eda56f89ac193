//! CreateTopics, and the creation of topics that are merely used.

use std::collections::{BTreeMap, BTreeSet};

use metadata::configs::{Layers, check_topic, create_topic_configs};
use metadata::{GROUP_METADATA_TOPIC, Overrides, Record, Replicas, Resource, TRANSACTION_STATE_TOPIC};
use protocol::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::create_topics_response::{CreatableTopicResult, CreateTopicsResponse};
use protocol::{ErrorCode, Uuid};

use super::{assigned, check_assignment, check_topic_name, new_partition, partition_record, too_many_records};
use crate::allowance::Allowance;
use crate::answer::ApiError;
use crate::machine::{Decision, Machine, RECORDS_PER_DECISION_MAX};
use crate::placement;

/// KRaft's own log; nobody makes a topic of its name.
const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

pub fn create_refused(request: &CreateTopicsRequest, code: ErrorCode) -> CreateTopicsResponse {
    refused(request, &code.into())
}

fn refused(request: &CreateTopicsRequest, error: &ApiError) -> CreateTopicsResponse {
    let topics = request.topics.iter().map(|topic| failed(&topic.name, error.clone())).collect();
    CreateTopicsResponse { topics, ..Default::default() }
}

fn failed(name: &str, error: ApiError) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.to_owned(),
        error_code: error.code.code(),
        error_message: error.message,
        // Kafka leaves the list as its message class makes it: there, and empty.
        configs: Some(Vec::new()),
        ..Default::default()
    }
}

pub fn create(
    machine: &Machine,
    request: &CreateTopicsRequest,
    allowance: &Allowance,
) -> Decision<CreateTopicsResponse> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    request.topics.iter().for_each(|topic| *times.entry(&topic.name).or_default() += 1);
    let is_allowed = |topic: &&CreatableTopic| times[&*topic.name] == 1 && topic.name != CLUSTER_METADATA_TOPIC;
    let allowed: Vec<&CreatableTopic> = request.topics.iter().filter(is_allowed).collect();

    let wanted = allowed.iter().map(|topic| wanted_partitions(machine, topic)).fold(0, usize::saturating_add);
    if wanted > RECORDS_PER_DECISION_MAX {
        let text = "Excessively large number of partitions per request.";
        return Decision::nothing(refused(request, &ApiError::new(ErrorCode::PolicyViolation, text)));
    }
    let mut records = Vec::new();
    let mut topics = Vec::new();
    for topic in allowed {
        let created = checked_configs(machine, topic).and_then(|configs| create_one(machine, topic, &configs));
        let created = created.and_then(|(new, result)| {
            allowance.take(result.num_partitions as usize)?;
            Ok((new, result))
        });
        topics.push(match created {
            Ok((mut new, result)) => {
                records.append(&mut new);
                result
            }
            Err(error) => failed(&topic.name, error),
        });
    }
    if records.len() > RECORDS_PER_DECISION_MAX {
        return Decision::nothing(refused(request, &too_many_records()));
    }
    for (name, _) in times.iter().filter(|(_, times)| **times > 1) {
        topics.push(failed(name, ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name.")));
    }
    if times.get(CLUSTER_METADATA_TOPIC) == Some(&1) {
        let text = format!("Creation of internal topic {CLUSTER_METADATA_TOPIC} is prohibited.");
        topics.push(failed(CLUSTER_METADATA_TOPIC, ApiError::new(ErrorCode::InvalidRequest, text)));
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, answer: CreateTopicsResponse { topics, ..Default::default() } }
}

/// Bounds the work before it is begun (`validateTotalNumberOfPartitions`).
fn wanted_partitions(machine: &Machine, topic: &CreatableTopic) -> usize {
    match (topic.assignments.len(), topic.num_partitions) {
        (0, -1) => machine.options.defaults.partitions.max(0) as usize,
        (0, count) => count.max(0) as usize,
        (assignments, _) => assignments,
    }
}

/// Everything about a topic that is not its partitions.
fn checked_configs(machine: &Machine, topic: &CreatableTopic) -> Result<Overrides, ApiError> {
    let image = &machine.image;
    if image.topics.by_name(&topic.name).is_some() {
        let text = format!("Topic '{}' already exists.", topic.name);
        return Err(ApiError::new(ErrorCode::TopicAlreadyExists, text));
    }
    // A collision is the last word about a name, as it is in Kafka.
    let colliding = image.topics.colliding_with(&topic.name).map(|other| {
        let text = format!("Topic '{}' collides with existing topic: {other}", topic.name);
        ApiError::new(ErrorCode::InvalidTopicException, text)
    });
    colliding.map_or(Ok(()), Err)?;
    check_topic_name(&topic.name)?;
    let unset: Vec<&str> = topic.configs.iter().filter(|config| config.value.is_none()).map(|c| &*c.name).collect();
    if !unset.is_empty() {
        let text = format!("Null value not supported for topic configs: {}", unset.join(","));
        return Err(ApiError::new(ErrorCode::InvalidConfig, text));
    }
    let configs: Overrides =
        topic.configs.iter().filter_map(|config| Some((config.name.clone(), config.value.clone()?))).collect();
    if !configs.is_empty() {
        let checked = check_topic(&configs, &machine.options.broker_configs);
        checked.map_err(|error| ApiError::new(ErrorCode::InvalidConfig, error.0))?;
    }
    Ok(configs)
}

fn create_one(
    machine: &Machine,
    topic: &CreatableTopic,
    configs: &Overrides,
) -> Result<(Vec<Record>, CreatableTopicResult), ApiError> {
    let id = machine.new_topic_id();
    let mut records = vec![Record::Topic { id, name: topic.name.as_str().into() }];
    let resource = Resource::topic(&topic.name);
    records.extend(configs.iter().map(|(name, value)| Record::Config {
        resource: resource.clone(),
        name: name.to_owned(),
        value: Some(value.to_owned()),
    }));
    let replicas = match topic.assignments.is_empty() {
        true => placed(machine, topic)?,
        false => manual(machine, topic)?,
    };
    let (partitions, factor) = (replicas.len(), replicas[0].len());
    for (index, replicas) in replicas.into_iter().enumerate() {
        let partition = new_partition(machine, replicas).ok_or_else(|| unavailable(topic, index, factor))?;
        records.push(partition_record(id, index, partition));
    }
    let layers = Layers { topic: Some(configs), ..machine.layers(&topic.name) };
    let result = CreatableTopicResult {
        name: topic.name.clone(),
        topic_id: Uuid(id.0),
        error_message: None,
        num_partitions: partitions as i32,
        replication_factor: factor as i16,
        configs: Some(create_topic_configs(&layers)),
        ..Default::default()
    };
    Ok((records, result))
}

/// Replicas as the request names them.
fn manual(machine: &Machine, topic: &CreatableTopic) -> Result<Vec<Replicas>, ApiError> {
    let invalid = |text: &str| Err(ApiError::new(ErrorCode::InvalidRequest, text));
    if topic.replication_factor != -1 {
        return invalid("A manual partition assignment was specified, but replication factor was not set to -1.");
    }
    if topic.num_partitions != -1 {
        return invalid("A manual partition assignment was specified, but numPartitions was not set to -1.");
    }
    let refused = |text: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, text));
    let mut seen = BTreeSet::new();
    let mut factor = None;
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        if !seen.insert(index) {
            return refused(format!("Found multiple manual partition assignments for partition {index}"));
        }
        check_assignment(machine, &assignment.broker_ids, factor)?;
        factor = Some(assignment.broker_ids.len());
        if !assignment.broker_ids.iter().any(|id| machine.image.brokers.is_active((*id).into())) {
            return Err(unavailable(topic, index as usize, assignment.broker_ids.len()));
        }
    }
    if !(0..).zip(&seen).all(|(expected, index)| expected == *index) {
        return refused("partitions should be a consecutive 0-based integer sequence".into());
    }
    let mut sorted: Vec<_> = topic.assignments.iter().collect();
    sorted.sort_unstable_by_key(|assignment| assignment.partition_index);
    Ok(sorted.into_iter().map(|assignment| assigned(&assignment.broker_ids)).collect())
}

/// Replicas as the controller places them.
fn placed(machine: &Machine, topic: &CreatableTopic) -> Result<Vec<Replicas>, ApiError> {
    if topic.replication_factor < -1 || topic.replication_factor == 0 {
        return Err(ApiError::new(
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ));
    }
    if topic.num_partitions < -1 || topic.num_partitions == 0 {
        return Err(ApiError::new(
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ));
    }
    let defaults = &machine.options.defaults;
    let or_default = |value: i32, default: i32| if value == -1 { default } else { value };
    let partitions = or_default(topic.num_partitions, defaults.partitions);
    let factor = or_default(topic.replication_factor.into(), defaults.replication_factor.into()) as i16;
    placement::place(machine, partitions.max(1) as usize, factor).map_err(|error| {
        let why = error.message.unwrap_or_default();
        ApiError::new(error.code, format!("Unable to replicate the partition {factor} time(s): {why}"))
    })
}

/// None of the replicas can lead.
fn unavailable(topic: &CreatableTopic, index: usize, factor: usize) -> ApiError {
    match topic.assignments.is_empty() {
        true => ApiError::new(
            ErrorCode::InvalidReplicationFactor,
            format!(
                "Unable to replicate the partition {factor} time(s): All brokers are currently fenced or in controlled \
                 shutdown."
            ),
        ),
        false => ApiError::new(
            ErrorCode::InvalidReplicaAssignment,
            format!(
                "All brokers specified in the manual partition assignment for partition {index} are fenced or in \
                 controlled shutdown."
            ),
        ),
    }
}

// Topics that are used before they are made.

pub fn auto_create(machine: &Machine, names: &[String]) -> Decision<CreateTopicsResponse> {
    let topics = names.iter().map(|name| wanted_topic(machine, name)).collect();
    create(machine, &CreateTopicsRequest { topics, ..Default::default() }, &Allowance::default())
}

pub fn auto_create_refused(names: &[String], code: ErrorCode) -> CreateTopicsResponse {
    let topics = names.iter().map(|name| failed(name, code.into())).collect();
    CreateTopicsResponse { topics, ..Default::default() }
}

/// `DefaultAutoTopicCreationManager.creatableTopic`
fn wanted_topic(machine: &Machine, name: &str) -> CreatableTopic {
    let internal = &machine.options.internal_topics;
    let topic = |partitions: i32, factor: i16, configs: &[(&str, String)]| CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: factor,
        configs: configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig {
                name: (*name).to_owned(),
                value: Some(value.clone()),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    match name {
        GROUP_METADATA_TOPIC => topic(
            internal.offsets_partitions,
            internal.offsets_replication_factor,
            &[
                ("cleanup.policy", "compact".into()),
                ("compression.type", "producer".into()),
                ("segment.bytes", internal.offsets_segment_bytes.to_string()),
            ],
        ),
        TRANSACTION_STATE_TOPIC => topic(
            internal.transactions_partitions,
            internal.transactions_replication_factor,
            &[
                ("cleanup.policy", "compact".into()),
                ("compression.type", "uncompressed".into()),
                ("min.insync.replicas", internal.transactions_min_isr.to_string()),
                ("segment.bytes", internal.transactions_segment_bytes.to_string()),
                ("unclean.leader.election.enable", "false".into()),
            ],
        ),
        _ => topic(-1, -1, &[]),
    }
}
