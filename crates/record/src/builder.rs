//! Makes batches as Kafka's clients and brokers make them: for our clients, internal topics and markers.
//! Offsets inside run from 0 unless told otherwise; nothing here decides what may be written.

use crate::batch::{self, HEADER_BYTES, Header};
use crate::compression::Compression;
use crate::control::{ControlKind, EndTxnMarker, LeaderChange};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp, TimestampType};
use crate::record::Record;
use crate::varint::{len_i32, len_i64, put_i32, put_i64};

/// Takes records one by one, then becomes the bytes of one batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    pub base_offset: Offset,
    pub compression: Compression,
    /// `None` is the codec's default.
    pub compression_level: Option<i32>,
    pub partition_leader_epoch: LeaderEpoch,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: Sequence,
    pub transactional: bool,
    /// Set by the broker of a LogAppendTime topic: every record then has this time.
    pub log_append_time: Option<Timestamp>,
    /// Set by compaction (KIP-534), before the first record: it takes the place of the base timestamp.
    pub delete_horizon: Option<Timestamp>,
    control: bool,
    records: Vec<u8>,
    record_count: i32,
    // The offset delta that the next record gets.
    next_delta: i32,
    base_timestamp: Option<Timestamp>,
    max_timestamp: Timestamp,
    offset_of_max_timestamp: Offset,
}

impl Default for BatchBuilder {
    fn default() -> BatchBuilder {
        BatchBuilder {
            base_offset: Offset::ZERO,
            compression: Compression::None,
            compression_level: None,
            partition_leader_epoch: LeaderEpoch::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: Sequence::NONE,
            transactional: false,
            log_append_time: None,
            delete_horizon: None,
            control: false,
            records: Vec::new(),
            record_count: 0,
            next_delta: 0,
            base_timestamp: None,
            max_timestamp: Timestamp::NONE,
            offset_of_max_timestamp: Offset::NONE,
        }
    }
}

impl BatchBuilder {
    pub fn new(compression: Compression) -> BatchBuilder {
        BatchBuilder { compression, ..BatchBuilder::default() }
    }

    /// Stamps the batch of an idempotent (or transactional) producer.
    pub fn with_producer(
        mut self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        base_sequence: Sequence,
        transactional: bool,
    ) -> BatchBuilder {
        (self.producer_id, self.producer_epoch) = (producer_id, producer_epoch);
        (self.base_sequence, self.transactional) = (base_sequence, transactional);
        self
    }

    pub fn append(&mut self, timestamp: Timestamp, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.append_with_headers(timestamp, key, value, &[]);
    }

    pub fn append_with_headers(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) {
        let mut bytes = Vec::new();
        for (name, value) in headers {
            put_bytes(&mut bytes, Some(name));
            put_bytes(&mut bytes, *value);
        }
        self.put(timestamp, key, value, headers.len(), &bytes);
    }

    /// Takes over a record of another batch with its own timestamp; its offset becomes the next one here.
    pub fn append_record(&mut self, record: &Record<'_>) {
        self.put(record.timestamp, record.key, record.value, record.headers.len(), record.headers.bytes());
    }

    /// Leaves a hole, as compaction does: the next record gets `delta`, which must not be below the next free one.
    pub fn skip_to(&mut self, delta: i32) {
        assert!(delta >= self.next_delta, "offsets in a batch only grow");
        self.next_delta = delta;
    }

    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Before compression.
    pub fn size_bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    pub fn max_timestamp(&self) -> Timestamp {
        self.log_append_time.unwrap_or(self.max_timestamp)
    }

    /// The first of the records with the greatest timestamp; with LogAppendTime the last of all, as
    /// `MemoryRecordsBuilder.info` has it.
    pub fn offset_of_max_timestamp(&self) -> Offset {
        match self.log_append_time {
            Some(_) => self.base_offset + i64::from(self.next_delta - 1),
            None => self.offset_of_max_timestamp,
        }
    }

