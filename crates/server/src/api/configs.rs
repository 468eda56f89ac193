//! DescribeConfigs, AlterConfigs and IncrementalAlterConfigs, of topics and of this broker. Rules of Kafka's `ConfigHelper`;
//! what is altered goes to the controller.
use metadata::configs::{Layers, describe_topic};
use protocol::alter_configs_request::AlterConfigsRequestView;
use protocol::describe_configs_request::{DescribeConfigsRequestView, DescribeConfigsResourceView};
use protocol::describe_configs_response::{DescribeConfigsResponse, DescribeConfigsResult};
use protocol::incremental_alter_configs_request::IncrementalAlterConfigsRequestView;
use protocol::{ErrorCode, View};

use super::find_coordinator::MALFORMED;
use super::{Answer, Call};
use crate::broker::ConfigQuery;

/// Kafka's `ConfigResource.Type`.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

pub async fn describe(call: Call) -> Answer {
    let request: DescribeConfigsRequestView<'_> = call.request()?;
    let results = request.resources.iter().map(|resource| DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.to_owned(),
        ..describe_one(&call, &request, &resource)
    });
    call.reply(&DescribeConfigsResponse { results: results.collect(), ..Default::default() })
}

fn describe_one(
    call: &Call,
    request: &DescribeConfigsRequestView<'_>,
    resource: &DescribeConfigsResourceView<'_>,
) -> DescribeConfigsResult {
    let query = ConfigQuery {
        resource_name: resource.resource_name,
        // None and an empty list both mean all.
        names: resource.configuration_keys.filter(|names| !names.is_empty()).map(|names| names.iter().collect()),
        include_synonyms: request.include_synonyms,
        include_documentation: request.include_documentation,
    };
    match resource.resource_type {
        TOPIC => describe_one_topic(call, &query),
        BROKER => match query.resource_name {
            "" => call.broker.configs.describe(&call.broker.image(), &query),
            name if name == call.broker.node_id.to_string() => {
                call.broker.configs.describe(&call.broker.image(), &query)
            }
            name if name.parse::<i32>().is_err() => {
                refused(ErrorCode::InvalidRequest, format!("Broker id must be an integer, but it is: {name}"))
            }
            name => refused(
                ErrorCode::InvalidRequest,
                format!("Unexpected broker id, expected {} or empty string, but received {name}", call.broker.node_id),
            ),
        },
        _ => refused(ErrorCode::InvalidRequest, MALFORMED.to_owned()),
    }
}

fn describe_one_topic(call: &Call, query: &ConfigQuery<'_>) -> DescribeConfigsResult {
    let image = call.broker.image();
    let name = query.resource_name;
    if let Err(reason) = metadata::check_topic_name(name) {
        return refused(ErrorCode::InvalidTopicException, reason);
    }
    if image.topics.by_name(name).is_none() {
        return refused(ErrorCode::UnknownTopicOrPartition, String::new());
    }
    let names: Option<Vec<String>> =
        query.names.as_ref().map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let layers = Layers::of_topic(&image.configs, name, call.broker.node_id, call.broker.replicas.broker_configs());
    let configs = describe_topic(&layers, names.as_deref(), query.include_synonyms, query.include_documentation);
    DescribeConfigsResult { error_message: Some(String::new()), configs, ..Default::default() }
}

fn refused(error: ErrorCode, message: String) -> DescribeConfigsResult {
    DescribeConfigsResult { error_code: error.code(), error_message: Some(message), ..Default::default() }
}

pub async fn alter(call: Call) -> Answer {
    let request = call.request::<AlterConfigsRequestView<'_>>()?.to_message();
    call.reply(&call.broker.controller.alter_configs(request).await)
}

pub async fn incremental_alter(call: Call) -> Answer {
    let request = call.request::<IncrementalAlterConfigsRequestView<'_>>()?.to_message();
    call.reply(&call.broker.controller.incremental_alter_configs(request).await)
}
