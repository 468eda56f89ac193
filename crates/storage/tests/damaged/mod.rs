//! Directories as a stop or a kill leaves them, what they hold, and what must come back of it.
use std::collections::BTreeMap;
use std::fmt;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use env::sim::Disk;
use env::{Disk as _, OpenOptions};
use record::{Batches, Offset, TopicPartition};
use storage::inspect::{self, Finding, Remedy, Report};
use storage::{Durability, Facts, Log, LogConfig, OpenError, ReadError, Settings, Slice};

use crate::rig::{self, ROOT, Rig, append, batch};

/// By log, every batch by its base offset.
type Held = BTreeMap<String, BTreeMap<Offset, Vec<u8>>>;

pub struct Image {
    pub name: &'static str,
    disk: Disk,
    held: Held,
    facts: Facts,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    /// Everything is there.
    Sound,
    /// A range is marked, everything else is there.
    Marked,
    /// The directory is not opened, and the error names it.
    Refused,
}

/// What has come of it, by kinds of files.
#[derive(Default)]
pub struct Tried(BTreeMap<(String, Outcome), u64>);

pub fn settings() -> Settings {
    Settings {
        lane_file_bytes: 32 << 10,
        lane_bytes_max: 512 << 10,
        checkpoint_bytes: u64::MAX / 2,
        group_bytes_max: 16 << 10,
        piece_bytes: 4 << 10,
        direct_bytes: 9 << 10,
        direct_batch_bytes: 0,
        memory_bytes_max: 1 << 20,
        ..Settings::default()
    }
}

const TOPICS: [&str; 4] = ["a", "b", "c", "r"];

impl Image {
    /// After a clean stop.
    pub fn stopped() -> Image {
        let rig = lived();
        let (held, facts) = (held(&rig), rig.dir.facts().clone());
        rig.close();
        Image { name: "stopped", disk: rig.disk.kill().durable_image(), held, facts }
    }

    /// Killed, with much in the lane. The last group is sealed.
    pub fn killed() -> Image {
        let rig = lived();
        for tag in 0..6 {
            append(&rig.log("a"), &batch(100 + tag, 1, 700)).unwrap();
            append(&rig.log("b"), &batch(200 + tag, 2, 150)).unwrap();
            rig.run();
        }
        append(&rig.log("a"), &batch(110, 1, 10_000)).unwrap();
        rig.run();
        rig.create("late");
        append(&rig.log("late"), &batch(300, 1, 100)).unwrap();
        append(&rig.log("r"), &batch(301, 1, 100)).unwrap();
        rig.run_for(Duration::from_millis(1500));
        for tag in 0..4 {
            append(&rig.log("late"), &batch(310 + tag, 1, 300)).unwrap();
            append(&rig.log("a"), &batch(320 + tag, 1, 300)).unwrap();
            rig.run();
        }
        rig.run_for(Duration::from_millis(20));
        let (held, facts) = (held(&rig), rig.dir.facts().clone());
        Image { name: "killed", disk: rig.disk.kill().durable_image(), held, facts }
    }

    /// One more batch than there is: the judge must miss it.
    pub fn without_a_batch(mut self) -> Image {
        let log = self.held.get_mut("b").expect("it is there");
        let (base, bytes) = log.pop_last().expect("it has batches");
        log.insert(base, bytes.clone());
        log.insert(base + 2, bytes);
        self
    }

