//! Reads the lane after a start: group by group along the chain, until the first that is not whole. What is torn and what
//! is damage is told by the newest group that any header says is durable: up to it everything must be there. Across damage
//! the walk goes on with what is whole; what is lost is told, and what that means for a log is not its business.
use std::fmt;
use std::io;

use ::record::{Offset, TopicId, TopicPartition};
use env::AlignedBuffer;

use super::BLOCK;
use super::group::{GoesOn, GroupHeader, GroupKind, Place, SECTOR};
use super::lane::{LanePoint, Slot};
use super::record::{Body, DATA_BYTES, HEAD_BYTES, Record, SegmentPlace};
use crate::segment::Summary;
use crate::settings::Durability;

/// What a walk has found, all of it whole.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    pub groups: Vec<WalkedGroup>,
    /// Of all groups, in their order.
    pub records: Vec<WalkedRecord>,
    /// Where the walk began.
    pub start: LanePoint,
    /// Behind the last group.
    pub end: LanePoint,
    /// The newest group that is known to be durable.
    pub durable_group: u64,
    /// Groups that were durable and are not whole.
    pub damage: Vec<LaneDamage>,
    /// It ends at a group whose header is there.
    pub is_torn: bool,
}

/// A place where the lane does not hold what was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct LaneDamage {
    /// Up to this group something is missing.
    pub group: u64,
    pub place: Place,
    /// Something is lost of which nobody can say which log it was of.
    pub is_unattributed: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct WalkedGroup {
    pub number: u64,
    pub place: Place,
    pub size_bytes: u64,
    /// Behind it.
    pub point: LanePoint,
    pub goes_on: GoesOn,
    /// How many records there are up to here.
    pub records_end: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct WalkedRecord {
    pub group: u64,
    pub log_id: u64,
    pub previous_end: Offset,
    pub body: WalkedBody,
}

/// A record without its bytes: they stay in the lane until they are wanted.
#[derive(Clone, Debug)]
pub(crate) enum WalkedBody {
    Create {
        topic_id: TopicId,
        name: TopicPartition,
        durability: Durability,
        log_start: Offset,
    },
    Data {
        end: Offset,
        place: SegmentPlace,
        lane: Place,
        size_bytes: u32,
    },
    Delete,
    Faulty {
        from: Offset,
        to: Offset,
    },
    Identity {
        end: Offset,
        place: SegmentPlace,
        size_bytes: u32,
        crc: u32,
    },
    LogStart {
        to: Offset,
    },
    /// A record that does not check, in a group that was durable. Log and previous end are what it says of itself.
    Lost {
        kind: u8,
        /// Where its batches end too.
        confirmed_end: Option<Offset>,
    },
    Replace {
        from: Offset,
        to: Offset,
        compacted_end: Offset,
        summary: Summary,
    },
    Synced {
        end: Offset,
        place: SegmentPlace,
        durability: Durability,
    },
    Truncate {
        to: Offset,
    },
    /// In the format, written by nobody yet.
    Unserved,
}

impl WalkedRecord {
    /// `place` is where it lies.
    pub(super) fn of(record: &Record<'_>, group: u64, place: Place) -> Self {
        let (log_id, previous_end) = (record.log_id, record.previous_end);
        Self { group, log_id, previous_end, body: walked_body(&record.body, place) }
    }
}

#[derive(Debug)]
pub(crate) enum WalkError {
    Io { slot: u32, error: io::Error },
}

impl Walked {
    fn accept(&mut self, header: &GroupHeader, crc: u32) {
        self.durable_group = self.durable_group.max(header.durable_group);
        let place = Place { slot: header.place.slot, at: header.end_at() };
        self.end = LanePoint { number: header.number + 1, run: header.run, previous_crc: crc, place };
        self.groups.push(WalkedGroup {
            number: header.number,
            place: header.place,
            size_bytes: header.size_bytes,
            point: self.end,
            goes_on: header.goes_on,
            records_end: self.records.len(),
        });
    }

    fn lose(&mut self, header: &GroupHeader, is_unattributed: bool) {
        self.damage.push(LaneDamage { group: header.number, place: header.place, is_unattributed });
    }

    /// As the last group says.
    pub fn goes_on(&self) -> GoesOn {
        self.groups.last().map_or(GoesOn::Unsaid, |group| group.goes_on)
    }

    /// Ends the lane before the group at `kept`. Returns the records that are not believed.
    pub fn end_before(&mut self, kept: usize) -> Vec<WalkedRecord> {
        let before = self.groups[..kept].last();
        self.end = before.map_or(self.start, |group| group.point);
        let records_end = before.map_or(0, |group| group.records_end);
        self.groups.truncate(kept);
        self.records.split_off(records_end)
    }
}

pub(crate) struct Walker<'a> {
    pub(super) slots: &'a [Slot],
    /// What each file begins with.
    pub(super) heads: Vec<Option<(GroupHeader, u32)>>,
    pub(super) buffer: ReadBuffer,
}

