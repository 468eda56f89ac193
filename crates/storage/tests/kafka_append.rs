//! Thousands of appends, good and bad, to Kafka 4.4's own `UnifiedLog` and to our checks: the same answer to each, in
//! the same words where a client sees them, and the same bytes in the log. Producers repeat, skip, wrap and change
//! epochs; batches lie about everything a header can lie about. Needs Java and the broker's jars (fetched by Maven
//! where they are not in `target/cache`); else it prints `not run: reason`, and fails if `OTTLA_TEST_COMPLETE` is 1.

mod java;

use std::collections::BTreeMap;

use env::sim::Chance;
use java::{Directory, LEADER_EPOCH, Oracle, sized};
use record::{
    BatchBuilder, BatchView, Compression, CompressionError, Decompressor, Offset, ProducerEpoch, ProducerId, Records,
    Sequence, Timestamp, TimestampType, TopicPartition,
};
use storage::producer_state::{Checked, ProducerError, ProducerState};
use storage::validate::{CompressionPolicy, Origin, Rules, ValidateError, validate};

const NOW: i64 = 1_700_000_000_000;
const LOGS: usize = 30;
const APPENDS: usize = 120;

#[test]
fn kafka_s_log_answers_the_same() {
    let Some(jars) = java::jars("broker", "kafka_2.13-4.4") else { return };
    let directory = Directory::new("kafka-append");
    let mut kafka = Oracle::start(&jars, &directory.0);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..LOGS {
        let mut chance = Chance::new(seed as u64);
        let (rules, properties) = configuration(&mut chance);
        kafka.ask_text(&[b"L", &sized(properties.as_bytes())[..]].concat());
        let partition = TopicPartition::new("t", seed as i32);
        let mut ottla = Ottla::new(rules);
        let mut producers = Producers::default();
        let mut history = Vec::new();
        for _ in 0..APPENDS {
            let (version, now) = (*chance.pick(&[3, 6, 7, 9, 12]), NOW + chance.in_range(0..1000) as i64);
            let bytes = producers.batch(&mut chance, now);
            let asked = [b"A", &i16::to_be_bytes(version)[..], &now.to_be_bytes(), &sized(&bytes)].concat();
            let expected = kafka.ask_text(&asked);
            let answer = ottla.append(version, Timestamp(now), &bytes, &partition);
            let kind = answer.code().to_string();
            history.push(format!("{kind} {:?}", BatchView::parse(&bytes)));
            assert!(
                answer.agrees_with(&expected),
                "log {seed}, {properties}: {answer:?} instead of {expected}\n{history:#?}"
            );
            if answer.is_ok() {
                producers.taken(&bytes);
            }
            *seen.entry(kind).or_default() += 1;
        }
        let kept = kafka.ask(b"D");
        compare_logs(&ottla.log, &kept, &format!("log {seed}, {properties}"));
    }
    println!("{seen:?}");
    // If the generator no longer reaches one of these, it proves less than it did.
    for code in [
        "CORRUPT_MESSAGE",
        "INVALID_PRODUCER_EPOCH",
        "INVALID_RECORD",
        "INVALID_TIMESTAMP",
        "MESSAGE_TOO_LARGE",
        "OUT_OF_ORDER_SEQUENCE_NUMBER",
        "UNSUPPORTED_COMPRESSION_TYPE",
        "duplicate",
        "ok",
    ] {
        assert!(seen.get(code).is_some_and(|count| *count >= 10), "{code} was seen too rarely: {seen:?}");
    }
}

/// A topic's configuration, in our words and in Kafka's.
fn configuration(chance: &mut Chance) -> (Rules, String) {
    let mut rules = Rules::default();
    let mut lines = vec!["segment.bytes=1073741824".to_string()];
    if chance.happens(0.3) {
        rules.compacted = true;
        lines.push("cleanup.policy=compact".to_string());
    }
    if chance.happens(0.5) {
        let compression = *chance.pick(&Compression::ALL);
        rules.compression = CompressionPolicy::Codec { compression, level: None };
        let name = if compression == Compression::None { "uncompressed" } else { compression.name() };
        lines.push(format!("compression.type={name}"));
    }
    if chance.happens(0.3) {
        rules.timestamp_type = TimestampType::LogAppendTime;
        lines.push("message.timestamp.type=LogAppendTime".to_string());
    }
    if chance.happens(0.5) {
        (rules.timestamp_before_max_ms, rules.timestamp_after_max_ms) = (5000, 3000);
        lines.push("message.timestamp.before.max.ms=5000\nmessage.timestamp.after.max.ms=3000".to_string());
    }
    if chance.happens(0.5) {
        rules.message_bytes_max = 700;
        lines.push("max.message.bytes=700".to_string());
    }
    if chance.happens(0.3) {
        rules.record_bytes_max = 250;
        lines.push("max.decompressed.message.bytes=250".to_string());
    }
    (rules, lines.join("\n"))
}

