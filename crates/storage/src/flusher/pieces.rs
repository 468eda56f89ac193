//! From the tails to the segments: pieces of what is durable, large where there is enough, after a second otherwise. The
//! kernel is asked to begin writing large ones at once, so that a checkpoint's syncs find little left to do.
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;

use bytes::Bytes;
use record::Offset;

use super::{Did, Flusher, Step, fatal, io_trouble, trouble};
use crate::journal::record::SegmentPlace;
use crate::log::Log;
use crate::log::state::State;
use crate::segment::{Segment, Written};
use crate::shared::count;

/// One write takes no more than this, so that nothing else waits long.
const PIECE_BYTES_MAX: usize = 1 << 20;
/// Of smaller ones the kernel makes a write of its own for each, and perhaps for the same page again a second later.
const WRITEBACK_BYTES_MIN: usize = 64 << 10;
/// Nor more parts than one system call takes.
const PARTS_MAX: usize = 1024;

impl Log {
    /// Puts the log into one of the flusher's queues if its tail has something to write. True if the flusher should be
    /// woken.
    pub(crate) fn offer_pieces(self: &Arc<Self>, state: &mut State) -> bool {
        if state.is_ready {
            return false;
        }
        let writable = state.writable_bytes();
        if writable == 0 {
            return false;
        }
        let mut work = self.shared.work.lock();
        if writable >= self.shared.settings.piece_bytes {
            state.is_ready = true;
            work.ready.push_back(Arc::downgrade(self));
            return true;
        }
        if !state.is_aging {
            state.is_aging = true;
            let is_first = work.aging.is_empty();
            work.aging.push_back((self.shared.env.clock.now() + self.shared.settings.piece_age, Arc::downgrade(self)));
            // It sleeps until the first of the queue is due, whoever comes behind.
            return is_first || self.shared.budget.is_pressed();
        }
        self.shared.budget.is_pressed()
    }
}

impl Flusher {
    pub(super) fn step_pieces(&mut self) -> Step {
        if self.is_waiting_for_space() {
            return Ok(Did::Nothing);
        }
        loop {
            if self.leaves_tails() {
                return Ok(Did::Nothing);
            }
            if self.writing.is_none() {
                let Some(log) = self.shared.work.lock().ready.pop_front() else { return Ok(Did::Nothing) };
                let Some(log) = log.upgrade() else { continue };
                log.state().is_ready = false;
                self.writing = Some(log);
            }
            let log = self.writing.clone().expect("just set");
            match self.write_piece(&log) {
                Ok(Did::Nothing) => self.writing = None,
                other => return other,
            }
        }
    }

    /// Tails that have waited long enough, or all of them if memory is short, become ready.
    pub(super) fn step_aging(&mut self) -> Step {
        let now = self.now();
        if let Some(until) = self.full_until.filter(|until| *until > now) {
            return Ok(Did::Later(until));
        }
        let mut work = self.shared.work.lock();
        let mut moved = false;
        let leaves_tails = self.leaves_tails();
        while let Some((at, log)) = work.aging.front() {
            if leaves_tails {
                return Ok(Did::Nothing);
            }
            if *at > now && !self.shared.budget.is_pressed() && self.closing.is_none() {
                break;
            }
            let log = log.upgrade();
            work.aging.pop_front();
            let Some(log) = log else { continue };
            // The log's lock comes before the queue's.
            drop(work);
            {
                let mut state = log.state();
                state.is_aging = false;
                if !state.is_ready && !state.tail.is_empty() {
                    state.is_ready = true;
                    self.shared.work.lock().ready.push_back(Arc::downgrade(&log));
                    moved = true;
                }
            }
            work = self.shared.work.lock();
        }
        match work.aging.front() {
            _ if moved => Ok(Did::Something),
            Some((at, _)) => Ok(Did::Later(*at)),
            None => Ok(Did::Nothing),
        }
    }

    pub(super) fn is_waiting_for_space(&mut self) -> bool {
        let Some(until) = self.full_until else { return false };
        if self.now() < until {
            return true;
        }
        self.full_until = None;
        false
    }

