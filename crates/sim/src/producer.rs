//! An idempotent producer with several requests in flight, as Kafka's clients are: whatever goes wrong, it sends the same
//! batches again, in the same order, until each has an answer.
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use env::Env;
use env::sim::Chance;
use protocol::init_producer_id_request::InitProducerIdRequest;
use protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::produce_response::ProduceResponse;
use protocol::{ErrorCode, Records, Uuid};

use crate::batches::{Made, make, make_keyed};
use crate::ledger::{BatchKey, Deletion, sequence_after};
use crate::shared::{Phase, Shared};
use crate::wire::{Wire, WireError};

pub const PRODUCE_VERSIONS: [i16; 2] = [12, 13];
const INIT_PRODUCER_ID_VERSION: i16 = 4;
/// As Kafka's: the broker remembers so many batches of a producer.
const BATCHES_IN_FLIGHT_MAX: usize = 5;
/// How probably, between two requests, an old one comes once more.
const REPEAT_PROBABILITY: f64 = 0.03;

pub struct Plan {
    /// Whose partitions it writes to.
    pub topics: Vec<String>,
    pub acks: i16,
    /// Requests in flight.
    pub depth: usize,
    /// How probably it pauses between two requests, and at most for how long.
    pub pause_probability: f64,
    pub pause_max: Duration,
    /// 12 names topics, 13 their ids.
    pub version: i16,
    /// The keys that are its own in compacted topics.
    pub keys: Range<u64>,
}

pub struct Producer {
    env: Env,
    shared: Shared,
    chance: Chance,
    plan: Plan,
    producer_id: i64,
    producer_epoch: i16,
    streams: BTreeMap<(Uuid, usize), Stream>,
    /// Of each request in flight, what it holds.
    in_flight: VecDeque<Vec<(Uuid, usize, BatchKey)>>,
}

/// What goes to one partition.
struct Stream {
    next_sequence: i32,
    /// Without an answer, oldest first; the first `sent` of them are on their way.
    pending: VecDeque<Made>,
    sent: usize,
    /// The last that have an answer, oldest first: some more than the broker remembers.
    answered: VecDeque<Made>,
    /// On this connection it has taken one of ours. Until then one batch goes at a time: Kafka takes any sequence from a
    /// producer that it does not know, or no longer, so a second batch could overtake a first one that was refused.
    is_known: bool,
    /// The broker has forgotten what it had of it: everything begins anew.
    is_given_up: bool,
}

/// What must happen before the next request.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Next {
    GoOn,
    /// All answers are awaited, then everything without one is sent again.
    SendAgain,
    /// The broker has forgotten what it promised nobody to remember: begin anew, as another producer.
    BeginAnew,
}

impl Producer {
    pub fn new(env: Env, shared: Shared, chance: Chance, plan: Plan) -> Self {
        let (streams, in_flight) = (BTreeMap::new(), VecDeque::new());
        Self { env, shared, chance, plan, producer_id: -1, producer_epoch: -1, streams, in_flight }
    }

    pub async fn run(mut self) {
        self.shared.client_began();
        while !self.is_done() {
            // Whatever ends a connection, the next one goes on with what has no answer.
            let _ = self.connected().await;
            self.in_flight.clear();
            self.streams.values_mut().for_each(|stream| (stream.sent, stream.is_known) = (0, false));
            // Often at once: what was sent before may not be durable yet.
            let pause = Duration::from_micros(match self.chance.happens(0.7) {
                true => self.chance.in_range(0..50),
                false => self.chance.in_range(200..20_000),
            });
            self.env.clock.sleep_until(self.env.clock.now() + pause).await;
        }
        self.shared.client_ended();
    }

    fn is_done(&self) -> bool {
        match self.shared.phase() {
            Phase::Load => false,
            Phase::Drain => self.streams.values().all(|stream| stream.pending.is_empty()),
            Phase::Over => true,
        }
    }

