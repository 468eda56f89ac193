//! Fetch: what a consumer asks of many partitions, under one limit of bytes, waiting for `min_bytes` of it. Rules of
//! Kafka's `ReplicaManager.fetchMessages` and `DelayedFetch`; what a session remembers is `fetch_session`'s.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use env::Instant;
use protocol::fetch_request::FetchRequestView;
use protocol::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use protocol::{ErrorCode, Uuid};
use record::{BrokerId, Offset};
use replication::partition::{Partition, Visibility};
use replication::watch::{Registration, Until, Waiting};

use super::{Answer, Call};
use crate::connection::Close;
use crate::fetch_session::{Asked, FetchContext, PartitionKey, PartitionRequest, SessionRequest, TopicKey};

mod target;

use target::Target;

/// Kafka's debugging consumer, which sees up to the log end.
const DEBUGGING_REPLICA_ID: i32 = -2;
/// What a slow disk has not brought after so long comes with the next fetch: a client whose request goes on for longer
/// than its `request.timeout.ms` would ask for the same again.
const READ_MAX: Duration = Duration::from_secs(5);

#[expect(clippy::manual_async_fn, reason = "as of a Produce: an `async fn` would keep the call twice")]
pub fn handle(call: Call) -> impl Future<Output = Answer> {
    async move {
        let (reader, mut context, deadline) = match begin(&call)? {
            Ok(begun) => begun,
            Err(error) => return call.reply(&FetchResponse { error_code: error.code(), ..Default::default() }),
        };
        let partitions = std::mem::take(&mut context.partitions);
        let mut targets: Vec<Target> = partitions.into_iter().map(|asked| Target::find(&call, asked)).collect();
        read_enough(&call, &reader, &mut targets, deadline).await;
        find_pieces(&call, &mut targets).await;
        answer(call, &reader, &context, targets)
    }
}

/// All of the request that is needed, so that nothing of it stays while the Fetch waits.
fn begin(call: &Call) -> Result<Result<(Reader, FetchContext, Instant), ErrorCode>, Close> {
    let request: FetchRequestView<'_> = call.request()?;
    let now = call.broker.env.clock.now();
    let reader = Reader::of(call, &request);
    let context = call.broker.fetch_sessions.begin(session_request(call, &request, &reader), now);
    let deadline = now + Duration::from_millis(request.max_wait_ms.max(0) as u64);
    Ok(context.map(|context| (reader, context, deadline)))
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
            let key = PartitionKey { topic: topic_key.clone(), partition: partition.partition };
            Asked { key, request, topic: None }
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
fn once_each(partitions: &mut Vec<Asked>) {
    if partitions.len() < 2 {
        return;
    }
    let mut places = BTreeMap::new();
    let mut kept: Vec<Asked> = Vec::with_capacity(partitions.len());
    for asked in partitions.drain(..) {
        match places.get(&asked.key) {
            Some(&place) => kept[place] = asked,
            None => {
                places.insert(asked.key.clone(), kept.len());
                kept.push(asked);
            }
        }
    }
    *partitions = kept;
}

/// Reads, and reads again when something has come, until it is enough, or an error, or late.
async fn read_enough(call: &Call, reader: &Reader, targets: &mut [Target], deadline: Instant) {
    let clock = &*call.broker.env.clock;
    loop {
        read_all(call, reader, targets).await;
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
            return read_all(call, reader, targets).await;
        }
    }
}

async fn read_all(call: &Call, reader: &Reader, targets: &mut [Target]) {
    let is_late = patience(call, targets);
    let mut bytes_left = reader.bytes_max;
    // The first batch of the answer comes whatever its size, or a consumer would stand still for ever (KIP-74).
    let mut minimum_one = true;
    for target in targets {
        if !minimum_one && is_late() {
            bytes_left = 0;
        }
        target.read = target.fetch(reader, bytes_left, minimum_one).await;
        if let Ok(fetched) = &target.read {
            bytes_left = bytes_left.saturating_sub(fetched.size_bytes);
            minimum_one &= fetched.size_bytes == 0;
        }
    }
}

/// Where the bytes of what was read are. A file may have to be read from the disk for that.
async fn find_pieces(call: &Call, targets: &mut [Target]) {
    let is_late = patience(call, targets);
    let mut has_any = false;
    for target in targets {
        if has_any && target.is_in_file() && is_late() {
            target.leave_for_later();
        }
        target.find_pieces().await;
        has_any |= !target.pieces.is_empty();
    }
}

/// Whether reading has gone on for long enough.
fn patience<'c>(call: &'c Call, targets: &[Target]) -> impl Fn() -> bool + use<'c> {
    let clock = &*call.broker.env.clock;
    // One alone is read however long it takes.
    let ends = (targets.len() > 1).then(|| clock.now() + READ_MAX);
    move || ends.is_some_and(|ends| clock.now() >= ends)
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

fn answer(call: Call, reader: &Reader, context: &FetchContext, mut targets: Vec<Target>) -> Answer {
    let broker = &call.broker;
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