    /// All of them, with what they hold.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let mut directories = vec![ROOT.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in self.disk.read_dir(Path::new(&directory)).unwrap() {
                let path = format!("{directory}/{}", entry.name);
                match entry.is_dir {
                    true => directories.push(path),
                    false => {
                        let content = self.disk.visible(&path).unwrap();
                        files.push((path[ROOT.len() + 1..].to_owned(), content));
                    }
                }
            }
        }
        files
    }

    /// The same files with the same content.
    pub fn is_as_it_was(&self, disk: &Disk) -> bool {
        let other = Image { name: self.name, disk: disk.clone(), held: Held::new(), facts: self.facts.clone() };
        self.files() == other.files()
    }

    /// Blocks of a lane file that were never written are not gone through byte by byte.
    pub fn means_something(&self, path: &str, content: &[u8], at: u64) -> bool {
        let block = at as usize / 4096 * 4096;
        !path.starts_with("lane/")
            || content[block..].iter().take(4096).any(|byte| *byte != 0)
            || at.is_multiple_of(1021)
    }

    pub fn copy(&self) -> Disk {
        self.disk.fork().kill()
    }

    /// Damages a copy, starts on it, and looks at everything. Then once more, as the first start has left it.
    pub fn judge(&self, damage: impl FnOnce(&Disk)) -> Outcome {
        let disk = self.copy();
        damage(&disk);
        let report = verify(&disk);
        let rig = match open(disk) {
            Ok(rig) => rig,
            Err(error) => {
                assert!(matches!(error, OpenError::Meta(_)), "not opened: {error}");
                assert!(report.findings.iter().any(|finding| finding.remedy == Remedy::Refused), "{report:?}");
                return Outcome::Refused;
            }
        };
        let Facts { cluster_id, directory_id, .. } = rig.dir.facts();
        assert_eq!((cluster_id, directory_id), (&self.facts.cluster_id, &self.facts.directory_id));
        let marked = self.look(&rig);
        rig.dir.checkpoint();
        rig.run_for(Duration::from_millis(20));
        // A world and its workers hold each other.
        rig.world.end();
        let rig = open(rig.disk.kill()).unwrap_or_else(|error| panic!("not opened again: {error}"));
        let again = self.look(&rig);
        rig.world.end();
        assert!(marked.is_empty() || report.findings.iter().any(Finding::is_damage), "{marked:?} and no word of it");
        assert!(marked.is_empty() || !again.is_empty(), "the mark is forgotten: {marked:?}");
        if marked.is_empty() { Outcome::Sound } else { Outcome::Marked }
    }

    /// Returns the marks, by log.
    fn look(&self, rig: &Rig) -> BTreeMap<String, Vec<std::ops::Range<Offset>>> {
        let mut marked = BTreeMap::new();
        for (topic, expected) in &self.held {
            let Some(log) = rig.dir.log(rig::topic_id(topic), 0) else {
                // Whoever knows that it should be here makes it again, as one that is lost.
                assert!(topic == "late" && rig.dir.may_lack_logs(), "{topic} is gone");
                let name = TopicPartition::new(topic.as_str(), 0);
                let config = LogConfig::default();
                let log = rig.dir.create_lost_log(name, rig::topic_id(topic), config, None).unwrap();
                rig.run();
                marked.insert(topic.clone(), log.faulty_ranges());
                continue;
            };
            let faulty = look_at(rig, topic, &log, expected);
            if !faulty.is_empty() {
                marked.insert(topic.clone(), faulty);
            }
        }
        marked
    }
}

fn look_at(
    rig: &Rig,
    topic: &str,
    log: &std::sync::Arc<Log>,
    expected: &BTreeMap<Offset, Vec<u8>>,
) -> Vec<std::ops::Range<Offset>> {
    let mut from = log.ends().log_start;
    let mut seen = 0;
    let mut steps = 0;
    loop {
        let end = log.ends().log_end;
        let found = match read(rig, log, from, end) {
            Err(ReadError::Cold) => read(rig, log, from, end),
            found => found,
        };
        let found = match found {
            Err(ReadError::Faulty { range, .. }) => {
                assert!(log.faulty_ranges().contains(&range), "{topic}: {range:?} is not marked");
                if range.end == Offset(i64::MAX) {
                    break;
                }
                from = range.end;
                continue;
            }
            found => found.unwrap_or_else(|error| panic!("{topic} at {from}: {error}")),
        };
        if from >= end {
            break;
        }
        assert!(!found.is_empty(), "{topic}: nothing at {from} below {end}");
        for batch in Batches::new(&found) {
            let batch = batch.unwrap();
            let right = expected
                .get(&batch.base_offset())
                .unwrap_or_else(|| panic!("{topic}: nothing was at {}", batch.base_offset()));
            assert!(*right == batch.bytes(), "{topic}: wrong bytes at {}", batch.base_offset());
            from = batch.next_offset();
            seen += 1;
        }
        steps += 1;
        assert!(steps < 1000, "{topic}: no end");
    }
    let faulty = log.faulty_ranges();
    let is_lost = |base: &&Offset| faulty.iter().any(|range| range.contains(base));
    let lost = expected.keys().filter(is_lost).count();
    assert!(seen + lost >= expected.len(), "{topic}: {seen} batches and {lost} lost of {}, {faulty:?}", expected.len());
    faulty
}

