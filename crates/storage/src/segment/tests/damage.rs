//! What becomes of a segment when its index files lie, are lost or are those of another life.

use env::sim::Chance;
use record::{Offset, Timestamp};

use super::super::*;
use super::model::Model;

fn grown(seed: u64) -> Model {
    let mut model = Model::new(seed);
    for step in 0..200 {
        model.append_random(Timestamp(step * 10));
    }
    model.write_all();
    model.segment.seal().unwrap();
    model.segment.sync().unwrap();
    model
}

fn overwrite(model: &Model, kind: FileKind, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = model.file(kind);
    change(&mut bytes);
    let file = env::Disk::open(&model.disk, &model.segment.path(kind), env::OpenOptions::WRITE).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(&bytes)], 0).unwrap();
}

/// Any bytes whatsoever.
fn mangle(bytes: &mut Vec<u8>, chance: &mut Chance) {
    match chance.index(5) {
        0 => bytes.clear(),
        1 => chance.fill(bytes),
        2 => bytes.extend_from_slice(&[0; 4096]),
        3 => {
            let at = chance.index(bytes.len());
            bytes[at] ^= 1 << chance.index(8);
        }
        _ => {
            let len = chance.index(bytes.len());
            bytes.truncate(len);
        }
    }
}

#[test]
fn reads_are_right_whatever_the_index_files_hold() {
    for seed in 0..16 {
        let mut model = grown(seed);
        let mut chance = model.chance.fork();
        for kind in [FileKind::OffsetIndex, FileKind::TimeIndex] {
            overwrite(&model, kind, |bytes| mangle(bytes, &mut chance));
        }
        model.segment = Model::open(&model.disk, model.segment.summary());
        model.check();
        let mut decompressor = record::Decompressor::new();
        for target in (0..2100).step_by(130) {
            let written = model.end();
            let found =
                model.segment.offset_for_timestamp(Timestamp(target), Model::BASE, written, &mut decompressor).unwrap();
            let expected =
                model.places.iter().find(|place| place.max_timestamp.0 >= target).map(|place| place.max_timestamp);
            // Records before the last of a batch are a millisecond older.
            let is_near = |timestamp: Timestamp| (target..target + 10).contains(&timestamp.0);
            assert_eq!(found.is_some(), expected.is_some(), "seed {seed}");
            assert!(found.is_none_or(|found| is_near(found.timestamp)), "seed {seed}: {found:?} for {target}");
        }
    }
}

#[test]
fn an_entry_that_points_to_another_batch_is_found_out_when_it_is_used() {
    let mut model = grown(3);
    // Every position one batch further on, all of them rising: only the log can tell.
    let places = model.places.clone();
    overwrite(&model, FileKind::OffsetIndex, |bytes| {
        for entry in bytes.chunks_exact_mut(8) {
            let position = u32::from_be_bytes(entry[4..].try_into().unwrap());
            let at = places.iter().position(|place| place.position == position).unwrap();
            entry[4..].copy_from_slice(&places[at + 1].position.to_be_bytes());
        }
    });
    model.segment = Model::open(&model.disk, model.segment.summary());
    model.check();
}

#[test]
fn one_false_entry_among_true_ones_is_found_out() {
    let position = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at * 8 + 4..at * 8 + 8].try_into().unwrap());
    let index = grown(4).file(FileKind::OffsetIndex);
    let mut tried = 0;
    for at in 1..index.len() / 8 - 1 {
        let mut model = grown(4);
        let next = model.places.iter().find(|place| place.position > position(&index, at)).unwrap().position;
        if next >= position(&index, at + 1) {
            continue; // It would not rise any more: loading finds that.
        }
        overwrite(&model, FileKind::OffsetIndex, |bytes| {
            bytes[at * 8 + 4..at * 8 + 8].copy_from_slice(&next.to_be_bytes());
        });
        model.segment = Model::open(&model.disk, model.segment.summary());
        model.check();
        assert!(model.has_doubted(), "entry {at}");
        tried += 1;
        if tried == 3 {
            return;
        }
    }
    panic!("only {tried} entries could be made false");
}

