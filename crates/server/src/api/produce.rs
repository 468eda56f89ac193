//! Produce: one batch per partition to its log, and the answer when it is as safe as `acks` asks. The appends come first
//! and in order; a later Produce of the connection may run while this one waits.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metadata::Topic;
use protocol::produce_request::{ProduceRequestView, TopicProduceDataView};
use protocol::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceResponse,
    TopicProduceResponse,
};
use protocol::{ErrorCode, Uuid};
use record::{BatchView, Decompressor, Timestamp, TopicId};
use replication::acknowledged::{Appended, Outcome as Acknowledgement, acknowledged};
use replication::partition::{Acks, AppendError, Partition};
use smallvec::SmallVec;
use storage::validate::{Origin, ValidateError};

use super::{Call, errors};
use crate::connection::{Answer, Close, Handled};

/// A client's timeout is for replicas; what this broker's own disk needs does not count, as in Kafka, which waits for no
/// disk. A disk that takes longer than this is a fault.
const OWN_COMMIT_MAX: Duration = Duration::from_secs(10);

/// What writes records of its own into internal topics all the same (Kafka's `AdminUtils.ADMIN_CLIENT_ID`).
const ADMIN_CLIENT_ID: &str = "__admin_client";

/// The appends come first, and in order: a later Produce may begin when this one has said that they are in place.
#[expect(clippy::manual_async_fn, reason = "an `async fn` would keep the call twice on its heap")]
pub fn handle(mut call: Call) -> impl Future<Output = Answer> {
    async move {
        let request = call.request()?;
        let mut produced = Produced::new(&request);
        append(&call, &request, &mut produced).await;
        if produced.acks == Ok(Acks::None) {
            return silent(&call, &produced.response);
        }
        if !produced.waits.is_empty() {
            call.say_in_place().await;
            acknowledge(&call, &mut produced).await;
        }
        let silence = call.produce_silence().max(call.request_silence());
        call.reply_after(&produced.response, silence)
    }
}

/// A Produce whose batches are in their logs, or will be.
struct Produced {
    acks: Result<Acks, ErrorCode>,
    timeout: Duration,
    response: ProduceResponse,
    /// In the order of `places`.
    waits: SmallVec<[Appended; 1]>,
    /// Where in the response each of `waits` is answered: topic and partition, by index.
    places: SmallVec<[(usize, usize); 1]>,
}

impl Produced {
    fn new(request: &ProduceRequestView<'_>) -> Self {
        let acks = match request.acks {
            -1 => Ok(Acks::All),
            0 => Ok(Acks::None),
            1 => Ok(Acks::Leader),
            _ => Err(ErrorCode::InvalidRequiredAcks),
        };
        let timeout = Duration::from_millis(request.timeout_ms.max(0) as u64).max(OWN_COMMIT_MAX);
        let responses = Vec::with_capacity(request.topic_data.len());
        let response = ProduceResponse { responses, ..Default::default() };
        Self { acks, timeout, response, waits: SmallVec::new(), places: SmallVec::new() }
    }
}

