//! A checkpoint: what the lane held at its beginning is brought into synced segments, each log's entry is captured, and
//! the older of the two checkpoint files is overwritten. What only groups before both files' starts need is then free.
use std::collections::VecDeque;
use std::io::IoSlice;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use env::File;
use record::Offset;

use super::{Did, Flusher, Step, fatal, io_trouble};
use crate::checkpoint::{Builder, EntryView, Header};
use crate::journal::LanePoint;
use crate::journal::lane::slot_path;
use crate::journal::record::SegmentPlace;
use crate::layout;
use crate::log::Log;
use crate::log::state::{Gate, Reach};
use crate::rare::Rare;
use crate::segment::{Segment, Summary};
use crate::settings::Mutant;
use crate::shared::count;
use crate::syncers::{Owner, Sync};

/// The two files, and what each holds.
pub(crate) struct Checkpoints {
    pub files: [Arc<dyn File>; 2],
    /// The first group that each needs; 0 where it holds nothing sound.
    pub starts: [u64; 2],
    /// The one to be overwritten next.
    pub older: usize,
    pub sequence: u64,
    /// Where the lane begins for the newer one.
    pub start: LanePoint,
}

pub(super) struct Checkpointing {
    plan: Plan,
    stage: Stage,
}

struct Plan {
    /// Groups before it will not be needed.
    start: LanePoint,
    /// The newest group that is durable.
    durable_group: u64,
    is_clean: bool,
}

enum Stage {
    /// Tails that had something durable at the beginning are written.
    WriteOut {
        logs: VecDeque<Weak<Log>>,
    },
    Sync {
        segments: VecDeque<DirtySegment>,
    },
    SyncNames {
        directories: Vec<Arc<Path>>,
    },
    /// Entries are taken log by log. Those in `waits` speak of an end that is not durable yet.
    Capture {
        after: Option<u64>,
        builder: Builder,
        waits: VecDeque<(Weak<Log>, Offset)>,
    },
    Wait {
        builder: Builder,
        waits: VecDeque<(Weak<Log>, Offset)>,
    },
    Write {
        bytes: Vec<u8>,
    },
    SyncFile,
}

/// By the log's identity and the segment's base offset.
type DirtySegment = ((u64, Offset), Weak<Log>, Arc<Segment>);

/// What the sync of a segment makes durable of its log.
pub(super) struct Covered {
    log: Arc<Log>,
    segment: Offset,
    written: Reach,
}

/// Files that a step gives to the syncers. Nothing else is done until they are synced, so it is about two for each thread.
const SYNCS_MAX: usize = 16;
/// Entries captured in one step.
const CAPTURED_MAX: usize = 512;
const WAIT: Duration = Duration::from_micros(500);

impl Flusher {
    pub(super) fn step_checkpoint(&mut self) -> Step {
        if self.is_waiting_for_space() {
            return Ok(Did::Nothing);
        }
        match self.checkpointing.take() {
            Some(checkpointing) => self.advance_checkpoint(checkpointing),
            None if self.is_checkpoint_due() => {
                self.begin_checkpoint(false);
                Ok(Did::Something)
            }
            None => Ok(Did::Nothing),
        }
    }

    fn is_checkpoint_due(&self) -> bool {
        let is_wanted = std::mem::take(&mut self.shared.work.lock().wants_checkpoint);
        let lane = self.shared.lane.lock();
        let would_help = lane.published.number > self.checkpoints.starts.iter().copied().min().unwrap_or(0);
        let is_full = lane.wanted_bytes.is_some() && lane.free.is_empty();
        if self.leaves_tails() {
            return is_full && would_help;
        }
        (lane.written_bytes >= lane.checkpoint_at_bytes || is_full) && would_help || is_wanted
    }

