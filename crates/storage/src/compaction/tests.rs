//! What is left after a compaction, against a map.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use env::sim::disk::{Call, Fault as DiskFault};
use env::sim::{Chance, Disk};
use record::{
    BatchBuilder, BatchMut, BatchView, Compression, Decompressor, LeaderEpoch, Offset, ProducerEpoch, ProducerId,
    Records, Sequence, Timestamp,
};

use super::rewrite::{Rewritten, Survival, rewrite};
use super::*;
use crate::segment::{BatchPlace, FileKind, IndexSettings, OpenFiles, Segment, Summary, Written};

const NOW: Timestamp = Timestamp(1_000_000);
const RULES: CompactionRules =
    CompactionRules { delete_retention_ms: 500, key_bytes_max: 1 << 20, segment_bytes_max: 1 << 30 };

type Entry<'a> = (&'a str, Option<&'a str>);

fn batch_at(base: i64, compression: Compression, records: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(compression);
    builder.base_offset = Offset(base);
    builder.partition_leader_epoch = LeaderEpoch(4);
    for (index, (key, value)) in (0..).zip(records) {
        builder.append(Timestamp(100 + index), Some(key.as_bytes()), value.map(str::as_bytes));
    }
    builder.build()
}

fn keys_of(batches: &[&[u8]]) -> KeyMap {
    let mut keys = KeyMap::new(Offset(0), 1 << 20);
    for bytes in batches {
        let view = BatchView::parse(bytes).unwrap();
        assert!(keys.add(&view, Decompressor::new().body(&view, 1 << 20).unwrap()).unwrap());
    }
    keys
}

/// `end` is where the run ends.
fn rewritten_up_to(
    bytes: &[u8],
    keys: &KeyMap,
    last_batches: &LastBatches,
    end: i64,
    now: Timestamp,
) -> (Rewritten, Vec<u8>) {
    let view = BatchView::parse(bytes).unwrap();
    let mut decompressor = Decompressor::new();
    let body = decompressor.body(&view, 1 << 20).unwrap();
    let mut out = Vec::new();
    let survival = Survival { keys, last_batches, end: Offset(end), delete_retention_ms: 500, now };
    let rewritten = rewrite(&view, body, &survival, &mut out).unwrap();
    (rewritten, out)
}

fn rewritten(bytes: &[u8], keys: &KeyMap, now: Timestamp) -> (Rewritten, Vec<u8>) {
    rewritten_up_to(bytes, keys, &LastBatches::new(), i64::MAX, now)
}

/// Offset, key and value of each record, whatever the codec.
fn contents(bytes: &[u8]) -> Vec<(i64, String, Option<String>)> {
    let view = BatchView::parse(bytes).unwrap();
    assert!(view.crc_is_valid());
    let mut decompressor = Decompressor::new();
    let body = decompressor.body(&view, 1 << 20).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Records::new(&view, body)
        .unwrap()
        .map(|record| record.unwrap())
        .map(|record| (record.offset.0, text(record.key.unwrap()), record.value.map(text)))
        .collect()
}

#[test]
fn only_the_newest_record_of_a_key_is_left_and_no_offset_changes() {
    for compression in Compression::ALL {
        let old = batch_at(10, compression, &[("a", Some("1")), ("b", Some("2")), ("c", Some("3")), ("a", Some("4"))]);
        let new = batch_at(14, compression, &[("c", Some("5"))]);
        let keys = keys_of(&[&old, &new]);
        let (outcome, out) = rewritten(&old, &keys, NOW);
        assert_eq!(outcome, Rewritten::Changed);
        let text = |text: &str| text.to_string();
        assert_eq!(contents(&out), [(11, text("b"), Some(text("2"))), (13, text("a"), Some(text("4")))]);
        let view = BatchView::parse(&out).unwrap();
        assert_eq!((view.base_offset(), view.last_offset(), view.record_count()), (Offset(10), Offset(13), 2));
        assert_eq!((view.partition_leader_epoch(), view.compression()), (LeaderEpoch(4), Ok(compression)));
        assert_eq!(view.max_timestamp(), Timestamp(103));
        assert_eq!(rewritten(&new, &keys, NOW), (Rewritten::Kept, new));
    }
}