/// Three idempotent producers, and batches of none.
#[derive(Default)]
struct Producers {
    next: [(i16, i32); 3],
    sent: Vec<Vec<u8>>,
}

impl Producers {
    fn batch(&mut self, chance: &mut Chance, now: i64) -> Vec<u8> {
        if !self.sent.is_empty() && chance.happens(0.12) {
            // Repeated: one of the last of any producer.
            let newest = self.sent.len().saturating_sub(20);
            return self.sent[newest + chance.index(self.sent.len() - newest)].clone();
        }
        let mut builder = BatchBuilder::new(*chance.pick(&Compression::ALL));
        if chance.happens(0.6) {
            let which = chance.index(3);
            let (epoch, sequence) = self.next[which];
            let (epoch, sequence) = match chance.index(12) {
                0 => (epoch + 1, 0),
                1 => (epoch + 1, sequence),
                2 => (epoch - 1, sequence),
                3 => (epoch, sequence.wrapping_add(1)),
                4 => (epoch, sequence - 1),
                5 => (epoch, i32::MAX - 1),
                _ => (epoch, sequence),
            };
            let id = ProducerId(which as i64 + 100);
            builder = builder.with_producer(id, ProducerEpoch(epoch), Sequence(sequence), chance.happens(0.02));
        }
        for _ in 0..chance.in_range(1..6) {
            let age = match chance.index(12) {
                0 => 4000 + chance.in_range(0..2000) as i64,
                1 => -2000 - chance.in_range(0..2000) as i64,
                _ => chance.in_range(0..1000) as i64,
            };
            let timestamp = if chance.happens(0.05) { -1 } else { now - age };
            let value_bytes_max = if chance.happens(0.2) { 600 } else { 40 };
            let value = vec![b'v'; chance.index(value_bytes_max)];
            let key = (!chance.happens(0.05)).then_some(&b"key"[..]);
            let value = (!chance.happens(0.1)).then_some(&value[..]);
            let headers: &[(&[u8], Option<&[u8]>)] = if chance.happens(0.2) { &[(b"h", Some(b"x"))] } else { &[] };
            builder.append_with_headers(Timestamp(timestamp), key, value, headers);
        }
        if chance.happens(0.03) {
            builder.log_append_time = Some(Timestamp(now));
        }
        let bytes = builder.build();
        if chance.happens(0.3) { spoiled(bytes, chance) } else { bytes }
    }

    /// The producer goes on from here.
    fn taken(&mut self, bytes: &[u8]) {
        let Ok(batch) = BatchView::parse(bytes) else { return };
        self.sent.push(bytes.to_vec());
        if let Some(next) = usize::try_from(batch.producer_id().0 - 100).ok().and_then(|at| self.next.get_mut(at)) {
            *next = (batch.producer_epoch().0, batch.last_sequence().advance(1).0);
        }
    }
}