    /// The next thing to be done for the log's tail: one call to the disk, or nothing if it has no more to write.
    pub(super) fn write_piece(&mut self, log: &Arc<Log>) -> Step {
        let next = {
            let mut state = log.state();
            // As long as its deletion is only asked for, a crash can bring it back: then it is whole. Of one that is gone
            // the directory may be gone too, and nothing is to be written or synced there.
            if state.is_gone {
                return Ok(Did::Nothing);
            }
            if std::mem::take(&mut state.made_names) {
                self.dirty_directories.insert(log.directory());
                self.dirty_directories.insert(self.shared.path.clone());
            }
            let before = state.written.place.segment;
            if state.step_over_direct(&self.shared.budget) {
                // Synced already; but only a sync by us moves S.
                let segments = state.segments.iter().filter(|segment| segment.base_offset() >= before);
                let passed = segments.take_while(|segment| segment.base_offset() <= state.written.place.segment);
                self.dirty.extend(passed.map(|segment| ((log.log_id(), segment.base_offset()), segment.clone())));
            }
            next_piece(&mut state)
        };
        let (segment, position, end, parts) = match next {
            Piece::Nothing => return Ok(Did::Nothing),
            Piece::Index(segment, written) => {
                segment.write_indexes(written).map_err(|error| trouble("an index", &error))?;
                return Ok(Did::Something);
            }
            Piece::Seal(segment, next) => {
                segment.seal().map_err(|error| trouble("the index of a full segment", &error))?;
                log.state().sealed_below = next;
                self.dirty_directories.insert(log.directory());
                return Ok(Did::Something);
            }
            Piece::Write { segment, position, end, parts } => (segment, position, end, parts),
        };
        let is_dirty = self.dirty.contains_key(&(log.log_id(), segment.base_offset()));
        if !is_dirty && self.dirty.len() >= self.shared.settings.dirty_segments_max() {
            self.sync_some_segments();
            return Ok(Did::Something);
        }
        if self.make_file(log, &segment)? == Did::Something {
            return Ok(Did::Something);
        }
        let size_bytes: usize = parts.iter().map(Bytes::len).sum();
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        // From here on the segment must be synced, whatever comes of the write.
        self.dirty.insert((log.log_id(), segment.base_offset()), segment.clone());
        segment.write_at(&slices, position).map_err(|error| trouble("a write to a segment failed", &error))?;
        let reached = position + size_bytes as u32;
        if size_bytes >= WRITEBACK_BYTES_MIN {
            segment.start_writeback(position..reached).map_err(|error| fatal("a write to a segment failed", &error))?;
        }
        {
            let mut state = log.state();
            state.written.offset = end;
            state.written.place = SegmentPlace { segment: segment.base_offset(), position: reached };
            state.tail.forget_below(end, &self.shared.budget);
            step_over_roll(&mut state);
        }
        count(&self.shared.counters.pieces, 1);
        count(&self.shared.counters.piece_bytes, size_bytes as u64);
        Ok(Did::Something)
    }

    /// Makes the log's directory, then the segment's file, one a step.
    pub(super) fn make_file(&mut self, log: &Arc<Log>, segment: &Arc<Segment>) -> Step {
        if !log.state().directory.is_made {
            match self.shared.env.disk.create_dir(&log.directory()) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(io_trouble("a log's directory cannot be made", &error));
                }
                _ => {}
            }
            log.state().directory.is_made = true;
            self.dirty_directories.insert(self.shared.path.clone());
            return Ok(Did::Something);
        }
        // Also behind what was written: the file may have gone while no broker ran.
        let is_new = segment.open_or_create().map_err(|error| trouble("a segment cannot be made", &error))?;
        if is_new {
            self.dirty_directories.insert(log.directory());
            return Ok(Did::Something);
        }
        Ok(Did::Nothing)
    }
}

enum Piece {
    Nothing,
    /// Enough of the segment's index is known to be worth a write.
    Index(Arc<Segment>, Written),
    /// The segment is full and written; the next begins here.
    Seal(Arc<Segment>, Offset),
    Write {
        segment: Arc<Segment>,
        position: u32,
        end: Offset,
        parts: Vec<Bytes>,
    },
}

fn next_piece(state: &mut State) -> Piece {
    step_over_roll(state);
    if state.sealed_below < state.written.place.segment {
        let index = state.segments.partition_point(|segment| segment.base_offset() < state.sealed_below);
        if let (Some(segment), Some(next)) = (state.segments.get(index), state.segments.get(index + 1))
            && segment.base_offset() < state.written.place.segment
        {
            return Piece::Seal(segment.clone(), next.base_offset());
        }
    }
    let place = state.written.place;
    if let Some(first) = state.tail.from(state.written.offset).next() {
        assert!(first.place == place || first.in_file, "the tail goes on where the files end");
    }
    let (mut size_bytes, mut end, mut parts) = (0, state.written.offset, Vec::new());
    for batch in state.tail.from(state.written.offset) {
        let fits = parts.is_empty() || size_bytes + batch.bytes.len() <= PIECE_BYTES_MAX && parts.len() < PARTS_MAX;
        let belongs = batch.place.segment == place.segment && !batch.in_file;
        if !fits || !belongs || batch.next > state.durable_end {
            break;
        }
        size_bytes += batch.bytes.len();
        end = batch.next;
        parts.push(batch.bytes.clone());
    }
    let segment = state.segment(place.segment).expect("what is to be written has a segment").clone();
    if parts.is_empty() {
        let written = state.written_of(&segment);
        return if segment.indexes_due(written) { Piece::Index(segment, written) } else { Piece::Nothing };
    }
    Piece::Write { segment, position: place.position, end, parts }
}

/// Where a segment ends the next begins.
fn step_over_roll(state: &mut State) {
    let place = state.written.place;
    let index = state.segments.partition_point(|segment| segment.base_offset() <= place.segment);
    let Some(next) = state.segments.get(index) else { return };
    let is_whole = state.segment(place.segment).is_none_or(|segment| segment.summary().size_bytes <= place.position);
    if is_whole {
        state.written.place = SegmentPlace { segment: next.base_offset(), position: 0 };
    }
}
