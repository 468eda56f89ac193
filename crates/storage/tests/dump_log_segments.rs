//! Kafka's own DumpLogSegments reads what `Segment` writes: every record of the log, and both indexes without a
//! complaint. It needs Java and Kafka's tools (fetched by Maven into `target/cache` if they are not there); where they
//! cannot be had the test prints `not run: reason`, and fails if `OTTLA_TEST_COMPLETE` is 1.

#[allow(dead_code, reason = "tests share it, and this one uses a part")]
mod java;

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use java::Directory;
use record::control::EndTxnMarker;
use record::{
    BatchBuilder, BatchMut, Compression, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp, builder,
};
use storage::inspect::{Depth, Line};
use storage::segment::{BatchPlace, FileKind, IndexSettings, OpenFiles, Segment, Summary};

const BASE: Offset = Offset(4_000_000_000);

#[test]
fn kafka_s_tool_reads_log_and_indexes() {
    let Some(tools) = tools() else { return };
    let directory = Directory::new("dump-sound");
    let segment = segment(&directory.0);
    let mut records = 0;
    for round in 0..60 {
        for batch in batches(round) {
            records += record_count(&batch);
            append(&segment, batch);
        }
        // Entries go to the files in several writes, as in a broker.
        if round % 20 == 19 {
            segment.write_indexes(segment.summary().end()).unwrap();
        }
    }
    segment.seal().unwrap();
    let [log, index, time_index] =
        [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex].map(|kind| segment.path(kind));

    let dumped = dump(&tools, &["--deep-iteration", "--print-data-log"], &[&log]);
    let offsets: Vec<&str> = dumped.lines().filter_map(|line| line.strip_prefix("| offset: ")).collect();
    assert_eq!(offsets.len(), records, "{dumped}");
    let first = format!("{BASE} ");
    assert!(offsets[0].starts_with(&first), "{}", offsets[0]);
    let last = format!("{} ", segment.summary().end_offset - 1);
    assert!(offsets[records - 1].starts_with(&last), "{}", offsets[records - 1]);
    let batch_lines = dumped.lines().filter(|line| line.starts_with("baseOffset: ")).count();
    assert_eq!(batch_lines, 60 * 8);
    assert_eq!(dumped.matches("isvalid: true").count(), batch_lines);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        assert!(dumped.contains(&format!("compresscodec: {codec} ")), "{codec}");
    }
    assert!(dumped.contains("endTxnMarker: COMMIT coordinatorEpoch: 9"), "{dumped}");
    assert!(dumped.contains("payload: value-59-3"), "{dumped}");

    // Ours says the same, line by line.
    let same = |kafka: &str, path: &Path| {
        // The rest are the words of its logger.
        let is_said =
            |line: &&str| ["baseOffset: ", "| ", "offset: ", "timestamp: "].iter().any(|it| line.starts_with(it));
        let kafka: Vec<&str> = kafka.lines().filter(is_said).collect();
        let ours = our_dump(path);
        let different = kafka.iter().zip(&ours).find(|(kafka, ours)| **kafka != **ours);
        assert!(different.is_none() && kafka.len() == ours.len(), "{different:#?}: {} and {}", kafka.len(), ours.len());
    };
    same(&dumped, &log);
    for path in [&index, &time_index] {
        same(&dump(&tools, &[], &[path]), path);
    }

    for path in [&index, &time_index] {
        let entries = path.metadata().unwrap().len() / if *path == index { 8 } else { 12 };
        assert!(entries > 40, "{entries} entries are too few to say anything");
        let checked = dump(&tools, &["--index-sanity-check"], &[path]);
        assert!(checked.contains("passed sanity check"), "{checked}");
    }
    let verified = dump(&tools, &["--verify-index-only", "--deep-iteration"], &[&index, &time_index]);
    assert!(!complains(&verified), "{verified}");
    let printed = dump(&tools, &["--deep-iteration"], &[&time_index]);
    let newest = format!("timestamp: {} offset: ", segment.summary().max_timestamp);
    assert!(printed.lines().last().is_some_and(|line| line.starts_with(&newest)), "{printed}");
}

