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

use super::*;
use crate::segment::{BatchPlace, FileKind, IndexSettings, Segment, Summary, Written};

const NOW: Timestamp = Timestamp(1_000_000);
const RULES: CompactionRules = CompactionRules { delete_retention_ms: 500, key_bytes_max: 1 << 20 };

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

fn rewritten(bytes: &[u8], keys: &KeyMap, keeps_end: bool, now: Timestamp) -> (Rewritten, Vec<u8>) {
    let view = BatchView::parse(bytes).unwrap();
    let mut decompressor = Decompressor::new();
    let body = decompressor.body(&view, 1 << 20).unwrap();
    let mut out = Vec::new();
    let rewritten = rewrite(&view, body, keys, keeps_end, &RULES, now, &mut out).unwrap();
    (rewritten, out)
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
        let (outcome, out) = rewritten(&old, &keys, false, NOW);
        assert_eq!(outcome, Rewritten::Changed);
        let text = |text: &str| text.to_string();
        assert_eq!(contents(&out), [(11, text("b"), Some(text("2"))), (13, text("a"), Some(text("4")))]);
        let view = BatchView::parse(&out).unwrap();
        assert_eq!((view.base_offset(), view.last_offset(), view.record_count()), (Offset(10), Offset(13), 2));
        assert_eq!((view.partition_leader_epoch(), view.compression()), (LeaderEpoch(4), Ok(compression)));
        assert_eq!(view.max_timestamp(), Timestamp(103));
        assert_eq!(rewritten(&new, &keys, false, NOW), (Rewritten::Kept, new));
    }
}

#[test]
fn a_batch_of_which_nothing_is_left_goes_unless_its_end_or_its_producer_must_be_known() {
    let old = batch_at(0, Compression::None, &[("a", Some("1")), ("b", Some("1"))]);
    let new = batch_at(2, Compression::None, &[("a", Some("2")), ("b", Some("2"))]);
    let keys = keys_of(&[&old, &new]);
    assert_eq!(rewritten(&old, &keys, false, NOW), (Rewritten::Dropped, Vec::new()));
    let (outcome, out) = rewritten(&old, &keys, true, NOW);
    assert_eq!((outcome, out.len()), (Rewritten::Emptied, record::HEADER_BYTES));
    let view = BatchView::parse(&out).unwrap();
    assert!(view.crc_is_valid());
    assert_eq!((view.base_offset(), view.last_offset(), view.record_count()), (Offset(0), Offset(1), 0));
    assert_eq!(view.max_timestamp(), Timestamp(101));
    // Once more changes nothing.
    assert_eq!(rewritten(&out, &keys, true, NOW), (Rewritten::Emptied, out.clone()));

    let mut producers =
        BatchBuilder::new(Compression::Gzip).with_producer(ProducerId(8), ProducerEpoch(1), Sequence(40), false);
    producers.append(Timestamp(5), Some(b"a"), Some(b"0"));
    let (outcome, out) = rewritten(&producers.build(), &keys, false, NOW);
    assert_eq!(outcome, Rewritten::Emptied);
    let view = BatchView::parse(&out).unwrap();
    assert_eq!((view.producer_id(), view.last_sequence()), (ProducerId(8), Sequence(40)));
}

#[test]
fn a_tombstone_stays_until_its_horizon() {
    let bytes = batch_at(0, Compression::None, &[("gone", None), ("here", Some("1"))]);
    let keys = keys_of(&[&bytes]);
    let (outcome, first) = rewritten(&bytes, &keys, false, NOW);
    assert_eq!(outcome, Rewritten::Changed);
    let horizon = Timestamp(NOW.0 + 500);
    assert_eq!(BatchView::parse(&first).unwrap().delete_horizon(), Some(horizon));
    assert_eq!(contents(&first), contents(&bytes));
    // The time does not begin anew.
    assert_eq!(rewritten(&first, &keys, false, Timestamp(horizon.0 - 1)), (Rewritten::Kept, first.clone()));
    let (outcome, second) = rewritten(&first, &keys, false, horizon);
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
    assert_eq!(rewritten(&open, &keys, false, NOW), (Rewritten::Kept, open.clone()));
    let mut keys = keys_of(&[&newer]);
    let mut late = open;
    BatchMut::parse(&mut late).unwrap().set_base_offset(Offset(6));
    let view = BatchView::parse(&late).unwrap();
    assert!(keys.add(&view, view.body()).unwrap());
    assert_eq!(rewritten(&newer, &keys, false, NOW), (Rewritten::Kept, newer.clone()), "nothing supersedes it yet");
    // Beyond what was looked at.
    let beyond = batch_at(7, Compression::None, &[("a", Some("9")), ("a", Some("10"))]);
    assert_eq!(rewritten(&beyond, &keys, false, NOW), (Rewritten::Kept, beyond));
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

#[test]
fn a_plan_waits_for_enough_dirt_and_groups_what_fits() {
    let summary = |base: i64, size_bytes: u32| Summary {
        end_offset: Offset(base + 100),
        size_bytes,
        ..Summary::empty(Offset(base), Timestamp(0))
    };
    let segments = [summary(0, 400), summary(100, 500), summary(200, 300), summary(300, 900), summary(400, 50)];
    let rules = PlanRules { dirty_ratio_min: 0.5, segment_bytes_max: 1000 };
    let planned = |first_dirty: i64, log_start: i64| {
        let log = Cleanable { segments: &segments, first_dirty: Offset(first_dirty), log_start: Offset(log_start) };
        let ranges =
            |plan: &Plan| -> Vec<(usize, usize)> { plan.groups.iter().map(|group| (group.start, group.end)).collect() };
        plan(&log, &rules).map(|plan| (ranges(&plan), plan.end.0))
    };
    assert_eq!(planned(0, 0), Some((vec![(0, 2), (2, 3), (3, 5)], 500)));
    assert_eq!(planned(400, 0), None);
    assert_eq!(planned(300, 100), Some((vec![(1, 3), (3, 5)], 500)));
    assert_eq!(planned(300, 300), Some((vec![(3, 5)], 500)));
    assert_eq!(planned(500, 300), None);
    assert_eq!(planned(0, 500), None);
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
            fixture.segments.push(Arc::new(segment));
        }
        fixture
    }

    fn open(&self, directory: &str, base: Offset) -> Segment {
        let summary = Summary::empty(base, Timestamp(0));
        Segment::new(Arc::new(self.disk.clone()), Path::new(directory).into(), summary, IndexSettings::default())
    }

    /// Each group is so many segments.
    fn compaction(&self, groups: &[usize], rules: CompactionRules, now: Timestamp) -> Compaction {
        let mut segments = self.segments.as_slice();
        let groups = groups.iter().map(|count| {
            let sources = segments.split_off(..*count).unwrap().to_vec();
            let target = self.open(CLEANED, sources[0].base_offset());
            (sources, target)
        });
        Compaction::new(groups.collect(), Offset(0), rules, now)
    }
}

