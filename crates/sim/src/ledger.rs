//! What the clients of one run know: each batch that was sent, what the broker said of it, and what was read. It judges:
//! an acknowledged batch is there, once, in order, unchanged; what is promised to be durable is; an offset never means
//! two things; nothing above the high watermark is read.
//!
//! It knows the simulated disk, but no word of the broker besides its answers.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use env::Instant;
use env::sim::Disk;
use protocol::Uuid;
use record::BatchView;
use rustc_hash::FxHashMap;

use crate::admin::TopicPlan;
use crate::batches::Made;
use crate::keyed::{Horizon, KeyedPartition};

/// What the clients' marks begin with: see [`Disk::watch_marks`]. No filler contains its first byte.
pub const MARK_PREFIX: [u8; 8] = *b"\xf1OTTLAsm";
/// And those of which nobody asks whether they are durable: the others of a batch, and all of one that is compressed.
pub const UNASKED_PREFIX: [u8; 8] = *b"\xf2OTTLAsm";

/// A batch, by what its producer stamped it with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct BatchKey {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub sequence: i32,
}

/// As it was sent.
#[derive(Clone, Debug)]
struct Sent {
    crc: u32,
    records: i32,
    size_bytes: usize,
    /// The mark of its first record.
    first_mark: u64,
    /// The mark of its last record; none if the records are compressed.
    mark: Option<u64>,
    /// Where it is, once that is known.
    offset: Option<i64>,
}

/// A batch at its place.
#[derive(Clone, Debug)]
struct Held {
    key: BatchKey,
    end: i64,
    heard: Heard,
    /// It must survive every power loss.
    promised: bool,
}

/// When something was heard, and in which life of the broker it was said.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    pub life: usize,
    pub at: Instant,
}

/// What power losses may take of a topic.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Promise {
    Durable,
    Relaxed,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Deletion {
    #[default]
    No,
    Asked,
    Done,
}

#[derive(Clone, Debug)]
pub struct TopicLedger {
    pub name: Arc<str>,
    pub promise: Promise,
    /// It is relaxed, or was: what a power loss took then may be noticed later.
    pub was_relaxed: bool,
    pub deletion: Deletion,
    /// Old segments go by themselves, after this time.
    pub retention: Option<Duration>,
    /// It is compacted: then what is known of its partitions is in `keyed`, record by record.
    pub delete_retention: Option<Duration>,
    /// Shared with the copies that judge other disks, until written.
    pub partitions: Vec<Arc<PartitionLedger>>,
    keyed: Vec<Arc<KeyedPartition>>,
}

#[derive(Clone, Debug, Default)]
pub struct PartitionLedger {
    sent: FxHashMap<BatchKey, Sent>,
    held: BTreeMap<i64, Held>,
    /// DeleteRecords was acknowledged up to here,
    log_start_least: i64,
    /// and asked for up to here.
    log_start_most: i64,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    pub acknowledged: u64,
    pub acknowledged_relaxed: u64,
    /// Of the durable ones, those to compacted topics.
    pub acknowledged_keyed: u64,
    pub commits: u64,
    pub duplicates: u64,
    pub lost_relaxed: u64,
    pub read: u64,
    pub verified: u64,
}

#[derive(Clone)]
pub struct Ledger {
    pub topics: BTreeMap<Uuid, TopicLedger>,
    pub counts: Counts,
    producer_ids: BTreeSet<i64>,
    /// When the power was lost, or a log directory.
    losses: Vec<Instant>,
    pub boots: u64,
    /// The whole broker, with all its log directories.
    pub is_up: bool,
    /// How much a power loss may take of a relaxed topic.
    window: Duration,
    /// How far two wall clocks may be apart.
    wall_ahead: Duration,
    /// What groups have committed, by group and partition of one topic.
    pub committed: BTreeMap<(String, i32), Committed>,
    /// Not in a copy that judges another disk.
    disk: Option<Disk>,
    /// It judges, and learns nothing: what it holds stays shared.
    is_copy: bool,
}

/// An offset that a group commits, which only grows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Committed {
    pub acknowledged: i64,
    pub sent: i64,
}

/// A batch as a broker gave it out.
pub struct Seen<'a> {
    pub batch: BatchView<'a>,
    pub high_watermark: i64,
}

