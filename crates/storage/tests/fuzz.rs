//! Any bytes in the place of a file of the engine's, and in a produce request: nothing panics, nothing is allocated that
//! was not received, and what is taken is what it says it is.
#[path = "../../../fuzz/mutate.rs"]
mod mutate;

use std::io::IoSlice;
use std::path::Path;

use env::sim::Disk;
use env::{Disk as _, OpenOptions};
use record::{Batches, Decompressor, LeaderEpoch, Timestamp};
use storage::inspect::{Depth, Line, Value, dump};
use storage::validate::{Origin, Rules, validate};

/// What a dump says of a file of this name that holds these bytes.
fn dumped(name: &str, bytes: &[u8]) -> Vec<Line> {
    let disk = Disk::new(1);
    disk.create_dir(Path::new("/data")).unwrap();
    let path = format!("/data/{name}");
    let file = disk.open(Path::new(&path), OpenOptions::CREATE_NEW).unwrap();
    file.write_all_at(&[IoSlice::new(bytes)], 0).unwrap();
    let mut lines = Vec::new();
    let depth = Depth { records: true, contents: true };
    let mut out = |line: Line| {
        let _ = line.to_string();
        lines.push(line);
        lines.len() < 10_000
    };
    assert!(dump(&disk, Path::new(&path), depth, &|_| None, &mut out).unwrap(), "{name} is one of its files");
    lines
}

fn number(line: &Line, name: &str) -> Option<i128> {
    line.fields.iter().find_map(|(field, value)| match value {
        Value::Number(number) if *field == name => Some(*number),
        _ => None,
    })
}

/// Behind the times in the corpus, which lie in the year 2100.
const NOW: Timestamp = Timestamp(4_200_000_000_000);

const LENGTH_AT: usize = 8;
const CRC_AT: usize = 17;
const COVERED_FROM: usize = 21;

/// The checksum of each batch, and the length of one that has another.
fn mend_batches(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + record::HEADER_BYTES) {
        let said = i32::from_be_bytes(head[LENGTH_AT..LENGTH_AT + 4].try_into().unwrap());
        let left = bytes.len() - at;
        let size = usize::try_from(said).unwrap_or(0).saturating_add(12);
        let size = if (record::HEADER_BYTES..=left).contains(&size) { size } else { left };
        bytes[at + LENGTH_AT..at + LENGTH_AT + 4].copy_from_slice(&((size - 12) as i32).to_be_bytes());
        let crc = crc32c::crc32c(&bytes[at + COVERED_FROM..at + size]);
        bytes[at + CRC_AT..at + CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        at += size;
    }
}

/// The length and the checksum at the end.
fn mend_checkpoint(bytes: &mut [u8]) {
    if bytes.len() < 92 {
        return;
    }
    let len = bytes.len();
    bytes[16..24].copy_from_slice(&(len as u64).to_be_bytes());
    let crc = crc32c::crc32c(&bytes[..len - 4]);
    bytes[len - 4..].copy_from_slice(&crc.to_be_bytes());
}

/// The checksums of every group's header and of its records.
fn mend_lane(bytes: &mut [u8]) {
    for at in (0..bytes.len().saturating_sub(511)).step_by(4096) {
        let block = &mut bytes[at..];
        block[..8].copy_from_slice(b"OTTLAGRP");
        block[8..10].copy_from_slice(&1u16.to_be_bytes());
        block[48..56].copy_from_slice(&(at as u64).to_be_bytes());
        block[56..60].fill(0);
        let crc = crc32c::crc32c(&block[..508]);
        block[508..512].copy_from_slice(&crc.to_be_bytes());
        let run: [u8; 8] = block[16..24].try_into().unwrap();
        let mut from = 512;
        while let Some(head) = block.get(from..from + 32) {
            let size = u32::from_be_bytes(head[4..8].try_into().unwrap()) as usize;
            let Some(record) = block.get_mut(from..from.saturating_add(size)).filter(|_| size >= 32) else { break };
            let crc = crc32c::crc32c_append(crc32c::crc32c(&run), &record[4..]);
            record[..4].copy_from_slice(&crc.to_be_bytes());
            from += size.next_multiple_of(8);
        }
    }
}