/// As a fetch does it.
fn read(rig: &Rig, log: &std::sync::Arc<Log>, from: Offset, end: Offset) -> Result<Vec<u8>, ReadError> {
    let read = match log.read(from, 3000, end, true) {
        Err(ReadError::Cold) => rig.wait(rig.dir.read_cold(log, from, 3000, end, true))?,
        read => read?,
    };
    let mut all = Vec::new();
    for slice in read.slices {
        match slice {
            Slice::Memory(bytes) => all.extend_from_slice(&bytes),
            Slice::File(slice) => match slice.read_cached().unwrap() {
                Some(bytes) => all.extend_from_slice(&bytes),
                None => all.extend_from_slice(&rig.wait(rig.dir.read_slice_cold(slice))?),
            },
        }
    }
    Ok(all)
}

/// A directory with a past: segments, dropped ones, a deleted log, a relaxed one, checkpoints.
fn lived() -> Rig {
    let rig = Rig::on(Disk::new(1), settings()).unwrap();
    for topic in ["a", "b", "gone"] {
        rig.create(topic);
    }
    rig.create_with("c", LogConfig { segment_bytes: 3000, ..LogConfig::default() });
    rig.create_with("r", LogConfig { durability: Durability::Relaxed, ..LogConfig::default() });
    rig.run();
    for tag in 0..8 {
        for topic in TOPICS.iter().chain(&["gone"]) {
            append(&rig.log(topic), &batch(tag, 1, 500 + 40 * tag as usize)).unwrap();
        }
        rig.run();
    }
    rig.run_for(Duration::from_secs(2));
    rig.dir.checkpoint();
    rig.run_for(Duration::from_millis(20));
    assert_eq!(rig.wait(rig.log("c").advance_log_start(Offset(5))), Ok(Offset(5)));
    assert_eq!(rig.wait(rig.dir.delete_log(&rig.log("gone"))), Ok(()));
    append(&rig.log("b"), &batch(50, 3, 100)).unwrap();
    append(&rig.log("c"), &batch(51, 1, 2000)).unwrap();
    rig.run_for(Duration::from_secs(2));
    rig.dir.checkpoint();
    rig.run_for(Duration::from_millis(20));
    rig
}

fn held(rig: &Rig) -> Held {
    let mut held = Held::new();
    for log in rig.dir.logs() {
        let bytes = rig::contents(&log);
        let batches = Batches::new(&bytes).map(|batch| batch.unwrap());
        let batches = batches.map(|batch| (batch.base_offset(), batch.bytes().to_vec())).collect();
        held.insert(log.name().topic.to_string(), batches);
    }
    held
}

pub fn open(disk: Disk) -> Result<Rig, OpenError> {
    Rig::on(disk, settings())
}

/// As `ottla log verify` sees it.
pub fn verify(disk: &Disk) -> Report {
    let held = inspect::hold(disk, Path::new(ROOT)).unwrap();
    let disk: Arc<dyn env::Disk> = Arc::new(disk.clone());
    inspect::verify(&disk, Path::new(ROOT), &held).unwrap()
}

pub fn flip(disk: &Disk, path: &str, at: u64, mask: u8) {
    let file = disk.open(Path::new(&format!("{ROOT}/{path}")), OpenOptions::WRITE).unwrap();
    let mut byte = [0];
    assert_eq!(file.read_at(&mut byte, at).unwrap(), 1);
    file.write_all_at(&[IoSlice::new(&[byte[0] ^ mask])], at).unwrap();
    file.sync_data().unwrap();
}