/// What the log of a partition was found to be.
#[derive(Clone, Debug)]
pub struct Found {
    pub log_start: i64,
    /// It was read from here on: from the log start, or from a batch that is known to be above it.
    pub from: i64,
    pub log_end: i64,
    pub batches: Vec<(i64, BatchKey)>,
    /// Of a compacted topic: the offset and the mark of each record.
    pub records: Vec<(i64, u64)>,
    pub now: Instant,
}

/// Costs nothing until it is printed.
#[derive(Clone)]
pub struct Place {
    name: Arc<str>,
    topic: Uuid,
    partition: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{} ({})", self.name, self.partition, self.topic)
    }
}

impl fmt::Display for BatchKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.producer_id, self.producer_epoch, self.sequence)
    }
}

impl TopicLedger {
    fn partition(&mut self, index: usize) -> &mut PartitionLedger {
        Arc::make_mut(&mut self.partitions[index])
    }

    fn keyed(&mut self, index: usize) -> &mut KeyedPartition {
        Arc::make_mut(&mut self.keyed[index])
    }
}

impl BatchKey {
    pub fn of(batch: &BatchView<'_>) -> Self {
        Self {
            producer_id: batch.producer_id().value(),
            producer_epoch: batch.producer_epoch().value(),
            sequence: batch.base_sequence().value(),
        }
    }
}

/// The sequence after `records` more, which wraps at 2^31 - 1 (`DefaultRecordBatch.incrementSequence`).
pub fn sequence_after(sequence: i32, records: i32) -> i32 {
    ((i64::from(sequence) + i64::from(records)) % (1 << 31)) as i32
}

impl Ledger {
    pub fn new(disk: Option<Disk>, window: Duration) -> Self {
        Self {
            topics: BTreeMap::new(),
            counts: Counts::default(),
            producer_ids: BTreeSet::new(),
            losses: Vec::new(),
            boots: 0,
            is_up: false,
            window,
            wall_ahead: Duration::ZERO,
            committed: BTreeMap::new(),
            disk,
            is_copy: false,
        }
    }

    /// As it stands now, to judge what would be left if the power were lost at this moment. Costs little.
    pub fn as_if_power_was_lost(&self, now: Instant) -> Self {
        let mut copy = self.clone();
        copy.disk = None;
        copy.is_copy = true;
        copy.losses.push(now);
        copy
    }

    /// The broker's process has ended.
    pub fn went_down(&mut self, power_lost_at: Option<Instant>) {
        self.is_up = false;
        self.losses.extend(power_lost_at);
    }

    /// A log directory is offline: of a relaxed log in it the window may be lost, whenever the process ends.
    pub fn lost_sight(&mut self, now: Instant) {
        self.losses.push(now);
    }

    /// The broker's process is another one now, on this disk.
    pub fn booted(&mut self, disk: Option<Disk>) {
        self.boots += 1;
        self.is_up = true;
        self.disk = disk;
    }

    pub fn topic_created(&mut self, id: Uuid, plan: &TopicPlan) {
        let topic = TopicLedger {
            name: plan.name.into(),
            promise: plan.promise,
            was_relaxed: plan.promise == Promise::Relaxed,
            deletion: Deletion::No,
            retention: plan.retention,
            delete_retention: plan.delete_retention,
            partitions: vec![Arc::default(); plan.partitions],
            keyed: vec![Arc::default(); plan.partitions],
        };
        let before = self.topics.insert(id, topic);
        assert!(before.is_none(), "the id {id} was used before");
    }

    /// The broker's wall clock jumps, ahead of ours or of that of whoever judges its disk.
    pub fn wall_jumps(&mut self, by_ms: i64) {
        self.wall_ahead += Duration::from_millis(by_ms.unsigned_abs());
    }

    pub fn topic(&mut self, id: Uuid) -> &mut TopicLedger {
        self.topics.get_mut(&id).expect("a topic of ours")
    }

    /// From now on everything there is, and everything acknowledged later, survives. What was heard of in an earlier
    /// life may be gone already.
    pub fn promise_durable(&mut self, id: Uuid) {
        let life = self.life();
        let topic = self.topic(id);
        topic.promise = Promise::Durable;
        let partitions = topic.partitions.iter_mut().map(Arc::make_mut);
        for held in partitions.flat_map(|partition| partition.held.values_mut()) {
            held.promised |= held.heard.life == life;
        }
    }

