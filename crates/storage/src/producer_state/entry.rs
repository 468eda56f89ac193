//! One producer on one partition: its epoch and its five newest batches.

use record::{Offset, ProducerEpoch, Sequence, Timestamp};

/// As many as a client may have in flight, so that a repeated one is always still known
/// (`ProducerStateEntry.NUM_BATCHES_TO_RETAIN`).
pub const BATCHES_MAX: usize = 5;

/// Where a batch went; the answer to its repetition.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BatchMetadata {
    pub last_sequence: Sequence,
    pub last_offset: Offset,
    pub offset_delta: i32,
    pub timestamp: Timestamp,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProducerEntry {
    /// NONE as long as only the id is known.
    pub epoch: ProducerEpoch,
    /// Of the last end marker; -1 before the first.
    pub coordinator_epoch: i32,
    /// The record timestamp of the last batch: expiry goes by it.
    pub last_timestamp: Timestamp,
    /// Where its open transaction began on this partition.
    pub txn_first_offset: Option<Offset>,
    // The newest last; the first `count` count.
    batches: [BatchMetadata; BATCHES_MAX],
    count: u8,
}

impl Default for ProducerEntry {
    fn default() -> ProducerEntry {
        ProducerEntry {
            epoch: ProducerEpoch::NONE,
            coordinator_epoch: -1,
            last_timestamp: Timestamp::NONE,
            txn_first_offset: None,
            batches: [BatchMetadata::default(); BATCHES_MAX],
            count: 0,
        }
    }
}

impl BatchMetadata {
    pub fn first_offset(&self) -> Offset {
        self.last_offset - i64::from(self.offset_delta)
    }

    pub fn first_sequence(&self) -> Sequence {
        self.last_sequence.retreat(self.offset_delta)
    }
}

impl ProducerEntry {
    pub(super) fn in_epoch(epoch: ProducerEpoch) -> ProducerEntry {
        ProducerEntry { epoch, ..ProducerEntry::default() }
    }

    /// The batches that are still known, the oldest first.
    pub fn batches(&self) -> &[BatchMetadata] {
        &self.batches[..usize::from(self.count)]
    }

    /// NONE if no batch of the present epoch is known.
    pub fn last_sequence(&self) -> Sequence {
        self.batches().last().map_or(Sequence::NONE, |batch| batch.last_sequence)
    }

    /// As it was at `end`; `None` if nothing of that is known any more.
    pub(super) fn below(&self, end: Offset) -> Option<ProducerEntry> {
        let mut left =
            ProducerEntry { coordinator_epoch: self.coordinator_epoch, ..ProducerEntry::in_epoch(self.epoch) };
        self.batches().iter().filter(|batch| batch.last_offset < end).for_each(|batch| left.add(self.epoch, *batch));
        (left.count > 0).then_some(left)
    }

    pub fn is_expired(&self, now: Timestamp, expiration_ms: i64) -> bool {
        self.txn_first_offset.is_none() && now.since(self.last_timestamp) >= expiration_ms
    }

    /// The kept batch of this epoch with exactly these sequences.
    pub(super) fn duplicate_of(&self, epoch: ProducerEpoch, first: Sequence, last: Sequence) -> Option<BatchMetadata> {
        if epoch != self.epoch {
            return None;
        }
        self.batches().iter().find(|batch| batch.first_sequence() == first && batch.last_sequence == last).copied()
    }

    pub(super) fn add(&mut self, epoch: ProducerEpoch, batch: BatchMetadata) {
        self.move_to_epoch(epoch);
        if usize::from(self.count) == BATCHES_MAX {
            self.batches.rotate_left(1);
            self.count -= 1;
        }
        self.batches[usize::from(self.count)] = batch;
        self.count += 1;
        self.last_timestamp = batch.timestamp;
    }

    /// Sequences begin anew with an epoch, so the batches of the old one say nothing any more.
    pub(super) fn move_to_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.count = 0;
        }
    }
}
