//! FindCoordinator: which node keeps a group. The first question makes the offsets topic.
use protocol::ErrorCode;
use protocol::find_coordinator_request::FindCoordinatorRequestView;
use protocol::find_coordinator_response::{Coordinator, FindCoordinatorResponse};

use super::{Answer, Call};
use crate::groups::OFFSETS_TOPIC;

/// Kafka's words for INVALID_REQUEST.
pub(super) const MALFORMED: &str = "This most likely occurs because of a request being malformed by the client library or the \
                         message was sent to an incompatible broker. See the broker logs for more details.";
/// Kafka's `CoordinatorType`.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;
/// From this version on several keys are asked for at once.
const BATCHES_SINCE: i16 = 4;

pub async fn handle(call: Call) -> Answer {
    let request: FindCoordinatorRequestView<'_> = call.request()?;
    if call.version < BATCHES_SINCE {
        let found = find(&call, request.key_type, request.key).await;
        return call.reply(&FindCoordinatorResponse {
            error_code: found.error_code,
            error_message: found.error_message,
            node_id: found.node_id,
            host: found.host,
            port: found.port,
            ..Default::default()
        });
    }
    let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
    for key in request.coordinator_keys {
        coordinators.push(find(&call, request.key_type, key).await);
    }
    call.reply(&FindCoordinatorResponse { coordinators, ..Default::default() })
}

async fn find(call: &Call, key_type: i8, key: &str) -> Coordinator {
    let nobody = Coordinator { key: key.to_owned(), node_id: -1, port: -1, ..Default::default() };
    let refused = |error: ErrorCode, message: &str| Coordinator {
        error_code: error.code(),
        error_message: Some(message.to_owned()),
        ..nobody.clone()
    };
    match key_type {
        GROUP => {}
        TRANSACTION => {
            let message = "Ottla does not serve transactions yet; remove transactional.id from the producer's settings";
            return refused(ErrorCode::TransactionalIdAuthorizationFailed, message);
        }
        // No key is one of a share group yet. Of what is none, Kafka says no more.
        SHARE if call.version >= BATCHES_SINCE => return refused(ErrorCode::InvalidRequest, ""),
        _ => return refused(ErrorCode::InvalidRequest, MALFORMED),
    }
    if call.broker.groups.partition_of(key).is_none() {
        call.broker.controller.auto_create_topics(vec![OFFSETS_TOPIC.to_owned()]).await;
    }
    let leader = call.broker.groups.partition_of(key).and_then(|index| {
        let image = call.broker.image();
        image.topics.by_name(OFFSETS_TOPIC)?.partitions.find(index)?.leader
    });
    let address = leader.and_then(|leader| Some((leader, call.broker.endpoint_of(leader, &call.peer.listener)?)));
    match address {
        Some((node, address)) => Coordinator {
            key: key.to_owned(),
            node_id: node.0,
            host: address.host,
            port: address.port,
            // What Java prints of no error, and later does not.
            error_message: Some(if call.version < BATCHES_SINCE { "NONE" } else { "" }.to_owned()),
            ..Default::default()
        },
        None => refused(ErrorCode::CoordinatorNotAvailable, "The coordinator is not available."),
    }
}
