//! One record batch of magic 2 as it lies on the wire and in a segment: a checked view of its 61-byte header.
//! Never allocates and never looks into the records; `record` and `compression` do that.

mod batches;
mod patch;

use std::fmt;

pub use batches::Batches;
pub use patch::{BatchHeader, BatchMut};
pub(crate) use patch::{Header, finish};

use crate::compression::{Compression, UnknownCompression};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp, TimestampType};

/// Everything of a batch before its records (`DefaultRecordBatch.RECORD_BATCH_OVERHEAD`).
pub const HEADER_BYTES: usize = 61;
/// Base offset and length: what comes before the bytes that the length counts (`Records.LOG_OVERHEAD`).
pub const LOG_OVERHEAD_BYTES: usize = 12;
/// The only magic that is written since Kafka 4.0 (KIP-724).
pub const MAGIC: i8 = 2;

const LENGTH: usize = 8;
const LEADER_EPOCH: usize = 12;
const MAGIC_AT: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const BASE_TIMESTAMP: usize = 27;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
const RECORD_COUNT: usize = 57;

pub(crate) const COMPRESSION_MASK: i16 = 0x07;
pub(crate) const LOG_APPEND_TIME: i16 = 0x08;
pub(crate) const TRANSACTIONAL: i16 = 0x10;
pub(crate) const CONTROL: i16 = 0x20;
pub(crate) const DELETE_HORIZON: i16 = 0x40;

/// A whole batch, and nothing after it: `bytes.len()` is 12 + its length field and at least 61.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct BatchView<'a> {
    bytes: &'a [u8],
}

/// Why bytes do not begin with a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BatchError {
    /// The length field says less than a header needs.
    TooSmall { length: i32 },
    /// The bytes end before the batch does; a segment's torn tail, or a fetch response's last batch.
    Truncated { have: usize, needed: usize },
    /// 0 and 1 were Kafka's formats before 0.11, anything else never was one.
    UnsupportedMagic { magic: i8 },
}

impl<'a> BatchView<'a> {
    /// The batch at the front of `bytes`; what follows it is not looked at. Checks sizes and magic, not the CRC.
    pub fn parse(bytes: &'a [u8]) -> Result<BatchView<'a>, BatchError> {
        let size = batch_bytes(bytes)?;
        Ok(BatchView { bytes: &bytes[..size] })
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Header and records.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The records as stored: compressed if `compression` says so.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    pub fn base_offset(&self) -> Offset {
        Offset(i64::from_be_bytes(self.field(0)))
    }

    pub fn last_offset(&self) -> Offset {
        self.base_offset() + i64::from(self.last_offset_delta())
    }

    /// Where the batch after this one begins.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().next()
    }

    pub fn partition_leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(i32::from_be_bytes(self.field(LEADER_EPOCH)))
    }

    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(self.field(CRC))
    }

    /// CRC-32C from the attributes to the end, so that base offset and leader epoch can be patched freely.
    pub fn computed_crc(&self) -> u32 {
        crc32c::crc32c(&self.bytes[ATTRIBUTES..])
    }

    pub fn crc_is_valid(&self) -> bool {
        self.crc() == self.computed_crc()
    }

    pub fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.field(ATTRIBUTES))
    }

    pub fn compression(&self) -> Result<Compression, UnknownCompression> {
        Compression::from_id((self.attributes() & COMPRESSION_MASK) as i8)
    }

    pub fn timestamp_type(&self) -> TimestampType {
        match self.attributes() & LOG_APPEND_TIME {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        }
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes() & TRANSACTIONAL != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes() & CONTROL != 0
    }

    /// When compaction may drop the tombstones and markers of this batch; it then stands where the base
    /// timestamp stood (KIP-534).
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        (self.attributes() & DELETE_HORIZON != 0).then(|| self.base_timestamp())
    }

    pub fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(self.field(LAST_OFFSET_DELTA))
    }

    pub fn base_timestamp(&self) -> Timestamp {
        Timestamp(i64::from_be_bytes(self.field(BASE_TIMESTAMP)))
    }

    pub fn max_timestamp(&self) -> Timestamp {
        Timestamp(i64::from_be_bytes(self.field(MAX_TIMESTAMP)))
    }

    pub fn producer_id(&self) -> ProducerId {
        ProducerId(i64::from_be_bytes(self.field(PRODUCER_ID)))
    }

    /// Kafka's `hasProducerId`: any id but the very -1 counts.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id() > ProducerId::NONE
    }

    pub fn producer_epoch(&self) -> ProducerEpoch {
        ProducerEpoch(i16::from_be_bytes(self.field(PRODUCER_EPOCH)))
    }

    pub fn base_sequence(&self) -> Sequence {
        Sequence(i32::from_be_bytes(self.field(BASE_SEQUENCE)))
    }

    pub fn last_sequence(&self) -> Sequence {
        self.base_sequence().advance(self.last_offset_delta())
    }

    pub fn record_count(&self) -> i32 {
        i32::from_be_bytes(self.field(RECORD_COUNT))
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        field(self.bytes, at)
    }
}

impl fmt::Debug for BatchView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchView")
            .field("offsets", &(self.base_offset().0..=self.last_offset().0))
            .field("leader_epoch", &self.partition_leader_epoch().0)
            .field("size_bytes", &self.size_bytes())
            .field("attributes", &self.attributes())
            .field("record_count", &self.record_count())
            .field("max_timestamp", &self.max_timestamp().0)
            .field("producer", &(self.producer_id().0, self.producer_epoch().0, self.base_sequence().0))
            .finish()
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::TooSmall { length } => write!(f, "a batch of length {length} is smaller than its header"),
            BatchError::Truncated { have, needed } => write!(f, "a batch needs {needed} bytes, there are {have}"),
            BatchError::UnsupportedMagic { magic } => write!(f, "magic {magic} instead of {MAGIC}"),
        }
    }
}

impl std::error::Error for BatchError {}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice is N long")
}

/// The size of the batch at the front of `bytes`, once all of it is there. The order of the checks is that of
/// `ByteBufferLogInputStream`: a bad length or magic is told even where the rest is missing.
fn batch_bytes(bytes: &[u8]) -> Result<usize, BatchError> {
    let truncated = |needed| BatchError::Truncated { have: bytes.len(), needed };
    if bytes.len() < LOG_OVERHEAD_BYTES {
        return Err(truncated(HEADER_BYTES));
    }
    let length = i32::from_be_bytes(field(bytes, LENGTH));
    if length < LENGTH_MIN {
        return Err(BatchError::TooSmall { length });
    }
    if bytes.len() <= MAGIC_AT {
        return Err(truncated(LOG_OVERHEAD_BYTES + length as usize));
    }
    let magic = bytes[MAGIC_AT] as i8;
    if magic != MAGIC {
        return Err(BatchError::UnsupportedMagic { magic });
    }
    if (length as usize) < HEADER_BYTES - LOG_OVERHEAD_BYTES {
        return Err(BatchError::TooSmall { length });
    }
    let size = LOG_OVERHEAD_BYTES + length as usize;
    if bytes.len() < size { Err(truncated(size)) } else { Ok(size) }
}

/// The smallest record of magic 0 (`LegacyRecord.RECORD_OVERHEAD_V0`): below it the magic is not even looked at.
const LENGTH_MIN: i32 = 14;

#[cfg(test)]
mod tests;
