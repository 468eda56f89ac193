//! Offsets by timestamp (ListOffsets). Segments are asked first, by their indexes, then the tail in memory; all of it on
//! the reader's thread, since indexes may be cold.
use std::sync::Arc;

use record::{BatchView, Decompressor, Offset, Timestamp};

use super::{Log, ReadError};
use crate::segment::{Segment, TimestampOffset, Written};
use crate::shared::Ticket;
use crate::tail::TailBatch;

/// A segment, and how far its file reaches.
type InFile = (Arc<Segment>, Written);

impl Log {
    /// The first record with this timestamp or a later one; none at or above `up_to`.
    pub fn offset_for_timestamp(
        self: &Arc<Self>,
        timestamp: Timestamp,
        up_to: Offset,
    ) -> Ticket<Result<Option<TimestampOffset>, ReadError>> {
        let log = self.clone();
        self.shared.read_later(|_| 0, move || log.in_files(|| log.find_timestamp(timestamp, up_to)))
    }

    /// The first of the records with the greatest timestamp; none at or above `up_to`. Those below the log's start count as
    /// long as their segment is there: Kafka's `UnifiedLog` looks at whole segments.
    pub fn offset_of_max_timestamp(
        self: &Arc<Self>,
        up_to: Offset,
    ) -> Ticket<Result<Option<TimestampOffset>, ReadError>> {
        let log = self.clone();
        self.shared.read_later(|_| 0, move || log.in_files(|| log.find_max_timestamp(up_to)))
    }

    /// Once more if compaction has taken a file away meanwhile.
    fn in_files<T>(&self, find: impl Fn() -> Result<T, ReadError>) -> Result<T, ReadError> {
        loop {
            let before = self.state().replacements;
            match find() {
                Err(_) if self.state().replacements != before => {}
                found => return found,
            }
        }
    }

    fn find_timestamp(&self, timestamp: Timestamp, up_to: Offset) -> Result<Option<TimestampOffset>, ReadError> {
        let (segments, tail, log_start) = self.view();
        let mut decompressor = Decompressor::default();
        for (segment, written) in &segments {
            if written.offset <= log_start || segment.summary().max_timestamp < timestamp {
                continue;
            }
            let found = self.in_sound_file(segment, || {
                segment.offset_for_timestamp(timestamp, log_start, *written, &mut decompressor)
            })?;
            if let Some(found) = found {
                return Ok(Some(found).filter(|found| found.offset < up_to));
            }
        }
        for batch in tail.iter().filter(|batch| batch.next > log_start) {
            let view = BatchView::parse(&batch.bytes).expect("a tail holds whole batches");
            if view.max_timestamp() >= timestamp {
                let found = first_in_batch(&view, timestamp, log_start, &mut decompressor)?;
                if found.is_some() {
                    return Ok(found.filter(|found| found.offset < up_to));
                }
            }
        }
        Ok(None)
    }

    fn find_max_timestamp(&self, up_to: Offset) -> Result<Option<TimestampOffset>, ReadError> {
        let (segments, tail, _) = self.view();
        let mut decompressor = Decompressor::default();
        let mut best: Option<TimestampOffset> = None;
        for (segment, written) in &segments {
            // The summary also counts what is still in the tail; so it is no less than what the file holds.
            if best.is_some_and(|best| segment.summary().max_timestamp <= best.timestamp) {
                continue;
            }
            let found = self.in_sound_file(segment, || segment.offset_of_max_timestamp(*written, &mut decompressor))?;
            if let Some(found) = found
                && best.is_none_or(|best| found.timestamp > best.timestamp)
            {
                best = Some(found);
            }
        }
        for batch in &tail {
            let view = BatchView::parse(&batch.bytes).expect("a tail holds whole batches");
            if best.is_none_or(|best| view.max_timestamp() > best.timestamp)
                && let Some(found) = first_in_batch(&view, view.max_timestamp(), Offset(0), &mut decompressor)?
            {
                best = Some(found);
            }
        }
        Ok(best.filter(|best| best.offset < up_to))
    }

    /// Segments with how far their files reach, and what only memory has. Of the newest ones there may be no file yet.
    fn view(&self) -> (Vec<InFile>, Vec<TailBatch>, Offset) {
        let state = self.state();
        let segments = state.segments.iter().map(|segment| (segment.clone(), state.written_of(segment)));
        let in_files = segments.filter(|(_, written)| written.position > 0).collect();
        (in_files, state.tail.batches().cloned().collect(), state.log_start)
    }
}

/// Of a batch in memory that may have a record with this timestamp or a later one.
fn first_in_batch(
    batch: &BatchView<'_>,
    timestamp: Timestamp,
    from: Offset,
    decompressor: &mut Decompressor,
) -> Result<Option<TimestampOffset>, ReadError> {
    TimestampOffset::find(batch, timestamp, from, decompressor)
        .map_err(|fault| ReadError::Io(format!("offset {}: {fault}", batch.base_offset())))
}
