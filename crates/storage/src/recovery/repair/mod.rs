//! Makes a log's files what its map says: what the lane has is written into the segments again, what is beyond the end is
//! cut, everything is synced. Done twice it does the same, so a crash anywhere in here does no harm.
mod files;
mod lost;
mod reading;

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use env::Env;
use record::{BatchView, Batches, Offset, Timestamp};

use super::OpenError;
use super::map::{LogMap, Piece, Source};
use crate::budget::Budget;
use crate::journal::record::SegmentPlace;
use crate::journal::walk::Walker;
use crate::leader_epochs::LeaderEpochs;
use crate::log::state::Reach;
use crate::producer_state::ProducerState;
use crate::segment::{BatchPlace, IndexSettings, OpenFiles, Segment, Summary, Written};
use crate::settings::Durability;
use crate::shared::Shared;
use crate::tail::Tail;

/// A log as it is after its repair.
pub(crate) struct Repaired {
    pub segments: VecDeque<Arc<Segment>>,
    /// Below the log start: to be removed once checkpoints know their producers.
    pub dropped: Vec<Arc<Segment>>,
    pub epochs: LeaderEpochs,
    pub producers: ProducerState,
    /// All of it is durable, in the lane or in files.
    pub end: Reach,
    /// How far the files reach; above it the tail begins.
    pub written: Reach,
    pub synced: Reach,
    pub tail: Tail,
    pub directory_is_made: bool,
    /// Ranges that nobody has any more.
    pub faulty: Vec<Range<Offset>>,
    /// Of a relaxed log: how many bytes behind S were found and kept, and how many were not.
    pub kept_bytes: u64,
    pub dropped_bytes: u64,
}

/// How a log comes back. The lane keeps what it has until the next checkpoints, so nothing of that need be written now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// Written and synced before anything is published: what is above S in the files is all there is, or is to go.
    Synced,
    /// Written, and synced by the next checkpoint.
    Written,
    /// What the lane has is the log's tail again, and no file is touched.
    Tail,
}

/// The repair of one log, while all pieces of the lane are gone through in their order.
pub(crate) struct Repair {
    env: Env,
    files: Arc<OpenFiles>,
    directory: Arc<Path>,
    durable_group: u64,
    mode: Mode,
    synced: Reach,
    log_start: Offset,
    first: Offset,
    log: Log,
    tail: Tail,
    directory_is_made: bool,
    is_relaxed: bool,
    open_cut: Option<Offset>,
    faulty: Vec<Range<Offset>>,
    /// Of the segments that the checkpoint and the lane know: base offsets and generations.
    known: Vec<(Offset, u32)>,
    /// A planted bug: producers are taken from the checkpoint also where the log was cut since.
    pub keeps_snapshot: bool,
}

/// What becomes of the log while its batches are gone through.
struct Log {
    segments: VecDeque<Arc<Segment>>,
    epochs: LeaderEpochs,
    producers: ProducerState,
    /// Segments, epochs and producers have taken note of everything below.
    noted: Offset,
}

impl Repair {
    pub fn new(shared: &Shared, directory: Arc<Path>, durable_group: u64, map: &LogMap, mode: Mode) -> Repair {
        // Where S has come anywhere, there is a directory with a durable name.
        let is_known = map.synced.place.position > 0 || map.synced.place.segment > map.log_start;
        Repair {
            env: shared.env.clone(),
            files: shared.files.clone(),
            directory,
            durable_group,
            mode,
            synced: map.synced,
            log_start: map.log_start,
            first: Offset(i64::MIN),
            log: Log {
                segments: VecDeque::new(),
                epochs: LeaderEpochs::default(),
                producers: ProducerState::new(map.synced.offset),
                noted: map.synced.offset,
            },
            tail: Tail::default(),
            directory_is_made: is_known,
            is_relaxed: map.durability == Durability::Relaxed,
            open_cut: map.open_cut,
            faulty: Vec::new(),
            known: map
                .entry
                .iter()
                .flat_map(|entry| &entry.segments)
                .map(|it| (it.base_offset, it.generation))
                .collect(),
            keeps_snapshot: false,
        }
    }

    /// Before the first piece.
    pub fn begin(&mut self, map: &mut LogMap) -> Result<(), OpenError> {
        if self.mode != Mode::Tail {
            self.make_directory(!map.pieces.is_empty())?;
        }
        let mut log = self.begin_log(map)?;
        self.synced = map.synced;
        if log.noted < map.synced.offset {
            // Synced outside the lane since the entry was taken.
            self.note_from_files(&mut log, map.synced)?;
        }
        self.first = log.drop_below(map.log_start, &map.pieces);
        self.log = log;
        Ok(())
    }

