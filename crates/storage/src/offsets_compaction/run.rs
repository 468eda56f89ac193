//! A compaction from the first read to the last sync, one step at a time.

use std::fmt;
use std::io::IoSlice;
use std::ops::ControlFlow;
use std::sync::Arc;

use record::{BatchView, CompressionError, Decompressor, Offset, Timestamp};

use super::keys::supersedes;
use super::rewrite::{RewriteError, Rewritten, rewrite};
use super::{CompactionRules, KeyMap};
use crate::segment::{BatchPlace, Fault, Segment, SegmentError, Summary, Written};

/// Old segments and the new one that is to take their place.
struct Group {
    sources: Vec<Arc<Segment>>,
    target: Segment,
}

/// Looks at the next batch of an old segment, and says whether to go on.
type Visit<'a> = dyn FnMut(&BatchView<'_>, BatchPlace) -> Result<ControlFlow<()>, CompactionError> + 'a;

/// Where the reading has come to.
#[derive(Clone, Copy)]
struct Cursor {
    group: usize,
    source: usize,
    written: Written,
}

enum Phase {
    /// Learning which records are the newest.
    Keys(Cursor),
    /// Writing what is left of them.
    Rewrite(Cursor),
    /// The indexes of this group's new segment.
    Seal(usize),
    Sync(usize),
    Done,
}

/// One run over some segments of a log.
pub struct Compaction {
    groups: Vec<Group>,
    keys: KeyMap,
    rules: CompactionRules,
    /// What the horizon of tombstones is reckoned from: one moment for the whole run.
    now: Timestamp,
    phase: Phase,
    decompressor: Decompressor,
    compacted: Compacted,
    // What the present step has found for the new segment.
    out: Vec<u8>,
    places: Vec<BatchPlace>,
}

/// What a run has done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Compacted {
    /// Of each new segment, in order.
    pub summaries: Vec<Summary>,
    /// Records below it were compared with all others below it.
    pub end: Offset,
    pub bytes_before: u64,
    pub bytes_after: u64,
    pub batches_dropped: u64,
}

#[derive(Debug, Eq, PartialEq)]
pub enum Progress {
    More,
    /// Everything is written and synced; the names of the new files are not.
    Done(Compacted),
}

/// The old segments are untouched; the new files are to be removed.
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
/// Beyond this a batch is not decompressed; validation has let none in.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 30;

impl Compaction {
    /// Each group's old segments, in order, and the new, empty one, whose base offset is that of the first of them.
    /// `log_start`: records below it are not looked at.
    pub fn new(
        groups: Vec<(Vec<Arc<Segment>>, Segment)>,
        log_start: Offset,
        rules: CompactionRules,
        now: Timestamp,
    ) -> Compaction {
        let groups: Vec<Group> = groups.into_iter().map(|(sources, target)| Group { sources, target }).collect();
        for group in &groups {
            let first = group.sources.first().expect("a group has segments");
            assert_eq!(
                first.base_offset(),
                group.target.base_offset(),
                "a new segment bears the name of the first old"
            );
        }
        let sources = groups.iter().flat_map(|group| &group.sources);
        let bytes_before = sources.map(|source| u64::from(source.summary().size_bytes)).sum();
        let phase = groups.first().map_or(Phase::Done, |group| Phase::Keys(Cursor::begin(0, group)));
        Compaction {
            keys: KeyMap::new(log_start, rules.key_bytes_max),
            groups,
            rules,
            now,
            phase,
            decompressor: Decompressor::new(),
            compacted: Compacted { bytes_before, ..Compacted::default() },
            out: Vec::new(),
            places: Vec::new(),
        }
    }

    /// At most one write or sync. After an error there is no next.
    pub fn step(&mut self) -> Result<Progress, CompactionError> {
        match self.phase {
            Phase::Keys(cursor) => self.phase = self.read_keys(cursor)?,
            Phase::Rewrite(cursor) => self.phase = self.rewrite_some(cursor)?,
            Phase::Seal(group) => {
                self.groups[group].target.seal().map_err(CompactionError::Segment)?;
                self.phase = Phase::Sync(group);
            }
            Phase::Sync(group) => {
                let target = &self.groups[group].target;
                target.sync().map_err(CompactionError::Segment)?;
                self.compacted.summaries.push(target.summary());
                self.compacted.bytes_after += u64::from(target.summary().size_bytes);
                self.phase = match self.groups.get(group + 1) {
                    Some(next) => Phase::Rewrite(Cursor::begin(group + 1, next)),
                    None => Phase::Done,
                };
            }
            Phase::Done => {}
        }
        if let Phase::Done = self.phase {
            self.compacted.end = self.keys.end();
            return Ok(Progress::Done(self.compacted.clone()));
        }
        Ok(Progress::More)
    }