fn finish(mut compaction: Compaction) -> (Compacted, Vec<Segment>) {
    for _ in 0..10_000 {
        if let Progress::Done(compacted) = compaction.step().unwrap() {
            return (compacted, compaction.into_targets());
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
fn a_run_leaves_the_newest_of_every_key_and_the_ends_of_the_segments() {
    for seed in 0..4 {
        let fixture = Fixture::new(seed);
        let before = read(&fixture.segments);
        let (compacted, targets) = finish(fixture.compaction(&[2, 2], RULES, NOW));
        let expected: Vec<(i64, String, Option<String>)> = {
            let mut newest: Vec<_> =
                fixture.newest.iter().map(|(key, (offset, value))| (*offset, key.clone(), value.clone())).collect();
            newest.sort();
            newest
        };
        assert_eq!(read(&targets), expected);
        assert_eq!(read(&fixture.segments), before, "the old segments are untouched");
        for (target, (first, last)) in targets.iter().zip([(0, 1), (2, 3)]) {
            let summary = target.summary();
            assert_eq!(summary.base_offset, fixture.segments[first].base_offset());
            assert_eq!(summary.end_offset, fixture.segments[last].summary().end_offset);
            assert!(!target.is_dirty());
            let again = target.summarize(summary.size_bytes).unwrap();
            assert_eq!(Summary { created: summary.created, ..again }, summary);
        }
        assert_eq!(compacted.end, fixture.segments[3].summary().end_offset);
        assert_eq!(compacted.summaries.len(), 2);
        assert!(compacted.bytes_after * 5 < compacted.bytes_before, "{compacted:?}");

        // The tombstones that are left go when their time has come.
        let second = Compaction::new(
            targets
                .into_iter()
                .map(|old| (vec![Arc::new(old)], ()))
                .enumerate()
                .map(|(index, (old, ()))| {
                    let directory = format!("/log/again-{index}");
                    env::Disk::create_dir(&fixture.disk, Path::new(&directory)).unwrap();
                    let target = fixture.open(&directory, old[0].base_offset());
                    (old, target)
                })
                .collect(),
            Offset(0),
            RULES,
            Timestamp(NOW.0 + 500),
        );
        let (_, targets) = finish(second);
        let living: Vec<_> = expected.into_iter().filter(|(_, _, value)| value.is_some()).collect();
        assert_eq!(read(&targets), living);
    }
}

#[test]
fn keys_that_do_not_fit_are_left_for_the_next_run() {
    let fixture = Fixture::new(9);
    let rules = CompactionRules { key_bytes_max: 20 * 72, ..RULES };
    let (compacted, targets) = finish(fixture.compaction(&[4], rules, NOW));
    assert!(compacted.end < fixture.segments[3].summary().end_offset);
    let (before, after) = (read(&fixture.segments), read(&targets));
    let beyond = |records: &[(i64, String, Option<String>)]| -> Vec<(i64, String, Option<String>)> {
        records.iter().filter(|(offset, ..)| *offset >= compacted.end.0).cloned().collect()
    };
    assert_eq!(beyond(&before), beyond(&after));
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
    let mut compaction = fixture.compaction(&[4], RULES, NOW);
    fixture.disk.take_work();
    while compaction.step().unwrap() == Progress::More {
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
    let mut compaction = fixture.compaction(&[4], RULES, NOW);
    let error = (0..1000).find_map(|_| compaction.step().err()).expect("the disk is full");
    assert!(matches!(&error, CompactionError::Segment(error) if error.is_out_of_space()), "{error}");
    compaction.remove_files().unwrap();
    assert!(env::Disk::read_dir(&fixture.disk, Path::new(CLEANED)).unwrap().is_empty());

    fixture.disk.rot(fixture.segments[2].path(FileKind::Log), 5000, 1);
    let mut compaction = fixture.compaction(&[4], RULES, NOW);
    let error = (0..1000).find_map(|_| compaction.step().err()).expect("a rotten segment");
    let base = fixture.segments[2].base_offset();
    assert!(matches!(&error, CompactionError::Source { base_offset, .. } if *base_offset == base), "{error}");
    fixture.disk.rot(fixture.segments[2].path(FileKind::Log), 5000, 1);
    assert_eq!(read(&fixture.segments), before);
}