    pub fn promise_relaxed(&mut self, id: Uuid) {
        let topic = self.topic(id);
        topic.promise = Promise::Relaxed;
        topic.was_relaxed = true;
    }

    pub fn producer_began(&mut self, id: i64) {
        assert!(self.producer_ids.insert(id), "the producer id {id} was given out twice");
    }

    pub fn sent(&mut self, topic: Uuid, partition: usize, made: &Made, now: Instant) {
        let batch = made.view();
        let sent = Sent {
            crc: batch.crc(),
            records: batch.record_count(),
            size_bytes: batch.size_bytes(),
            first_mark: made.first_mark,
            mark: made.mark,
            offset: None,
        };
        let topic = self.topic(topic);
        topic.keyed(partition).sent(&made.keyed, now);
        let before = topic.partition(partition).sent.insert(made.key, sent);
        assert!(before.is_none(), "the client used {} twice", made.key);
    }

    /// How many power losses there have been: what a client hears on a connection is of the life in which it connected.
    pub fn life(&self) -> usize {
        self.losses.len()
    }

    pub fn acknowledged(&mut self, topic: Uuid, partition: usize, key: BatchKey, offset: i64, heard: Heard) {
        let place = self.place(topic, partition);
        if self.topic(topic).delete_retention.is_some() {
            return self.acknowledged_keyed(topic, partition, key, offset);
        }
        let promised = self.topic(topic).promise == Promise::Durable;
        if let Some(mark) = self.sent_mark(topic, partition, key)
            && promised
            && !self.may_be_gone(topic, partition, offset)
        {
            self.check_durable(mark, || format!("{place}: {key} was acknowledged at {offset}"));
        }
        match promised {
            true => self.counts.acknowledged += 1,
            false => self.counts.acknowledged_relaxed += 1,
        }
        self.put(topic, partition, key, offset, heard);
    }

    fn acknowledged_keyed(&mut self, topic: Uuid, partition: usize, key: BatchKey, offset: i64) {
        let place = self.place(topic, partition);
        let mark = self.sent_mark(topic, partition, key);
        let Sent { first_mark, records, .. } = self.topic(topic).partitions[partition].sent[&key];
        let may_be_gone = self.topic(topic).retention.is_some();
        let keyed = self.topic(topic).keyed(partition);
        let answer = keyed.acknowledged(first_mark..first_mark + records as u64, offset);
        answer.unwrap_or_else(|why| panic!("{place}: {key} was acknowledged at {offset}: {why}"));
        if let Some(mark) = mark.filter(|mark| keyed.is_newest(*mark) && !may_be_gone) {
            self.check_durable(mark, || format!("{place}: {key} was acknowledged at {offset}"));
        }
        self.counts.acknowledged += 1;
        self.counts.acknowledged_keyed += 1;
    }

    fn read_keyed(&mut self, topic: Uuid, partition: usize, seen: &Seen<'_>) -> Vec<(i64, u64)> {
        let place = self.place(topic, partition);
        let base = seen.batch.base_offset();
        let is_copy = self.is_copy;
        let topic = self.topic(topic);
        let found = topic.keyed[partition].read(&seen.batch);
        let found = found.and_then(|found| {
            match is_copy {
                true => topic.keyed[partition].may_be_at(&found)?,
                false => topic.keyed(partition).are_at(&found)?,
            }
            Ok(found)
        });
        self.counts.read += 1;
        found.unwrap_or_else(|why| panic!("{place}: the batch at {base} was read: {why}"))
    }

    /// A batch that was acknowledged before came again: it is where it was.
    pub fn acknowledged_again(&mut self, topic: Uuid, partition: usize, key: BatchKey, offset: i64, heard: Heard) {
        self.counts.duplicates += 1;
        self.put(topic, partition, key, offset, heard);
    }

