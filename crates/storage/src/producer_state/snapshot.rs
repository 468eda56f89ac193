//! A producer state as bytes, so that a restart need not read the log from its beginning. Derived data: whatever
//! does not check out is an error, never an empty state, and the caller rebuilds from the log.
//!
//! Version 1, big-endian. Length and checksum stand at both ends, so that neither a cut-off file nor two halves of
//! different ones pass.
//!
//! | bytes | field                                                                             |
//! |-------|-----------------------------------------------------------------------------------|
//! | 4     | magic `OTPS`                                                                      |
//! | 2     | version, 1                                                                        |
//! | 2     | 0                                                                                 |
//! | 4     | length of the whole snapshot                                                      |
//! | 8     | log id                                                                            |
//! | 8     | LSN up to which it is exact                                                       |
//! | 8     | end offset: all below it is applied                                               |
//! | 4     | last leader epoch at that end, -1 if none                                         |
//! | 4     | number of producers                                                               |
//! | 4     | number of decided transactions that the high watermark had not passed             |
//! | 4     | CRC-32C of the 48 bytes before                                                    |
//! | ...   | producers, by rising id: id 8, epoch 2, coordinator epoch 4, last timestamp 8,    |
//! |       | first offset of the open transaction or -1 8, number of batches (0-5) 1, batches, |
//! |       | the oldest first: last sequence 4, last offset 8, offset delta 4, timestamp 8     |
//! | ...   | transactions, by rising first offset: producer id 8, first offset 8, marker 8     |
//! | 4     | length of the whole snapshot                                                      |
//! | 4     | CRC-32C of everything before                                                      |

use std::fmt;

use record::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use super::ProducerState;
use super::entry::{BATCHES_MAX, BatchMetadata, ProducerEntry};

/// What a snapshot says of itself beside the producers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SnapshotInfo {
    pub log_id: u64,
    pub lsn: u64,
    pub last_leader_epoch: LeaderEpoch,
}

/// A decoded snapshot; its end is the state's.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub info: SnapshotInfo,
    pub state: ProducerState,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SnapshotError {
    Checksum {
        stored: u32,
        computed: u32,
    },
    /// The checksums hold, the content does not: a bug of whoever wrote it.
    Content,
    Length {
        stored: usize,
        bytes: usize,
    },
    Magic,
    Version {
        version: u16,
    },
}

const MAGIC: [u8; 4] = *b"OTPS";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 52;
const TRAILER_BYTES: usize = 8;
const BATCH_BYTES: usize = 24;
/// Without its batches.
const PRODUCER_BYTES: usize = 31;
const TRANSACTION_BYTES: usize = 24;

impl Snapshot {
    pub fn encode(state: &ProducerState, info: &SnapshotInfo) -> Vec<u8> {
        let transactions = &state.transactions.unreplicated;
        let mut out = Vec::with_capacity(size_bytes(state));
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&(size_bytes(state) as u32).to_be_bytes());
        out.extend_from_slice(&info.log_id.to_be_bytes());
        out.extend_from_slice(&info.lsn.to_be_bytes());
        out.extend_from_slice(&state.end.0.to_be_bytes());
        out.extend_from_slice(&info.last_leader_epoch.0.to_be_bytes());
        out.extend_from_slice(&(state.producers.len() as u32).to_be_bytes());
        out.extend_from_slice(&(transactions.len() as u32).to_be_bytes());
        put_crc(&mut out);
        for (id, entry) in &state.producers {
            put_producer(&mut out, *id, entry);
        }
        for (first, (id, marker)) in transactions {
            for field in [id.0, first.0, marker.0] {
                out.extend_from_slice(&field.to_be_bytes());
            }
        }
        let size = (out.len() + TRAILER_BYTES) as u32;
        assert_eq!(size as usize, size_bytes(state), "the length written first must be the true one");
        out.extend_from_slice(&size.to_be_bytes());
        put_crc(&mut out);
        out
    }

    /// Allocates in proportion to `bytes` only.
    pub fn decode(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
        let (header, _) = bytes.split_at_checked(HEADER_BYTES).ok_or(wrong_length(bytes, HEADER_BYTES))?;
        if !header.starts_with(&MAGIC) {
            return Err(SnapshotError::Magic);
        }
        let mut fields = Fields(&header[MAGIC.len()..]);
        let version = u16::from_be_bytes(fields.take().ok_or(SnapshotError::Content)?);
        if version != VERSION {
            return Err(SnapshotError::Version { version });
        }
        check_crc(header)?;
        check_lengths(bytes)?;
        check_crc(bytes)?;
        decode_checked(bytes).ok_or(SnapshotError::Content)
    }
}

impl SnapshotInfo {
    /// Whether a snapshot that ends at `end` may stand for the beginning of this log: another log's never does, and
    /// one beyond the log's end or not beyond its start is of no use (`ProducerStateManager.truncateAndReload`).
    /// What was truncated after `lsn` is known to the journal, not here.
    pub fn is_usable(&self, end: Offset, log_id: u64, log_start: Offset, log_end: Offset) -> bool {
        self.log_id == log_id && log_start < end && end <= log_end
    }
}

fn size_bytes(state: &ProducerState) -> usize {
    let batches: usize = state.producers.values().map(|entry| entry.batches().len()).sum();
    HEADER_BYTES
        + state.producers.len() * PRODUCER_BYTES
        + batches * BATCH_BYTES
        + state.transactions.unreplicated.len() * TRANSACTION_BYTES
        + TRAILER_BYTES
}

