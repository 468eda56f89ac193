//! The table of what is served: one line per API, one file per API beside it. Finds the API of a frame and begins it;
//! what it cannot read or does not serve ends the connection, as in Kafka (`RequestContext`, `SocketServer`).
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use env::BoxFuture;
use protocol::{ApiKey, EncodeError, Message, RequestFrame, View};

use crate::broker::Broker;
use crate::connection::{Answer, Close, Handled, InPlace, Service, Times};
use crate::frame::Frame;
use crate::quotas::{Client, Flow, Meter, Metered};
use crate::reply::{Pieces, Reply};
use crate::telemetry::Teller;

mod api_versions;
mod authorized_operations;
mod broker_loggers;
mod client_quotas;
mod cluster_members;
mod config_resources;
mod configs;
mod delete_records;
mod describe_cluster;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod errors;
mod fetch;
mod find_coordinator;
mod group_admin;
mod group_members;
mod init_producer_id;
mod list_offsets;
mod log_dirs;
mod metadata;
mod offset_for_leader_epoch;
mod offsets;
mod partitions;
mod produce;
mod scram;
mod telemetry;
mod topics;
mod transactions;
mod update_features;
mod without_security;

/// An API and the versions of it that are served.
pub struct Served {
    pub key: ApiKey,
    pub versions: RangeInclusive<i16>,
    /// Whether ApiVersions names it.
    pub is_advertised: bool,
    begin: fn(Call) -> BoxFuture<Answer>,
}

/// A line of the table: an API, its versions, and its handler.
macro_rules! served {
    ($($key:ident $least:literal..=$most:literal => $handler:path,)*) => {
        &[$(Served {
            key: ApiKey::$key,
            versions: $least..=$most,
            is_advertised: !matches!(ApiKey::$key, ApiKey::GetTelemetrySubscriptions | ApiKey::PushTelemetry),
            begin: |call| Box::pin($handler(call)),
        },)*]
    };
}

pub static SERVED: &[Served] = served![
    Produce 3..=13 => produce::handle,
    Fetch 4..=18 => fetch::handle,
    ListOffsets 1..=11 => list_offsets::handle,
    Metadata 0..=13 => metadata::handle,
    OffsetCommit 2..=10 => offsets::commit,
    OffsetFetch 1..=10 => offsets::fetch,
    FindCoordinator 0..=6 => find_coordinator::handle,
    JoinGroup 0..=9 => group_members::join,
    Heartbeat 0..=4 => group_members::heartbeat,
    LeaveGroup 0..=5 => group_members::leave,
    SyncGroup 0..=5 => group_members::sync,
    DescribeGroups 0..=6 => group_admin::describe,
    ListGroups 0..=5 => group_admin::list,
    SaslHandshake 0..=1 => without_security::sasl_handshake,
    ApiVersions 0..=5 => api_versions::handle,
    CreateTopics 2..=7 => topics::create,
    DeleteTopics 1..=6 => topics::delete,
    DeleteRecords 0..=2 => delete_records::handle,
    InitProducerId 0..=5 => init_producer_id::handle,
    OffsetForLeaderEpoch 2..=4 => offset_for_leader_epoch::handle,
    DescribeAcls 1..=3 => without_security::describe_acls,
    CreateAcls 1..=3 => without_security::create_acls,
    DeleteAcls 1..=3 => without_security::delete_acls,
    DescribeConfigs 1..=4 => configs::describe,
    AlterConfigs 0..=2 => configs::alter,
    AlterReplicaLogDirs 1..=2 => log_dirs::alter_replicas,
    DescribeLogDirs 1..=5 => log_dirs::describe,
    SaslAuthenticate 0..=2 => without_security::sasl_authenticate,
    CreatePartitions 0..=3 => topics::create_partitions,
    CreateDelegationToken 1..=3 => without_security::create_delegation_token,
    RenewDelegationToken 1..=2 => without_security::renew_delegation_token,
    ExpireDelegationToken 1..=2 => without_security::expire_delegation_token,
    DescribeDelegationToken 1..=3 => without_security::describe_delegation_token,
    DeleteGroups 0..=3 => group_admin::delete,
    ElectLeaders 0..=2 => partitions::elect_leaders,
    IncrementalAlterConfigs 0..=1 => configs::incremental_alter,
    AlterPartitionReassignments 0..=1 => partitions::reassign,
    ListPartitionReassignments 0..=0 => partitions::list_reassignments,
    OffsetDelete 0..=0 => offsets::delete,
    DescribeClientQuotas 0..=1 => client_quotas::describe,
    AlterClientQuotas 0..=1 => client_quotas::alter,
    DescribeUserScramCredentials 0..=0 => scram::describe,
    AlterUserScramCredentials 0..=0 => scram::alter,
    DescribeQuorum 0..=2 => describe_quorum::handle,
    UpdateFeatures 0..=2 => update_features::handle,
    DescribeCluster 0..=2 => describe_cluster::handle,
    DescribeProducers 0..=0 => describe_producers::handle,
    UnregisterBroker 0..=0 => cluster_members::unregister_broker,
    DescribeTransactions 0..=0 => transactions::describe,
    ListTransactions 0..=2 => transactions::list,
    GetTelemetrySubscriptions 0..=0 => telemetry::subscriptions,
    PushTelemetry 0..=0 => telemetry::push,
    ListConfigResources 0..=1 => config_resources::handle,
    DescribeTopicPartitions 0..=0 => describe_topic_partitions::handle,
    AddRaftVoter 0..=1 => cluster_members::add_voter,
    RemoveRaftVoter 0..=0 => cluster_members::remove_voter,
    UnregisterController 0..=0 => cluster_members::unregister_controller,
];