impl<'a> Walker<'a> {
    pub fn new(slots: &'a [Slot]) -> Result<Self, WalkError> {
        let mut buffer = ReadBuffer::default();
        let mut heads = Vec::new();
        for slot in slots {
            let head = buffer.read_only(slot, 0, BLOCK as u64)?.and_then(GroupHeader::decode);
            heads.push(head.filter(|(header, _)| header.place == Place { slot: slot.number, at: 0 }));
        }
        Ok(Self { slots, heads, buffer })
    }

    /// The number of the group that each file begins with.
    pub fn heads(&self) -> Vec<Option<u64>> {
        self.heads.iter().map(|head| head.map(|(header, _)| header.number)).collect()
    }

    /// Everything from `start` on. `durable_group` is what the checkpoint knows.
    /// `keeps_torn` is a planted bug: of a torn group, what is whole is believed.
    pub fn walk(&mut self, start: LanePoint, durable_group: u64, keeps_torn: bool) -> Result<Walked, WalkError> {
        let mut walked = Walked { start, end: start, durable_group, ..Walked::default() };
        loop {
            let Some((header, crc)) = self.next_header(&walked.end)? else {
                if self.go_on_behind(&mut walked)? {
                    continue;
                }
                break;
            };
            let records_before = walked.records.len();
            if !self.take_records(&header, &mut walked.records)? {
                let torn = walked.records.split_off(records_before);
                if self.is_durable(&walked, &header)? {
                    let salvaged = self.salvage(&header)?;
                    walked.lose(&header, salvaged.is_incomplete);
                    walked.records.extend(salvaged.records);
                } else {
                    if keeps_torn {
                        walked.records.extend(torn);
                    }
                    walked.is_torn = true;
                    break;
                }
            }
            walked.accept(&header, crc);
        }
        Ok(walked)
    }

    /// The walk has come to an end that may be none: a file that was whole once is too short or gone, and the next group
    /// could have been in what it lacks. A group goes to another file only if its own has no room for it.
    pub fn may_be_cut(&self, walked: &Walked, file_bytes: u64, group_bytes: u64) -> bool {
        let end = &walked.end;
        let is_short = |slot: &&Slot| slot.size_bytes < file_bytes / BLOCK as u64 * BLOCK as u64;
        let is_whole = |number: u32| self.slot(number).is_some_and(|slot| !is_short(&slot));
        match walked.goes_on() {
            GoesOn::Here => return !is_whole(end.place.slot),
            GoesOn::In(next) => return !is_whole(next),
            GoesOn::Unsaid => {}
        }
        let has_room = |slot: &Slot| slot.size_bytes.saturating_sub(end.place.at) >= group_bytes;
        let whole = || self.slots.iter().filter(|slot| !is_short(slot)).map(|slot| slot.number);
        if whole().max().is_some_and(|highest| highest as usize >= self.slots.len())
            && !self.slot(end.place.slot).is_some_and(has_room)
        {
            return true; // Numbers are given without a gap.
        }
        self.slots.iter().zip(&self.heads).filter(|(slot, _)| is_short(slot)).any(|(slot, head)| {
            let current = self.slot(end.place.slot);
            slot.number == end.place.slot || head.is_none() && !current.is_some_and(has_room)
        })
    }

