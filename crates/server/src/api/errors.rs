//! What went wrong below, as Kafka's codes: one exhaustive match per error.
use protocol::ErrorCode;
use replication::partition::{AppendError, ReadError};
use storage::producer_state::ProducerError;
use storage::validate::ValidateError;

pub fn of_append(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Invalid(error) => of_validation(error),
        AppendError::Log(error) => of_log_append(error),
        AppendError::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
        AppendError::NotLeader => ErrorCode::NotLeaderOrFollower,
        AppendError::OutOfSpace => ErrorCode::KafkaStorageError,
    }
}

/// Whether a Produce counts as failed: not for what a client meets in the course of things
/// (`ReplicaManager.appendRecordsToLeader`).
pub fn is_failed_produce(error: ErrorCode) -> bool {
    error != ErrorCode::CorruptMessage && is_failed_fetch(error)
}

/// The same of a Fetch (`ReplicaManager.readFromLog`).
pub fn is_failed_fetch(error: ErrorCode) -> bool {
    !matches!(
        error,
        ErrorCode::FencedLeaderEpoch
            | ErrorCode::KafkaStorageError
            | ErrorCode::MessageTooLarge
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::OffsetOutOfRange
            | ErrorCode::RecordListTooLarge
            | ErrorCode::UnknownLeaderEpoch
    )
}

pub fn of_validation(error: &ValidateError) -> ErrorCode {
    match error {
        ValidateError::Corrupt { .. } | ValidateError::NotABatch(_) => ErrorCode::CorruptMessage,
        ValidateError::Compression(record::CompressionError::TooLarge { .. }) => ErrorCode::InvalidRecord,
        ValidateError::Compression(_)
        | ValidateError::EndlessBatch
        | ValidateError::EndlessRecordSize { .. }
        | ValidateError::NotRebuildable { .. } => ErrorCode::UnknownServerError,
        ValidateError::RebuiltTooLarge { .. } | ValidateError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        ValidateError::Records(faults) if faults.any_timestamp() => ErrorCode::InvalidTimestamp,
        ValidateError::TooLargeForSegment { .. } => ErrorCode::RecordListTooLarge,
        ValidateError::ZstdNotAllowed { .. } => ErrorCode::UnsupportedCompressionType,
        ValidateError::BaseOffset { .. }
        | ValidateError::ControlBatch
        | ValidateError::ManyBatches { .. }
        | ValidateError::NoBatch { .. }
        | ValidateError::OffsetRange { .. }
        | ValidateError::OffsetsAndCount { .. }
        | ValidateError::OldMagic { .. }
        | ValidateError::Record(_)
        | ValidateError::RecordCount { .. }
        | ValidateError::RecordTooLarge { .. }
        | ValidateError::Records(_)
        | ValidateError::Sequence { .. } => ErrorCode::InvalidRecord,
    }
}

pub fn of_read(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
        ReadError::Log(error) => of_log_read(error),
        ReadError::NotLeader | ReadError::NotReplica => ErrorCode::NotLeaderOrFollower,
        ReadError::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
    }
}

fn of_log_append(error: &storage::AppendError) -> ErrorCode {
    match error {
        storage::AppendError::Deleted | storage::AppendError::Paused => ErrorCode::NotLeaderOrFollower,
        storage::AppendError::Offline | storage::AppendError::Suspect { .. } => ErrorCode::KafkaStorageError,
        storage::AppendError::Producer(error) => of_producer(error),
        storage::AppendError::NotNext { .. }
        | storage::AppendError::NotWhole { .. }
        | storage::AppendError::OldEpoch { .. }
        | storage::AppendError::Overflow => ErrorCode::UnknownServerError,
    }
}

pub fn of_log_read(error: &storage::ReadError) -> ErrorCode {
    match error {
        storage::ReadError::Deleted => ErrorCode::NotLeaderOrFollower,
        storage::ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        // Kafka's CorruptRecordException. Consumers tell the application, which may seek behind it; KAFKA_STORAGE_ERROR they
        // would repeat for ever.
        storage::ReadError::Corrupt { .. } | storage::ReadError::Faulty { .. } => ErrorCode::CorruptMessage,
        storage::ReadError::Cold | storage::ReadError::Io(_) | storage::ReadError::Offline => {
            ErrorCode::KafkaStorageError
        }
    }
}

pub fn of_log_start(error: &storage::LogStartError) -> ErrorCode {
    match error {
        storage::LogStartError::Deleted => ErrorCode::NotLeaderOrFollower,
        storage::LogStartError::Offline => ErrorCode::KafkaStorageError,
        storage::LogStartError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
    }
}

fn of_producer(error: &ProducerError) -> ErrorCode {
    match error {
        ProducerError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        ProducerError::Epoch { .. } => ErrorCode::InvalidProducerEpoch,
        ProducerError::TransactionOpen { .. } => ErrorCode::InvalidTxnState,
        ProducerError::NewEpochSequence { .. }
        | ProducerError::OutOfOrder { .. }
        | ProducerError::Unverified { .. }
        | ProducerError::WithoutState { .. } => ErrorCode::OutOfOrderSequenceNumber,
    }
}
