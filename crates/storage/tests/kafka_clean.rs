//! The same appends to Kafka 4.4's own log and to ours, then Kafka's `Cleaner` on the one and our compactor on the other, again
//! and again: the same batches are left, with the same records, producers and delete horizons. Keys repeat, vanish and come
//! back; producers are idempotent or not; time passes, so that tombstones go. Needs Java and the broker's jars, as
//! `kafka_append.rs` does; else it prints `not run: reason`, and fails if `OTTLA_TEST_COMPLETE` is 1.

mod java;
mod rig;

use std::time::Duration;

use bytes::Bytes;
use env::sim::Chance;
use java::{Directory, LEADER_EPOCH, Oracle, sized};
use record::{
    BatchBuilder, Batches, Compression, Decompressor, ProducerEpoch, ProducerId, Records, Sequence, Timestamp,
    TimestampType,
};
use rig::{Rig, contents, settings};
use storage::validate::{Origin, Rules, validate};
use storage::{Log, LogConfig};

const NOW: i64 = 1_700_000_000_000;
const LOGS: u64 = 12;
const ROUNDS: usize = 4;
const DELETE_RETENTION_MS: i64 = 1000;

#[test]
fn kafka_s_cleaner_leaves_the_same() {
    let Some(jars) = java::jars("broker", "kafka_2.13-4.4") else { return };
    let directory = Directory::new("kafka-clean");
    let mut kafka = Oracle::start(&jars, &directory.0);
    let mut seen = Seen::default();
    for seed in 0..LOGS {
        let mut chance = Chance::new(seed);
        let is_append_time = seed % 4 == 3;
        let mut both = Both::new(&mut kafka, is_append_time);
        for round in 0..ROUNDS {
            for _ in 0..chance.in_range(10..80) {
                if chance.happens(0.1) {
                    both.roll();
                }
                both.append(&mut chance);
            }
            // What is cleaned is closed.
            both.roll();
            both.append(&mut chance);
            both.now += chance.in_range(0..1500) as i64;
            both.clean();
            let (ours, theirs) = (contents(&both.log), both.kafka.ask(b"D"));
            assert_eq!(described(&ours), described(&theirs), "log {seed}, round {round}");
            seen.note(&ours);
        }
    }
    println!("{seen:?}");
    // If the generator no longer reaches one of these, it proves less than it did.
    let Seen { empty, with_horizon, with_gaps, tombstones, batches } = seen;
    assert!([empty, with_horizon, with_gaps, tombstones].iter().all(|count| *count >= 10), "{batches} batches");
}

/// What was left, in kinds.
#[derive(Debug, Default)]
struct Seen {
    batches: usize,
    empty: usize,
    with_horizon: usize,
    with_gaps: usize,
    tombstones: usize,
}

impl Seen {
    fn note(&mut self, bytes: &[u8]) {
        for batch in Batches::new(bytes) {
            let batch = batch.unwrap();
            self.batches += 1;
            self.empty += usize::from(batch.record_count() == 0);
            self.with_horizon += usize::from(batch.delete_horizon().is_some());
            let count = batch.record_count();
            self.with_gaps += usize::from(count > 0 && count <= batch.last_offset_delta());
            let mut decompressor = Decompressor::new();
            let body = decompressor.body(&batch, 1 << 20).unwrap();
            self.tombstones +=
                Records::new(&batch, body).unwrap().filter(|it| it.as_ref().unwrap().value.is_none()).count();
        }
    }
}

/// The same log twice.
struct Both<'a> {
    kafka: &'a mut Oracle,
    rig: Rig,
    log: std::sync::Arc<Log>,
    rules: Rules,
    now: i64,
    sequences: [i32; 3],
    first_dirty: i64,
    rolls: bool,
}

