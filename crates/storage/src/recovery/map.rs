//! What each log is after a replay, computed before any file is touched: the checkpoint's entry, and over it the records
//! of the lane in their order. Pure; the damage that contradictions mean is told, not repaired.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use record::{Offset, TopicId, TopicPartition};

use crate::checkpoint::Entry;
use crate::journal::Place;
use crate::journal::record::SegmentPlace;
use crate::journal::walk::{LaneDamage, WalkedBody, WalkedRecord};
use crate::log::damage::mark;
use crate::log::state::Reach;
use crate::segment::Summary;
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
    /// The newest group with a sound record of this log: it tells the log's end before it.
    proven_group: u64,
    /// What was acknowledged may have reached beyond the end, and nothing says how far.
    pub is_suspect: bool,
    /// Everything below has been compacted.
    pub compacted_end: Offset,
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
    /// Nowhere in the lane any more; the segments may have it.
    Lost,
}

impl LogMap {
    /// Some of its segments lie wholly below the log start.
    pub fn drops_segments(&self) -> bool {
        let entry = self.entry.iter().flat_map(|entry| entry.segments.iter().map(|summary| summary.base_offset));
        let pieces = self.pieces.iter().filter(|piece| !matches!(piece.source, Source::Lost));
        let pieces = pieces.map(|piece| piece.place.segment);
        let bases = || entry.clone().chain(pieces.clone());
        let first = bases().min();
        bases().any(|base| base <= self.log_start && Some(base) > first)
    }
}

