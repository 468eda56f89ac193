//! What each log is after a replay, computed before any file is touched: the checkpoint's entry, and over it the records
//! of the lane in their order. Pure; the damage that contradictions mean is told, not repaired.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use record::{Offset, TopicId, TopicPartition};

use crate::checkpoint::Entry;
use crate::journal::Place;
use crate::journal::record::SegmentPlace;
use crate::journal::walk::{WalkedBody, WalkedRecord};
use crate::log::state::Reach;
use crate::settings::Durability;

/// One log, and where each of its bytes above S comes from.
#[derive(Debug)]
pub(crate) struct LogMap {
    pub log_id: u64,
    pub topic_id: TopicId,
    pub name: TopicPartition,
    pub durability: Durability,
    pub log_start: Offset,
    /// Where a log that is younger than the checkpoint began.
    pub base: Offset,
    pub high_watermark: Offset,
    /// `None` if the log is younger than the checkpoint.
    pub entry: Option<Entry>,
    /// S, as far as no later truncation has cut it. Its place is that of the offset only if `cut` is above it.
    pub synced: Reach,
    /// The least end that a truncation behind the entry has left.
    pub cut: Option<Offset>,
    /// The last truncation behind the entry, if no `synced` record has followed it: of a relaxed log, what the files hold
    /// beyond it may be what it was to cut.
    pub open_cut: Option<Offset>,
    /// Contiguous and in order, from S on.
    pub pieces: Vec<Piece>,
    /// The newest group with a record of this log.
    pub lsn: u64,
    /// Known to be damaged, until another replica has brought it.
    pub faulty: Vec<Range<Offset>>,
    /// Some group behind the checkpoint's start speaks of it.
    pub is_touched: bool,
}

/// A range of a log that the lane knows of.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub group: u64,
    pub from: Offset,
    pub to: Offset,
    /// Of `from`'s batch. What a truncation has cut off is at the end.
    pub place: SegmentPlace,
    pub source: Source,
    pub size_bytes: u32,
    pub is_cut: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Lane(Place),
    /// In the segment itself; this is its checksum.
    Direct {
        crc: u32,
    },
}

impl LogMap {
    /// Some of its segments lie wholly below the log start.
    pub fn drops_segments(&self) -> bool {
        let entry = self.entry.iter().flat_map(|entry| entry.segments.iter().map(|summary| summary.base_offset));
        let bases = || entry.clone().chain(self.pieces.iter().map(|piece| piece.place.segment));
        let first = bases().min();
        bases().any(|base| base <= self.log_start && Some(base) > first)
    }
}

impl Piece {
    /// Where it lies in its group; what does not lie there comes first.
    pub fn lane_at(&self) -> u64 {
        match self.source {
            Source::Lane(lane) => lane.at,
            Source::Direct { .. } => 0,
        }
    }
}

/// The lane contradicts itself or the checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum MapError {
    /// Data was acknowledged up to here, and the lane ends before.
    EndsEarly {
        log_id: u64,
        expected: Offset,
        end: Offset,
    },
    Gap {
        log_id: u64,
        group: u64,
        expected: Offset,
        found: Offset,
    },
    UnknownLog {
        log_id: u64,
        group: u64,
    },
    /// A kind of record that this build does not write.
    Unserved {
        group: u64,
    },
}

pub(crate) struct Maps {
    pub logs: BTreeMap<u64, LogMap>,
    pub deleted: BTreeSet<u64>,
    pub next_log_id: u64,
}

impl Maps {
    pub fn new(entries: Vec<Entry>, next_log_id: u64) -> Self {
        let logs = entries.into_iter().map(|entry| (entry.log_id, LogMap::of_entry(entry))).collect();
        Self { logs, deleted: BTreeSet::new(), next_log_id }
    }

    pub fn replay<'a>(&mut self, records: impl Iterator<Item = &'a WalkedRecord>) -> Result<(), MapError> {
        let known_before = self.next_log_id;
        // Where the lane's own account of a log has come to. What it says before S is not in the map, but must fit.
        let mut ends: BTreeMap<u64, Offset> = BTreeMap::new();
        for record in records {
            let (log_id, group) = (record.log_id, record.group);
            self.next_log_id = self.next_log_id.max(log_id + 1);
            if let WalkedBody::Create { topic_id, name, durability, log_start } = &record.body {
                if !self.deleted.contains(&log_id) {
                    let new = || LogMap::created(log_id, *topic_id, name.clone(), *durability, *log_start);
                    self.logs.entry(log_id).or_insert_with(new).touch(group);
                }
                continue;
            }
            let Some(map) = self.logs.get_mut(&log_id) else {
                // Deleted before the checkpoint, or by a record that came before.
                if log_id < known_before || self.deleted.contains(&log_id) {
                    continue;
                }
                return Err(MapError::UnknownLog { log_id, group });
            };
            map.touch(group);
            if let WalkedBody::Delete = record.body {
                self.logs.remove(&log_id);
                self.deleted.insert(log_id);
                continue;
            }
            map.apply(record, &mut ends)?;
        }
        for map in self.logs.values_mut() {
            map.settle()?;
        }
        Ok(())
    }
}

