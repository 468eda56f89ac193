//! Ranges of a log that are known to be damaged: reads within them are answered with an error and never with what is left of
//! them, and everything around them is served. The lane and the checkpoints remember them (rule 16).
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;

use record::Offset;

use super::state::{Control, Gate, State};
use super::{Log, ReadError};
use crate::ranges::unite;
use crate::rare::Rare;
use crate::segment::{Segment, SegmentError};

impl Log {
    /// Ranges that are known to be damaged, in order. One that has no end (`i64::MAX`) begins at the log's end: what was
    /// acknowledged may have reached beyond, and nobody knows how far.
    pub fn faulty_ranges(&self) -> Vec<Range<Offset>> {
        self.state().faulty.clone()
    }

    /// Whatever it held is lost, and nobody knows what that was.
    pub(crate) fn mark_lost(&self) {
        let mut state = self.state();
        let range = state.log_start..Offset(i64::MAX);
        mark(&mut state.faulty, range.clone());
        state.controls.push(Control::Faulty { range });
        self.enqueue(&mut state);
        drop(state);
        tracing::error!(log = %self.name(), "this log is lost with the record of its creation: it takes nothing");
        self.shared.wake_committer();
    }

    /// Something in this segment does not fit. Finds out what, on the reader's thread, and says so.
    /// False if all of it is sound: somebody else was faster, or the disk has answered wrongly once.
    pub(crate) fn survey(&self, segment: &Arc<Segment>) -> Result<bool, ReadError> {
        let (written, epochs) = {
            let state = self.state();
            if !state.holds(segment) {
                return Ok(false);
            }
            (state.written_of(segment), state.epochs.clone())
        };
        segment.proven().forget_all();
        let found = segment.survey(written, &epochs)?;
        if !found.is_empty() && self.shared.is_taken_away() {
            return Err(ReadError::Offline); // Nothing of it is damaged.
        }
        let mut is_new = false;
        let mut state = self.state();
        if !state.holds(segment) || state.gate == Gate::Deleted {
            return Ok(false);
        }
        for damage in &found {
            let offsets = damage.offsets.start.max(state.log_start)..damage.offsets.end;
            if !offsets.is_empty() && mark(&mut state.faulty, offsets.clone()) {
                is_new = true;
                self.shared.settings.reached(Rare::DamageFound);
                tracing::error!(
                    log = %self.name(), directory = %self.directory().display(), segment = %segment.base_offset(),
                    from = %offsets.start, to = %offsets.end, position = damage.positions.start,
                    size_bytes = damage.positions.end - damage.positions.start,
                    "records on the disk are damaged: reads of this range are refused"
                );
                state.controls.push(Control::Faulty { range: offsets });
            }
        }
        if is_new && self.shared.takes_appends() {
            self.enqueue(&mut state);
            drop(state);
            self.shared.wake_committer();
        }
        Ok(!found.is_empty())
    }

    /// What is done in a file in which something does not fit is done once more when it is known what: then it steps over
    /// that. Waits for the disk.
    pub(super) fn in_sound_file<T>(
        &self,
        segment: &Arc<Segment>,
        mut read: impl FnMut() -> Result<T, SegmentError>,
    ) -> Result<T, ReadError> {
        match read() {
            Err(error) if is_damage(&error) => match self.survey(segment)? {
                true => Ok(read()?),
                false => Err(error.into()),
            },
            found => Ok(found?),
        }
    }
}

/// A file that is too short, or not there, is damaged too.
pub(super) fn is_damage(error: &SegmentError) -> bool {
    error.is_damage() || matches!(error.io_kind(), Some(ErrorKind::NotFound | ErrorKind::UnexpectedEof))
}

impl State {
    pub(super) fn holds(&self, segment: &Arc<Segment>) -> bool {
        self.segment(segment.base_offset()).is_some_and(|held| Arc::ptr_eq(held, segment))
    }

    /// Nobody knows how far the log reached.
    pub(super) fn is_suspect(&self) -> bool {
        self.faulty.last().is_some_and(|range| range.end == Offset(i64::MAX))
    }

    pub(super) fn faulty_at(&self, offset: Offset) -> Option<&Range<Offset>> {
        self.faulty.iter().find(|range| range.contains(&offset))
    }

    /// Where the first damage above `offset` begins.
    pub(super) fn sound_end(&self, offset: Offset) -> Offset {
        self.faulty.iter().map(|range| range.start).find(|start| *start > offset).unwrap_or(Offset(i64::MAX))
    }

    /// What nobody may read any more need not be marked.
    pub(crate) fn unmark_below(&mut self, log_start: Offset) {
        self.faulty.retain_mut(|range| {
            range.start = range.start.max(log_start);
            !range.is_empty()
        });
    }

    pub(crate) fn unmark_from(&mut self, end: Offset) {
        self.faulty.retain_mut(|range| {
            range.end = range.end.min(end);
            !range.is_empty()
        });
    }
}

/// Adds a range to those that are known, which are apart and in order. False if all of it was.
pub(crate) fn mark(faulty: &mut Vec<Range<Offset>>, range: Range<Offset>) -> bool {
    if range.is_empty() || faulty.iter().any(|known| known.start <= range.start && range.end <= known.end) {
        return false;
    }
    unite(faulty, range);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_meet_are_one() {
        let range = |from, to| Offset(from)..Offset(to);
        let mut faulty = Vec::new();
        assert!(mark(&mut faulty, range(10, 20)));
        assert!(mark(&mut faulty, range(30, 40)));
        assert!(!mark(&mut faulty, range(12, 20)) && !mark(&mut faulty, range(5, 5)));
        assert!(mark(&mut faulty, range(20, 25)));
        assert_eq!(faulty, [range(10, 25), range(30, 40)]);
        assert!(mark(&mut faulty, range(0, 35)));
        assert_eq!((faulty.len(), faulty[0].clone()), (1, range(0, 40)));
    }
}
