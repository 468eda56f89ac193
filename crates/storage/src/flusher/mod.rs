//! The one thread that touches segment files, beside direct pieces: it writes tails in pieces, cuts and removes, makes lane
//! files, and takes checkpoints. One thing after the other, and at most one write or sync a step, so that nothing it does
//! needs a lock against itself.
mod changes;
mod checkpointing;
mod closing;
mod lane_files;
mod pieces;
mod retaining;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use env::{Instant, Next, Worker};
use record::Offset;

use crate::log::{Log, TruncateError};
use crate::rare::Rare;
use crate::registry::Registry;
use crate::segment::{Segment, SegmentError};
use crate::shared::{Answer, Offline, Shared};
use crate::syncers::{Found, Owner};
use changes::Change;
pub(crate) use checkpointing::Checkpoints;
use checkpointing::{Checkpointing, Covered};
use closing::Closing;
use lane_files::NewLaneFile;

/// What the flusher is asked to do.
#[derive(Default)]
pub(crate) struct Work {
    /// Tails with enough for a piece. Each log at most once.
    pub ready: VecDeque<Weak<Log>>,
    /// Tails with something to write, and when it is time. Each log at most once.
    pub aging: VecDeque<(Instant, Weak<Log>)>,
    pub jobs: VecDeque<Job>,
    /// Somebody asks for a checkpoint now.
    pub wants_checkpoint: bool,
    pub closing: Option<Answer<Result<(), Offline>>>,
}

pub(crate) enum Job {
    /// The truncation is durable: cut.
    Cut {
        log: Arc<Log>,
        to: Offset,
    },
    DropSegments {
        log: Arc<Log>,
    },
    /// Make the active segment's file, and its name durable.
    Name {
        log: Arc<Log>,
    },
    /// Where exactly would a truncation cut?
    PlanCut {
        log: Arc<Log>,
        to: Offset,
        answer: Answer<Result<Offset, TruncateError>>,
    },
    RemoveLog {
        log: Arc<Log>,
    },
    /// Compaction has put another in their place.
    RemoveSegments {
        log: Arc<Log>,
        removed: VecDeque<Arc<Segment>>,
    },
}

impl Job {
    fn log(&self) -> &Arc<Log> {
        match self {
            Job::Cut { log, .. }
            | Job::DropSegments { log }
            | Job::Name { log }
            | Job::PlanCut { log, .. }
            | Job::RemoveLog { log }
            | Job::RemoveSegments { log, .. } => log,
        }
    }
}

impl Shared {
    pub fn give(&self, job: Job) {
        self.work.lock().jobs.push_back(job);
        self.wake_flusher();
    }

    pub fn want_checkpoint(&self) {
        self.work.lock().wants_checkpoint = true;
        self.wake_flusher();
    }
}

pub(crate) struct Flusher {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    /// The log whose pieces are being written.
    writing: Option<Arc<Log>>,
    change: Option<Change>,
    /// Cuts that wait for their record, by the log's identity.
    planned: BTreeMap<u64, changes::Planned>,
    unlinks: VecDeque<changes::Unlink>,
    unlink_checkpoint_at: Option<Instant>,
    lane_file: Option<NewLaneFile>,
    checkpoints: Checkpoints,
    checkpointing: Option<Checkpointing>,
    /// Of the segments that are being synced side by side.
    covered: Vec<Covered>,
    /// Segments with bytes that no sync has covered.
    dirty: BTreeMap<(u64, Offset), Arc<Segment>>,
    /// Directories that got or lost names since their last sync.
    dirty_directories: BTreeSet<Arc<Path>>,
    /// While a file system is full, pieces wait until then.
    full_until: Option<Instant>,
    /// When the free space is looked at again.
    space_at: Instant,
    retention_at: Instant,
    /// A checkpoint's step and a piece take turns.
    turn: bool,
    closing: Option<Closing>,
}

/// What a part of the flusher has to say after its turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Did {
    Something,
    Nothing,
    /// Nothing now, something then.
    Later(Instant),
}

/// Why the flusher cannot go on with something.
#[derive(Debug)]
enum Trouble {
    /// A write found no space, or a file no descriptor: it waits.
    Full,
    /// The directory cannot keep its promises any more.
    Fatal { what: &'static str, error: String },
}

type Step = Result<Did, Trouble>;

const FULL_RETRY: Duration = Duration::from_secs(1);
const SPACE_CHECK: Duration = Duration::from_secs(1);

impl Flusher {
    pub fn new(shared: Arc<Shared>, registry: Arc<Registry>, checkpoints: Checkpoints) -> Self {
        let now = shared.env.clock.now();
        let retention_at = now + shared.settings.retention_check;
        let has_dropped = |log: &Arc<Log>| !log.state().dropped.is_empty();
        let unlinks: VecDeque<changes::Unlink> = registry
            .after(None, usize::MAX)
            .into_iter()
            .filter(has_dropped)
            .map(|log| changes::Unlink::new(log, checkpoints.sequence + 2))
            .collect();
        let mut dirty = BTreeMap::new();
        let mut dirty_directories = BTreeSet::new();
        for log in registry.after(None, usize::MAX) {
            // Written by the recovery, to be synced by the next checkpoint.
            let mut state = log.state();
            if state.tail.is_empty() && std::mem::take(&mut state.made_names) && state.directory.is_made {
                dirty_directories.insert(log.directory());
            }
            // Also direct pieces, which need not be written again: only a sync moves S over them, and the lane goes on.
            let is_unsynced = |segment: &Segment| {
                state.synced.offset < state.written.offset
                    && segment.base_offset() >= state.synced.place.segment
                    && segment.summary().size_bytes > 0
            };
            let is_to_be_synced = |segment: &&Arc<Segment>| {
                if segment.is_dirty() {
                    return true;
                }
                let is_unsynced = is_unsynced(segment);
                if is_unsynced {
                    shared.settings.reached(Rare::DirectPieceAboveSynced);
                }
                is_unsynced
            };
            let segments = state.segments.iter().filter(is_to_be_synced);
            dirty.extend(segments.map(|segment| ((log.log_id(), segment.base_offset()), segment.clone())));
        }
        let unlink_checkpoint_at = (!unlinks.is_empty()).then_some(now);
        Self {
            shared,
            registry,
            writing: None,
            change: None,
            planned: BTreeMap::new(),
            unlinks,
            unlink_checkpoint_at,
            lane_file: None,
            checkpoints,
            checkpointing: None,
            covered: Vec::new(),
            dirty,
            dirty_directories,
            full_until: None,
            space_at: now,
            retention_at,
            turn: false,
            closing: None,
        }
    }