#[test]
fn kafka_s_tool_would_have_complained() {
    let Some(tools) = tools() else { return };
    let directory = Directory::new("dump-tampered");
    let segment = segment(&directory.0);
    (0..20).flat_map(batches).for_each(|batch| append(&segment, batch));
    segment.seal().unwrap();
    // One entry of the offset index names another offset than the batch has that it points to.
    let index = segment.path(FileKind::OffsetIndex);
    let mut bytes = std::fs::read(&index).unwrap();
    bytes[19] ^= 1;
    std::fs::write(&index, bytes).unwrap();
    let time_index = segment.path(FileKind::TimeIndex);
    let mut bytes = std::fs::read(&time_index).unwrap();
    bytes[6] ^= 1;
    std::fs::write(&time_index, bytes).unwrap();
    for path in [&index, &time_index] {
        let verified = dump(&tools, &["--verify-index-only", "--deep-iteration"], &[path]);
        assert!(complains(&verified), "{verified}");
    }
}

/// One batch of each codec, one stamped by a broker, one of a transaction and its marker.
fn batches(round: i64) -> Vec<Vec<u8>> {
    let now = 1_700_000_000_000 + round * 1000;
    let fill = |mut builder: BatchBuilder| {
        for record in 0..6 {
            let (key, value) = (format!("key-{record}"), format!("value-{round}-{record}"));
            let headers: [(&[u8], Option<&[u8]>); 2] = [(b"trace", Some(b"abc")), (b"none", None)];
            let key = (record != 1).then_some(key.as_bytes());
            let value = (record != 2).then_some(value.as_bytes());
            builder.append_with_headers(Timestamp(now + record), key, value, &headers);
        }
        builder.append(Timestamp(now), None, Some(&vec![b'x'; 900 * (round as usize % 3)]));
        builder.build()
    };
    let mut batches: Vec<Vec<u8>> =
        Compression::ALL.into_iter().map(|compression| fill(BatchBuilder::new(compression))).collect();
    let mut stamped = BatchBuilder::default();
    stamped.log_append_time = Some(Timestamp(now + 50));
    batches.push(fill(stamped));
    let (id, epoch) = (ProducerId(77), ProducerEpoch(2));
    batches.push(fill(BatchBuilder::default().with_producer(id, epoch, Sequence(round as i32 * 7), true)));
    let marker = EndTxnMarker { committed: true, coordinator_epoch: 9 };
    batches.push(builder::end_txn_marker(Timestamp(now + 60), id, epoch, marker));
    batches
}

fn record_count(batch: &[u8]) -> usize {
    record::BatchView::parse(batch).unwrap().record_count() as usize
}

fn segment(directory: &Path) -> Arc<Segment> {
    let files = OpenFiles::new(Arc::new(env::real::Disk), 100);
    let segment = Segment::new(&files, directory.into(), Summary::empty(BASE, Timestamp(0)), IndexSettings::default());
    segment.create().unwrap();
    segment
}

fn append(segment: &Segment, mut bytes: Vec<u8>) {
    let end = segment.summary().end();
    let mut batch = BatchMut::parse(&mut bytes).unwrap();
    batch.set_base_offset(end.offset);
    batch.set_partition_leader_epoch(LeaderEpoch(5));
    segment.note(&BatchPlace::of(&batch.view(), end.position));
    segment.write_at(&[IoSlice::new(&bytes)], end.position).unwrap();
}

fn our_dump(path: &Path) -> Vec<String> {
    let depth = Depth { records: true, contents: true };
    let mut lines = Vec::new();
    let mut out = |line: Line| {
        lines.push(line.to_string());
        true
    };
    assert!(storage::inspect::dump(&env::real::Disk, path, depth, &|_| None, &mut out).unwrap());
    lines
}

/// What the tool prints where index and log disagree.
fn complains(output: &str) -> bool {
    ["Mismatches in", "out of order", "Non-consecutive", "not found in", "Index entry", "Found timestamp mismatch"]
        .iter()
        .any(|complaint| output.contains(complaint))
}

fn dump(tools: &Path, options: &[&str], files: &[&Path]) -> String {
    let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let output = Command::new("java")
        .args(["-Xmx256m", "-cp"])
        .arg(tools.join("*"))
        .arg("org.apache.kafka.tools.DumpLogSegments")
        .args(options)
        .args(["--files", &files.join(",")])
        .output()
        .unwrap();
    // Complaints go to stderr.
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(output.status.success(), "{text}");
    text
}

fn tools() -> Option<PathBuf> {
    java::jars("tools", "kafka-tools-4.")
}
