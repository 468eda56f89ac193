//! Reading partitions from their leaders: one fetch per leader at a time, each from where the last one ended. Yields
//! records in the order of their partition.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::{CallError, Purpose, Response, Topics};
use env::Instant;
use protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::{ApiKey, ErrorCode};
use record::{BatchError, Batches, Decompressor, Record, Records, TopicPartition};
use tokio::sync::mpsc;

use super::offsets;
use crate::connect::{RETRY, Session};
use crate::failure::Failure;

/// With topic names; 13 and later have ids.
const FETCH_VERSIONS: std::ops::RangeInclusive<i16> = 4..=12;
const MAX_WAIT_MS: i32 = 500;
const MAX_BYTES: i32 = 50 << 20;
const PARTITION_MAX_BYTES: i32 = 4 << 20;
/// No batch grows beyond this when it is decompressed.
const BATCH_BYTES_MAX: usize = 1 << 30;

pub struct Fetcher {
    positions: BTreeMap<TopicPartition, Position>,
    /// Leaders with a fetch under way.
    busy: BTreeSet<i32>,
    /// Counts assignments: what was asked for under an earlier one is not wanted any more.
    generation: u64,
    /// Nothing is asked before this.
    retry_at: Option<Instant>,
    /// A leader does not answer: since when it did not, not again and again.
    is_cut_off: bool,
    decompressor: Decompressor,
    finished: mpsc::UnboundedSender<Done>, // At most one per leader and generation.
    completions: mpsc::UnboundedReceiver<Done>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// The next offset to be read.
    pub next: i64,
    /// Where to stop.
    pub end: Option<i64>,
}

impl Position {
    fn is_open(&self) -> bool {
        self.end.is_none_or(|end| self.next < end)
    }
}

/// A fetch has ended.
pub struct Done {
    leader: i32,
    generation: u64,
    /// From asking to the answer.
    pub took: Duration,
    outcome: Result<Response<FetchRequest>, CallError>,
}

/// What a reader says to a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Go {
    On,
    /// Enough: this record was the last.
    Stop,
}

impl Fetcher {
    pub fn new() -> Fetcher {
        let (finished, completions) = mpsc::unbounded_channel();
        Fetcher {
            positions: BTreeMap::new(),
            busy: BTreeSet::new(),
            generation: 0,
            retry_at: None,
            is_cut_off: false,
            decompressor: Decompressor::new(),
            finished,
            completions,
        }
    }

    /// Reads these from now on, and nothing else.
    pub fn assign(&mut self, positions: BTreeMap<TopicPartition, Position>) {
        self.positions = positions;
        self.generation += 1;
        self.busy.clear();
    }

    pub fn positions(&self) -> &BTreeMap<TopicPartition, Position> {
        &self.positions
    }

    /// All partitions have been read to where reading ends.
    pub fn is_at_end(&self) -> bool {
        !self.positions.values().any(Position::is_open)
    }

    /// Asks every leader that is not being asked. Answers when to be called again, if not by an event.
    pub fn dispatch(&mut self, session: &Session, now: Instant) -> Option<Instant> {
        if let Some(at) = self.retry_at.filter(|at| *at > now) {
            return Some(at);
        }
        self.retry_at = None;
        let cluster = session.client.cluster();
        let mut by_leader: BTreeMap<i32, Vec<FetchTopic>> = BTreeMap::new();
        for (partition, position) in self.positions.iter().filter(|(_, position)| position.is_open()) {
            let leader = super::leader(&cluster, partition);
            if self.busy.contains(&leader) {
                continue;
            }
            let asked = FetchPartition {
                partition: partition.partition,
                fetch_offset: position.next,
                partition_max_bytes: PARTITION_MAX_BYTES,
                ..Default::default()
            };
            let topics = by_leader.entry(leader).or_default();
            match topics.last_mut().filter(|topic| topic.topic == *partition.topic) {
                Some(topic) => topic.partitions.push(asked),
                None => topics.push(FetchTopic {
                    topic: partition.topic.to_string(),
                    partitions: vec![asked],
                    ..Default::default()
                }),
            }
        }
        for (leader, topics) in by_leader {
            self.busy.insert(leader);
            self.send(session, leader, topics);
        }
        None
    }

    fn send(&self, session: &Session, leader: i32, topics: Vec<FetchTopic>) {
        let request =
            FetchRequest { max_wait_ms: MAX_WAIT_MS, min_bytes: 1, max_bytes: MAX_BYTES, topics, ..Default::default() };
        let (client, timeout) = (session.client.clone(), session.timeout);
        let (finished, generation) = (self.finished.clone(), self.generation);
        let (clock, began) = (session.env.clock.clone(), session.env.clock.now());
        let task = async move {
            let work = async {
                let connection = client.broker(leader, Purpose::Fetch).await?;
                let version = connection.version_of(ApiKey::Fetch, FETCH_VERSIONS)?;
                connection.send(&request, version, timeout).await?.response().await
            };
            let outcome = work.await;
            let took = clock.now().since(began);
            let _ = finished.send(Done { leader, generation, took, outcome }); // The command may have ended.
        };
        session.env.spawn.task("fetch", Box::pin(task));
    }

    /// The next fetch to end. Never ready while none is under way.
    pub async fn completion(&mut self) -> Done {
        self.completions.recv().await.expect("we hold a sender ourselves")
    }

