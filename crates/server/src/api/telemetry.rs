//! GetTelemetrySubscriptions and PushTelemetry: which metrics a client is to tell. Answered and not advertised, as by a Kafka
//! that has no receiver of them; no client asks by itself then.
use protocol::get_telemetry_subscriptions_request::GetTelemetrySubscriptionsRequestView;
use protocol::get_telemetry_subscriptions_response::GetTelemetrySubscriptionsResponse;
use protocol::push_telemetry_request::PushTelemetryRequestView;
use protocol::push_telemetry_response::PushTelemetryResponse;
use protocol::{ErrorCode, Uuid};

use super::{Answer, Call};
use crate::telemetry::{About, Client, Push};

/// zstd, lz4, gzip, snappy: in the order in which clients should like them.
const ACCEPTED_COMPRESSIONS: [i8; 4] = [4, 3, 1, 2];

pub async fn subscriptions(call: Call) -> Answer {
    let request: GetTelemetrySubscriptionsRequestView<'_> = call.request()?;
    let broker = &call.broker;
    let id = match request.client_instance_id.is_zero() {
        true => {
            let mut bytes = [0; 16];
            broker.env.rng.fill(&mut bytes);
            Uuid(bytes)
        }
        false => request.client_instance_id,
    };
    let (image, now) = (broker.image(), broker.env.clock.now());
    let response = match broker.telemetry.ask(client(&call, id), &image.configs, now) {
        Ok(subscription) => GetTelemetrySubscriptionsResponse {
            client_instance_id: id,
            subscription_id: subscription.id,
            accepted_compression_types: ACCEPTED_COMPRESSIONS.to_vec(),
            push_interval_ms: subscription.subscribed.interval_ms,
            telemetry_max_bytes: broker.telemetry.bytes_max() as i32,
            delta_temporality: true,
            requested_metrics: subscription.subscribed.metrics.into_iter().collect(),
            ..Default::default()
        },
        Err(error) => GetTelemetrySubscriptionsResponse { error_code: error.code(), ..Default::default() },
    };
    call.reply(&response)
}

pub async fn push(call: Call) -> Answer {
    let request: PushTelemetryRequestView<'_> = call.request()?;
    let broker = &call.broker;
    let push = Push {
        subscription_id: request.subscription_id,
        is_terminating: request.terminating,
        compression_type: request.compression_type,
        metrics: request.metrics,
    };
    let (image, now) = (broker.image(), broker.env.clock.now());
    let client = client(&call, request.client_instance_id);
    let pushed = broker.telemetry.push(client, &push, &image.configs, now);
    let error_code = pushed.err().unwrap_or(ErrorCode::None).code();
    call.reply(&PushTelemetryResponse { error_code, ..Default::default() })
}

fn client(call: &Call, id: Uuid) -> Client<'_> {
    let peer = &call.peer;
    let (name, version) = peer.software();
    // `ClientMetricsInstanceMetadata`
    let about = About::from([
        ("client_id", call.client_id().to_owned()),
        ("client_instance_id", id.to_string()),
        ("client_software_name", name.to_owned()),
        ("client_software_version", version.to_owned()),
        ("client_source_address", peer.address.ip().to_string()),
        ("client_source_port", peer.address.port().to_string()),
    ]);
    Client { id, about, teller: &peer.teller }
}
