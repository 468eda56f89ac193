//! The lane at work: where the next group goes, and which files may be used again. The committer owns a [`Lane`]; the
//! files that are free or still needed are [`LaneSpace`], shared with whoever makes files and checkpoints.
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::File;

use super::group::{GoesOn, GroupHeader, GroupKind, Place};
use super::{BLOCK, GroupBuilder};

/// The place between two groups: where a walk may begin, and what it must find there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct LanePoint {
    /// Of the next group.
    pub number: u64,
    /// Of the group before.
    pub run: u64,
    pub previous_crc: u32,
    /// Behind the group before. The next one may also be the first in any other file.
    pub place: Place,
}

#[derive(Clone)]
pub(crate) struct Slot {
    pub number: u32,
    pub file: Arc<dyn File>,
    pub size_bytes: u64,
}

/// Which files there are. `used` is in the order of use, the last one is being written.
#[derive(Default)]
pub(crate) struct LaneSpace {
    pub used: VecDeque<(Slot, u64)>,
    pub free: VecDeque<Slot>,
    /// Numbers that no new file gets.
    pub taken: BTreeSet<u32>,
    /// Numbers of files that are gone: they are made again, for a gap says that something is missing.
    pub gaps: BTreeSet<u32>,
    pub total_bytes: u64,
    /// Files that were cut: not used again, and removed when a checkpoint knows what that has cost.
    pub short: Vec<Slot>,
    /// Behind the newest group whose records have taken effect.
    pub published: LanePoint,
    /// All groups together, since this process began.
    pub written_bytes: u64,
    /// A checkpoint is due once `written_bytes` is this much.
    pub checkpoint_at_bytes: u64,
    /// The committer waits for a file with this much room.
    pub wanted_bytes: Option<u64>,
}

impl LaneSpace {
    /// The number of a new file.
    pub fn take_number(&mut self) -> u32 {
        let free = || (0..).find(|number| !self.taken.contains(number)).expect("more than there are files");
        let number = self.gaps.first().copied().unwrap_or_else(free);
        self.gaps.remove(&number);
        self.taken.insert(number);
        number
    }

    /// Both checkpoints begin at `start` or later: files with only older groups are free. Returns how many came free.
    pub fn recycle(&mut self, start: u64) -> usize {
        let mut count = 0;
        while self.used.get(1).is_some_and(|(_, first_group)| *first_group <= start) {
            let (slot, _) = self.used.pop_front().expect("there are two");
            if !self.short.iter().any(|short| short.number == slot.number) {
                self.free.push_back(slot);
            }
            count += 1;
        }
        count
    }
}

impl LaneSpace {
    /// Cut files that nobody needs any more.
    pub fn take_short(&mut self) -> Vec<Slot> {
        let is_used = |slot: &Slot| self.used.iter().any(|(used, _)| used.number == slot.number);
        let (kept, gone) = std::mem::take(&mut self.short).into_iter().partition(is_used);
        self.short = kept;
        self.gaps.extend(gone.iter().map(|slot: &Slot| slot.number));
        self.total_bytes -= gone.iter().map(|slot: &Slot| slot.size_bytes).sum::<u64>();
        gone
    }
}

pub(crate) fn slot_path(lane_dir: &Path, slot: u32) -> PathBuf {
    lane_dir.join(format!("lane-{slot:05}"))
}

/// As it is called until it is whole: a file under its own name that is too short was cut.
pub(crate) fn new_slot_path(lane_dir: &Path, slot: u32) -> PathBuf {
    lane_dir.join(format!("lane-{slot:05}.new"))
}

pub(crate) fn parse_slot(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("lane-")?;
    (digits.len() == 5).then(|| digits.parse().ok())?
}

/// At the end of a file, for the group that says where the lane goes on.
pub(crate) const KEPT_BYTES: u64 = BLOCK as u64;