#[test]
fn a_batch_of_which_nothing_is_left_goes_unless_it_is_the_last_of_its_producer_or_of_the_run() {
    let old = batch_at(0, Compression::None, &[("a", Some("1")), ("b", Some("1"))]);
    let new = batch_at(2, Compression::None, &[("a", Some("2")), ("b", Some("2"))]);
    let keys = keys_of(&[&old, &new]);
    let nobody = LastBatches::new();
    assert_eq!(rewritten(&old, &keys, NOW), (Rewritten::Dropped, Vec::new()));
    let (outcome, out) = rewritten_up_to(&old, &keys, &nobody, 2, NOW);
    assert_eq!((outcome, out.len()), (Rewritten::Emptied, record::HEADER_BYTES));
    let view = BatchView::parse(&out).unwrap();
    assert!(view.crc_is_valid());
    assert_eq!((view.base_offset(), view.last_offset(), view.record_count()), (Offset(0), Offset(1), 0));
    assert_eq!(view.max_timestamp(), Timestamp(101));
    // Once more changes nothing, until another is the last.
    assert_eq!(rewritten_up_to(&out, &keys, &nobody, 2, NOW), (Rewritten::Emptied, out.clone()));
    assert_eq!(rewritten_up_to(&out, &keys, &nobody, 4, NOW), (Rewritten::Dropped, Vec::new()));

    let mut producers =
        BatchBuilder::new(Compression::Gzip).with_producer(ProducerId(8), ProducerEpoch(1), Sequence(40), false);
    producers.append(Timestamp(5), Some(b"a"), Some(b"0"));
    let old = producers.build();
    let last = |offset| LastBatches::from([(ProducerId(8), (Some(Offset(offset)), ProducerEpoch(1)))]);
    let (outcome, out) = rewritten_up_to(&old, &keys, &last(0), 100, NOW);
    assert_eq!(outcome, Rewritten::Emptied);
    let view = BatchView::parse(&out).unwrap();
    assert_eq!((view.producer_id(), view.last_sequence()), (ProducerId(8), Sequence(40)));
    assert_eq!(rewritten_up_to(&old, &keys, &last(7), 100, NOW), (Rewritten::Dropped, Vec::new()));
}

#[test]
fn a_tombstone_stays_until_its_horizon() {
    let bytes = batch_at(0, Compression::None, &[("gone", None), ("here", Some("1"))]);
    let keys = keys_of(&[&bytes]);
    let (outcome, first) = rewritten(&bytes, &keys, NOW);
    assert_eq!(outcome, Rewritten::Changed);
    let horizon = Timestamp(NOW.0 + 500);
    assert_eq!(BatchView::parse(&first).unwrap().delete_horizon(), Some(horizon));
    assert_eq!(contents(&first), contents(&bytes));
    // The time does not begin anew.
    assert_eq!(rewritten(&first, &keys, Timestamp(horizon.0 - 1)), (Rewritten::Kept, first.clone()));
    let (outcome, second) = rewritten(&first, &keys, horizon);
    assert_eq!(outcome, Rewritten::Changed);
    assert_eq!(contents(&second), [(1, "here".to_string(), Some("1".to_string()))]);
}

#[test]
fn what_is_not_understood_is_kept() {
    let newer = batch_at(5, Compression::None, &[("a", Some("2"))]);
    let keys = keys_of(&[&newer]);
    // Of a transaction: it may be one of those that were aborted.
    let mut open = BatchBuilder::default().with_producer(ProducerId(1), ProducerEpoch(0), Sequence(0), true);
    open.append(Timestamp(1), Some(b"a"), Some(b"1"));
    let open = open.build();
    assert_eq!(rewritten(&open, &keys, NOW), (Rewritten::Kept, open.clone()));
    let mut keys = keys_of(&[&newer]);
    let mut late = open;
    BatchMut::parse(&mut late).unwrap().set_base_offset(Offset(6));
    let view = BatchView::parse(&late).unwrap();
    assert!(keys.add(&view, view.body()).unwrap());
    assert_eq!(rewritten(&newer, &keys, NOW), (Rewritten::Kept, newer.clone()), "nothing supersedes it yet");
    // Beyond what was looked at.
    let beyond = batch_at(7, Compression::None, &[("a", Some("9")), ("a", Some("10"))]);
    assert_eq!(rewritten(&beyond, &keys, NOW), (Rewritten::Kept, beyond));
}

