//! The checkpoint: where the lane's replay begins, and for every log what is exact so far. Two files, written in turn, so
//! that a torn write leaves the other; a sequence number and a checksum tell the newest sound one. Only bytes here: who
//! captures, writes and reads them is elsewhere.
use std::fmt;
use std::ops::Range;

use record::{LeaderEpoch, Offset, TopicId, TopicPartition};

use crate::journal::record::{Fields, SegmentPlace, durability_code, put_summary};
use crate::journal::{LanePoint, Place};
use crate::leader_epochs::LeaderEpochs;
use crate::log::state::Reach;
use crate::producer_state::{ProducerState, Snapshot, SnapshotInfo};
use crate::segment::Summary;
use crate::settings::Durability;

const MAGIC: &[u8; 8] = b"OTTLACKP";
pub(crate) const VERSION: u16 = 2;
const HEADER_BYTES: usize = 88;
/// What planted files may make us allocate.
pub(crate) const FILE_BYTES_MAX: u64 = 4 << 30;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    /// The higher one is the newer one.
    pub sequence: u64,
    /// No log has had this identity or a higher one.
    pub next_log_id: u64,
    /// Groups before it are not needed.
    pub lane_start: LanePoint,
    /// The newest group whose syncs had returned.
    pub durable_group: u64,
    /// No lane file is smaller.
    pub lane_file_bytes: u64,
    /// Everything was written, synced and sealed: nothing follows in the lane.
    pub is_clean: bool,
    pub entries: u32,
}

/// One log as it was when its lock was held.
#[derive(Debug)]
pub(crate) struct Entry {
    pub log_id: u64,
    pub topic_id: TopicId,
    pub name: TopicPartition,
    pub durability: Durability,
    /// Everything below is durable, and `segments`, `epochs` and `producers` are exact up to here.
    pub end: Offset,
    /// S: everything below lies in synced segments. `synced.offset <= end`
    pub synced: Reach,
    pub log_start: Offset,
    pub high_watermark: Offset,
    /// Of what changes a log other than by appends, everything up to this group is in the entry, nothing behind it is.
    pub lsn: u64,
    /// Everything below has been compacted.
    pub compacted_end: Offset,
    pub segments: Vec<Summary>,
    pub epochs: LeaderEpochs,
    pub faulty: Vec<Range<Offset>>,
    pub producers: ProducerState,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum CheckpointError {
    Checksum,
    /// What the checksum holds for contradicts itself: a mistake of ours, or not our file.
    Content {
        entry: u32,
    },
    Magic,
    Short {
        bytes: usize,
        needed: u64,
    },
    Version {
        version: u16,
    },
}

/// Gathers a checkpoint entry by entry.
pub(crate) struct Builder {
    bytes: Vec<u8>,
    entries: u32,
}

impl Builder {
    pub fn new() -> Self {
        Self { bytes: vec![0; HEADER_BYTES], entries: 0 }
    }

    pub fn push(&mut self, entry: &EntryView<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        entry.encode(&mut self.bytes);
        let len = (self.bytes.len() - start - 4) as u32;
        self.bytes[start..start + 4].copy_from_slice(&len.to_be_bytes());
        self.entries += 1;
    }

    pub fn finish(mut self, header: &Header) -> Vec<u8> {
        let point = &header.lane_start;
        let out = &mut self.bytes;
        let total = out.len() as u64 + 4;
        out[0..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_be_bytes());
        out[10] = header.is_clean.into();
        out[12..16].copy_from_slice(&self.entries.to_be_bytes());
        out[16..24].copy_from_slice(&total.to_be_bytes());
        out[24..32].copy_from_slice(&header.sequence.to_be_bytes());
        out[32..40].copy_from_slice(&header.next_log_id.to_be_bytes());
        out[40..48].copy_from_slice(&header.durable_group.to_be_bytes());
        out[48..56].copy_from_slice(&point.number.to_be_bytes());
        out[56..64].copy_from_slice(&point.run.to_be_bytes());
        out[64..72].copy_from_slice(&point.place.at.to_be_bytes());
        out[72..76].copy_from_slice(&point.place.slot.to_be_bytes());
        out[76..80].copy_from_slice(&point.previous_crc.to_be_bytes());
        out[80..88].copy_from_slice(&header.lane_file_bytes.to_be_bytes());
        let crc = crc32c::crc32c(out);
        out.extend_from_slice(&crc.to_be_bytes());
        self.bytes
    }
}

/// The same as [`Entry`], borrowed from a log whose lock is held.
pub(crate) struct EntryView<'a> {
    pub log_id: u64,
    pub topic_id: TopicId,
    pub name: &'a TopicPartition,
    pub durability: Durability,
    pub end: Offset,
    pub synced: Reach,
    pub log_start: Offset,
    pub high_watermark: Offset,
    pub lsn: u64,
    pub compacted_end: Offset,
    pub segments: &'a [Summary],
    pub epochs: &'a LeaderEpochs,
    pub faulty: &'a [Range<Offset>],
    pub producers: &'a ProducerState,
}

