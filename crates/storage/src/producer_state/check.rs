//! May a producer append this? `ProducerAppendInfo.checkProducerEpoch`, `checkSequence`, `checkCoordinatorEpoch`,
//! and the search for duplicates of `UnifiedLog.analyzeAndValidateProducerState`.

use std::fmt;

use record::control::EndTxnMarker;
use record::{Offset, ProducerEpoch, ProducerId, Sequence, TopicPartition};

use super::{BatchMetadata, ProducerBatch, ProducerEntry, ProducerState};

/// What is to be done with a batch that is no error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Checked {
    Append,
    /// It lies in the log already, here: nothing is appended, and the answer is this.
    Duplicate(BatchMetadata),
}

/// What the verification of a transaction with its coordinator has left behind (KIP-890).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verification {
    /// The least sequence that asked for verification in this epoch: none above it may come first.
    pub lowest_sequence: Sequence,
    /// Transactions of version 2: a producer without state must begin at 0.
    pub supports_epoch_bump: bool,
}

/// `transaction.version`, as it comes with an end marker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TransactionVersion {
    /// 0 and 1: a marker carries the producer's own epoch.
    Legacy,
    /// 2: the epoch rises with every transaction, before its marker (KIP-1228).
    V2,
}

/// The error code that Kafka 4.4 answers with is named on each variant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProducerError {
    /// TRANSACTION_COORDINATOR_FENCED
    CoordinatorFenced { id: ProducerId, offset: Offset, epoch: i32, current: i32 },
    /// INVALID_PRODUCER_EPOCH
    Epoch { id: ProducerId, offset: Offset, epoch: ProducerEpoch, current: ProducerEpoch, version: i16 },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER: a new epoch begins at 0.
    NewEpochSequence {
        id: ProducerId,
        offset: Offset,
        epoch: ProducerEpoch,
        sequence: Sequence,
        current: ProducerEpoch,
    },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER
    OutOfOrder { id: ProducerId, offset: Offset, sequence: Sequence, last: Sequence },
    /// INVALID_TXN_STATE
    TransactionOpen { id: ProducerId, offset: Offset },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER
    Unverified { id: ProducerId, offset: Offset, sequence: Sequence, lowest: Sequence },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER
    WithoutState { id: ProducerId, offset: Offset, sequence: Sequence },
}

/// What Kafka writes for a version that plays no part.
const VERSION_UNKNOWN: i16 = -1;

impl ProducerState {
    /// Of a client's data. `offset` is where it would go.
    pub fn check_client(
        &self,
        batch: &ProducerBatch,
        offset: Offset,
        verification: Option<Verification>,
    ) -> Result<Checked, ProducerError> {
        let unknown = ProducerEntry::default();
        let entry = self.producer(batch.id).unwrap_or(&unknown);
        if let Some(original) = entry.duplicate_of(batch.epoch, batch.first_sequence, batch.last_sequence) {
            return Ok(Checked::Duplicate(original));
        }
        check_epoch(entry, batch, offset)?;
        check_sequence(entry, batch, offset, verification)?;
        check_transaction(entry, batch, offset)?;
        Ok(Checked::Append)
    }

    /// Of a coordinator's data on behalf of a producer: it has no sequences, but its epoch counts.
    pub fn check_coordinator(&self, batch: &ProducerBatch, offset: Offset) -> Result<(), ProducerError> {
        let unknown = ProducerEntry::default();
        let entry = self.producer(batch.id).unwrap_or(&unknown);
        check_epoch(entry, batch, offset)?;
        check_transaction(entry, batch, offset)
    }

    /// Of an end marker that would go to `offset`.
    pub fn check_marker(
        &self,
        id: ProducerId,
        epoch: ProducerEpoch,
        marker: &EndTxnMarker,
        offset: Offset,
        version: TransactionVersion,
    ) -> Result<(), ProducerError> {
        let unknown = ProducerEntry::default();
        let entry = self.producer(id).unwrap_or(&unknown);
        let current = entry.epoch;
        let stale = match version {
            TransactionVersion::Legacy => epoch < current,
            // The marker's epoch must be new, else it is late and could end a later transaction. With no transaction
            // open the same epoch is a repetition that ends nothing (KAFKA-19999).
            TransactionVersion::V2 => epoch < current || (epoch == current && entry.txn_first_offset.is_some()),
        };
        if stale {
            let version = match version {
                TransactionVersion::Legacy => 0,
                TransactionVersion::V2 => 2,
            };
            return Err(ProducerError::Epoch { id, offset, epoch, current, version });
        }
        if entry.coordinator_epoch > marker.coordinator_epoch {
            let (epoch, current) = (marker.coordinator_epoch, entry.coordinator_epoch);
            return Err(ProducerError::CoordinatorFenced { id, offset, epoch, current });
        }
        Ok(())
    }

