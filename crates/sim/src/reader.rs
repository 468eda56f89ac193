//! Reads partitions with Fetch and shows every batch to the ledger. One that follows several topics as a consumer does,
//! and one that reads everything from start to end.
use std::collections::BTreeMap;
use std::time::Duration;

use env::Env;
use env::sim::Chance;
use protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::fetch_response::FetchResponseView;
use protocol::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::{ErrorCode, Uuid, View as _};
use record::Batches;

use crate::ledger::{BatchKey, Deletion, Found, Ledger, Seen};
use crate::shared::{Phase, Shared};
use crate::wire::{Wire, WireError};

pub const FETCH_VERSION: i16 = 16;
pub const LIST_OFFSETS_VERSION: i16 = 8;
pub const EARLIEST: i64 = -2;
pub const LATEST: i64 = -1;

/// What one partition of a Fetch answered.
pub struct Fetched {
    pub error: ErrorCode,
    pub high_watermark: i64,
    pub log_start: i64,
    pub records: bytes::Bytes,
}

/// Fetches from some partitions of one topic, in one request.
pub async fn fetch(
    wire: &mut Wire,
    topic: Uuid,
    from: &[(usize, i64)],
    bytes_max: i32,
    wait: Duration,
) -> Result<BTreeMap<usize, Fetched>, WireError> {
    let partition = |(partition, offset): &(usize, i64)| FetchPartition {
        partition: *partition as i32,
        fetch_offset: *offset,
        partition_max_bytes: bytes_max,
        ..Default::default()
    };
    let topic = FetchTopic { topic_id: topic, partitions: from.iter().map(partition).collect(), ..Default::default() };
    let request = FetchRequest {
        max_wait_ms: wait.as_millis() as i32,
        min_bytes: 1,
        max_bytes: bytes_max.saturating_mul(4),
        topics: vec![topic],
        ..Default::default()
    };
    wire.send(&request, FETCH_VERSION).await?;
    let body = wire.receive_body::<FetchRequest>(FETCH_VERSION).await?;
    let response = FetchResponseView::decode(FETCH_VERSION, &body).expect("an answer to a Fetch");
    assert_eq!(response.error_code, 0, "a Fetch without a session");
    let partitions = response.responses.iter().flat_map(|topic| topic.partitions.iter());
    let fetched = partitions.map(|partition| {
        let records = partition.records.map_or_else(bytes::Bytes::new, |records| body.slice_ref(records));
        let fetched = Fetched {
            error: ErrorCode::from_code(partition.error_code).expect("an error of Kafka"),
            high_watermark: partition.high_watermark,
            log_start: partition.log_start_offset,
            records,
        };
        (partition.partition_index as usize, fetched)
    });
    Ok(fetched.collect())
}

pub async fn list_offset(
    wire: &mut Wire,
    name: &str,
    partition: usize,
    timestamp: i64,
) -> Result<(ErrorCode, i64), WireError> {
    let asked = ListOffsetsPartition { partition_index: partition as i32, timestamp, ..Default::default() };
    let topic = ListOffsetsTopic { name: name.to_owned(), partitions: vec![asked], ..Default::default() };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let response = wire.call(&request, LIST_OFFSETS_VERSION).await?;
    let answer = &response.topics[0].partitions[0];
    Ok((ErrorCode::from_code(answer.error_code).expect("an error of Kafka"), answer.offset))
}

/// Shows what was fetched from `offset` on to the ledger; returns the next offset. A last batch may be cut off.
pub fn show(
    ledger: &mut Ledger,
    (topic, partition): (Uuid, usize),
    offset: i64,
    fetched: &Fetched,
    heard: crate::ledger::Heard,
    mut each: impl FnMut(i64, BatchKey, Vec<(i64, u64)>),
) -> i64 {
    let mut next = offset;
    for batch in Batches::new(&fetched.records) {
        let Ok(batch) = batch else { break };
        let last = batch.last_offset().value();
        assert!(last >= next, "{}: asked for {next}, got a batch that ends at {last}", ledger.place(topic, partition));
        let seen = Seen { batch, high_watermark: fetched.high_watermark };
        let records = ledger.read(topic, partition, &seen, heard);
        each(batch.base_offset().value(), BatchKey::of(&batch), records);
        next = last + 1;
    }
    next
}

