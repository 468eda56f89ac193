//! Against a model that is a list of batches, on a simulated disk: what a segment says must be what the list says,
//! whatever has become of its index files.

mod damage;
mod dirty;
mod model;
mod reads;
mod times;

use std::io::IoSlice;
use std::ops::ControlFlow;

use env::sim::disk::{Call, Fault as DiskFault};
use model::Model;
use record::{BatchError, Offset, Timestamp};

use super::*;

#[test]
fn an_index_entry_comes_with_the_first_batch_after_more_than_the_interval() {
    let mut model = Model::new(1);
    // 1000 bytes each: the batch at 5000 is the first to see more than 4096 behind it, then that at 10000.
    for timestamp in [5, 9, 7, 7, 8, 1, 1, 1, 1, 1, 20, 1] {
        model.append_sized(1, Timestamp(timestamp), 1000);
    }
    model.write_all();
    model.segment.seal().unwrap();
    // Relative last offset and position; then greatest timestamp and the offset of its batch.
    assert_eq!(
        model.file(FileKind::OffsetIndex),
        [[0, 0, 0, 5], [0, 0, 0x13, 0x88], [0, 0, 0, 10], [0, 0, 0x27, 0x10]].concat()
    );
    let entry = |timestamp: i64, offset: i32| [&timestamp.to_be_bytes()[..], &offset.to_be_bytes()[..]].concat();
    assert_eq!(model.file(FileKind::TimeIndex), [entry(9, 1), entry(20, 10)].concat());
}

#[test]
fn exactly_the_interval_is_not_more_than_the_interval() {
    let mut model = Model::new(1);
    for _ in 0..3 {
        model.append_sized(1, Timestamp(1), 4096);
    }
    model.write_all();
    model.segment.seal().unwrap();
    assert_eq!(model.file(FileKind::OffsetIndex), [[0, 0, 0, 2], [0, 0, 0x20, 0]].concat());
}

#[test]
fn sealing_adds_the_greatest_timestamp_once() {
    let mut model = Model::new(1);
    model.append_sized(3, Timestamp(70), 300);
    model.write_all();
    model.segment.seal().unwrap();
    model.segment.seal().unwrap();
    let entry = [&70i64.to_be_bytes()[..], &2i32.to_be_bytes()[..]].concat();
    assert_eq!(model.file(FileKind::TimeIndex), entry);
}

#[test]
fn a_summary_tells_what_rolling_and_retention_need() {
    let mut model = Model::new(2);
    assert_eq!(model.segment.summary(), Summary::empty(Model::BASE, Model::CREATED));
    assert_eq!(model.segment.summary().largest_timestamp(), Model::CREATED);
    model.append_sized(2, Timestamp(50), 200);
    model.append_sized(2, Timestamp(90), 200);
    model.append_sized(2, Timestamp(90), 200);
    let summary = model.segment.summary();
    assert_eq!((summary.first_timestamp, summary.max_timestamp), (Timestamp(50), Timestamp(90)));
    assert_eq!(summary.max_timestamp_offset, Model::BASE + 3);
    assert_eq!((summary.size_bytes, summary.end_offset), (600, Model::BASE + 6));
    model.write_all();
    let from_the_file = model.segment.summarize(600).unwrap();
    assert_eq!(from_the_file, Summary { created: from_the_file.created, ..summary });
    let state = model.segment.roll_state();
    assert_eq!((state.size_bytes, state.first_timestamp, state.base_offset), (600, Timestamp(50), Model::BASE));
}

#[test]
fn pieces_may_come_in_any_order_and_only_what_is_written_is_read() {
    let mut model = Model::new(3);
    for _ in 0..30 {
        model.append_sized(1, Timestamp(1), 1000);
    }
    // A direct piece over a hole.
    model.write(20..30);
    assert!(matches!(model.read_at(25, 0), Located::End));
    model.write(0..10);
    assert!(matches!(model.read_at(25, 10), Located::End));
    assert!(matches!(model.read_at(9, 10), Located::At(range) if range.position == 9000));
    model.write(10..20);
    assert!(matches!(model.read_at(25, 30), Located::At(range) if range.position == 25_000));
}

#[test]
fn a_file_with_unsynced_writes_stays_open() {
    let mut model = Model::new(4);
    model.append_sized(1, Timestamp(1), 100);
    model.append_sized(1, Timestamp(1), 100);
    model.write(0..1);
    assert!(model.segment.is_dirty());
    assert!(!model.segment.close_if_idle());
    model.segment.sync().unwrap();
    assert!(!model.segment.is_dirty());
    let reader = model.segment.file().unwrap();
    assert!(!model.segment.close_if_idle());
    drop(reader);
    assert!(model.segment.close_if_idle());
    assert_eq!(model.segment.open_files(), 0);
    model.write(1..2);
    model.check();
}

