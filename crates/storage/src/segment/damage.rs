//! What of a segment's file is not what was written. The whole file is gone through, since the batch at which something
//! does not fit need not be the one that is damaged; then walks step over it, and everything else is served.

use std::io::ErrorKind;
use std::ops::Range;

use env::File;
use record::{BatchHeader, BatchView, HEADER_BYTES, LeaderEpoch, Offset};

use super::error::Fault;
use super::scan::{Buffer, check};
use super::{Segment, SegmentError, Written};
use crate::leader_epochs::LeaderEpochs;

/// A stretch of the file, from where a batch must begin up to where the next sound one does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    pub positions: Range<u32>,
    /// What is lost with it.
    pub offsets: Range<Offset>,
}

/// So many batches in a row, or all that follow, are not in a file by chance: a record may hold batches of its own.
const CHAIN_BATCHES: usize = 16;
/// Where a header says that it is of a batch as Kafka has them since 0.11.
const MAGIC_AT: usize = 16;
const MAGIC: u8 = 2;

impl Segment {
    /// Reads the file through and changes nothing: what is damaged, and what there is wrong first.
    pub(crate) fn look(
        &self,
        file: &dyn File,
        written: Written,
        epochs: &LeaderEpochs,
    ) -> Result<Vec<(Damage, Fault)>, SegmentError> {
        Survey { segment: self, file, written, epochs }.run()
    }

    /// Reads the file through and takes note of what is damaged. Waits for the disk.
    pub fn survey(&self, written: Written, epochs: &LeaderEpochs) -> Result<Vec<Damage>, SegmentError> {
        let cuts = self.state.lock().cuts;
        let all = Damage { positions: 0..written.position, offsets: self.base_offset..written.offset };
        let found = match self.file() {
            Ok(file) => self.look(&*file, written, epochs)?.into_iter().map(|(damage, _)| damage).collect(),
            Err(error) if error.io_kind() == Some(ErrorKind::NotFound) && written.position > 0 => vec![all],
            Err(error) => return Err(error),
        };
        if found != self.damage() {
            // The indexes were made by walks that ended at the damage, or are themselves what does not fit.
            if self.state.lock().cuts != cuts {
                return Ok(Vec::new()); // It was cut meanwhile: what was seen may be gone.
            }
            self.doubt(written)?;
            self.state.lock().damage = found.clone();
        }
        Ok(found)
    }

    pub fn damage(&self) -> Vec<Damage> {
        self.state.lock().damage.clone()
    }
}

/// What a batch must be, beside whole: the checksum covers neither its offset nor its leader's epoch, but the batches
/// around it and the epochs of the log say what they are.
pub(crate) fn fault_of(
    batch: &BatchView<'_>,
    expected_min: Offset,
    end: Offset,
    epochs: &LeaderEpochs,
) -> Option<Fault> {
    if let Err(fault) = check(batch, expected_min) {
        return Some(fault);
    }
    let (base, last) = (batch.base_offset(), batch.last_offset());
    if last >= end {
        return Some(Fault::Offsets { expected_min, base, last });
    }
    let found = batch.partition_leader_epoch();
    match epochs.epoch_for(base) {
        Some(expected) if expected != found && found != LeaderEpoch::NONE => Some(Fault::Epoch { expected, found }),
        _ => None,
    }
}

struct Survey<'a> {
    segment: &'a Segment,
    file: &'a dyn File,
    written: Written,
    epochs: &'a LeaderEpochs,
}

