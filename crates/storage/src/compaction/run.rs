//! A compaction from the first read to the last sync, one step at a time.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use record::{BatchView, CompressionError, Decompressor, Offset, Timestamp};

use super::groups::groups;
use super::keys::supersedes;
use super::rewrite::{RewriteError, Rewritten, Survival, rewrite};
use super::{CompactionRules, KeyMap, LastBatches};
use crate::segment::{BatchPlace, Fault, Segment, SegmentError, Summary, Written};

/// The part of a log that a run is about.
pub struct Part {
    /// From the log's beginning on, one behind the other.
    pub segments: Vec<Arc<Segment>>,
    /// Newer records are looked for from here on,
    pub first_dirty: Offset,
    /// up to here, where the segment behind these begins.
    pub end: Offset,
    pub last_batches: LastBatches,
}

/// Makes the empty segment that is to be written.
pub type Make = Box<dyn FnMut(Summary) -> Arc<Segment> + Send>;

/// Looks at the next batch of an old segment, and says whether to go on.
type Visit<'a> = dyn FnMut(&BatchView<'_>, BatchPlace) -> Result<ControlFlow<()>, CompactionError> + 'a;

/// Where the reading has come to.
#[derive(Clone, Copy)]
struct Cursor {
    source: usize,
    written: Written,
}

enum Phase {
    /// Learning which records are the newest.
    Keys(Cursor),
    /// Writing what is left of them.
    Rewrite(Cursor),
    /// The indexes of the new segment.
    Seal,
    Sync,
    Done,
}

/// One run over some segments of a log.
pub struct Run {
    part: Part,
    make: Make,
    keys: KeyMap,
    rules: CompactionRules,
    /// What the horizon of tombstones is reckoned from: one moment for the whole run.
    now: Timestamp,
    phase: Phase,
    /// Old segments, by their places, that are still to become one.
    groups: VecDeque<Range<usize>>,
    target: Option<Arc<Segment>>,
    decompressor: Decompressor,
    // What the present step has found for the new segment.
    out: Vec<u8>,
    places: Vec<BatchPlace>,
    io_bytes: u64,
}

/// A new segment, complete and synced; its name is not.
pub struct Finished {
    pub sources: Vec<Arc<Segment>>,
    pub target: Arc<Segment>,
    /// Set with the last: everything below is compacted then.
    pub compacted_end: Option<Offset>,
}

pub enum Progress {
    More,
    Segment(Finished),
    Done,
}

/// The old segments are untouched; the new file is to be removed.
#[derive(Debug)]
pub enum CompactionError {
    Compression {
        offset: Offset,
        error: CompressionError,
    },
    /// The new segment would outgrow 31 bits.
    Full,
    Rewrite {
        offset: Offset,
        error: RewriteError,
    },
    Segment(SegmentError),
    /// An old segment is not what was written.
    Source {
        base_offset: Offset,
        position: u32,
        fault: Fault,
    },
}

/// Read at once.
const STEP_BYTES: u32 = 1 << 20;
/// A batch that becomes larger stays as it is, and supersedes nothing: a few bytes of it may stand for gigabytes.
const BODY_BYTES_MAX: usize = 64 << 20;

impl Run {
    pub fn new(part: Part, make: Make, rules: CompactionRules, now: Timestamp) -> Run {
        let first =
            part.segments.partition_point(|segment| segment.base_offset() <= part.first_dirty).saturating_sub(1);
        let phase = match part.segments.get(first) {
            Some(segment) => Phase::Keys(Cursor { source: first, written: start_of(segment) }),
            None => Phase::Done,
        };
        Run {
            keys: KeyMap::new(part.first_dirty, rules.key_bytes_max),
            part,
            make,
            rules,
            now,
            phase,
            groups: VecDeque::new(),
            target: None,
            decompressor: Decompressor::new(),
            out: Vec::new(),
            places: Vec::new(),
            io_bytes: 0,
        }
    }

