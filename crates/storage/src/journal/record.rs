//! What a group says about one log. Every kind that the rules need is in the format from the first day. Each record
//! carries its log's end before it, so that a replay sees a gap, and a checksum seeded with the run, so that what another
//! run has left in the same place is never taken for it.
use ::record::{LeaderEpoch, Offset, Timestamp, TopicId};

use crate::segment::Summary;
use crate::settings::Durability;

pub(crate) const HEAD_BYTES: usize = 32;
/// Records begin at multiples of this.
pub(crate) const ALIGN: usize = 8;
/// What stands before the batches of a data record.
pub(crate) const DATA_BYTES: usize = 24;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Record<'a> {
    pub log_id: u64,
    /// The log's end before this record.
    pub previous_end: Offset,
    pub body: Body<'a>,
}

/// Where bytes of a log lie: in the segment that begins at `segment`, from `position` on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct SegmentPlace {
    pub segment: Offset,
    pub position: u32,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Body<'a> {
    Create {
        topic_id: TopicId,
        partition: i32,
        durability: Durability,
        log_start: Offset,
        topic: &'a str,
    },
    Data {
        end: Offset,
        place: SegmentPlace,
        batches: &'a [u8],
    },
    Delete,
    /// What a repair from another replica has to bring.
    Faulty {
        from: Offset,
        to: Offset,
    },
    /// A piece that was written straight to its segment.
    Identity {
        end: Offset,
        place: SegmentPlace,
        size_bytes: u32,
        crc: u32,
    },
    LogStart {
        to: Offset,
    },
    /// Compaction: this segment, complete and synced like its name, stands for those that begin in `from..to`.
    Replace {
        from: Offset,
        to: Offset,
        /// Everything below has been compacted.
        compacted_end: Offset,
        summary: Summary,
    },
    SwapIn {
        entry: &'a [u8],
    },
    /// Everything below `end` is synced in segments. At each switch of durability, and whenever that end moves outside
    /// the lane.
    Synced {
        end: Offset,
        place: SegmentPlace,
        durability: Durability,
    },
    Truncate {
        to: Offset,
        epoch: LeaderEpoch,
    },
}

impl Body<'_> {
    pub fn kind(&self) -> u8 {
        match self {
            Body::Create { .. } => 1,
            Body::Data { .. } => 2,
            Body::Identity { .. } => 3,
            Body::Truncate { .. } => 4,
            Body::LogStart { .. } => 5,
            Body::Delete => 6,
            Body::SwapIn { .. } => 7,
            Body::Replace { .. } => 8,
            Body::Synced { .. } => 9,
            Body::Faulty { .. } => 10,
        }
    }

    /// Everything but the batches of a data record, which the group's builder gathers itself.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Body::Create { topic_id, partition, durability, log_start, topic } => {
                out.extend_from_slice(&topic_id.0);
                out.extend_from_slice(&log_start.0.to_be_bytes());
                out.extend_from_slice(&partition.to_be_bytes());
                out.push(durability_code(*durability));
                out.extend_from_slice(topic.as_bytes());
            }
            Body::Data { end, place, .. } => {
                out.extend_from_slice(&end.0.to_be_bytes());
                put_place(out, place);
                out.extend_from_slice(&[0; 4]);
            }
            Body::Delete => {}
            Body::Faulty { from, to } => {
                out.extend_from_slice(&from.0.to_be_bytes());
                out.extend_from_slice(&to.0.to_be_bytes());
            }
            Body::Identity { end, place, size_bytes, crc } => {
                out.extend_from_slice(&end.0.to_be_bytes());
                put_place(out, place);
                out.extend_from_slice(&size_bytes.to_be_bytes());
                out.extend_from_slice(&crc.to_be_bytes());
            }
            Body::LogStart { to } => out.extend_from_slice(&to.0.to_be_bytes()),
            Body::Replace { from, to, compacted_end, summary } => {
                for offset in [from, to, compacted_end] {
                    out.extend_from_slice(&offset.0.to_be_bytes());
                }
                put_summary(out, summary);
            }
            Body::SwapIn { entry } => out.extend_from_slice(entry),
            Body::Synced { end, place, durability } => {
                out.extend_from_slice(&end.0.to_be_bytes());
                put_place(out, place);
                out.push(durability_code(*durability));
            }
            Body::Truncate { to, epoch } => {
                out.extend_from_slice(&to.0.to_be_bytes());
                out.extend_from_slice(&epoch.0.to_be_bytes());
            }
        }
    }
}

