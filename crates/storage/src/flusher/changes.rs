//! What the lane has recorded, done to the files: cuts, segments below the log start, deleted logs. Never before the
//! record is durable; each call of the disk is a step of its own.
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use record::{BatchView, Offset};

use super::{Did, Flusher, Job, Step, Trouble, fatal, io_trouble};
use crate::journal::record::SegmentPlace;
use crate::log::state::{Gate, Reach};
use crate::log::{Log, TruncateError, answer_now};
use crate::producer_state::ProducerState;
use crate::rare::Rare;
use crate::segment::{BatchPlace, Segment, Summary};
use crate::settings::Mutant;
use crate::shared::Answer;

/// A cut that waits for its record.
pub(super) struct Planned {
    left: Summary,
    producers: ProducerState,
    answer: Answer<Result<Offset, TruncateError>>,
}

/// A change of files that is under way.
pub(super) enum Change {
    Cut {
        log: Arc<Log>,
        removed: VecDeque<Arc<Segment>>,
        stage: CutStage,
        answer: Answer<Result<Offset, TruncateError>>,
    },
    Name {
        log: Arc<Log>,
        stage: NameStage,
    },
    Unlink {
        log: Arc<Log>,
        removed: VecDeque<Arc<Segment>>,
    },
    Remove {
        log: Arc<Log>,
        stage: RemoveStage,
    },
}

/// Segments that were dropped at one time, and the checkpoint after which their files may go.
pub(super) struct Unlink {
    log: Arc<Log>,
    /// What is dropped later has a later checkpoint to wait for.
    below: Offset,
    sequence: u64,
}

