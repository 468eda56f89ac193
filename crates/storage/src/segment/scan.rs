//! Reading a log file through, batch by batch, checking everything: for recovery, and for whoever rebuilds what is
//! derived from the log. Says where the file stops being a log, and why; decides nothing about what is behind.

use std::ops::ControlFlow;

use env::File;
use record::{BatchHeader, BatchView, HEADER_BYTES, Offset, Timestamp};

use super::error::Fault;
use super::walk::{REBUILD_STEP_BYTES, Step};
use super::{Access, BatchPlace, FileKind, Segment, SegmentError, Summary, Written};

/// What a scan has come to.
#[derive(Debug)]
pub struct Scanned {
    /// Behind the last batch that was visited.
    pub end: Written,
    /// `None` if it came to the position it was to scan up to, or the visitor ended it.
    pub stop: Option<Stop>,
}

/// The first thing that is not the next sound batch, at the end of what was visited.
#[derive(Debug)]
pub struct Stop {
    pub fault: Fault,
}

/// Read at once; a batch that is larger is read alone.
const STEP_BYTES: usize = 1 << 20;

/// The part of the file that is in memory.
pub(super) struct Buffer<'a> {
    file: &'a dyn File,
    limit: u32,
    bytes: Vec<u8>,
    start: u32,
}

impl Segment {
    /// Visits all batches from `from` on up to the position `up_to`, each whole, with its checksum right and its
    /// offsets behind those of the one before.
    pub fn scan(
        &self,
        from: Written,
        up_to: u32,
        visit: &mut dyn FnMut(&BatchView<'_>, BatchPlace) -> ControlFlow<()>,
    ) -> Result<Scanned, SegmentError> {
        if from.position >= up_to {
            return Ok(Scanned { end: from, stop: None });
        }
        self.scan_file(&*self.file()?, from, up_to, visit)
    }

    /// The same of a file that somebody else has opened.
    pub(crate) fn scan_file(
        &self,
        file: &dyn File,
        from: Written,
        up_to: u32,
        visit: &mut dyn FnMut(&BatchView<'_>, BatchPlace) -> ControlFlow<()>,
    ) -> Result<Scanned, SegmentError> {
        let mut end = from;
        let mut buffer = Buffer::new(file, up_to);
        while end.position < up_to {
            let batch = match buffer.batch_at(end.position) {
                Ok(batch) => batch,
                Err(Fault::Io(error)) => return Err(self.error_at(end.position, error)),
                Err(fault) => return Ok(Scanned { end, stop: Some(Stop { fault }) }),
            };
            if let Err(fault) = check(&batch, end.offset) {
                return Ok(Scanned { end, stop: Some(Stop { fault }) });
            }
            let place = BatchPlace::of(&batch, end.position);
            end = place.end();
            if visit(&batch, place).is_break() {
                break;
            }
        }
        Ok(Scanned { end, stop: None })
    }

    /// What the first `size_bytes` of the file hold, from the headers alone.
    pub fn summarize(&self, size_bytes: u32) -> Result<Summary, SegmentError> {
        let file = self.file()?;
        let created = Timestamp(file.modified_ms().map_err(|error| self.error(FileKind::Log, error))?);
        self.summary_of(&*file, size_bytes, created)
    }

    pub(super) fn summary_of(
        &self,
        file: &dyn File,
        size_bytes: u32,
        created: Timestamp,
    ) -> Result<Summary, SegmentError> {
        let mut summary = self.empty_summary(created);
        let mut walk = self.walk(file, Access::Blocking, 0, size_bytes, REBUILD_STEP_BYTES);
        loop {
            let position = walk.position();
            match walk.next() {
                Step::Batch(place) => summary.add(&place),
                Step::End | Step::Cold => return Ok(summary),
                Step::Fault(fault) => return Err(self.error_at(position, fault)),
            }
        }
    }
}

/// The next batch is whole, and its offsets follow.
pub(super) fn check(batch: &BatchView<'_>, expected_min: Offset) -> Result<(), Fault> {
    let (stored, computed) = (batch.crc(), batch.computed_crc());
    if stored != computed {
        return Err(Fault::Crc { stored, computed });
    }
    let (base, last) = (batch.base_offset(), batch.last_offset());
    if base < expected_min || last < base {
        return Err(Fault::Offsets { expected_min, base, last });
    }
    Ok(())
}

impl<'a> Buffer<'a> {
    pub fn new(file: &'a dyn File, limit: u32) -> Buffer<'a> {
        Buffer { file, limit, bytes: Vec::new(), start: 0 }
    }

    pub fn batch_at(&mut self, position: u32) -> Result<BatchView<'_>, Fault> {
        self.fill(position, HEADER_BYTES)?;
        let size = BatchHeader::parse(self.from(position))?.size_bytes();
        // A size beyond the limit leaves the batch cut off, and allocates nothing.
        self.fill(position, size)?;
        Ok(BatchView::parse(self.from(position))?)
    }

    pub fn from(&self, position: u32) -> &[u8] {
        &self.bytes[(position - self.start) as usize..]
    }

    /// Sees to it that `wanted` bytes from `position` on are here, as far as the file has them below the limit.
    pub fn fill(&mut self, position: u32, wanted: usize) -> Result<(), Fault> {
        let left = (self.limit - position) as usize;
        let end = self.start as usize + self.bytes.len();
        if self.start <= position && position as usize + wanted.min(left) <= end {
            return Ok(());
        }
        self.bytes.resize(wanted.max(STEP_BYTES).min(left), 0);
        self.start = position;
        let read = self.file.read_at(&mut self.bytes, position.into())?;
        self.bytes.truncate(read);
        Ok(())
    }
}
