//! Fetch: what a consumer asks of many partitions, under one limit of bytes, waiting for `min_bytes` of it. Rules of
//! Kafka's `ReplicaManager.fetchMessages` and `DelayedFetch`; what a session remembers is `fetch_session`'s.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use env::Instant;
use protocol::fetch_request::FetchRequestView;
use protocol::fetch_response::{
    EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use protocol::{ErrorCode, Records, Uuid};
use record::{BrokerId, LeaderEpoch, Offset, TopicId};
use replication::partition::{Fetch, Fetched, Partition, ReadError, Visibility};
use replication::watch::{Registration, Until, Waiting};
use storage::{FileSlice, Slice};

use super::{Answer, Call, errors};
use crate::fetch_session::{
    Answered, FetchContext, PartitionAnswer, PartitionKey, PartitionRequest, SessionRequest, TopicKey,
};
use crate::reply::{Piece, Pieces};

/// From this size on a warm range of a file goes out by `sendfile`; below it a copy and one `writev` are cheaper.
const SEND_FILE_BYTES_MIN: usize = 64 * 1024;
/// Kafka's debugging consumer, which sees up to the log end.
const DEBUGGING_REPLICA_ID: i32 = -2;
/// Where an error stands in the place of an offset.
const UNKNOWN: i64 = -1;

pub async fn handle(call: Call) -> Answer {
    let request: FetchRequestView<'_> = call.request()?;
    let broker = &call.broker;
    let asked_at = broker.env.clock.now();
    let reader = Reader::of(&call, &request);
    let mut context = match broker.fetch_sessions.begin(session_request(&call, &request, &reader), asked_at) {
        Ok(context) => context,
        Err(error) => return call.reply(&FetchResponse { error_code: error.code(), ..Default::default() }),
    };
    let partitions = std::mem::take(&mut context.partitions);
    let mut targets: Vec<Target> =
        partitions.into_iter().map(|(key, request)| Target::find(&call, key, request)).collect();
    let wait_max = Duration::from_millis(request.max_wait_ms.max(0) as u64);
    read_enough(&call, &reader, &mut targets, asked_at + wait_max).await;
    answer(call, &reader, &context, targets).await
}

/// Who reads, and how much.
struct Reader {
    visibility: Visibility,
    is_follower: bool,
    bytes_min: usize,
    bytes_max: usize,
}

impl Reader {
    fn of(call: &Call, request: &FetchRequestView<'_>) -> Self {
        let replica_id = if call.version >= 15 { request.replica_state.replica_id } else { request.replica_id };
        let visibility = match replica_id {
            DEBUGGING_REPLICA_ID => Visibility::Debugging,
            follower @ 0.. => Visibility::Replica(BrokerId(follower)),
            _ if request.isolation_level == 1 => Visibility::Committed,
            _ => Visibility::Uncommitted,
        };
        let is_follower = replica_id >= 0;
        let quota_bytes_max = if is_follower { usize::MAX } else { call.fetch_bytes_max() };
        let settings = &call.broker.settings;
        let bytes_max = (request.max_bytes.max(0) as usize).min(settings.fetch_bytes_max).min(quota_bytes_max);
        Self { visibility, is_follower, bytes_min: (request.min_bytes.max(0) as usize).min(bytes_max), bytes_max }
    }
}

fn session_request(call: &Call, request: &FetchRequestView<'_>, reader: &Reader) -> SessionRequest {
    let uses_topic_ids = call.version >= 13;
    let image = call.broker.image();
    let key = |name: &str, id: Uuid| match uses_topic_ids {
        true => TopicKey::Id(id),
        false => TopicKey::Name(image.topics.by_name(name).map_or_else(|| name.into(), |topic| topic.name.clone())),
    };
    let mut partitions = Vec::new();
    for topic in request.topics {
        let topic_key = key(topic.topic, topic.topic_id);
        partitions.extend(topic.partitions.iter().map(|partition| {
            let request = PartitionRequest {
                fetch_offset: partition.fetch_offset,
                bytes_max: partition.partition_max_bytes,
                current_leader_epoch: partition.current_leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
                log_start_offset: partition.log_start_offset,
            };
            (PartitionKey { topic: topic_key.clone(), partition: partition.partition }, request)
        }));
    }
    once_each(&mut partitions);
    let mut forgotten = Vec::new();
    for topic in request.forgotten_topics_data {
        let topic_key = key(topic.topic, topic.topic_id);
        let keys = topic.partitions.iter().map(|partition| PartitionKey { topic: topic_key.clone(), partition });
        forgotten.extend(keys);
    }
    SessionRequest {
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        uses_topic_ids,
        is_follower: reader.is_follower,
        partitions,
        forgotten,
    }
}

/// Of a partition that is asked for twice only the last word counts, in the place of the first (Kafka's `LinkedHashMap`).
fn once_each(partitions: &mut Vec<(PartitionKey, PartitionRequest)>) {
    if partitions.len() < 2 {
        return;
    }
    let mut places = BTreeMap::new();
    let mut kept: Vec<(PartitionKey, PartitionRequest)> = Vec::with_capacity(partitions.len());
    for (key, request) in partitions.drain(..) {
        match places.get(&key) {
            Some(&place) => kept[place] = (key, request),
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((key, request));
            }
        }
    }
    *partitions = kept;
}