    /// No header continues the chain. If something behind it is sound, or is said to be, that is damage: the walk goes on
    /// there. False if it is the end.
    fn go_on_behind(&mut self, walked: &mut Walked) -> Result<bool, WalkError> {
        let end = walked.end;
        let Some((next, crc)) = self.resume_behind(&end)? else {
            if walked.durable_group >= end.number {
                let (group, place) = (walked.durable_group, end.place);
                walked.damage.push(LaneDamage { group, place, is_unattributed: true });
                // What comes next has a number of its own.
                walked.end.number = walked.durable_group + 1;
            }
            return Ok(false);
        };
        let only_one = next.number == end.number + 1;
        // Of another run, the one between can only be its first, which says nothing.
        let opens_run = only_one && next.run != end.run;
        let mut is_unattributed = !only_one;
        let mut blocks_bytes = 0;
        if only_one && !opens_run {
            let salvaged = self.salvage_headless(&end, &next)?;
            walked.records.extend(salvaged.records);
            (is_unattributed, blocks_bytes) = (salvaged.is_incomplete, salvaged.blocks_bytes);
        }
        walked.damage.push(LaneDamage { group: next.number - 1, place: end.place, is_unattributed });
        if blocks_bytes > 0 {
            let (number, place, records_end) = (end.number, end.place, walked.records.len());
            let size_bytes = blocks_bytes;
            let goes_on = GoesOn::Unsaid;
            walked.groups.push(WalkedGroup { number, place, size_bytes, point: end, goes_on, records_end });
        }
        // As if the one before it had been read.
        walked.end =
            LanePoint { number: next.number, run: next.run, previous_crc: next.previous_crc, place: next.place };
        let whole = self.take_records(&next, &mut Vec::new())?;
        if !whole && !self.is_durable(walked, &next)? {
            return Ok(false);
        }
        debug_assert!(self.header_at(next.place)?.is_some_and(|(_, found)| found == crc));
        Ok(true)
    }

    /// Whether this group was durable: some header says so, or one that comes behind it is there.
    fn is_durable(&mut self, walked: &Walked, header: &GroupHeader) -> Result<bool, WalkError> {
        if header.number <= walked.durable_group {
            return Ok(true);
        }
        let at = LanePoint { number: header.number, place: header.place, ..walked.end };
        Ok(self.resume_behind(&at)?.is_some())
    }

    /// The header that continues the chain: behind the last group, or at the beginning of another file. Where recovery
    /// has ended the lane before, its opening group counts and not what it discarded.
    fn next_header(&mut self, point: &LanePoint) -> Result<Option<(GroupHeader, u32)>, WalkError> {
        let here = self.header_at(point.place)?.filter(|(header, _)| continues(header, point));
        if here.is_some_and(|(header, _)| header.kind == GroupKind::Opening) {
            return Ok(here);
        }
        let elsewhere = || self.heads.iter().flatten().filter(|(header, _)| continues(header, point));
        let opening = elsewhere().find(|(header, _)| header.kind == GroupKind::Opening);
        Ok(opening.copied().or(here).or_else(|| elsewhere().next().copied()))
    }

    pub(super) fn slot(&self, number: u32) -> Option<&'a Slot> {
        self.slots.iter().find(|slot| slot.number == number)
    }

    pub(super) fn header_at(&mut self, place: Place) -> Result<Option<(GroupHeader, u32)>, WalkError> {
        let Some(slot) = self.slot(place.slot) else { return Ok(None) };
        let block = self.buffer.read(slot, place.at, BLOCK as u64)?;
        Ok(block.and_then(GroupHeader::decode).filter(|(header, _)| header.place == place))
    }

    /// False if the group is not whole.
    fn take_records(&mut self, header: &GroupHeader, records: &mut Vec<WalkedRecord>) -> Result<bool, WalkError> {
        let Some(slot) = self.slot(header.place.slot) else { return Ok(false) };
        let Some(bytes) = self.buffer.read(slot, header.place.at, header.blocks_bytes())? else { return Ok(false) };
        let content = &bytes[SECTOR..header.size_bytes as usize];
        let mut rest = content;
        for _ in 0..header.records {
            let at = header.place.at + (SECTOR + content.len() - rest.len()) as u64;
            let Some((record, behind)) = Record::decode(rest, header.run) else { return Ok(false) };
            records.push(WalkedRecord::of(&record, header.number, Place { slot: slot.number, at }));
            rest = behind;
        }
        Ok(rest.is_empty())
    }

    /// The batches of a data record.
    pub fn data(&mut self, lane: Place, size_bytes: u32) -> Result<Vec<u8>, WalkError> {
        let slot = self.slot(lane.slot).expect("the walk came through it");
        let first = lane.at / BLOCK as u64 * BLOCK as u64;
        let end = (lane.at + u64::from(size_bytes)).next_multiple_of(BLOCK as u64);
        let skip = (lane.at - first) as usize;
        let bytes = self.buffer.read(slot, first, end - first)?.expect("the walk has read it");
        Ok(bytes[skip..skip + size_bytes as usize].to_vec())
    }

    /// A group as it lies there, padding included.
    pub fn group_bytes(&mut self, group: &WalkedGroup) -> Result<&[u8], WalkError> {
        let slot = self.slot(group.place.slot).expect("the walk came through it");
        let len = group.size_bytes.next_multiple_of(BLOCK as u64);
        Ok(self.buffer.read(slot, group.place.at, len)?.expect("the walk has read it"))
    }
}