    /// A batch was read. Returns what a compacted topic's holds: the offset and the mark of each record.
    pub fn read(&mut self, topic: Uuid, partition: usize, seen: &Seen<'_>, heard: Heard) -> Vec<(i64, u64)> {
        let place = self.place(topic, partition);
        let (base, key) = (seen.batch.base_offset().value(), BatchKey::of(&seen.batch));
        // Kafka may answer with a high watermark that it took before it read.
        assert!(
            seen.batch.last_offset().value() < seen.high_watermark || self.disk.is_none(),
            "{place}: {key} at {base} was read, above the high watermark {}",
            seen.high_watermark
        );
        assert!(seen.batch.crc_is_valid(), "{place}: {key} at {base} is damaged");
        let ledger = &self.topics[&topic];
        if ledger.delete_retention.is_some() {
            return self.read_keyed(topic, partition, seen);
        }
        let promised = ledger.promise == Promise::Durable;
        let Some(sent) = ledger.partitions[partition].sent.get(&key) else {
            panic!("{place}: {key} at {base} was never sent there");
        };
        assert_eq!(
            (seen.batch.crc(), seen.batch.record_count(), seen.batch.size_bytes()),
            (sent.crc, sent.records, sent.size_bytes),
            "{place}: {key} at {base} is not what was sent"
        );
        if let Some(mark) = sent.mark
            && promised
            && !self.may_be_gone(topic, partition, base)
        {
            self.check_durable(mark, || format!("{place}: {key} at {base} was read"));
        }
        self.counts.read += 1;
        self.put(topic, partition, key, base, heard);
        Vec::new()
    }

    fn sent_mark(&mut self, topic: Uuid, partition: usize, key: BatchKey) -> Option<u64> {
        let place = self.place(topic, partition);
        let sent = self.topic(topic).partitions[partition].sent.get(&key);
        sent.unwrap_or_else(|| panic!("{place}: an answer for {key}, which was never sent")).mark
    }

    /// By the time that an answer comes, also with its topic.
    fn may_be_gone(&self, topic: Uuid, partition: usize, offset: i64) -> bool {
        self.topics[&topic].deletion != Deletion::No || self.may_begin_above(topic, partition, offset)
    }

    fn check_durable(&self, mark: u64, what: impl FnOnce() -> String) {
        if let Some(disk) = &self.disk {
            assert!(disk.is_mark_durable(mark), "{}, and is not durable", what());
        }
    }

    /// A batch is known to be at this offset.
    fn put(&mut self, topic: Uuid, partition: usize, key: BatchKey, base: i64, heard: Heard) {
        let place = self.place(topic, partition);
        let ledger = &self.topics[&topic];
        let promised = ledger.promise == Promise::Durable;
        let sent = ledger.partitions[partition].sent.get(&key).expect("looked for by the caller");
        let (end, known) = (base + i64::from(sent.records), sent.offset);
        if known == Some(base) && self.is_copy {
            return; // Then nothing else is known to be here.
        }
        if self.is_copy {
            // What was known to be elsewhere, or here, is lost there.
            let elsewhere = known.filter(|known| *known != base);
            let other = self.conflict(topic, partition, base..end).filter(|(_, held)| held.key != key);
            for lost in elsewhere.into_iter().chain(other.map(|(other, _)| other)) {
                let held = &ledger.partitions[partition].held[&lost];
                self.may_be_lost(&place, lost, held, &format!("{key} is at {base}"));
            }
            return;
        }
        if known == Some(base) {
            let held = &ledger.partitions[partition].held[&base];
            let is_news = heard.life > held.heard.life; // It has come through what happened since.
            if is_news || promised && !held.promised {
                let held = self.topic(topic).partition(partition).held.get_mut(&base).expect("as before");
                held.heard = if is_news { heard } else { held.heard };
                held.promised |= promised;
            }
            return;
        }
        if let Some(known) = known {
            // Read before a power loss, lost in it, and sent again because nobody had acknowledged it.
            let why = format!("{key} is at {base}, and at {known} too");
            assert!(ledger.partitions[partition].held[&known].heard.life < heard.life, "{place}: {why}");
            self.lose_from(topic, partition, known, heard.life, &why);
        }
        // Whatever else was known to be here, or above, must be what a power loss was allowed to take.
        while let Some((other, held)) = self.conflict(topic, partition, base..end) {
            let why = format!("{key} is at {base}, and {} at {other}..{}", held.key, held.end);
            assert!(held.heard.life < heard.life, "{place}: an offset means two things: {why}");
            self.lose_from(topic, partition, other, heard.life, &why);
        }
        let partition = self.topic(topic).partition(partition);
        partition.sent.get_mut(&key).expect("as before").offset = Some(base);
        partition.held.insert(base, Held { key, end, heard, promised });
    }

