//! Why a batch is not appended, and the words in which Kafka says it. Numbers of the wire are whose who answer.

use std::fmt;

use record::compression::UnknownCompression;
use record::{BatchError, CompressionError, Offset, ProducerId, RecordError, Sequence, Timestamp, TopicPartition};

/// The error code that Kafka 4.4 answers with is named on each variant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ValidateError {
    /// INVALID_RECORD
    BaseOffset { base_offset: Offset },
    /// UNKNOWN_SERVER_ERROR: Kafka lets the exception of the codec escape. Records that are to be written anew and
    /// are beyond our own bound (`CompressionError::TooLarge`) are INVALID_RECORD, as a too large record is.
    Compression(CompressionError),
    /// INVALID_RECORD
    ControlBatch,
    /// CORRUPT_MESSAGE
    Corrupt { crc: u32 },
    /// UNKNOWN_SERVER_ERROR: a length with which Kafka cannot count.
    EndlessBatch,
    /// UNKNOWN_SERVER_ERROR: a record that is not compressed, and whose length has no end. Kafka lets the exception
    /// escape; in a compressed batch it does not.
    EndlessRecordSize { index: i32 },
    /// INVALID_RECORD
    ManyBatches { produce_version: i16 },
    /// INVALID_RECORD
    NoBatch { produce_version: i16 },
    /// CORRUPT_MESSAGE: a length or magic that no format has.
    NotABatch(BatchError),
    /// INVALID_RECORD
    OffsetRange { first: Offset, last: Offset },
    /// INVALID_RECORD
    OffsetsAndCount { first: Offset, last: Offset, count: i32 },
    /// INVALID_RECORD
    OldMagic { produce_version: i16 },
    /// UNKNOWN_SERVER_ERROR: the batch would be stored as it is, but the topic's codec asks for another, and Kafka's
    /// `MemoryRecordsBuilder` throws at what is in it.
    NotRebuildable { reason: &'static str },
    /// MESSAGE_TOO_LARGE: after recompression.
    RebuiltTooLarge { size_bytes: usize, size_bytes_max: usize },
    /// INVALID_RECORD
    Record(RecordError),
    /// INVALID_RECORD
    RecordCount { count: i32 },
    /// INVALID_RECORD
    RecordTooLarge { size_bytes: usize, size_bytes_max: usize },
    /// INVALID_TIMESTAMP if `RecordFaults::any_timestamp`, else INVALID_RECORD. The only error whose words and
    /// record errors go into the response.
    Records(RecordFaults),
    /// INVALID_RECORD
    Sequence { base_sequence: Sequence, producer_id: ProducerId },
    /// MESSAGE_TOO_LARGE
    TooLarge { size_bytes: usize, size_bytes_max: usize },
    /// RECORD_LIST_TOO_LARGE
    TooLargeForSegment { size_bytes: usize, size_bytes_max: usize },
    /// UNSUPPORTED_COMPRESSION_TYPE
    ZstdNotAllowed { produce_version: i16 },
}

/// The records of one batch that are at fault, by their place in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RecordFaults {
    // kept.len() <= RECORD_FAULTS_MAX, in order
    kept: Vec<(i32, RecordFault)>,
    count: usize,
    any_timestamp: bool,
}

/// Kafka reports every record at fault; beyond this we only count them, so that a small compressed batch of many
/// records cannot ask for a large answer.
pub const RECORD_FAULTS_MAX: usize = 10_000;

/// `LegacyRecord.RECORD_OVERHEAD_V0`: what a batch of any format has.
const LENGTH_MIN: i32 = 14;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordFault {
    NoKey,
    Timestamp {
        timestamp: Timestamp,
        offset: Offset,
        earliest: Timestamp,
        latest: Timestamp,
    },
    /// The producer claims the time to be the broker's.
    TimestampType {
        offset: Offset,
        timestamp: Timestamp,
        key_bytes: i64,
        value_bytes: i64,
        skips_bytes: bool,
    },
}

