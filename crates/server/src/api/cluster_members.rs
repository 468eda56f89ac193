//! UnregisterBroker, UnregisterController, AddRaftVoter and RemoveRaftVoter: who belongs to the cluster. There is one node,
//! which cannot do without itself. Rules and words of Kafka's `ClusterControlManager`, `QuorumController` and
//! `KafkaRaftClient` where `kraft.version` is 0.
use protocol::add_raft_voter_request::AddRaftVoterRequestView;
use protocol::add_raft_voter_response::AddRaftVoterResponse;
use protocol::remove_raft_voter_request::RemoveRaftVoterRequestView;
use protocol::remove_raft_voter_response::RemoveRaftVoterResponse;
use protocol::unregister_broker_request::UnregisterBrokerRequestView;
use protocol::unregister_broker_response::UnregisterBrokerResponse;
use protocol::unregister_controller_request::UnregisterControllerRequestView;
use protocol::unregister_controller_response::UnregisterControllerResponse;
use protocol::{ErrorCode, Uuid};

use super::{Answer, Call};

/// The listener that voters speak through, by its usual name.
const CONTROLLER_LISTENER: &str = "CONTROLLER";

pub async fn unregister_broker(call: Call) -> Answer {
    let request: UnregisterBrokerRequestView<'_> = call.request()?;
    let id = request.broker_id;
    let (error, text) = match id == call.broker.node_id.0 {
        // Kafka would do it: no partition has a leader then, until somebody restarts the broker.
        true => (ErrorCode::InvalidRequest, format!("Broker ID {id} is running; stop it before it is unregistered")),
        false => (ErrorCode::BrokerIdNotRegistered, format!("Broker ID {id} is not currently registered")),
    };
    call.reply(&UnregisterBrokerResponse { error_code: error.code(), error_message: Some(text), ..Default::default() })
}

pub async fn unregister_controller(call: Call) -> Answer {
    let request: UnregisterControllerRequestView<'_> = call.request()?;
    let id = request.controller_id;
    let (error, text) = match id == call.broker.node_id.0 {
        true => (ErrorCode::InvalidRequest, "Controller cannot unregister itself while it is active.".to_owned()),
        false => (ErrorCode::ControllerIdNotRegistered, format!("Controller ID {id} is not currently registered.")),
    };
    call.reply(&UnregisterControllerResponse {
        error_code: error.code(),
        error_message: Some(text),
        ..Default::default()
    })
}

pub async fn add_voter(call: Call) -> Answer {
    let request: AddRaftVoterRequestView<'_> = call.request()?;
    let is_default = |name: &str| name.eq_ignore_ascii_case(CONTROLLER_LISTENER);
    let (error, text) = if let Some(refused) = of_another_cluster(&call, request.cluster_id) {
        refused
    } else if !is_voter(request.voter_id, request.voter_directory_id) {
        (ErrorCode::InvalidRequest, "Add voter request didn't include a valid voter".to_owned())
    } else if !request.listeners.iter().any(|listener| is_default(listener.name)) {
        let listed = request.listeners.iter().map(|listener| {
            let name = listener.name.to_uppercase();
            format!("ListenerName({name})={}/<unresolved>:{}", listener.host, listener.port)
        });
        let listed = listed.collect::<Vec<_>>().join(", ");
        let text = format!(
            "Add voter request didn't include the endpoint (Endpoints(endpoints={{{listed}}})) for the default listener \
             ListenerName({CONTROLLER_LISTENER})"
        );
        (ErrorCode::InvalidRequest, text)
    } else {
        fixed_voters("adding")
    };
    call.reply(&AddRaftVoterResponse { error_code: error.code(), error_message: Some(text), ..Default::default() })
}

pub async fn remove_voter(call: Call) -> Answer {
    let request: RemoveRaftVoterRequestView<'_> = call.request()?;
    let (error, text) = if let Some(refused) = of_another_cluster(&call, request.cluster_id) {
        refused
    } else if !is_voter(request.voter_id, request.voter_directory_id) {
        (ErrorCode::InvalidRequest, "Remove voter request didn't include a valid voter".to_owned())
    } else {
        fixed_voters("removing")
    };
    call.reply(&RemoveRaftVoterResponse { error_code: error.code(), error_message: Some(text), ..Default::default() })
}

fn of_another_cluster(call: &Call, cluster_id: Option<&str>) -> Option<(ErrorCode, String)> {
    let own = &call.broker.cluster_id;
    let given = cluster_id.filter(|given| given != own)?;
    let text = format!("The given id \"{given}\" doesn't match the cluster id \"{own}\"");
    Some((ErrorCode::InconsistentClusterId, text))
}

fn is_voter(id: i32, directory: Uuid) -> bool {
    id >= 0 && directory != Uuid::default()
}

fn fixed_voters(what: &str) -> (ErrorCode, String) {
    let text = format!("Cluster doesn't support {what} voter because the kraft.version feature is 0");
    (ErrorCode::UnsupportedVersion, text)
}