/// The place in [`SERVED`] of each API by its key; one behind it for what is not served.
static PLACES: LazyLock<[u8; 256]> = LazyLock::new(|| {
    let mut places = [SERVED.len() as u8; 256];
    for (place, served) in SERVED.iter().enumerate() {
        places[served.key.code() as usize] = place as u8;
    }
    places
});

fn place_of(key: i16) -> usize {
    let place = usize::try_from(key).ok().and_then(|key| PLACES.get(key));
    place.map_or(SERVED.len(), |place| (*place).into())
}

fn served(key: ApiKey) -> Option<&'static Served> {
    SERVED.get(place_of(key.code()))
}

/// One request of a client, its header read.
pub struct Call {
    pub broker: Arc<Broker>,
    pub peer: Arc<Peer>,
    pub api_key: ApiKey,
    pub version: i16,
    pub correlation_id: i32,
    frame: Frame,
    /// Where in the frame the body begins.
    body_at: usize,
    /// Only while there are quotas.
    measured: Option<Measured>,
    in_place: InPlace,
}

/// What of a request quotas look at, also after it is forgotten.
struct Measured {
    client_id: String,
    request_bytes: usize,
    /// Only if the time of its requests is limited.
    meter: Option<Arc<Meter>>,
}

impl Measured {
    fn of(broker: &Broker, client_id: Option<&str>, request_bytes: usize) -> Option<Self> {
        let image = broker.image();
        if image.quotas.is_empty() {
            return None;
        }
        let mut measured = Self { client_id: client_id.unwrap_or("").to_owned(), request_bytes, meter: None };
        if broker.quotas.limits_requests(&image.quotas, measured.client()) {
            measured.meter = Some(Meter::new(broker.env.clock.clone()));
        }
        Some(measured)
    }

    fn client(&self) -> Client<'_> {
        Client::anonymous(&self.client_id)
    }
}

/// The other end of a connection, and which of our listeners it came through.
pub struct Peer {
    pub address: SocketAddr,
    pub listener: Arc<str>,
    /// Name and version, once it has said them in its ApiVersions.
    software: OnceLock<Box<(String, String)>>,
    teller: Teller,
}