    async fn connected(&mut self) -> Result<(), WireError> {
        let mut wire = Wire::connect(&self.env, self.shared.address).await?;
        let life = self.shared.ledger().life();
        if self.producer_id < 0 {
            self.begin(&mut wire).await?;
        }
        let mut next = Next::GoOn;
        while !self.is_done() {
            if wire.in_flight() == 0 {
                self.shared.quiet().await;
                if next == Next::GoOn && self.chance.happens(REPEAT_PROBABILITY) {
                    self.repeat(&mut wire, life).await?;
                }
            }
            match next {
                Next::GoOn if wire.in_flight() < self.plan.depth && self.send(&mut wire).await? => {
                    if self.chance.happens(self.plan.pause_probability) {
                        let pause =
                            Duration::from_nanos(self.chance.in_range(0..self.plan.pause_max.as_nanos() as u64));
                        self.env.clock.sleep_until(self.env.clock.now() + pause).await;
                    }
                    continue;
                }
                Next::SendAgain if wire.in_flight() == 0 => {
                    self.streams.values_mut().for_each(|stream| stream.sent = 0);
                    let pause = Duration::from_micros(self.chance.in_range(100..5_000));
                    self.env.clock.sleep_until(self.env.clock.now() + pause).await;
                    next = Next::GoOn;
                    continue;
                }
                Next::BeginAnew if wire.in_flight() == 0 => {
                    self.streams.clear();
                    self.shared.met("producer: began anew");
                    self.producer_id = -1; // Also if this connection breaks.
                    self.begin(&mut wire).await?;
                    next = Next::GoOn;
                    continue;
                }
                _ => {}
            }
            if wire.in_flight() == 0 {
                // Nothing to send: there is no topic just now.
                self.env.clock.sleep_until(self.env.clock.now() + Duration::from_millis(5)).await;
                continue;
            }
            let version = self.plan.version;
            let response = wire.receive::<ProduceRequest>(version).await?;
            let request = self.in_flight.pop_front().expect("one for each in flight");
            next = next.max(self.answered(&request, &response, life));
        }
        Ok(())
    }

    async fn begin(&mut self, wire: &mut Wire) -> Result<(), WireError> {
        loop {
            let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
            let response = wire.call(&request, INIT_PRODUCER_ID_VERSION).await?;
            match ErrorCode::from_code(response.error_code) {
                Some(ErrorCode::None) => {
                    (self.producer_id, self.producer_epoch) = (response.producer_id, response.producer_epoch);
                    self.shared.ledger().producer_began(response.producer_id);
                    return Ok(());
                }
                Some(error) if error.is_retriable() => {
                    self.env.clock.sleep_until(self.env.clock.now() + Duration::from_millis(5)).await;
                }
                other => panic!("InitProducerId: {other:?}"),
            }
        }
    }

    /// A batch that has its answer comes once more, as from a network that has held it back. One of the last five is
    /// answered as it was, an older one is refused; in the log it is once.
    async fn repeat(&mut self, wire: &mut Wire, life: usize) -> Result<(), WireError> {
        let repeatable = |(topic, stream): (Uuid, &Stream)| {
            let mut ledger = self.shared.ledger();
            let topic = ledger.topic(topic);
            // Where nothing has ever been forgotten of a producer. One that nobody knows may begin anywhere.
            let is_sure = !topic.was_relaxed && topic.delete_retention.is_none() && topic.deletion == Deletion::No;
            is_sure && stream.pending.is_empty() && !stream.answered.is_empty()
        };
        let streams = self.streams.iter().filter(|((topic, _), stream)| repeatable((*topic, stream)));
        let places: Vec<(Uuid, usize)> = streams.map(|(place, _)| *place).collect();
        if places.is_empty() {
            return Ok(());
        }
        let (topic, partition) = *self.chance.pick(&places);
        let answered = &self.streams[&(topic, partition)].answered;
        let again = self.chance.index(answered.len());
        let is_remembered = answered.len() - again <= BATCHES_IN_FLIGHT_MAX;
        let Made { key, bytes, .. } = &answered[again];
        let key = *key;
        let mut request = ProduceRequest { acks: self.plan.acks, timeout_ms: 2_000, ..Default::default() };
        self.put_in(&mut request, (topic, partition), bytes.clone());
        let response = wire.call(&request, self.plan.version).await?;
        let answer = &response.responses[0].partition_responses[0];
        let error = ErrorCode::from_code(answer.error_code).expect("an error of Kafka");
        let place = self.shared.ledger().place(topic, partition);
        match error {
            ErrorCode::None => {
                assert!(is_remembered, "{place}: {key} came again, after more than five others, and was taken");
                self.shared.met("answer: the offset of a batch that came again");
                let heard = self.shared.heard_in(life);
                self.shared.ledger().acknowledged_again(topic, partition, key, answer.base_offset, heard);
            }
            ErrorCode::OutOfOrderSequenceNumber => {
                assert!(!is_remembered, "{place}: {key} came again, one of the last five, and was refused");
                self.shared.met("answer: out of order, to a batch that came again late");
            }
            ErrorCode::UnknownTopicId | ErrorCode::InconsistentTopicId => {}
            error if error.is_retriable() => {}
            error => panic!("{place}: {key} came again, and got {error}"),
        }
        Ok(())
    }

