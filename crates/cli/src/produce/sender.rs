//! Batches on their way: one request per leader at a time, one batch per partition in it, in the order of the input.
//! A batch that was not acknowledged goes first again, with the same sequence, so nothing overtakes it and the broker
//! knows it if it has it already.
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use client::{CallError, Purpose, Topics};
use env::Instant;
use protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::produce_response::{PartitionProduceResponse, ProduceResponse};
use protocol::{ApiKey, ErrorCode};
use record::{BatchBuilder, Compression, ProducerEpoch, ProducerId, Sequence, Timestamp};
use tokio::sync::mpsc;

use super::input::Input;
use crate::connect::{RETRY, Session};
use crate::failure::{Exit, Failure};
use crate::table::counted;

const REQUEST_BYTES: usize = 8 << 20;
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
    /// Leaders with a request under way.
    busy: BTreeSet<i32>,
    acknowledged: u64,
    buffered_bytes: usize,
    /// Nothing is sent before this.
    retry_at: Option<Instant>,
    finished: mpsc::UnboundedSender<Done>, // At most one per leader.
    completions: mpsc::UnboundedReceiver<Done>,
}

#[derive(Default)]
struct Partition {
    building: Option<Building>,
    /// Its leader may change meanwhile; its next batch must not overtake.
    is_in_flight: bool,
    next_sequence: i32,
    ready: VecDeque<Batch>,
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
            busy: BTreeSet::new(),
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
        let is_idle = |partition: &Partition| partition.building.is_none() && partition.ready.is_empty();
        self.busy.is_empty() && self.partitions.iter().all(is_idle)
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
        let is_due = |partition: &Partition| !partition.is_in_flight && !partition.ready.is_empty();
        let waiting: BTreeSet<i32> =
            (0..self.partitions.len()).filter(|index| is_due(&self.partitions[*index])).map(leader_of).collect();
        for leader in waiting {
            if !self.busy.insert(leader) {
                continue;
            }
            let mut batches = Vec::new();
            let mut size = 0;
            for index in (0..self.partitions.len()).filter(|index| leader_of(*index) == leader) {
                let partition = &mut self.partitions[index];
                if partition.is_in_flight {
                    continue;
                }
                let Some(batch) = partition.ready.pop_front() else { continue };
                partition.is_in_flight = true;
                size += batch.bytes.len();
                batches.push((index as i32, batch));
                if size >= REQUEST_BYTES {
                    break;
                }
            }
            self.send(leader, batches);
        }
        wake
    }

    fn send(&self, leader: i32, batches: Vec<(i32, Batch)>) {
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
        let task = async move {
            let work = async {
                let connection = client.broker(leader, Purpose::General).await?;
                if request.acks == 0 {
                    let version = connection.version_of(ApiKey::Produce, PRODUCE_VERSIONS)?;
                    return connection.tell(&request, version, timeout).await.map(|()| None);
                }
                connection.call_within(&request, PRODUCE_VERSIONS, timeout).await.map(Some)
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
        self.busy.remove(&leader);
        let mut acknowledged = Vec::new();
        let mut answers = match &outcome {
            Ok(Some(response)) => {
                response.responses.iter().flat_map(|topic| &topic.partition_responses).collect::<Vec<_>>()
            }
            Ok(None) | Err(_) => Vec::new(),
        };
        for (index, batch) in batches {
            self.partitions[index as usize].is_in_flight = false;
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
            match error {
                None => {
                    self.acknowledged += batch.records as u64;
                    acknowledged.push(Acknowledged { partition: index, base_offset, records: batch.records });
                    self.buffered_bytes = self.buffered_bytes.saturating_sub(batch.bytes.len());
                }
                Some(failure) => self.again(index, batch, failure)?,
            }
        }
        if self.retry_at.is_some() {
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

    /// Puts a batch back to the front, until its time is over.
    fn again(&mut self, index: i32, batch: Batch, failure: Failure) -> Result<(), Failure> {
        let at = self.session.env.clock.now() + RETRY;
        if at > batch.deadline {
            let failure = Failure { exit: Exit::Unreachable, ..failure };
            return Err(self.lost(&batch, failure));
        }
        self.retry_at = Some(at);
        self.partitions[index as usize].ready.push_front(batch);
        Ok(())
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
