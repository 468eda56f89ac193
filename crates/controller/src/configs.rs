//! AlterConfigs and IncrementalAlterConfigs, by the rules of Kafka's `ConfigAdminManager` and
//! `ConfigurationControlManager`. One resource is altered whole or not at all; resources do not hinder each other.

use std::collections::{BTreeMap, BTreeSet};

use metadata::configs::{Kind, check_client_metrics, check_group, check_topic, key};
use metadata::{Overrides, Record, Resource};
use protocol::alter_configs_request::AlterConfigsRequest;
use protocol::alter_configs_response::{AlterConfigsResourceResponse as Altered, AlterConfigsResponse};
use protocol::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::incremental_alter_configs_response::{
    AlterConfigsResourceResponse as IncrementallyAltered, IncrementalAlterConfigsResponse,
};
use protocol::{ErrorCode, HashOrder};

use crate::answer::ApiError;
use crate::machine::{Decision, Machine, RECORDS_PER_DECISION_MAX};
use crate::topics::check_topic_name;

/// Kafka's `AlterConfigOp.OpType`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    Set,
    Delete,
    Append,
    Subtract,
}

impl Operation {
    fn of(code: i8) -> Option<Operation> {
        [Operation::Set, Operation::Delete, Operation::Append, Operation::Subtract]
            .get(usize::try_from(code).ok()?)
            .copied()
    }

    fn name(self) -> &'static str {
        match self {
            Operation::Set => "SET",
            Operation::Delete => "DELETE",
            Operation::Append => "APPEND",
            Operation::Subtract => "SUBTRACT",
        }
    }
}

// The incremental one.

pub fn alter_incrementally_refused(
    request: &IncrementalAlterConfigsRequest,
    code: ErrorCode,
) -> IncrementalAlterConfigsResponse {
    let responses = request
        .resources
        .iter()
        .map(|resource| incrementally_altered(resource.resource_type, &resource.resource_name, Err(code.into())));
    IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }
}

fn incrementally_altered(resource_type: i8, name: &str, outcome: Result<(), ApiError>) -> IncrementallyAltered {
    let (error_code, error_message) = parts(outcome);
    IncrementallyAltered {
        error_code,
        error_message,
        resource_type,
        resource_name: name.to_owned(),
        ..Default::default()
    }
}

fn parts(outcome: Result<(), ApiError>) -> (i16, Option<String>) {
    match outcome {
        Ok(()) => (ErrorCode::None.code(), None),
        Err(error) => (error.code.code(), error.message),
    }
}

pub fn alter_incrementally(
    machine: &Machine,
    request: &IncrementalAlterConfigsRequest,
) -> Decision<IncrementalAlterConfigsResponse> {
    let repeated = repeated(request.resources.iter().map(|r| (r.resource_type, &*r.resource_name)));
    let mut records = Vec::new();
    let mut responses = Vec::new();
    for wanted in &request.resources {
        let outcome = match repeated.contains(&(wanted.resource_type, &*wanted.resource_name)) {
            true => Err(duplicate_resource()),
            false => alter_one_incrementally(machine, wanted),
        };
        let outcome = outcome.and_then(|new| bounded(&mut records, new));
        responses.push(incrementally_altered(wanted.resource_type, &wanted.resource_name, outcome));
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, answer: IncrementalAlterConfigsResponse { responses, ..Default::default() } }
}

fn alter_one_incrementally(machine: &Machine, wanted: &AlterConfigsResource) -> Result<Vec<Record>, ApiError> {
    let invalid = |text: String| Err(ApiError::new(ErrorCode::InvalidRequest, text));
    check_names_once(wanted.configs.iter().map(|config| &*config.name))?;
    let without_value =
        |config: &&AlterableConfig| config.value.is_none() && config.config_operation != Operation::Delete as i8;
    let nulls: Vec<&str> = wanted.configs.iter().filter(without_value).map(|config| &*config.name).collect();
    if !nulls.is_empty() {
        return invalid(format!("Null value not supported for : {}", nulls.join(", ")));
    }
    let resource = resource_of(machine, wanted.resource_type, &wanted.resource_name)?;
    let order = HashOrder::grown(wanted.configs.len());
    let mut configs: Vec<&AlterableConfig> = wanted.configs.iter().collect();
    configs.sort_by_key(|config| order.place(&config.name)); // Kafka names the first that it cannot change.
    let mut changes = BTreeMap::new();
    for config in configs {
        let Some(operation) = Operation::of(config.config_operation) else {
            return Err(ErrorCode::UnknownServerError.into()); // Kafka's own mishap, kept: it has no text either.
        };
        let given = config.value.as_deref().unwrap_or_default();
        let value = match operation {
            Operation::Set => Some(given.to_owned()),
            Operation::Delete => None,
            Operation::Append | Operation::Subtract => {
                Some(changed_list(machine, &resource, &config.name, operation, given)?)
            }
        };
        changes.insert(config.name.clone(), value);
    }
    alter(machine, &resource, changes, &[])
}