/// Follows all topics, and now and then looks at old records again.
pub struct Consumer {
    pub env: Env,
    pub shared: Shared,
    pub chance: Chance,
}

impl Consumer {
    pub async fn run(mut self) {
        while self.shared.phase() != Phase::Over {
            let _ = self.connected().await;
            let pause = Duration::from_micros(self.chance.in_range(500..20_000));
            self.env.clock.sleep_until(self.env.clock.now() + pause).await;
        }
    }

    async fn connected(&mut self) -> Result<(), WireError> {
        let mut wire = Wire::connect(&self.env, self.shared.address).await?;
        let life = self.shared.ledger().life();
        let mut offsets: BTreeMap<(Uuid, usize), i64> = BTreeMap::new();
        while self.shared.phase() != Phase::Over {
            self.shared.quiet().await;
            let Some((topic, from)) = self.choose(&offsets) else {
                self.env.clock.sleep_until(self.env.clock.now() + Duration::from_millis(5)).await;
                continue;
            };
            let bytes_max = *self.chance.pick(&[1 << 10, 16 << 10, 64 << 10, 256 << 10]);
            let wait = Duration::from_millis(self.chance.in_range(0..20));
            let fetched = fetch(&mut wire, topic, &from, bytes_max, wait).await?;
            for (partition, asked) in from {
                let fetched = fetched.get(&partition).expect("an answer for each partition");
                let next = self.take((topic, partition), asked, fetched, life);
                offsets.insert((topic, partition), next);
            }
        }
        Ok(())
    }

    /// A topic, and where to read on in its partitions; sometimes anywhere else.
    fn choose(&mut self, offsets: &BTreeMap<(Uuid, usize), i64>) -> Option<(Uuid, Vec<(usize, i64)>)> {
        let ledger = self.shared.ledger();
        let topics: Vec<Uuid> =
            ledger.topics.iter().filter(|(_, topic)| topic.deletion == Deletion::No).map(|(id, _)| *id).collect();
        if topics.is_empty() {
            return None;
        }
        let topic = *self.chance.pick(&topics);
        let partitions = ledger.topics[&topic].partitions.len();
        let mut from = |partition: usize| {
            let known = ledger.known_end(topic, partition);
            let offset = match offsets.get(&(topic, partition)) {
                _ if self.chance.happens(0.03) => self.chance.in_range(0..known as u64 + 1) as i64,
                Some(offset) => *offset,
                None => known,
            };
            (partition, offset)
        };
        Some((topic, (0..partitions).map(&mut from).collect()))
    }

    fn take(&mut self, place: (Uuid, usize), asked: i64, fetched: &Fetched, life: usize) -> i64 {
        let (topic, partition) = place;
        let heard = self.shared.heard_in(life);
        let mut ledger = self.shared.ledger();
        if ledger.topic(topic).deletion != Deletion::No {
            return 0;
        }
        match fetched.error {
            ErrorCode::None => show(&mut ledger, place, asked, fetched, heard, |_, _, _| {}),
            ErrorCode::OffsetOutOfRange => {
                self.shared.met("answer: offset out of range");
                let relaxed = ledger.topic(topic).was_relaxed;
                let may_be_gone = ledger.may_begin_above(topic, partition, asked);
                assert!(relaxed || may_be_gone, "{}: {asked} is out of range", ledger.place(topic, partition));
                // Anywhere else.
                let known = ledger.known_start(topic, partition)..ledger.known_end(topic, partition) + 1;
                if known.is_empty() { 0 } else { self.chance.in_range(known.start as u64..known.end as u64) as i64 }
            }
            error if error.is_retriable() => {
                if error == ErrorCode::KafkaStorageError {
                    self.shared.met("answer: kafka storage error to a fetch");
                }
                asked
            }
            error => panic!("{}: Fetch got {error}", ledger.place(topic, partition)),
        }
    }
}

