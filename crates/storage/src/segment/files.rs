//! Making, writing, syncing, closing and removing the files of a segment. Every call here waits for the disk.

use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use env::{File, OpenOptions};

use super::entry::Entry;
use super::index::{self, SparseIndex, Stored};
use super::{FileKind, Segment, SegmentError, State, Written};

/// So many entries are worth a write: 4 KiB apart, they speak of 256 KiB.
const ENTRIES_DUE: usize = 64;

/// The files that belong to a segment alone; producer snapshots have their own life.
const OWN_FILES: [FileKind; 4] =
    [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex];

impl Segment {
    /// Makes the log file, which must not be there. Its name is durable once the directory is synced.
    pub fn create(&self) -> Result<(), SegmentError> {
        let file = self.open_file(FileKind::Log, OpenOptions::CREATE_NEW)?;
        self.state.lock().log = Some(file);
        self.note_open();
        Ok(())
    }

    /// Opens the log file, or makes it. Returns whether it was made.
    pub fn open_or_create(&self) -> Result<bool, SegmentError> {
        match self.file() {
            Ok(_) => Ok(false),
            Err(error) if error.io_kind() == Some(ErrorKind::NotFound) => self.create().map(|()| true),
            Err(error) => Err(error),
        }
    }

    /// The log file, opened if it is not.
    pub fn file(&self) -> Result<Arc<dyn File>, SegmentError> {
        if let Some(file) = self.state.lock().log.clone() {
            return Ok(file);
        }
        let opened = self.open_file(FileKind::Log, OpenOptions::WRITE)?;
        // Another may have been faster; the handle that writes went through is the one that must be synced.
        let file = self.state.lock().log.get_or_insert(opened).clone();
        self.note_open();
        Ok(file)
    }

    /// Something of it is open: as long as there is, it is known where descriptors are counted.
    pub(super) fn note_open(&self) {
        if !std::mem::replace(&mut self.state.lock().is_open, true) {
            self.files.note(&self.me);
        }
    }

