//! What a partition remembers of its idempotent and transactional producers: Kafka's `ProducerStateManager`,
//! `ProducerAppendInfo` and `ProducerStateEntry`. `check_*` decide and change nothing, `apply_*` change and cannot
//! fail; loading, replication and recovery are the same `apply`. Knows no file: snapshots are bytes.

mod check;
mod entry;
mod snapshot;
#[cfg(test)]
mod tests;
mod transactions;

use std::collections::BTreeMap;

pub use check::{Checked, ProducerError, TransactionVersion, Verification};
pub use entry::{BATCHES_MAX, BatchMetadata, ProducerEntry};
use record::control::EndTxnMarker;
use record::{BatchView, Offset, ProducerEpoch, ProducerId, Records, Sequence, Timestamp};
pub use snapshot::{Snapshot, SnapshotError, SnapshotInfo};
pub use transactions::CompletedTxn;
use transactions::Transactions;

/// The producer's part of a batch's header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProducerBatch {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
    pub first_sequence: Sequence,
    pub last_sequence: Sequence,
    pub transactional: bool,
}

/// The state of one partition at `end`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProducerState {
    // Ordered, so that snapshots and evictions come out the same everywhere.
    producers: BTreeMap<ProducerId, ProducerEntry>,
    transactions: Transactions,
    /// Everything below it has been applied (`lastMapOffset`).
    end: Offset,
}

/// More producers than this on one partition push out those that have been silent longest, as if their state had
/// expired: whoever has no state may begin with any sequence. Kafka has no such bound and runs out of memory.
pub const PRODUCERS_MAX: usize = 100_000;

/// How many go at once when the bound is met, so that finding them is not paid for by every new producer.
const EVICTED_AT_ONCE: usize = PRODUCERS_MAX / 10;

impl ProducerBatch {
    /// `None` for batches without a producer id.
    pub fn of(batch: &BatchView<'_>) -> Option<ProducerBatch> {
        batch.has_producer_id().then(|| ProducerBatch {
            id: batch.producer_id(),
            epoch: batch.producer_epoch(),
            first_sequence: batch.base_sequence(),
            last_sequence: batch.last_sequence(),
            transactional: batch.is_transactional(),
        })
    }
}

impl ProducerState {
    /// Empty, for a log that begins at `start`.
    pub fn new(start: Offset) -> ProducerState {
        ProducerState { end: start, ..ProducerState::default() }
    }

    pub fn end(&self) -> Offset {
        self.end
    }

    pub fn len(&self) -> usize {
        self.producers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.producers.is_empty() && self.transactions.is_empty()
    }

    /// For DescribeProducers, in order of their ids.
    pub fn producers(&self) -> impl Iterator<Item = (ProducerId, &ProducerEntry)> {
        self.producers.iter().map(|(id, entry)| (*id, entry))
    }

    pub fn producer(&self, id: ProducerId) -> Option<&ProducerEntry> {
        self.producers.get(&id)
    }

    /// Takes note of data that was appended at `first..=last`. Epochs and sequences are taken as they are: a leader
    /// has checked them, and a follower must follow.
    pub fn apply_batch(&mut self, batch: &ProducerBatch, first: Offset, last: Offset, max_timestamp: Timestamp) {
        self.make_room_for(batch.id);
        let entry = self.producers.entry(batch.id).or_default();
        entry.add(
            batch.epoch,
            BatchMetadata {
                last_sequence: batch.last_sequence,
                last_offset: last,
                offset_delta: (last - first) as i32,
                timestamp: max_timestamp,
            },
        );
        if batch.transactional && entry.txn_first_offset.is_none() {
            entry.txn_first_offset = Some(first);
            self.transactions.begin(batch.id, first);
        }
        self.end = last.next();
    }