impl Peer {
    pub fn new(address: SocketAddr, listener: Arc<str>) -> Self {
        Self { address, listener, software: OnceLock::new(), teller: Teller::default() }
    }

    /// As Kafka calls a client that has not said it.
    fn software(&self) -> (&str, &str) {
        self.software.get().map_or(("unknown", "unknown"), |software| (&software.0, &software.1))
    }
}

impl Call {
    /// Of a body that cannot be read the connection ends.
    pub fn request<'a, V: View<'a>>(&'a self) -> Result<V, Close> {
        V::decode(self.version, &self.frame.bytes[self.body_at..])
            .map_err(|error| Close(format!("{:?} version {} cannot be read: {error}", self.api_key, self.version)))
    }

    pub fn client_id(&self) -> &str {
        RequestFrame::parse(&self.frame.bytes).ok().and_then(|frame| frame.client_id).unwrap_or("")
    }

    /// Everything is in place, and the answer waits: the request's memory is given back, and the next one like it may begin.
    pub async fn say_in_place(&mut self) {
        self.frame = Frame::default();
        self.body_at = 0;
        self.in_place.say().await;
    }

    /// The bytes of a field of the request, as an owner of the frame: nothing is copied.
    pub fn share(&self, field: &[u8]) -> bytes::Bytes {
        self.frame.bytes.slice_ref(field)
    }

    pub fn reply<M: Message>(&self, response: &M) -> Answer {
        self.reply_after(response, self.request_silence())
    }

    /// As the client is over a quota for so long: it is told, and then not heard for that time.
    pub fn reply_after<M: Message>(&self, response: &M, silence: Duration) -> Answer {
        if silence.is_zero() {
            return self.reply_at(response, self.version);
        }
        let mut told = response.clone();
        told.set_throttle_time_ms(i32::try_from(silence.as_millis()).unwrap_or(i32::MAX));
        match self.reply_at(&told, self.version)? {
            Handled::Reply(reply) => Ok(Handled::Throttled { reply: Some(reply), silence }),
            handled => Ok(handled),
        }
    }

    /// Counts the time that this request has taken.
    fn request_silence(&self) -> Duration {
        let Some(measured) = &self.measured else { return Duration::ZERO };
        let Some(meter) = &measured.meter else { return Duration::ZERO };
        let broker = &self.broker;
        let now = broker.env.clock.now();
        broker.quotas.record_request(&broker.image().quotas, measured.client(), meter.spent(), now)
    }

    /// Who asks, while there are quotas.
    fn client_name(&self) -> Option<String> {
        self.measured.as_ref().map(|measured| measured.client_id.clone())
    }

    /// Counts the bytes of a Produce.
    fn produce_silence(&self) -> Duration {
        let Some(measured) = &self.measured else { return Duration::ZERO };
        let broker = &self.broker;
        let (now, bytes) = (broker.env.clock.now(), measured.request_bytes as f64);
        broker.quotas.record(&broker.image().quotas, Flow::Produce, measured.client(), bytes, now)
    }

    /// Counts the bytes of a Fetch, unless it is not answered with them.
    fn fetch_silence(&self, bytes: impl FnOnce() -> u64) -> Duration {
        let Some(measured) = &self.measured else { return Duration::ZERO };
        let (broker, bytes) = (&self.broker, bytes() as f64);
        let (image, now) = (broker.image(), broker.env.clock.now());
        let of_bytes = broker.quotas.record(&image.quotas, Flow::Fetch, measured.client(), bytes, now);
        let silence = of_bytes.max(self.request_silence());
        if !silence.is_zero() {
            broker.quotas.unrecord(&image.quotas, Flow::Fetch, measured.client(), bytes, now);
        }
        silence
    }