    /// Sends one request, if there is anything to send.
    async fn send(&mut self, wire: &mut Wire) -> Result<bool, WireError> {
        if self.shared.is_quiet() {
            return Ok(false); // What is in flight comes to its end.
        }
        let mut request = ProduceRequest { acks: self.plan.acks, timeout_ms: 2_000, ..Default::default() };
        let mut parts = Vec::new();
        for (topic, partition) in self.choose() {
            let Some((key, bytes)) = self.next_batch(topic, partition) else { continue };
            parts.push((topic, partition, key));
            self.put_in(&mut request, (topic, partition), bytes);
        }
        if parts.is_empty() {
            return Ok(false);
        }
        wire.send(&request, self.plan.version).await?;
        self.in_flight.push_back(parts);
        Ok(true)
    }

    fn put_in(&self, request: &mut ProduceRequest, (topic, partition): (Uuid, usize), bytes: bytes::Bytes) {
        let records = Some(Records::Here(bytes));
        let data = PartitionProduceData { index: partition as i32, records, ..Default::default() };
        match request.topic_data.iter_mut().find(|data| data.topic_id == topic) {
            Some(of_topic) => of_topic.partition_data.push(data),
            None => {
                let name = self.shared.ledger().topic(topic).name.to_string();
                let partition_data = vec![data];
                request.topic_data.push(TopicProduceData {
                    name,
                    topic_id: topic,
                    partition_data,
                    ..Default::default()
                });
            }
        }
    }

    /// Some partitions, mostly one. In the end those that still have something.
    fn choose(&mut self) -> Vec<(Uuid, usize)> {
        let mut all: Vec<(Uuid, usize)> = match self.shared.phase() {
            Phase::Load => {
                let ids = self.plan.topics.iter().filter_map(|name| self.shared.topic_id(name));
                let ids: Vec<Uuid> = ids.collect();
                let mut ledger = self.shared.ledger();
                ids.into_iter()
                    .flat_map(|id| (0..ledger.topic(id).partitions.len()).map(move |index| (id, index)))
                    .collect()
            }
            _ => {
                let unsent = self.streams.iter().filter(|(_, stream)| stream.sent < stream.pending.len());
                unsent.map(|(place, _)| *place).collect()
            }
        };
        let mut chosen = Vec::new();
        let wanted = 1 + if self.chance.happens(0.3) { self.chance.index(3) } else { 0 };
        while chosen.len() < wanted && !all.is_empty() {
            chosen.push(all.swap_remove(self.chance.index(all.len())));
        }
        chosen
    }

