//! CreateTopics, DeleteTopics and CreatePartitions: the controller decides, and answers when the log of metadata has it.
//! Here only what a broker adds: older forms of a request.
use protocol::View;
use protocol::create_partitions_request::CreatePartitionsRequestView;
use protocol::create_topics_request::CreateTopicsRequestView;
use protocol::delete_topics_request::{DeleteTopicsRequest, DeleteTopicsRequestView};

use super::{Answer, Call};

pub async fn create(call: Call) -> Answer {
    let request = call.request::<CreateTopicsRequestView<'_>>()?.to_message();
    call.reply(&call.broker.controller.create_topics(request).await)
}

pub async fn delete(call: Call) -> Answer {
    let request: DeleteTopicsRequestView<'_> = call.request()?;
    let request = match call.version {
        ..=5 => DeleteTopicsRequest {
            topics: controller::delete_by_name(request.topic_names.iter().map(str::to_owned)),
            timeout_ms: request.timeout_ms,
            ..Default::default()
        },
        _ => request.to_message(),
    };
    call.reply(&call.broker.controller.delete_topics(request).await)
}

pub async fn create_partitions(call: Call) -> Answer {
    let request = call.request::<CreatePartitionsRequestView<'_>>()?.to_message();
    call.reply(&call.broker.controller.create_partitions(request).await)
}