async fn append(call: &Call, request: &ProduceRequestView<'_>, produced: &mut Produced) {
    let topics: SmallVec<[TopicProduceDataView<'_>; 1]> = request.topic_data.iter().collect();
    let is_transactional = request.transactional_id.is_some() || topics.iter().any(is_of_transaction);
    let refused = is_transactional.then_some(ErrorCode::TransactionalIdAuthorizationFailed);
    let mut appender = Appender { call, acks: produced.acks, refused, decompressor: Decompressor::default() };
    for topic in topics.iter().filter(|topic| !topic.partition_data.is_empty()) {
        let known = appender.topic(topic.name, topic.topic_id);
        let mut responses = Vec::with_capacity(topic.partition_data.len());
        for (place, partition) in topic.partition_data.into_iter().enumerate() {
            let index = partition.index;
            let records = partition.records.map(|records| call.share(records)).unwrap_or_default();
            let appended = appender.append(&known, index, &records).await;
            responses.push(PartitionProduceResponse { index, ..failed(ErrorCode::None) });
            let response = &mut responses[place];
            match appended {
                Ok((partition, appended)) => {
                    response.base_offset = appended.base_offset.0;
                    response.log_append_time_ms = appended.log_append_time.unwrap_or(Timestamp::NONE).0;
                    response.log_start_offset = appended.log_start.0;
                    produced.places.push((produced.response.responses.len(), place));
                    produced.waits.push(Appended { partition, end: appended.end, outcome: Acknowledgement::Waits });
                }
                Err(refused) => refused.fill(call, response, &mut produced.response.node_endpoints),
            }
        }
        produced.response.responses.push(TopicProduceResponse {
            name: topic.name.to_owned(),
            topic_id: topic.topic_id,
            partition_responses: responses,
            ..Default::default()
        });
    }
}

/// Transactions are not served yet: a batch that belongs to one is refused, whole request and all, with the one code that
/// every client takes as final.
fn is_of_transaction(topic: &TopicProduceDataView<'_>) -> bool {
    let is_transactional = |records: &[u8]| BatchView::parse(records).is_ok_and(|batch| batch.is_transactional());
    topic.partition_data.iter().any(|partition| partition.records.is_some_and(is_transactional))
}

/// What one request appends with.
struct Appender<'c> {
    call: &'c Call,
    acks: Result<Acks, ErrorCode>,
    /// An error of the whole request.
    refused: Option<ErrorCode>,
    decompressor: Decompressor,
}

impl Appender<'_> {
    fn topic(&self, name: &str, id: Uuid) -> Result<Arc<Topic>, ErrorCode> {
        let image = self.call.broker.image();
        if self.call.version >= 13 {
            image.topics.by_id(TopicId(id.0)).cloned().ok_or(ErrorCode::UnknownTopicId)
        } else {
            image.topics.by_name(name).cloned().ok_or(ErrorCode::UnknownTopicOrPartition)
        }
    }

    async fn append(
        &mut self,
        topic: &Result<Arc<Topic>, ErrorCode>,
        index: i32,
        records: &Bytes,
    ) -> Result<(Arc<Partition>, storage::Appended), Refused> {
        let broker = &self.call.broker;
        if let Some(error) = self.refused {
            let reason = "Ottla does not serve transactions yet; remove transactional.id from the producer's settings";
            return Err(Refused::Because(error, reason));
        }
        let topic = topic.as_ref().map_err(|&error| Refused::Code(error))?;
        if topic.partitions.find(index).is_none() {
            return Err(Refused::Code(ErrorCode::UnknownTopicOrPartition));
        }
        let acks = match self.acks {
            Err(error) if BatchView::parse(records).is_ok() => return Err(Refused::Code(error)),
            // Kafka looks first whether there is a batch: what is none is refused below, and never appended.
            acks => acks.unwrap_or(Acks::Leader),
        };
        if topic.is_internal() && self.call.client_id() != ADMIN_CLIENT_ID {
            return Err(Refused::Code(ErrorCode::InvalidTopicException));
        }
        let partition = broker.replica(&topic.name, index).map_err(Refused::Code)?;
        if !records.is_empty() {
            partition.room_for(records.len()).await.map_err(|error| Refused::Append(partition.clone(), error))?;
        }
        let origin = Origin::Client { produce_version: self.call.version };
        let now = Timestamp(broker.env.clock.wall_ms());
        match partition.append_when_open(records, origin, acks, now, &mut self.decompressor).await {
            Ok(appended) => Ok((partition, appended)),
            Err(error) => Err(Refused::Append(partition, error)),
        }
    }
}