/// A partition of the request, and what has come of it.
struct Target {
    key: PartitionKey,
    request: PartitionRequest,
    /// Or why it is not read.
    partition: Result<Arc<Partition>, ErrorCode>,
    read: Result<Fetched, ErrorCode>,
    /// Where the bytes of what was read are, when they go to the socket.
    pieces: Pieces,
    is_told: bool,
}

impl Target {
    fn find(call: &Call, key: PartitionKey, request: PartitionRequest) -> Self {
        let image = call.broker.image();
        let topic = match &key.topic {
            TopicKey::Id(id) => image.topics.by_id(TopicId(id.0)).ok_or(ErrorCode::UnknownTopicId),
            TopicKey::Name(name) => image.topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition),
        };
        let partition = topic.and_then(|topic| {
            if topic.partitions.find(key.partition).is_none() {
                return Err(ErrorCode::UnknownTopicOrPartition);
            }
            call.broker.replica(&topic.name, key.partition)
        });
        let read = Err(partition.as_ref().err().copied().unwrap_or(ErrorCode::None));
        Self { key, request, partition, read, pieces: Pieces::new(), is_told: false }
    }

    fn size_bytes(&self) -> u64 {
        self.pieces.iter().map(Piece::len).sum()
    }

    async fn fetch(&self, reader: &Reader, bytes_left: usize, minimum_one: bool) -> Result<Fetched, ErrorCode> {
        let partition = self.partition.as_ref().map_err(|&error| error)?;
        let known = |epoch: i32| (epoch >= 0).then_some(LeaderEpoch(epoch));
        let fetch = Fetch {
            from: Offset(self.request.fetch_offset),
            bytes_max: (self.request.bytes_max.max(0) as usize).min(bytes_left),
            minimum_one,
            visibility: reader.visibility,
            leader_epoch: known(self.request.current_leader_epoch),
            last_fetched_epoch: known(self.request.last_fetched_epoch),
        };
        partition.read(&fetch).await.map_err(|error| {
            // Damage was told once, when it was found.
            if let ReadError::Log(error @ (storage::ReadError::Corrupt { .. } | storage::ReadError::Io(_))) = &error {
                tracing::error!(partition = %partition.name(), %error, "records cannot be read");
            }
            errors::of_read(&error)
        })
    }
}

/// Reads, and reads again when something has come, until it is enough, or an error, or late.
async fn read_enough(call: &Call, reader: &Reader, targets: &mut [Target], deadline: Instant) {
    let clock = &*call.broker.env.clock;
    loop {
        read_all(reader, targets).await;
        if targets.is_empty() || is_enough(reader, targets) || clock.now() >= deadline {
            return;
        }
        // Everything was read, or it would be enough.
        let seen: Vec<(&Arc<Partition>, Offset)> = targets
            .iter_mut()
            .filter_map(|target| {
                let fetched = target.read.as_mut().ok()?;
                fetched.slices.clear(); // Memory of tails: nothing is owed to whom waits.
                Some((target.partition.as_ref().ok()?, fetched.high_watermark))
            })
            .collect();
        let waiting = Waiting::new(1);
        let watch =
            |(partition, seen): &(&Arc<Partition>, Offset)| partition.register(Until::Committed(seen.next()), &waiting);
        let _registrations: Vec<Registration> = seen.iter().map(watch).collect();
        // What came between the read and the registration woke nobody.
        let stands = |(partition, seen): &(&Arc<Partition>, Offset)| {
            partition.ends(None).is_ok_and(|ends| ends.high_watermark == *seen)
        };
        if seen.iter().all(stands) && !waiting.until(clock, deadline).await {
            return read_all(reader, targets).await;
        }
    }
}