    /// The new segments, once it is done: they may be read as they are.
    pub fn into_targets(self) -> Vec<Segment> {
        self.groups.into_iter().map(|group| group.target).collect()
    }

    /// After an error, or when the log is gone.
    pub fn remove_files(&self) -> Result<(), SegmentError> {
        self.groups.iter().try_for_each(|group| group.target.remove_files())
    }

    fn read_keys(&mut self, mut cursor: Cursor) -> Result<Phase, CompactionError> {
        let (keys, decompressor) = (&mut self.keys, &mut self.decompressor);
        let mut is_full = false;
        cursor.scan(&self.groups, &mut |batch, _| {
            // Below the log start nothing is read any more, so nothing there is worth its memory.
            if batch.next_offset() <= keys.end() {
                return Ok(ControlFlow::Continue(()));
            }
            let body = body(decompressor, batch)?;
            let fits = keys.add(batch, body).map_err(|error| CompactionError::Rewrite {
                offset: batch.base_offset(),
                error: RewriteError { error },
            })?;
            is_full |= !fits;
            Ok(if fits { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if is_full || !cursor.advance(&self.groups, true) {
            return Ok(Phase::Rewrite(Cursor::begin(0, &self.groups[0])));
        }
        Ok(Phase::Keys(cursor))
    }

    fn rewrite_some(&mut self, mut cursor: Cursor) -> Result<Phase, CompactionError> {
        let group = &self.groups[cursor.group];
        let last_offset = group.sources.last().map(|source| source.summary().end_offset - 1);
        let Compaction { keys, rules, now, decompressor, compacted, out, places, .. } = self;
        let start = group.target.summary().size_bytes;
        out.clear();
        places.clear();
        cursor.scan(&self.groups, &mut |batch, _| {
            let body: &[u8] = if supersedes(batch) { body(decompressor, batch)? } else { &[] };
            let before = out.len();
            let keeps_end = Some(batch.last_offset()) == last_offset;
            let rewritten = rewrite(batch, body, keys, keeps_end, rules, *now, out)
                .map_err(|error| CompactionError::Rewrite { offset: batch.base_offset(), error })?;
            if rewritten == Rewritten::Dropped {
                compacted.batches_dropped += 1;
                return Ok(ControlFlow::Continue(()));
            }
            let position = position_after(start, before)?;
            position_after(start, out.len())?;
            let written = BatchView::parse(&out[before..]).expect("a batch that was just built");
            places.push(BatchPlace::of(&written, position));
            Ok(ControlFlow::Continue(()))
        })?;
        let target = &self.groups[cursor.group].target;
        if !self.out.is_empty() {
            self.places.iter().for_each(|place| target.note(place));
            target.open_or_create().map_err(CompactionError::Segment)?;
            target.write_at(&[IoSlice::new(&self.out)], start).map_err(CompactionError::Segment)?;
        }
        if cursor.advance(&self.groups, false) { Ok(Phase::Rewrite(cursor)) } else { Ok(Phase::Seal(cursor.group)) }
    }
}

impl Cursor {
    fn begin(index: usize, group: &Group) -> Cursor {
        Cursor { group: index, source: 0, written: start_of(&group.sources[0]) }
    }

    /// Reads on from here, and stops after a step's worth, at the end of the segment, or when the visitor says so.
    fn scan(&mut self, groups: &[Group], visit: &mut Visit<'_>) -> Result<(), CompactionError> {
        let source = &groups[self.group].sources[self.source];
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

    /// To the next segment if this one is read; to the next group too, if asked to. False at the end.
    fn advance(&mut self, groups: &[Group], across_groups: bool) -> bool {
        let group = &groups[self.group];
        if self.written.position < group.sources[self.source].summary().size_bytes {
            return true;
        }
        if let Some(next) = group.sources.get(self.source + 1) {
            *self = Cursor { source: self.source + 1, written: start_of(next), ..*self };
            return true;
        }
        match groups.get(self.group + 1) {
            Some(next) if across_groups => {
                *self = Cursor::begin(self.group + 1, next);
                true
            }
            _ => false,
        }
    }
}

fn start_of(segment: &Segment) -> Written {
    Written { position: 0, offset: segment.base_offset() }
}

fn position_after(start: u32, bytes: usize) -> Result<u32, CompactionError> {
    let position = start as usize + bytes;
    if position > i32::MAX as usize { Err(CompactionError::Full) } else { Ok(position as u32) }
}

fn body<'a>(decompressor: &'a mut Decompressor, batch: &BatchView<'a>) -> Result<&'a [u8], CompactionError> {
    let offset = batch.base_offset();
    decompressor.body(batch, DECOMPRESSED_BYTES_MAX).map_err(|error| CompactionError::Compression { offset, error })
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
