//! InitProducerId: an id of its own for each idempotent producer. Transactions are not served yet, and a transactional id
//! is refused with an error that no client retries.
use protocol::ErrorCode;
use protocol::init_producer_id_request::InitProducerIdRequestView;
use protocol::init_producer_id_response::InitProducerIdResponse;
use record::ProducerId;

use super::{Answer, Call};

pub async fn handle(call: Call) -> Answer {
    let request: InitProducerIdRequestView<'_> = call.request()?;
    let response = match producer_id(&call, &request).await {
        Ok(id) => InitProducerIdResponse { producer_id: id.0, producer_epoch: 0, ..Default::default() },
        Err(error) => InitProducerIdResponse {
            error_code: error.code(),
            producer_id: ProducerId::NONE.0,
            producer_epoch: -1,
            ..Default::default()
        },
    };
    call.reply(&response)
}

async fn producer_id(call: &Call, request: &InitProducerIdRequestView<'_>) -> Result<ProducerId, ErrorCode> {
    // Both or none: what a producer asks with that had an id before (KIP-360).
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return Err(ErrorCode::InvalidRequest);
    }
    match request.transactional_id {
        None => call.broker.producer_ids.next().await,
        Some("") => Err(ErrorCode::InvalidRequest),
        Some(_) => Err(ErrorCode::TransactionalIdAuthorizationFailed),
    }
}