    /// Takes note of an end marker at `offset`. Returns the transaction that it ended, unless that was empty.
    pub fn apply_marker(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        marker: &EndTxnMarker,
        offset: Offset,
        timestamp: Timestamp,
    ) -> Option<CompletedTxn> {
        self.make_room_for(id);
        let entry = self.producers.entry(id).or_default();
        let first_offset = entry.txn_first_offset.take();
        entry.move_to_epoch(epoch);
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_timestamp = timestamp;
        self.end = offset.next();
        let completed = self.transactions.end(id, first_offset?, offset, !marker.committed);
        Some(completed)
    }

    /// Takes note of a batch without a producer id that ends before `end`.
    pub fn apply_nothing(&mut self, end: Offset) {
        self.end = self.end.max(end);
    }

    /// After a log was cut at `end` and read again: producers of which nothing is left to be read, since it lies below the
    /// log start or was compacted, are as they were before, but for what was cut.
    pub fn keep_below(&mut self, end: Offset, before: &ProducerState) {
        for (id, entry) in &before.producers {
            if !self.producers.contains_key(id)
                && let Some(left) = entry.below(end)
            {
                self.producers.insert(*id, left);
            }
        }
    }

    /// Any batch of a log: `body` is decompressed where the batch was compressed, and looked at only for markers.
    /// A control batch that compaction has emptied, or whose kind is none of ours, moves nothing but the end.
    pub fn apply(&mut self, batch: &BatchView<'_>, body: &[u8]) -> Option<CompletedTxn> {
        let next = batch.next_offset();
        let Some(producer) = ProducerBatch::of(batch) else {
            self.apply_nothing(next);
            return None;
        };
        if !batch.is_control() {
            self.apply_batch(&producer, batch.base_offset(), batch.last_offset(), batch.max_timestamp());
            return None;
        }
        let record = Records::new(batch, body).ok().and_then(|mut records| records.next()).and_then(Result::ok);
        let marker = record.as_ref().and_then(|record| EndTxnMarker::parse(record).ok());
        let completed = match (record, marker) {
            (Some(record), Some(marker)) => {
                self.apply_marker(producer.id, producer.epoch, &marker, record.offset, record.timestamp)
            }
            _ => None,
        };
        self.apply_nothing(next);
        completed
    }

    /// Forgets producers without an open transaction whose last record is `expiration_ms` old or older.
    /// Returns how many.
    pub fn remove_expired(&mut self, now: Timestamp, expiration_ms: i64) -> usize {
        let before = self.producers.len();
        self.producers.retain(|_, entry| !entry.is_expired(now, expiration_ms));
        before - self.producers.len()
    }

    /// Open transactions and decided ones above the high watermark keep readers of committed data below this.
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        self.transactions.first_unstable_offset()
    }

    /// The last stable offset that goes into the transaction index beside `completed`.
    pub fn last_stable_offset_at(&self, completed: &CompletedTxn) -> Offset {
        self.transactions.first_open_offset_of_others(completed.producer_id).unwrap_or(completed.last_offset.next())
    }

    /// Decided transactions whose marker is now below `high_watermark` become stable.
    pub fn high_watermark_moved(&mut self, high_watermark: Offset) {
        self.transactions.replicated_to(high_watermark);
    }

    /// Deleted records take no producer's state with them, only what they left undecided for the high watermark.
    pub fn log_start_moved(&mut self, log_start: Offset) {
        self.transactions.replicated_to(log_start);
        self.end = self.end.max(log_start);
    }

    fn make_room_for(&mut self, id: ProducerId) {
        if self.producers.len() < PRODUCERS_MAX || self.producers.contains_key(&id) {
            return;
        }
        let mut idle: Vec<(Timestamp, ProducerId)> = self
            .producers
            .iter()
            .filter(|(_, entry)| entry.txn_first_offset.is_none())
            .map(|(id, entry)| (entry.last_timestamp, *id))
            .collect();
        idle.sort_unstable();
        for (_, id) in idle.into_iter().take(EVICTED_AT_ONCE) {
            self.producers.remove(&id);
        }
    }
}
