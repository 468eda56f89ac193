//! What a log has lost: the lane is damaged, or a file is that the lane has nothing of any more. Whatever the files still
//! hold is taken; the rest becomes a faulty range, and the log goes on behind it.
use std::io::ErrorKind;
use std::sync::Arc;

use record::Offset;

use super::{Log, Mode, OpenError, Repair};
use crate::leader_epochs::LeaderEpochs;
use crate::log::damage::mark;
use crate::log::state::Reach;
use crate::recovery::map::Piece;
use crate::segment::{Segment, Written};

impl Repair {
    /// A range that the lane does not have any more. What was on its way to the segments may be there.
    pub(super) fn restore_lost(&mut self, log: &mut Log, piece: &Piece) -> Result<(), OpenError> {
        if self.mode != Mode::Tail && self.directory_is_made {
            self.take_following(log, piece.to)?;
        }
        self.give_up(log, piece.to);
        Ok(())
    }

    /// Nobody has what is between the end of what was found and `until`.
    fn give_up(&mut self, log: &mut Log, until: Offset) {
        if log.noted < until {
            mark(&mut self.faulty, log.noted..until);
            log.producers.apply_nothing(until);
            log.noted = until;
        }
    }

    /// Everything below `until` was synced, and the files do not show it without a gap: what they do show is taken.
    pub(super) fn note_damaged_files(&mut self, log: &mut Log, until: Reach) -> Result<(), OpenError> {
        loop {
            let segment = log.segments.back().expect("a log has a segment").clone();
            let base = segment.base_offset();
            let next = self.segment_files()?.into_iter().filter(|next| *next > base && *next < until.offset).min();
            let offset = next.unwrap_or(until.offset);
            let position = match (base == until.place.segment, segment.file()) {
                (true, _) => until.place.position,
                (false, Ok(file)) => file.len().map_err(|error| self.io(error))?.min(u32::MAX.into()) as u32,
                (false, Err(error)) if error.io_kind() == Some(ErrorKind::NotFound) => 0,
                (false, Err(error)) => return Err(OpenError::Segment(error.to_string())),
            };
            if log.noted < offset {
                self.note_around_damage(log, &segment, Written { position, offset })?;
            }
            let Some(next) = next else { break };
            log.segments.push_back(self.empty_segment(next));
        }
        self.give_up(log, until.offset);
        Ok(())
    }

    /// Takes note of what is sound in the file of the last segment, behind what was noted and up to `limit`.
    pub(super) fn note_around_damage(
        &mut self,
        log: &mut Log,
        segment: &Arc<Segment>,
        limit: Written,
    ) -> Result<(), OpenError> {
        let failed = |error: crate::segment::SegmentError| OpenError::Segment(error.to_string());
        // Not every epoch of the log is known yet.
        let damage = segment.survey(limit, &LeaderEpochs::default()).map_err(failed)?;
        for damage in &damage {
            // Walks step over it from now on, also where it was noted before.
            mark(&mut self.faulty, damage.offsets.clone());
        }
        let mut at = segment.summary().size_bytes;
        while at < limit.position {
            if let Some(damage) = damage.iter().find(|damage| damage.positions.contains(&at)) {
                let end = Written { position: damage.positions.end, offset: damage.offsets.end };
                segment.skip_to(end);
                self.give_up(log, end.offset);
                at = end.position;
                continue;
            }
            let from = Written { position: at, offset: log.noted };
            let next = damage.iter().map(|damage| damage.positions.start).find(|start| *start > at);
            let up_to = next.unwrap_or(limit.position).min(limit.position);
            let scanned = segment.scan(from, up_to, &mut |batch, place| {
                segment.note(&place);
                log.note(batch);
                std::ops::ControlFlow::Continue(())
            });
            let end = scanned.map_err(failed)?.end.position;
            if end == at {
                break; // It was sound a moment ago.
            }
            at = end;
        }
        self.give_up(log, limit.offset);
        Ok(())
    }
}