    /// A batch that is known to be at some of these offsets.
    fn conflict(&self, topic: Uuid, partition: usize, offsets: Range<i64>) -> Option<(i64, Held)> {
        let held = &self.topics[&topic].partitions[partition].held;
        let before = held.range(..offsets.start).next_back().filter(|(_, held)| held.end > offsets.start);
        let first = before.or_else(|| held.range(offsets).next());
        first.map(|(base, held)| (*base, held.clone()))
    }

    /// What was known to be here before this life is gone, and with it what was known above it no later: fails if that was
    /// not allowed. What was heard of above it since may have come after the loss.
    fn lose_from(&mut self, topic: Uuid, partition: usize, offset: i64, life: usize, why: &str) {
        let place = self.place(topic, partition);
        let above = self.topic(topic).partition(partition).held.split_off(&offset);
        let last_seen = above[&offset].heard.life.min(life - 1);
        let (lost, kept): (BTreeMap<i64, Held>, _) =
            above.into_iter().partition(|(_, held)| held.heard.life <= last_seen);
        self.topic(topic).partition(partition).held.extend(kept);
        for (base, held) in lost {
            self.may_be_lost(&place, base, &held, why);
            self.counts.lost_relaxed += 1;
            // It may come to another place if its producer sends it again; ours do not, but it is no longer here.
            self.topic(topic).partition(partition).sent.get_mut(&held.key).expect("was sent").offset = None;
        }
    }

    fn may_be_lost(&self, place: &Place, base: i64, held: &Held, why: &str) {
        assert!(!held.promised, "{place}: {} at {base} is gone: {why}", held.key);
        let Some(loss) = self.losses.get(held.heard.life) else {
            panic!("{place}: {} at {base} is gone without a power loss: {why}", held.key);
        };
        assert!(
            held.heard.at + self.window >= *loss,
            "{place}: {} at {base} is gone, known {:?} before the power was lost: {why}",
            held.key,
            *loss - held.heard.at
        );
    }

    pub fn delete_records_asked(&mut self, topic: Uuid, partition: usize, offset: i64) {
        let partition = self.topic(topic).partition(partition);
        partition.log_start_most = partition.log_start_most.max(offset);
    }

    pub fn delete_records_done(&mut self, topic: Uuid, partition: usize, log_start: i64) {
        let place = self.place(topic, partition);
        let has_retention = self.topic(topic).retention.is_some();
        let partition = self.topic(topic).partition(partition);
        assert!(
            log_start <= partition.log_start_most || has_retention,
            "{place}: the log start {log_start} is above all that was asked for, {}",
            partition.log_start_most
        );
        partition.log_start_least = partition.log_start_least.max(log_start);
    }

    /// A broker says that the log begins here.
    pub fn log_start_seen(&mut self, topic: Uuid, partition: usize, log_start: i64) {
        let place = self.place(topic, partition);
        let least = self.topic(topic).partitions[partition].log_start_least;
        assert!(log_start >= least, "{place}: the log start {log_start} is back below {least}");
        self.log_start_is_allowed(topic, partition, log_start);
    }

    /// It is not above all that anybody has asked to be deleted.
    pub fn log_start_is_allowed(&mut self, topic: Uuid, partition: usize, log_start: i64) {
        let place = self.place(topic, partition);
        let has_retention = self.topic(topic).retention.is_some();
        let partition = &self.topic(topic).partitions[partition];
        assert!(
            log_start <= partition.log_start_most || has_retention,
            "{place}: the log start {log_start} is above all that was asked for, {}",
            partition.log_start_most
        );
    }

    /// Whether the log may have lost everything up to this offset to DeleteRecords or retention.
    pub fn may_begin_above(&self, topic: Uuid, partition: usize, offset: i64) -> bool {
        let topic = &self.topics[&topic];
        topic.retention.is_some() || offset < topic.partitions[partition].log_start_most
    }

    /// What DeleteRecords was acknowledged for.
    pub fn known_start(&self, topic: Uuid, partition: usize) -> i64 {
        self.topics[&topic].partitions[partition].log_start_least
    }

    /// The end of what is known of a partition.
    pub fn known_end(&self, topic: Uuid, partition: usize) -> i64 {
        let topic = &self.topics[&topic];
        let end = topic.partitions[partition].held.last_key_value().map_or(0, |(_, held)| held.end);
        end.max(topic.keyed[partition].known_end())
    }

