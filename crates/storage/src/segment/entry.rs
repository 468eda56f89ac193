//! One entry of Kafka's offset index and one of its time index, and which batches get one.
//! Both hold offsets as 31-bit distances from the segment's base; keys rise strictly in each.

use record::{Offset, Timestamp};

use super::place::{BatchPlace, Written};

/// What both indexes have in common.
pub(super) trait Entry: Copy {
    const BYTES: usize;

    fn put(&self, base: Offset, out: &mut Vec<u8>);
    /// Of exactly `BYTES` bytes.
    fn take(base: Offset, bytes: &[u8]) -> Self;
    fn follows(&self, before: &Self) -> bool;
    /// Whether it speaks of a batch at or above `base` and below `limit`.
    fn is_within(&self, base: Offset, limit: &Written) -> bool;
}

/// The batch that begins at `position` ends with `offset`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct OffsetEntry {
    pub offset: Offset,
    pub position: u32,
}

/// No record up to `offset` has a greater timestamp; the batch that ends with it is the first that has this one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TimeEntry {
    pub timestamp: Timestamp,
    pub offset: Offset,
}

/// Decides which batches get entries, as `LogSegment.append` does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Indexer {
    pub interval_bytes: u32,
    bytes_since_entry: u32,
    max_timestamp: Timestamp,
    max_timestamp_offset: Offset,
    last_time_entry: Timestamp,
}

impl Entry for OffsetEntry {
    const BYTES: usize = 8;

    fn put(&self, base: Offset, out: &mut Vec<u8>) {
        out.extend_from_slice(&relative(base, self.offset).to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn take(base: Offset, bytes: &[u8]) -> OffsetEntry {
        let (offset, position) = bytes.split_at(4);
        OffsetEntry {
            offset: absolute(base, offset),
            position: u32::from_be_bytes(position.try_into().expect("four bytes")),
        }
    }

    fn follows(&self, before: &OffsetEntry) -> bool {
        self.offset > before.offset && self.position > before.position
    }

    fn is_within(&self, base: Offset, limit: &Written) -> bool {
        (base..limit.offset).contains(&self.offset) && self.position < limit.position
    }
}

impl Entry for TimeEntry {
    const BYTES: usize = 12;

    fn put(&self, base: Offset, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        out.extend_from_slice(&relative(base, self.offset).to_be_bytes());
    }

    fn take(base: Offset, bytes: &[u8]) -> TimeEntry {
        let (timestamp, offset) = bytes.split_at(8);
        TimeEntry {
            timestamp: Timestamp(i64::from_be_bytes(timestamp.try_into().expect("eight bytes"))),
            offset: absolute(base, offset),
        }
    }

    fn follows(&self, before: &TimeEntry) -> bool {
        self.timestamp > before.timestamp && self.offset > before.offset
    }

    fn is_within(&self, base: Offset, limit: &Written) -> bool {
        (base..limit.offset).contains(&self.offset) && !self.timestamp.is_none()
    }
}

/// An index file's content, whatever it is: offsets and positions.
pub(crate) fn entries_of_offsets(base: Offset, bytes: &[u8]) -> Vec<(Offset, u32)> {
    let entries = bytes.chunks_exact(OffsetEntry::BYTES).map(|bytes| OffsetEntry::take(base, bytes));
    entries.map(|entry| (entry.offset, entry.position)).collect()
}

/// The same of an index of time: timestamps and offsets.
pub(crate) fn entries_of_times(base: Offset, bytes: &[u8]) -> Vec<(Timestamp, Offset)> {
    let entries = bytes.chunks_exact(TimeEntry::BYTES).map(|bytes| TimeEntry::take(base, bytes));
    entries.map(|entry| (entry.timestamp, entry.offset)).collect()
}

/// Rolling has seen to it that the distance has 31 bits.
fn relative(base: Offset, offset: Offset) -> i32 {
    i32::try_from(offset - base).expect("a segment's offsets are less than 2^31 apart")
}

fn absolute(base: Offset, bytes: &[u8]) -> Offset {
    base + i64::from(i32::from_be_bytes(bytes.try_into().expect("four bytes")))
}

impl Indexer {
    /// For what follows on batches of which these are the greatest timestamp and its offset.
    pub fn new(interval_bytes: u32, max_timestamp: Timestamp, max_timestamp_offset: Offset) -> Indexer {
        Indexer {
            interval_bytes,
            bytes_since_entry: 0,
            max_timestamp,
            max_timestamp_offset,
            last_time_entry: Timestamp::NONE,
        }
    }

    /// Takes note of the next batch.
    pub fn add(&mut self, place: &BatchPlace) -> (Option<OffsetEntry>, Option<TimeEntry>) {
        if place.max_timestamp > self.max_timestamp {
            (self.max_timestamp, self.max_timestamp_offset) = (place.max_timestamp, place.last_offset);
        }
        let due = self.bytes_since_entry > self.interval_bytes;
        if due {
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry = self.bytes_since_entry.saturating_add(place.size_bytes);
        if !due {
            return (None, None);
        }
        (Some(OffsetEntry { offset: place.last_offset, position: place.position }), self.time_entry())
    }

    /// The entry of all batches so far, if it says more than the last one did.
    pub fn time_entry(&mut self) -> Option<TimeEntry> {
        if self.max_timestamp <= self.last_time_entry {
            return None;
        }
        self.last_time_entry = self.max_timestamp;
        Some(TimeEntry { timestamp: self.max_timestamp, offset: self.max_timestamp_offset })
    }
}
