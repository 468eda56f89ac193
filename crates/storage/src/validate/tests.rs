//! What a client may send and what it may not, in Kafka's words.

use record::control::EndTxnMarker;
use record::{
    BatchBuilder, BatchMut, CompressionError, ProducerEpoch, ProducerId, RecordError, Records, Sequence, TopicPartition,
};

use super::*;

const NOW: i64 = 1_700_000_000_000;
const CLIENT: Origin = Origin::Client { produce_version: 12 };

fn check(bytes: &[u8], rules: &Rules) -> Result<Validated, ValidateError> {
    validate(bytes, rules, CLIENT, Timestamp(NOW), &mut Decompressor::new())
}

fn refused(bytes: &[u8], rules: &Rules) -> ValidateError {
    check(bytes, rules).expect_err("a batch that must not be taken")
}

fn stored(validated: &Validated, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    validated.write_to(&mut out, bytes, Offset(500), LeaderEpoch(7));
    assert_eq!(out.len(), validated.size_bytes());
    out
}

/// Three records of the last milliseconds; the second is the newest.
fn builder(compression: Compression) -> BatchBuilder {
    let mut builder = BatchBuilder::new(compression);
    builder.append(Timestamp(NOW - 2), Some(b"a"), Some(b"1"));
    builder.append(Timestamp(NOW), Some(b"b"), Some(b"2"));
    builder.append(Timestamp(NOW - 1), Some(b"c"), None);
    builder
}

fn batch() -> Vec<u8> {
    builder(Compression::None).build()
}