impl RecordFaults {
    pub(super) fn push(&mut self, index: i32, fault: RecordFault) {
        self.count += 1;
        self.any_timestamp |= !matches!(fault, RecordFault::NoKey);
        if self.kept.len() < RECORD_FAULTS_MAX {
            self.kept.push((index, fault));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One fault of time makes the whole batch one of INVALID_TIMESTAMP.
    pub fn any_timestamp(&self) -> bool {
        self.any_timestamp
    }

    /// `record_errors` of the response: index in the batch and message.
    pub fn record_errors<'a>(&'a self, partition: &'a TopicPartition) -> impl Iterator<Item = (i32, String)> + 'a {
        self.kept.iter().map(|(index, fault)| (*index, fault.message(partition)))
    }

    /// `error_message` of the response.
    pub fn error_message(&self, partition: &TopicPartition) -> String {
        if self.any_timestamp {
            return "One or more records have been rejected due to invalid timestamp".to_string();
        }
        // Java prints a list of the class `ProduceResponse.RecordError`.
        let first: Vec<String> = self
            .record_errors(partition)
            .take(3)
            .map(|(index, message)| format!("RecordError(batchIndex={index}, message='{message}')"))
            .collect();
        format!(
            "One or more records have been rejected due to {} record errors in total, and only showing the first \
             three errors at most: [{}]",
            self.count,
            first.join(", ")
        )
    }
}

impl RecordFault {
    fn message(&self, partition: &TopicPartition) -> String {
        match self {
            RecordFault::NoKey => {
                format!("Compacted topic cannot accept message without key in topic partition {partition}")
            }
            RecordFault::Timestamp { timestamp, offset, earliest, latest } => format!(
                "Timestamp {timestamp} of message with offset {offset} is out of range. The timestamp should be \
                 within [{earliest}, {latest}]"
            ),
            RecordFault::TimestampType { offset, timestamp, key_bytes, value_bytes, skips_bytes } => format!(
                "Invalid timestamp type in message {}DefaultRecord(offset={offset}, timestamp={timestamp}, \
                 key={key_bytes} bytes, value={value_bytes} bytes). Producer should not set timestamp type to \
                 LogAppendTime.",
                if *skips_bytes { "Partial" } else { "" }
            ),
        }
    }
}

impl ValidateError {
    /// `error_message` of the response: for most errors Kafka leaves it null.
    pub fn response_message(&self, partition: &TopicPartition) -> Option<String> {
        match self {
            // `ByteBufferLogInputStream` throws these before anything else looks at the bytes.
            ValidateError::NotABatch(BatchError::UnsupportedMagic { magic }) => {
                Some(format!("Invalid magic found in record: {magic}"))
            }
            ValidateError::NotABatch(BatchError::TooSmall { length }) if *length < LENGTH_MIN => {
                Some(format!("Record size {length} is less than the minimum record overhead ({LENGTH_MIN})"))
            }
            ValidateError::Records(faults) => Some(faults.error_message(partition)),
            _ => None,
        }
    }

    /// Whether Kafka finds it before it has a log to name the start of (`ProduceRequest.validateRecords`).
    pub fn is_of_request(&self) -> bool {
        matches!(
            self,
            ValidateError::EndlessBatch
                | ValidateError::ManyBatches { .. }
                | ValidateError::NoBatch { .. }
                | ValidateError::NotABatch(_)
                | ValidateError::OldMagic { .. }
                | ValidateError::ZstdNotAllowed { .. }
        )
    }

    /// The whole story for the broker's own log.
    pub fn message(&self, partition: &TopicPartition) -> String {
        match self {
            ValidateError::BaseOffset { base_offset } => format!(
                "The baseOffset of the record batch in the append to {partition} should be 0, but it is {base_offset}"
            ),
            ValidateError::Compression(error) => format!("{error} in topic partition {partition}"),
            ValidateError::ControlBatch => {
                format!("Clients are not allowed to write control records in topic partition {partition}")
            }
            ValidateError::Corrupt { crc } => {
                format!("Record is corrupt (stored crc = {crc}) in topic partition {partition}.")
            }
            ValidateError::EndlessBatch => format!("Batch of more than 2 GiB in topic partition {partition}"),
            ValidateError::EndlessRecordSize { index } => {
                format!("Varint is too long in record {index} of a batch in topic partition {partition}")
            }
            ValidateError::ManyBatches { produce_version } => format!(
                "Produce requests with version {produce_version} are only allowed to contain exactly one record \
                 batch per partition"
            ),
            ValidateError::NoBatch { produce_version } => format!(
                "Produce requests with version {produce_version} must have at least one record batch per partition"
            ),
            ValidateError::NotABatch(error) => format!("Record is corrupt ({error}) in topic partition {partition}."),
            ValidateError::OffsetRange { first, last } => {
                format!("Batch has an invalid offset range: [{first}, {last}] in topic partition {partition}")
            }
            ValidateError::OffsetsAndCount { first, last, count } => format!(
                "Inconsistent batch offset range [{first}, {last}] and count of records {count} in topic partition \
                 {partition}"
            ),
            ValidateError::OldMagic { produce_version } => format!(
                "Produce requests with version {produce_version} are only allowed to contain record batches with \
                 magic version 2"
            ),
            ValidateError::NotRebuildable { reason } => format!("{reason} in topic partition {partition}"),
            ValidateError::RebuiltTooLarge { size_bytes, size_bytes_max } => format!(
                "Message batch size is {size_bytes} bytes in append to partition {partition} which exceeds the \
                 maximum configured size of {size_bytes_max}."
            ),
            ValidateError::Record(error) => format!("{error} in topic partition {partition}"),
            ValidateError::RecordCount { count } => {
                format!("Invalid reported count for record batch: {count} in topic partition {partition}")
            }
            ValidateError::RecordTooLarge { size_bytes, size_bytes_max } => format!(
                "Invalid record size: {size_bytes} exceeds the configured maximum record size of {size_bytes_max}."
            ),
            ValidateError::Records(faults) => faults.error_message(partition),
            ValidateError::Sequence { base_sequence, producer_id } => format!(
                "Invalid sequence number {base_sequence} in record batch with producerId {producer_id} in topic \
                 partition {partition}"
            ),
            ValidateError::TooLarge { size_bytes, size_bytes_max } => format!(
                "The record batch size in the append to {partition} is {size_bytes} bytes which exceeds the maximum \
                 configured value of {size_bytes_max})."
            ),
            ValidateError::TooLargeForSegment { size_bytes, size_bytes_max } => format!(
                "Message batch size is {size_bytes} bytes in append to partition {partition}, which exceeds the \
                 maximum configured segment size of {size_bytes_max}."
            ),
            ValidateError::ZstdNotAllowed { produce_version } => {
                format!("Produce requests with version {produce_version} are not allowed to use ZStandard compression")
            }
        }
    }
}

impl fmt::Display for ValidateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch refused: {self:?}")
    }
}

impl std::error::Error for ValidateError {}

impl From<CompressionError> for ValidateError {
    fn from(error: CompressionError) -> ValidateError {
        ValidateError::Compression(error)
    }
}

impl From<RecordError> for ValidateError {
    fn from(error: RecordError) -> ValidateError {
        ValidateError::Record(error)
    }
}

impl From<UnknownCompression> for ValidateError {
    fn from(unknown: UnknownCompression) -> ValidateError {
        ValidateError::Compression(CompressionError::Unknown(unknown))
    }
}