impl Survey<'_> {
    fn run(&self) -> Result<Vec<(Damage, Fault)>, SegmentError> {
        let mut damage = Vec::new();
        let mut buffer = Buffer::new(self.file, self.written.position);
        let mut at = Written { position: 0, offset: self.segment.base_offset };
        while at.position < self.written.position {
            let fault = match self.batch(&mut buffer, at)? {
                Ok(end) => {
                    at = end;
                    continue;
                }
                Err(fault) => fault,
            };
            let next = self.next_sound(&mut buffer, at)?;
            let found = Damage { positions: at.position..next.position, offsets: at.offset..next.offset };
            damage.push((found, fault));
            at = next;
        }
        Ok(damage)
    }

    /// Where the batch ends, if it is sound. The inner error is what is wrong with it.
    fn batch(&self, buffer: &mut Buffer<'_>, at: Written) -> Result<Result<Written, Fault>, SegmentError> {
        let (end, has_gap) = {
            let batch = match buffer.batch_at(at.position) {
                Ok(batch) => batch,
                Err(Fault::Io(error)) => return Err(self.segment.error_at(at.position, error)),
                Err(fault) => return Ok(Err(fault)),
            };
            if let Some(fault) = fault_of(&batch, at.offset, self.written.offset, self.epochs) {
                return Ok(Err(fault));
            }
            let end = Written { position: at.position + batch.size_bytes() as u32, offset: batch.next_offset() };
            (end, batch.base_offset() > at.offset)
        };
        // A gap is what compaction leaves; an offset that is too large looks the same until one sees what comes next.
        if has_gap && end.position < self.written.position {
            let next = match buffer.header_at(end.position) {
                Ok(header) => header.base_offset(),
                Err(Fault::Io(error)) => return Err(self.segment.error_at(end.position, error)),
                Err(fault) => return Ok(Err(fault)),
            };
            if next < end.offset {
                return Ok(Err(Fault::Offsets { expected_min: end.offset, base: next, last: next }));
            }
        }
        Ok(Ok(end))
    }

    /// Behind the damage at `at`.
    fn next_sound(&self, buffer: &mut Buffer<'_>, at: Written) -> Result<Written, SegmentError> {
        let limit = self.written.position;
        // Most probably only the body is damaged, and the header says where the next one is.
        if let Ok(header) = buffer.header_at(at.position) {
            let next = u64::from(at.position) + header.size_bytes() as u64;
            if next == u64::from(limit) {
                return Ok(self.written);
            }
            if next < u64::from(limit)
                && let Some(found) = self.candidate(buffer, next as u32, at.offset, 1)?
            {
                return Ok(found);
            }
        }
        let mut position = at.position + 1;
        while position as usize + HEADER_BYTES <= limit as usize {
            let window = match buffer.window(position) {
                Ok(window) => window,
                Err(error) => return Err(self.segment.error_at(position, error)),
            };
            if window.len() < HEADER_BYTES {
                break;
            }
            let last = window.len() - HEADER_BYTES;
            match (0..=last).find(|index| window[index + MAGIC_AT] == MAGIC) {
                None => position += last as u32 + 1,
                Some(index) => {
                    position += index as u32;
                    if let Some(found) = self.candidate(buffer, position, at.offset, CHAIN_BATCHES)? {
                        return Ok(found);
                    }
                    position += 1;
                }
            }
        }
        Ok(self.written)
    }

    /// Where the batch at `position` begins, if it and `chain` less one that follow are sound.
    fn candidate(
        &self,
        buffer: &mut Buffer<'_>,
        position: u32,
        expected_min: Offset,
        chain: usize,
    ) -> Result<Option<Written>, SegmentError> {
        let Ok(header) = buffer.header_at(position) else { return Ok(None) };
        let base = header.base_offset();
        if base < expected_min || u64::from(position) + header.size_bytes() as u64 > u64::from(self.written.position) {
            return Ok(None);
        }
        let mut at = Written { position, offset: base };
        for _ in 0..chain {
            match self.batch(buffer, at)? {
                Ok(end) => at = end,
                Err(_) => return Ok(None),
            }
            if at.position >= self.written.position {
                break;
            }
        }
        Ok(Some(Written { position, offset: base }))
    }
}

impl Buffer<'_> {
    fn header_at(&mut self, position: u32) -> Result<BatchHeader, Fault> {
        self.fill(position, HEADER_BYTES)?;
        Ok(BatchHeader::parse(self.from(position))?)
    }

    /// What follows, as much as is read at once.
    fn window(&mut self, position: u32) -> std::io::Result<&[u8]> {
        match self.fill(position, HEADER_BYTES) {
            Ok(()) => Ok(self.from(position)),
            Err(Fault::Io(error)) => Err(error),
            Err(_) => Ok(&[]),
        }
    }
}
