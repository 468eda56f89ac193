//! Batches on their way: several requests per leader at a time, one batch per partition in each, in the order of the
//! input. Where a batch was not acknowledged, what is under way comes back before anything is sent; then all that was not
//! acknowledged goes again, with the same sequences, so nothing overtakes it and the broker knows what it has already.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use client::{CallError, Purpose, Topics};
use env::Instant;
use protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::produce_response::{PartitionProduceResponse, ProduceResponse};
use protocol::{ApiKey, ErrorCode};
use record::{BatchBuilder, Compression, ProducerEpoch, ProducerId, Sequence, Timestamp};
use tokio::sync::{mpsc, oneshot};

use super::input::Input;
use crate::connect::{RETRY, Session};
use crate::failure::{Exit, Failure};
use crate::table::counted;

const REQUEST_BYTES: usize = 8 << 20;
/// Requests per leader, as Kafka's producer has them (`max.in.flight.requests.per.connection`), and batches per partition:
/// so many of a producer the broker knows again (`ProducerStateEntry.NUM_BATCHES_TO_RETAIN`).
const IN_FLIGHT_MAX: usize = 5;
/// With topic names; 13 has ids.
const PRODUCE_VERSIONS: std::ops::RangeInclusive<i16> = 3..=12;

/// When a batch is sent.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// It is full at this size before compression.
    pub bytes: usize,
    /// How long it waits for more.
    pub linger: Duration,
}

impl Default for Batching {
    /// Topics take 1 MiB by default, after compression.
    fn default() -> Batching {
        Batching { bytes: 512 * 1024, linger: Duration::from_millis(5) }
    }
}

/// A batch that the broker has.
pub struct Acknowledged {
    pub partition: i32,
    /// -1 if the broker did not say: with acks=0.
    pub base_offset: i64,
    pub records: i32,
}

pub struct Sender {
    session: Session,
    topic: String,
    acks: i16,
    compression: Compression,
    identity: Option<(ProducerId, ProducerEpoch)>,
    batching: Batching,
    partitions: Vec<Partition>,
    /// By leader.
    lanes: BTreeMap<i32, Lane>,
    acknowledged: u64,
    buffered_bytes: usize,
    /// Nothing is sent before this.
    retry_at: Option<Instant>,
    finished: mpsc::UnboundedSender<Done>, // At most `IN_FLIGHT_MAX` per leader.
    completions: mpsc::UnboundedReceiver<Done>,
}

#[derive(Default)]
struct Partition {
    building: Option<Building>,
    /// Batches. Should its leader change meanwhile, the new one refuses the sequence of what would overtake them.
    in_flight: usize,
    next_sequence: i32,
    pace: Pace,
    ready: VecDeque<Batch>,
}

/// How many batches of a partition may be under way.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Pace {
    /// One, until it is acknowledged: the broker takes any sequence as the first that it hears of.
    #[default]
    Alone,
    /// None: one was not acknowledged, and there are some under way.
    Halted,
    Several,
}

/// The way to one leader.
#[derive(Default)]
struct Lane {
    /// Requests.
    in_flight: usize,
    /// Closed when the last of them is written, or never will be.
    written: Option<oneshot::Receiver<()>>,
}

struct Building {
    batch: BatchBuilder,
    first_number: u64,
    since: Instant,
}

/// Sealed. Sent again as it is.
struct Batch {
    bytes: Bytes,
    deadline: Instant,
    first_number: u64,
    records: i32,
}

/// A request has ended.
pub struct Done {
    leader: i32,
    batches: Vec<(i32, Batch)>,
    /// `None`: sent with acks=0.
    outcome: Result<Option<ProduceResponse>, CallError>,
}

