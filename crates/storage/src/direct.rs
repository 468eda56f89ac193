//! Direct pieces: a log's share of a group that is large enough goes straight to its segment, and the lane gets only what
//! identifies it. Written once instead of twice; the group then waits for those files too.
use std::io::IoSlice;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use env::Next;
use record::Offset;

use crate::budget::Budget;
use crate::committer::{Committer, Stage};
use crate::flusher::Job;
use crate::journal::record::{Body, SegmentPlace};
use crate::log::Log;
use crate::log::state::{Gate, Reach, State};
use crate::rare::Rare;
use crate::segment::Segment;
use crate::settings::Mutant;
use crate::shared::{Shared, count};
use crate::syncers::{Found, Owner, Sync};

/// So many files a group waits for at most; what is large beyond that goes through the lane.
const PIECES_MAX: usize = 16;
/// Of one piece, so that a group does not take for ever.
const PIECE_BYTES_MAX: usize = 16 << 20;

pub(crate) struct DirectPiece {
    pub log: Arc<Log>,
    pub from: Offset,
    pub to: Offset,
    pub size_bytes: u32,
    place: SegmentPlace,
    segment: Arc<Segment>,
    parts: Vec<Bytes>,
    /// Its write has succeeded.
    pub is_written: bool,
    /// Its identity is in the group.
    pub is_recorded: bool,
}

impl DirectPiece {
    pub fn identity(&self) -> Body<'static> {
        let crc = self.parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part));
        Body::Identity { end: self.to, place: self.place, size_bytes: self.size_bytes, crc }
    }

    /// It is durable. Where the segment has everything below it too, memory can let go of it.
    pub fn publish(&self, state: &mut State, budget: &Budget) {
        state.tail.mark_in_file(self.from, self.to);
        let is_all_synced = state.synced.offset == self.from && state.written.offset == self.from;
        if is_all_synced && state.durable_end >= self.to && state.step_over_direct(budget) {
            state.synced = Reach { offset: state.written.offset, place: state.written.place };
        }
    }
}

impl Committer {
    /// Chooses the pieces of the next group.
    pub(crate) fn plan_direct(&mut self, large: &[Weak<Log>]) {
        let bytes_min = self.shared.settings.direct_bytes;
        for log in large {
            let Some(log) = log.upgrade() else { continue };
            let mut state = log.state();
            state.is_large = false;
            if state.pending_bytes < bytes_min || state.gate == Gate::Deleted || self.direct.len() >= PIECES_MAX {
                continue;
            }
            if let Some(piece) = plan(&log, &mut state, bytes_min) {
                self.direct.push(piece);
            }
        }
    }

    pub(crate) fn write_direct(&mut self) -> Next {
        let Stage::WriteDirect { next } = &mut self.stage else { unreachable!("only in its stage") };
        let Some(piece) = self.direct.get_mut(*next) else { return self.build() };
        *next += 1;
        let slices: Vec<IoSlice<'_>> = piece.parts.iter().map(|part| IoSlice::new(part)).collect();
        let segment = piece.segment.clone();
        match segment.write_at(&slices, piece.place.position) {
            Ok(()) => {
                piece.is_written = true;
                count(&self.shared.counters.direct_pieces, 1);
                if self.shared.settings.has(Mutant::DirectWithoutSync) {
                    return Next::Again;
                }
                if self.direct.len() > 1 {
                    self.shared.sync_soon(Owner::Committer, Sync::Segment(segment));
                } else {
                    self.shared.sync_later(Owner::Committer, Sync::Segment(segment));
                }
            }
            // The lane takes it; the flusher will meet the trouble again, and say so.
            Err(error) => {
                self.shared.settings.reached(Rare::DirectWriteFailed);
                tracing::debug!(log = %piece.log.name(), "a direct piece failed: {error}");
            }
        }
        Next::Again
    }

    pub(crate) fn sync_direct(&mut self) -> Next {
        match self.shared.sync_next(Owner::Committer) {
            Found::Synced => Next::Again,
            Found::Running => Next::Idle,
            Found::Nothing => self.complete(),
            Found::Failed => Next::Stop,
        }
    }
}

/// The first run of batches behind what is captured, if it is large and its segment takes it.
fn plan(log: &Arc<Log>, state: &mut State, bytes_min: usize) -> Option<DirectPiece> {
    let from = state.captured_end;
    let first = state.tail.from(from).next()?;
    let place = first.place;
    if first.bytes.len() < log.shared.settings.direct_batch_bytes {
        return None;
    }
    let segment = state.segment(place.segment)?.clone();
    if segment.generation() > 0 {
        return None; // A piece's identity names the log's own segment, not one that compaction has written.
    }
    if state.named != Some(place.segment) {
        want_names(log, state, &log.shared);
        return None;
    }
    let (mut parts, mut size_bytes, mut to) = (Vec::new(), 0, from);
    for batch in state.tail.from(from).take_while(|batch| batch.place.segment == place.segment) {
        if size_bytes + batch.bytes.len() > PIECE_BYTES_MAX && !parts.is_empty() {
            break;
        }
        size_bytes += batch.bytes.len();
        to = batch.next;
        parts.push(batch.bytes.clone());
    }
    let is_large = size_bytes >= bytes_min && size_bytes / parts.len() >= log.shared.settings.direct_batch_bytes;
    is_large.then(|| DirectPiece {
        log: log.clone(),
        from,
        to,
        size_bytes: size_bytes as u32,
        place,
        segment,
        parts,
        is_written: false,
        is_recorded: false,
    })
}

/// The flusher makes the file and syncs its name; until then the lane takes what comes.
fn want_names(log: &Arc<Log>, state: &mut State, shared: &Shared) {
    if !state.is_naming {
        state.is_naming = true;
        shared.give(Job::Name { log: log.clone() });
    }
}
