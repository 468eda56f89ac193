//! One segment of a log: a `.log` file of batches as Kafka lays them out, and two sparse indexes over it.
//! What is in it (`Summary`) is told by whoever appends, in order and without the disk; the bytes come to the file
//! later, in pieces, in any order. The indexes are derived: read when needed, checked before they are believed,
//! rebuilt on any doubt. Knows no tail, no journal, no partition; does not decide when to roll, sync or delete.

mod cut;
mod damage;
mod entry;
mod error;
mod files;
mod index;
mod load;
mod names;
mod open_files;
mod place;
mod proven;
mod read;
mod scan;
mod search;
#[cfg(test)]
mod tests;
mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

pub use damage::Damage;
pub(crate) use damage::fault_of;
use entry::{Indexer, OffsetEntry, TimeEntry};
pub(crate) use entry::{entries_of_offsets, entries_of_times};
use env::File;
pub use error::{Fault, SegmentError};
use index::SparseIndex;
pub use names::{FileKind, file_name, parse_file_name};
pub use open_files::OpenFiles;
use parking_lot::Mutex;
pub use place::{BatchPlace, Summary, Written};
pub use proven::Proven;
pub use read::{FileRange, Located, ReadRequest};
use record::{Offset, Timestamp};
pub use scan::{Scanned, Stop};
pub use search::TimestampOffset;

use crate::roll::RollState;

/// Shared by appender, flusher, committer and readers; each call locks it for a moment and never around the disk.
pub struct Segment {
    me: Weak<Segment>,
    files: Arc<OpenFiles>,
    directory: Arc<Path>,
    base_offset: Offset,
    proven: Proven,
    generation: u32,
    state: Mutex<State>,
}

struct State {
    summary: Summary,
    indexer: Indexer,
    offsets: SparseIndex<OffsetEntry>,
    times: SparseIndex<TimeEntry>,
    log: Option<Arc<dyn File>>,
    // `OpenFiles` knows.
    is_open: bool,
    // Counts writes, so that a sync takes note only of those before it.
    writes: u64,
    // synced <= writes
    synced: u64,
    // Rises with every cut, so that what was read from a file before is not taken for true after.
    cuts: u64,
    // Walks step over it.
    damage: Vec<Damage>,
}

/// Whether a call may wait for the disk. On a runtime thread it may not, and answers that the pages are cold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    Blocking,
    Cached,
}

/// `index.interval.bytes`: how many bytes lie between two entries of an index, at least.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IndexSettings {
    pub interval_bytes: u32,
}

impl Default for IndexSettings {
    fn default() -> IndexSettings {
        IndexSettings { interval_bytes: 4096 }
    }
}

impl Segment {
    /// Touches no file. `summary` is that of an empty segment, or what a checkpoint or `summarize` says.
    pub fn new(
        files: &Arc<OpenFiles>,
        directory: Arc<Path>,
        summary: Summary,
        settings: IndexSettings,
    ) -> Arc<Segment> {
        let indexer = Indexer::new(settings.interval_bytes, summary.max_timestamp, summary.max_timestamp_offset);
        // What begins empty is known without its index files; whatever is left of earlier ones is cut when written.
        let is_new = summary.size_bytes == 0;
        let state = State {
            summary,
            indexer,
            offsets: if is_new { SparseIndex::without_file() } else { SparseIndex::unloaded() },
            times: if is_new { SparseIndex::without_file() } else { SparseIndex::unloaded() },
            log: None,
            is_open: false,
            writes: 0,
            synced: 0,
            cuts: 0,
            damage: Vec::new(),
        };
        let Summary { base_offset, generation, .. } = summary;
        let proven = Proven::default();
        Arc::new_cyclic(|me| Segment {
            me: me.clone(),
            files: files.clone(),
            directory,
            base_offset,
            generation,
            proven,
            state: Mutex::new(state),
        })
    }

    pub fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// What of the file may be sent without a look.
    pub fn proven(&self) -> &Proven {
        &self.proven
    }

    pub fn generation(&self) -> u32 {
        self.generation
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn path(&self, kind: FileKind) -> PathBuf {
        self.directory.join(file_name(self.base_offset, self.generation, kind))
    }

    pub fn summary(&self) -> Summary {
        self.state.lock().summary
    }

    pub fn set_index_settings(&self, settings: IndexSettings) {
        self.state.lock().indexer.interval_bytes = settings.interval_bytes;
    }

    /// Takes note of the batch that is appended next. Its bytes may come to the file whenever they like.
    pub fn note(&self, place: &BatchPlace) {
        let state = &mut *self.state.lock();
        state.summary.add(place);
        let (offset_entry, time_entry) = state.indexer.add(place);
        state.offsets.pending.extend(offset_entry);
        state.times.pending.extend(time_entry);
    }

    /// The file goes on behind something that is not what was written.
    pub fn skip_to(&self, end: Written) {
        let state = &mut *self.state.lock();
        let start = state.summary.end();
        if end.position > start.position {
            let damage = Damage { positions: start.position..end.position, offsets: start.offset..end.offset };
            if !state.damage.iter().any(|known| known.positions.contains(&start.position)) {
                state.damage.push(damage);
            }
            (state.summary.size_bytes, state.summary.end_offset) = (end.position, end.offset);
        }
    }

    /// For `roll::should_roll`. Entries of an index that was not read yet are not counted.
    pub fn roll_state(&self) -> RollState {
        let state = self.state.lock();
        RollState {
            base_offset: self.base_offset,
            size_bytes: state.summary.size_bytes,
            created: state.summary.created,
            first_timestamp: state.summary.first_timestamp,
            offset_entries: state.offsets.count(),
            time_entries: state.times.count(),
        }
    }

    fn empty_summary(&self, created: Timestamp) -> Summary {
        Summary { generation: self.generation, ..Summary::empty(self.base_offset, created) }
    }

    fn error(&self, kind: FileKind, fault: impl Into<Fault>) -> SegmentError {
        SegmentError { path: self.path(kind), position: None, fault: fault.into() }
    }

    fn error_at(&self, position: u32, fault: impl Into<Fault>) -> SegmentError {
        SegmentError { path: self.path(FileKind::Log), position: Some(position.into()), fault: fault.into() }
    }
}

impl Access {
    /// `None` if it would have to wait.
    fn read_at(self, file: &dyn File, bytes: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        match self {
            Access::Blocking => file.read_at(bytes, at).map(Some),
            Access::Cached => file.read_cached_at(bytes, at),
        }
    }
}