impl Sender {
    pub fn new(
        session: Session,
        topic: String,
        partitions: i32,
        acks: i16,
        compression: Compression,
        identity: Option<(ProducerId, ProducerEpoch)>,
        batching: Batching,
    ) -> Sender {
        let (finished, completions) = mpsc::unbounded_channel();
        Sender {
            session,
            topic,
            acks,
            compression,
            identity,
            batching,
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            lanes: BTreeMap::new(),
            acknowledged: 0,
            buffered_bytes: 0,
            retry_at: None,
            finished,
            completions,
        }
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub fn buffered_bytes(&self) -> usize {
        self.buffered_bytes
    }

    /// Everything that was appended is acknowledged.
    pub fn is_empty(&self) -> bool {
        self.partitions.iter().all(Partition::is_empty)
    }

    /// Puts a record into the partition's batch. Answers whether that is full now.
    pub fn append(&mut self, partition: i32, input: &Input, now: Instant) -> bool {
        let timestamp = Timestamp(input.timestamp_ms.unwrap_or_else(|| self.session.env.clock.wall_ms()));
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            input.headers.iter().map(|(name, value)| (name.as_slice(), value.as_deref())).collect();
        let compression = self.compression;
        let place = &mut self.partitions[partition as usize];
        let new = || Building { batch: BatchBuilder::new(compression), first_number: input.number, since: now };
        let building = place.building.get_or_insert_with(new);
        let before = building.batch.size_bytes();
        building.batch.append_with_headers(timestamp, input.key.as_deref(), input.value.as_deref(), &headers);
        let after = building.batch.size_bytes();
        self.buffered_bytes += after - before;
        if after >= self.batching.bytes {
            self.seal(partition, now);
        }
        after >= self.batching.bytes
    }

    fn seal(&mut self, partition: i32, now: Instant) {
        let place = &mut self.partitions[partition as usize];
        let Some(Building { mut batch, first_number, .. }) = place.building.take() else { return };
        let records = batch.record_count();
        if let Some((producer_id, producer_epoch)) = self.identity {
            let sequence = Sequence(place.next_sequence);
            batch = batch.with_producer(producer_id, producer_epoch, sequence, false);
            place.next_sequence = sequence.advance(records).0;
        }
        let bytes: Bytes = batch.build().into();
        self.buffered_bytes = self.buffered_bytes + bytes.len() + record::HEADER_BYTES - batch.size_bytes();
        let deadline = now + self.session.timeout;
        place.ready.push_back(Batch { bytes, deadline, first_number, records });
    }

    /// Sends what is due. Answers when to be called again, if not by an event.
    pub fn dispatch(&mut self, now: Instant, flush: bool) -> Option<Instant> {
        let mut wake = self.retry_at.filter(|at| *at > now);
        if wake.is_some() {
            return wake;
        }
        self.retry_at = None;
        for index in 0..self.partitions.len() {
            let Some(building) = &self.partitions[index].building else { continue };
            let due = building.since + self.batching.linger;
            if flush || due <= now {
                self.seal(index as i32, now);
            } else {
                wake = Some(wake.map_or(due, |wake: Instant| wake.min(due)));
            }
        }
        let cluster = self.session.client.cluster();
        let leaders: Vec<i32> = match cluster.topic(&self.topic) {
            Some(topic) => topic.partitions.iter().map(|partition| partition.leader).collect(),
            None => Vec::new(),
        };
        let leader_of = |index: usize| leaders.get(index).copied().unwrap_or(-1);
        for leader in (0..self.partitions.len()).map(leader_of).collect::<BTreeSet<i32>>() {
            while self.lanes.entry(leader).or_default().in_flight < IN_FLIGHT_MAX {
                let batches = self.next_batches(|index| leader_of(index) == leader);
                if batches.is_empty() {
                    break;
                }
                self.send(leader, batches);
            }
        }
        wake
    }

    /// What one request may have.
    fn next_batches(&mut self, is_there: impl Fn(usize) -> bool) -> Vec<(i32, Batch)> {
        let mut batches = Vec::new();
        let mut size = 0;
        for index in (0..self.partitions.len()).filter(|index| is_there(*index)) {
            let Some(batch) = self.partitions[index].next(self.identity.is_some()) else { continue };
            size += batch.bytes.len();
            batches.push((index as i32, batch));
            if size >= REQUEST_BYTES {
                break;
            }
        }
        batches
    }

    fn send(&mut self, leader: i32, batches: Vec<(i32, Batch)>) {
        let data = |(index, batch): &(i32, Batch)| PartitionProduceData {
            index: *index,
            records: Some(batch.bytes.clone().into()),
            ..Default::default()
        };
        let topic = TopicProduceData {
            name: self.topic.clone(),
            partition_data: batches.iter().map(data).collect(),
            ..Default::default()
        };
        let timeout_ms = self.session.timeout_ms();
        let request = ProduceRequest { acks: self.acks, timeout_ms, topic_data: vec![topic], ..Default::default() };
        let client = self.session.client.clone();
        let (finished, timeout) = (self.finished.clone(), self.session.timeout);
        let lane = self.lanes.entry(leader).or_default();
        lane.in_flight += 1;
        let (written, is_written) = oneshot::channel::<()>();
        let before = lane.written.replace(is_written);
        let task = async move {
            let work = async {
                if let Some(before) = before {
                    let _ = before.await; // Closed, not told.
                }
                let connection = client.broker(leader, Purpose::General).await?;
                let version = connection.version_of(ApiKey::Produce, PRODUCE_VERSIONS)?;
                if request.acks == 0 {
                    return connection.tell(&request, version, timeout).await.map(|()| None);
                }
                let pending = connection.send(&request, version, timeout).await?;
                drop(written);
                pending.response().await?.into_owned().map(Some)
            };
            let outcome = work.await;
            let _ = finished.send(Done { leader, batches, outcome }); // The command may have ended.
        };
        self.session.env.spawn.task("produce", Box::pin(task));
    }

    /// The next request to end. Never ready while none is under way.
    pub async fn completion(&mut self) -> Done {
        self.completions.recv().await.expect("we hold a sender ourselves")
    }

    /// Takes note of a request's end. Answers which batches are acknowledged.
    pub async fn complete(&mut self, done: Done) -> Result<Vec<Acknowledged>, Failure> {
        let Done { leader, batches, outcome } = done;
        self.lanes.get_mut(&leader).expect("it was sent there").in_flight -= 1;
        let mut acknowledged = Vec::new();
        let mut begin_again = false;
        let mut answers = match &outcome {
            Ok(Some(response)) => {
                response.responses.iter().flat_map(|topic| &topic.partition_responses).collect::<Vec<_>>()
            }
            Ok(None) | Err(_) => Vec::new(),
        };
        for (index, batch) in batches {
            let answer = answers.iter().position(|answer| answer.index == index).map(|at| answers.swap_remove(at));
            let mut base_offset = -1;
            let error = match (&outcome, answer) {
                (Ok(None), _) => None, // acks=0: nobody knows more.
                (Ok(Some(_)), None) => Some(Failure::new("the broker's answer lacks a partition")),
                (Ok(Some(_)), Some(answer)) => {
                    base_offset = answer.base_offset;
                    self.refused(index, &batch, answer)?
                }
                (Err(error), _) if error.is_retriable() => Some(Failure::from(error.clone())),
                (Err(error), _) => return Err(self.lost(&batch, Failure::from(error.clone()))),
            };
            let again = match error {
                None => {
                    self.acknowledged += batch.records as u64;
                    acknowledged.push(Acknowledged { partition: index, base_offset, records: batch.records });
                    self.buffered_bytes = self.buffered_bytes.saturating_sub(batch.bytes.len());
                    None
                }
                Some(failure) if self.session.env.clock.now() + RETRY > batch.deadline => {
                    return Err(self.lost(&batch, Failure { exit: Exit::Unreachable, ..failure }));
                }
                Some(_) => Some(batch),
            };
            begin_again |= self.partitions[index as usize].came_back(again);
        }
        if begin_again {
            self.retry_at = Some(self.session.env.clock.now() + RETRY);
            // Another may lead by now. If nobody answers, the next attempt will say so.
            let names = [self.topic.clone()];
            let _ = self.session.client.metadata(Topics::Named { names: &names, create: false }).await;
        }
        Ok(acknowledged)
    }

    /// `None` if the batch was taken; the reason if it may be taken later; an error if never.
    fn refused(
        &self,
        index: i32,
        batch: &Batch,
        answer: &PartitionProduceResponse,
    ) -> Result<Option<Failure>, Failure> {
        let code = ErrorCode::from_code(answer.error_code).unwrap_or(ErrorCode::UnknownServerError);
        let place = format!("{}/{index}", self.topic);
        let failure = || Failure::of_code(&place, answer.error_code, answer.error_message.as_deref());
        match code {
            // The broker has it from an earlier attempt whose answer was lost.
            ErrorCode::None | ErrorCode::DuplicateSequenceNumber => Ok(None),
            code if code.is_retriable() => Ok(Some(failure())),
            // One before it was refused; what the broker misses if it went alone is lost.
            ErrorCode::OutOfOrderSequenceNumber if self.partitions[index as usize].pace != Pace::Alone => {
                Ok(Some(failure()))
            }
            _ => {
                let mut failure = failure();
                if let Some(record) = answer.record_errors.first() {
                    let number = batch.first_number + u64::try_from(record.batch_index).unwrap_or(0);
                    let why = record.batch_index_error_message.as_deref().unwrap_or("refused");
                    failure.what = format!("{}; record {number}: {why}", failure.what);
                }
                Err(self.lost(batch, failure))
            }
        }
    }

    fn lost(&self, batch: &Batch, mut failure: Failure) -> Failure {
        failure.what = format!(
            "{}; {} written, record {} and perhaps others not",
            failure.what,
            counted(self.acknowledged, "record"),
            batch.first_number
        );
        failure
    }
}

impl Partition {
    fn is_empty(&self) -> bool {
        self.building.is_none() && self.ready.is_empty() && self.in_flight == 0
    }

    /// The batch that may be sent now. One with no sequence goes alone: nobody could tell that it has overtaken another.
    fn next(&mut self, has_sequence: bool) -> Option<Batch> {
        let in_flight_max = match self.pace {
            Pace::Halted => 0,
            Pace::Several if has_sequence => IN_FLIGHT_MAX,
            Pace::Alone | Pace::Several => 1,
        };
        if self.in_flight >= in_flight_max {
            return None;
        }
        let batch = self.ready.pop_front()?;
        self.in_flight += 1;
        Some(batch)
    }

    /// One that was under way is acknowledged, or is to be sent `again`. Answers whether it is now that all go again.
    fn came_back(&mut self, again: Option<Batch>) -> bool {
        self.in_flight -= 1;
        match again {
            Some(batch) => {
                let at = self.ready.partition_point(|other| other.first_number < batch.first_number);
                self.ready.insert(at, batch);
                self.pace = Pace::Halted;
            }
            None if self.pace == Pace::Alone => self.pace = Pace::Several,
            None => {}
        }
        let begins_again = self.pace == Pace::Halted && self.in_flight == 0;
        if begins_again {
            self.pace = Pace::Alone;
        }
        begins_again
    }
}
