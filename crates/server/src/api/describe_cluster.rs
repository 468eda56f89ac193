//! DescribeCluster: the nodes, for admin clients (KIP-700).
use protocol::ErrorCode;
use protocol::describe_cluster_request::DescribeClusterRequestView;
use protocol::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};

use super::{Answer, Call, authorized_operations};

const ENDPOINT_BROKERS: i8 = 1;
const ENDPOINT_CONTROLLERS: i8 = 2;

pub async fn handle(call: Call) -> Answer {
    let request: DescribeClusterRequestView<'_> = call.request()?;
    match request.endpoint_type {
        ENDPOINT_BROKERS => call.reply(&cluster(&call, &request)),
        ENDPOINT_CONTROLLERS => {
            let message =
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
            call.reply(&refused(ErrorCode::MismatchedEndpointType, message.to_owned()))
        }
        other => {
            let message = format!("Unsupported endpoint type {other}");
            call.reply(&refused(ErrorCode::UnsupportedEndpointType, message))
        }
    }
}

fn cluster(call: &Call, request: &DescribeClusterRequestView<'_>) -> DescribeClusterResponse {
    let image = call.broker.image();
    let brokers = image.brokers.iter().filter(|broker| request.include_fenced_brokers || !broker.fenced);
    let brokers = brokers.filter_map(|broker| {
        let endpoint = broker.endpoint(&call.peer.listener)?;
        Some(DescribeClusterBroker {
            broker_id: broker.id.0,
            host: endpoint.host.clone(),
            port: endpoint.port.into(),
            rack: broker.rack.clone(),
            is_fenced: call.version >= 2 && broker.fenced,
            ..Default::default()
        })
    });
    DescribeClusterResponse {
        cluster_id: call.broker.cluster_id.clone(),
        controller_id: call.broker.node_id.0,
        brokers: brokers.collect(),
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            true => authorized_operations::CLUSTER,
            false => authorized_operations::NOT_ASKED,
        },
        ..Default::default()
    }
}

fn refused(error: ErrorCode, message: String) -> DescribeClusterResponse {
    DescribeClusterResponse { error_code: error.code(), error_message: Some(message), ..Default::default() }
}