async fn read_all(reader: &Reader, targets: &mut [Target]) {
    let mut bytes_left = reader.bytes_max;
    // The first batch of the answer comes whatever its size, or a consumer would stand still for ever (KIP-74).
    let mut minimum_one = true;
    for target in targets {
        target.read = target.fetch(reader, bytes_left, minimum_one).await;
        if let Ok(fetched) = &target.read {
            bytes_left = bytes_left.saturating_sub(fetched.size_bytes);
            minimum_one &= fetched.size_bytes == 0;
        }
    }
}

fn is_enough(reader: &Reader, targets: &[Target]) -> bool {
    let mut bytes = 0;
    for target in targets {
        match &target.read {
            Ok(fetched) if fetched.diverging.is_some() => return true,
            Ok(fetched) => bytes += fetched.size_bytes,
            Err(_) => return true,
        }
    }
    bytes >= reader.bytes_min
}

async fn answer(call: Call, reader: &Reader, context: &FetchContext, mut targets: Vec<Target>) -> Answer {
    let broker = &call.broker;
    for target in &mut targets {
        target.find_pieces().await;
    }
    if !reader.is_follower {
        let silence = call.fetch_silence(|| response_bytes(&targets));
        if !silence.is_zero() {
            let session = broker.fetch_sessions.hold_back(context);
            let (error_code, session_id) = (session.error.code(), session.session_id);
            return call.reply_after(&FetchResponse { error_code, session_id, ..Default::default() }, silence);
        }
    }
    let answers = targets.iter_mut().map(Target::for_session);
    let session = broker.fetch_sessions.finish(context, answers, broker.env.clock.now(), &*broker.env.rng);
    let mut response =
        FetchResponse { error_code: session.error.code(), session_id: session.session_id, ..Default::default() };
    for target in &targets {
        target.count();
        if target.is_told {
            let data = target.data(&call, &mut response.node_endpoints);
            add(&mut response.responses, &target.key.topic, data);
        }
    }
    let told = targets.into_iter().filter(|target| target.is_told && !target.pieces.is_empty());
    call.reply_with_records(&response, told.map(|target| target.pieces))
}

/// The fields of a partition, about: they count too.
const PARTITION_BYTES: u64 = 64;

/// What a quota counts.
fn response_bytes(targets: &[Target]) -> u64 {
    targets.iter().map(|target| PARTITION_BYTES + target.size_bytes()).sum()
}

/// Neighbours of one topic share its entry, as in `FetchResponse.of`.
fn add(topics: &mut Vec<FetchableTopicResponse>, topic: &TopicKey, data: PartitionData) {
    let (name, id) = match topic {
        TopicKey::Id(id) => ("", *id),
        TopicKey::Name(name) => (&**name, Uuid::ZERO),
    };
    match topics.last_mut() {
        Some(last) if last.topic == name && last.topic_id == id => last.partitions.push(data),
        _ => topics.push(FetchableTopicResponse {
            topic: name.to_owned(),
            topic_id: id,
            partitions: vec![data],
            ..Default::default()
        }),
    }
}

impl Target {
    /// What its topic counts of an answer that is sent.
    fn count(&self) {
        let Ok(partition) = &self.partition else { return };
        let traffic = partition.traffic();
        traffic.fetch_requests.add(1);
        match &self.read {
            Ok(_) => traffic.bytes_out.add(self.size_bytes()),
            Err(error) => traffic.failed_fetch_requests.add(errors::is_failed_fetch(*error).into()),
        }
    }