    fn make_directory(&mut self, is_needed: bool) -> Result<(), OpenError> {
        self.directory_is_made = match self.env.disk.read_dir(&self.directory) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::NotFound && is_needed => {
                self.env.disk.create_dir(&self.directory).map_err(|error| self.io(error))?;
                true
            }
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(self.io(error)),
        };
        Ok(())
    }

    /// Left in its place is a log without a segment.
    fn take_log(&mut self) -> Log {
        let empty = Log {
            segments: VecDeque::new(),
            epochs: LeaderEpochs::default(),
            producers: ProducerState::new(Offset::ZERO),
            noted: Offset::ZERO,
        };
        std::mem::replace(&mut self.log, empty)
    }

    /// One piece of the lane, in the order of the lane.
    pub fn take(&mut self, piece: &Piece, walker: &mut Walker<'_>, budget: &Budget) -> Result<(), OpenError> {
        let mut log = self.take_log();
        let taken = self.restore(&mut log, piece, walker, budget);
        self.log = log;
        taken
    }

    /// After the last piece.
    pub fn finish(mut self) -> Result<Repaired, OpenError> {
        let mut log = self.take_log();
        let (mut kept_bytes, mut dropped_bytes) = (0, 0);
        let has_files = self.mode == Mode::Synced && self.directory_is_made;
        if has_files && self.is_relaxed {
            (kept_bytes, dropped_bytes) = self.take_unsynced(&mut log)?;
        }
        if log.noted < self.log_start {
            self.reset(&mut log);
        }
        if has_files {
            dropped_bytes += self.remove_beyond(&log)?;
            self.settle_files(&log)?;
        }
        let has_older = (self.first > Offset(i64::MIN) || log.noted == self.log_start)
            && self.mode != Mode::Tail
            && self.directory_is_made;
        let dropped = if has_older { self.dropped(&log)? } else { Vec::new() };
        let last = log.segments.back().expect("a log has a segment").summary();
        let place = SegmentPlace { segment: last.base_offset, position: last.size_bytes };
        let end = Reach { offset: log.noted, place };
        // Of a segment below the log start nothing is left to be synced.
        let synced = if self.synced.place.segment < self.first {
            Reach { offset: self.first, place: SegmentPlace { segment: self.first, position: 0 } }
        } else {
            self.synced
        };
        let (written, synced) = match self.mode {
            Mode::Synced => (end, end),
            Mode::Written => (end, synced),
            Mode::Tail => (synced, synced),
        };
        let Log { segments, epochs, producers, .. } = log;
        Ok(Repaired {
            segments,
            dropped,
            epochs,
            producers,
            end,
            written,
            synced,
            tail: self.tail,
            directory_is_made: self.directory_is_made,
            faulty: self.faulty,
            kept_bytes,
            dropped_bytes,
        })
    }

    /// The log start is durable, and what was below it was not: a legal gap, as only a relaxed log has.
    fn reset(&self, log: &mut Log) {
        log.segments = VecDeque::from([self.empty_segment(self.log_start)]);
        log.noted = self.log_start;
        log.producers.apply_nothing(self.log_start);
        log.epochs.truncate_from_start(self.log_start);
    }

    /// One piece into its segment, as far as it lies above S.
    fn restore(
        &mut self,
        log: &mut Log,
        piece: &Piece,
        walker: &mut Walker<'_>,
        budget: &Budget,
    ) -> Result<(), OpenError> {
        if matches!(piece.source, Source::Lost) {
            return self.restore_lost(log, piece);
        }
        let (synced, first) = (self.synced, self.first);
        // Of what lies below the log start only its producers are of interest.
        let is_dropped = piece.place.segment < first;
        if is_dropped && piece.to <= log.noted {
            return Ok(());
        }
        let segment = if is_dropped {
            self.segment(Summary::empty(piece.place.segment, Timestamp::NONE))
        } else {
            let segment = self.segment_at(log, piece.place.segment);
            if self.mode != Mode::Tail {
                segment.open_or_create().map_err(|error| OpenError::Segment(error.to_string()))?;
            }
            segment
        };
        if !is_dropped && piece.place.position > segment.summary().size_bytes {
            // What was here is lost; the file is as long as if it were not.
            segment.skip_to(Written { position: piece.place.position, offset: piece.from });
        }
        let bytes = match piece.source {
            Source::Lost => unreachable!("seen to above"),
            Source::Lane(lane) => walker.data(lane, piece.size_bytes)?,
            Source::Direct { crc } => {
                let Some(bytes) = self.whole_piece(&segment, piece, crc)? else {
                    if !is_dropped {
                        let end = piece.place.position + piece.size_bytes;
                        self.note_around_damage(log, &segment, Written { position: end, offset: piece.to })?;
                    }
                    return Ok(());
                };
                bytes
            }
        };
        let mut position = piece.place.position;
        let mut write_from = None;
        for batch in Batches::new(&bytes) {
            let batch = batch.map_err(|error| OpenError::Segment(format!("a piece of the lane: {error}")))?;
            let place = BatchPlace::of(&batch, position);
            if batch.base_offset() >= synced.offset && self.mode == Mode::Tail && !is_dropped {
                let place = SegmentPlace { position, ..piece.place };
                self.tail.push(batch.base_offset(), batch.next_offset(), place, [batch.bytes(), &[]], budget);
            } else if batch.base_offset() >= synced.offset {
                write_from.get_or_insert(position);
            }
            if batch.base_offset() >= log.noted {
                if !is_dropped {
                    segment.note(&place);
                }
                log.note(&batch);
            }
            position += batch.size_bytes() as u32;
            if batch.next_offset() >= piece.to {
                break; // What a truncation has cut off may be gone already.
            }
        }
        let is_doubtful = matches!(piece.source, Source::Lane(_)) || piece.group > self.durable_group;
        if let Some(from) = write_from.filter(|_| is_doubtful && !is_dropped) {
            let [skip, end] = [from, position].map(|at| (at - piece.place.position) as usize);
            let part = IoSlice::new(&bytes[skip..end]);
            segment.write_at(&[part], from).map_err(|error| OpenError::Segment(error.to_string()))?;
        }
        Ok(())
    }

    /// What went straight to the segment, if it is still there.
    fn whole_piece(&self, segment: &Segment, piece: &Piece, crc: u32) -> Result<Option<Vec<u8>>, OpenError> {
        let mut bytes = vec![0; piece.size_bytes as usize];
        let file = match segment.file() {
            Err(error) if error.io_kind() == Some(ErrorKind::NotFound) => return Ok(None),
            file => file.map_err(|error| OpenError::Segment(error.to_string()))?,
        };
        let read = file.read_at(&mut bytes, piece.place.position.into()).map_err(|error| self.io(error))?;
        let is_whole = read == bytes.len() && crc32c::crc32c(&bytes) == crc;
        Ok((piece.is_cut || is_whole).then_some(bytes))
    }

    /// The segment that begins at `base`; after the last one if it is new.
    fn segment_at(&self, log: &mut Log, base: Offset) -> Arc<Segment> {
        if let Some(segment) = log.segments.iter().find(|segment| segment.base_offset() == base) {
            return segment.clone();
        }
        let segment = self.empty_segment(base);
        if log.segments.len() == 1 && log.segments[0].summary().size_bytes == 0 && base != log.segments[0].base_offset()
        {
            log.segments.clear(); // The empty one that it began with.
        }
        log.segments.push_back(segment.clone());
        segment
    }

    fn segment(&self, summary: Summary) -> Arc<Segment> {
        Segment::new(&self.files, self.directory.clone(), summary, IndexSettings::default())
    }

    fn empty_segment(&self, base: Offset) -> Arc<Segment> {
        self.segment(Summary::empty(base, Timestamp(self.env.clock.wall_ms())))
    }

    fn io(&self, error: std::io::Error) -> OpenError {
        OpenError::Io { path: self.directory.display().to_string(), error: error.to_string() }
    }
}

impl Log {
    /// Producers and epochs take note of the next batch. Its segment is the caller's.
    fn note(&mut self, batch: &BatchView<'_>) {
        self.producers.apply(batch, batch.body());
        self.epochs.assign(batch.partition_leader_epoch(), batch.base_offset());
        self.noted = batch.next_offset();
    }

    /// Segments wholly below the log start; their files may be gone already, what is left of them goes.
    /// Returns where the first of those that stay begins.
    fn drop_below(&mut self, log_start: Offset, pieces: &[Piece]) -> Offset {
        let bases = self.segments.iter().map(|segment| segment.base_offset());
        let pieces = pieces.iter().filter(|piece| !matches!(piece.source, Source::Lost));
        let bases = bases.chain(pieces.map(|piece| piece.place.segment));
        let first = bases.filter(|base| *base <= log_start).max().unwrap_or(Offset(i64::MIN));
        while self.segments.front().is_some_and(|segment| segment.base_offset() < first) {
            self.segments.pop_front();
        }
        first
    }
}