#[test]
fn a_full_map_ends_before_a_batch_and_knows_nothing_of_it() {
    let mut keys = KeyMap::new(Offset(0), 200);
    let add = |keys: &mut KeyMap, bytes: &[u8]| {
        let view = BatchView::parse(bytes).unwrap();
        keys.add(&view, view.body()).unwrap()
    };
    assert!(add(&mut keys, &batch_at(0, Compression::None, &[("a", None), ("b", None), ("c", None), ("d", None)])));
    assert!(!add(&mut keys, &batch_at(4, Compression::None, &[("a", None)])));
    assert_eq!((keys.end(), keys.len()), (Offset(4), 4));
    assert!(keys.is_newest(b"a", Offset(0)));
}

/// Closed segments of 100 records, and behind them the active one; the oldest first.
fn closed(sizes: &[u32]) -> Vec<Summary> {
    let summary = |base: i64, size_bytes: u32| Summary {
        end_offset: Offset(base + 100),
        size_bytes,
        first_timestamp: Timestamp(base * 10 + 1),
        max_timestamp: Timestamp(base * 10 + 1000),
        ..Summary::empty(Offset(base), Timestamp(0))
    };
    (0..).map(|index| index * 100).zip(sizes).map(|(base, size)| summary(base, *size)).collect()
}

#[test]
fn what_is_due_goes_by_dirt_and_by_age() {
    let segments = closed(&[400, 500, 300, 900, 50]);
    let rules = ChoiceRules { dirty_ratio_min: 0.5, lag_ms_min: 0, lag_ms_max: i64::MAX };
    let log = |compacted_end: i64| Cleanable {
        segments: &segments,
        log_start: Offset(0),
        log_end: Offset(420),
        compacted_end: Offset(compacted_end),
        last_stable: Offset(420),
        replaceable_below: Offset(400),
    };
    let now = Timestamp(10_000);
    let of = |log: &Cleanable<'_>, rules: &ChoiceRules| {
        let choice = choose(log, rules, now);
        (
            choice.first_dirty.0,
            choice.end.0,
            (choice.dirty_ratio * 2100.0).round() as i64,
            choice.is_due,
            choice.is_held,
        )
    };
    assert_eq!(of(&log(0), &rules), (0, 400, 2100, true, false));
    assert_eq!(of(&log(200), &rules), (200, 400, 1200, true, false));
    assert_eq!(of(&log(300), &rules), (300, 400, 900, false, false));
    assert_eq!(of(&log(400), &rules), (400, 400, 0, false, false));
    // Nonsense is where the log was cut: all of it again.
    assert_eq!(of(&log(421), &rules).0, 0);
    // Overdue, whatever the ratio.
    let overdue = ChoiceRules { lag_ms_max: 6998, ..rules };
    assert!(choose(&log(300), &overdue, now).is_due);
    assert!(!choose(&log(300), &ChoiceRules { lag_ms_max: 6999, ..rules }, now).is_due);
    assert!(!choose(&log(400), &overdue, now).is_due, "nothing there");
    // Too young: segments from 200 on have records of 3000 ms.
    let young = ChoiceRules { lag_ms_min: 7001, ..rules };
    assert_eq!(of(&log(0), &young), (0, 200, 2100, true, false));
    // Not stable: the whole segment is out.
    assert_eq!(of(&Cleanable { last_stable: Offset(399), ..log(0) }, &rules).1, 300);
    assert!(!choose(&Cleanable { last_stable: Offset(50), ..log(0) }, &rules, now).is_due);
    // What a checkpoint has not covered waits for one, unless there is enough without it.
    assert_eq!(of(&Cleanable { replaceable_below: Offset(350), ..log(0) }, &rules), (0, 300, 2100, true, false));
    assert_eq!(of(&Cleanable { replaceable_below: Offset(250), ..log(200) }, &rules), (200, 200, 0, false, true));
}

/// A log of closed segments on a simulated disk, and what was written to it.
struct Fixture {
    disk: Disk,
    segments: Vec<Arc<Segment>>,
    /// Key to offset and value of its newest record.
    newest: BTreeMap<String, (i64, Option<String>)>,
}

const DIRECTORY: &str = "/log";
const CLEANED: &str = "/log/cleaned";