    pub(super) fn begin_checkpoint(&mut self, is_clean: bool) {
        let start = {
            let mut lane = self.shared.lane.lock();
            lane.checkpoint_at_bytes = lane.written_bytes + self.shared.settings.checkpoint_bytes;
            if self.shared.settings.has(Mutant::RecycleBeforeCheckpoint) {
                let start = lane.published.number;
                lane.recycle(start);
            }
            lane.published
        };
        // Every log with something durable and unwritten is in one of these, or at hand.
        let mut logs: VecDeque<Weak<Log>> = self.writing.iter().map(Arc::downgrade).collect();
        {
            let work = self.shared.work.lock();
            logs.extend(work.ready.iter().cloned());
            logs.extend(work.aging.iter().map(|(_, log)| log.clone()));
        }
        let stage = Stage::WriteOut { logs };
        let durable_group = start.number.saturating_sub(1);
        self.checkpointing = Some(Checkpointing { plan: Plan { start, durable_group, is_clean }, stage });
    }

    /// Of a clean stop: the lane is sealed. Where tails are left it goes on beginning where it does.
    pub(super) fn begin_last_checkpoint(&mut self) {
        if !self.leaves_tails() {
            self.begin_checkpoint(true);
            return;
        }
        let durable_group = self.shared.lane.lock().published.number.saturating_sub(1);
        let plan = Plan { start: self.checkpoints.start, durable_group, is_clean: true };
        let stage = Stage::Capture { after: None, builder: Builder::new(), waits: VecDeque::new() };
        self.checkpointing = Some(Checkpointing { plan, stage });
    }

    /// There is no time for its syncs. False if it has captured the logs already, or the lane needs it.
    pub(super) fn abandon_checkpoint(&mut self) -> bool {
        let is_early = |checkpointing: &Checkpointing| {
            matches!(checkpointing.stage, Stage::WriteOut { .. } | Stage::Sync { .. } | Stage::SyncNames { .. })
        };
        if self.shared.lane.lock().wanted_bytes.is_some() || !self.checkpointing.as_ref().is_none_or(is_early) {
            return false;
        }
        self.checkpointing.take().is_some()
    }

    pub(super) fn is_checkpointing(&self) -> bool {
        self.checkpointing.is_some()
    }

    fn advance_checkpoint(&mut self, checkpointing: Checkpointing) -> Step {
        let mut did = Did::Something;
        let Checkpointing { plan, stage } = checkpointing;
        let stage = match stage {
            Stage::WriteOut { mut logs } => {
                let written = match logs.front().map(Weak::upgrade) {
                    None => Ok(None),
                    Some(None) => Ok(Some(Did::Nothing)),
                    Some(Some(log)) => self.write_piece(&log).map(Some),
                };
                match written {
                    Ok(None) => Stage::Sync { segments: self.segments_to_sync(usize::MAX) },
                    Ok(Some(Did::Nothing)) => {
                        logs.pop_front();
                        Stage::WriteOut { logs }
                    }
                    Ok(Some(_)) => Stage::WriteOut { logs },
                    Err(trouble) => {
                        self.checkpointing = Some(Checkpointing { plan, stage: Stage::WriteOut { logs } });
                        return Err(trouble);
                    }
                }
            }
            Stage::Sync { mut segments } => {
                self.sync_segments(&mut segments);
                if segments.is_empty() && self.covered.is_empty() {
                    Stage::SyncNames { directories: self.dirty_directories.iter().cloned().collect() }
                } else {
                    Stage::Sync { segments }
                }
            }
            Stage::SyncNames { mut directories } => match directories.is_empty() {
                false => {
                    let some = directories.split_off(directories.len().saturating_sub(SYNCS_MAX));
                    let is_kept_from_it = self.shared.settings.has(Mutant::CheckpointBeforeDirectorySync);
                    for directory in some {
                        if self.dirty_directories.remove(&directory) && !is_kept_from_it {
                            self.shared.sync_soon(Owner::Flusher, Sync::Directory(directory));
                        }
                    }
                    Stage::SyncNames { directories }
                }
                true => Stage::Capture { after: None, builder: Builder::new(), waits: VecDeque::new() },
            },
            Stage::Capture { after, mut builder, mut waits } => match self.capture(after, &mut builder, &mut waits) {
                Captured::All => Stage::Wait { builder, waits },
                Captured::UpTo(after) => Stage::Capture { after: Some(after), builder, waits },
                Captured::Not { after } => {
                    did = Did::Later(self.now() + WAIT);
                    Stage::Capture { after, builder, waits }
                }
            },
            Stage::Wait { builder, mut waits } => {
                while waits.front().is_some_and(|(log, end)| is_durable(log, *end)) {
                    waits.pop_front();
                }
                if waits.is_empty() {
                    Stage::Write { bytes: self.finish(builder, &plan) }
                } else {
                    did = Did::Later(self.now() + WAIT);
                    Stage::Wait { builder, waits }
                }
            }
            Stage::Write { bytes } => {
                let file = &self.checkpoints.files[self.checkpoints.older];
                if let Err(error) = file.write_all_at(&[IoSlice::new(&bytes)], 0) {
                    self.checkpointing = Some(Checkpointing { plan, stage: Stage::Write { bytes } });
                    return Err(io_trouble("a checkpoint cannot be written", &error));
                }
                Stage::SyncFile
            }
            Stage::SyncFile => {
                let file = &self.checkpoints.files[self.checkpoints.older];
                file.sync_data().map_err(|error| fatal("a sync of a checkpoint failed", &error))?;
                self.complete_checkpoint(&plan);
                return Ok(Did::Something);
            }
        };
        self.checkpointing = Some(Checkpointing { plan, stage });
        Ok(did)
    }