impl Unlink {
    /// All that is dropped now.
    pub fn new(log: Arc<Log>, sequence: u64) -> Self {
        let below = log.state().segments[0].base_offset();
        Self { log, below, sequence }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CutStage {
    Remove,
    CutFile,
    SyncFile,
    SyncDirectory,
}

pub(super) enum NameStage {
    Make,
    SyncDirectory { named: Offset },
    SyncRoot { named: Offset },
}

pub(super) enum RemoveStage {
    Files,
    Directory,
}

const REPLACE_WAIT: Duration = Duration::from_micros(500);
/// How long dropped segments wait for somebody else's checkpoint.
const UNLINK_WAIT: Duration = Duration::from_millis(500);

impl Flusher {
    pub(super) fn step_changes(&mut self) -> Step {
        if self.change.is_some() {
            return self.advance_change();
        }
        let job = self.shared.work.lock().jobs.pop_front();
        let Some(job) = job else { return self.begin_unlink() };
        match job {
            // Soon: its record is with the committer.
            job @ (Job::DropSegments { .. } | Job::PlanCut { .. }) if job.log().state().is_replacing => {
                self.shared.work.lock().jobs.push_back(job);
                return Ok(Did::Later(self.now() + REPLACE_WAIT));
            }
            Job::Cut { log, to } => self.begin_cut(log, to)?,
            Job::DropSegments { log } => self.begin_drop(log),
            Job::Name { log } => self.change = Some(Change::Name { log, stage: NameStage::Make }),
            Job::PlanCut { log, to, answer } => self.plan_cut(&log, to, answer)?,
            Job::RemoveLog { log } => self.begin_remove(log),
            Job::RemoveSegments { log, removed } => {
                for segment in &removed {
                    self.dirty.remove(&(log.log_id(), segment.base_offset()));
                }
                self.change = Some(Change::Unlink { log, removed });
            }
        }
        Ok(Did::Something)
    }

    /// Finds the boundary, and what is left of segments and producers; then tells the lane.
    fn plan_cut(
        &mut self,
        log: &Arc<Log>,
        to: Offset,
        answer: Answer<Result<Offset, TruncateError>>,
    ) -> Result<(), Trouble> {
        let (segment, written, tail, log_start) = {
            let state = log.state();
            let index = state.segments.partition_point(|segment| segment.base_offset() <= to).max(1) - 1;
            let segment = state.segments[index].clone();
            let written = state.written_of(&segment);
            let place = |batch: &crate::tail::TailBatch| {
                let view = BatchView::parse(&batch.bytes).expect("a tail holds whole batches");
                BatchPlace::of(&view, batch.place.position)
            };
            let base = segment.base_offset();
            let tail: Vec<BatchPlace> =
                state.tail.batches().filter(|batch| batch.place.segment == base).map(place).collect();
            (segment, written, tail, state.log_start)
        };
        let mut unwritten = tail.into_iter().filter(|place| place.position >= written.position);
        let left = segment
            .plan_cut(to.max(log_start), written, &mut unwritten)
            .map_err(|error| fatal("a truncation cannot be planned", &error))?;
        let producers = self.producers_at(log, left.end_offset)?;
        log.record_truncation(left.end_offset);
        self.planned.insert(log.log_id(), Planned { left, producers, answer });
        Ok(())
    }

    /// The state of producers at an earlier end: from what is left of the log itself.
    fn producers_at(&mut self, log: &Arc<Log>, end: Offset) -> Result<ProducerState, Trouble> {
        let (segments, tail, log_start, written) = {
            let state = log.state();
            if state.producers.is_empty() {
                return Ok(ProducerState::new(end));
            }
            let segments: Vec<_> =
                state.segments.iter().map(|segment| (segment.clone(), state.written_of(segment))).collect();
            let tail: Vec<_> = state.tail.batches().cloned().collect();
            (segments, tail, state.log_start, state.written.offset)
        };
        let mut producers = ProducerState::new(log_start);
        for (segment, reach) in segments {
            let from = crate::segment::Written { position: 0, offset: segment.base_offset() };
            let scanned = segment
                .scan(from, reach.position, &mut |batch, _| {
                    if batch.last_offset() >= end {
                        return std::ops::ControlFlow::Break(());
                    }
                    producers.apply(batch, batch.body());
                    std::ops::ControlFlow::Continue(())
                })
                .map_err(|error| fatal("producers cannot be rebuilt", &error))?;
            if let Some(stop) = scanned.stop {
                return Err(fatal("producers cannot be rebuilt", &stop.fault));
            }
        }
        for batch in tail.iter().filter(|batch| batch.base >= written && batch.next <= end) {
            let view = BatchView::parse(&batch.bytes).expect("a tail holds whole batches");
            producers.apply(&view, view.body());
        }
        producers.apply_nothing(end);
        producers.keep_below(end, &log.state().producers);
        Ok(producers)
    }

    /// Memory first, under one lock; the files follow before the log takes appends again.
    fn begin_cut(&mut self, log: Arc<Log>, to: Offset) -> Result<(), Trouble> {
        let Some(planned) = self.planned.remove(&log.log_id()) else {
            return Err(fatal("a truncation", &"recorded but never planned"));
        };
        let mut removed = VecDeque::new();
        {
            let mut state = log.state();
            state.tail.cut(to, &self.shared.budget);
            state.unmark_from(to);
            while state.segments.len() > 1 && state.active().base_offset() > planned.left.base_offset {
                removed.push_front(state.segments.pop_back().expect("there are two"));
            }
            state.active().cut(planned.left);
            let end = Reach {
                offset: to,
                place: SegmentPlace { segment: planned.left.base_offset, position: planned.left.size_bytes },
            };
            state.log_end = to;
            state.durable_end = state.durable_end.min(to);
            state.lane_end = state.lane_end.min(to);
            state.captured_end = to;
            if state.written.offset >= to {
                state.written = end;
            }
            if state.synced.offset >= to {
                state.synced = end;
            }
            state.sealed_below = state.sealed_below.min(planned.left.base_offset);
            state.checkpointed.cut(planned.left.base_offset);
            state.named = state.named.filter(|named| *named <= planned.left.base_offset);
            state.epochs.truncate_from_end(to);
            state.producers = planned.producers;
            state.is_cutting = false;
        }
        for segment in &removed {
            self.dirty.remove(&(log.log_id(), segment.base_offset()));
        }
        self.change = Some(Change::Cut { log, removed, stage: CutStage::Remove, answer: planned.answer });
        Ok(())
    }

    fn begin_drop(&mut self, log: Arc<Log>) {
        let mut removed = VecDeque::new();
        {
            let mut state = log.state();
            let log_start = state.log_start;
            // The file that is written now stays, and the one that appends go to.
            while state.segments.len() > 1
                && state.segments[1].base_offset() <= log_start
                && state.written.place.segment >= state.segments[1].base_offset()
            {
                let segment = state.segments.pop_front().expect("there are two");
                let next = state.segments[0].base_offset();
                if state.synced.place.segment < next {
                    self.shared.settings.reached(Rare::DropOfUnsynced);
                    state.synced = Reach { offset: next, place: SegmentPlace { segment: next, position: 0 } };
                }
                state.sealed_below = state.sealed_below.max(next);
                removed.push_back(segment);
            }
        }
        if removed.is_empty() {
            return;
        }
        for segment in &removed {
            self.dirty.remove(&(log.log_id(), segment.base_offset()));
        }
        log.state().dropped.extend(removed);
        // One that is under way may have captured the log before.
        let under_way = u64::from(self.checkpointing.is_some());
        self.unlinks.push_back(Unlink::new(log, self.checkpoints.sequence + under_way + 2));
        self.unlink_checkpoint_at.get_or_insert(self.shared.env.clock.now() + UNLINK_WAIT);
    }

    /// Files of dropped segments whose producers both checkpoints know.
    fn begin_unlink(&mut self) -> Step {
        if self.unlinks.front().is_some_and(|unlink| unlink.sequence <= self.checkpoints.sequence) {
            let Unlink { log, below, .. } = self.unlinks.pop_front().expect("just seen");
            let removed = {
                let mut state = log.state();
                let (removed, later) = std::mem::take(&mut state.dropped)
                    .into_iter()
                    .partition::<Vec<_>, _>(|segment| segment.base_offset() < below);
                state.dropped = later;
                removed.into()
            };
            self.change = Some(Change::Unlink { log, removed });
            return Ok(Did::Something);
        }
        if self.unlinks.is_empty() {
            self.unlink_checkpoint_at = None;
        }
        // Somebody wants the space back, and no other reason for a checkpoint may come for long.
        match self.unlink_checkpoint_at {
            _ if self.closing.is_some() => Ok(Did::Nothing),
            Some(at) if self.now() >= at && self.checkpointing.is_none() => {
                self.unlink_checkpoint_at = Some(self.now() + UNLINK_WAIT);
                self.begin_checkpoint(false);
                Ok(Did::Something)
            }
            Some(at) if self.checkpointing.is_none() => Ok(Did::Later(at)),
            _ => Ok(Did::Nothing),
        }
    }

    fn begin_remove(&mut self, log: Arc<Log>) {
        self.registry.remove(log.log_id());
        self.dirty.retain(|(log_id, _), _| *log_id != log.log_id());
        self.dirty_directories.remove(&log.directory());
        {
            let mut state = log.state();
            let end = state.log_end;
            state.tail.cut(Offset(i64::MIN), &self.shared.budget);
            state.durable_end = state.durable_end.min(end);
            state.lane_end = state.lane_end.min(end);
        }
        self.change = Some(Change::Remove { log, stage: RemoveStage::Files });
    }

    fn advance_change(&mut self) -> Step {
        let change = self.change.take().expect("looked at by the caller");
        self.change = match change {
            Change::Cut { log, removed, stage, answer } => self.advance_cut(log, removed, stage, answer)?,
            Change::Name { log, stage } => self.advance_name(log, stage)?,
            Change::Unlink { log, mut removed } => {
                let is_there = log.state().gate != Gate::Deleted;
                let Some(segment) = removed.pop_front().filter(|_| is_there) else { return Ok(Did::Something) };
                segment.remove_files().map_err(|error| fatal("a segment cannot be removed", &error))?;
                self.dirty_directories.insert(log.directory());
                Some(Change::Unlink { log, removed })
            }
            Change::Remove { log, stage: RemoveStage::Files } => {
                let stage = if self.remove_one_file(&log)? { RemoveStage::Files } else { RemoveStage::Directory };
                Some(Change::Remove { log, stage })
            }
            Change::Remove { log, stage: RemoveStage::Directory } => {
                // Whatever others have put there goes with it, as in Kafka.
                match env::disk::remove_dir_all(&*self.shared.env.disk, &log.directory()) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(fatal("a deleted log's directory cannot be removed", &error));
                    }
                    _ => {}
                }
                self.dirty_directories.insert(self.shared.path.clone());
                None
            }
        };
        Ok(Did::Something)
    }