    /// As many bytes as a Fetch of this client may ask for at once.
    fn fetch_bytes_max(&self) -> usize {
        let burst = self.measured.as_ref().and_then(|measured| {
            let broker = &self.broker;
            broker.quotas.burst_bytes(&broker.image().quotas, Flow::Fetch, measured.client())
        });
        burst.unwrap_or(usize::MAX)
    }

    /// A response whose records are elsewhere: `records` are the pieces of each.
    pub fn reply_with_records<M: Message>(&self, response: &M, records: impl Iterator<Item = Pieces>) -> Answer {
        self.count_errors(response, self.version);
        let frame = protocol::encode_response_in_segments(response, self.api_key, self.version, self.correlation_id);
        let frame = frame.map_err(|error| self.unwritten(error))?;
        Ok(Handled::Reply(Reply::with_records(frame, records)))
    }

    pub fn reply_at<M: Message>(&self, response: &M, version: i16) -> Answer {
        self.count_errors(response, version);
        let frame = protocol::encode_response(response, self.api_key, version, self.correlation_id);
        let frame = frame.map_err(|error| self.unwritten(error))?;
        Ok(Handled::Reply(Reply::from_bytes(frame)))
    }

    fn count_errors<M: Message>(&self, response: &M, version: i16) {
        self.broker.error_counts.count(place_of(self.api_key.code()), version, response);
    }

    /// Something does not fit into its field. What is stored is bounded so that all of it does: our mistake.
    fn unwritten(&self, error: EncodeError) -> Close {
        tracing::error!(api = ?self.api_key, version = self.version, %error, "a response cannot be written");
        Close(format!("the response to {:?} version {} cannot be written: {error}", self.api_key, self.version))
    }
}

/// The meaning of the frames of one connection.
pub struct Api {
    pub broker: Arc<Broker>,
    pub peer: Arc<Peer>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.broker.telemetry.forget(&self.peer.teller);
    }
}

impl Service for Api {
    fn may_run_ahead(&self, frame: &[u8]) -> bool {
        frame.starts_with(&ApiKey::Produce.code().to_be_bytes())
    }

    fn kind(&self, frame: &[u8]) -> usize {
        frame.first_chunk().map_or(SERVED.len(), |key| place_of(i16::from_be_bytes(*key)))
    }

    fn is_held(&self, is_held: bool) {
        let queued = &self.broker.request_times.queued;
        if is_held { queued.enter() } else { queued.leave() }
    }

    fn served(&self, kind: usize, times: &Times) {
        self.broker.request_times.record(kind, times);
    }

    fn begin(&self, frame: Frame, in_place: InPlace) -> BoxFuture<Answer> {
        let parsed = match RequestFrame::parse(&frame.bytes) {
            Ok(parsed) => parsed,
            Err(error) => return closed(error.to_string()),
        };
        let RequestFrame { api_key, api_version: version, correlation_id, body, .. } = parsed;
        let Some(served) = served(api_key) else {
            return closed(format!("{api_key:?} is not served"));
        };
        let answered_at = parsed.answered_at(&served.versions);
        let body_at = frame.bytes.len() - body.len();
        let (broker, peer) = (self.broker.clone(), self.peer.clone());
        let measured = Measured::of(&broker, parsed.client_id, frame.bytes.len());
        let meter = measured.as_ref().and_then(|measured| measured.meter.clone());
        let call = Call { broker, peer, api_key, version, correlation_id, frame, body_at, measured, in_place };
        match answered_at {
            Some(at) if at == version => match meter {
                Some(meter) => Box::pin(Metered { future: (served.begin)(call), meter }),
                None => (served.begin)(call),
            },
            Some(_) => Box::pin(std::future::ready(api_versions::unsupported_version(&call))),
            None => closed(format!("{api_key:?} version {version} is not served")),
        }
    }
}

fn closed(reason: String) -> BoxFuture<Answer> {
    Box::pin(std::future::ready(Err(Close(reason))))
}