#[test]
fn no_more_segments_are_open_than_may_be_but_those_that_cannot_be_closed() {
    let disk = env::sim::Disk::new(1);
    env::Disk::create_dir(&disk, Path::new(Model::DIRECTORY)).unwrap();
    let files = OpenFiles::new(Arc::new(disk.clone()), 10);
    let segment = |base| {
        let summary = Summary::empty(Offset(base), Timestamp(0));
        Segment::new(&files, Path::new(Model::DIRECTORY).into(), summary, IndexSettings::default())
    };
    let segments: Vec<Arc<Segment>> = (0..100).map(segment).collect();
    let open = || segments.iter().map(|segment| segment.open_files()).sum::<usize>();
    for segment in &segments {
        segment.create().unwrap();
    }
    assert_eq!(open(), 10);
    for segment in &segments[..40] {
        segment.write_at(&[IoSlice::new(b"not synced")], 0).unwrap();
    }
    assert_eq!(open(), 40, "who is not synced stays open");
    segments[..40].iter().for_each(|segment| segment.sync().unwrap());
    segments[40..].iter().for_each(|segment| drop(segment.file().unwrap()));
    assert_eq!(open(), 10);

    // Without a descriptor left, those that are not needed are given back, and it is tried once more.
    let last = segment(100);
    disk.inject(DiskFault::no_descriptors(Call::CreateFile));
    last.create().unwrap();
    assert_eq!(open(), 0);
    disk.inject(DiskFault::no_descriptors(Call::CreateFile).times(2));
    assert!(segment(101).create().unwrap_err().is_out_of_space());
}

#[test]
fn a_failed_sync_leaves_it_dirty_and_says_which_file() {
    let mut model = Model::new(5);
    model.append_sized(1, Timestamp(1), 100);
    model.write_all();
    model.disk.inject(DiskFault::input_output(Call::SyncData));
    let error = model.segment.sync().unwrap_err();
    assert!(error.to_string().contains("00000000000000007000.log"), "{error}");
    assert!(!error.is_damage());
    assert!(model.segment.is_dirty());
}

#[test]
fn a_scan_visits_sound_batches_and_says_what_stopped_it() {
    let mut model = Model::new(6);
    for _ in 0..5 {
        model.append_sized(2, Timestamp(1), 500);
    }
    model.write_all();
    let start = Written { position: 0, offset: Model::BASE };
    let scan = |model: &Model, up_to: u32| {
        let mut places = Vec::new();
        let scanned = model.segment.scan(start, up_to, &mut |_, place| {
            places.push(place);
            ControlFlow::Continue(())
        });
        (places, scanned.unwrap())
    };
    let (places, scanned) = scan(&model, 2500);
    assert_eq!(places, model.places);
    assert_eq!(scanned.end, Written { position: 2500, offset: Model::BASE + 10 });
    assert!(scanned.stop.is_none());

    // The file ends, or is to be read only, in the middle of a batch.
    for (up_to, fault) in
        [(2499, "a batch needs 500 bytes, there are 499"), (2600, "a batch needs 61 bytes, there are 0")]
    {
        let (places, scanned) = scan(&model, up_to);
        assert_eq!(places.len(), if up_to < 2500 { 4 } else { 5 });
        assert_eq!(scanned.stop.unwrap().fault.to_string(), fault);
    }
    model.disk.rot(model.segment.path(FileKind::Log), 1100, 1);
    let (places, scanned) = scan(&model, 2500);
    assert_eq!(places.len(), 2);
    assert!(matches!(scanned.stop.unwrap().fault, Fault::Crc { .. }));
    assert_eq!(scanned.end.position, 1000);
    let from = Written { position: 500, offset: Model::BASE + 3 };
    let stop = model.segment.scan(from, 2500, &mut |_, _| ControlFlow::Continue(())).unwrap().stop.unwrap();
    assert!(matches!(stop.fault, Fault::Offsets { base, .. } if base == Model::BASE + 2));
}

#[test]
fn a_lying_length_allocates_nothing_and_is_an_error_with_its_place() {
    let mut model = Model::new(7);
    model.append_sized(1, Timestamp(1), 100);
    model.write_all();
    let huge = 0x7fff_fff0i32.to_be_bytes();
    model.segment.write_at(&[IoSlice::new(&huge)], 8).unwrap();
    let error = model.segment.summarize(100).unwrap_err();
    assert_eq!(error.position, Some(0));
    assert!(matches!(error.fault, Fault::Batch(BatchError::Truncated { have: 100, .. })), "{error}");
    let scanned =
        model.segment.scan(Written { position: 0, offset: Offset(0) }, 100, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(scanned.unwrap().stop.unwrap().fault, Fault::Batch(BatchError::Truncated { .. })));
}

#[test]
fn the_file_is_made_once_and_removed_with_its_indexes() {
    let mut model = Model::new(8);
    for _ in 0..20 {
        model.append_sized(1, Timestamp(1), 1000);
    }
    model.write_all();
    model.segment.seal().unwrap();
    assert_eq!(model.segment.create().unwrap_err().io_kind(), Some(io::ErrorKind::AlreadyExists));
    assert!(!model.segment.open_or_create().unwrap());
    model.segment.remove_files().unwrap();
    model.segment.remove_files().unwrap();
    let left = env::Disk::read_dir(&model.disk, Path::new(Model::DIRECTORY)).unwrap();
    assert!(left.is_empty(), "{left:?}");
}