    fn advance_name(&mut self, log: Arc<Log>, stage: NameStage) -> Result<Option<Change>, Trouble> {
        let what = "a sync of a directory failed";
        let stage = match stage {
            NameStage::Make => {
                let (segment, is_gone) = {
                    let state = log.state();
                    (state.active().clone(), state.gate == Gate::Deleted)
                };
                if is_gone {
                    return Ok(None);
                }
                match self.make_file(&log, &segment) {
                    Ok(Did::Nothing) => NameStage::SyncDirectory { named: segment.base_offset() },
                    Ok(_) => NameStage::Make,
                    Err(Trouble::Full) => {
                        log.state().is_naming = false;
                        return Ok(None);
                    }
                    Err(fatal) => return Err(fatal),
                }
            }
            NameStage::SyncDirectory { named } if self.shared.settings.has(Mutant::NoDirectorySyncOnDirectPath) => {
                let mut state = log.state();
                (state.is_naming, state.named) = (false, Some(named));
                return Ok(None);
            }
            NameStage::SyncDirectory { named } => {
                let synced = self.shared.env.disk.sync_dir(&log.directory());
                synced.map_err(|error| fatal(what, &error))?;
                NameStage::SyncRoot { named }
            }
            NameStage::SyncRoot { named } => {
                let is_synced = log.state().directory.is_synced;
                if !is_synced {
                    let synced = self.shared.env.disk.sync_dir(&self.shared.path);
                    synced.map_err(|error| fatal(what, &error))?;
                }
                let mut state = log.state();
                state.directory.is_synced = true;
                state.is_naming = false;
                state.named = Some(named);
                return Ok(None);
            }
        };
        Ok(Some(Change::Name { log, stage }))
    }