impl<'a> Record<'a> {
    /// The record at the front of `bytes`, and what follows it. `None` if there is no sound one.
    pub fn decode(bytes: &'a [u8], run: u64) -> Option<(Record<'a>, &'a [u8])> {
        let head = bytes.get(..HEAD_BYTES)?;
        let size = u32::from_be_bytes(head[4..8].try_into().ok()?) as usize;
        let whole = bytes.get(..size).filter(|_| size >= HEAD_BYTES)?;
        let crc = u32::from_be_bytes(head[0..4].try_into().ok()?);
        if crc != checksum(run, &whole[4..]) {
            return None;
        }
        let mut fields = Fields(&whole[HEAD_BYTES..]);
        let record = Record {
            log_id: u64::from_be_bytes(head[16..24].try_into().ok()?),
            previous_end: Offset(i64::from_be_bytes(head[24..32].try_into().ok()?)),
            body: decode_body(head[8], &mut fields)?,
        };
        let rest = bytes.get(size.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some((record, rest))
    }
}

/// Fills the head of the record that lies in `record`, its body behind the head already there.
pub(crate) fn finish(record: &mut [u8], run: u64, kind: u8, log_id: u64, previous_end: Offset) {
    let size = u32::try_from(record.len()).expect("a record is smaller than 4 GiB");
    record[4..8].copy_from_slice(&size.to_be_bytes());
    record[8] = kind;
    record[9..16].fill(0);
    record[16..24].copy_from_slice(&log_id.to_be_bytes());
    record[24..32].copy_from_slice(&previous_end.0.to_be_bytes());
    let crc = checksum(run, &record[4..]);
    record[0..4].copy_from_slice(&crc.to_be_bytes());
}

fn checksum(run: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&run.to_be_bytes()), bytes)
}

fn decode_body<'a>(kind: u8, fields: &mut Fields<'a>) -> Option<Body<'a>> {
    let body = match kind {
        1 => Body::Create {
            topic_id: TopicId(fields.take()?),
            log_start: fields.offset()?,
            partition: fields.i32()?,
            durability: fields.durability()?,
            topic: std::str::from_utf8(fields.rest()).ok()?,
        },
        2 => {
            let (end, place) = (fields.offset()?, fields.place()?);
            fields.u32()?;
            Body::Data { end, place, batches: fields.rest() }
        }
        3 => Body::Identity {
            end: fields.offset()?,
            place: fields.place()?,
            size_bytes: fields.u32()?,
            crc: fields.u32()?,
        },
        4 => Body::Truncate { to: fields.offset()?, epoch: LeaderEpoch(fields.i32()?) },
        5 => Body::LogStart { to: fields.offset()? },
        6 => Body::Delete,
        7 => Body::SwapIn { entry: fields.rest() },
        8 => Body::Replace {
            from: fields.offset()?,
            to: fields.offset()?,
            compacted_end: fields.offset()?,
            summary: fields.summary()?,
        },
        9 => Body::Synced { end: fields.offset()?, place: fields.place()?, durability: fields.durability()? },
        10 => Body::Faulty { from: fields.offset()?, to: fields.offset()? },
        _ => return None,
    };
    fields.0.is_empty().then_some(body)
}

fn put_place(out: &mut Vec<u8>, place: &SegmentPlace) {
    out.extend_from_slice(&place.segment.0.to_be_bytes());
    out.extend_from_slice(&place.position.to_be_bytes());
}

/// A segment, in a record as in a checkpoint.
pub(crate) fn put_summary(out: &mut Vec<u8>, summary: &Summary) {
    for number in [
        summary.base_offset.0,
        summary.end_offset.0,
        summary.created.0,
        summary.first_timestamp.0,
        summary.max_timestamp.0,
        summary.max_timestamp_offset.0,
    ] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&summary.size_bytes.to_be_bytes());
    out.extend_from_slice(&summary.generation.to_be_bytes());
}

pub(crate) fn durability_code(durability: Durability) -> u8 {
    match durability {
        Durability::Flush => 0,
        Durability::Relaxed => 1,
    }
}

/// Reads from the front and never beyond the end.
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    pub fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(slice)
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    pub fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    pub fn offset(&mut self) -> Option<Offset> {
        self.i64().map(Offset)
    }

    pub fn summary(&mut self) -> Option<Summary> {
        Some(Summary {
            base_offset: self.offset()?,
            end_offset: self.offset()?,
            created: Timestamp(self.i64()?),
            first_timestamp: Timestamp(self.i64()?),
            max_timestamp: Timestamp(self.i64()?),
            max_timestamp_offset: self.offset()?,
            size_bytes: self.u32()?,
            generation: self.u32()?,
        })
    }

    pub fn place(&mut self) -> Option<SegmentPlace> {
        Some(SegmentPlace { segment: self.offset()?, position: self.u32()? })
    }

    pub fn durability(&mut self) -> Option<Durability> {
        match self.u8()? {
            0 => Some(Durability::Flush),
            1 => Some(Durability::Relaxed),
            _ => None,
        }
    }
}