pub(crate) struct Lane {
    pub run: u64,
    slot: Slot,
    at: u64,
    /// Of the next group.
    number: u64,
    previous_crc: u32,
    pub durable_group: u64,
    /// The newest group has said that the next one is in that file, or the next one is to say so.
    next_slot: Option<u32>,
}

/// What there is for a group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Room {
    Here,
    /// In the next file, once a group at the end of this one has said so.
    OnceSaid,
    Nowhere,
}

impl Lane {
    /// Goes on at `point`, in the file that is used now.
    pub fn new(run: u64, slot: Slot, point: LanePoint, next_slot: Option<u32>) -> Self {
        let at = if slot.number == point.place.slot { point.place.at } else { 0 };
        let LanePoint { number, previous_crc, .. } = point;
        Self { run, slot, at, number, previous_crc, durable_group: number - 1, next_slot }
    }

    pub fn next_number(&self) -> u64 {
        self.number
    }

    /// Where a group of this size finds a place. If the next file is lost, with the newest groups in it, a start must miss
    /// it: so a durable group has to name it first.
    pub fn make_room(&mut self, space: &mut LaneSpace, bytes: u64) -> Room {
        let bytes = bytes + KEPT_BYTES;
        if let Some(next) = self.next_slot.take()
            && let Some(index) = space.free.iter().position(|slot| slot.number == next)
        {
            self.move_to(space, index);
        }
        if self.at + bytes <= self.slot.size_bytes {
            space.wanted_bytes = None;
            return Room::Here;
        }
        let Some(index) = space.free.iter().position(|slot| slot.size_bytes >= bytes) else {
            space.wanted_bytes = Some(bytes);
            return Room::Nowhere;
        };
        if self.at + KEPT_BYTES <= self.slot.size_bytes {
            self.next_slot = Some(space.free[index].number);
            return Room::OnceSaid;
        }
        // A build that did not keep the last block has filled this file: nothing can be said.
        self.move_to(space, index);
        space.wanted_bytes = None;
        Room::Here
    }

    fn move_to(&mut self, space: &mut LaneSpace, index: usize) {
        let slot = space.free.remove(index).expect("it was just found");
        space.used.push_back((slot.clone(), self.number));
        self.slot = slot;
        self.at = 0;
    }

    /// What the builder completes with size and run.
    pub fn next_header(&self, kind: GroupKind) -> (GroupHeader, Place) {
        let place = Place { slot: self.slot.number, at: self.at };
        let header = GroupHeader {
            kind,
            run: self.run,
            number: self.number,
            size_bytes: 0,
            records: 0,
            previous_crc: self.previous_crc,
            durable_group: self.durable_group,
            place,
            goes_on: self.next_slot.map_or(GoesOn::Here, GoesOn::In),
        };
        (header, place)
    }

    /// Writes a finished group at the place of its header and moves behind it.
    pub fn write(&mut self, bytes: &[u8], crc: u32) -> io::Result<()> {
        self.slot.file.write_all_at(&[io::IoSlice::new(bytes)], self.at)?;
        self.at += bytes.len() as u64;
        self.number += 1;
        self.previous_crc = crc;
        Ok(())
    }

    /// Writes a group without records. Returns how many bytes it took.
    pub fn write_empty(&mut self, kind: GroupKind) -> io::Result<usize> {
        let mut builder = GroupBuilder::new(self.run, BLOCK);
        let (header, place) = self.next_header(kind);
        let header = builder.header(header, place);
        let (bytes, crc) = builder.finish(header);
        self.write(bytes, crc)?;
        Ok(bytes.len())
    }

    pub fn file(&self) -> &Arc<dyn File> {
        &self.slot.file
    }

    /// Behind the newest group.
    pub fn point(&self) -> LanePoint {
        LanePoint {
            number: self.number,
            run: self.run,
            previous_crc: self.previous_crc,
            place: Place { slot: self.slot.number, at: self.at },
        }
    }
}