    /// Where the batches begin that are the last so many bytes of what is known of a partition.
    pub fn tail_start(&self, topic: Uuid, partition: usize, tail_bytes: usize) -> i64 {
        let partition = &self.topics[&topic].partitions[partition];
        let mut bytes = 0;
        let tail = partition.held.iter().rev().take_while(|(_, held)| {
            bytes += partition.sent[&held.key].size_bytes;
            bytes <= tail_bytes
        });
        tail.last().map_or(0, |(base, _)| *base)
    }

    /// The first offset above this one at which something is known to be.
    pub fn next_known(&self, topic: Uuid, partition: usize, above: i64) -> Option<i64> {
        let topic = &self.topics[&topic];
        let held = topic.partitions[partition].held.range(above + 1..).next().map(|(base, _)| *base);
        held.or_else(|| topic.keyed[partition].next_known(above))
    }

    /// Where something is that must have survived whatever may happen to a power supply.
    pub fn must_be_there(&self, topic: Uuid, partition: usize, log_start: i64) -> Vec<i64> {
        let of_topic = &self.topics[&topic];
        let held = of_topic.partitions[partition].held.range(log_start..);
        let held = held.filter(|(base, held)| held.promised && !self.may_begin_above(topic, partition, **base));
        let newest = of_topic.keyed[partition].newest_values().filter(|_| of_topic.retention.is_none());
        held.map(|(base, _)| *base).chain(newest).collect()
    }

    /// Judges a log, read to its end by [`Ledger::read`]; one that is compacted from its start.
    pub fn verify(&mut self, topic: Uuid, partition: usize, found: &Found) {
        let place = self.place(topic, partition);
        let life = self.life();
        self.log_start_seen(topic, partition, found.log_start);
        if let Some(delete_retention) = self.topic(topic).delete_retention {
            let (retention, wall_ahead) = (self.topic(topic).retention, self.wall_ahead);
            let horizon = Horizon { delete_retention, retention, now: found.now, wall_ahead };
            let end = self.known_end(topic, partition);
            assert!(found.log_end >= end, "{place}: the log ends at {}, and went up to {end}", found.log_end);
            let judged = self.topic(topic).keyed[partition].verify(&found.records, horizon);
            judged.unwrap_or_else(|why| panic!("{place}: {why}: the log is {}..{}", found.log_start, found.log_end));
            self.counts.verified += found.batches.len() as u64;
            return;
        }
        self.check_contiguous(&place, topic, partition, found);
        loop {
            let held = &self.topic(topic).partitions[partition].held;
            let first = held.range(..found.from).next_back().filter(|(_, held)| held.end > found.from);
            let mut there = found.batches.iter().map(|(base, _)| base).peekable();
            let mut is_there = |base: &i64| {
                while there.next_if(|found| *found < base).is_some() {}
                there.peek() == Some(&base)
            };
            let missing = first.into_iter().chain(held.range(found.from..)).find(|(base, _)| !is_there(base));
            let Some((base, held)) = missing.map(|(base, held)| (*base, held.clone())) else { break };
            let why = format!("the log is {}..{}", found.log_start, found.log_end);
            assert!(held.heard.life < life, "{place}: {} at {base} is gone: {why}", held.key);
            self.lose_from(topic, partition, base, life, &why);
        }
        self.counts.verified += found.batches.len() as u64;
    }

    /// Offsets leave no gap, and each producer's sequence leaves none.
    fn check_contiguous(&mut self, place: &Place, topic: Uuid, partition: usize, found: &Found) {
        let partition = &self.topic(topic).partitions[partition];
        let mut next = None;
        let mut sequences = BTreeMap::new();
        for (base, key) in &found.batches {
            let records = partition.sent[key].records;
            match next {
                None => assert!(*base <= found.from, "{place}: nothing between {} and {base}", found.from),
                Some(next) => assert_eq!(*base, next, "{place}: a gap, or a step back"),
            }
            next = Some(base + i64::from(records));
            let expected =
                sequences.insert((key.producer_id, key.producer_epoch), sequence_after(key.sequence, records));
            if let Some(expected) = expected {
                assert_eq!(key.sequence, expected, "{place}: {key} at {base} is not the next of its producer");
            }
        }
        let end = next.unwrap_or(found.from);
        assert_eq!(end, found.log_end, "{place}: the log ends elsewhere than its last batch");
    }

    /// What a partition is called in a complaint.
    pub fn place(&self, topic: Uuid, partition: usize) -> Place {
        Place { name: self.topics[&topic].name.clone(), topic, partition }
    }
}