/// Overwrites header fields and makes the checksum right again.
fn edited<const N: usize>(mut bytes: Vec<u8>, at: usize, field: [u8; N]) -> Vec<u8> {
    bytes[at..at + N].copy_from_slice(&field);
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

#[test]
fn a_good_batch_is_stored_as_it_came_but_for_its_place() {
    for compression in Compression::ALL {
        let bytes = builder(compression).build();
        let validated = check(&bytes, &Rules::default()).unwrap();
        assert!(!validated.is_rebuilt());
        assert_eq!((validated.max_timestamp, validated.max_timestamp_offset_delta), (Timestamp(NOW), 1));
        assert_eq!((validated.record_count, validated.last_offset_delta), (3, 2));
        assert_eq!((validated.compression, validated.log_append_time), (compression, None));
        let stored = stored(&validated, &bytes);
        let mut expected = bytes.clone();
        let mut patched = BatchMut::parse(&mut expected).unwrap();
        patched.set_base_offset(Offset(500));
        patched.set_partition_leader_epoch(LeaderEpoch(7));
        assert_eq!(stored, expected);
    }
}

#[test]
fn exactly_one_batch_of_magic_2() {
    let rules = Rules::default();
    let version = |error: &ValidateError| error.message(&partition());
    let none = refused(&[], &rules);
    assert_eq!(none, ValidateError::NoBatch { produce_version: 12 });
    assert_eq!(version(&none), "Produce requests with version 12 must have at least one record batch per partition");
    assert_eq!(refused(&batch()[..40], &rules), ValidateError::NoBatch { produce_version: 12 });
    let two = refused(&[batch(), batch()].concat(), &rules);
    assert_eq!(two, ValidateError::ManyBatches { produce_version: 12 });
    // What is cut off behind the first is left out.
    let cut_off = [batch(), batch()[..70].to_vec()].concat();
    assert_eq!(check(&cut_off, &rules).unwrap().size_bytes(), batch().len());
    for magic in [0, 1] {
        let old = edited(batch(), 16, [magic]);
        assert_eq!(refused(&old, &rules), ValidateError::OldMagic { produce_version: 12 });
    }
    let unknown = edited(batch(), 16, [3]);
    assert_eq!(refused(&unknown, &rules), ValidateError::NotABatch(BatchError::UnsupportedMagic { magic: 3 }));
    let told = refused(&unknown, &rules).response_message(&partition());
    assert_eq!(told.as_deref(), Some("Invalid magic found in record: 3"));
    let small = edited(batch(), 8, 3i32.to_be_bytes());
    let error = refused(&small, &rules);
    assert_eq!(error, ValidateError::NotABatch(BatchError::TooSmall { length: 3 }));
    let told = error.response_message(&partition());
    assert_eq!(told.as_deref(), Some("Record size 3 is less than the minimum record overhead (14)"));
}

#[test]
fn the_header_must_agree_with_itself() {
    let rules = Rules::default();
    let text = |error: ValidateError| error.message(&partition());
    let mut corrupt = batch();
    *corrupt.last_mut().unwrap() ^= 1;
    let crc = BatchView::parse(&corrupt).unwrap().crc();
    let error = refused(&corrupt, &rules);
    assert_eq!(error, ValidateError::Corrupt { crc });
    assert_eq!(text(error), format!("Record is corrupt (stored crc = {crc}) in topic partition t-0."));

    let shifted = edited(batch(), 0, 5i64.to_be_bytes());
    assert_eq!(refused(&shifted, &rules), ValidateError::BaseOffset { base_offset: Offset(5) });
    let backwards = edited(batch(), 23, (-2i32).to_be_bytes());
    let error = refused(&backwards, &rules);
    assert_eq!(text(error), "Batch has an invalid offset range: [0, -2] in topic partition t-0");
    let empty = edited(batch(), 57, 0i32.to_be_bytes());
    assert_eq!(refused(&empty, &rules), ValidateError::RecordCount { count: 0 });
    let counted = edited(batch(), 57, 2i32.to_be_bytes());
    let error = refused(&counted, &rules);
    assert_eq!(error, ValidateError::OffsetsAndCount { first: Offset(0), last: Offset(2), count: 2 });
    let marker = EndTxnMarker { committed: true, coordinator_epoch: 1 };
    let control = record::builder::end_txn_marker(Timestamp(NOW), ProducerId(1), ProducerEpoch(0), marker);
    assert_eq!(refused(&control, &rules), ValidateError::ControlBatch);
    let validated = validate(&control, &rules, Origin::Coordinator, Timestamp(NOW), &mut Decompressor::new()).unwrap();
    assert_eq!(validated.marker, Some(marker));
    let idempotent = builder(Compression::None).with_producer(ProducerId(9), ProducerEpoch(0), Sequence(-1), false);
    let error = refused(&idempotent.build(), &rules);
    assert_eq!(error, ValidateError::Sequence { base_sequence: Sequence(-1), producer_id: ProducerId(9) });
}

#[test]
fn sizes_are_bounded_before_anything_is_decompressed() {
    let bytes = batch();
    let (size_bytes, exact) = (bytes.len(), bytes.len());
    assert!(check(&bytes, &Rules { message_bytes_max: exact, ..Rules::default() }).is_ok());
    let rules = Rules { message_bytes_max: exact - 1, ..Rules::default() };
    assert_eq!(refused(&bytes, &rules), ValidateError::TooLarge { size_bytes, size_bytes_max: exact - 1 });
    let rules = Rules { segment_bytes_max: exact - 1, ..Rules::default() };
    assert_eq!(refused(&bytes, &rules), ValidateError::TooLargeForSegment { size_bytes, size_bytes_max: exact - 1 });

    let mut bomb = BatchBuilder::new(Compression::Zstd);
    bomb.append(Timestamp(NOW), None, Some(&vec![0; 1 << 20]));
    let bomb = bomb.build();
    assert!(bomb.len() < 1000, "{} bytes are no bomb", bomb.len());
    let rules = Rules { record_bytes_max: 1 << 19, ..Rules::default() };
    assert!(matches!(refused(&bomb, &rules), ValidateError::RecordTooLarge { size_bytes_max: 524_288, .. }));
}

/// A batch of one record of so many zeros, behind small ones.
fn inflated(compression: Compression, value_bytes: usize) -> Vec<u8> {
    let mut builder = builder(compression);
    builder.append(Timestamp(NOW), Some(b"k"), Some(&vec![0; value_bytes]));
    builder.append(Timestamp(NOW), None, None);
    builder.build()
}

#[test]
fn a_batch_that_inflates_is_taken_in_short_steps_and_little_memory() {
    const VALUE_BYTES: usize = 48 << 20;
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bytes = inflated(compression, VALUE_BYTES);
        // Snappy and lz4 do not make zeros that small.
        let rules = Rules { message_bytes_max: bytes.len(), ..Rules::default() };
        let mut decompressor = Decompressor::new();
        let mut validation = Validation::new(&bytes, &rules, CLIENT, Timestamp(NOW), &mut decompressor).unwrap();
        let mut steps = 1;
        let validated = loop {
            match validation.step().unwrap() {
                Step::Done(validated) => break validated,
                Step::More => steps += 1,
            }
        };
        assert!((40..60).contains(&steps), "{compression}: {steps} steps");
        assert!(!validated.is_rebuilt());
        assert_eq!((validated.record_count, validated.last_offset_delta), (5, 4));
        let held = decompressor.held_bytes();
        assert!(held <= 256 << 10, "{compression} holds {held} bytes");

        // More behind the records than was announced: found without reading to its end.
        let more = edited(edited(bytes, 57, 3i32.to_be_bytes()), 23, 2i32.to_be_bytes());
        let mut validation = Validation::new(&more, &rules, CLIENT, Timestamp(NOW), &mut decompressor).unwrap();
        assert!(matches!(validation.step(), Err(ValidateError::Record(RecordError::BytesLeft { .. }))));
    }
}