/// The value of a list with elements added or taken away. A list that was never set starts from its default.
fn changed_list(
    machine: &Machine,
    resource: &Resource,
    name: &str,
    operation: Operation,
    given: &str,
) -> Result<String, ApiError> {
    let unknown = || ApiError::new(ErrorCode::InvalidConfig, format!("Unknown config name: {name}"));
    let is_list = match resource {
        Resource::Topic(_) => key(name).is_some_and(|key| key.kind == Kind::List),
        Resource::Broker(_) | Resource::BrokerDefault => {
            machine.options.broker_keys.is_list(name).ok_or_else(unknown)?
        }
        // Some of them are lists, and Kafka does not know it (`KafkaConfigSchema`).
        Resource::ClientMetrics(_) | Resource::Group(_) => false,
    };
    if !is_list {
        let text = match resource {
            // Kafka's broker looks at them before its controller does.
            Resource::Broker(_) | Resource::BrokerDefault => {
                let operation = operation.name().to_lowercase();
                format!("Config value {operation} is not allowed for config key: {name}")
            }
            _ => format!("Can't {} to key {name} because its type is not LIST.", operation.name()),
        };
        return Err(ApiError::new(ErrorCode::InvalidConfig, text));
    }
    let by_default = || match resource {
        Resource::Topic(_) => key(name).map(|key| key.default.to_owned()),
        _ => machine.options.broker_keys.default(name),
    };
    let present = machine.image.configs.value(resource, name).map(str::to_owned).or_else(by_default);
    let present = present.unwrap_or_default();
    let mut elements: Vec<&str> = present.split(',').filter(|element| !element.is_empty()).collect();
    for element in given.split(',') {
        match operation {
            Operation::Append if !elements.contains(&element) => elements.push(element),
            Operation::Subtract => {
                if let Some(place) = elements.iter().position(|other| *other == element) {
                    elements.remove(place);
                }
            }
            _ => {}
        }
    }
    Ok(elements.join(","))
}

// The legacy one: what is not named loses its value.

pub fn alter_refused(request: &AlterConfigsRequest, code: ErrorCode) -> AlterConfigsResponse {
    let responses = request
        .resources
        .iter()
        .map(|resource| altered(resource.resource_type, &resource.resource_name, Err(code.into())));
    AlterConfigsResponse { responses: responses.collect(), ..Default::default() }
}

fn altered(resource_type: i8, name: &str, outcome: Result<(), ApiError>) -> Altered {
    let (error_code, error_message) = parts(outcome);
    Altered { error_code, error_message, resource_type, resource_name: name.to_owned(), ..Default::default() }
}

pub fn alter_legacy(machine: &Machine, request: &AlterConfigsRequest) -> Decision<AlterConfigsResponse> {
    let repeated = repeated(request.resources.iter().map(|r| (r.resource_type, &*r.resource_name)));
    let mut records = Vec::new();
    let mut responses = Vec::new();
    for wanted in &request.resources {
        let outcome = match repeated.contains(&(wanted.resource_type, &*wanted.resource_name)) {
            true => Err(duplicate_resource()),
            false => alter_one_legacy(machine, wanted),
        };
        let outcome = outcome.and_then(|new| bounded(&mut records, new));
        responses.push(altered(wanted.resource_type, &wanted.resource_name, outcome));
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, answer: AlterConfigsResponse { responses, ..Default::default() } }
}

fn alter_one_legacy(
    machine: &Machine,
    wanted: &protocol::alter_configs_request::AlterConfigsResource,
) -> Result<Vec<Record>, ApiError> {
    check_names_once(wanted.configs.iter().map(|config| &*config.name))?;
    let nulls: Vec<&str> =
        wanted.configs.iter().filter(|config| config.value.is_none()).map(|config| &*config.name).collect();
    if !nulls.is_empty() {
        let text = format!("Null value not supported for : {}", nulls.join(", "));
        return Err(ApiError::new(ErrorCode::InvalidRequest, text));
    }
    let resource = resource_of(machine, wanted.resource_type, &wanted.resource_name)?;
    let changes: BTreeMap<String, Option<String>> =
        wanted.configs.iter().map(|config| (config.name.clone(), config.value.clone())).collect();
    let present = machine.image.configs.of(&resource);
    let dropped: Vec<String> = present
        .into_iter()
        .flat_map(Overrides::iter)
        .map(|(name, _)| name.to_owned())
        .filter(|name| !changes.contains_key(name))
        .collect();
    alter(machine, &resource, changes, &dropped)
}

// What both share.

fn duplicate_resource() -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, "Each resource must appear at most once.")
}