/// Both lengths and both checksums.
fn mend_snapshot(bytes: &mut [u8]) {
    let len = bytes.len();
    if len < 60 {
        return;
    }
    let size = (len as u32).to_be_bytes();
    bytes[8..12].copy_from_slice(&size);
    let crc = crc32c::crc32c(&bytes[..48]);
    bytes[48..52].copy_from_slice(&crc.to_be_bytes());
    bytes[len - 8..len - 4].copy_from_slice(&size);
    let crc = crc32c::crc32c(&bytes[..len - 4]);
    bytes[len - 4..].copy_from_slice(&crc.to_be_bytes());
}

fn as_they_are(_: &mut [u8]) {}

#[test]
fn any_bytes_as_a_segment() {
    mutate::run("segment", mend_batches, |bytes| {
        let lines = dumped("00000000000000000000.log", bytes);
        let mut end = 0;
        for line in lines.iter().filter(|line| !line.is_inner) {
            assert_eq!(number(line, "position"), Some(end), "one stands behind the other");
            end += number(line, "size").unwrap_or(0);
        }
        assert!(end <= bytes.len() as i128);
    });
}

#[test]
fn any_bytes_as_batches_of_a_produce() {
    let (mut taken, mut refused) = (0, 0);
    let mut decompressor = Decompressor::default();
    mutate::run("segment", mend_batches, |bytes| {
        let bytes = bytes::Bytes::copy_from_slice(bytes);
        let origin = Origin::Client { produce_version: 9 };
        let first = Batches::new(&bytes).next().and_then(Result::ok).map_or(0, |batch| batch.size_bytes());
        let one = bytes.slice(..first);
        match validate(&one, &Rules::default(), origin, NOW, &mut decompressor) {
            Ok(validated) => {
                // What is stored of it is one batch, and whole.
                let mut stored = Vec::new();
                validated.write_to(&mut stored, &one, record::Offset(7), LeaderEpoch(3));
                let mut batches = Batches::new(&stored);
                let batch = batches.next().unwrap().unwrap();
                assert!(batches.next().is_none() && batch.crc_is_valid() && batch.base_offset() == record::Offset(7));
                taken += 1;
            }
            Err(_) => refused += 1,
        }
    });
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
}

#[test]
fn any_bytes_as_an_index_of_offsets() {
    mutate::run("index", as_they_are, |bytes| {
        assert_eq!(dumped("00000000000000000000.index", bytes).len(), bytes.len() / 8);
    });
}

#[test]
fn any_bytes_as_an_index_of_times() {
    mutate::run("index", as_they_are, |bytes| {
        assert_eq!(dumped("00000000000000000000.timeindex", bytes).len(), bytes.len() / 12);
    });
}

#[test]
fn any_bytes_as_a_checkpoint() {
    let mut taken = 0;
    mutate::run("checkpoint", mend_checkpoint, |bytes| {
        taken += usize::from(number(&dumped("checkpoint-0", bytes)[0], "sequence").is_some());
    });
    assert!(taken > 0, "none is a checkpoint");
}

#[test]
fn any_bytes_as_a_lane_file() {
    let mut groups = 0;
    mutate::run("lane", mend_lane, |bytes| {
        let lines = dumped("lane-00000", bytes);
        groups += lines.iter().filter(|line| number(line, "group").is_some()).count();
    });
    assert!(groups > 0, "no groups");
}

#[test]
fn any_bytes_as_a_snapshot_of_producers() {
    let mut producers = 0;
    mutate::run("snapshot", mend_snapshot, |bytes| {
        let lines = dumped("00000000000000000000.snapshot", bytes);
        producers += lines.iter().filter(|line| number(line, "producerId").is_some()).count();
    });
    assert!(producers > 0, "no producers");
}