#[test]
fn a_time_entry_that_claims_too_little_is_found_out() {
    for at in [1, 5, 9] {
        let mut model = grown(8);
        overwrite(&model, FileKind::TimeIndex, |bytes| {
            let before = i64::from_be_bytes(bytes[at * 12 - 12..at * 12 - 4].try_into().unwrap());
            bytes[at * 12..at * 12 + 8].copy_from_slice(&(before + 1).to_be_bytes());
        });
        model.segment = Model::open(&model.disk, model.segment.summary());
        let mut decompressor = record::Decompressor::new();
        for place in &model.places {
            let (target, written) = (place.max_timestamp, model.end());
            let found = model.segment.offset_for_timestamp(target, Model::BASE, written, &mut decompressor).unwrap();
            assert_eq!(found.map(|found| found.timestamp), Some(target));
        }
        assert!(model.has_doubted());
    }
}

#[test]
fn a_power_loss_that_keeps_any_part_of_unsynced_indexes_does_no_harm() {
    for seed in 0..16 {
        let mut model = Model::new(seed);
        model.segment.create().unwrap();
        env::Disk::sync_dir(&model.disk, Path::new(Model::DIRECTORY)).unwrap();
        for _ in 0..5 {
            for _ in 0..100 {
                model.append_random(Timestamp(1));
            }
            model.write_all();
            assert!(model.segment.indexes_due(model.end()) || model.batches.len() < 600);
            model.segment.write_indexes(model.end()).unwrap();
        }
        model.segment.sync().unwrap();
        let summary = model.segment.summary();
        model.disk = model.disk.power_loss(&mut model.chance);
        model.segment = Model::open(&model.disk, summary);
        model.check();
    }
}

#[test]
fn files_of_an_earlier_life_are_not_believed() {
    let model = grown(5);
    let stale = (model.file(FileKind::OffsetIndex), model.file(FileKind::TimeIndex));
    model.segment.remove_files().unwrap();
    assert!(model.has_doubted());
    let mut model = Model { batches: Vec::new(), places: Vec::new(), written: 0, ..model };
    model.segment = Model::open(&model.disk, Summary::empty(Model::BASE, Model::CREATED));
    for (kind, bytes) in [(FileKind::OffsetIndex, stale.0), (FileKind::TimeIndex, stale.1)] {
        let file = env::Disk::open(&model.disk, &model.segment.path(kind), env::OpenOptions::CREATE_NEW).unwrap();
        file.write_all_at(&[std::io::IoSlice::new(&bytes)], 0).unwrap();
    }
    for _ in 0..40 {
        model.append_random(Timestamp(5));
    }
    model.write_all();
    model.check();
    model.segment.seal().unwrap();
    model.check();
    let entries = model.file(FileKind::OffsetIndex).len() / 8;
    assert!(entries <= model.batches.len() / 5, "{entries} entries for {} batches", model.batches.len());
    let summary = model.segment.summary();
    model.segment.sync().unwrap();
    model.segment = Model::open(&model.disk, summary);
    model.check();
    assert!(!model.has_doubted());
}

#[test]
fn damage_in_the_log_is_an_error_with_file_and_place_and_no_more_is_lost() {
    let model = grown(6);
    let places = model.places.clone();
    let rotten = places[150];
    // The magic: what is there is no batch any more.
    model.disk.rot(model.segment.path(FileKind::Log), u64::from(rotten.position) + 16, 0xff);
    let read = |segment: &Segment, from: Offset| {
        let request =
            ReadRequest { from, up_to: Offset(i64::MAX), bytes_max: 1, at_least_one: true, written: model.end() };
        segment.read(&request, Access::Blocking)
    };
    let error = read(&model.segment, rotten.base_offset).err().expect("a rotten header");
    assert_eq!((error.position, error.is_damage()), (Some(rotten.position.into()), true));
    assert!(error.to_string().contains("00000000000000007000.log at "), "{error}");
    let before = read(&model.segment, places[149].base_offset).unwrap();
    assert!(matches!(before, Located::At(range) if range.position == places[149].position));
    let behind = read(&model.segment, places[190].base_offset).unwrap();
    assert!(matches!(behind, Located::At(range) if range.position == places[190].position));
    model.check_located(
        &ReadRequest {
            from: places[0].base_offset,
            up_to: Offset(i64::MAX),
            bytes_max: 1,
            at_least_one: true,
            written: model.end(),
        },
        &read(&model.segment, places[0].base_offset).unwrap(),
        &places,
    );
}
