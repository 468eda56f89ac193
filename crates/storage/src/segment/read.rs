//! Where in the file the batches of a fetch lie. A lookup costs two small reads, and so does finding the boundary of
//! a batch to end at; with `Access::Cached` none of them waits.

use std::sync::Arc;

use env::File;
use record::Offset;

use super::entry::OffsetEntry;
use super::index::Place;
use super::walk::{LOOKUP_STEP_BYTES, REBUILD_STEP_BYTES, Step};
use super::{Access, BatchPlace, Segment, SegmentError, Written};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReadRequest {
    /// The first batch is the one that holds it or, if none does, the next.
    pub from: Offset,
    /// No batch that reaches it or lies beyond it.
    pub up_to: Offset,
    /// Whole batches only, no more than this.
    pub bytes_max: u32,
    /// The first batch in any case, however large it is.
    pub at_least_one: bool,
    pub written: Written,
}

/// What a read has found in the file.
pub enum Located {
    At(FileRange),
    /// The disk must be asked: try again with `Access::Blocking` on a thread that may wait.
    Cold,
    /// No batch of the file is at or above `from` and below `up_to`.
    End,
    /// The first batch alone is more than `bytes_max`.
    NoRoom,
}

/// Whole batches in a file.
#[derive(Clone)]
pub struct FileRange {
    pub file: Arc<dyn File>,
    pub position: u32,
    pub size_bytes: u32,
    /// Of the first batch.
    pub base_offset: Offset,
}

/// The outcome of a walk that may have to wait, or find that the index was wrong.
pub(super) enum Search<T> {
    Cold,
    Doubt,
    Done(T),
}

impl FileRange {
    pub fn end_position(&self) -> u32 {
        self.position + self.size_bytes
    }
}

impl Segment {
    pub fn read(&self, request: &ReadRequest, access: Access) -> Result<Located, SegmentError> {
        if request.written.position == 0 || request.from >= request.written.offset || request.from >= request.up_to {
            return Ok(Located::End);
        }
        match (self.try_read(request, access)?, access) {
            (Search::Done(located), _) => return Ok(located),
            (Search::Cold, _) | (Search::Doubt, Access::Cached) => return Ok(Located::Cold),
            (Search::Doubt, Access::Blocking) => {}
        }
        self.doubt(request.written)?;
        match self.try_read(request, access)? {
            Search::Done(located) => Ok(located),
            // Another thread has doubted again in between, or the file changes under our hands.
            Search::Cold | Search::Doubt => Ok(Located::Cold),
        }
    }

    fn try_read(&self, request: &ReadRequest, access: Access) -> Result<Search<Located>, SegmentError> {
        let written = request.written;
        let Some(file) = self.file_for(access)? else { return Ok(Search::Cold) };
        let first = match self.first_reaching(&*file, request.from, written, access)? {
            Search::Done(Some(first)) => first,
            Search::Done(None) => return Ok(Search::Done(Located::End)),
            Search::Cold => return Ok(Search::Cold),
            Search::Doubt => return Ok(Search::Doubt),
        };
        let limit = if request.up_to >= written.offset {
            written.position
        } else {
            match self.first_reaching(&*file, request.up_to, written, access)? {
                Search::Done(batch) => batch.map_or(written.position, |batch| batch.position),
                Search::Cold => return Ok(Search::Cold),
                Search::Doubt => return Ok(Search::Doubt),
            }
        };
        // What is damaged ends the range, and is stepped over by whoever reads on behind it.
        let damage = self.damage().into_iter().map(|damage| damage.positions.start);
        let limit = damage.filter(|start| *start > first.position).fold(limit, u32::min);
        if first.position >= limit {
            return Ok(Search::Done(Located::End));
        }
        let end = match self.last_boundary(&*file, &first, request.bytes_max, limit, written, access)? {
            Search::Done(end) => end,
            Search::Cold => return Ok(Search::Cold),
            Search::Doubt => return Ok(Search::Doubt),
        };
        let end = match end.checked_sub(first.position) {
            Some(0) | None if !request.at_least_one => return Ok(Search::Done(Located::NoRoom)),
            Some(0) | None => first.end().position,
            Some(_) => end,
        };
        let (position, size_bytes) = (first.position, end - first.position);
        Ok(Search::Done(Located::At(FileRange { file, position, size_bytes, base_offset: first.base_offset })))
    }

    /// The log file; `None` if it had to be opened and must not.
    pub(super) fn file_for(&self, access: Access) -> Result<Option<Arc<dyn File>>, SegmentError> {
        match access {
            Access::Blocking => self.file().map(Some),
            Access::Cached => Ok(self.state.lock().log.clone()),
        }
    }