    /// The first batch that is not on its way, or a new one.
    fn next_batch(&mut self, topic: Uuid, partition: usize) -> Option<(BatchKey, bytes::Bytes)> {
        let stream = self.streams.entry((topic, partition)).or_insert_with(|| Stream {
            // Somebody must see the sequence wrap.
            next_sequence: if self.chance.happens(0.2) { i32::MAX - self.chance.index(200) as i32 } else { 0 },
            pending: VecDeque::new(),
            sent: 0,
            answered: VecDeque::new(),
            is_known: false,
            is_given_up: false,
        });
        if !stream.is_known && stream.sent > 0 {
            return None;
        }
        if stream.sent == stream.pending.len() {
            if stream.pending.len() >= BATCHES_IN_FLIGHT_MAX || self.shared.phase() != Phase::Load {
                return None;
            }
            let key = BatchKey {
                producer_id: self.producer_id,
                producer_epoch: self.producer_epoch,
                sequence: stream.next_sequence,
            };
            let shared = &self.shared;
            let is_keyed = shared.ledger().topic(topic).delete_retention.is_some();
            let (now_ms, marks) = (self.env.clock.wall_ms(), || shared.next_mark());
            let made = match is_keyed {
                true => make_keyed(&mut self.chance, key, now_ms, self.plan.keys.clone(), marks),
                false => make(&mut self.chance, key, now_ms, marks),
            };
            stream.next_sequence = sequence_after(key.sequence, made.records);
            if stream.next_sequence < key.sequence {
                shared.met("producer: sequence wrapped");
            }
            shared.ledger().sent(topic, partition, &made, self.shared.now());
            stream.pending.push_back(made);
        }
        let made = &stream.pending[stream.sent];
        stream.sent += 1;
        Some((made.key, made.bytes.clone()))
    }

    fn answered(&mut self, request: &[(Uuid, usize, BatchKey)], response: &ProduceResponse, life: usize) -> Next {
        let mut next = Next::GoOn;
        for (topic, partition, key) in request {
            let name = self.shared.ledger().topic(*topic).name.clone();
            let mut answers = response.responses.iter().filter(|answer| match self.plan.version {
                13.. => answer.topic_id == *topic,
                _ => *answer.name == *name,
            });
            let answer = answers
                .find_map(|answer| answer.partition_responses.iter().find(|answer| answer.index == *partition as i32));
            let answer = answer.unwrap_or_else(|| panic!("no answer for {name}-{partition}: {response:?}"));
            let error = ErrorCode::from_code(answer.error_code).expect("an error of Kafka");
            next = next.max(self.judge((*topic, *partition), *key, error, answer.base_offset, life));
        }
        next
    }

    fn judge(&mut self, place: (Uuid, usize), key: BatchKey, error: ErrorCode, offset: i64, life: usize) -> Next {
        let (topic, partition) = place;
        let Some(stream) = self.streams.get_mut(&place) else { return Next::GoOn }; // Its topic has been deleted.
        if stream.is_given_up {
            return Next::BeginAnew; // Of what is behind the one that was forgotten some may be remembered, and is answered.
        }
        let is_first = stream.pending.front().is_some_and(|made| made.key == key);
        let was_relaxed = self.shared.ledger().topic(topic).was_relaxed;
        match error {
            ErrorCode::KafkaStorageError => self.shared.met("answer: kafka storage error to a produce"),
            ErrorCode::OutOfOrderSequenceNumber => self.shared.met("answer: out of order sequence number"),
            _ => {}
        }
        match error {
            ErrorCode::None => {
                assert!(
                    is_first,
                    "{}: {key} was answered before an earlier one",
                    self.shared.ledger().place(topic, partition)
                );
                stream.sent -= 1;
                stream.is_known = true;
                stream.answered.extend(stream.pending.pop_front());
                if stream.answered.len() > 2 * BATCHES_IN_FLIGHT_MAX {
                    stream.answered.pop_front();
                }
                let heard = self.shared.heard_in(life);
                self.shared.ledger().acknowledged(topic, partition, key, offset, heard);
                Next::GoOn
            }
            ErrorCode::UnknownTopicId | ErrorCode::InconsistentTopicId => {
                let deleted = self.shared.ledger().topic(topic).deletion != Deletion::No;
                if deleted {
                    self.streams.remove(&place);
                    Next::GoOn
                } else {
                    Next::SendAgain // A broker that has just begun may not know it yet.
                }
            }
            ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId if !is_first => Next::SendAgain,
            ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId if was_relaxed => {
                stream.is_given_up = true;
                Next::BeginAnew
            }
            error if error.is_retriable() => Next::SendAgain,
            error => panic!("{}: {key} got {error}", self.shared.ledger().place(topic, partition)),
        }
    }
}
