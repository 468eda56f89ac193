//! From timestamps to offsets, for ListOffsets: `LogSegment.findOffsetByTimestamp` and what answers -3.
//! Reads and decompresses single batches; always waits for the disk.

use env::File;
use record::{
    BatchView, BodyReader, Decompressor, LeaderEpoch, Offset, OutlineWalk, Outlined, RecordOutline, Timestamp,
};

use super::entry::TimeEntry;
use super::error::Fault;
use super::index::Place;
use super::read::Search;
use super::walk::{REBUILD_STEP_BYTES, Step};
use super::{Access, BatchPlace, FileKind, Segment, SegmentError, Written};

/// A record that was looked for by its time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimestampOffset {
    pub timestamp: Timestamp,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
}

impl TimestampOffset {
    /// The first record of a batch that is at or above `from` and not older than `target`. Whatever the body grows to,
    /// a piece of it is held.
    pub fn find(
        batch: &BatchView<'_>,
        target: Timestamp,
        from: Offset,
        decompressor: &mut Decompressor,
    ) -> Result<Option<TimestampOffset>, Fault> {
        if batch.max_timestamp() < target || batch.last_offset() < from {
            return Ok(None);
        }
        let mut body = BodyReader::new(decompressor, batch, usize::MAX, false)?;
        let mut records = OutlineWalk::new(batch, usize::MAX)?;
        loop {
            let window = body.window();
            let mut rest = window;
            let outlined = records.next(&mut rest, body.is_all_there())?;
            let taken_bytes = window.len() - rest.len();
            body.take(taken_bytes);
            match outlined {
                Outlined::Record(RecordOutline { offset, timestamp, .. }) if timestamp >= target && offset >= from => {
                    return Ok(Some(TimestampOffset {
                        timestamp,
                        offset,
                        leader_epoch: batch.partition_leader_epoch(),
                    }));
                }
                Outlined::Record(_) => {}
                Outlined::NeedsMore => {
                    body.more()?;
                }
                Outlined::End => return Ok(None),
            }
        }
    }
}

impl Segment {
    /// The first record in the file that is at or above `from` and not older than `target`.
    pub fn offset_for_timestamp(
        &self,
        target: Timestamp,
        from: Offset,
        written: Written,
        decompressor: &mut Decompressor,
    ) -> Result<Option<TimestampOffset>, SegmentError> {
        if self.summary().max_timestamp < target || from >= written.offset {
            return Ok(None);
        }
        let file = self.file()?;
        let start = match self.start_of_search(&*file, target, from, written)? {
            Some(start) => start,
            None => {
                self.doubt(written)?;
                // An index that is false again right after it was made can only cost time: from the beginning, then.
                self.start_of_search(&*file, target, from, written)?.unwrap_or(0)
            }
        };
        let mut walk = self.walk(&*file, Access::Blocking, start, written.position, REBUILD_STEP_BYTES);
        loop {
            let position = walk.position();
            match walk.next() {
                Step::Batch(place) if place.max_timestamp >= target && place.last_offset >= from => {
                    let found = self
                        .with_batch(&*file, &place, |batch| TimestampOffset::find(batch, target, from, decompressor))?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Step::Batch(_) => {}
                Step::End | Step::Cold => return Ok(None),
                Step::Fault(fault) => return Err(self.error_at(position, fault)),
            }
        }
    }

    /// The first record of those with the greatest timestamp. `None` if no record has one, or if the greatest is not in
    /// the file yet (`Summary::max_timestamp_offset` tells).
    pub fn offset_of_max_timestamp(
        &self,
        written: Written,
        decompressor: &mut Decompressor,
    ) -> Result<Option<TimestampOffset>, SegmentError> {
        let summary = self.summary();
        if summary.max_timestamp.is_none() || summary.max_timestamp_offset >= written.offset {
            return Ok(None);
        }
        // Its offset is that of the batch's end, and all of the batch may be looked at.
        let file = self.file()?;
        let place = match self.first_reaching(&*file, summary.max_timestamp_offset, written, Access::Blocking)? {
            Search::Done(place) => place,
            Search::Cold => None,
            Search::Doubt => {
                self.doubt(written)?;
                match self.first_reaching(&*file, summary.max_timestamp_offset, written, Access::Blocking)? {
                    Search::Done(place) => place,
                    Search::Cold | Search::Doubt => None,
                }
            }
        };
        let Some(place) = place else { return Ok(None) };
        self.with_batch(&*file, &place, |batch| {
            TimestampOffset::find(batch, batch.max_timestamp(), batch.base_offset(), decompressor)
        })
    }

    /// Where a search for `target` may begin. `None` if the indexes do not tell the truth.
    fn start_of_search(
        &self,
        file: &dyn File,
        target: Timestamp,
        from: Offset,
        written: Written,
    ) -> Result<Option<u32>, SegmentError> {
        let Some(entry) = self.find_time_entry(target, written)? else { return Ok(None) };
        let Some(entry) = entry else {
            return Ok(match self.first_reaching(file, from, written, Access::Blocking)? {
                Search::Done(place) => Some(place.map_or(written.position, |place| place.position)),
                Search::Cold | Search::Doubt => None,
            });
        };
        let Search::Done(Some(newest)) = self.first_reaching(file, entry.offset, written, Access::Blocking)? else {
            return Ok(None);
        };
        if newest.last_offset != entry.offset || newest.max_timestamp != entry.timestamp {
            return Ok(None);
        }
        if from <= newest.base_offset {
            return Ok(Some(newest.position));
        }
        Ok(match self.first_reaching(file, from, written, Access::Blocking)? {
            Search::Done(place) => Some(place.map_or(written.position, |place| place.position)),
            Search::Cold | Search::Doubt => None,
        })
    }

    /// The last entry that is not newer than `target`. The outer `None` is doubt.
    fn find_time_entry(&self, target: Timestamp, written: Written) -> Result<Option<Option<TimeEntry>>, SegmentError> {
        self.load(written)?;
        let reached = |entry: &TimeEntry| entry.offset < written.offset && entry.timestamp <= target;
        let place = self.state.lock().times.find(reached);
        match place {
            Place::Here(entry) => Ok(Some(Some(entry))),
            Place::Nowhere => Ok(Some(None)),
            Place::Unloaded => Ok(None),
            Place::Page(page) => Ok(page
                .search(self.base_offset, Access::Blocking, reached)
                .map_err(|error| self.error(FileKind::TimeIndex, error))?
                .flatten()
                .map(Some)),
        }
    }

    /// Reads one batch whole and checks it.
    fn with_batch<T>(
        &self,
        file: &dyn File,
        place: &BatchPlace,
        look: impl FnOnce(&BatchView<'_>) -> Result<T, Fault>,
    ) -> Result<T, SegmentError> {
        let error = |fault: Fault| self.error_at(place.position, fault);
        let mut bytes = vec![0; place.size_bytes as usize];
        let read = file.read_at(&mut bytes, place.position.into()).map_err(|io| error(io.into()))?;
        let batch = BatchView::parse(&bytes[..read]).map_err(|cause| error(cause.into()))?;
        let (stored, computed) = (batch.crc(), batch.computed_crc());
        if stored != computed {
            return Err(error(Fault::Crc { stored, computed }));
        }
        look(&batch).map_err(error)
    }
}