    /// The first batch that ends at `offset` or beyond.
    pub(super) fn first_reaching(
        &self,
        file: &dyn File,
        offset: Offset,
        written: Written,
        access: Access,
    ) -> Result<Search<Option<BatchPlace>>, SegmentError> {
        let entry = match self.find_offset_entry(written, access, |entry| entry.offset <= offset)? {
            Search::Done(entry) => entry,
            Search::Cold => return Ok(Search::Cold),
            Search::Doubt => return Ok(Search::Doubt),
        };
        let start = entry.map_or(0, |entry| entry.position);
        let mut walk = self.walk(file, access, start, written.position, LOOKUP_STEP_BYTES);
        let mut unverified = entry;
        loop {
            let position = walk.position();
            let step = walk.next();
            if let Some(entry) = unverified.take()
                && !is_true(&entry, &step)
            {
                return Ok(Search::Doubt);
            }
            match step {
                Step::Batch(place) if place.last_offset >= offset => return Ok(Search::Done(Some(place))),
                Step::Batch(_) => {}
                Step::Cold => return Ok(Search::Cold),
                Step::End => return Ok(Search::Done(None)),
                Step::Fault(fault) => return Err(self.error_at(position, fault)),
            }
        }
    }

    /// As `first_reaching`, but asks no index.
    pub(super) fn walk_to(
        &self,
        file: &dyn File,
        offset: Offset,
        written: Written,
    ) -> Result<Option<BatchPlace>, SegmentError> {
        let mut walk = self.walk(file, Access::Blocking, 0, written.position, REBUILD_STEP_BYTES);
        loop {
            let position = walk.position();
            match walk.next() {
                Step::Batch(place) if place.last_offset >= offset => return Ok(Some(place)),
                Step::Batch(_) => {}
                Step::Cold | Step::End => return Ok(None),
                Step::Fault(fault) => return Err(self.error_at(position, fault)),
            }
        }
    }

    /// The greatest boundary between batches that is at most `bytes_max` behind the beginning of `first`, and at most
    /// `limit`.
    fn last_boundary(
        &self,
        file: &dyn File,
        first: &BatchPlace,
        bytes_max: u32,
        limit: u32,
        written: Written,
        access: Access,
    ) -> Result<Search<u32>, SegmentError> {
        let wanted = u64::from(first.position) + u64::from(bytes_max);
        if wanted >= u64::from(limit) {
            return Ok(Search::Done(limit));
        }
        if wanted < u64::from(first.end().position) {
            return Ok(Search::Done(first.position));
        }
        let wanted = wanted as u32;
        let entry = match self.find_offset_entry(written, access, |entry| entry.position <= wanted)? {
            Search::Done(entry) => entry.filter(|entry| entry.position > first.position),
            Search::Cold => return Ok(Search::Cold),
            Search::Doubt => return Ok(Search::Doubt),
        };
        let start = entry.map_or(first.end().position, |entry| entry.position);
        let mut walk = self.walk(file, access, start, limit, LOOKUP_STEP_BYTES);
        let mut unverified = entry;
        loop {
            let position = walk.position();
            if position == wanted {
                return Ok(Search::Done(position));
            }
            let step = walk.next();
            if let Some(entry) = unverified.take()
                && !is_true(&entry, &step)
            {
                return Ok(Search::Doubt);
            }
            match step {
                Step::Batch(_) if walk.position() > wanted => return Ok(Search::Done(position)),
                Step::Batch(_) => {}
                Step::Cold => return Ok(Search::Cold),
                Step::End => return Ok(Search::Done(position)),
                Step::Fault(fault) => return Err(self.error_at(position, fault)),
            }
        }
    }

    /// The last entry for which `reached` is true, which must be of a batch below `written`: others may lie in the tail
    /// only. Loads the index if that is allowed.
    pub(super) fn find_offset_entry(
        &self,
        written: Written,
        access: Access,
        reached: impl Fn(&OffsetEntry) -> bool,
    ) -> Result<Search<Option<OffsetEntry>>, SegmentError> {
        let mut place = self.state.lock().offsets.find(&reached);
        if matches!(place, Place::Unloaded) {
            if access == Access::Cached {
                return Ok(Search::Cold);
            }
            self.load(written)?;
            place = self.state.lock().offsets.find(&reached);
        }
        match place {
            Place::Here(entry) => Ok(Search::Done(Some(entry))),
            Place::Nowhere => Ok(Search::Done(None)),
            // It was unloaded again by a cut.
            Place::Unloaded => Ok(Search::Cold),
            Place::Page(page) => {
                let found = page
                    .search(self.base_offset, access, reached)
                    .map_err(|error| self.error(super::FileKind::OffsetIndex, error))?;
                match found {
                    None => Ok(Search::Cold),
                    Some(Some(entry)) => Ok(Search::Done(Some(entry))),
                    // The first of the page was reached when it was loaded.
                    Some(None) => Ok(Search::Doubt),
                }
            }
        }
    }
}

/// Whether the batch at its position bears the entry out. A cold page says nothing against it.
fn is_true(entry: &OffsetEntry, step: &Step) -> bool {
    match step {
        Step::Batch(place) => place.last_offset == entry.offset,
        Step::Cold => true,
        Step::End | Step::Fault(_) => false,
    }
}
