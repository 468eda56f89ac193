//! ElectLeaders, AlterPartitionReassignments and ListPartitionReassignments: who of a partition's replicas leads, and
//! which there are. The controller decides.
use protocol::View;
use protocol::alter_partition_reassignments_request::AlterPartitionReassignmentsRequestView;
use protocol::elect_leaders_request::ElectLeadersRequestView;
use protocol::list_partition_reassignments_request::ListPartitionReassignmentsRequestView;
use protocol::list_partition_reassignments_response::ListPartitionReassignmentsResponse;

use super::{Answer, Call};

/// Before this version an error of the whole election stands at its partitions only.
const ELECTION_ERROR_SINCE: i16 = 1;

pub async fn elect_leaders(call: Call) -> Answer {
    let request = call.request::<ElectLeadersRequestView<'_>>()?.to_message();
    let mut response = call.broker.controller.elect_leaders(request).await;
    if call.version < ELECTION_ERROR_SINCE {
        response.error_code = 0;
    }
    call.reply(&response)
}

pub async fn reassign(call: Call) -> Answer {
    let request = call.request::<AlterPartitionReassignmentsRequestView<'_>>()?.to_message();
    call.reply(&call.broker.controller.reassign_partitions(request).await)
}

/// None is ever on its way: nothing moves between brokers yet.
pub async fn list_reassignments(call: Call) -> Answer {
    let _: ListPartitionReassignmentsRequestView<'_> = call.request()?;
    call.reply(&ListPartitionReassignmentsResponse { error_message: None, ..Default::default() })
}
