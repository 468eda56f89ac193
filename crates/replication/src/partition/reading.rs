//! What a leader lets be read of its partition, and up to where. Rules of `Partition.fetchRecords`.
use std::sync::Arc;

use bytes::Bytes;
use record::{BrokerId, LeaderEpoch, Offset, Timestamp};
use storage::{FileSlice, Slice, TimestampOffset};

use super::{Location, Partition, Role};
use crate::leader::EpochError;

/// Why a read, of records or of offsets, is refused.
#[derive(Debug)]
pub enum ReadError {
    FencedLeaderEpoch,
    Log(storage::ReadError),
    NotLeader,
    /// A follower that this partition does not have.
    NotReplica,
    UnknownLeaderEpoch,
}

/// Up to where a reader may see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Visibility {
    /// A consumer, `read_committed`: the last stable offset.
    Committed,
    /// A consumer, `read_uncommitted`: the high watermark.
    Uncommitted,
    /// Kafka's debugging consumer (replica id -2): the log end.
    Debugging,
    /// A follower.
    Replica(BrokerId),
}

pub struct Fetch {
    pub from: Offset,
    pub bytes_max: usize,
    /// The first batch is given whatever its size.
    pub minimum_one: bool,
    pub visibility: Visibility,
    pub leader_epoch: Option<LeaderEpoch>,
    /// The epoch of the last record that the reader has (KIP-595).
    pub last_fetched_epoch: Option<LeaderEpoch>,
}

#[derive(Default)]
pub struct Fetched {
    pub slices: Vec<Slice>,
    pub size_bytes: usize,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start: Offset,
    /// Aborted transactions are to be named: none, as there are no transactions yet.
    pub is_read_committed: bool,
    /// The reader's last epoch ends earlier here: it must truncate.
    pub diverging: Option<(LeaderEpoch, Offset)>,
}

/// A leader's ends at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub log_start: Offset,
    pub log_end: Offset,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub epoch: LeaderEpoch,
}

impl Partition {
    pub async fn read(&self, fetch: &Fetch) -> Result<Fetched, ReadError> {
        loop {
            let location = self.location();
            match self.read_at(&location, fetch).await {
                // It has moved to another directory under the reader.
                Err(ReadError::Log(storage::ReadError::Deleted)) if !Arc::ptr_eq(&location, &self.location.load()) => {}
                read => return read,
            }
        }
    }

    async fn read_at(&self, location: &Location, fetch: &Fetch) -> Result<Fetched, ReadError> {
        let ends = self.ends(fetch.leader_epoch)?;
        let mut fetched = Fetched {
            high_watermark: ends.high_watermark,
            last_stable_offset: ends.last_stable_offset,
            log_start: ends.log_start,
            is_read_committed: fetch.visibility == Visibility::Committed,
            ..Fetched::default()
        };
        if let Some(epoch) = fetch.last_fetched_epoch {
            let (ours, end) = self.location.load().log.end_offset_for_epoch(epoch).ok_or(out_of_range(&ends))?;
            if ours < epoch || end < fetch.from {
                fetched.diverging = Some((ours, end));
                return Ok(fetched);
            }
        }
        let up_to = self.visible_end(&ends, fetch.visibility)?;
        if fetch.from < ends.log_start || fetch.from > ends.log_end {
            return Err(out_of_range(&ends));
        }
        let has_room = fetch.minimum_one || fetch.bytes_max > 0;
        // Between what is visible and the end: nothing yet, and no error.
        if fetch.from < up_to && has_room {
            let read = match location.log.read(fetch.from, fetch.bytes_max, up_to, fetch.minimum_one) {
                Err(storage::ReadError::Cold) => {
                    let Fetch { from, bytes_max, minimum_one, .. } = *fetch;
                    ticket(location.directory.read_cold(&location.log, from, bytes_max, up_to, minimum_one)).await?
                }
                read => read.map_err(ReadError::Log)?,
            };
            fetched.size_bytes = read.size_bytes;
            fetched.slices = read.slices;
        }
        Ok(fetched)
    }

    /// The ends, if this node leads and the client believes in the same epoch.
    pub fn ends(&self, leader_epoch: Option<LeaderEpoch>) -> Result<Ends, ReadError> {
        if self.is_offline() {
            return Err(ReadError::Log(storage::ReadError::Offline));
        }
        let role = self.role.lock();
        let Role::Leader(leader) = &*role else { return Err(ReadError::NotLeader) };
        leader.check_epoch(leader_epoch).map_err(ReadError::from)?;
        let log = &self.location.load().log;
        let ends = log.ends();
        let high_watermark = leader.high_watermark();
        Ok(Ends {
            log_start: ends.log_start,
            log_end: ends.log_end,
            high_watermark: high_watermark.max(ends.log_start),
            last_stable_offset: log.first_unstable_offset().map_or(high_watermark, |first| first.min(high_watermark)),
            epoch: leader.epoch(),
        })
    }

    /// The end of what a reader may see.
    pub fn visible_end(&self, ends: &Ends, visibility: Visibility) -> Result<Offset, ReadError> {
        match visibility {
            Visibility::Committed => Ok(ends.last_stable_offset),
            Visibility::Uncommitted => Ok(ends.high_watermark),
            Visibility::Debugging => Ok(ends.log_end),
            Visibility::Replica(_) => Err(ReadError::NotReplica),
        }
    }

    /// The first record at or after a time, among those that the reader may see.
    pub async fn offset_for_timestamp(
        &self,
        timestamp: Timestamp,
        up_to: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let found = self.log().offset_for_timestamp(timestamp, up_to);
        ticket(found).await
    }

    pub async fn offset_of_max_timestamp(&self, up_to: Offset) -> Result<Option<TimestampOffset>, ReadError> {
        let found = self.log().offset_of_max_timestamp(up_to);
        ticket(found).await
    }

    /// OffsetForLeaderEpoch: the greatest epoch up to `epoch` that this log knows, and where it ends.
    pub fn end_offset_for_epoch(
        &self,
        current: Option<LeaderEpoch>,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ReadError> {
        self.ends(current)?;
        Ok(self.location.load().log.end_offset_for_epoch(epoch))
    }

    /// Reads a range of a segment that is not in the page cache, and checks its batches, on a thread of its own.
    pub async fn read_cold(&self, slice: FileSlice) -> Result<Bytes, storage::ReadError> {
        let read = self.location.load().directory.read_slice_cold(slice);
        read.await.unwrap_or(Err(storage::ReadError::Offline))
    }
}

fn out_of_range(ends: &Ends) -> ReadError {
    ReadError::Log(storage::ReadError::OutOfRange { log_start: ends.log_start, log_end: ends.log_end })
}

/// A ticket whose other end is gone belongs to a directory that went offline.
async fn ticket<T>(ticket: storage::Ticket<Result<T, storage::ReadError>>) -> Result<T, ReadError> {
    ticket.await.unwrap_or(Err(storage::ReadError::Offline)).map_err(ReadError::Log)
}

impl From<EpochError> for ReadError {
    fn from(error: EpochError) -> Self {
        match error {
            EpochError::Fenced => Self::FencedLeaderEpoch,
            EpochError::Unknown => Self::UnknownLeaderEpoch,
        }
    }
}