impl Fixture {
    fn new(seed: u64) -> Fixture {
        let disk = Disk::new(seed);
        for directory in [DIRECTORY, CLEANED] {
            env::Disk::create_dir(&disk, Path::new(directory)).unwrap();
        }
        let mut chance = Chance::new(seed);
        let mut fixture = Fixture { disk, segments: Vec::new(), newest: BTreeMap::new() };
        let mut end = 0;
        for _ in 0..4 {
            let segment = fixture.open(DIRECTORY, Offset(end));
            for _ in 0..200 {
                let count = chance.in_range(1..6);
                let entries: Vec<(String, Option<String>)> = (0..count)
                    .map(|_| {
                        let key = format!("group-{}", chance.in_range(0..60));
                        let value = chance.happens(0.8).then(|| format!("offset-{}", chance.next_u64()));
                        (key, value)
                    })
                    .collect();
                let compression = *chance.pick(&Compression::ALL);
                let borrowed: Vec<Entry<'_>> =
                    entries.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
                let bytes = batch_at(end, compression, &borrowed);
                let position = segment.summary().size_bytes;
                segment.note(&BatchPlace::of(&BatchView::parse(&bytes).unwrap(), position));
                segment.open_or_create().unwrap();
                segment.write_at(&[IoSlice::new(&bytes)], position).unwrap();
                for (offset, (key, value)) in (end..).zip(entries) {
                    fixture.newest.insert(key, (offset, value));
                }
                end += count as i64;
            }
            fixture.segments.push(segment);
        }
        fixture
    }

    fn open(&self, directory: &str, base: Offset) -> Arc<Segment> {
        let files = OpenFiles::new(Arc::new(self.disk.clone()), 100);
        Segment::new(&files, Path::new(directory).into(), Summary::empty(base, Timestamp(0)), IndexSettings::default())
    }

    fn end(&self) -> Offset {
        self.segments.last().unwrap().summary().end_offset
    }

    fn run(&self, rules: CompactionRules, now: Timestamp) -> Run {
        run_over(&self.disk, self.segments.clone(), self.end(), rules, now)
    }
}

fn run_over(disk: &Disk, segments: Vec<Arc<Segment>>, end: Offset, rules: CompactionRules, now: Timestamp) -> Run {
    let files = OpenFiles::new(Arc::new(disk.clone()), 100);
    let make: Make =
        Box::new(move |summary| Segment::new(&files, Path::new(CLEANED).into(), summary, IndexSettings::default()));
    Run::new(Part { segments, first_dirty: Offset(0), end, last_batches: LastBatches::new() }, make, rules, now)
}

/// The new segments, and up to where keys were compared.
fn finish(mut run: Run) -> (Vec<Arc<Segment>>, Offset) {
    let (mut targets, mut end) = (Vec::new(), None);
    for _ in 0..10_000 {
        match run.step().unwrap() {
            Progress::More => {}
            Progress::Segment(finished) => {
                assert_eq!(end, None, "the end comes with the last");
                assert_eq!(finished.sources[0].base_offset(), finished.target.base_offset());
                end = finished.compacted_end;
                targets.push(finished.target);
            }
            Progress::Done => return (targets, end.unwrap()),
        }
    }
    panic!("a compaction without end");
}