    fn segments_to_sync(&self, max: usize) -> VecDeque<DirtySegment> {
        let log = |log_id: u64| self.registry.after(log_id.checked_sub(1), 1).first().map(Arc::downgrade);
        let entry =
            |(key, segment): (&(u64, Offset), &Arc<Segment>)| (*key, log(key.0).unwrap_or_default(), segment.clone());
        self.dirty.iter().take(max).map(entry).collect()
    }

    /// Begins the syncs of some, before any checkpoint: each is open until then.
    pub(super) fn sync_some_segments(&mut self) {
        let mut segments = self.segments_to_sync(SYNCS_MAX);
        self.sync_segments(&mut segments);
    }

    /// Begins the syncs of the next segments. What is written before a sync is what it makes durable.
    fn sync_segments(&mut self, segments: &mut VecDeque<DirtySegment>) {
        while self.covered.len() < SYNCS_MAX
            && let Some((key, log, segment)) = segments.pop_front()
        {
            if self.dirty.remove(&key).is_none() {
                continue; // Cut, dropped or deleted meanwhile.
            }
            let Some(log) = log.upgrade().filter(|log| log.log_id() == key.0) else { continue };
            let written = log.state().written;
            self.covered.push(Covered { log, segment: key.1, written });
            if !self.shared.settings.has(Mutant::CheckpointBeforeSegmentSync) {
                self.shared.sync_soon(Owner::Flusher, Sync::Segment(segment));
            }
        }
    }

    fn capture(
        &mut self,
        after: Option<u64>,
        builder: &mut Builder,
        waits: &mut VecDeque<(Weak<Log>, Offset)>,
    ) -> Captured {
        let logs = self.registry.after(after, CAPTURED_MAX);
        let Some(last) = logs.last().map(|log| log.log_id()) else { return Captured::All };
        let mut done = after;
        for log in logs {
            let mut state = log.state();
            // Between a record and what it asks for, memory is neither here nor there.
            if state.is_cutting {
                return Captured::Not { after: done };
            }
            done = Some(log.log_id());
            // The lane knows, perhaps before where it will begin.
            if state.is_gone {
                continue;
            }
            let synced = state.synced;
            state.checkpointed.capture(&synced);
            let summaries: Vec<Summary> =
                state.dropped.iter().chain(&state.segments).map(|segment| segment.summary()).collect();
            builder.push(&EntryView {
                log_id: log.log_id(),
                topic_id: log.topic_id(),
                name: log.name(),
                durability: state.recorded_as,
                end: state.log_end,
                synced: state.synced,
                log_start: state.log_start,
                high_watermark: log.high_watermark_learned(),
                lsn: state.lsn,
                compacted_end: state.compacted_end,
                segments: &summaries,
                epochs: &state.epochs,
                faulty: &state.faulty,
                producers: &state.producers,
            });
            if state.durable_end < state.log_end {
                waits.push_back((Arc::downgrade(&log), state.log_end));
            }
        }
        Captured::UpTo(last)
    }

