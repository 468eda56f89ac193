//! ListConfigResources: what has a configuration (KIP-1142). Of groups and client metrics those that one was given.
use std::collections::BTreeSet;

use metadata::{Image, Resource};
use protocol::ErrorCode;
use protocol::list_config_resources_request::ListConfigResourcesRequestView;
use protocol::list_config_resources_response::{ConfigResource, ListConfigResourcesResponse};

use super::{Answer, Call};

const TYPES: [i8; 5] = [
    Resource::TOPIC_TYPE,
    Resource::BROKER_TYPE,
    Resource::BROKER_LOGGER_TYPE,
    Resource::CLIENT_METRICS_TYPE,
    Resource::GROUP_TYPE,
];

pub async fn handle(call: Call) -> Answer {
    let request: ListConfigResourcesRequestView<'_> = call.request()?;
    let types: BTreeSet<i8> = match call.version {
        0 => [Resource::CLIENT_METRICS_TYPE].into(),
        _ if request.resource_types.is_empty() => TYPES.into(),
        _ => request.resource_types.iter().collect(),
    };
    let image = call.broker.image();
    call.reply(&match types.iter().all(|one| TYPES.contains(one)) {
        true => ListConfigResourcesResponse {
            config_resources: types.into_iter().flat_map(|one| of_type(&image, one)).collect(),
            ..Default::default()
        },
        false => ListConfigResourcesResponse { error_code: ErrorCode::UnsupportedVersion.code(), ..Default::default() },
    })
}

fn of_type(image: &Image, resource_type: i8) -> Vec<ConfigResource> {
    let names: Vec<String> = match resource_type {
        Resource::TOPIC_TYPE => image.topics.iter().map(|topic| topic.name.to_string()).collect(),
        Resource::BROKER_TYPE | Resource::BROKER_LOGGER_TYPE => {
            image.brokers.iter().map(|broker| broker.id.to_string()).collect()
        }
        _ => {
            let configured = image.configs.iter().map(|(resource, _)| resource);
            configured.filter(|resource| resource.type_code() == resource_type).map(Resource::name).collect()
        }
    };
    let resource = |resource_name| ConfigResource { resource_name, resource_type, ..Default::default() };
    names.into_iter().map(resource).collect()
}
