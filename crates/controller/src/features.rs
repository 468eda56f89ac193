//! UpdateFeatures: which level of a feature the cluster has finalised. Rules and words of Kafka's `FeatureControlManager`.

use metadata::Record;
use protocol::ErrorCode;
use protocol::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use protocol::update_features_response::{UpdatableFeatureResult, UpdateFeaturesResponse};

use crate::answer::ApiError;
use crate::machine::{Decision, Machine};

/// Kafka's `FeatureUpdate.UpgradeType`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Change {
    Upgrade,
    SafeDowngrade,
    UnsafeDowngrade,
}

pub fn update_refused(code: ErrorCode) -> UpdateFeaturesResponse {
    UpdateFeaturesResponse { error_code: code.code(), ..Default::default() }
}

/// All of them, or none. Up to version 1 an answer names each feature.
pub fn update(machine: &Machine, request: &UpdateFeaturesRequest, version: i16) -> Decision<UpdateFeaturesResponse> {
    let mut records = Vec::new();
    for update in &request.feature_updates {
        match check(machine, update, version) {
            Ok(None) => {}
            Ok(Some(record)) => records.push(record),
            Err(error) => {
                let text = error.message.unwrap_or_default();
                return Decision::nothing(UpdateFeaturesResponse {
                    error_code: error.code.code(),
                    error_message: Some(format!(
                        "The update failed for all features since the following feature had an error: {text}"
                    )),
                    ..Default::default()
                });
            }
        }
    }
    if request.validate_only {
        records.clear();
    }
    let result = |update: &FeatureUpdateKey| UpdatableFeatureResult {
        feature: update.feature.clone(),
        error_message: Some("NONE".to_owned()), // Kafka's, which writes the name of the code there.
        ..Default::default()
    };
    let results = match version {
        0 | 1 => request.feature_updates.iter().map(result).collect(),
        _ => Vec::new(),
    };
    Decision { records, answer: UpdateFeaturesResponse { error_message: None, results, ..Default::default() } }
}

/// The record that a change needs, or none if it is so already.
fn check(machine: &Machine, update: &FeatureUpdateKey, version: i16) -> Result<Option<Record>, ApiError> {
    let (name, level) = (&update.feature, update.max_version_level);
    let invalid = |reason: String| {
        let text = format!("Invalid update version {level} for feature {name}. {reason}");
        Err(ApiError::new(ErrorCode::InvalidUpdateVersion, text))
    };
    let change = match (version, update.upgrade_type) {
        (0, _) if update.allow_downgrade => Change::SafeDowngrade,
        (0, _) | (_, 1) => Change::Upgrade,
        (_, 2) => Change::SafeDowngrade,
        (_, 3) => Change::UnsafeDowngrade,
        _ => return invalid("The controller does not support the given upgrade type.".into()),
    };
    if level < 0 {
        return invalid("A feature version cannot be less than 0.".into());
    }
    let node = machine.options.node_id;
    let known = machine.options.features.iter().find(|(known, _)| known == name);
    let supported = match (known, level) {
        (Some((_, levels)), _) => levels,
        (None, 0) => return invalid(format!("Feature {name} not found.")),
        (None, _) => return invalid(format!("Local controller {node} does not support this feature.")),
    };
    if !supported.contains(&level) {
        let (least, most) = (supported.start(), supported.end());
        return invalid(format!("Local controller {node} only supports versions {least}-{most}"));
    }
    let present = machine.image.features.level(name).unwrap_or(0);
    if level >= present {
        return Ok((level > present).then(|| Record::Feature { name: name.clone(), level }));
    }
    // Every level of metadata.version up to ours changes records (`MetadataVersion.didMetadataChange`).
    let refused = match change {
        Change::Upgrade => {
            return invalid(
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
                 downgrade."
                    .into(),
            );
        }
        Change::SafeDowngrade => {
            "Refusing to perform the requested downgrade because it might delete metadata information."
        }
        Change::UnsafeDowngrade => "Unsafe metadata downgrade is not supported in this version.",
    };
    let text = format!("Unsupported {name} downgrade from {present} to {level}. {refused}");
    Err(ApiError::new(ErrorCode::InvalidUpdateVersion, text))
}
