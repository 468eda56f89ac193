//! From header to header through a log file, reading no more than is needed to see the next one.

use env::File;
use record::{BatchHeader, HEADER_BYTES};

use super::error::Fault;
use super::{Access, BatchPlace};

/// A walk over the batches below a limit. Reads ahead by steps, so that small batches share a read.
pub(super) struct Walk<'a> {
    file: &'a dyn File,
    access: Access,
    // Where the next header is.
    position: u32,
    limit: u32,
    // Bytes of the file from `start` on.
    bytes: Vec<u8>,
    start: u32,
    step_bytes: usize,
}

/// What comes next.
pub(super) enum Step {
    Batch(BatchPlace),
    Cold,
    End,
    /// No batch is here that ends at the limit or before.
    Fault(Fault),
}

/// A lookup looks at a few batches, a rebuild at all.
pub(super) const LOOKUP_STEP_BYTES: usize = 8 << 10;
pub(super) const REBUILD_STEP_BYTES: usize = 256 << 10;

impl<'a> Walk<'a> {
    pub fn new(file: &'a dyn File, access: Access, position: u32, limit: u32, step_bytes: usize) -> Walk<'a> {
        assert!(step_bytes >= HEADER_BYTES, "a header is read in one step");
        Walk { file, access, position, limit, bytes: Vec::new(), start: 0, step_bytes }
    }

    /// Where the walk has come to.
    pub fn position(&self) -> u32 {
        self.position
    }

    pub fn next(&mut self) -> Step {
        if self.position >= self.limit {
            return Step::End;
        }
        match self.fill() {
            Ok(true) => {}
            Ok(false) => return Step::Cold,
            Err(error) => return Step::Fault(error.into()),
        }
        let at = (self.position - self.start) as usize;
        let header = match BatchHeader::parse(&self.bytes[at..]) {
            Ok(header) => header,
            Err(error) => return Step::Fault(error.into()),
        };
        let left = (self.limit - self.position) as usize;
        if header.size_bytes() > left {
            return Step::Fault(record::BatchError::Truncated { have: left, needed: header.size_bytes() }.into());
        }
        let place = BatchPlace::of_header(&header, self.position);
        self.position = place.end().position;
        Step::Batch(place)
    }

    /// Sees to it that the header at `position` is in `bytes`, as far as the file has it. False if it is cold.
    fn fill(&mut self) -> std::io::Result<bool> {
        let end = u64::from(self.start) + self.bytes.len() as u64;
        if self.position >= self.start && u64::from(self.position) + HEADER_BYTES as u64 <= end {
            return Ok(true);
        }
        let wanted = self.step_bytes.min((self.limit - self.position) as usize);
        self.bytes.resize(wanted, 0);
        self.start = self.position;
        let read = self.access.read_at(self.file, &mut self.bytes, u64::from(self.position))?;
        self.bytes.truncate(read.unwrap_or(0));
        Ok(read.is_some())
    }
}