fn check_names_once<'a>(mut names: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    match names.all(|name| seen.insert(name)) {
        true => Ok(()),
        false => Err(ApiError::new(ErrorCode::InvalidRequest, "Error due to duplicate config keys")),
    }
}

fn repeated<'a>(resources: impl Iterator<Item = (i8, &'a str)>) -> BTreeSet<(i8, &'a str)> {
    let mut seen = BTreeSet::new();
    resources.filter(|resource| !seen.insert(*resource)).collect()
}

/// Takes these records too, unless all together become more than one decision may have.
fn bounded(records: &mut Vec<Record>, mut new: Vec<Record>) -> Result<(), ApiError> {
    if records.len() + new.len() > RECORDS_PER_DECISION_MAX {
        return Err(ApiError::new(ErrorCode::PolicyViolation, "Excessively large number of configs per request."));
    }
    records.append(&mut new);
    Ok(())
}

/// The resource, if the broker that is asked may alter it. What its name may be is looked at with its configs.
fn resource_of(machine: &Machine, type_code: i8, resource_name: &str) -> Result<Resource, ApiError> {
    let invalid = |text: &str| Err(ApiError::new(ErrorCode::InvalidRequest, text));
    match type_code {
        // A broker's configs are altered through that broker, which checks them.
        Resource::BROKER_TYPE if !resource_name.is_empty() => match resource_name.parse::<i32>() {
            Err(_) => return invalid(&format!("Node id must be an integer, but it is: {resource_name}")),
            Ok(id) if id != machine.options.node_id.value() => {
                let expected = machine.options.node_id;
                return invalid(&format!("Unexpected broker id, expected {expected}, but received {id}"));
            }
            Ok(_) => {}
        },
        _ => {}
    }
    Resource::of(type_code, resource_name)
        .ok_or_else(|| ApiError::new(ErrorCode::InvalidRequest, format!("Unknown resource type {type_code}")))
}

fn alter(
    machine: &Machine,
    resource: &Resource,
    changes: BTreeMap<String, Option<String>>,
    dropped: &[String],
) -> Result<Vec<Record>, ApiError> {
    let present = machine.image.configs.of(resource).cloned().unwrap_or_default();
    let unchanged =
        present.iter().filter(|(name, _)| !changes.contains_key(*name) && !dropped.iter().any(|d| d == name));
    let resulting: Overrides =
        unchanged.chain(changes.iter().filter_map(|(name, value)| Some((&**name, value.as_deref()?)))).collect();
    let invalid = |text: &str| Err(ApiError::new(ErrorCode::InvalidRequest, text));
    match resource {
        Resource::Topic(topic) if topic.is_empty() => return invalid("Default topic resources are not allowed."),
        Resource::Topic(topic) => {
            check_topic_name(topic)?;
            let checked = check_topic(&resulting, &machine.options.broker_configs);
            checked.map_err(|error| ApiError::new(ErrorCode::InvalidConfig, error.0))?;
            if machine.image.topics.by_name(topic).is_none() {
                return Err(ApiError::new(
                    ErrorCode::UnknownTopicOrPartition,
                    format!("The topic '{topic}' does not exist."),
                ));
            }
        }
        Resource::Broker(_) | Resource::BrokerDefault => {
            let cluster_wide = *resource == Resource::BrokerDefault;
            let order = HashOrder::grown(changes.len());
            let mut asked: Vec<_> = changes.iter().map(|(name, value)| (&**name, value.as_deref())).collect();
            asked.sort_by_key(|(name, _)| order.place(name));
            let checked = machine.options.broker_keys.check(&machine.image, &asked, cluster_wide);
            checked.map_err(|(code, text)| ApiError::new(code, text))?;
        }
        Resource::ClientMetrics(name) if name.is_empty() => return invalid("Subscription name can't be empty"),
        Resource::ClientMetrics(_) => {
            check_client_metrics(&resulting).map_err(|(code, text)| ApiError::new(code, text))?;
        }
        Resource::Group(name) if name.is_empty() => return invalid("Default group resources are not allowed."),
        Resource::Group(_) => {
            let checked = check_group(&resulting, &machine.layers(""));
            checked.map_err(|error| ApiError::new(ErrorCode::InvalidConfig, error.0))?;
        }
    }
    // A broker hears of its own value even if it is the same: it may want to read a file again (KAFKA-14136).
    let is_broker = matches!(resource, Resource::Broker(_) | Resource::BrokerDefault);
    let changed = changes.into_iter().filter(|(name, value)| is_broker || present.value(name) != value.as_deref());
    let dropped = dropped.iter().map(|name| (name.clone(), None));
    Ok(changed.chain(dropped).map(|(name, value)| Record::Config { resource: resource.clone(), name, value }).collect())
}
