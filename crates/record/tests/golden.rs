//! Batches that Kafka 4.4's own classes wrote (`golden/GoldenBatches.java`), read and written by ours.

use record::control::{ControlKind, EndTxnMarker, LeaderChange};
use record::{
    BatchBuilder, BatchView, BrokerId, Compression, Decompressor, LeaderEpoch, Offset, ProducerEpoch, ProducerId,
    Records, Sequence, Timestamp, TimestampType, builder,
};

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/golden/{name}.batch", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The five records of every small batch.
fn small(compression: Compression) -> BatchBuilder {
    let mut batch =
        BatchBuilder::new(compression).with_producer(ProducerId(4001), ProducerEpoch(7), Sequence(i32::MAX - 1), false);
    batch.append(Timestamp(1_700_000_000_000), Some(b"key-0"), Some(b"value-0"));
    batch.append(Timestamp(1_700_000_000_005), None, Some(b"value-1"));
    batch.append(Timestamp(1_699_999_999_000), Some(b"key-2"), None);
    let headers: [(&[u8], Option<&[u8]>); 3] = [(b"trace", Some(b"abc")), (b"empty", None), (b"", Some(b""))];
    batch.append_with_headers(Timestamp(1_700_000_000_005), Some(b""), Some(b""), &headers);
    batch.append(Timestamp(-1), Some("schlüssel".as_bytes()), Some(b"wert"));
    batch
}

#[test]
fn an_uncompressed_batch_is_built_byte_for_byte_as_kafka_builds_it() {
    let golden = golden("small-none");
    assert_eq!(small(Compression::None).build(), golden);
    let view = BatchView::parse(&golden).unwrap();
    assert!(view.crc_is_valid());
    assert_eq!(view.last_sequence(), Sequence(2));
    assert_eq!(view.max_timestamp(), Timestamp(1_700_000_000_005));
    assert_eq!(small(Compression::None).offset_of_max_timestamp(), Offset(1));
}

#[test]
fn every_codec_of_kafka_s_is_read_to_the_same_records() {
    let plain = small(Compression::None).build();
    let expected = BatchView::parse(&plain).unwrap().body();
    let mut decompressor = Decompressor::new();
    for compression in Compression::ALL {
        let bytes = golden(&format!("small-{compression}"));
        let view = BatchView::parse(&bytes).unwrap();
        assert!(view.crc_is_valid());
        assert_eq!(view.compression(), Ok(compression));
        assert_eq!((view.record_count(), view.last_offset_delta()), (5, 4));
        assert_eq!(decompressor.body(&view, 1 << 20), Ok(expected), "{compression}");
    }
}

#[test]
fn batches_of_many_blocks_are_read_whole() {
    let mut decompressor = Decompressor::new();
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bytes = golden(&format!("large-{compression}"));
        let view = BatchView::parse(&bytes).unwrap();
        let body = decompressor.body(&view, 1 << 20).unwrap();
        let mut keys = 0;
        for (index, record) in Records::new(&view, body).unwrap().enumerate() {
            let record = record.unwrap();
            assert_eq!(record.offset, Offset(index as i64));
            assert_eq!(record.timestamp, Timestamp(1_700_000_000_000 + index as i64));
            assert_eq!(record.key, Some(format!("key-{index}").as_bytes()));
            assert!(record.value.unwrap().starts_with(format!("{},", index * 31).as_bytes()));
            keys += 1;
        }
        assert_eq!(keys, 200, "{compression}");
    }
}

#[test]
fn our_own_compressed_batches_hold_the_same_records() {
    let plain = small(Compression::None).build();
    let expected = BatchView::parse(&plain).unwrap().body();
    for compression in Compression::ALL {
        let bytes = small(compression).build();
        let view = BatchView::parse(&bytes).unwrap();
        assert!(view.crc_is_valid());
        assert_eq!(Decompressor::new().body(&view, 1 << 20), Ok(expected), "{compression}");
    }
}

#[test]
fn the_fields_of_records_are_what_the_producer_gave() {
    let bytes = golden("small-none");
    let view = BatchView::parse(&bytes).unwrap();
    let records: Vec<_> = Records::new(&view, view.body()).unwrap().map(Result::unwrap).collect();
    assert_eq!(records[1].key, None);
    assert_eq!(records[2].value, None);
    assert_eq!((records[3].key, records[3].value), (Some(&b""[..]), Some(&b""[..])));
    let headers: Vec<_> = records[3].headers.iter().collect();
    assert_eq!(headers, [(&b"trace"[..], Some(&b"abc"[..])), (b"empty", None), (b"", Some(b""))]);
    assert_eq!(records[4].timestamp, Timestamp(-1));
    assert_eq!(records.iter().map(|record| record.size_bytes).sum::<usize>(), view.body().len());
}

#[test]
fn records_of_a_log_append_time_batch_all_have_the_broker_s_time() {
    let bytes = golden("log-append-time");
    let view = BatchView::parse(&bytes).unwrap();
    assert_eq!(view.timestamp_type(), TimestampType::LogAppendTime);
    assert!(view.is_transactional() && view.crc_is_valid());
    assert_eq!((view.base_offset(), view.partition_leader_epoch()), (Offset(42), LeaderEpoch(9)));
    let record = Records::new(&view, view.body()).unwrap().next().unwrap().unwrap();
    assert_eq!((record.timestamp, record.offset), (view.max_timestamp(), Offset(42)));

    let mut ours = BatchBuilder::default().with_producer(ProducerId(4001), ProducerEpoch(7), Sequence(0), true);
    ours.base_offset = Offset(42);
    ours.partition_leader_epoch = LeaderEpoch(9);
    ours.log_append_time = Some(view.max_timestamp());
    ours.append(Timestamp(1_700_000_000_000), Some(b"k"), Some(b"v"));
    assert_eq!(ours.build(), bytes);
}

#[test]
fn markers_are_written_and_read_as_kafka_s() {
    for (name, committed) in [("marker-commit", true), ("marker-abort", false)] {
        let bytes = golden(name);
        let marker = EndTxnMarker { committed, coordinator_epoch: 15 };
        let ours = builder::end_txn_marker(Timestamp(1_700_000_000_000), ProducerId(4001), ProducerEpoch(7), marker);
        assert_eq!(ours, bytes, "{name}");
        let view = BatchView::parse(&bytes).unwrap();
        assert!(view.is_control() && view.is_transactional());
        let record = Records::new(&view, view.body()).unwrap().next().unwrap().unwrap();
        assert_eq!(EndTxnMarker::parse(&record), Ok(marker));
    }
}

#[test]
fn a_leader_change_is_written_as_kafka_s() {
    let change = LeaderChange {
        leader: BrokerId(1),
        voters: vec![BrokerId(1), BrokerId(300)],
        granting_voters: vec![BrokerId(1)],
    };
    let bytes = golden("leader-change");
    let ours = builder::leader_change(Offset(77), LeaderEpoch(5), Timestamp(1_700_000_000_000), &change);
    assert_eq!(ours, bytes);
    let view = BatchView::parse(&bytes).unwrap();
    let record = Records::new(&view, view.body()).unwrap().next().unwrap().unwrap();
    assert_eq!(ControlKind::of(&record), Ok(ControlKind::LeaderChange));
    assert!(EndTxnMarker::parse(&record).is_err());
}