    fn for_session(&mut self) -> Answered<'_> {
        let has_records = self.size_bytes() > 0;
        let answer = match &self.read {
            Ok(fetched) => PartitionAnswer {
                has_records,
                high_watermark: fetched.high_watermark.0,
                log_start_offset: fetched.log_start.0,
                error: false,
                must_be_told: fetched.diverging.is_some(),
            },
            Err(_) => PartitionAnswer {
                has_records,
                high_watermark: UNKNOWN,
                log_start_offset: UNKNOWN,
                error: true,
                must_be_told: false,
            },
        };
        Answered { key: &self.key, request: &self.request, answer, is_told: &mut self.is_told }
    }

    fn data(&self, call: &Call, endpoints: &mut Vec<NodeEndpoint>) -> PartitionData {
        match &self.read {
            Ok(fetched) => self.of_fetched(fetched),
            Err(error) => self.of_error(call, *error, endpoints),
        }
    }

    fn of_fetched(&self, fetched: &Fetched) -> PartitionData {
        let records = match self.size_bytes() {
            0 => Records::default(),
            size_bytes => Records::Elsewhere(size_bytes as usize),
        };
        let diverging = fetched.diverging.map(|(epoch, end_offset)| EpochEndOffset {
            epoch: epoch.0,
            end_offset: end_offset.0,
            ..Default::default()
        });
        PartitionData {
            partition_index: self.key.partition,
            high_watermark: fetched.high_watermark.0,
            last_stable_offset: fetched.last_stable_offset.0,
            log_start_offset: fetched.log_start.0,
            diverging_epoch: diverging.unwrap_or_default(),
            aborted_transactions: fetched.is_read_committed.then(Vec::new),
            records: Some(records),
            ..Default::default()
        }
    }

    fn of_error(&self, call: &Call, error: ErrorCode, endpoints: &mut Vec<NodeEndpoint>) -> PartitionData {
        let mut data = PartitionData {
            partition_index: self.key.partition,
            error_code: error.code(),
            high_watermark: UNKNOWN,
            last_stable_offset: UNKNOWN,
            log_start_offset: UNKNOWN,
            // Null where the log was asked, which is how Kafka's two ways to an error differ.
            aborted_transactions: self.partition.is_err().then(Vec::new),
            records: Some(Records::default()),
            ..Default::default()
        };
        let wrong_leader = matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
        if let (true, 16.., Ok(partition)) = (wrong_leader, call.version, &self.partition) {
            tell_leader(call, &mut data, partition, endpoints);
        }
        data
    }

    async fn find_pieces(&mut self) {
        let Ok(fetched) = &mut self.read else { return };
        for slice in std::mem::take(&mut fetched.slices) {
            let piece = match slice {
                Slice::Memory(bytes) => Ok(Piece::Memory(bytes)),
                Slice::File(slice) => from_file(&self.partition, slice).await,
            };
            match piece {
                Ok(piece) => self.pieces.push(piece),
                Err(error) => {
                    self.pieces.clear();
                    self.read = Err(error);
                    return;
                }
            }
        }
    }
}

/// KIP-951: a client that asked the wrong node hears at once where the leader is.
fn tell_leader(call: &Call, data: &mut PartitionData, partition: &Partition, endpoints: &mut Vec<NodeEndpoint>) {
    let leader = partition.leader_elsewhere().unwrap_or(call.broker.node_id);
    data.current_leader =
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

/// A large range that is known to be sound and warm is sent as it is, a small warm one is checked and copied right here;
/// everything else is read and checked on a reader thread.
async fn from_file(partition: &Result<Arc<Partition>, ErrorCode>, slice: FileSlice) -> Result<Piece, ErrorCode> {
    if slice.size_bytes >= SEND_FILE_BYTES_MIN {
        if slice.may_be_sent() {
            let (at, len) = (slice.position, slice.size_bytes as u64);
            return Ok(Piece::File { file: slice.file, at, len });
        }
    } else if let Ok(Some(bytes)) = slice.read_cached() {
        return Ok(Piece::Memory(bytes));
    }
    let partition = partition.as_ref().map_err(|&error| error)?;
    let read = partition.read_cold(slice).await;
    read.map(Piece::Memory).map_err(|error| {
        if !matches!(error, storage::ReadError::Faulty { .. }) {
            tracing::error!(partition = %partition.name(), %error, "a segment cannot be read");
        }
        errors::of_log_read(&error)
    })
}
