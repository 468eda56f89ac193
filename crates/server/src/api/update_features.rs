//! UpdateFeatures: the levels that the cluster finalises (KIP-584). The controller decides.
use protocol::View;
use protocol::update_features_request::UpdateFeaturesRequestView;

use super::{Answer, Call};

pub async fn handle(call: Call) -> Answer {
    let request = call.request::<UpdateFeaturesRequestView<'_>>()?.to_message();
    call.reply(&call.broker.controller.update_features(request, call.version).await)
}