impl Piece {
    /// Where it lies in its group; what does not lie there comes first.
    pub fn lane_at(&self) -> u64 {
        match self.source {
            Source::Lane(lane) => lane.at,
            Source::Direct { .. } | Source::Lost => 0,
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
    /// Compaction has replaced what the checkpoint does not know to be synced.
    Replaced {
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
    /// Logs of which there are records, but not that of their creation.
    pub nameless: BTreeSet<u64>,
    /// Records of creations may be lost: a log that should be here and is not, was.
    pub may_lack_logs: bool,
}

/// Where the lane's own account of a log has come to. What it says before S is not in the map, but must fit.
type Ends = BTreeMap<u64, Offset>;

impl Maps {
    pub fn new(entries: Vec<Entry>, next_log_id: u64) -> Self {
        let logs = entries.into_iter().map(|entry| (entry.log_id, LogMap::of_entry(entry))).collect();
        Self { logs, deleted: BTreeSet::new(), next_log_id, nameless: BTreeSet::new(), may_lack_logs: false }
    }

    /// `damage` is where the lane is not whole: what does not fit is lost there, and no contradiction.
    pub fn replay<'a>(
        &mut self,
        records: impl Iterator<Item = &'a WalkedRecord>,
        damage: &[LaneDamage],
    ) -> Result<(), MapError> {
        let known_before = self.next_log_id;
        let mut ends = Ends::new();
        let mut unattributed = damage.iter().filter(|damage| damage.is_unattributed).map(|damage| damage.group).max();
        let first_damage = damage.first().map_or(u64::MAX, |damage| damage.group);
        for record in records {
            let (log_id, group) = (record.log_id, record.group);
            if let WalkedBody::Lost { kind, confirmed_end } = record.body {
                let map = self.logs.get_mut(&log_id);
                if !map.is_some_and(|map| map.lose(record, kind, confirmed_end, &mut ends)) {
                    unattributed = unattributed.max(Some(group));
                }
                continue;
            }
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
                if group >= first_damage {
                    self.nameless.insert(log_id);
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
            map.apply(record, &mut ends, group >= first_damage)?;
        }
        self.may_lack_logs = unattributed.is_some() || !self.nameless.is_empty();
        for map in self.logs.values_mut() {
            map.settle(!damage.is_empty())?;
            // Of a relaxed log the lane says little, and its files are asked for the rest.
            let is_proven = unattributed.is_none_or(|group| map.proven_group.max(map.entry_lsn()) > group);
            map.is_suspect |= !is_proven && map.durability == Durability::Flush;
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
            proven_group: 0,
            is_suspect: false,
            compacted_end: entry.compacted_end,
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
            proven_group: 0,
            is_suspect: false,
            compacted_end: log_start,
            is_touched: true,
        }
    }

    /// Whoever runs this broker goes on without what may be lost. Returns whether anything may be.
    pub fn accept_loss(&mut self) -> bool {
        let marks = self.faulty.len();
        self.faulty.retain(|range| range.end < Offset(i64::MAX));
        std::mem::take(&mut self.is_suspect) || self.faulty.len() < marks
    }

    fn touch(&mut self, group: u64) {
        self.is_touched = true;
        self.lsn = self.lsn.max(group);
        self.proven_group = group;
    }

    fn entry_lsn(&self) -> u64 {
        self.entry.as_ref().map_or(0, |entry| entry.lsn)
    }

    /// Takes note of a record that does not check, if what it says of itself can be. False if it may be of any log.
    fn lose(&mut self, record: &WalkedRecord, kind: u8, confirmed_end: Option<Offset>, ends: &mut Ends) -> bool {
        let from = record.previous_end;
        let known = ends.get(&self.log_id).copied().or(self.pieces.last().map(|piece| piece.to));
        let is_its_own = match (known, &self.entry) {
            (Some(known), _) => known == from,
            (None, Some(entry)) => (entry.log_start..=entry.end).contains(&from),
            (None, None) => from == self.base,
        };
        if !is_its_own {
            return false;
        }
        match (kind, confirmed_end) {
            (2, Some(end)) if end > from => {
                ends.insert(self.log_id, end);
                self.lost(record.group, from, end);
            }
            // Its end is not known: a later record may tell it. What it says of its kind may be the damage.
            _ => {
                self.is_suspect |= self.durability == Durability::Flush;
                self.proven_group = self.proven_group.min(record.group);
                self.is_touched = true;
            }
        }
        true
    }

    /// Everything from here to there is not in the lane.
    fn lost(&mut self, group: u64, from: Offset, to: Offset) {
        self.is_touched = true;
        let place = SegmentPlace { segment: from, position: 0 };
        self.pieces.push(Piece { group, from, to, place, source: Source::Lost, size_bytes: 0, is_cut: false });
    }

    /// Whether the entry speaks of the log as it was before this group.
    fn is_behind_entry(&self, group: u64) -> bool {
        self.entry.as_ref().is_none_or(|entry| group > entry.lsn)
    }

    fn apply(&mut self, record: &WalkedRecord, ends: &mut Ends, has_damage: bool) -> Result<(), MapError> {
        let group = record.group;
        // It tells where the log was, whatever was lost before.
        self.is_suspect = false;
        let from = record.previous_end;
        let piece = |to, place, size_bytes, source| Piece { group, from, to, place, source, size_bytes, is_cut: false };
        match &record.body {
            WalkedBody::Data { end, place, lane, size_bytes } => {
                self.add(piece(*end, *place, *size_bytes, Source::Lane(*lane)), ends, has_damage)?;
            }
            WalkedBody::Identity { end, place, size_bytes, crc } => {
                self.add(piece(*end, *place, *size_bytes, Source::Direct { crc: *crc }), ends, has_damage)?;
            }
            WalkedBody::Truncate { to } => {
                self.cut_pieces(*to);
                self.faulty.retain_mut(|range| {
                    range.end = range.end.min(*to);
                    !range.is_empty()
                });
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
                    mark(&mut self.faulty, *from..*to);
                }
            }
            WalkedBody::Replace { from, to, compacted_end, summary } => {
                if self.is_behind_entry(group) && !self.replace(*from..*to, *compacted_end, summary) {
                    return Err(MapError::Replaced { log_id: self.log_id, group });
                }
            }
            WalkedBody::Unserved => return Err(MapError::Unserved { group }),
            WalkedBody::Create { .. } | WalkedBody::Delete | WalkedBody::Lost { .. } => {
                unreachable!("seen to by the caller")
            }
        }
        Ok(())
    }

    fn add(&mut self, piece: Piece, ends: &mut Ends, has_damage: bool) -> Result<(), MapError> {
        let (group, from) = (piece.group, piece.from);
        if let Some(expected) = ends.insert(self.log_id, piece.to)
            && expected != from
        {
            if !has_damage {
                return Err(MapError::Gap { log_id: self.log_id, group, expected, found: from });
            }
            if from > expected {
                self.lost(group, expected, from);
            }
            // A lost one has said too much.
            while self.pieces.last().is_some_and(|last| matches!(last.source, Source::Lost) && last.to > from) {
                let last = self.pieces.pop().expect("just seen");
                if last.from < from {
                    self.lost(last.group, last.from, from);
                }
            }
        }
        self.pieces.push(piece);
        Ok(())
    }

    /// A compacted segment takes the place of those that begin in `range`. False if that cannot be: both checkpoints knew
    /// them to be synced when it was recorded.
    fn replace(&mut self, range: Range<Offset>, compacted_end: Offset, summary: &Summary) -> bool {
        let Some(entry) = &mut self.entry else { return false };
        if summary.base_offset != range.start || summary.end_offset > range.end || range.end > self.synced.place.segment
        {
            return false;
        }
        entry.segments.retain(|segment| !range.contains(&segment.base_offset));
        let index = entry.segments.partition_point(|segment| segment.base_offset < range.start);
        entry.segments.insert(index, *summary);
        self.compacted_end = self.compacted_end.max(compacted_end);
        true
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
    fn settle(&mut self, has_damage: bool) -> Result<(), MapError> {
        let synced = self.synced.offset;
        self.pieces.retain(|piece| piece.to > synced);
        let mut expected = synced;
        let mut index = 0;
        while let Some(piece) = self.pieces.get(index) {
            let (from, to, group, log_id) = (piece.from, piece.to, piece.group, self.log_id);
            if from > expected && has_damage {
                let place = SegmentPlace { segment: expected, position: 0 };
                let source = Source::Lost;
                let lost = Piece { group, from: expected, to: from, place, source, size_bytes: 0, is_cut: false };
                self.pieces.insert(index, lost);
                index += 1;
            } else if from > expected || (from < expected && expected != synced) {
                return Err(MapError::Gap { log_id, group, expected, found: from });
            }
            expected = to;
            index += 1;
        }
        let acknowledged = self.entry.as_ref().map_or(Offset(i64::MIN), |entry| entry.end);
        if self.cut.is_none() && expected < acknowledged {
            if !has_damage {
                return Err(MapError::EndsEarly { log_id: self.log_id, expected: acknowledged, end: expected });
            }
            self.lost(u64::MAX, expected, acknowledged);
            self.is_suspect |= self.durability == Durability::Flush;
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
            MapError::Replaced { log_id, group } => {
                write!(f, "group {group} replaces segments of log {log_id:x} that the checkpoint does not know")
            }
            MapError::Unserved { group } => {
                write!(f, "group {group} holds a record of a later version of Ottla")
            }
        }
    }
}
