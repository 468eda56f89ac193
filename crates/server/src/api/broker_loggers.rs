//! BROKER_LOGGER in DescribeConfigs and IncrementalAlterConfigs: the levels of this broker's log, which no other broker
//! and no controller knows of. Rules and words of Kafka's `ConfigHelper` and `ConfigAdminManager`.
use std::collections::BTreeSet;

use protocol::ErrorCode;
use protocol::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use protocol::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};

use super::Call;
use crate::broker::ConfigQuery;
use crate::loggers::{Level, ROOT, exists};

/// `DYNAMIC_BROKER_LOGGER_CONFIG`
const OF_LOGGER: i8 = 6;

// Kafka's `AlterConfigOp.OpType`.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Refusal = (ErrorCode, String);

pub fn describe(call: &Call, query: &ConfigQuery<'_>) -> Result<DescribeConfigsResult, Refusal> {
    let invalid = |text: String| Err((ErrorCode::InvalidRequest, text));
    let (name, own) = (query.resource_name, call.broker.node_id);
    match name.parse::<i32>() {
        Ok(id) if id == own.0 => {}
        Ok(id) => return invalid(format!("Unexpected broker id, expected {own} but received {id}")),
        Err(_) if name.is_empty() => return invalid("Broker id must not be empty".to_owned()),
        Err(_) => return invalid(format!("Broker id must be an integer, but it is: {name}")),
    }
    let wanted = |logger: &str| query.names.as_ref().is_none_or(|names| names.contains(&logger));
    let levels = call.broker.loggers.levels().into_iter().filter(|(logger, _)| wanted(logger));
    let configs = levels.map(|(logger, level)| DescribeConfigsResourceResult {
        name: logger.to_owned(),
        value: Some(level.name().to_owned()),
        config_source: OF_LOGGER,
        documentation: Some(String::new()), // There, whether it was asked for or not.
        ..Default::default()
    });
    Ok(DescribeConfigsResult { error_message: Some(String::new()), configs: configs.collect(), ..Default::default() })
}

pub fn alter(call: &Call, wanted: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let invalid = |text: String| Err((ErrorCode::InvalidRequest, text));
    let mut names = BTreeSet::new();
    if !wanted.configs.iter().all(|config| names.insert(&*config.name)) {
        return invalid("Error due to duplicate config keys".to_owned());
    }
    let is_missing = |config: &&AlterableConfig| config.value.is_none() && config.config_operation != DELETE;
    let missing: Vec<&str> = wanted.configs.iter().filter(is_missing).map(|config| &*config.name).collect();
    if !missing.is_empty() {
        return invalid(format!("Null value not supported for : {}", missing.join(", ")));
    }
    let (name, own) = (&wanted.resource_name, call.broker.node_id);
    match name.parse::<i32>() {
        Ok(id) if id == own.0 => {}
        Ok(id) => return invalid(format!("Unexpected node id. Expected {own}, but received {id}")),
        Err(_) => return invalid(format!("Node id must be an integer, but it is: {name}")),
    }
    let changes: Result<Vec<_>, Refusal> = wanted.configs.iter().map(change).collect();
    let changes = changes?;
    if !validate_only && !changes.is_empty() {
        call.broker.loggers.alter(&changes);
    }
    Ok(())
}

fn change(config: &AlterableConfig) -> Result<(&str, Option<Level>), Refusal> {
    let name = &*config.name;
    let forbidden = |operation: &str| {
        let text = format!("{operation} operation is not allowed for the BROKER_LOGGER resource");
        Err((ErrorCode::InvalidRequest, text))
    };
    match config.config_operation {
        SET | DELETE if !exists(name) => Err((ErrorCode::InvalidConfig, format!("Logger {name} does not exist!"))),
        SET => {
            let level = config.value.as_deref().unwrap_or_default();
            let unknown = || {
                let valid = Level::ALL.map(Level::name).join(", ");
                let text = format!(
                    "Cannot set the log level of {name} to {level} as it is not a supported log level. Valid log levels \
                     are {valid}"
                );
                (ErrorCode::InvalidConfig, text)
            };
            Ok((name, Some(level.parse().map_err(|()| unknown())?)))
        }
        DELETE if name == ROOT => {
            let text = "Removing the log level of the root logger is not allowed";
            Err((ErrorCode::InvalidRequest, text.to_owned()))
        }
        DELETE => Ok((name, None)),
        APPEND => forbidden("APPEND"),
        SUBTRACT => forbidden("SUBTRACT"),
        other => Err((ErrorCode::InvalidRequest, format!("Unknown operation type {other}"))),
    }
}