/// All records of these segments, each batch checked.
fn read(segments: &[impl std::borrow::Borrow<Segment>]) -> Vec<(i64, String, Option<String>)> {
    let mut records = Vec::new();
    for segment in segments {
        let segment = segment.borrow();
        let start = Written { position: 0, offset: segment.base_offset() };
        let scanned = segment
            .scan(start, segment.summary().size_bytes, &mut |batch, _| {
                records.extend(contents(batch.bytes()));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(scanned.stop.is_none(), "{:?}", scanned.stop);
    }
    records
}

#[test]
fn a_run_leaves_the_newest_of_every_key_and_the_end_of_the_last_segment() {
    for seed in 0..4 {
        let fixture = Fixture::new(seed);
        let before = read(&fixture.segments);
        let sizes: Vec<u32> = fixture.segments.iter().map(|segment| segment.summary().size_bytes).collect();
        let rules = CompactionRules { segment_bytes_max: (sizes[0] + sizes[1]).max(sizes[2] + sizes[3]), ..RULES };
        let (targets, end) = finish(fixture.run(rules, NOW));
        let expected: Vec<(i64, String, Option<String>)> = {
            let mut newest: Vec<_> =
                fixture.newest.iter().map(|(key, (offset, value))| (*offset, key.clone(), value.clone())).collect();
            newest.sort();
            newest
        };
        assert_eq!(read(&targets), expected);
        assert_eq!(read(&fixture.segments), before, "the old segments are untouched");
        assert_eq!(targets.len(), 2);
        for (target, first) in targets.iter().zip([0, 2]) {
            let summary = target.summary();
            assert_eq!((summary.base_offset, summary.generation), (fixture.segments[first].base_offset(), 1));
            assert!(!target.is_dirty());
            let again = target.summarize(summary.size_bytes).unwrap();
            assert_eq!(Summary { created: summary.created, ..again }, summary);
        }
        assert_eq!((end, targets[1].summary().end_offset), (fixture.end(), fixture.end()));
        let bytes = |segments: &[Arc<Segment>]| -> u32 { segments.iter().map(|it| it.summary().size_bytes).sum() };
        assert!(bytes(&targets) * 5 < bytes(&fixture.segments));

        // The tombstones that are left go when their time has come, and all fit into one segment.
        let (targets, _) = finish(run_over(&fixture.disk, targets, fixture.end(), RULES, Timestamp(NOW.0 + 500)));
        let living: Vec<_> = expected.into_iter().filter(|(_, _, value)| value.is_some()).collect();
        assert_eq!(read(&targets), living);
        assert_eq!((targets.len(), targets[0].generation()), (1, 2));
    }
}

#[test]
fn keys_that_do_not_fit_are_left_for_the_next_run() {
    let fixture = Fixture::new(9);
    let rules = CompactionRules { key_bytes_max: 20 * 72, ..RULES };
    let (targets, end) = finish(fixture.run(rules, NOW));
    assert!(end < fixture.end());
    assert_eq!(targets.len(), 1, "what was not looked at stays as it is");
    let before = read(&fixture.segments);
    let after = [read(&targets), read(&fixture.segments[1..])].concat();
    let beyond = |records: &[(i64, String, Option<String>)]| -> Vec<(i64, String, Option<String>)> {
        records.iter().filter(|(offset, ..)| *offset >= end.0).cloned().collect()
    };
    assert_eq!(beyond(&before), beyond(&after));
    assert!(after.len() < before.len());
    let mut newest = BTreeMap::new();
    for (_, key, value) in after {
        newest.insert(key, value);
    }
    let expected: BTreeMap<String, Option<String>> =
        fixture.newest.iter().map(|(key, (_, value))| (key.clone(), value.clone())).collect();
    assert_eq!(newest, expected);
}

#[test]
fn a_step_makes_at_most_one_write_or_sync() {
    let fixture = Fixture::new(3);
    let mut run = fixture.run(RULES, NOW);
    fixture.disk.take_work();
    while !matches!(run.step().unwrap(), Progress::Done) {
        let work = fixture.disk.take_work();
        // Sealing writes the two index files, which nobody waits for and no crash can hurt.
        assert!(work.writes + work.syncs <= 2, "{work:?}");
    }
}

#[test]
fn damage_and_a_full_disk_end_the_run_and_leave_the_old_segments() {
    let fixture = Fixture::new(5);
    let before = read(&fixture.segments);
    fixture.disk.inject(DiskFault::no_space(Call::Write).on_path("cleaned"));
    let mut run = fixture.run(RULES, NOW);
    let error = (0..1000).find_map(|_| run.step().err()).expect("the disk is full");
    assert!(matches!(&error, CompactionError::Segment(error) if error.is_out_of_space()), "{error}");
    run.unfinished().unwrap().remove_files().unwrap();
    assert!(env::Disk::read_dir(&fixture.disk, Path::new(CLEANED)).unwrap().is_empty());

    fixture.disk.rot(fixture.segments[2].path(FileKind::Log), 5000, 1);
    let mut run = fixture.run(RULES, NOW);
    let error = (0..1000).find_map(|_| run.step().err()).expect("a rotten segment");
    let base = fixture.segments[2].base_offset();
    assert!(matches!(&error, CompactionError::Source { base_offset, .. } if *base_offset == base), "{error}");
    fixture.disk.rot(fixture.segments[2].path(FileKind::Log), 5000, 1);
    assert_eq!(read(&fixture.segments), before);
}