pub fn cut(disk: &Disk, path: &str, length: u64) {
    let file = disk.open(Path::new(&format!("{ROOT}/{path}")), OpenOptions::WRITE).unwrap();
    file.set_len(length).unwrap();
    file.sync_data().unwrap();
}

pub fn remove(disk: &Disk, path: &str) {
    let path = format!("{ROOT}/{path}");
    let path = Path::new(&path);
    disk.remove_file(path).unwrap();
    disk.sync_dir(path.parent().unwrap()).unwrap();
}

/// What is nobody's, where only ours should be.
pub struct Plant {
    pub path: &'static str,
    /// `None` for a directory.
    content: Option<&'static [u8]>,
}

const fn file(path: &'static str, content: &'static [u8]) -> Plant {
    Plant { path, content: Some(content) }
}

const fn directory(path: &'static str) -> Plant {
    Plant { path, content: None }
}

pub const PLANTS: &[Plant] = &[
    file("lost+found", b""),
    directory("lost+found"),
    file("a-0", b"Kafka's name of a log"),
    directory("a-0"),
    file("a-0.1.bak", b"a copy"),
    directory("b-0.ffff"),
    file("b-0.fffe", b"a file with the name of a log"),
    directory("x-0.ffffffffffffffff"),
    directory("set-aside"),
    file("set-aside", b"not a directory"),
    file("checkpoint-2", b"OTTLACKP"),
    file("checkpoint-0.tmp", b"OTTLACKP"),
    file("meta.properties.tmp", b"cluster.id=another"),
    file("meta.properties.bak", b"cluster.id=another"),
    file("recovery-point-offset-checkpoint", b"0\n0\n"),
    file("lane/lane-00007.new", b"half of one"),
    file("lane/lane-00031", b"OTTLAGRP"),
    file("lane/lane-00032", &[0x55; 4096]),
    directory("lane/lane-00033"),
    directory("lane/lane-00034.new"),
    file("lane/lane-99999", b""),
    file("lane/readme", b"hands off"),
    directory("lane/old"),
    file("a-0.1/00000000000000000099.log", b"no batch"),
    file("a-0.1/00000000000000000000.9.log", b"no batch"),
    file("a-0.1/00000000000000000000.txnindex", b"no index"),
    file("a-0.1/00000000000000000000.snapshot", b"no snapshot"),
    file("a-0.1/notes", b"hands off"),
    directory("a-0.1/old"),
    directory("a-0.1/00000000000000000077.log"),
    directory("c-0.4/00000000000000000000.timeindex.deleted"),
];

pub fn plant(disk: &Disk, plant: &Plant) {
    let path = format!("{ROOT}/{}", plant.path);
    let path = Path::new(&path);
    match plant.content {
        Some(content) => {
            let file = disk.open(path, OpenOptions::CREATE_NEW).unwrap();
            file.write_all_at(&[IoSlice::new(content)], 0).unwrap();
            file.sync_data().unwrap();
        }
        None => disk.create_dir(path).unwrap(),
    }
    disk.sync_dir(path.parent().unwrap()).unwrap();
}

impl Tried {
    pub fn count(&mut self, path: &str, outcome: Outcome) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let kind = match name.rsplit_once('.') {
            Some((_, kind)) if name != "meta.properties" => kind,
            _ if name.starts_with("lane-") => "lane",
            _ => name,
        };
        *self.0.entry((kind.to_owned(), outcome)).or_default() += 1;
    }

    /// Only these files may keep a directory from being opened.
    pub fn assert_started(&self, but: &[&str]) {
        for (kind, outcome) in self.0.keys() {
            assert!(*outcome != Outcome::Refused || but.contains(&kind.as_str()), "refused for {kind}");
        }
    }

    pub fn assert_marked(&self) {
        assert!(self.0.keys().any(|(_, outcome)| *outcome == Outcome::Marked), "nothing was ever lost");
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> =
            self.0.iter().map(|((kind, outcome), count)| format!("{kind} {outcome:?} {count}")).collect();
        f.write_str(&all.join(", "))
    }
}