/// Why one partition of a Produce is not appended.
enum Refused {
    Append(Arc<Partition>, AppendError),
    Because(ErrorCode, &'static str),
    Code(ErrorCode),
}

impl Refused {
    fn fill(&self, call: &Call, response: &mut PartitionProduceResponse, endpoints: &mut Vec<NodeEndpoint>) {
        match self {
            Self::Append(partition, error) => {
                if errors::is_failed_produce(errors::of_append(error)) {
                    partition.traffic().failed_produce_requests.add(1);
                }
                *response = PartitionProduceResponse { index: response.index, ..failed(errors::of_append(error)) };
                tell_more(response, partition, error);
                tell_leader(call, response, partition, endpoints);
            }
            Self::Because(error, reason) => {
                response.error_code = error.code();
                response.error_message = Some((*reason).to_owned());
            }
            Self::Code(error) => response.error_code = error.code(),
        }
    }
}

fn failed(error: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse {
        error_code: error.code(),
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        ..Default::default()
    }
}

/// The records at fault, and the log's start, where Kafka tells them (`ReplicaManager.appendRecordsToLocalLog`).
fn tell_more(response: &mut PartitionProduceResponse, partition: &Partition, error: &AppendError) {
    if let AppendError::Invalid(error) = error {
        response.error_message = error.response_message(partition.name());
    }
    if let AppendError::Invalid(ValidateError::Records(faults)) = error {
        let faults = faults.record_errors(partition.name()).map(|(index, message)| BatchIndexAndErrorMessage {
            batch_index: index,
            batch_index_error_message: Some(message),
            ..Default::default()
        });
        response.record_errors = faults.collect();
    }
    if matches!(error, AppendError::Invalid(error) if error.is_of_request()) {
        return; // The log is not asked where it begins.
    }
    let without_start = [
        ErrorCode::CorruptMessage,
        ErrorCode::KafkaStorageError,
        ErrorCode::MessageTooLarge,
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::RecordListTooLarge,
    ];
    if !without_start.iter().any(|code| code.code() == response.error_code) {
        response.log_start_offset = partition.log().ends().log_start.0;
    }
}

/// KIP-951: a client that asked the wrong node hears at once where the leader is.
fn tell_leader(
    call: &Call,
    response: &mut PartitionProduceResponse,
    partition: &Partition,
    endpoints: &mut Vec<NodeEndpoint>,
) {
    if call.version < 10 || response.error_code != ErrorCode::NotLeaderOrFollower.code() {
        return;
    }
    let Some(leader) = partition.leader_elsewhere() else { return };
    response.current_leader =
        LeaderIdAndEpoch { leader_id: leader.0, leader_epoch: partition.leader_epoch().0, ..Default::default() };
    if let Some(endpoint) = call.broker.endpoint_of(leader, &call.peer.listener)
        && endpoints.iter().all(|known| known.node_id != leader.0)
    {
        endpoints.push(NodeEndpoint {
            node_id: leader.0,
            host: endpoint.host,
            port: endpoint.port,
            rack: endpoint.rack,
            ..Default::default()
        });
    }
}

/// acks=0 has no response, so an error is told by closing the connection (`KafkaApis.handleProduceRequest`).
fn silent(call: &Call, response: &ProduceResponse) -> Answer {
    let failed = response
        .responses
        .iter()
        .flat_map(|topic| topic.partition_responses.iter().map(move |partition| (topic, partition)))
        .find(|(_, partition)| partition.error_code != 0);
    match failed {
        Some((topic, partition)) => {
            call.count_errors(response, call.version);
            let error = ErrorCode::from_code(partition.error_code).unwrap_or(ErrorCode::UnknownServerError);
            Err(Close(format!("{}-{}: a produce with acks=0 failed: {error}", topic.name, partition.index)))
        }
        None => match call.produce_silence() {
            Duration::ZERO => Ok(Handled::Silent),
            silence => Ok(Handled::Throttled { reply: None, silence }),
        },
    }
}

/// Waits until everything is as safe as was asked for, and writes into the answer what is not.
async fn acknowledge(call: &Call, produced: &mut Produced) {
    let clock = &*call.broker.env.clock;
    let acks = produced.acks.expect("with wrong acks nothing is appended");
    acknowledged(&mut produced.waits, acks, clock, clock.now() + produced.timeout).await;
    for (&(topic, partition), appended) in produced.places.iter().zip(&produced.waits) {
        let response = &mut produced.response.responses[topic].partition_responses[partition];
        match &appended.outcome {
            Acknowledgement::Acknowledged => {}
            Acknowledgement::Failed(error) => {
                response.error_code = errors::of_append(error).code();
                tell_leader(call, response, &appended.partition, &mut produced.response.node_endpoints);
            }
            Acknowledgement::Waits => response.error_code = ErrorCode::RequestTimedOut.code(),
        }
    }
}