/// Only the next number continues, and only with the same run's chain; or a later run's opening group, which names the
/// last header that its recovery accepted.
fn continues(header: &GroupHeader, point: &LanePoint) -> bool {
    header.number == point.number
        && header.previous_crc == point.previous_crc
        && (header.run == point.run || header.kind == GroupKind::Opening)
}

fn walked_body(body: &Body<'_>, record: Place) -> WalkedBody {
    match body {
        Body::Create { topic_id, partition, durability, log_start, topic } => WalkedBody::Create {
            topic_id: *topic_id,
            name: TopicPartition::new(*topic, *partition),
            durability: *durability,
            log_start: *log_start,
        },
        Body::Data { end, place, batches } => WalkedBody::Data {
            end: *end,
            place: *place,
            lane: Place { at: record.at + (HEAD_BYTES + DATA_BYTES) as u64, ..record },
            size_bytes: batches.len() as u32,
        },
        Body::Delete => WalkedBody::Delete,
        Body::Faulty { from, to } => WalkedBody::Faulty { from: *from, to: *to },
        Body::Identity { end, place, size_bytes, crc } => {
            WalkedBody::Identity { end: *end, place: *place, size_bytes: *size_bytes, crc: *crc }
        }
        Body::LogStart { to } => WalkedBody::LogStart { to: *to },
        Body::Replace { from, to, compacted_end, summary } => {
            WalkedBody::Replace { from: *from, to: *to, compacted_end: *compacted_end, summary: *summary }
        }
        Body::SwapIn { .. } => WalkedBody::Unserved,
        Body::Synced { end, place, durability } => {
            WalkedBody::Synced { end: *end, place: *place, durability: *durability }
        }
        Body::Truncate { to, .. } => WalkedBody::Truncate { to: *to },
    }
}

/// A piece of one file in memory that O_DIRECT accepts.
pub(super) struct ReadBuffer {
    buffer: AlignedBuffer,
    slot: u32,
    start: u64,
    len: u64,
}

const READ_BYTES: u64 = 1 << 20;

impl Default for ReadBuffer {
    fn default() -> Self {
        Self { buffer: AlignedBuffer::new(0), slot: 0, start: 0, len: 0 }
    }
}

impl ReadBuffer {
    /// Whole blocks; `None` if the file does not have them.
    pub(super) fn read(&mut self, slot: &Slot, at: u64, len: u64) -> Result<Option<&[u8]>, WalkError> {
        self.read_ahead(slot, at, len, READ_BYTES)
    }

    /// The same where nobody will ask for what comes behind.
    fn read_only(&mut self, slot: &Slot, at: u64, len: u64) -> Result<Option<&[u8]>, WalkError> {
        self.read_ahead(slot, at, len, len)
    }

    fn read_ahead(&mut self, slot: &Slot, at: u64, len: u64, ahead: u64) -> Result<Option<&[u8]>, WalkError> {
        let Some(end) = at.checked_add(len).filter(|end| *end <= slot.size_bytes) else { return Ok(None) };
        let is_here = slot.number == self.slot && self.start <= at && end <= self.start + self.len;
        if !is_here {
            let wanted = len.max(ahead).min(slot.size_bytes - at);
            if (self.buffer.len() as u64) < wanted {
                self.buffer = AlignedBuffer::new(wanted as usize);
            }
            let read = slot.file.read_at(&mut self.buffer[..wanted as usize], at);
            let read = read.map_err(|error| WalkError::Io { slot: slot.number, error })?;
            (self.slot, self.start, self.len) = (slot.number, at, read as u64);
            if (read as u64) < len {
                return Ok(None);
            }
        }
        let skip = (at - self.start) as usize;
        Ok(Some(&self.buffer[skip..skip + len as usize]))
    }
}

impl fmt::Display for WalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalkError::Io { slot, error } => write!(f, "lane file {slot} cannot be read: {error}"),
        }
    }
}