    /// Gives the records of a fetch to `reader`, one by one. Trouble that will pass is said to `warn`.
    pub async fn complete(
        &mut self,
        session: &Session,
        done: Done,
        reader: &mut impl FnMut(&TopicPartition, &Record<'_>) -> Result<Go, Failure>,
        warn: impl FnOnce(&str),
    ) -> Result<Go, Failure> {
        if done.generation != self.generation {
            return Ok(Go::On);
        }
        self.busy.remove(&done.leader);
        let troubles = match done.outcome {
            Ok(response) => {
                self.is_cut_off = false;
                match self.read(&response, reader)? {
                    Read::Stopped => return Ok(Go::Stop),
                    Read::All(troubles) => troubles,
                }
            }
            Err(error) if error.is_retriable() => {
                if !self.is_cut_off {
                    warn(&format!("{error}; trying again"));
                    self.is_cut_off = true;
                }
                self.retry_at = Some(session.env.clock.now() + RETRY);
                refresh(session, self.positions.keys()).await;
                return Ok(Go::On);
            }
            Err(error) => return Err(error.into()),
        };
        for (partition, code) in troubles {
            self.overcome(session, partition, code).await?;
        }
        Ok(Go::On)
    }

    fn read(
        &mut self,
        response: &Response<FetchRequest>,
        reader: &mut impl FnMut(&TopicPartition, &Record<'_>) -> Result<Go, Failure>,
    ) -> Result<Read, Failure> {
        let view = response.view()?;
        if view.error_code != ErrorCode::None.code() {
            return Err(Failure::of_code("fetch", view.error_code, None));
        }
        let mut troubles = Vec::new();
        for topic in view.responses {
            for answer in topic.partitions {
                let partition = TopicPartition::new(topic.topic, answer.partition_index);
                let Some(position) = self.positions.get_mut(&partition) else { continue };
                match ErrorCode::from_code(answer.error_code).unwrap_or(ErrorCode::UnknownServerError) {
                    ErrorCode::None => {}
                    code => {
                        troubles.push((partition, code));
                        continue;
                    }
                }
                let bytes = answer.records.unwrap_or_default();
                if read_partition(&partition, position, bytes, &mut self.decompressor, reader)? == Go::Stop {
                    return Ok(Read::Stopped);
                }
            }
        }
        Ok(Read::All(troubles))
    }

    async fn overcome(&mut self, session: &Session, partition: TopicPartition, code: ErrorCode) -> Result<(), Failure> {
        let place = format!("{}/{}", partition.topic, partition.partition);
        match code {
            ErrorCode::OffsetOutOfRange => {
                // Retention was faster than we, or the log was cut. What is there is read.
                let only = [partition.clone()];
                let bounds = offsets::bounds(session, &only).await?[&partition];
                let position = self.positions.get_mut(&partition).expect("it was just read");
                position.next = if position.next > bounds.end { bounds.end } else { bounds.start };
                Ok(())
            }
            code if code.is_retriable() => {
                self.retry_at = Some(session.env.clock.now() + RETRY);
                refresh(session, self.positions.keys()).await;
                Ok(())
            }
            code => Err(Failure::of_code(&place, code.code(), None)),
        }
    }
}

enum Read {
    All(Vec<(TopicPartition, ErrorCode)>),
    Stopped,
}

/// Another may lead by now. If nobody answers, the next attempt will say so.
async fn refresh(session: &Session, partitions: impl Iterator<Item = &TopicPartition>) {
    let mut names: Vec<String> = partitions.map(|partition| partition.topic.to_string()).collect();
    names.dedup();
    let _ = session.client.metadata(Topics::Named { names: &names, create: false }).await;
}

fn read_partition(
    partition: &TopicPartition,
    position: &mut Position,
    bytes: &[u8],
    decompressor: &mut Decompressor,
    reader: &mut impl FnMut(&TopicPartition, &Record<'_>) -> Result<Go, Failure>,
) -> Result<Go, Failure> {
    let corrupt = |offset: i64, why: String| {
        Failure::new(format!("{}/{} is damaged at offset {offset}: {why}", partition.topic, partition.partition))
    };
    for batch in Batches::new(bytes) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(BatchError::Truncated { .. }) => break, // The answer's limit fell into it; it comes again.
            Err(error) => return Err(corrupt(position.next, error.to_string())),
        };
        let next = batch.next_offset().0;
        if next <= position.next {
            continue;
        }
        if !batch.crc_is_valid() {
            return Err(corrupt(batch.base_offset().0, "the checksum is wrong".to_owned()));
        }
        if !batch.is_control() {
            let body = decompressor
                .body(&batch, BATCH_BYTES_MAX)
                .map_err(|error| corrupt(batch.base_offset().0, error.to_string()))?;
            let records =
                Records::new(&batch, body).map_err(|error| corrupt(batch.base_offset().0, error.to_string()))?;
            for record in records {
                let record = record.map_err(|error| corrupt(batch.base_offset().0, error.to_string()))?;
                if record.offset.0 < position.next {
                    continue; // The batch begins before what was asked for.
                }
                if position.end.is_some_and(|end| record.offset.0 >= end) {
                    position.next = record.offset.0;
                    return Ok(Go::On);
                }
                let go = reader(partition, &record)?;
                position.next = record.offset.0 + 1;
                if go == Go::Stop {
                    return Ok(Go::Stop);
                }
            }
        }
        position.next = next;
    }
    Ok(Go::On)
}
