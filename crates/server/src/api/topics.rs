//! CreateTopics, DeleteTopics and CreatePartitions: the controller decides, and answers when the log of metadata has it.
//! Here only what a broker adds: older forms of a request.
use std::sync::Arc;
use std::time::Duration;

use controller::{Allowance, Handle};
use parking_lot::Mutex;
use protocol::create_partitions_request::CreatePartitionsRequestView;
use protocol::create_topics_request::CreateTopicsRequestView;
use protocol::delete_topics_request::{DeleteTopicsRequest, DeleteTopicsRequestView};
use protocol::{ErrorCode, Message, View};

use super::{Answer, Call};

/// Clients before this version know no TOPIC_DELETION_DISABLED.
const DELETE_DISABLED_SINCE: i16 = 3;
/// From these versions on a client understands that it is to come again later; before them it is only held back.
const CREATE_REFUSED_FROM: i16 = 6;
const DELETE_REFUSED_FROM: i16 = 5;
const CREATE_PARTITIONS_REFUSED_FROM: i16 = 3;

pub async fn create(call: Call) -> Answer {
    let request = call.request::<CreateTopicsRequestView<'_>>()?.to_message();
    let quoted = Quoted::of(&call, CREATE_REFUSED_FROM);
    quoted.reply(&call, &quoted.controller.create_topics(request).await)
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
    let quoted = Quoted::of(&call, DELETE_REFUSED_FROM);
    let mut response = quoted.controller.delete_topics(request).await;
    if call.version < DELETE_DISABLED_SINCE {
        let disabled = ErrorCode::TopicDeletionDisabled.code();
        let of_old_clients = response.responses.iter_mut().filter(|result| result.error_code == disabled);
        of_old_clients.for_each(|result| result.error_code = ErrorCode::InvalidRequest.code());
    }
    quoted.reply(&call, &response)
}

pub async fn create_partitions(call: Call) -> Answer {
    let request = call.request::<CreatePartitionsRequestView<'_>>()?.to_message();
    let quoted = Quoted::of(&call, CREATE_PARTITIONS_REFUSED_FROM);
    quoted.reply(&call, &quoted.controller.create_partitions(request).await)
}

/// The controller for a client with a quota of changes.
struct Quoted {
    controller: Handle,
    /// What that quota has come to.
    silence: Arc<Mutex<Duration>>,
}

impl Quoted {
    fn of(call: &Call, refused_from: i16) -> Self {
        let silence = Arc::<Mutex<Duration>>::default();
        let Some(client) = call.client_name() else {
            return Self { controller: call.broker.controller.clone(), silence };
        };
        let (broker, longest, is_strict) = (call.broker.clone(), silence.clone(), call.version >= refused_from);
        let allowance = Allowance::new(move |partitions| {
            let (is_allowed, silence) = broker.mutations_taken(&client, partitions, is_strict);
            let mut longest = longest.lock();
            *longest = longest.max(silence);
            is_allowed
        });
        Self { controller: call.broker.controller.within(allowance), silence }
    }

    fn reply<M: Message>(&self, call: &Call, response: &M) -> Answer {
        let silence = *self.silence.lock();
        call.reply_after(response, silence.max(call.request_silence()))
    }
}
