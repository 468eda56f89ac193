//! A machine's records as batches of its partition of `__consumer_offsets`.
use std::sync::Arc;

use bytes::Bytes;
use coordinator::group::GroupRecord;
use machine::{AppendError, Log};
use record::{BatchBuilder, Compression, Decompressor, LeaderEpoch, Offset, Timestamp};
use replication::Partition;
use replication::partition::{Acks, AppendError as PartitionError};
use storage::validate::{Origin, ValidateError};

pub(super) struct OffsetsLog {
    partition: Arc<Partition>,
    epoch: LeaderEpoch,
    now: Timestamp,
}

impl OffsetsLog {
    pub fn new(partition: Arc<Partition>, epoch: LeaderEpoch, wall_ms: i64) -> Self {
        Self { partition, epoch, now: Timestamp(wall_ms) }
    }

    fn append_batch(&self, records: &[GroupRecord]) -> Result<Offset, AppendError> {
        // Who leads in a later epoch has a machine of that epoch, and it may have written already.
        if self.partition.leader_epoch() != self.epoch {
            return Err(AppendError::NotLeader);
        }
        let mut batch = BatchBuilder::new(Compression::None);
        for record in records {
            batch.append(self.now, Some(&record.key()), record.value().as_deref());
        }
        let bytes = Bytes::from(batch.build());
        let appended =
            self.partition.append(&bytes, Origin::Coordinator, Acks::All, self.now, &mut Decompressor::default());
        match appended {
            Ok(appended) => Ok(appended.end),
            Err(PartitionError::Invalid(ValidateError::TooLarge { .. } | ValidateError::TooLargeForSegment { .. })) => {
                Err(AppendError::TooLarge)
            }
            Err(PartitionError::NotEnoughReplicas { .. }) => Err(AppendError::NotEnoughReplicas),
            Err(PartitionError::NotLeader) => Err(AppendError::NotLeader),
            // Its durability is being switched: over in a moment, and the client asks again.
            Err(PartitionError::Log(storage::AppendError::Paused)) => Err(AppendError::NotEnoughReplicas),
            Err(error @ (PartitionError::Invalid(_) | PartitionError::Log(_) | PartitionError::OutOfSpace)) => {
                tracing::error!(partition = %self.partition.name(), ?error, "a group's records could not be written");
                Err(AppendError::Storage)
            }
        }
    }
}

impl Log<GroupRecord> for OffsetsLog {
    fn append(&mut self, records: &[GroupRecord], atomic: bool) -> Result<Offset, AppendError> {
        match self.append_batch(records) {
            Err(AppendError::TooLarge) if !atomic && records.len() > 1 => {
                let (first, second) = records.split_at(records.len() / 2);
                self.append(first, atomic)?;
                // The first half is in the log: whoever believes that nothing was written must read it anew.
                self.append(second, atomic).map_err(|_| AppendError::Storage)
            }
            appended => appended,
        }
    }
}