impl EntryView<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.log_id.to_be_bytes());
        put(out, self.topic_id.0);
        put(out, self.name.partition.to_be_bytes());
        put(out, [durability_code(self.durability)]);
        put(out, (self.name.topic.len() as u16).to_be_bytes());
        out.extend_from_slice(self.name.topic.as_bytes());
        for offset in [self.end, self.synced.offset, self.synced.place.segment, self.log_start, self.high_watermark] {
            put(out, offset.0.to_be_bytes());
        }
        put(out, self.synced.place.position.to_be_bytes());
        put(out, self.lsn.to_be_bytes());
        put(out, self.compacted_end.0.to_be_bytes());
        put(out, (self.segments.len() as u32).to_be_bytes());
        for segment in self.segments {
            put_summary(out, segment);
        }
        put(out, (self.faulty.len() as u32).to_be_bytes());
        for range in self.faulty {
            put(out, range.start.0.to_be_bytes());
            put(out, range.end.0.to_be_bytes());
        }
        self.epochs.encode(out);
        let last_leader_epoch = self.epochs.latest().map_or(LeaderEpoch::NONE, |latest| latest.epoch);
        let info = SnapshotInfo { log_id: self.log_id, lsn: self.lsn, last_leader_epoch };
        out.extend_from_slice(&Snapshot::encode(self.producers, &info));
    }
}

fn put<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&bytes);
}

/// A whole file's content. Allocates in proportion to `bytes` only.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Header, Vec<Entry>), CheckpointError> {
    let short = |needed| CheckpointError::Short { bytes: bytes.len(), needed };
    let head = bytes.get(..HEADER_BYTES).ok_or(short(HEADER_BYTES as u64))?;
    if !head.starts_with(MAGIC) {
        return Err(CheckpointError::Magic);
    }
    let mut fields = Fields(&head[8..]);
    let (version, total) = (fields.u16().unwrap_or(0), u64::from_be_bytes(head[16..24].try_into().expect("8 bytes")));
    if version != VERSION {
        return Err(CheckpointError::Version { version });
    }
    // What is left of a longer, older checkpoint may follow.
    let whole = usize::try_from(total).ok().and_then(|total| bytes.get(..total)).ok_or(short(total))?;
    let (content, crc) = whole.split_last_chunk::<4>().ok_or(short(total))?;
    if content.len() < HEADER_BYTES || crc32c::crc32c(content) != u32::from_be_bytes(*crc) {
        return Err(CheckpointError::Checksum);
    }
    let header = decode_header(head).ok_or(CheckpointError::Content { entry: 0 })?;
    let mut fields = Fields(&content[HEADER_BYTES..]);
    let mut entries = Vec::new();
    for entry in 0..header.entries {
        let wrong = CheckpointError::Content { entry };
        let len = fields.u32().ok_or(wrong.clone())? as usize;
        let mut entry = Fields(fields.slice(len).ok_or(wrong.clone())?);
        entries.push(decode_entry(&mut entry).ok_or(wrong)?);
    }
    if !fields.0.is_empty() {
        return Err(CheckpointError::Content { entry: header.entries });
    }
    Ok((header, entries))
}

fn decode_header(head: &[u8]) -> Option<Header> {
    let is_clean = head[10] == 1;
    let mut fields = Fields(&head[12..]);
    let entries = fields.u32()?;
    fields.u64()?;
    let (sequence, next_log_id, durable_group) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let (number, run, at) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let (slot, previous_crc, lane_file_bytes) = (fields.u32()?, fields.u32()?, fields.u64()?);
    let lane_start = LanePoint { number, run, previous_crc, place: Place { slot, at } };
    Some(Header { sequence, next_log_id, lane_start, durable_group, lane_file_bytes, is_clean, entries })
}

fn decode_entry(fields: &mut Fields<'_>) -> Option<Entry> {
    let log_id = fields.u64()?;
    let topic_id = TopicId(fields.take()?);
    let partition = fields.i32()?;
    let durability = fields.durability()?;
    let topic_len = fields.u16()?;
    let topic = std::str::from_utf8(fields.slice(topic_len.into())?).ok()?;
    let [end, synced, segment, log_start, high_watermark] = [(); 5].map(|()| fields.offset());
    let place = SegmentPlace { segment: segment?, position: fields.u32()? };
    let lsn = fields.u64()?;
    let compacted_end = fields.offset()?;
    let mut segments = Vec::new();
    for _ in 0..fields.u32()? {
        segments.push(fields.summary()?);
    }
    let mut faulty = Vec::new();
    for _ in 0..fields.u32()? {
        faulty.push(fields.offset()?..fields.offset()?);
    }
    let epochs = LeaderEpochs::decode(&mut fields.0).ok()?;
    let snapshot = Snapshot::decode(fields.rest()).ok()?;
    let in_order = segments.windows(2).all(|pair| pair[0].base_offset < pair[1].base_offset);
    if snapshot.info.log_id != log_id || segments.is_empty() || !in_order {
        return None;
    }
    Some(Entry {
        log_id,
        topic_id,
        name: TopicPartition::new(topic, partition),
        durability,
        end: end?,
        synced: Reach { offset: synced?, place },
        log_start: log_start?,
        high_watermark: high_watermark?,
        lsn,
        compacted_end,
        segments,
        epochs,
        faulty,
        producers: snapshot.state,
    })
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointError::Checksum => f.write_str("the checksum does not hold"),
            CheckpointError::Content { entry } => write!(f, "entry {entry} contradicts itself"),
            CheckpointError::Magic => f.write_str("not a checkpoint"),
            CheckpointError::Short { bytes, needed } => write!(f, "{bytes} bytes instead of {needed}"),
            CheckpointError::Version { version } => write!(f, "format version {version}; this build knows {VERSION}"),
        }
    }
}
