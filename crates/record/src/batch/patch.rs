//! The few header fields that a broker writes into a batch that it otherwise keeps verbatim.
//! Base offset and leader epoch lie outside the CRC; timestamps lie inside and cost a new one.

use super::*;

/// A whole batch that may be patched in place.
#[derive(Debug)]
pub struct BatchMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> BatchMut<'a> {
    pub fn parse(bytes: &'a mut [u8]) -> Result<BatchMut<'a>, BatchError> {
        let size = batch_bytes(bytes)?;
        Ok(BatchMut { bytes: &mut bytes[..size] })
    }

    pub fn view(&self) -> BatchView<'_> {
        BatchView { bytes: self.bytes }
    }

    pub fn set_base_offset(&mut self, offset: Offset) {
        put(self.bytes, 0, offset.0.to_be_bytes());
    }

    pub fn set_partition_leader_epoch(&mut self, epoch: LeaderEpoch) {
        put(self.bytes, LEADER_EPOCH, epoch.0.to_be_bytes());
    }

    /// Recomputes the CRC if anything changed.
    pub fn set_max_timestamp(&mut self, timestamp_type: TimestampType, timestamp: Timestamp) {
        let (header, body) = self.bytes.split_at_mut(HEADER_BYTES);
        stamp(header, body, timestamp_type, timestamp);
    }

    fn seal(&mut self) {
        let crc = self.view().computed_crc();
        put(self.bytes, CRC, crc.to_be_bytes());
    }
}

/// The header of a batch apart from its body, so that a body in a shared buffer need not be copied to be stamped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchHeader([u8; HEADER_BYTES]);

impl BatchHeader {
    pub fn of(batch: &BatchView<'_>) -> BatchHeader {
        BatchHeader(field(batch.bytes, 0))
    }

    /// The header at the front of `bytes`, of which no more need be there: a walk through a file reads no bodies.
    /// `Truncated` only if the header itself is cut off.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        match batch_bytes(bytes) {
            Ok(_) => {}
            Err(BatchError::Truncated { .. }) if bytes.len() >= HEADER_BYTES => {}
            Err(error) => return Err(error),
        }
        Ok(BatchHeader(field(bytes, 0)))
    }

    /// Header and records, as the length field says.
    pub fn size_bytes(&self) -> usize {
        // `parse` and `of` have checked the sign.
        LOG_OVERHEAD_BYTES + i32::from_be_bytes(field(&self.0, LENGTH)) as usize
    }

    pub fn base_offset(&self) -> Offset {
        Offset(i64::from_be_bytes(field(&self.0, 0)))
    }

    pub fn last_offset(&self) -> Offset {
        self.base_offset() + i64::from(i32::from_be_bytes(field(&self.0, LAST_OFFSET_DELTA)))
    }

    pub fn next_offset(&self) -> Offset {
        self.last_offset().next()
    }

    pub fn partition_leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(i32::from_be_bytes(field(&self.0, LEADER_EPOCH)))
    }

    pub fn max_timestamp(&self) -> Timestamp {
        Timestamp(i64::from_be_bytes(field(&self.0, MAX_TIMESTAMP)))
    }

    pub fn as_bytes(&self) -> &[u8; HEADER_BYTES] {
        &self.0
    }

    /// What a leader assigns; no CRC covers it.
    pub fn assign(&mut self, base_offset: Offset, epoch: LeaderEpoch) {
        put(&mut self.0, 0, base_offset.0.to_be_bytes());
        put(&mut self.0, LEADER_EPOCH, epoch.0.to_be_bytes());
    }

    /// Recomputes the CRC over the new header and `body` if anything changed.
    pub fn set_max_timestamp(&mut self, body: &[u8], timestamp_type: TimestampType, timestamp: Timestamp) {
        stamp(&mut self.0, body, timestamp_type, timestamp);
    }
}

/// As `DefaultRecordBatch.setMaxTimestamp` does, this drops the attribute bits that have no meaning yet.
fn stamp(header: &mut [u8], body: &[u8], timestamp_type: TimestampType, timestamp: Timestamp) {
    let attributes = i16::from_be_bytes(field(header, ATTRIBUTES));
    let log_append_time = match timestamp_type {
        TimestampType::CreateTime => 0,
        TimestampType::LogAppendTime => LOG_APPEND_TIME,
    };
    let max_timestamp = i64::from_be_bytes(field(header, MAX_TIMESTAMP));
    if attributes & LOG_APPEND_TIME == log_append_time && max_timestamp == timestamp.0 {
        return;
    }
    let kept = attributes & (COMPRESSION_MASK | TRANSACTIONAL | CONTROL | DELETE_HORIZON);
    put(header, ATTRIBUTES, (kept | log_append_time).to_be_bytes());
    put(header, MAX_TIMESTAMP, timestamp.0.to_be_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[ATTRIBUTES..]), body);
    put(header, CRC, crc.to_be_bytes());
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

/// The fields of a new header, in the order of the wire.
pub(crate) struct Header {
    pub base_offset: Offset,
    pub partition_leader_epoch: LeaderEpoch,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: Timestamp,
    pub max_timestamp: Timestamp,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: Sequence,
    pub record_count: i32,
}

impl Header {
    /// Appends the header with room for the length and the CRC, which `finish` fills in.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.base_offset.0.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.partition_leader_epoch.0.to_be_bytes());
        out.push(MAGIC as u8);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.attributes.to_be_bytes());
        out.extend_from_slice(&self.last_offset_delta.to_be_bytes());
        out.extend_from_slice(&self.base_timestamp.0.to_be_bytes());
        out.extend_from_slice(&self.max_timestamp.0.to_be_bytes());
        out.extend_from_slice(&self.producer_id.0.to_be_bytes());
        out.extend_from_slice(&self.producer_epoch.0.to_be_bytes());
        out.extend_from_slice(&self.base_sequence.0.to_be_bytes());
        out.extend_from_slice(&self.record_count.to_be_bytes());
    }
}

/// Completes the batch that fills `bytes` to its end: length and CRC.
pub(crate) fn finish(bytes: &mut [u8]) {
    let length = i32::try_from(bytes.len() - LOG_OVERHEAD_BYTES).expect("a batch is smaller than 2 GiB");
    bytes[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    BatchMut { bytes }.seal();
}