/// Something is wrong with it, mostly under a right checksum.
fn spoiled(mut bytes: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    match chance.index(15) {
        0 => put(0, &7i64.to_be_bytes()),
        1 => put(16, &[chance.index(5) as u8]),
        2 => put(21, &(chance.index(128) as i16).to_be_bytes()),
        3 => put(23, &(chance.in_range(0..8) as i32 - 2).to_be_bytes()),
        4 => put(57, &(chance.in_range(0..8) as i32 - 2).to_be_bytes()),
        5 => put(35, &i64::MAX.to_be_bytes()),
        6 => put(43, &(chance.in_range(0..4) as i64 - 2).to_be_bytes()),
        7 => put(53, &(chance.in_range(0..4) as i32 - 2).to_be_bytes()),
        8 => {
            bytes.push(0);
            let length = bytes.len() as i32 - 12;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
        }
        9 => {
            let both = (3i32, 2i32);
            put(57, &both.0.to_be_bytes());
            put(23, &both.1.to_be_bytes());
        }
        10 => {
            let at = 61 + chance.index(bytes.len() - 61);
            bytes[at] ^= 1 << chance.index(8);
        }
        11 => put(27, &(chance.next_u64() as i64).to_be_bytes()),
        12 => {
            let len = chance.index(bytes.len());
            bytes.truncate(len);
            return bytes;
        }
        13 => {
            let again = bytes.clone();
            bytes.extend_from_slice(&again[..chance.index(again.len() + 1)]);
            return bytes;
        }
        _ => {
            // The checksum does not follow.
            let at = 21 + chance.index(bytes.len() - 21);
            bytes[at] ^= 1 << chance.index(8);
            return bytes;
        }
    }
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// The part of a leader's append that this crate's checks decide.
struct Ottla {
    rules: Rules,
    producers: ProducerState,
    decompressor: Decompressor,
    log: Vec<u8>,
}

#[derive(Debug)]
enum Answer {
    Appended { first: i64, last: i64, append_time: i64 },
    Duplicate { first: i64, last: i64, append_time: i64 },
    Refused { code: &'static str, message: String, differs: Differs },
}

/// What of a refusal need not be as Kafka's.
#[derive(Debug, Eq, PartialEq)]
enum Differs {
    Nothing,
    /// Told to the broker's log only.
    Words,
    /// A body whose codec fails in the middle: Kafka has then looked at the records before, and may say that first.
    CodeAndWords,
}

impl Ottla {
    fn new(rules: Rules) -> Ottla {
        Ottla { rules, producers: ProducerState::new(Offset(0)), decompressor: Decompressor::new(), log: Vec::new() }
    }

    fn append(&mut self, produce_version: i16, now: Timestamp, bytes: &[u8], partition: &TopicPartition) -> Answer {
        let origin = Origin::Client { produce_version };
        let validated = match validate(bytes, &self.rules, origin, now, &mut self.decompressor) {
            Ok(validated) => validated,
            Err(error) => return refused(&error, partition),
        };
        let base = self.producers.end();
        let append_time = validated.log_append_time.map_or(-1, |time| time.0);
        if let Some(producer) = &validated.producer {
            match self.producers.check_client(producer, base, None) {
                Ok(Checked::Append) => {}
                Ok(Checked::Duplicate(original)) => {
                    let (first, last) = (original.first_offset().0, original.last_offset.0);
                    // Kafka gives the original's timestamp; the response hides it on topics of CreateTime.
                    return Answer::Duplicate { first, last, append_time: original.timestamp.0 };
                }
                Err(error) => return producer_refused(&error, partition),
            }
        }
        let last = base + i64::from(validated.last_offset_delta);
        match &validated.producer {
            Some(producer) => self.producers.apply_batch(producer, base, last, validated.max_timestamp),
            None => self.producers.apply_nothing(last.next()),
        }
        validated.write_to(&mut self.log, bytes, base, LEADER_EPOCH);
        Answer::Appended { first: base.0, last: last.0, append_time }
    }
}

impl Answer {
    fn is_ok(&self) -> bool {
        matches!(self, Answer::Appended { .. })
    }

    fn code(&self) -> &str {
        match self {
            Answer::Appended { .. } => "ok",
            Answer::Duplicate { .. } => "duplicate",
            Answer::Refused { code, .. } => code,
        }
    }

    fn agrees_with(&self, kafka: &str) -> bool {
        match self {
            Answer::Appended { first, last, append_time } | Answer::Duplicate { first, last, append_time } => {
                kafka == format!("ok {first} {last} {append_time}")
            }
            Answer::Refused { code, message, differs } => {
                let (kafka_code, kafka_message) = kafka.split_once('\n').unwrap_or((kafka, ""));
                match differs {
                    Differs::Nothing => kafka_code == *code && kafka_message == message,
                    Differs::Words => kafka_code == *code,
                    Differs::CodeAndWords => !kafka.starts_with("ok "),
                }
            }
        }
    }
}

/// The codes are those that stand at the variants.
fn refused(error: &ValidateError, partition: &TopicPartition) -> Answer {
    let (code, differs) = match error {
        ValidateError::BaseOffset { .. }
        | ValidateError::ControlBatch
        | ValidateError::ManyBatches { .. }
        | ValidateError::NoBatch { .. }
        | ValidateError::OffsetRange { .. }
        | ValidateError::OffsetsAndCount { .. }
        | ValidateError::OldMagic { .. }
        | ValidateError::RecordCount { .. }
        | ValidateError::RecordTooLarge { .. }
        | ValidateError::Sequence { .. } => ("INVALID_RECORD", Differs::Nothing),
        // These are told to the log only, and name what our parser saw.
        ValidateError::Record(_) => ("INVALID_RECORD", Differs::Words),
        ValidateError::Compression(CompressionError::TooLarge { .. }) => ("INVALID_RECORD", Differs::Words),
        ValidateError::Compression(_) => ("UNKNOWN_SERVER_ERROR", Differs::CodeAndWords),
        ValidateError::EndlessBatch | ValidateError::EndlessRecordSize { .. } => {
            ("UNKNOWN_SERVER_ERROR", Differs::Words)
        }
        ValidateError::Corrupt { .. } => ("CORRUPT_MESSAGE", Differs::Nothing),
        ValidateError::NotABatch(_) => ("CORRUPT_MESSAGE", Differs::Words),
        ValidateError::NotRebuildable { .. } => ("UNKNOWN_SERVER_ERROR", Differs::Words),
        ValidateError::RebuiltTooLarge { .. } => ("MESSAGE_TOO_LARGE", Differs::Words),
        ValidateError::Records(faults) => {
            let code = if faults.any_timestamp() { "INVALID_TIMESTAMP" } else { "INVALID_RECORD" };
            let mut message = faults.error_message(partition);
            for (index, text) in faults.record_errors(partition) {
                message.push_str(&format!("\n{index} {text}"));
            }
            return Answer::Refused { code, message, differs: Differs::Nothing };
        }
        ValidateError::TooLarge { .. } => ("MESSAGE_TOO_LARGE", Differs::Nothing),
        ValidateError::TooLargeForSegment { .. } => ("RECORD_LIST_TOO_LARGE", Differs::Nothing),
        ValidateError::ZstdNotAllowed { .. } => ("UNSUPPORTED_COMPRESSION_TYPE", Differs::Nothing),
    };
    Answer::Refused { code, message: error.message(partition), differs }
}

fn producer_refused(error: &ProducerError, partition: &TopicPartition) -> Answer {
    let code = match error {
        ProducerError::CoordinatorFenced { .. } => "TRANSACTION_COORDINATOR_FENCED",
        ProducerError::Epoch { .. } => "INVALID_PRODUCER_EPOCH",
        ProducerError::NewEpochSequence { .. }
        | ProducerError::OutOfOrder { .. }
        | ProducerError::Unverified { .. }
        | ProducerError::WithoutState { .. } => "OUT_OF_ORDER_SEQUENCE_NUMBER",
        ProducerError::TransactionOpen { .. } => "INVALID_TXN_STATE",
    };
    // Kafka prints the offset with a segment that it does not know yet.
    let is_open = matches!(error, ProducerError::TransactionOpen { .. });
    let differs = if is_open { Differs::Words } else { Differs::Nothing };
    Answer::Refused { code, message: error.message(partition), differs }
}

/// Batch by batch: the same header fields and the same records; the same bytes where no codec wrote them anew.
fn compare_logs(ours: &[u8], kafkas: &[u8], what: &str) {
    let (mut ours, mut kafkas) = (record::Batches::new(ours), record::Batches::new(kafkas));
    let (mut decompressor, mut other) = (Decompressor::new(), Decompressor::new());
    loop {
        let (our, kafka) = match (ours.next(), kafkas.next()) {
            (None, None) => return,
            (Some(Ok(our)), Some(Ok(kafka))) => (our, kafka),
            different => panic!("{what}: {different:?}"),
        };
        if our.bytes() == kafka.bytes() {
            continue;
        }
        let header = |batch: &BatchView<'_>| {
            let producer = (batch.producer_id(), batch.producer_epoch(), batch.base_sequence());
            let times = (batch.base_timestamp(), batch.max_timestamp());
            let place = (batch.base_offset(), batch.last_offset(), batch.partition_leader_epoch());
            (place, batch.attributes(), times, producer, batch.record_count())
        };
        assert_eq!(header(&our), header(&kafka), "{what}");
        assert!(our.crc_is_valid());
        let records = |batch: &BatchView<'_>, decompressor: &mut Decompressor| {
            let body = decompressor.body(batch, 1 << 20).unwrap();
            format!("{:?}", Records::new(batch, body).unwrap().map(Result::unwrap).collect::<Vec<_>>())
        };
        assert_eq!(records(&our, &mut decompressor), records(&kafka, &mut other), "{what}: {our:?}");
        let is_compressed = our.compression() != Ok(Compression::None);
        assert!(is_compressed, "{what}: the bytes of {our:?} differ, and no codec is to blame");
    }
}
