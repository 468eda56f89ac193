//! Reads with and without waiting.

use record::{Offset, Timestamp};

use super::super::*;
use super::model::Model;

fn grown(seed: u64, batches: usize) -> Model {
    let mut model = Model::new(seed);
    for _ in 0..batches {
        model.append_random(Timestamp(1));
    }
    model.write_all();
    model
}

#[test]
fn every_offset_is_found_with_all_bounds_kept() {
    for seed in 0..4 {
        let mut model = grown(seed, 200);
        model.check();
        model.segment.write_indexes(model.end()).unwrap();
        model.check();
        model.segment.sync().unwrap();
        assert!(model.segment.close_if_idle());
        model.check();
        assert!(!model.has_doubted());
    }
}

#[test]
fn indexes_of_many_pages_are_searched_page_by_page() {
    let mut model = Model::new(9);
    for _ in 0..1500 {
        model.append_sized(1, Timestamp(1), 5000);
    }
    model.write_all();
    model.segment.seal().unwrap();
    assert_eq!(model.file(FileKind::OffsetIndex).len(), 1499 * 8, "one for each batch but the first");
    let places = model.places.clone();
    for index in (0..1500).step_by(7) {
        let located = model.read_at(index, 1500);
        assert!(matches!(located, Located::At(range) if range.position == places[index as usize].position), "{index}");
    }
}

#[test]
fn a_read_that_may_not_wait_says_so_and_finds_the_same_once_it_is_warm() {
    let model = grown(11, 300);
    model.segment.write_indexes(model.end()).unwrap();
    model.segment.sync().unwrap();
    let request = ReadRequest {
        from: Model::BASE + 400,
        up_to: Offset(i64::MAX),
        bytes_max: 10_000,
        at_least_one: true,
        written: model.end(),
    };
    let places = model.places.clone();
    let cached = |model: &Model| model.segment.read(&request, Access::Cached).unwrap();
    model.check_located(&request, &cached(&model), &places);

    // Closed: even opening may wait.
    assert!(model.segment.close_if_idle());
    let before = model.disk.take_work();
    assert!(matches!(cached(&model), Located::Cold));
    assert_eq!(model.disk.take_work().cold_reads, 0, "{before:?}");
    model.segment.read(&request, Access::Blocking).unwrap();
    model.check_located(&request, &cached(&model), &places);

    for kind in [FileKind::Log, FileKind::OffsetIndex] {
        model.disk.evict(model.segment.path(kind));
    }
    assert!(matches!(cached(&model), Located::Cold));
    assert_eq!(model.disk.take_work().cold_reads, 0);
    model.segment.read(&request, Access::Blocking).unwrap();
    model.check_located(&request, &cached(&model), &places);
}

#[test]
fn a_gap_between_batches_is_stepped_over() {
    let mut model = Model::new(12);
    model.append_sized(2, Timestamp(1), 100);
    model.write_all();
    // As compaction, or a log start beyond the end, leaves it: the next batch begins further on.
    let mut bytes = model.batches[0].clone();
    record::BatchMut::parse(&mut bytes).unwrap().set_base_offset(Model::BASE + 50);
    let place = BatchPlace::of(&record::BatchView::parse(&bytes).unwrap(), 100);
    model.segment.note(&place);
    model.segment.write_at(&[std::io::IoSlice::new(&bytes)], 100).unwrap();
    let request = |from: i64, up_to: i64| ReadRequest {
        from: Model::BASE + from,
        up_to: Model::BASE + up_to,
        bytes_max: 1000,
        at_least_one: false,
        written: place.end(),
    };
    let read = |from, up_to| model.segment.read(&request(from, up_to), Access::Blocking).unwrap();
    assert!(matches!(read(2, 99), Located::At(range) if (range.position, range.size_bytes) == (100, 100)));
    assert!(matches!(read(0, 30), Located::At(range) if (range.position, range.size_bytes) == (0, 100)));
    assert!(matches!(read(2, 50), Located::End));
    assert!(matches!(read(52, 99), Located::End));
}

#[test]
fn what_was_cut_is_gone_and_what_follows_is_found() {
    for seed in 0..12 {
        let mut model = grown(seed, 120);
        if model.chance.happens(0.5) {
            model.segment.write_indexes(model.end()).unwrap();
        }
        for _ in 0..30 {
            model.append_random(Timestamp(2)); // In the tail only.
        }
        let records = (model.end().offset - Model::BASE) as u64;
        let to = Model::BASE + model.chance.in_range(0..records + 2) as i64;
        let written = model.end_of(model.written);
        let tail = model.places[model.written..].to_vec();
        let left = model.segment.plan_cut(to, written, &mut tail.into_iter()).unwrap();
        let kept = model.places.iter().filter(|place| place.last_offset < to).count();
        assert_eq!(left.end(), model.end_of(kept), "seed {seed} to {to}");
        model.segment.cut(left);
        model.truncate(kept);
        let mut expected = Summary::empty(Model::BASE, Model::CREATED);
        model.places.iter().for_each(|place| expected.add(place));
        assert_eq!(model.segment.summary(), expected, "seed {seed} to {to}");
        if kept > 0 && model.chance.happens(0.5) {
            model.check(); // Between the cut in memory and that of the files.
        }
        model.segment.cut_files().unwrap();
        let len = model.disk.visible(model.segment.path(FileKind::Log)).unwrap().len();
        assert_eq!(len, model.end_of(model.written).position as usize);
        model.check();
        for _ in 0..60 {
            model.append_random(Timestamp(3));
        }
        model.write_all();
        model.segment.seal().unwrap();
        model.check();
        model.segment.sync().unwrap();
        // A new process trusts its checkpoint for the summary, and nothing else.
        model.segment = Model::open(&model.disk, model.segment.summary());
        model.check();
        assert!(kept == 0 || !model.has_doubted(), "seed {seed}: a cut leaves nothing that is false");
    }
}