    pub fn build(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size_bytes());
        self.build_into(&mut out);
        out
    }

    /// Appends the batch to `out`.
    pub fn build_into(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let timestamp_type = match self.log_append_time {
            Some(_) => TimestampType::LogAppendTime,
            None => TimestampType::CreateTime,
        };
        let mut attributes = i16::from(self.compression.id());
        for (flag, set) in [
            (batch::LOG_APPEND_TIME, timestamp_type == TimestampType::LogAppendTime),
            (batch::TRANSACTIONAL, self.transactional),
            (batch::CONTROL, self.control),
            (batch::DELETE_HORIZON, self.delete_horizon.is_some()),
        ] {
            attributes |= if set { flag } else { 0 };
        }
        Header {
            base_offset: self.base_offset,
            partition_leader_epoch: self.partition_leader_epoch,
            attributes,
            last_offset_delta: (self.next_delta - 1).max(0),
            base_timestamp: self.delete_horizon.or(self.base_timestamp).unwrap_or(Timestamp::NONE),
            max_timestamp: self.max_timestamp(),
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count: self.record_count,
        }
        .put(out);
        self.compression.compress(self.compression_level, &self.records, out);
        batch::finish(&mut out[start..]);
    }

    fn put(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        header_count: usize,
        headers: &[u8],
    ) {
        let base_timestamp = *self.base_timestamp.get_or_insert(self.delete_horizon.unwrap_or(timestamp));
        if timestamp > self.max_timestamp {
            self.max_timestamp = timestamp;
            self.offset_of_max_timestamp = self.base_offset + i64::from(self.next_delta);
        }
        let timestamp_delta = timestamp.0.wrapping_sub(base_timestamp.0);
        let header_count = header_count as i32;
        let size = 1
            + len_i64(timestamp_delta)
            + len_i32(self.next_delta)
            + bytes_len(key)
            + bytes_len(value)
            + len_i32(header_count)
            + headers.len();
        self.records.reserve(len_i32(i32::MAX) + size);
        put_i32(&mut self.records, i32::try_from(size).expect("a record is smaller than 2 GiB"));
        self.records.push(0); // No record attribute has a meaning yet.
        put_i64(&mut self.records, timestamp_delta);
        put_i32(&mut self.records, self.next_delta);
        put_bytes(&mut self.records, key);
        put_bytes(&mut self.records, value);
        put_i32(&mut self.records, header_count);
        self.records.extend_from_slice(headers);
        self.record_count += 1;
        self.next_delta += 1;
    }
}

/// The batch with which a transaction ends on a partition.
pub fn end_txn_marker(
    timestamp: Timestamp,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    marker: EndTxnMarker,
) -> Vec<u8> {
    let mut builder = BatchBuilder::default().with_producer(producer_id, producer_epoch, Sequence::NONE, true);
    builder.control = true;
    builder.append(timestamp, Some(&marker.kind().key()), Some(&marker.value()));
    builder.build()
}

/// The batch with which a leader of the metadata quorum begins its epoch.
pub fn leader_change(base_offset: Offset, epoch: LeaderEpoch, timestamp: Timestamp, change: &LeaderChange) -> Vec<u8> {
    let mut builder = BatchBuilder { base_offset, partition_leader_epoch: epoch, control: true, ..Default::default() };
    builder.append(timestamp, Some(&ControlKind::LeaderChange.key()), Some(&change.value()));
    builder.build()
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_i32(out, -1),
        Some(bytes) => {
            put_i32(out, i32::try_from(bytes.len()).expect("a field is smaller than 2 GiB"));
            out.extend_from_slice(bytes);
        }
    }
}

fn bytes_len(bytes: Option<&[u8]>) -> usize {
    match bytes {
        None => len_i32(-1),
        Some(bytes) => len_i32(bytes.len() as i32) + bytes.len(),
    }
}