#[test]
fn records_to_be_written_anew_are_held_and_so_bounded() {
    let bytes = inflated(Compression::Zstd, REWRITTEN);
    const REWRITTEN: usize = 65 << 20;
    let rules =
        |compression| Rules { compression: CompressionPolicy::Codec { compression, level: None }, ..Rules::default() };
    let error = refused(&bytes, &rules(Compression::Lz4));
    assert_eq!(error, ValidateError::Compression(CompressionError::TooLarge { size_bytes_max: 64 << 20 }));
    assert!(matches!(refused(&bytes, &rules(Compression::None)), ValidateError::RebuiltTooLarge { .. }));
    assert!(check(&bytes, &rules(Compression::Zstd)).is_ok(), "nothing is written anew");
    let larger = Rules { message_bytes_max: 8 << 20, ..rules(Compression::Gzip) };
    assert!(check(&bytes, &larger).unwrap().is_rebuilt());
}

#[test]
fn many_small_records_take_many_steps_whatever_the_codec() {
    let mut builder = BatchBuilder::new(Compression::None);
    for _ in 0..400_000 {
        builder.append(Timestamp(NOW), None, None);
    }
    let bytes = builder.build();
    let rules = Rules { message_bytes_max: bytes.len(), ..Rules::default() };
    let mut decompressor = Decompressor::new();
    let mut validation = Validation::new(&bytes, &rules, CLIENT, Timestamp(NOW), &mut decompressor).unwrap();
    let mut steps = 1;
    while matches!(validation.step().unwrap(), Step::More) {
        steps += 1;
    }
    assert_eq!(steps, bytes.len() / (1 << 20) + 1);
}

#[test]
fn lengths_without_end_are_what_kafka_s_exceptions_make_of_them() {
    let rules = Rules::default();
    let endless = |compression: Compression| {
        let mut body = Vec::new();
        compression.compress(None, &[0xff; 12], &mut body);
        let mut bytes = batch()[..HEADER_BYTES].to_vec();
        bytes.extend_from_slice(&body);
        let length = bytes.len() as i32 - 12;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        edited(bytes, 21, i16::from(compression.id()).to_be_bytes())
    };
    assert_eq!(refused(&endless(Compression::None), &rules), ValidateError::EndlessRecordSize { index: 0 });
    let compressed = refused(&endless(Compression::Gzip), &rules);
    assert_eq!(compressed, ValidateError::Record(RecordError::EndlessSize { index: 0 }));
    assert_eq!(refused(&edited(batch(), 8, i32::MAX.to_be_bytes()), &rules), ValidateError::EndlessBatch);
}

#[test]
fn codecs_must_be_known_and_readable() {
    let rules = Rules::default();
    let unknown = edited(batch(), 21, 5i16.to_be_bytes());
    assert!(matches!(refused(&unknown, &rules), ValidateError::Compression(CompressionError::Unknown(_))));
    let lying = edited(batch(), 21, 4i16.to_be_bytes());
    assert!(matches!(refused(&lying, &rules), ValidateError::Compression(CompressionError::Corrupt { .. })));
    let zstd = builder(Compression::Zstd).build();
    let old = Origin::Client { produce_version: 6 };
    let error = validate(&zstd, &rules, old, Timestamp(NOW), &mut Decompressor::new()).unwrap_err();
    assert_eq!(error, ValidateError::ZstdNotAllowed { produce_version: 6 });
    let more = edited(edited(batch(), 57, 4i32.to_be_bytes()), 23, 3i32.to_be_bytes());
    assert!(matches!(refused(&more, &rules), ValidateError::Record(RecordError::BadStructure { index: 3 })));
}

#[test]
fn compacted_topics_want_keys_and_name_the_records_without() {
    let rules = Rules { compacted: true, ..Rules::default() };
    let mut builder = builder(Compression::Lz4);
    builder.append(Timestamp(NOW), None, Some(b"x"));
    builder.append(Timestamp(NOW), Some(b""), Some(b"x"));
    builder.append(Timestamp(NOW), None, None);
    let ValidateError::Records(faults) = refused(&builder.build(), &rules) else { panic!("another error") };
    let message = "Compacted topic cannot accept message without key in topic partition t-0".to_string();
    let errors: Vec<(i32, String)> = faults.record_errors(&partition()).collect();
    assert_eq!(errors, [(3, message.clone()), (5, message.clone())]);
    assert!(!faults.any_timestamp());
    assert_eq!(
        faults.error_message(&partition()),
        format!(
            "One or more records have been rejected due to 2 record errors in total, and only showing the first three \
             errors at most: [RecordError(batchIndex=3, message='{message}'), RecordError(batchIndex=5, \
             message='{message}')]"
        )
    );
}