fn put_producer(out: &mut Vec<u8>, id: ProducerId, entry: &ProducerEntry) {
    out.extend_from_slice(&id.0.to_be_bytes());
    out.extend_from_slice(&entry.epoch.0.to_be_bytes());
    out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
    out.extend_from_slice(&entry.last_timestamp.0.to_be_bytes());
    out.extend_from_slice(&entry.txn_first_offset.unwrap_or(Offset::NONE).0.to_be_bytes());
    out.push(entry.batches().len() as u8);
    for batch in entry.batches() {
        out.extend_from_slice(&batch.last_sequence.0.to_be_bytes());
        out.extend_from_slice(&batch.last_offset.0.to_be_bytes());
        out.extend_from_slice(&batch.offset_delta.to_be_bytes());
        out.extend_from_slice(&batch.timestamp.0.to_be_bytes());
    }
}

fn put_crc(out: &mut Vec<u8>) {
    let crc = crc32c::crc32c(out);
    out.extend_from_slice(&crc.to_be_bytes());
}

/// The last four bytes are the checksum of those before.
fn check_crc(bytes: &[u8]) -> Result<(), SnapshotError> {
    let (covered, stored) = bytes.split_last_chunk().ok_or(SnapshotError::Content)?;
    let (stored, computed) = (u32::from_be_bytes(*stored), crc32c::crc32c(covered));
    if stored == computed { Ok(()) } else { Err(SnapshotError::Checksum { stored, computed }) }
}

/// Both lengths, of a header whose checksum holds.
fn check_lengths(bytes: &[u8]) -> Result<(), SnapshotError> {
    let at = |at: usize| bytes.get(at..at + 4).map(|field| u32::from_be_bytes(field.try_into().expect("four bytes")));
    let first = at(8).ok_or(SnapshotError::Content)? as usize;
    if first != bytes.len() || first < HEADER_BYTES + TRAILER_BYTES {
        return Err(wrong_length(bytes, first));
    }
    let last = at(bytes.len() - TRAILER_BYTES).ok_or(SnapshotError::Content)? as usize;
    if last == first { Ok(()) } else { Err(wrong_length(bytes, last)) }
}

fn wrong_length(bytes: &[u8], stored: usize) -> SnapshotError {
    SnapshotError::Length { stored, bytes: bytes.len() }
}

/// `None` where the content contradicts itself.
fn decode_checked(bytes: &[u8]) -> Option<Snapshot> {
    let mut fields = Fields(&bytes[12..bytes.len() - TRAILER_BYTES]);
    let log_id = u64::from_be_bytes(fields.take()?);
    let lsn = u64::from_be_bytes(fields.take()?);
    let end = Offset(fields.i64()?);
    let last_leader_epoch = LeaderEpoch(fields.i32()?);
    let producers = fields.i32()?;
    let transactions = fields.i32()?;
    fields.i32()?; // The header's checksum.

    let mut state = ProducerState::new(end);
    for _ in 0..producers {
        let (id, entry) = take_producer(&mut fields)?;
        if let Some(first) = entry.txn_first_offset {
            state.transactions.begin(id, first);
        }
        if state.producers.insert(id, entry).is_some() {
            return None;
        }
    }
    for _ in 0..transactions {
        let (id, first, marker) = (ProducerId(fields.i64()?), Offset(fields.i64()?), Offset(fields.i64()?));
        state.transactions.unreplicated.insert(first, (id, marker));
    }
    let info = SnapshotInfo { log_id, lsn, last_leader_epoch };
    fields.0.is_empty().then_some(Snapshot { info, state })
}

fn take_producer(fields: &mut Fields<'_>) -> Option<(ProducerId, ProducerEntry)> {
    let id = ProducerId(fields.i64()?);
    let mut entry = ProducerEntry::in_epoch(ProducerEpoch(i16::from_be_bytes(fields.take()?)));
    let coordinator_epoch = fields.i32()?;
    let last_timestamp = Timestamp(fields.i64()?);
    let txn_first_offset = Offset(fields.i64()?);
    let [batches] = fields.take()?;
    if usize::from(batches) > BATCHES_MAX {
        return None;
    }
    for _ in 0..batches {
        let batch = BatchMetadata {
            last_sequence: Sequence(fields.i32()?),
            last_offset: Offset(fields.i64()?),
            offset_delta: fields.i32()?,
            timestamp: Timestamp(fields.i64()?),
        };
        entry.add(entry.epoch, batch);
    }
    entry.coordinator_epoch = coordinator_epoch;
    entry.last_timestamp = last_timestamp;
    entry.txn_first_offset = (!txn_first_offset.is_none()).then_some(txn_first_offset);
    Some((id, entry))
}

/// Reads from the front and never beyond the end.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Checksum { stored, computed } => {
                write!(f, "producer snapshot: checksum {computed:08x} instead of {stored:08x}")
            }
            SnapshotError::Content => f.write_str("producer snapshot: contradictory content"),
            SnapshotError::Length { stored, bytes } => {
                write!(f, "producer snapshot: {bytes} bytes instead of {stored}")
            }
            SnapshotError::Magic => f.write_str("not a producer snapshot"),
            SnapshotError::Version { version } => write!(f, "producer snapshot of version {version}"),
        }
    }
}

impl std::error::Error for SnapshotError {}
