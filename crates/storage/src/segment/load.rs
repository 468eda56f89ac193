//! Reading the index files, and making them anew from the log where they are missing or cannot be believed.
//!
//! An entry of the offset index is true if a batch that ends with its offset begins at its position; that is looked up
//! each time it is used. An entry of the time index that is missing makes a search longer, never wrong; a false one is
//! found out the same way. So a file that was not synced before a power loss does no harm.

use std::io::ErrorKind;
use std::sync::Arc;

use env::{File, OpenOptions};

use super::entry::{Entry, Indexer, OffsetEntry, TimeEntry};
use super::index::{self, Checked, SparseIndex, Stored};
use super::walk::{REBUILD_STEP_BYTES, Step};
use super::{Access, FileKind, Segment, SegmentError, Written};

/// An index file as it was found.
struct Found<E> {
    file: Option<Arc<dyn File>>,
    checked: Checked<E>,
}

/// Entries for a part of the log that the files say nothing of.
#[derive(Default)]
struct Rebuilt {
    offsets: Vec<OffsetEntry>,
    times: Vec<TimeEntry>,
}

impl Segment {
    /// Sees to it that both indexes are known for everything below `written`.
    pub(super) fn load(&self, written: Written) -> Result<(), SegmentError> {
        loop {
            let (limit, cuts, interval_bytes) = {
                let state = self.state.lock();
                if state.offsets.stored.is_some() && state.times.stored.is_some() {
                    return Ok(());
                }
                // What is pending continues what is found.
                let first = state.offsets.pending.first();
                let first = first.map_or(written, |entry| Written { position: entry.position, offset: entry.offset });
                let limit = if first.position < written.position { first } else { written };
                (limit, state.cuts, state.indexer.interval_bytes)
            };
            let log = if limit.position == 0 { None } else { Some(self.file()?) };
            let mut offsets = self.find::<OffsetEntry>(FileKind::OffsetIndex, &limit)?;
            let mut times = self.find::<TimeEntry>(FileKind::TimeIndex, &limit)?;
            let rebuilt = match log {
                None => Rebuilt::default(),
                Some(log) if self.is_believable(&*log, &offsets, &times, limit) => {
                    let from = offsets.checked.entries.last().copied();
                    let gap = self.rebuild(&*log, from, limit, interval_bytes);
                    // The greatest timestamp of what comes before the gap is not known, so no entry of time is made.
                    Rebuilt { offsets: gap.offsets, times: Vec::new() }
                }
                Some(log) => {
                    (offsets.checked.entries, times.checked.entries) = (Vec::new(), Vec::new());
                    self.rebuild(&*log, None, limit, interval_bytes)
                }
            };

            let is_rebuilt = !rebuilt.offsets.is_empty() || !rebuilt.times.is_empty();
            {
                let state = &mut *self.state.lock();
                if state.cuts != cuts {
                    continue;
                }
                install(&mut state.offsets, offsets, rebuilt.offsets);
                install(&mut state.times, times, rebuilt.times);
            }
            self.note_open();
            if is_rebuilt {
                // So that the next need not do it again, and memory is free. If the disk is full they stay in memory.
                let _ = self.write_index(FileKind::OffsetIndex, limit, |state| &mut state.offsets);
                let _ = self.write_index(FileKind::TimeIndex, limit, |state| &mut state.times);
            }
            return Ok(());
        }
    }

    /// What was believed turned out false: the files go, and the next `load` makes them anew.
    pub(super) fn doubt(&self, written: Written) -> Result<(), SegmentError> {
        self.remove_file(FileKind::OffsetIndex)?;
        self.remove_file(FileKind::TimeIndex)?;
        let state = &mut *self.state.lock();
        state.cuts += 1;
        state.offsets.pending.retain(|entry| entry.position >= written.position);
        state.times.pending.retain(|entry| entry.offset >= written.offset);
        (state.offsets.stored, state.times.stored) = (None, None);
        Ok(())
    }

    fn find<E: Entry>(&self, kind: FileKind, limit: &Written) -> Result<Found<E>, SegmentError> {
        let file = match self.open_file(kind, OpenOptions::WRITE) {
            Ok(file) => file,
            Err(error) if error.io_kind() == Some(ErrorKind::NotFound) => {
                let checked = Checked { entries: Vec::new(), doubtful: limit.position > 0 };
                return Ok(Found { file: None, checked });
            }
            Err(error) => return Err(error),
        };
        let read = || {
            // There is at most one entry for each batch, whatever length the file claims.
            let entries_max = u64::from(limit.position) / record::HEADER_BYTES as u64 + 1;
            let mut bytes = vec![0; file.len()?.min(entries_max * E::BYTES as u64) as usize];
            let read = file.read_at(&mut bytes, 0)?;
            Ok(index::check(&bytes[..read], self.base_offset, limit))
        };
        let checked = read().map_err(|error: std::io::Error| self.error(kind, error))?;
        Ok(Found { file: Some(file), checked })
    }

    /// Both files look like indexes, and the last entry says the truth.
    fn is_believable(
        &self,
        log: &dyn File,
        offsets: &Found<OffsetEntry>,
        times: &Found<TimeEntry>,
        limit: Written,
    ) -> bool {
        if offsets.checked.doubtful || times.checked.doubtful {
            return false;
        }
        let Some(last) = offsets.checked.entries.last() else { return true };
        let mut walk = self.walk(log, Access::Blocking, last.position, limit.position, record::HEADER_BYTES);
        matches!(walk.next(), Step::Batch(place) if place.last_offset == last.offset)
    }

    /// Entries for the batches between `from` and `limit`. Ends early where the log cannot be read: whoever reads
    /// there will say so.
    fn rebuild(&self, log: &dyn File, from: Option<OffsetEntry>, limit: Written, interval_bytes: u32) -> Rebuilt {
        let start = from.map_or(0, |entry| entry.position);
        let mut walk = self.walk(log, Access::Blocking, start, limit.position, REBUILD_STEP_BYTES);
        let mut indexer = Indexer::new(interval_bytes, record::Timestamp::NONE, record::Offset::NONE);
        let mut rebuilt = Rebuilt::default();
        while let Step::Batch(place) = walk.next() {
            let (offset_entry, time_entry) = indexer.add(&place);
            rebuilt.offsets.extend(offset_entry);
            rebuilt.times.extend(time_entry);
        }
        if from.is_none() {
            rebuilt.times.extend(indexer.time_entry());
        }
        rebuilt
    }
}

fn install<E: Entry>(index: &mut SparseIndex<E>, found: Found<E>, rebuilt: Vec<E>) {
    if index.stored.is_some() {
        return; // Another thread was faster.
    }
    let stored = match found.file {
        Some(file) => Stored::new(file, &found.checked.entries),
        None => Stored::default(),
    };
    index.precede(stored, rebuilt);
}
