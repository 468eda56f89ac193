//! A segment beside the list of batches that are in it.

use std::io::IoSlice;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use env::sim::disk::Call;
use env::sim::{Chance, Disk};
use record::{BatchBuilder, BatchMut, LeaderEpoch, Offset, Timestamp};

use super::super::*;

pub struct Model {
    pub disk: Disk,
    pub segment: Arc<Segment>,
    pub chance: Chance,
    pub batches: Vec<Vec<u8>>,
    pub places: Vec<BatchPlace>,
    // How many of them are in the file.
    pub written: usize,
    // Each is a doubt: nothing else removes index files of a segment that is not empty.
    pub removed_files: Arc<AtomicUsize>,
}

impl Model {
    pub const BASE: Offset = Offset(7000);
    pub const CREATED: Timestamp = Timestamp(1_000_000);
    pub const DIRECTORY: &'static str = "/log";

    pub fn new(seed: u64) -> Model {
        let disk = Disk::new(seed);
        env::Disk::create_dir(&disk, Path::new(Self::DIRECTORY)).unwrap();
        env::Disk::sync_dir(&disk, Path::new("/")).unwrap();
        let removed_files = Arc::new(AtomicUsize::new(0));
        let count = removed_files.clone();
        disk.observe(move |call, _| {
            if call == Call::RemoveFile {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let segment = Self::open(&disk, Summary::empty(Self::BASE, Self::CREATED));
        Model {
            disk,
            segment,
            chance: Chance::new(seed),
            batches: Vec::new(),
            places: Vec::new(),
            written: 0,
            removed_files,
        }
    }

    pub fn open(disk: &Disk, summary: Summary) -> Arc<Segment> {
        let files = OpenFiles::new(Arc::new(disk.clone()), 100);
        Segment::new(&files, Path::new(Self::DIRECTORY).into(), summary, IndexSettings::default())
    }

    /// A batch of so many records, the last of which has this timestamp, padded to so many bytes.
    pub fn append_sized(&mut self, records: i64, timestamp: Timestamp, size_bytes: usize) {
        let build = |padding: usize| {
            let mut builder = BatchBuilder::default();
            for record in 1..=records {
                let value = vec![b'v'; if record == records { padding } else { 0 }];
                let timestamp = if record == records { timestamp } else { Timestamp(timestamp.0 - 1) };
                builder.append(timestamp, None, Some(&value));
            }
            builder.build()
        };
        let mut padding = size_bytes - build(0).len();
        while build(padding).len() > size_bytes {
            padding -= 1;
        }
        let mut bytes = build(padding);
        assert_eq!(bytes.len(), size_bytes, "no padding makes a batch of this size");
        let mut batch = BatchMut::parse(&mut bytes).unwrap();
        batch.set_base_offset(self.end().offset);
        batch.set_partition_leader_epoch(LeaderEpoch(3));
        let place = BatchPlace::of(&batch.view(), self.end().position);
        self.segment.note(&place);
        self.places.push(place);
        self.batches.push(bytes);
    }

    pub fn append_random(&mut self, timestamp: Timestamp) {
        let records = self.chance.in_range(1..6) as i64;
        let size = 400 + self.chance.in_range(0..40) as usize + if self.chance.happens(0.1) { 9000 } else { 0 };
        self.append_sized(records, timestamp, size);
    }

    pub fn end(&self) -> Written {
        self.end_of(self.batches.len())
    }

    pub fn end_of(&self, batches: usize) -> Written {
        let start = Written { position: 0, offset: Self::BASE };
        batches.checked_sub(1).map_or(start, |last| self.places[last].end())
    }

    /// Forgets all but the first `count` batches.
    pub fn truncate(&mut self, count: usize) {
        self.batches.truncate(count);
        self.places.truncate(count);
        self.written = self.written.min(count);
    }

    /// Since the last time it was asked.
    pub fn has_doubted(&self) -> bool {
        self.removed_files.swap(0, Ordering::Relaxed) > 0
    }

    /// As one piece.
    pub fn write(&mut self, batches: Range<usize>) {
        self.segment.open_or_create().unwrap();
        let position = self.end_of(batches.start).position;
        let parts: Vec<IoSlice<'_>> = self.batches[batches.clone()].iter().map(|bytes| IoSlice::new(bytes)).collect();
        self.segment.write_at(&parts, position).unwrap();
        if batches.start <= self.written {
            self.written = self.written.max(batches.end);
        }
    }

    pub fn write_all(&mut self) {
        self.write(self.written..self.batches.len());
    }

    pub fn file(&self, kind: FileKind) -> Vec<u8> {
        self.disk.visible(self.segment.path(kind)).unwrap()
    }

    /// From the batch of this offset, relative to the base, with so many batches in the file.
    pub fn read_at(&self, offset: i64, batches: usize) -> Located {
        let request = ReadRequest {
            from: Self::BASE + offset,
            up_to: Offset(i64::MAX),
            bytes_max: 1 << 20,
            at_least_one: true,
            written: self.end_of(batches),
        };
        self.segment.read(&request, Access::Blocking).unwrap()
    }

    /// Every offset, and some reads with bounds, against the list.
    pub fn check(&mut self) {
        let places = self.places.clone();
        let written = self.end_of(self.written);
        for offset in Self::BASE.0..written.offset.0 + 2 {
            let from = Offset(offset);
            let span = u64::from(written.position) + 1;
            let request = ReadRequest {
                from,
                up_to: Offset(self.chance.in_range(Self::BASE.0 as u64..written.offset.0 as u64 + 3) as i64),
                bytes_max: self.chance.in_range(0..span) as u32,
                at_least_one: self.chance.happens(0.5),
                written,
            };
            let located = self.segment.read(&request, Access::Blocking).unwrap();
            self.check_located(&request, &located, &places);
        }
    }

    pub fn check_located(&self, request: &ReadRequest, located: &Located, places: &[BatchPlace]) {
        let below = |place: &&BatchPlace| place.end().position <= request.written.position;
        let visible: Vec<&BatchPlace> = places
            .iter()
            .filter(below)
            .filter(|place| place.last_offset >= request.from && place.last_offset < request.up_to)
            .collect();
        let visible = if request.from < request.up_to { visible } else { Vec::new() };
        let mut size = 0;
        let fitting = visible.iter().take_while(|place| {
            size += place.size_bytes;
            size <= request.bytes_max
        });
        let fitting = fitting.count().max(usize::from(request.at_least_one)).min(visible.len());
        match located {
            Located::Cold => panic!("a blocking read was cold"),
            Located::End => assert!(visible.is_empty(), "{request:?} found the end instead of {visible:?}"),
            Located::NoRoom => assert!(!visible.is_empty() && fitting == 0, "{request:?} found no room"),
            Located::At(range) => {
                assert!(fitting > 0, "{request:?} found something");
                assert_eq!((range.position, range.base_offset), (visible[0].position, visible[0].base_offset));
                assert_eq!(range.end_position(), visible[fitting - 1].end().position, "{request:?}");
            }
        }
    }
}