    /// At most one write or sync. After an error there is no next.
    pub fn step(&mut self) -> Result<Progress, CompactionError> {
        match self.phase {
            Phase::Keys(cursor) => self.phase = self.read_keys(cursor)?,
            Phase::Rewrite(cursor) => self.phase = self.rewrite_some(cursor)?,
            Phase::Seal => {
                self.target().seal().map_err(CompactionError::Segment)?;
                self.phase = Phase::Sync;
            }
            Phase::Sync => {
                self.target().sync().map_err(CompactionError::Segment)?;
                return Ok(Progress::Segment(self.finish_group()));
            }
            Phase::Done => return Ok(Progress::Done),
        }
        Ok(Progress::More)
    }

    /// Read and written since it was last asked.
    pub fn take_io_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.io_bytes)
    }

    /// What has been begun and not finished, to be removed after an error.
    pub fn unfinished(&self) -> Option<&Arc<Segment>> {
        self.target.as_ref()
    }

    fn target(&self) -> &Arc<Segment> {
        self.target.as_ref().expect("a group is being written")
    }

    fn finish_group(&mut self) -> Finished {
        let group = self.groups.pop_front().expect("one is being written");
        let target = self.target.take().expect("it is being written");
        let compacted_end = self.groups.is_empty().then(|| self.keys.end());
        self.phase = self.begin_group();
        Finished { sources: self.part.segments[group].to_vec(), target, compacted_end }
    }

    fn begin_group(&mut self) -> Phase {
        let Some(group) = self.groups.front().cloned() else { return Phase::Done };
        let sources = &self.part.segments[group.clone()];
        let summaries = || sources.iter().map(|source| source.summary());
        let (first, last) = (&sources[0], sources.last().expect("a group has segments"));
        let generation = summaries().map(|summary| summary.generation).max().unwrap_or(0) + 1;
        // Where no record has a time, retention goes by this.
        let summary = Summary { generation, ..Summary::empty(first.base_offset(), last.summary().created) };
        self.target = Some((self.make)(summary));
        Phase::Rewrite(Cursor { source: group.start, written: start_of(first) })
    }

    fn read_keys(&mut self, mut cursor: Cursor) -> Result<Phase, CompactionError> {
        let Run { part, keys, decompressor, io_bytes, .. } = self;
        let mut is_full = false;
        cursor.scan(&part.segments, io_bytes, &mut |batch, _| {
            if batch.next_offset() <= part.first_dirty {
                return Ok(ControlFlow::Continue(()));
            }
            let fits = match body(decompressor, batch)? {
                Some(body) => keys.add(batch, body).map_err(|error| CompactionError::Rewrite {
                    offset: batch.base_offset(),
                    error: RewriteError { error },
                })?,
                None => {
                    keys.reach(batch.next_offset());
                    true
                }
            };
            is_full |= !fits;
            Ok(if fits { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if !is_full {
            let Some(segment) = cursor.read_through(&part.segments) else { return Ok(Phase::Keys(cursor)) };
            keys.reach(part.segments.get(segment + 1).map_or(part.end, |next| next.base_offset()));
            if cursor.advance(&part.segments) {
                return Ok(Phase::Keys(cursor));
            }
        }
        let count = part.segments.partition_point(|segment| segment.base_offset() < keys.end());
        let end = part.segments.get(count).map_or(part.end, |next| next.base_offset());
        self.groups = groups(&part.segments[..count], end, self.rules.segment_bytes_max).into();
        Ok(self.begin_group())
    }

    fn rewrite_some(&mut self, mut cursor: Cursor) -> Result<Phase, CompactionError> {
        let group = self.groups.front().cloned().expect("one is being written");
        let target = self.target().clone();
        let Run { part, keys, rules, now, decompressor, out, places, io_bytes, .. } = self;
        let start = target.summary().size_bytes;
        let survival = Survival {
            keys,
            last_batches: &part.last_batches,
            end: part.end,
            delete_retention_ms: rules.delete_retention_ms,
            now: *now,
        };
        out.clear();
        out.reserve(cursor.step_bytes(&part.segments) as usize);
        places.clear();
        cursor.scan(&part.segments[..group.end], io_bytes, &mut |batch, _| {
            let before = out.len();
            let body = if supersedes(batch) { body(decompressor, batch)? } else { None };
            let rewritten = match body {
                Some(body) => rewrite(batch, body, &survival, out)
                    .map_err(|error| CompactionError::Rewrite { offset: batch.base_offset(), error })?,
                None => {
                    out.extend_from_slice(batch.bytes());
                    Rewritten::Kept
                }
            };
            if rewritten != Rewritten::Dropped {
                let position = position_after(start, before)?;
                position_after(start, out.len())?;
                let written = BatchView::parse(&out[before..]).expect("a batch that was just built");
                places.push(BatchPlace::of(&written, position));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        // Also where nothing is left: a name is there to be found.
        target.open_or_create().map_err(CompactionError::Segment)?;
        if !out.is_empty() {
            *io_bytes += out.len() as u64;
            places.iter().for_each(|place| target.note(place));
            target.write_at(&[IoSlice::new(out)], start).map_err(CompactionError::Segment)?;
        }
        let is_read = cursor.read_through(&part.segments).is_some();
        if !is_read || cursor.advance(&part.segments[..group.end]) {
            return Ok(Phase::Rewrite(cursor));
        }
        Ok(Phase::Seal)
    }
}

impl Cursor {
    /// Reads on from here, and stops after a step's worth, at the end of the segment, or when the visitor says so.
    fn scan(
        &mut self,
        sources: &[Arc<Segment>],
        io_bytes: &mut u64,
        visit: &mut Visit<'_>,
    ) -> Result<(), CompactionError> {
        let source = &sources[self.source];
        let enough = self.written.position.saturating_add(STEP_BYTES);
        let mut trouble = None;
        let scanned = source
            .scan(self.written, source.summary().size_bytes, &mut |batch, place| match visit(batch, place) {
                Ok(ControlFlow::Continue(())) if place.end().position < enough => ControlFlow::Continue(()),
                Ok(_) => ControlFlow::Break(()),
                Err(error) => {
                    trouble = Some(error);
                    ControlFlow::Break(())
                }
            })
            .map_err(CompactionError::Segment)?;
        if let Some(error) = trouble {
            return Err(error);
        }
        *io_bytes += u64::from(scanned.end.position - self.written.position);
        self.written = scanned.end;
        match scanned.stop {
            None => Ok(()),
            Some(stop) => Err(CompactionError::Source {
                base_offset: source.base_offset(),
                position: scanned.end.position,
                fault: stop.fault,
            }),
        }
    }

    /// What the next step reads, at most; a batch that is larger comes whole.
    fn step_bytes(&self, sources: &[Arc<Segment>]) -> u32 {
        sources[self.source].summary().size_bytes.saturating_sub(self.written.position).min(STEP_BYTES)
    }

    /// The segment's place, if it is read to its end.
    fn read_through(&self, sources: &[Arc<Segment>]) -> Option<usize> {
        (self.written.position >= sources[self.source].summary().size_bytes).then_some(self.source)
    }

    /// To the next segment. False at the end.
    fn advance(&mut self, sources: &[Arc<Segment>]) -> bool {
        let Some(next) = sources.get(self.source + 1) else { return false };
        *self = Cursor { source: self.source + 1, written: start_of(next) };
        true
    }
}

fn start_of(segment: &Segment) -> Written {
    Written { position: 0, offset: segment.base_offset() }
}

fn position_after(start: u32, bytes: usize) -> Result<u32, CompactionError> {
    let position = start as usize + bytes;
    if position > i32::MAX as usize { Err(CompactionError::Full) } else { Ok(position as u32) }
}

/// `None` if it is too large to be looked at.
fn body<'a>(decompressor: &'a mut Decompressor, batch: &BatchView<'a>) -> Result<Option<&'a [u8]>, CompactionError> {
    match decompressor.body(batch, BODY_BYTES_MAX) {
        Ok(body) => Ok(Some(body)),
        Err(CompressionError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(CompactionError::Compression { offset: batch.base_offset(), error }),
    }
}

impl fmt::Display for CompactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompactionError::Compression { offset, error } => write!(f, "at offset {offset}: {error}"),
            CompactionError::Full => f.write_str("the compacted segment would have more than 2 GiB"),
            CompactionError::Rewrite { offset, error } => write!(f, "at offset {offset}: {error}"),
            CompactionError::Segment(error) => error.fmt(f),
            CompactionError::Source { base_offset, position, fault } => {
                write!(f, "segment {base_offset} at {position}: {fault}")
            }
        }
    }
}

impl std::error::Error for CompactionError {}
