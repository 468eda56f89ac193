//! One batch as compaction leaves it: `Cleaner.shouldRetainRecord` and `MemoryRecords.filterTo`.

use std::fmt;

use record::{
    BatchBuilder, BatchMut, BatchView, Compression, Offset, Record, RecordError, Records, Timestamp, TimestampType,
};

use super::LastBatches;
use super::keys::{KeyMap, supersedes};

/// What has become of a batch. All but `Dropped` keep its last offset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rewritten {
    /// Nothing of it is left.
    Dropped,
    /// Its header only: its producer's sequence, or the end of the segment, must stay known.
    Emptied,
    /// As it was.
    Kept,
    /// Without some of its records, or with the time from which its tombstones may go.
    Changed,
}

/// The batch cannot be read; it was validated once, so this is damage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RewriteError {
    pub error: RecordError,
}

/// By what records and batches survive.
pub struct Survival<'a> {
    pub keys: &'a KeyMap,
    pub last_batches: &'a LastBatches,
    /// Where the run ends: its last batch stays, if only as a header.
    pub end: Offset,
    pub delete_retention_ms: i64,
    pub now: Timestamp,
}

/// Appends to `out` what is left of `batch`, whose decompressed records are `body`.
pub fn rewrite(
    batch: &BatchView<'_>,
    body: &[u8],
    survival: &Survival<'_>,
    out: &mut Vec<u8>,
) -> Result<Rewritten, RewriteError> {
    if !supersedes(batch) {
        out.extend_from_slice(batch.bytes());
        return Ok(Rewritten::Kept);
    }
    let mut kept = 0;
    let mut has_tombstone = false;
    for record in records(batch, body)? {
        let record = record.map_err(|error| RewriteError { error })?;
        if survival.keeps(batch, &record) {
            kept += 1;
            has_tombstone |= record.value.is_none();
        }
    }
    if kept == 0 {
        if !survival.keeps_empty(batch) {
            return Ok(Rewritten::Dropped);
        }
        put_empty(batch, out);
        return Ok(Rewritten::Emptied);
    }
    // From the first cleaning that meets a tombstone on, its time runs.
    let horizon = match (batch.delete_horizon(), has_tombstone) {
        (None, true) => Some(Timestamp(survival.now.0.saturating_add(survival.delete_retention_ms))),
        (horizon, _) => horizon,
    };
    if kept == batch.record_count() && horizon == batch.delete_horizon() {
        out.extend_from_slice(batch.bytes());
        return Ok(Rewritten::Kept);
    }
    let mut builder = builder(batch, batch.compression().unwrap_or_default());
    builder.delete_horizon = horizon;
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        builder.log_append_time = Some(batch.max_timestamp());
    }
    for record in records(batch, body)? {
        let record = record.map_err(|error| RewriteError { error })?;
        if survival.keeps(batch, &record) {
            builder.skip_to(record.offset_delta);
            builder.append_record(&record);
        }
    }
    builder.skip_to(batch.last_offset_delta() + 1);
    builder.build_into(out);
    Ok(Rewritten::Changed)
}

impl Survival<'_> {
    /// A record without a key is the last of nothing.
    fn keeps(&self, batch: &BatchView<'_>, record: &Record<'_>) -> bool {
        if record.offset >= self.keys.end() {
            return true;
        }
        let Some(key) = record.key else { return false };
        let is_young = batch.delete_horizon().is_none_or(|horizon| self.now < horizon);
        self.keys.is_newest(key, record.offset) && (record.value.is_some() || is_young)
    }

    fn keeps_empty(&self, batch: &BatchView<'_>) -> bool {
        let last = self.last_batches.get(&batch.producer_id()).filter(|_| batch.has_producer_id());
        let is_last = last.is_some_and(|(offset, _)| *offset == Some(batch.last_offset()));
        is_last || batch.next_offset() == self.end
    }
}

fn records<'a>(batch: &BatchView<'_>, body: &'a [u8]) -> Result<Records<'a>, RewriteError> {
    Records::new(batch, body).map_err(|error| RewriteError { error })
}

/// Everything but the records: offsets in between stay where they were.
fn builder(batch: &BatchView<'_>, compression: Compression) -> BatchBuilder {
    let mut builder = BatchBuilder::new(compression).with_producer(
        batch.producer_id(),
        batch.producer_epoch(),
        batch.base_sequence(),
        batch.is_transactional(),
    );
    builder.base_offset = batch.base_offset();
    builder.partition_leader_epoch = batch.partition_leader_epoch();
    builder
}

/// As `DefaultRecordBatch.writeEmptyHeader` writes it: no records, no codec, the greatest timestamp it had.
fn put_empty(batch: &BatchView<'_>, out: &mut Vec<u8>) {
    let mut builder = builder(batch, Compression::None);
    builder.skip_to(batch.last_offset_delta() + 1);
    let start = out.len();
    builder.build_into(out);
    BatchMut::parse(&mut out[start..])
        .expect("a batch that was just built")
        .set_max_timestamp(batch.timestamp_type(), batch.max_timestamp());
}

impl fmt::Display for RewriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a batch cannot be compacted: {}", self.error)
    }
}

impl std::error::Error for RewriteError {}