impl<'a> Both<'a> {
    fn new(kafka: &'a mut Oracle, is_append_time: bool) -> Both<'a> {
        let timestamp_type = if is_append_time { TimestampType::LogAppendTime } else { TimestampType::CreateTime };
        let name = if is_append_time { "LogAppendTime" } else { "CreateTime" };
        let properties = format!(
            "cleanup.policy=compact\nmessage.timestamp.type={name}\ndelete.retention.ms={DELETE_RETENTION_MS}\n"
        );
        kafka.ask_text(&[b"L", &sized(properties.as_bytes())[..]].concat());
        let rig = Rig::new(settings());
        let log = rig.create_with("a", config(false));
        let rules = Rules { compacted: true, timestamp_type, ..Rules::default() };
        Both { kafka, rig, log, rules, now: NOW, sequences: [0; 3], first_dirty: 0, rolls: false }
    }

    fn roll(&mut self) {
        // Kafka's log answers a roll of an empty segment by doing nothing; ours rolls with the next append.
        if !self.rolls {
            self.kafka.ask(b"R");
            self.rolls = true;
        }
    }

    fn append(&mut self, chance: &mut Chance) {
        self.now += chance.in_range(0..5) as i64;
        let bytes = self.batch(chance);
        let asked = [b"A", &i16::to_be_bytes(12)[..], &self.now.to_be_bytes(), &sized(&bytes)].concat();
        let answer = self.kafka.ask_text(&asked);
        assert!(answer.starts_with("ok "), "{answer}");
        let now = Timestamp(self.now);
        let origin = Origin::Client { produce_version: 12 };
        let validated = validate(&bytes, &self.rules, origin, now, &mut Decompressor::default()).unwrap();
        let segment_bytes = if std::mem::take(&mut self.rolls) { 1 } else { 1 << 30 };
        self.log.configure(LogConfig { segment_bytes, ..config(false) });
        self.log.append(&validated, &bytes, LEADER_EPOCH, now).unwrap();
    }

    fn batch(&mut self, chance: &mut Chance) -> Bytes {
        let mut builder = BatchBuilder::new(*chance.pick(&Compression::ALL));
        let producer = chance.index(5);
        let count = chance.in_range(1..6);
        if let Some(sequence) = self.sequences.get_mut(producer) {
            let id = ProducerId(100 + producer as i64);
            builder = builder.with_producer(id, ProducerEpoch(0), Sequence(*sequence), false);
            *sequence += count as i32;
        }
        for _ in 0..count {
            let key = format!("key-{}", chance.in_range(0..25));
            let value = format!("value-{}", chance.next_u64());
            let value = chance.happens(0.7).then_some(value.as_bytes());
            let timestamp = Timestamp(self.now - chance.in_range(0..50) as i64);
            builder.append_with_headers(timestamp, Some(key.as_bytes()), value, &[(b"h", Some(b"x"))]);
        }
        builder.build().into()
    }

    fn clean(&mut self) {
        let asked = [b"C", &self.first_dirty.to_be_bytes()[..], &self.now.to_be_bytes()].concat();
        self.first_dirty = self.kafka.ask_text(&asked).parse().unwrap();
        self.rig.world.set_wall_ms(self.now);
        // Both checkpoints know all of it first, so that one run does what Kafka's does.
        for _ in 0..2 {
            self.rig.run_for(Duration::from_secs(2));
            self.rig.dir.checkpoint();
            self.rig.run_for(Duration::from_millis(10));
        }
        self.log.learn_high_watermark(self.log.ends().durable_end);
        self.log.configure(config(true));
        let before = self.rig.dir.counters().compactions;
        self.rig.dir.compact();
        self.rig.run_for(Duration::from_millis(10));
        assert_eq!(self.rig.dir.counters().compactions, before + 1);
        self.log.configure(config(false));
    }
}

fn config(compacts: bool) -> LogConfig {
    LogConfig {
        compacts,
        deletes: false,
        dirty_ratio_min: 0.0,
        delete_retention_ms: DELETE_RETENTION_MS,
        ..LogConfig::default()
    }
}

/// Everything but how the codec has packed it.
fn described(bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.unwrap();
        assert!(batch.crc_is_valid());
        lines.push(format!(
            "batch {}..={} {:?} attributes {:x} producer {:?}/{:?}/{:?} {} to {} horizon {:?}, {} records",
            batch.base_offset(),
            batch.last_offset(),
            batch.partition_leader_epoch(),
            batch.attributes(),
            batch.producer_id(),
            batch.producer_epoch(),
            batch.base_sequence(),
            batch.base_timestamp().0,
            batch.max_timestamp().0,
            batch.delete_horizon(),
            batch.record_count(),
        ));
        let mut decompressor = Decompressor::new();
        let body = decompressor.body(&batch, 1 << 20).unwrap();
        for record in Records::new(&batch, body).unwrap() {
            let record = record.unwrap();
            let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            lines.push(format!(
                "  {} {} {:?} {:?} {}",
                record.offset,
                record.timestamp.0,
                text(record.key),
                text(record.value),
                record.headers.len()
            ));
        }
    }
    lines
}