    /// Whether the producer has an open transaction here in this very epoch: its further batches then need no
    /// verification.
    pub fn has_open_transaction(&self, id: ProducerId, epoch: ProducerEpoch) -> bool {
        self.producer(id).is_some_and(|entry| entry.txn_first_offset.is_some() && entry.epoch == epoch)
    }
}

fn check_epoch(entry: &ProducerEntry, batch: &ProducerBatch, offset: Offset) -> Result<(), ProducerError> {
    let (id, epoch, current) = (batch.id, batch.epoch, entry.epoch);
    if epoch < current {
        return Err(ProducerError::Epoch { id, offset, epoch, current, version: VERSION_UNKNOWN });
    }
    Ok(())
}

fn check_sequence(
    entry: &ProducerEntry,
    batch: &ProducerBatch,
    offset: Offset,
    verification: Option<Verification>,
) -> Result<(), ProducerError> {
    let (id, sequence) = (batch.id, batch.first_sequence);
    if let Some(verification) = verification {
        if verification.supports_epoch_bump && sequence != Sequence(0) && entry.batches().is_empty() {
            return Err(ProducerError::WithoutState { id, offset, sequence });
        }
        if sequence > verification.lowest_sequence {
            let lowest = verification.lowest_sequence;
            return Err(ProducerError::Unverified { id, offset, sequence, lowest });
        }
    }
    // Nothing is known, perhaps because retention or DeleteRecords took all that the producer ever wrote here:
    // whatever it sends is the beginning.
    if entry.epoch == ProducerEpoch::NONE {
        return Ok(());
    }
    if batch.epoch != entry.epoch {
        if sequence != Sequence(0) {
            let (epoch, current) = (batch.epoch, entry.epoch);
            return Err(ProducerError::NewEpochSequence { id, offset, epoch, sequence, current });
        }
        return Ok(());
    }
    let last = entry.last_sequence();
    if !last.precedes(sequence) {
        return Err(ProducerError::OutOfOrder { id, offset, sequence, last });
    }
    Ok(())
}

fn check_transaction(entry: &ProducerEntry, batch: &ProducerBatch, offset: Offset) -> Result<(), ProducerError> {
    if entry.txn_first_offset.is_some() && !batch.transactional {
        return Err(ProducerError::TransactionOpen { id: batch.id, offset });
    }
    Ok(())
}

impl ProducerError {
    /// As Kafka's log words it.
    pub fn message(&self, partition: &TopicPartition) -> String {
        match self {
            ProducerError::CoordinatorFenced { id, offset, epoch, current } => format!(
                "Invalid coordinator epoch for producerId {id} at offset {offset} in partition {partition}: {epoch} \
                 (zombie), {current} (current)"
            ),
            ProducerError::Epoch { id, offset, epoch, current, version } => format!(
                "Epoch of producer {id} at offset {offset} in {partition} is {epoch}, which is {} the last seen \
                 epoch {current} (TV{version})",
                if *version >= 2 { "<=" } else { "<" }
            ),
            ProducerError::NewEpochSequence { id, offset, epoch, sequence, current } => format!(
                "Invalid sequence number for new epoch of producer {id} at offset {offset} in partition {partition}: \
                 {epoch} (request epoch), {sequence} (seq. number), {current} (current producer epoch)"
            ),
            ProducerError::OutOfOrder { id, offset, sequence, last } => format!(
                "Out of order sequence number for producer {id} at offset {offset} in partition {partition}: \
                 {sequence} (incoming seq. number), {last} (current end sequence number)"
            ),
            ProducerError::TransactionOpen { id, offset } => {
                format!("Expected transactional write from producer {id} at offset {offset} in partition {partition}")
            }
            ProducerError::Unverified { id, offset, sequence, lowest } => format!(
                "Out of order sequence number for producer {id} at offset {offset} in partition {partition}: \
                 {sequence} (incoming seq. number), {lowest} (earliest seen sequence)"
            ),
            ProducerError::WithoutState { id, offset, sequence } => format!(
                "Invalid sequence number for producer {id} at offset {offset} in partition {partition}: {sequence} \
                 (incoming seq. number). Expected sequence 0 for transactions v2 idempotent producer with no \
                 existing state."
            ),
        }
    }
}

impl fmt::Display for ProducerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "producer refused: {self:?}")
    }
}

impl std::error::Error for ProducerError {}