    fn finish(&self, builder: Builder, plan: &Plan) -> Vec<u8> {
        builder.finish(&Header {
            sequence: self.checkpoints.sequence + 1,
            next_log_id: self.registry.next_log_id(),
            lane_start: plan.start,
            durable_group: plan.durable_group,
            lane_file_bytes: self.shared.settings.lane_file_bytes,
            is_clean: plan.is_clean,
            entries: 0,
        })
    }

    fn complete_checkpoint(&mut self, plan: &Plan) {
        let checkpoints = &mut self.checkpoints;
        checkpoints.sequence += 1;
        checkpoints.starts[checkpoints.older] = plan.start.number;
        checkpoints.start = plan.start;
        checkpoints.older = 1 - checkpoints.older;
        let mut is_another_wanted = false;
        for log in self.registry.after(None, usize::MAX) {
            let mut state = log.state();
            state.checkpointed.complete();
            is_another_wanted |= state.checkpointed.lacks_producers() && !state.is_gone;
        }
        self.shared.work.lock().wants_checkpoint |= is_another_wanted;
        if self.shared.compaction_waits.swap(false, Ordering::AcqRel) {
            self.shared.want_compaction();
        }
        count(&self.shared.counters.checkpoints, 1);
        if self.shared.has_accepted_loss.swap(false, Ordering::Relaxed) {
            self.shared.has_done(layout::ACCEPT_LOSS);
        }
        // Should the newer file rot, the older one still finds its lane.
        let [one, other] = checkpoints.starts;
        let is_careless = self.shared.settings.has(Mutant::RecycleAfterOneCheckpoint);
        let oldest = if is_careless { one.max(other) } else { one.min(other) };
        let (recycled, is_waited_for, short) = {
            let mut lane = self.shared.lane.lock();
            (lane.recycle(oldest), lane.wanted_bytes.is_some(), lane.take_short())
        };
        for slot in short {
            let path = slot_path(&self.shared.path.join(layout::LANE), slot.number);
            if let Err(error) = self.shared.env.disk.remove_file(&path) {
                tracing::warn!(path = %path.display(), "cannot be removed: {error}");
            }
        }
        count(&self.shared.counters.recycled_files, recycled as u64);
        if is_waited_for {
            self.shared.wake_committer();
        }
    }

    /// The entries wait for groups; the lane may have to grow for them.
    pub(super) fn checkpoint_waits_for_groups(&self) -> bool {
        matches!(&self.checkpointing, Some(Checkpointing { stage: Stage::Wait { .. }, .. }))
    }
}

impl Covered {
    /// The sync has returned.
    pub(super) fn note(&self) {
        let mut reach = self.written;
        if reach.place.segment < self.segment {
            return;
        }
        let mut state = self.log.state();
        if reach.place.segment > self.segment {
            // All of this segment, and no more: the next one has a sync of its own.
            let Some(index) = state.segments.iter().position(|segment| segment.base_offset() > self.segment) else {
                return;
            };
            let next = state.segments[index].base_offset();
            if index == 0 || state.segments[index - 1].base_offset() != self.segment {
                return;
            }
            reach = Reach { offset: next, place: SegmentPlace { segment: next, position: 0 } };
        }
        if state.synced.offset < reach.offset || state.synced.place.segment < reach.place.segment {
            state.synced = reach;
        }
    }
}

enum Captured {
    All,
    UpTo(u64),
    Not { after: Option<u64> },
}

fn is_durable(log: &Weak<Log>, end: Offset) -> bool {
    let Some(log) = log.upgrade() else { return true };
    let state = log.state();
    if state.gate == Gate::Deleted && !state.is_gone && state.durable_end < end {
        log.shared.settings.reached(Rare::DeletionDuringCheckpoint);
    }
    // What was cut or deleted since has a record behind this entry's. Of a log whose deletion has only been asked for that
    // record may yet be lost, and then the lane must bring it to the entry's end.
    state.durable_end >= end || state.log_end < end || state.is_gone
}