#[test]
fn timestamps_must_lie_near_the_broker_s() {
    let rules = Rules { timestamp_before_max_ms: 100, timestamp_after_max_ms: 10, ..Rules::default() };
    let at = |timestamp: i64| {
        let mut builder = builder(Compression::None);
        builder.append(Timestamp(timestamp), None, None);
        check(&builder.build(), &rules)
    };
    for good in [NOW - 100, NOW + 10, -1] {
        assert!(at(good).is_ok(), "{}", good - NOW);
    }
    for bad in [NOW - 101, NOW + 11, 0] {
        let Err(ValidateError::Records(faults)) = at(bad) else { panic!("{bad} was taken") };
        let error = format!(
            "Timestamp {bad} of message with offset 3 is out of range. The timestamp should be within [{}, {}]",
            NOW - 100,
            NOW + 10
        );
        assert_eq!(faults.record_errors(&partition()).collect::<Vec<_>>(), [(3, error)]);
        assert!(faults.any_timestamp());
        let message = "One or more records have been rejected due to invalid timestamp";
        assert_eq!(faults.error_message(&partition()), message);
    }
}

#[test]
fn the_greatest_timestamp_is_counted_not_believed() {
    let lying = edited(batch(), 35, i64::MAX.to_be_bytes());
    let validated = check(&lying, &Rules::default()).unwrap();
    assert_eq!(validated.max_timestamp, Timestamp(NOW));
    let stored = stored(&validated, &lying);
    let view = BatchView::parse(&stored).unwrap();
    assert_eq!(view.max_timestamp(), Timestamp(NOW));
    assert!(view.crc_is_valid());
}

#[test]
fn a_topic_of_append_time_stamps_and_a_client_must_not() {
    let rules = Rules { timestamp_type: TimestampType::LogAppendTime, ..Rules::default() };
    for compression in Compression::ALL {
        let bytes = builder(compression).build();
        let validated = check(&bytes, &rules).unwrap();
        assert_eq!(validated.log_append_time, Some(Timestamp(NOW)));
        assert!(!validated.is_rebuilt(), "only the header changes");
        let stored = stored(&validated, &bytes);
        let view = BatchView::parse(&stored).unwrap();
        assert!(view.crc_is_valid());
        assert_eq!((view.timestamp_type(), view.max_timestamp()), (TimestampType::LogAppendTime, Timestamp(NOW)));
        assert_eq!((view.base_offset(), view.partition_leader_epoch()), (Offset(500), LeaderEpoch(7)));
    }
    let mut claiming = builder(Compression::None);
    claiming.log_append_time = Some(Timestamp(NOW));
    assert!(matches!(refused(&claiming.build(), &rules), ValidateError::Records(faults) if faults.any_timestamp()));
}

#[test]
fn another_codec_is_asked_for_by_the_topic() {
    let rules =
        |compression| Rules { compression: CompressionPolicy::Codec { compression, level: None }, ..Rules::default() };
    for source in Compression::ALL {
        for target in Compression::ALL {
            let bytes = builder(source).with_producer(ProducerId(4), ProducerEpoch(1), Sequence(70), true).build();
            let validated = check(&bytes, &rules(target)).unwrap();
            assert_eq!((validated.is_rebuilt(), validated.compression), (source != target, target));
            let stored = stored(&validated, &bytes);
            let view = BatchView::parse(&stored).unwrap();
            assert!(view.crc_is_valid());
            assert_eq!(view.compression(), Ok(target));
            assert_eq!((view.producer_id(), view.base_sequence()), (ProducerId(4), Sequence(70)));
            assert!(view.is_transactional());
            let mut decompressor = Decompressor::new();
            let body = decompressor.body(&view, 1 << 20).unwrap();
            assert_eq!(body, BatchView::parse(&batch()).unwrap().body(), "{source} to {target}");
        }
    }
    // Small as it came, too large as it would be stored.
    let mut builder = BatchBuilder::new(Compression::Gzip);
    builder.append(Timestamp(NOW), None, Some(&[0; 10_000]));
    let rules = Rules { message_bytes_max: 1000, ..rules(Compression::None) };
    assert!(matches!(refused(&builder.build(), &rules), ValidateError::RebuiltTooLarge { size_bytes_max: 1000, .. }));
}

