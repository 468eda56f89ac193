//! Taking back what was appended: from the batch that holds an offset to the end (`LogSegment.truncateTo`).
//! Planning reads, cutting changes what is in memory at once, and the files follow when the log says so: between the
//! two lies the moment at which the truncation becomes durable in the journal.

use record::Offset;

use super::entry::Indexer;
use super::index::SparseIndex;
use super::read::Search;
use super::{Access, BatchPlace, FileKind, Segment, SegmentError, Summary, Written};

impl Segment {
    /// What is left below `to`. `tail` are the batches behind `written`, in order. Waits for the disk.
    pub fn plan_cut(
        &self,
        to: Offset,
        written: Written,
        tail: &mut dyn Iterator<Item = BatchPlace>,
    ) -> Result<Summary, SegmentError> {
        let before = self.summary();
        if to >= before.end_offset {
            return Ok(before);
        }
        let kept = if to >= written.offset {
            written
        } else {
            let first_gone = self.place_reaching(to, written)?;
            first_gone.map_or(written, |place| Written { position: place.position, offset: place.base_offset })
        };
        let mut left = self.keep(&before, kept)?;
        if to >= written.offset {
            tail.take_while(|place| place.last_offset < to).for_each(|place| left.add(&place));
        }
        Ok(left)
    }

    /// The summary of what lies below `kept`. Reads the headers again only if the greatest timestamp goes.
    fn keep(&self, before: &Summary, kept: Written) -> Result<Summary, SegmentError> {
        if kept.position == 0 {
            return Ok(self.empty_summary(before.created));
        }
        if before.max_timestamp_offset >= kept.offset {
            return self.summary_of(&*self.file()?, kept.position, before.created);
        }
        Ok(Summary { end_offset: kept.offset, size_bytes: kept.position, ..*before })
    }

    /// Forgets what is not in `left`. Touches no file: until `cut_files` they hold more than the segment does.
    pub fn cut(&self, left: Summary) {
        let state = &mut *self.state.lock();
        assert!(left.size_bytes <= state.summary.size_bytes, "a cut adds nothing");
        state.summary = left;
        state.cuts += 1;
        self.proven.forget(left.size_bytes..u32::MAX);
        state.damage.retain_mut(|damage| {
            damage.positions.end = damage.positions.end.min(left.size_bytes);
            damage.offsets.end = damage.offsets.end.min(left.end_offset);
            !damage.positions.is_empty()
        });
        let interval_bytes = state.indexer.interval_bytes;
        state.indexer = Indexer::new(interval_bytes, left.max_timestamp, left.max_timestamp_offset);
        state.offsets.cut(self.base_offset, &left.end());
        state.times.cut(self.base_offset, &left.end());
    }

    /// Cuts the files to what is left of the segment, as far as they are longer. Waits for the disk; durable with the
    /// next `sync`.
    pub fn cut_files(&self) -> Result<(), SegmentError> {
        let size_bytes = self.summary().size_bytes;
        let file = self.file()?;
        let error = |error| self.error_at(size_bytes, error);
        if file.len().map_err(error)? > u64::from(size_bytes) {
            self.change(&file, || file.set_len(size_bytes.into())).map_err(error)?;
        }
        if size_bytes == 0 {
            self.remove_file(FileKind::OffsetIndex)?;
            self.remove_file(FileKind::TimeIndex)?;
            let state = &mut *self.state.lock();
            if state.summary.size_bytes == 0 {
                (state.offsets, state.times) = (SparseIndex::without_file(), SparseIndex::without_file());
            }
            return Ok(());
        }
        self.cut_index_files()
    }

    /// Entries beyond the end would be taken for those of later batches at the same place, and found false one by one.
    fn cut_index_files(&self) -> Result<(), SegmentError> {
        self.load(self.summary().end())?;
        let (offsets, times) = {
            let state = self.state.lock();
            (state.offsets.file_size(), state.times.file_size())
        };
        for (kind, file) in [(FileKind::OffsetIndex, offsets), (FileKind::TimeIndex, times)] {
            let Some((file, size_bytes)) = file else { continue };
            if file.len().map_err(|error| self.error(kind, error))? > size_bytes {
                file.set_len(size_bytes).map_err(|error| self.error(kind, error))?;
            }
        }
        Ok(())
    }

    fn place_reaching(&self, offset: Offset, written: Written) -> Result<Option<BatchPlace>, SegmentError> {
        let file = self.file()?;
        for _ in 0..2 {
            match self.first_reaching(&*file, offset, written, Access::Blocking)? {
                Search::Done(place) => return Ok(place),
                Search::Cold | Search::Doubt => self.doubt(written)?,
            }
        }
        // Without any index, then.
        self.walk_to(&*file, offset, written)
    }
}