    fn now(&self) -> Instant {
        self.shared.env.clock.now()
    }

    /// The parts in the order of their urgency; the first that does something ends the step.
    fn advance(&mut self) -> Step {
        // What was written before they began is what they cover: until that is noted nothing is cut, dropped or moved.
        match self.shared.sync_next(Owner::Flusher) {
            Found::Nothing => self.covered.drain(..).for_each(|covered| covered.note()),
            Found::Synced => return Ok(Did::Something),
            Found::Running | Found::Failed => return Ok(Did::Nothing),
        }
        self.turn = !self.turn;
        let parts: [fn(&mut Self) -> Step; 7] = if self.turn {
            [
                Self::step_changes,
                Self::step_lane_file,
                Self::step_pieces,
                Self::step_checkpoint,
                Self::step_aging,
                Self::step_retention,
                Self::step_closing,
            ]
        } else {
            [
                Self::step_changes,
                Self::step_checkpoint,
                Self::step_pieces,
                Self::step_lane_file,
                Self::step_aging,
                Self::step_retention,
                Self::step_closing,
            ]
        };
        self.check_space();
        let mut soonest = self.shared.is_full().then_some(self.space_at);
        for part in parts {
            match part(self) {
                Ok(Did::Nothing) => {}
                Ok(Did::Something) => return Ok(Did::Something),
                Ok(Did::Later(at)) => soonest = Some(soonest.map_or(at, |soonest| soonest.min(at))),
                Err(Trouble::Full) => {
                    self.shared.settings.reached(Rare::DiskFull);
                    let at = self.now() + FULL_RETRY;
                    self.full_until = Some(at);
                    self.shared.set_full(true);
                    soonest = Some(soonest.map_or(at, |soonest| soonest.min(at)));
                }
                Err(fatal) => return Err(fatal),
            }
        }
        Ok(soonest.map_or(Did::Nothing, Did::Later))
    }

    /// Produces are refused while what is let in might not find its place (rule 12). What the disk does not tell is not
    /// held against it: a write that finds no space says so itself.
    fn check_space(&mut self) {
        let now = self.now();
        if now < self.space_at {
            return;
        }
        self.space_at = now + SPACE_CHECK;
        match self.shared.env.disk.space(&self.shared.path) {
            Ok(space) => {
                let needed = self.shared.settings.free_bytes_min + self.shared.budget.used() as u64;
                self.shared.set_full(space.free_bytes < needed || self.full_until.is_some());
            }
            Err(error) => drop(self.shared.leave_if_gone(&error)),
        }
    }

    /// Nobody is told anything by this directory any more, except that.
    fn leave(&mut self) {
        for log in self.registry.after(None, usize::MAX) {
            let listener = {
                let mut state = log.state();
                state.controls.clear();
                state.log_start_waiters.clear();
                state.listener.take()
            };
            if let Some(listener) = listener {
                listener.went_offline();
            }
        }
        *self.shared.work.lock() = Work::default();
        self.planned.clear();
        self.change = None;
    }
}

impl Worker for Flusher {
    fn step(&mut self) -> Next {
        if self.shared.is_offline() {
            self.leave();
            return Next::Stop;
        }
        if self.closing.as_ref().is_some_and(Closing::is_done) {
            return Next::Stop;
        }
        match self.advance() {
            Ok(Did::Something) => Next::Again,
            Ok(Did::Later(at)) => Next::At(at),
            Ok(Did::Nothing) => Next::Idle,
            Err(Trouble::Fatal { what, error }) => {
                self.shared.go_offline(what, &error);
                Next::Again
            }
            Err(Trouble::Full) => unreachable!("handled where it came up"),
        }
    }
}

/// A sync that fails ends the directory; a write without space waits; any other write that fails ends it too, since what
/// was acknowledged could not be kept.
fn trouble(what: &'static str, error: &SegmentError) -> Trouble {
    if error.is_out_of_space() { Trouble::Full } else { fatal(what, error) }
}

fn fatal(what: &'static str, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::Fatal { what, error: error.to_string() }
}

fn io_trouble(what: &'static str, error: &std::io::Error) -> Trouble {
    if env::disk::is_exhausted(error) { Trouble::Full } else { fatal(what, error) }
}
