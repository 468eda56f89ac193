//! DescribeConfigs, AlterConfigs and IncrementalAlterConfigs, of topics and of this broker. Rules of Kafka's `ConfigHelper`;
//! what is altered goes to the controller.
use metadata::Resource;
use metadata::configs::{Asked, Layers, describe_client_metrics, describe_group, describe_topic};
use protocol::alter_configs_request::AlterConfigsRequestView;
use protocol::describe_configs_request::{DescribeConfigsRequestView, DescribeConfigsResourceView};
use protocol::describe_configs_response::{DescribeConfigsResponse, DescribeConfigsResult};
use protocol::incremental_alter_configs_request::{
    AlterConfigsResource, IncrementalAlterConfigsRequest, IncrementalAlterConfigsRequestView,
};
use protocol::incremental_alter_configs_response::{AlterConfigsResourceResponse, IncrementalAlterConfigsResponse};
use protocol::{ErrorCode, View};

use super::find_coordinator::MALFORMED;
use super::{Answer, Call, broker_loggers};
use crate::broker::ConfigQuery;

/// The kinds of resources that have configs.
const DESCRIBED: [i8; 5] = [
    Resource::TOPIC_TYPE,
    Resource::BROKER_TYPE,
    Resource::BROKER_LOGGER_TYPE,
    Resource::CLIENT_METRICS_TYPE,
    Resource::GROUP_TYPE,
];

pub async fn describe(call: Call) -> Answer {
    let request: DescribeConfigsRequestView<'_> = call.request()?;
    let is_served = |resource: DescribeConfigsResourceView<'_>| DESCRIBED.contains(&resource.resource_type);
    if !request.resources.iter().all(is_served) {
        // One resource of another kind, and Kafka looks at none of them.
        let results = request.resources.iter().map(|resource| DescribeConfigsResult {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.to_owned(),
            ..refused(ErrorCode::InvalidRequest, MALFORMED.to_owned())
        });
        return call.reply(&DescribeConfigsResponse { results: results.collect(), ..Default::default() });
    }
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
        Resource::TOPIC_TYPE => describe_one_topic(call, &query),
        Resource::BROKER_TYPE => match query.resource_name {
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
        Resource::BROKER_LOGGER_TYPE => {
            broker_loggers::describe(call, &query).unwrap_or_else(|(error, text)| refused(error, text))
        }
        Resource::CLIENT_METRICS_TYPE if query.resource_name.is_empty() => {
            refused(ErrorCode::InvalidRequest, "Client metrics subscription name must not be empty".to_owned())
        }
        Resource::GROUP_TYPE if query.resource_name.is_empty() => {
            refused(ErrorCode::InvalidRequest, "Group name must not be empty".to_owned())
        }
        Resource::CLIENT_METRICS_TYPE | Resource::GROUP_TYPE => describe_overrides(call, resource, &query),
        _ => refused(ErrorCode::InvalidRequest, MALFORMED.to_owned()),
    }
}

/// Of a resource that has configs whether it exists or not.
fn describe_overrides(
    call: &Call,
    resource: &DescribeConfigsResourceView<'_>,
    query: &ConfigQuery<'_>,
) -> DescribeConfigsResult {
    let image = call.broker.image();
    let own = Resource::of(resource.resource_type, resource.resource_name);
    let own = own.and_then(|resource| image.configs.of(&resource));
    let names: Option<Vec<String>> =
        query.names.as_ref().map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let asked =
        Asked { names: names.as_deref(), synonyms: query.include_synonyms, documentation: query.include_documentation };
    let configs = match resource.resource_type {
        Resource::CLIENT_METRICS_TYPE => describe_client_metrics(own, asked),
        _ => {
            let fixed = call.broker.replicas.broker_configs();
            describe_group(own, &Layers::of_topic(&image.configs, "", call.broker.node_id, fixed), asked)
        }
    };
    DescribeConfigsResult { error_message: Some(String::new()), configs, ..Default::default() }
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
    call.reply(&match request.resources.iter().any(is_logger) {
        true => alter_with_loggers(&call, request).await,
        false => call.broker.controller.incremental_alter_configs(request).await,
    })
}

fn is_logger(resource: &AlterConfigsResource) -> bool {
    resource.resource_type == Resource::BROKER_LOGGER_TYPE
}

/// Loggers are this broker's own: the controller hears of everything else.
async fn alter_with_loggers(call: &Call, request: IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse {
    let (loggers, others): (Vec<_>, Vec<_>) = request.resources.iter().cloned().partition(is_logger);
    let repeated = |wanted: &AlterConfigsResource| {
        loggers.iter().filter(|other| other.resource_name == wanted.resource_name).count() > 1
    };
    let of_loggers = loggers.iter().map(|wanted| {
        let outcome = match repeated(wanted) {
            true => Err((ErrorCode::InvalidRequest, "Each resource must appear at most once.".to_owned())),
            false => broker_loggers::alter(call, wanted, request.validate_only),
        };
        let (error, text) = outcome.err().map_or((ErrorCode::None, None), |(error, text)| (error, Some(text)));
        AlterConfigsResourceResponse {
            error_code: error.code(),
            error_message: text,
            resource_type: wanted.resource_type,
            resource_name: wanted.resource_name.clone(),
            ..Default::default()
        }
    });
    let mut responses: Vec<AlterConfigsResourceResponse> = of_loggers.collect();
    if !others.is_empty() {
        let others = IncrementalAlterConfigsRequest { resources: others, ..request };
        responses.extend(call.broker.controller.incremental_alter_configs(others).await.responses);
    }
    IncrementalAlterConfigsResponse { responses, ..Default::default() }
}
