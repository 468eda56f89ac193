//! Making one relaxed log durable outside the lane: everything written so far is synced, and the lane is told that it is.
//! The same makes a switch of durability, in either direction (rule 7).
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use record::Offset;

use super::{Did, Flusher, Job, Step, Trouble, fatal};
use crate::log::state::{Control, Gate, Reach, Then};
use crate::log::{Log, TruncateError};
use crate::segment::Segment;
use crate::settings::{Durability, Mutant};
use crate::shared::{Answer, count};

pub(super) struct LogSync {
    log: Arc<Log>,
    purpose: Purpose,
    stage: Stage,
}

pub(super) enum Purpose {
    /// A truncation of a relaxed log is done in the files. Beyond it they are believed again only if the lane says so.
    Cut {
        answer: Answer<Result<Offset, TruncateError>>,
    },
    Switch,
    /// The window of what a power loss may take is full.
    Window,
}

enum Stage {
    /// Until all that was appended is durable in the lane, and written.
    WriteOut,
    Sync {
        end: Reach,
        segments: VecDeque<Arc<Segment>>,
    },
    SyncNames {
        end: Reach,
        root: bool,
    },
}

impl Purpose {
    /// What asks for it again.
    fn into_job(self, log: Arc<Log>) -> Job {
        match self {
            Purpose::Cut { answer } => Job::SettleCut { log, answer },
            Purpose::Switch => Job::Switch { log },
            Purpose::Window => unreachable!("a window waits for nothing"),
        }
    }
}

impl LogSync {
    pub fn new(log: Arc<Log>, purpose: Purpose) -> Self {
        Self { log, purpose, stage: Stage::WriteOut }
    }
}

impl Flusher {
    pub(super) fn step_log_sync(&mut self) -> Step {
        if self.log_sync.is_none() {
            // A window closes on time, also while a switch waits for the committer, and the committer for space.
            let later = self.next_window()?;
            if self.log_sync.is_none() {
                self.log_sync = self.waiting_sync.take();
            }
            if self.log_sync.is_none() {
                return Ok(later);
            }
        }
        let Some(LogSync { log, purpose, stage }) = self.log_sync.take() else { return Ok(Did::Nothing) };
        if log.state().gate == Gate::Deleted {
            return Ok(Did::Something);
        }
        let stage = match stage {
            Stage::WriteOut => {
                let is_behind = {
                    let state = log.state();
                    state.durability == Durability::Flush && state.durable_end < state.log_end
                };
                let written = if is_behind { Ok(Did::Nothing) } else { self.write_piece(&log) };
                let did = match (written, &purpose) {
                    (Ok(did), _) => did,
                    // Indexes find no place. What was acknowledged is written, and its window does not wait for space.
                    (Err(Trouble::Full), Purpose::Window) => Did::Nothing,
                    (Err(Trouble::Full), _) => {
                        // Meanwhile others have their windows.
                        self.shared.give(purpose.into_job(log));
                        return Err(Trouble::Full);
                    }
                    (Err(trouble), _) => {
                        self.log_sync = Some(LogSync { log, purpose, stage: Stage::WriteOut });
                        return Err(trouble);
                    }
                };
                if is_behind || did != Did::Nothing {
                    let sync = LogSync { log, purpose, stage: Stage::WriteOut };
                    let place = match is_behind && self.waiting_sync.is_none() {
                        true => &mut self.waiting_sync,
                        false => &mut self.log_sync,
                    };
                    *place = Some(sync);
                    // The committer is about to make it durable; it does not know that we wait.
                    let soon = self.now() + std::time::Duration::from_micros(200);
                    return Ok(if is_behind { Did::Later(soon) } else { Did::Something });
                }
                self.begin_sync(&log)
            }
            Stage::Sync { end, .. } if self.shared.settings.has(Mutant::SwitchWithoutSync) => {
                Stage::SyncNames { end, root: false }
            }
            Stage::Sync { end, mut segments } => match segments.pop_front() {
                Some(segment) => {
                    segment.sync().map_err(|error| fatal("a sync of a segment failed", &error))?;
                    count(&self.shared.counters.segment_syncs, 1);
                    Stage::Sync { end, segments }
                }
                None => Stage::SyncNames { end, root: false },
            },
            Stage::SyncNames { end, root: false } => {
                if self.dirty_directories.remove(&log.directory()) {
                    let synced = self.shared.env.disk.sync_dir(&log.directory());
                    synced.map_err(|error| fatal("a sync of a directory failed", &error))?;
                }
                Stage::SyncNames { end, root: true }
            }
            Stage::SyncNames { end, root: true } => {
                let root = self.shared.path.clone();
                if self.dirty_directories.remove(&root) {
                    let synced = self.shared.env.disk.sync_dir(&root);
                    synced.map_err(|error| fatal("a sync of a directory failed", &error))?;
                }
                self.record_sync(&log, purpose, end);
                return Ok(Did::Something);
            }
        };
        self.log_sync = Some(LogSync { log, purpose, stage });
        Ok(Did::Something)
    }

    pub(super) fn is_syncing_a_log(&self) -> bool {
        self.log_sync.is_some() || self.waiting_sync.is_some()
    }

    /// What is written now, before the syncs that make it durable.
    fn begin_sync(&mut self, log: &Arc<Log>) -> Stage {
        let end = {
            let mut state = log.state();
            // What is appended from here on opens a window of its own.
            state.is_window_open = false;
            log.take_unsynced(&mut state);
            if std::mem::take(&mut state.made_names) {
                self.dirty_directories.insert(log.directory());
                self.dirty_directories.insert(self.shared.path.clone());
            }
            state.written
        };
        // They stay on the flusher's list: a checkpoint that is under way relies on its own syncs.
        let segments = log.state().segments.iter().filter(|segment| segment.is_dirty()).cloned().collect();
        Stage::Sync { end, segments }
    }

    fn record_sync(&mut self, log: &Arc<Log>, purpose: Purpose, end: Reach) {
        let mut state = log.state();
        let (durability, then) = match purpose {
            Purpose::Cut { answer } => (state.durability, Then::Open { answer: Some((answer, state.log_end)) }),
            Purpose::Switch => (state.config.durability, Then::Open { answer: None }),
            // While a switch waits for its own record, the durability of now is not that of the record's place in the lane;
            // and that record says what this one would.
            Purpose::Window if end.offset <= state.durable_end || state.gate != Gate::Open => return,
            Purpose::Window => (state.durability, Then::Nothing),
        };
        state.controls.push(Control::Synced { end, durability, then });
        log.enqueue(&mut state);
        drop(state);
        self.shared.wake_committer();
    }

    fn next_window(&mut self) -> Step {
        let now = self.now();
        if self.shared.settings.has(Mutant::LeaveWindowOpen) && self.closing.is_none() {
            return Ok(Did::Nothing);
        }
        let mut work = self.shared.work.lock();
        let is_pressed =
            self.shared.relaxed_bytes.load(Ordering::Relaxed) > self.shared.settings.relaxed_window_bytes / 2;
        loop {
            let Some((at, log)) = work.relaxed.front() else { return Ok(Did::Nothing) };
            if *at > now && !is_pressed && self.closing.is_none() {
                return Ok(Did::Later(*at));
            }
            let log = log.upgrade();
            work.relaxed.pop_front();
            if let Some(log) = log {
                drop(work);
                self.log_sync = Some(LogSync::new(log, Purpose::Window));
                return Ok(Did::Something);
            }
        }
    }
}