/// Two records, said to be of the offsets 0 and 1; the second says 2.
fn out_of_sequence(compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(compression);
    builder.append(Timestamp(NOW), None, Some(b"x"));
    builder.skip_to(2);
    builder.append(Timestamp(NOW), None, Some(b"y"));
    edited(builder.build(), 23, 1i32.to_be_bytes())
}

#[test]
fn offsets_out_of_sequence_are_put_in_order_or_refused() {
    let zstd = CompressionPolicy::Codec { compression: Compression::Zstd, level: None };
    for compression in [CompressionPolicy::Producer, zstd] {
        let bytes = out_of_sequence(Compression::None);
        let validated = check(&bytes, &Rules { compression, ..Rules::default() }).unwrap();
        let stored = stored(&validated, &bytes);
        let view = BatchView::parse(&stored).unwrap();
        assert!(view.crc_is_valid());
        let mut decompressor = Decompressor::new();
        let body = decompressor.body(&view, 1 << 20).unwrap();
        let offsets: Vec<Offset> = Records::new(&view, body).unwrap().map(|record| record.unwrap().offset).collect();
        assert_eq!(offsets, [Offset(500), Offset(501)]);
    }
    let error = refused(&out_of_sequence(Compression::Zstd), &Rules::default());
    assert!(matches!(error, ValidateError::NotRebuildable { .. }));
}

#[test]
fn what_kafka_s_writer_throws_at_is_refused_only_where_it_writes() {
    let producer = |epoch, transactional| {
        builder(Compression::None)
            .with_producer(ProducerId(5), ProducerEpoch(epoch), Sequence(0), transactional)
            .build()
    };
    let homeless = edited(batch(), 21, 0x10i16.to_be_bytes());
    let old = edited(batch(), 27, (-9i64).to_be_bytes());
    let lz4 = CompressionPolicy::Codec { compression: Compression::Lz4, level: None };
    for (bytes, reason) in [
        (producer(-1, false), "Invalid negative producer epoch"),
        (homeless, "Cannot write transactional messages without a valid producer ID"),
        (old, "Invalid negative timestamp"),
    ] {
        assert!(check(&bytes, &Rules::default()).is_ok(), "{reason}");
        let error = refused(&bytes, &Rules { compression: lz4, ..Rules::default() });
        assert_eq!(error, ValidateError::NotRebuildable { reason });
    }
}

#[test]
fn many_faulty_records_are_counted_and_not_all_kept() {
    let mut builder = BatchBuilder::new(Compression::Zstd);
    for _ in 0..RECORD_FAULTS_MAX + 5 {
        builder.append(Timestamp(NOW), None, None);
    }
    let rules = Rules { compacted: true, ..Rules::default() };
    let ValidateError::Records(faults) = refused(&builder.build(), &rules) else { panic!("another error") };
    assert_eq!(faults.record_errors(&partition()).count(), RECORD_FAULTS_MAX);
    assert!(faults.error_message(&partition()).contains(&format!("{} record errors", RECORD_FAULTS_MAX + 5)));
}

#[test]
fn a_follower_takes_whole_batches_in_order_and_nothing_else() {
    let at = |base: i64| {
        let mut bytes = batch();
        BatchMut::parse(&mut bytes).unwrap().set_base_offset(Offset(base));
        bytes
    };
    let taken = |bytes: &[u8], log_end: i64| -> Vec<Result<i64, ReplicatedError>> {
        replicated(bytes, Offset(log_end)).map(|batch| batch.map(|batch| batch.base_offset().0)).collect()
    };
    let sent = [at(10), at(13), at(20)].concat();
    assert_eq!(taken(&sent, 10), [Ok(10), Ok(13), Ok(20)]);
    assert_eq!(taken(&sent[..sent.len() - 1], 10), [Ok(10), Ok(13)]);
    assert_eq!(taken(&sent[..11], 10), []);
    let error = ReplicatedError::OutOfOrder { expected_min: Offset(11), base: Offset(10), last: Offset(12) };
    assert_eq!(taken(&sent, 11), [Err(error)]);
    let overlapping = [at(10), at(12), at(15)].concat();
    let error = ReplicatedError::OutOfOrder { expected_min: Offset(13), base: Offset(12), last: Offset(14) };
    assert_eq!(taken(&overlapping, 0), [Ok(10), Err(error)]);
    let mut rotten = sent.clone();
    rotten[batch().len() + 70] ^= 1;
    assert!(matches!(taken(&rotten, 10)[..], [Ok(10), Err(ReplicatedError::Corrupt { offset: Offset(13), .. })]));
}