    /// Writes bytes of batches that have been noted. The file stays open until they are synced: the kernel forgets a
    /// failed write-back of a file that nobody has open.
    pub fn write_at(&self, parts: &[IoSlice<'_>], position: u32) -> Result<(), SegmentError> {
        let file = self.file()?;
        let size_bytes = parts.iter().map(|part| part.len()).sum::<usize>() as u32;
        self.change(&file, || file.write_all_at(parts, position.into()))
            .map_err(|error| self.error_at(position, error))?;
        self.proven.add(position..position + size_bytes);
        Ok(())
    }

    /// Does something to the file that is durable with the next `sync`. Counted before, so that the file stays open, and once
    /// more when it is done: a sync of somebody else's bytes, begun in between, may have missed it.
    pub(super) fn change(&self, file: &Arc<dyn File>, change: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        {
            let mut state = self.state.lock();
            state.writes += 1;
            state.log = Some(file.clone());
        }
        change()?;
        self.state.lock().writes += 1;
        Ok(())
    }

    /// Asks the kernel to begin writing; promises nothing.
    pub fn start_writeback(&self, range: Range<u32>) -> Result<(), SegmentError> {
        let position = range.start;
        self.file()?
            .start_writeback(range.start.into()..range.end.into())
            .map_err(|error| self.error_at(position, error))
    }

    /// All that was written before is durable once this returns without an error.
    pub fn sync(&self) -> Result<(), SegmentError> {
        let file = self.file()?;
        let writes = self.state.lock().writes;
        file.sync_data().map_err(|error| self.error(FileKind::Log, error))?;
        let mut state = self.state.lock();
        state.synced = state.synced.max(writes);
        Ok(())
    }

    /// Something was written and not synced.
    pub fn is_dirty(&self) -> bool {
        self.state.lock().is_dirty()
    }

    /// Whether `write_indexes` has enough to do.
    pub fn indexes_due(&self, written: Written) -> bool {
        let state = self.state.lock();
        state.offsets.due(self.base_offset, &written) >= ENTRIES_DUE
    }

    /// Moves the entries of batches below `written` from memory to the index files. Not synced: what is lost of them
    /// is found again in the log.
    pub fn write_indexes(&self, written: Written) -> Result<(), SegmentError> {
        self.load(written)?;
        self.write_index(FileKind::OffsetIndex, written, |state| &mut state.offsets)?;
        self.write_index(FileKind::TimeIndex, written, |state| &mut state.times)
    }

    /// For a segment that takes no more: adds the last entry to the time index (`LogSegment.onBecomeInactiveSegment`)
    /// and writes what is pending. All of it must be in the file.
    pub fn seal(&self) -> Result<(), SegmentError> {
        let written = {
            let state = &mut *self.state.lock();
            let entry = state.indexer.time_entry();
            let known = state.times.pending.last().copied();
            state.times.pending.extend(entry.filter(|entry| known.is_none_or(|known| entry.follows(&known))));
            state.summary.end()
        };
        self.write_indexes(written)
    }

    /// Closes the files unless something in them is not synced, or somebody reads. True if nothing is open any more.
    pub fn close_if_idle(&self) -> bool {
        let state = &mut *self.state.lock();
        if state.is_dirty() || state.log.as_ref().is_some_and(|file| Arc::strong_count(file) > 1) {
            return false;
        }
        state.log = None;
        state.offsets.close();
        state.times.close();
        state.is_open = false;
        true
    }

    pub fn open_files(&self) -> usize {
        let state = self.state.lock();
        let index = |open: bool| usize::from(open);
        index(state.log.is_some())
            + index(state.offsets.stored.as_ref().is_some_and(|stored| stored.file.is_some()))
            + index(state.times.stored.as_ref().is_some_and(|stored| stored.file.is_some()))
    }

    /// Removes the files of this segment that there are. The directory is not synced.
    pub fn remove_files(&self) -> Result<(), SegmentError> {
        for kind in OWN_FILES {
            self.remove_file(kind)?;
        }
        let state = &mut *self.state.lock();
        state.log = None;
        (state.offsets, state.times) = (SparseIndex::without_file(), SparseIndex::without_file());
        state.synced = state.writes;
        Ok(())
    }

    pub(super) fn remove_file(&self, kind: FileKind) -> Result<(), SegmentError> {
        match self.files.disk.remove_file(&self.path(kind)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.error(kind, error)),
            _ => Ok(()),
        }
    }

    pub(super) fn open_file(&self, kind: FileKind, options: OpenOptions) -> Result<Arc<dyn File>, SegmentError> {
        self.files.open(&self.path(kind), options).map_err(|error| self.error(kind, error))
    }

    /// One write. If a cut, or another writer, came in between, the file holds too much, and is cut before the next.
    pub(super) fn write_index<E: Entry>(
        &self,
        kind: FileKind,
        written: Written,
        index: impl Fn(&mut State) -> &mut SparseIndex<E>,
    ) -> Result<(), SegmentError> {
        let (entries, count, file, cuts) = {
            let state = &mut *self.state.lock();
            let cuts = state.cuts;
            let index = index(state);
            let Some(stored) = &index.stored else { return Ok(()) };
            let due = index.due(self.base_offset, &written);
            if due == 0 {
                return Ok(());
            }
            (index.pending[..due].to_vec(), stored.count, stored.file.clone(), cuts)
        };
        let file = match file {
            Some(file) => file,
            None => self.open_or_create_file(kind)?,
        };
        index::write(&*file, self.base_offset, count, &entries).map_err(|error| self.error(kind, error))?;
        {
            let state = &mut *self.state.lock();
            let same = |stored: &Stored<E>| stored.count == count;
            if state.cuts == cuts && index(state).stored.as_ref().is_some_and(same) {
                index(state).moved_to_file(entries.len(), file);
            }
        }
        self.note_open();
        Ok(())
    }

    fn open_or_create_file(&self, kind: FileKind) -> Result<Arc<dyn File>, SegmentError> {
        match self.open_file(kind, OpenOptions::WRITE) {
            Err(error) if error.io_kind() == Some(ErrorKind::NotFound) => self.open_file(kind, OpenOptions::CREATE_NEW),
            other => other,
        }
    }
}

impl State {
    fn is_dirty(&self) -> bool {
        self.synced < self.writes
    }
}
