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
        self.put(0, offset.0.to_be_bytes());
    }

    pub fn set_partition_leader_epoch(&mut self, epoch: LeaderEpoch) {
        self.put(LEADER_EPOCH, epoch.0.to_be_bytes());
    }

    /// Recomputes the CRC if anything changed. As `DefaultRecordBatch.setMaxTimestamp` does, this drops the
    /// attribute bits that have no meaning yet.
    pub fn set_max_timestamp(&mut self, timestamp_type: TimestampType, timestamp: Timestamp) {
        let view = self.view();
        if view.timestamp_type() == timestamp_type && view.max_timestamp() == timestamp {
            return;
        }
        let kept = view.attributes() & (COMPRESSION_MASK | TRANSACTIONAL | CONTROL | DELETE_HORIZON);
        let attributes = match timestamp_type {
            TimestampType::CreateTime => kept,
            TimestampType::LogAppendTime => kept | LOG_APPEND_TIME,
        };
        self.put(ATTRIBUTES, attributes.to_be_bytes());
        self.put(MAX_TIMESTAMP, timestamp.0.to_be_bytes());
        self.seal();
    }

    /// Makes the CRC that of the bytes as they are.
    pub(crate) fn seal(&mut self) {
        let crc = self.view().computed_crc();
        self.put(CRC, crc.to_be_bytes());
    }

    fn put<const N: usize>(&mut self, at: usize, value: [u8; N]) {
        self.bytes[at..at + N].copy_from_slice(&value);
    }
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