/// How much of a partition is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    Whole,
    /// So many of its last bytes, unless it is compacted.
    Tail(usize),
}

/// Reads a partition, shows it to the ledger, and has it judged.
pub async fn verify(
    wire: &mut Wire,
    ledger: &impl LedgerOf,
    place: (Uuid, usize),
    extent: Extent,
) -> Result<(), WireError> {
    let (topic, partition) = place;
    let (name, heard) = ledger.with(|ledger| (ledger.topic(topic).name.clone(), ledger.life()));
    let heard = crate::ledger::Heard { life: heard, at: ledger.now() };
    let log_start = settled(wire, ledger, &name, partition, EARLIEST).await?;
    let log_end = settled(wire, ledger, &name, partition, LATEST).await?;
    let now = ledger.now();
    let tail_start = |ledger: &mut Ledger| match extent {
        Extent::Tail(bytes) if ledger.topic(topic).delete_retention.is_none() => {
            ledger.tail_start(topic, partition, bytes)
        }
        _ => log_start,
    };
    // What is known may be what was lost.
    let tail_start = Some(ledger.with(tail_start)).filter(|start| *start <= log_end);
    let from = tail_start.unwrap_or(log_start).max(log_start);
    let mut found = Found { log_start, from, log_end, batches: Vec::new(), records: Vec::new(), now };
    let mut next = from;
    while next < log_end {
        let mut fetched = fetch(wire, topic, &[(partition, next)], 1 << 20, Duration::from_millis(100)).await?;
        let fetched = fetched.remove(&partition).expect("an answer for the partition");
        match fetched.error {
            ErrorCode::None => {}
            // Retention has been at work meanwhile: begin again.
            ErrorCode::OffsetOutOfRange if ledger.with(|ledger| ledger.topic(topic).retention.is_some()) => {
                found.log_start = settled(wire, ledger, &name, partition, EARLIEST).await?;
                found.from = found.log_start;
                found.batches.clear();
                found.records.clear();
                next = found.log_start;
                continue;
            }
            error => panic!("{}: Fetch at {next} got {error}", ledger.with(|ledger| ledger.place(topic, partition))),
        }
        let (batches, records) = (&mut found.batches, &mut found.records);
        let each = |base, key, of_batch| {
            batches.push((base, key));
            records.extend::<Vec<(i64, u64)>>(of_batch);
        };
        let after = ledger.with(|ledger| show(ledger, place, next, &fetched, heard, each));
        assert!(
            after > next,
            "{}: nothing at {next}, below the end {log_end}",
            ledger.with(|ledger| ledger.place(topic, partition))
        );
        next = after;
    }
    found.now = ledger.now();
    ledger.with(|ledger| ledger.verify(topic, partition, &found));
    Ok(())
}

/// An offset, once the broker leads the partition.
async fn settled(
    wire: &mut Wire,
    ledger: &impl LedgerOf,
    name: &str,
    partition: usize,
    timestamp: i64,
) -> Result<i64, WireError> {
    for _ in 0..1000 {
        match list_offset(wire, name, partition, timestamp).await? {
            (ErrorCode::None, offset) => return Ok(offset),
            (error, _) if error.is_retriable() => ledger.pause(Duration::from_millis(5)).await,
            (error, _) => panic!("{name}-{partition}: ListOffsets got {error}"),
        }
    }
    panic!("{name}-{partition}: nobody leads it");
}

/// A ledger that is shared, or a copy of one.
pub trait LedgerOf {
    fn with<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T;
    fn now(&self) -> env::Instant;
    fn pause(&self, span: Duration) -> impl Future<Output = ()> + Send;
}
