//! Reads the lane after a start: group by group along the chain, until the first that is not whole. What is torn and what
//! is damage is told by the newest group that any header says is durable: up to it everything must be there.
use std::fmt;
use std::io;

use ::record::{Offset, TopicId, TopicPartition};
use env::AlignedBuffer;

use super::BLOCK;
use super::group::{GroupHeader, GroupKind, Place, SECTOR};
use super::lane::{LanePoint, Slot};
use super::record::{Body, DATA_BYTES, HEAD_BYTES, Record, SegmentPlace};
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
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct WalkedGroup {
    pub number: u64,
    pub place: Place,
    pub size_bytes: u64,
    /// Behind it.
    pub point: LanePoint,
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

#[derive(Debug)]
pub(crate) enum WalkError {
    /// Group `number` was acknowledged and is not whole.
    Damaged {
        number: u64,
        durable_group: u64,
        place: Place,
    },
    Io {
        slot: u32,
        error: io::Error,
    },
}

impl Walked {
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
    slots: &'a [Slot],
    /// What each file begins with.
    heads: Vec<Option<(GroupHeader, u32)>>,
    buffer: ReadBuffer,
}

impl<'a> Walker<'a> {
    pub fn new(slots: &'a [Slot]) -> Result<Self, WalkError> {
        let mut buffer = ReadBuffer::default();
        let mut heads = Vec::new();
        for slot in slots {
            let head = buffer.read(slot, 0, BLOCK as u64)?.and_then(GroupHeader::decode);
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
        while let Some((header, crc)) = self.next_header(&walked.end)? {
            let records_before = walked.records.len();
            if !self.take_records(&header, &mut walked.records)? {
                if !keeps_torn {
                    walked.records.truncate(records_before);
                }
                break;
            }
            walked.durable_group = walked.durable_group.max(header.durable_group);
            let place = Place { slot: header.place.slot, at: header.end_at() };
            walked.end = LanePoint { number: header.number + 1, run: header.run, previous_crc: crc, place };
            walked.groups.push(WalkedGroup {
                number: header.number,
                place: header.place,
                size_bytes: header.size_bytes,
                point: walked.end,
                records_end: walked.records.len(),
            });
        }
        walked.durable_group = walked.durable_group.max(self.evidence_behind(&walked.end)?);
        if walked.end.number <= walked.durable_group {
            return Err(WalkError::Damaged {
                number: walked.end.number,
                durable_group: walked.durable_group,
                place: walked.end.place,
            });
        }
        Ok(walked)
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

    fn header_at(&mut self, place: Place) -> Result<Option<(GroupHeader, u32)>, WalkError> {
        let Some(slot) = self.slots.iter().find(|slot| slot.number == place.slot) else { return Ok(None) };
        let block = self.buffer.read(slot, place.at, BLOCK as u64)?;
        Ok(block.and_then(GroupHeader::decode).filter(|(header, _)| header.place == place))
    }

    /// False if the group is not whole.
    fn take_records(&mut self, header: &GroupHeader, records: &mut Vec<WalkedRecord>) -> Result<bool, WalkError> {
        let Some(slot) = self.slots.iter().find(|slot| slot.number == header.place.slot) else { return Ok(false) };
        let Some(bytes) = self.buffer.read(slot, header.place.at, header.blocks_bytes())? else { return Ok(false) };
        let content = &bytes[SECTOR..header.size_bytes as usize];
        let mut rest = content;
        for _ in 0..header.records {
            let at = header.place.at + (SECTOR + content.len() - rest.len()) as u64;
            let Some((record, behind)) = Record::decode(rest, header.run) else { return Ok(false) };
            records.push(WalkedRecord {
                group: header.number,
                log_id: record.log_id,
                previous_end: record.previous_end,
                body: walked_body(&record.body, Place { slot: slot.number, at }),
            });
            rest = behind;
        }
        Ok(rest.is_empty())
    }

    /// Whether a header behind the end says that more was durable: in the rest of the file, or at the beginning of
    /// another. At most one group is ever under way, so the next whole one speaks of the one that is not.
    fn evidence_behind(&mut self, end: &LanePoint) -> Result<u64, WalkError> {
        let speaks = |header: &GroupHeader| header.run == end.run && header.number >= end.number;
        let mut durable_group = 0;
        for (header, _) in self.heads.iter().flatten().filter(|(header, _)| speaks(header)) {
            durable_group = durable_group.max(header.durable_group);
        }
        let Some(slot) = self.slots.iter().find(|slot| slot.number == end.place.slot) else { return Ok(durable_group) };
        let mut at = end.place.at;
        while at + BLOCK as u64 <= slot.size_bytes {
            let place = Place { slot: slot.number, at };
            let block = self.buffer.read(slot, at, BLOCK as u64)?;
            if let Some((header, _)) = block.and_then(GroupHeader::decode)
                && header.place == place
                && speaks(&header)
            {
                durable_group = durable_group.max(header.durable_group);
            }
            at += BLOCK as u64;
        }
        Ok(durable_group)
    }

    /// The batches of a data record.
    pub fn data(&mut self, lane: Place, size_bytes: u32) -> Result<Vec<u8>, WalkError> {
        let slot = self.slots.iter().find(|slot| slot.number == lane.slot).expect("the walk came through it");
        let first = lane.at / BLOCK as u64 * BLOCK as u64;
        let end = (lane.at + u64::from(size_bytes)).next_multiple_of(BLOCK as u64);
        let skip = (lane.at - first) as usize;
        let bytes = self.buffer.read(slot, first, end - first)?.expect("the walk has read it");
        Ok(bytes[skip..skip + size_bytes as usize].to_vec())
    }

    /// A group as it lies there, padding included.
    pub fn group_bytes(&mut self, group: &WalkedGroup) -> Result<&[u8], WalkError> {
        let slot = self.slots.iter().find(|slot| slot.number == group.place.slot).expect("the walk came through it");
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
        Body::Replace { .. } | Body::SwapIn { .. } => WalkedBody::Unserved,
        Body::Synced { end, place, durability } => {
            WalkedBody::Synced { end: *end, place: *place, durability: *durability }
        }
        Body::Truncate { to, .. } => WalkedBody::Truncate { to: *to },
    }
}

/// A piece of one file in memory that O_DIRECT accepts.
struct ReadBuffer {
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
    fn read(&mut self, slot: &Slot, at: u64, len: u64) -> Result<Option<&[u8]>, WalkError> {
        let Some(end) = at.checked_add(len).filter(|end| *end <= slot.size_bytes) else { return Ok(None) };
        let is_here = slot.number == self.slot && self.start <= at && end <= self.start + self.len;
        if !is_here {
            let wanted = len.max(READ_BYTES).min(slot.size_bytes - at);
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
            WalkError::Damaged { number, durable_group, place } => write!(
                f,
                "group {number} of the lane, expected in file {} at {}, is damaged, and everything up to group \
                 {durable_group} was acknowledged",
                place.slot, place.at
            ),
            WalkError::Io { slot, error } => write!(f, "lane file {slot} cannot be read: {error}"),
        }
    }
}