impl LogMap {
    fn of_entry(entry: Entry) -> Self {
        Self {
            log_id: entry.log_id,
            topic_id: entry.topic_id,
            name: entry.name.clone(),
            durability: entry.durability,
            log_start: entry.log_start,
            base: entry.log_start,
            high_watermark: entry.high_watermark,
            synced: entry.synced,
            cut: None,
            open_cut: None,
            pieces: Vec::new(),
            lsn: entry.lsn,
            faulty: entry.faulty.clone(),
            is_touched: false,
            entry: Some(entry),
        }
    }

    fn created(
        log_id: u64,
        topic_id: TopicId,
        name: TopicPartition,
        durability: Durability,
        log_start: Offset,
    ) -> Self {
        let place = SegmentPlace { segment: log_start, position: 0 };
        Self {
            log_id,
            topic_id,
            name,
            durability,
            log_start,
            base: log_start,
            high_watermark: log_start,
            entry: None,
            synced: Reach { offset: log_start, place },
            cut: None,
            open_cut: None,
            pieces: Vec::new(),
            lsn: 0,
            faulty: Vec::new(),
            is_touched: true,
        }
    }

    fn touch(&mut self, group: u64) {
        self.is_touched = true;
        self.lsn = self.lsn.max(group);
    }

    /// Whether the entry speaks of the log as it was before this group.
    fn is_behind_entry(&self, group: u64) -> bool {
        self.entry.as_ref().is_none_or(|entry| group > entry.lsn)
    }

    fn apply(&mut self, record: &WalkedRecord, ends: &mut BTreeMap<u64, Offset>) -> Result<(), MapError> {
        let group = record.group;
        match &record.body {
            WalkedBody::Data { end, place, lane, size_bytes } => {
                self.add(record, *end, *place, *size_bytes, Source::Lane(*lane), ends)?;
            }
            WalkedBody::Identity { end, place, size_bytes, crc } => {
                self.add(record, *end, *place, *size_bytes, Source::Direct { crc: *crc }, ends)?;
            }
            WalkedBody::Truncate { to } => {
                self.cut_pieces(*to);
                if self.is_behind_entry(group) {
                    self.cut = Some(self.cut.map_or(*to, |cut| cut.min(*to)));
                    self.open_cut = Some(*to);
                    if self.synced.offset > *to {
                        self.synced.offset = *to;
                    }
                }
                ends.insert(self.log_id, *to);
            }
            WalkedBody::LogStart { to } => self.log_start = self.log_start.max(*to),
            WalkedBody::Synced { end, place, durability } => {
                if self.is_behind_entry(group) {
                    self.durability = *durability;
                    self.open_cut = None;
                    self.synced = Reach { offset: *end, place: *place };
                }
                ends.insert(self.log_id, *end);
            }
            WalkedBody::Faulty { from, to } => {
                if self.is_behind_entry(group) {
                    self.faulty.push(*from..*to);
                }
            }
            WalkedBody::Unserved => return Err(MapError::Unserved { group }),
            WalkedBody::Create { .. } | WalkedBody::Delete => unreachable!("seen to by the caller"),
        }
        Ok(())
    }

    fn add(
        &mut self,
        record: &WalkedRecord,
        to: Offset,
        place: SegmentPlace,
        size_bytes: u32,
        source: Source,
        ends: &mut BTreeMap<u64, Offset>,
    ) -> Result<(), MapError> {
        let from = record.previous_end;
        if let Some(expected) = ends.insert(self.log_id, to)
            && expected != from
        {
            return Err(MapError::Gap { log_id: self.log_id, group: record.group, expected, found: from });
        }
        self.pieces.push(Piece { group: record.group, from, to, place, source, size_bytes, is_cut: false });
        Ok(())
    }

    fn cut_pieces(&mut self, to: Offset) {
        while self.pieces.last().is_some_and(|piece| piece.from >= to) {
            self.pieces.pop();
        }
        if let Some(last) = self.pieces.last_mut().filter(|last| last.to > to) {
            last.to = to;
            last.is_cut = true;
        }
    }

    /// Only what lies above S is needed; it must be there without a gap, up to what was acknowledged.
    fn settle(&mut self) -> Result<(), MapError> {
        let synced = self.synced.offset;
        self.pieces.retain(|piece| piece.to > synced);
        let mut expected = synced;
        for piece in &self.pieces {
            if piece.from > expected || (piece.from < expected && expected != synced) {
                let (log_id, group) = (self.log_id, piece.group);
                return Err(MapError::Gap { log_id, group, expected, found: piece.from });
            }
            expected = piece.to;
        }
        let acknowledged = self.entry.as_ref().map_or(Offset(i64::MIN), |entry| entry.end);
        if self.cut.is_none() && expected < acknowledged {
            return Err(MapError::EndsEarly { log_id: self.log_id, expected: acknowledged, end: expected });
        }
        Ok(())
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapError::EndsEarly { log_id, expected, end } => {
                write!(f, "log {log_id:x} was acknowledged up to offset {expected} and the lane brings it to {end}")
            }
            MapError::Gap { log_id, group, expected, found } => {
                write!(f, "group {group} goes on at offset {found} of log {log_id:x}, which ends at {expected}")
            }
            MapError::UnknownLog { log_id, group } => {
                write!(f, "group {group} speaks of log {log_id:x}, which was never made")
            }
            MapError::Unserved { group } => {
                write!(f, "group {group} holds a record of a later version of Ottla")
            }
        }
    }
}
