//! Searches by time against the list.

use record::{BatchView, Decompressor, Offset, Records, Timestamp};

use super::super::*;
use super::model::Model;

/// Timestamps that mostly rise, sometimes stay, sometimes fall back far.
fn grown(seed: u64) -> Model {
    let mut model = Model::new(seed);
    let mut now = 1000;
    for index in 0..250 {
        now += model.chance.in_range(0..30) as i64;
        let is_late = index % 40 > 25 || model.chance.happens(0.1);
        let late = if is_late { 500 + model.chance.in_range(0..400) as i64 } else { 0 };
        model.append_random(Timestamp(now - late));
    }
    model.write_all();
    model
}

fn check(model: &Model) {
    let mut decompressor = Decompressor::new();
    let written = model.end_of(model.written);
    let records: Vec<(Timestamp, Offset)> = model.batches[..model.written]
        .iter()
        .flat_map(|bytes| {
            let batch = BatchView::parse(bytes).unwrap();
            let records = Records::new(&batch, batch.body()).unwrap();
            records.map(|record| record.map(|record| (record.timestamp, record.offset)).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    for target in (0..9000).step_by(97) {
        for from in [0, 1, 300, 10_000] {
            let (target, from) = (Timestamp(target), Model::BASE + from);
            let expected = records.iter().find(|(timestamp, offset)| *timestamp >= target && *offset >= from);
            let found = model.segment.offset_for_timestamp(target, from, written, &mut decompressor).unwrap();
            assert_eq!(found.map(|found| (found.timestamp, found.offset)), expected.copied(), "{target} from {from}");
            assert!(found.is_none_or(|found| found.leader_epoch.0 == 3));
        }
    }
    let greatest = records.iter().map(|(timestamp, _)| *timestamp).max();
    let first = records.iter().find(|(timestamp, _)| Some(*timestamp) == greatest);
    let found = model.segment.offset_of_max_timestamp(written, &mut decompressor).unwrap();
    assert_eq!(found.map(|found| (found.timestamp, found.offset)), first.copied());
}

#[test]
fn the_first_record_that_is_not_older_is_found() {
    for seed in 0..5 {
        let mut model = grown(seed);
        check(&model);
        model.segment.seal().unwrap();
        check(&model);
        model.segment.sync().unwrap();
        model.segment = Model::open(&model.disk, model.segment.summary());
        check(&model);
    }
}

#[test]
fn a_time_index_that_has_lost_its_end_costs_time_only() {
    for seed in 0..5 {
        let mut model = grown(seed);
        model.segment.write_indexes(model.end()).unwrap();
        model.segment.sync().unwrap();
        for kind in [FileKind::TimeIndex, FileKind::OffsetIndex] {
            let len = model.file(kind).len() as u64;
            let file = env::Disk::open(&model.disk, &model.segment.path(kind), env::OpenOptions::WRITE).unwrap();
            file.set_len(model.chance.in_range(0..len)).unwrap();
        }
        model.segment = Model::open(&model.disk, model.segment.summary());
        check(&model);
        let now = model.segment.summary().max_timestamp.0;
        for step in 0..50 {
            model.append_random(Timestamp(now + step));
        }
        model.write_all();
        model.segment.seal().unwrap();
        check(&model);
    }
}

#[test]
fn records_without_timestamps_are_found_by_no_time() {
    let mut model = Model::new(1);
    for _ in 0..20 {
        model.append_sized(1, Timestamp::NONE, 1000);
    }
    model.write_all();
    model.segment.seal().unwrap();
    let mut decompressor = Decompressor::new();
    let written = model.end();
    let found = model.segment.offset_for_timestamp(Timestamp(0), Model::BASE, written, &mut decompressor).unwrap();
    assert_eq!(found, None);
    assert_eq!(model.segment.offset_of_max_timestamp(written, &mut decompressor).unwrap(), None);
}
