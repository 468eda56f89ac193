//! Any bytes in the place of a file of the metadata log: nothing panics, nothing is allocated that is not there, and what is
//! opened can be opened again.
#[path = "../../../fuzz/mutate.rs"]
mod mutate;
#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::io::IoSlice;
use std::path::Path;

use env::sim::Disk;
use env::{Disk as _, OpenOptions};
use quorum::{Inspected, OpenError};
use support::{DIRECTORY, Node};

const BLOCK: usize = 4096;
/// Of a file's header and of a group's.
const HEADER_BYTES: usize = 60;
const LOG: &str = "0000000001.log";
const SNAPSHOT: &str = "00000000000000000003-0000000001.snapshot";

/// One of the corpus.
fn seed(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(path)).unwrap()
}

/// A directory with these files. The vote is of the first term, unless it is one of them.
fn directory(files: &[(&str, &[u8])]) -> Disk {
    let disk = Disk::new(1);
    env::disk::create_dir_all(&disk, Path::new(DIRECTORY)).unwrap();
    let vote = seed("metadata-vote/first");
    let has_vote = files.iter().any(|(name, _)| *name == "vote");
    let vote = [("vote", &vote[..])];
    for (name, bytes) in files.iter().chain(vote.iter().filter(|_| !has_vote)) {
        let file = disk.open(&Path::new(DIRECTORY).join(name), OpenOptions::CREATE_NEW).unwrap();
        file.write_all_at(&[IoSlice::new(bytes)], 0).unwrap();
    }
    disk
}

/// What is in it, if it opens; then it opens for good, with the same, and once more.
fn opened(disk: &Disk) -> Option<Inspected> {
    let inspected = match quorum::inspect(disk, Path::new(DIRECTORY)) {
        Ok(inspected) => inspected,
        Err(error @ (OpenError::Damaged { .. } | OpenError::Newer { .. })) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let terms = inspected.entries.last().map(|entry| entry.id.term).max(inspected.term);
    if terms.is_some_and(|term| term > 1 << 61) {
        return Some(inspected); // The next one would be too far.
    }
    let mut disk = disk.clone();
    let mut texts = None;
    for start in 0..2 {
        let node = Node::open(&disk, start).unwrap_or_else(|error| panic!("it was looked at and fine: {error}"));
        assert!(texts.replace(node.texts()).is_none_or(|before| before == node.texts()));
        drop(node);
        disk = disk.kill();
    }
    Some(inspected)
}

/// The checksums of the header, of every group's header and of its body, and the chain from group to group.
fn mend_log(bytes: &mut [u8]) {
    if bytes.len() < BLOCK {
        return;
    }
    bytes[..8].copy_from_slice(b"OTTLALOG");
    bytes[8..10].copy_from_slice(&1u16.to_be_bytes());
    // The numbers of the file, the group, the term and the entry before: not so far that the next one would be too far.
    [12, 28, 40, 48].into_iter().for_each(|at: usize| bytes[at] &= 0x1f);
    finish(bytes);
    let run: [u8; 8] = bytes[20..28].try_into().unwrap();
    let mut chain: [u8; 4] = bytes[36..40].try_into().unwrap();
    let mut at = BLOCK;
    while at + BLOCK <= bytes.len() {
        let group = &mut bytes[at..];
        if group[..8].iter().all(|byte| *byte == 0) {
            return;
        }
        group[..4].copy_from_slice(b"OTGR");
        group[4..6].copy_from_slice(&1u16.to_be_bytes());
        group[8..16].copy_from_slice(&run);
        let said = u32::from_be_bytes(group[44..48].try_into().unwrap()) as usize;
        let body = said.min(group.len() - HEADER_BYTES);
        let crc = crc32c::crc32c(&group[HEADER_BYTES..HEADER_BYTES + body]);
        group[48..52].copy_from_slice(&crc.to_be_bytes());
        group[52..56].copy_from_slice(&chain);
        chain = finish(group);
        at += (HEADER_BYTES + body).next_multiple_of(BLOCK);
    }
}

/// The checksum of a header.
fn finish(header: &mut [u8]) -> [u8; 4] {
    let crc = crc32c::crc32c(&header[..HEADER_BYTES - 4]).to_be_bytes();
    header[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc);
    crc
}

fn mend_vote(bytes: &mut [u8]) {
    if let Some((covered, crc)) = bytes.get_mut(..26).map(|bytes| bytes.split_at_mut(22)) {
        crc.copy_from_slice(&crc32c::crc32c(covered).to_be_bytes());
    }
}

/// The checksums of the header, of each piece, and of the end.
fn mend_snapshot(bytes: &mut [u8]) {
    let crc_of = |bytes: &[u8]| crc32c::crc32c(bytes).to_be_bytes();
    if bytes.len() < 30 {
        return;
    }
    let crc = crc_of(&bytes[..26]);
    bytes[26..30].copy_from_slice(&crc);
    let mut at = 30;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes(head[..4].try_into().unwrap());
        if length == u32::MAX {
            if let Some(end) = bytes.get_mut(at..at + 24) {
                end[12..20].copy_from_slice(&(at as u64).to_be_bytes());
                let crc = crc_of(&end[..20]);
                end[20..].copy_from_slice(&crc);
            }
            return;
        }
        let Some(piece) = bytes.get(at + 8..(at + 8).saturating_add(length as usize)) else { return };
        let crc = crc_of(piece);
        bytes[at + 4..at + 8].copy_from_slice(&crc);
        at += 8 + length as usize;
    }
}

#[test]
fn any_bytes_as_a_file_of_the_metadata_log() {
    let (mut taken, mut entries, mut refused) = (0, 0, 0);
    mutate::run("metadata-log", mend_log, |bytes| match opened(&directory(&[(LOG, bytes)])) {
        Some(inspected) => {
            taken += 1;
            entries += inspected.entries.len();
        }
        None => refused += 1,
    });
    println!("{taken} taken with {entries} entries, {refused} refused");
    assert!(taken > 0 && entries > 0 && refused > 0);
}

#[test]
fn any_bytes_as_a_vote() {
    let log = seed("metadata-log/killed");
    let (mut taken, mut refused) = (0, 0);
    mutate::run("metadata-vote", mend_vote, |bytes| match opened(&directory(&[(LOG, &log), ("vote", bytes)])) {
        Some(_) => taken += 1,
        None => refused += 1,
    });
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
}

#[test]
fn any_bytes_as_a_snapshot_of_the_metadata() {
    let log = seed("metadata-log/behind-snapshot");
    let (mut taken, mut refused) = (0, 0);
    mutate::run("metadata-snapshot", mend_snapshot, |bytes| {
        match opened(&directory(&[("0000000002.log", &log), (SNAPSHOT, bytes)])) {
            Some(inspected) => {
                assert!(inspected.snapshot.is_some());
                taken += 1;
            }
            None => refused += 1,
        }
    });
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
}
