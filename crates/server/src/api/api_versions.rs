//! ApiVersions: what this broker serves. Answered at every version, also one that nobody knows (KIP-511).
use std::ops::RangeInclusive;

use protocol::api_versions_request::ApiVersionsRequestView;
use protocol::api_versions_response::{ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey};
use protocol::{ApiKey, ErrorCode};

use super::{Answer, Call, SERVED, Served, served};
use crate::broker::Broker;
use crate::features::{FEATURES, Feature};

/// Kafka advertises Produce from 0, though it refuses 0 to 2: older librdkafka takes a higher minimum for a broker that
/// cannot read compressed batches (KAFKA-18659).
const PRODUCE_ADVERTISED_MIN: i16 = 0;

pub async fn handle(call: Call) -> Answer {
    let request: ApiVersionsRequestView<'_> = call.request()?;
    if let Some((name, version)) = software(call.version, &request) {
        // Of several the first counts; clients ask once for a connection.
        let _ = call.peer.software.set(Box::new((name.to_owned(), version.to_owned())));
    }
    call.reply(&respond(&call.broker, call.version, &request))
}

fn respond(broker: &Broker, version: i16, request: &ApiVersionsRequestView<'_>) -> ApiVersionsResponse {
    if version >= 3 && software(version, request).is_none() {
        return ApiVersionsResponse { error_code: ErrorCode::InvalidRequest.code(), ..Default::default() };
    }
    match misrouted(broker, request) {
        Some(error) => ApiVersionsResponse { error_code: error.code(), ..Default::default() },
        None => all(broker, version),
    }
}

/// What the client is called, if it says so and may be called so.
fn software<'r>(version: i16, request: &ApiVersionsRequestView<'r>) -> Option<(&'r str, &'r str)> {
    let names = [request.client_software_name, request.client_software_version];
    (version >= 3 && names.into_iter().all(is_software_name)).then_some(names.into())
}

/// The answer to a version that is not served: in the form of version 0, naming only ApiVersions itself (KIP-511).
pub fn unsupported_version(call: &Call) -> Answer {
    let served = served(ApiKey::ApiVersions).into_iter();
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: served.map(advertised).collect(),
        ..Default::default()
    };
    call.reply_at(&response, 0)
}

fn all(broker: &Broker, version: i16) -> ApiVersionsResponse {
    let image = broker.image();
    // Versions 0 to 3 cannot say a minimum of 0 (KAFKA-17011).
    let is_sayable = |feature: &&Feature| version >= 4 || *feature.versions.start() > 0;
    let supported = FEATURES.iter().filter(is_sayable).map(|feature| SupportedFeatureKey {
        name: feature.name.to_owned(),
        min_version: *feature.versions.start(),
        max_version: *feature.versions.end(),
        ..Default::default()
    });
    let finalized = image.features.iter().map(|(name, level)| FinalizedFeatureKey {
        name: name.to_owned(),
        max_version_level: level,
        min_version_level: level,
        ..Default::default()
    });
    ApiVersionsResponse {
        api_keys: SERVED.iter().filter(|served| served.is_advertised).map(advertised).collect(),
        supported_features: supported.collect(),
        // Kafka's epoch of the finalised features is where the metadata log stands.
        finalized_features_epoch: image.position.index as i64,
        finalized_features: finalized.collect(),
        ..Default::default()
    }
}

fn advertised(served: &Served) -> ApiVersion {
    let versions: &RangeInclusive<i16> = &served.versions;
    let min_version = if served.key == ApiKey::Produce { PRODUCE_ADVERTISED_MIN } else { *versions.start() };
    ApiVersion { api_key: served.key.code(), min_version, max_version: *versions.end(), ..Default::default() }
}

/// KIP-1242: a client that says which node it meant, and reached another, must start over.
fn misrouted(broker: &Broker, request: &ApiVersionsRequestView<'_>) -> Option<ErrorCode> {
    match (request.cluster_id, request.node_id) {
        (None, -1) => None,
        (Some(cluster_id), node_id) if node_id >= 0 => {
            let here = cluster_id == broker.cluster_id && node_id == broker.node_id.0;
            (!here).then_some(ErrorCode::RebootstrapRequired)
        }
        _ => Some(ErrorCode::InvalidRequest),
    }
}

/// `ApiVersionsRequest.SOFTWARE_NAME_VERSION_PATTERN`: letters and digits, with dots and dashes between.
fn is_software_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}