    fn advance_cut(
        &mut self,
        log: Arc<Log>,
        mut removed: VecDeque<Arc<Segment>>,
        stage: CutStage,
        answer: Answer<Result<Offset, TruncateError>>,
    ) -> Result<Option<Change>, Trouble> {
        let what = "a truncation failed";
        let active = log.state().active().clone();
        let is_made = log.state().directory.is_made;
        let stage = match stage {
            // Newest first, so that what is left is always the beginning of a log.
            CutStage::Remove => match removed.pop_back() {
                Some(segment) if is_made => {
                    segment.remove_files().map_err(|error| fatal(what, &error))?;
                    CutStage::Remove
                }
                Some(_) => CutStage::Remove,
                None => CutStage::CutFile,
            },
            CutStage::CutFile => match active.cut_files() {
                Ok(()) => CutStage::SyncFile,
                Err(error) if error.io_kind() == Some(ErrorKind::NotFound) => CutStage::SyncDirectory,
                Err(error) => return Err(fatal(what, &error)),
            },
            CutStage::SyncFile => {
                active.sync().map_err(|error| fatal(what, &error))?;
                CutStage::SyncDirectory
            }
            CutStage::SyncDirectory => {
                if is_made {
                    let synced = self.shared.env.disk.sync_dir(&log.directory());
                    synced.map_err(|error| fatal(what, &error))?;
                }
                finish_cut(&log, answer);
                return Ok(None);
            }
        };
        Ok(Some(Change::Cut { log, removed, stage, answer }))
    }

    /// False if there is none left.
    fn remove_one_file(&mut self, log: &Log) -> Result<bool, Trouble> {
        let disk = &self.shared.env.disk;
        let directory = log.directory();
        let entries = match disk.read_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|error| io_trouble("a deleted log's directory cannot be read", &error))?,
        };
        let Some(entry) = entries.iter().find(|entry| !entry.is_dir) else { return Ok(false) };
        disk.remove_file(&directory.join(&entry.name))
            .map_err(|error| fatal("a deleted log's file cannot be removed", &error))?;
        Ok(true)
    }
}

fn finish_cut(log: &Arc<Log>, answer: Answer<Result<Offset, TruncateError>>) {
    let mut state = log.state();
    let end = state.log_end;
    log.open_gate(&mut state);
    drop(state);
    answer_now(answer, Ok(end));
}
