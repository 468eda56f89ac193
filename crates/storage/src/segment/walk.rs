//! From header to header through a log file, reading no more than is needed to see the next one. Steps over what is known
//! to be damaged; what does not follow on the batch before it is a fault.

use env::File;
use record::{BatchError, BatchHeader, HEADER_BYTES, LeaderEpoch, Offset};

use super::damage::Damage;
use super::error::Fault;
use super::{Access, BatchPlace, Segment, Written};

/// A walk over the batches below a limit. Reads ahead by steps, so that small batches share a read.
pub(super) struct Walk<'a> {
    segment: &'a Segment,
    file: &'a dyn File,
    access: Access,
    // Where the next header is, and what offset it begins at or above.
    position: u32,
    expected: Offset,
    limit: u32,
    damage: Vec<Damage>,
    // The first `filled` bytes are the file's from `start` on.
    bytes: Vec<u8>,
    filled: usize,
    start: u32,
    step_bytes: usize,
    // Of the last batch.
    epoch: LeaderEpoch,
}

/// What comes next.
pub(super) enum Step {
    Batch(BatchPlace),
    Cold,
    End,
    /// No batch is here that ends at the limit or before, and follows on what came before.
    Fault(Fault),
}

/// A lookup looks at a few batches, a rebuild at all.
pub(super) const LOOKUP_STEP_BYTES: usize = 8 << 10;
pub(super) const REBUILD_STEP_BYTES: usize = 256 << 10;

impl Segment {
    /// From the batch at `position` on.
    pub(super) fn walk<'a>(
        &'a self,
        file: &'a dyn File,
        access: Access,
        position: u32,
        limit: u32,
        step_bytes: usize,
    ) -> Walk<'a> {
        assert!(step_bytes >= HEADER_BYTES, "a header is read in one step");
        let damage = self.damage();
        let expected = self.base_offset;
        let (bytes, filled, start, epoch) = (Vec::new(), 0, 0, LeaderEpoch::NONE);
        Walk { segment: self, file, access, position, expected, limit, damage, bytes, filled, start, step_bytes, epoch }
    }

    /// Every batch below `written` and outside of `damage`, by the headers alone.
    pub(crate) fn each_batch(
        &self,
        file: &dyn File,
        written: Written,
        damage: &[Damage],
        visit: &mut dyn FnMut(&BatchPlace, LeaderEpoch),
    ) {
        let mut walk = self.walk(file, Access::Blocking, 0, written.position, REBUILD_STEP_BYTES);
        walk.damage = damage.to_vec();
        while let Step::Batch(place) = walk.next() {
            visit(&place, walk.epoch);
        }
    }
}

impl Walk<'_> {
    /// Where the walk has come to.
    pub fn position(&self) -> u32 {
        self.position
    }

    pub fn next(&mut self) -> Step {
        while let Some(damage) = self.damage.iter().find(|damage| damage.positions.contains(&self.position)) {
            self.position = damage.positions.end;
            self.expected = self.expected.max(damage.offsets.end);
        }
        if self.position >= self.limit {
            return Step::End;
        }
        match self.fill() {
            Ok(true) => {}
            Ok(false) => return Step::Cold,
            Err(error) => return Step::Fault(error.into()),
        }
        let at = (self.position - self.start) as usize;
        let header = match BatchHeader::parse(&self.bytes[at..self.filled]) {
            Ok(header) => header,
            Err(error) => return Step::Fault(error.into()),
        };
        let left = (self.limit - self.position) as usize;
        if header.size_bytes() > left {
            return Step::Fault(BatchError::Truncated { have: left, needed: header.size_bytes() }.into());
        }
        let place = BatchPlace::of_header(&header, self.position);
        if place.base_offset < self.expected || place.last_offset < place.base_offset {
            let (base, last) = (place.base_offset, place.last_offset);
            return Step::Fault(Fault::Offsets { expected_min: self.expected, base, last });
        }
        self.epoch = header.partition_leader_epoch();
        (self.position, self.expected) = (place.end().position, place.end().offset);
        Step::Batch(place)
    }

    /// Sees to it that the header at `position` is in `bytes`, as far as the file has it. False if it is cold.
    fn fill(&mut self) -> std::io::Result<bool> {
        let end = u64::from(self.start) + self.filled as u64;
        if self.position >= self.start && u64::from(self.position) + HEADER_BYTES as u64 <= end {
            return Ok(true);
        }
        let wanted = self.step_bytes.min((self.limit - self.position) as usize);
        self.bytes.resize(wanted.max(self.bytes.len()), 0);
        self.start = self.position;
        let at = u64::from(self.position);
        let bytes = &mut self.bytes[..wanted];
        let mut read = self.file.read_cached_at(bytes, at)?;
        if read.is_none() && self.access == Access::Blocking {
            self.segment.proven.forget(self.position..self.position.saturating_add(wanted as u32));
            read = self.access.read_at(self.file, bytes, at)?;
        }
        self.filled = read.unwrap_or(0);
        Ok(read.is_some())
    }
}
