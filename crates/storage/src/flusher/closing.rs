//! A clean stop: everything that was appended becomes durable, a checkpoint says so, the lane is sealed, and the workers
//! end. A few files are written and synced, so that the next start has nothing to replay; many are not waited for: what the
//! lane has of them it keeps, and the checkpoint leaves it where it begins.
use std::time::Duration;

use env::Instant;

use super::{Did, Flusher, Step};
use crate::log::Log;
use crate::shared::{Answer, Offline};

pub(super) struct Closing {
    stage: Stage,
    answer: Option<Answer<Result<(), Offline>>>,
    /// Files are written until then.
    writes_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Until the committer has nothing left, and the files have everything that they are to have.
    WriteOut,
    StopCommitter,
    Checkpoint,
    Done,
}

const WAIT: Duration = Duration::from_micros(500);
/// So long, and only if there are no more than so many.
const WRITES_MAX: Duration = Duration::from_millis(500);
const FILES_MAX: usize = 128;

impl Closing {
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }
}

impl Flusher {
    pub(super) fn step_closing(&mut self) -> Step {
        if self.closing.is_none() {
            let Some(answer) = self.shared.work.lock().closing.take() else { return Ok(Did::Nothing) };
            let writes_until = self.has_few_files().then(|| self.now() + WRITES_MAX);
            self.closing = Some(Closing { stage: Stage::WriteOut, answer: Some(answer), writes_until });
            if writes_until.is_none() {
                self.abandon_checkpoint();
            }
        }
        self.hurry_when_late();
        let stage = self.closing.as_ref().map_or(Stage::Done, |closing| closing.stage);
        let next = match stage {
            Stage::WriteOut => {
                if !self.is_quiet() {
                    return Ok(Did::Later(self.now() + WAIT));
                }
                if !self.leaves_tails() {
                    self.write_all_indexes();
                }
                self.shared.queue.lock().stops = true;
                self.shared.wake_committer();
                Stage::StopCommitter
            }
            Stage::StopCommitter => {
                if !self.shared.committer_has_stopped() {
                    return Ok(Did::Nothing);
                }
                self.begin_last_checkpoint();
                Stage::Checkpoint
            }
            Stage::Checkpoint => {
                if self.is_checkpointing() {
                    return Ok(Did::Nothing);
                }
                self.shared.set_stopped();
                if let Some(answer) = self.closing.as_mut().and_then(|closing| closing.answer.take()) {
                    // Who has stopped waiting needs no answer.
                    let _ = answer.send(Ok(()));
                }
                Stage::Done
            }
            Stage::Done => Stage::Done,
        };
        if let Some(closing) = &mut self.closing {
            closing.stage = next;
        }
        Ok(Did::Something)
    }

    fn hurry_when_late(&mut self) {
        let now = self.now();
        let Some(closing) = self.closing.as_ref().filter(|closing| closing.writes_until.is_some_and(|at| at <= now))
        else {
            return;
        };
        let is_last = closing.stage == Stage::Checkpoint;
        if self.abandon_checkpoint() || !is_last && !self.is_checkpointing() {
            self.closing.as_mut().expect("just seen").writes_until = None;
            if is_last {
                self.begin_last_checkpoint();
            }
        }
    }

    /// The next start makes tails of what the lane has.
    pub(super) fn leaves_tails(&self) -> bool {
        self.closing.as_ref().is_some_and(|closing| closing.writes_until.is_none())
    }

    fn has_few_files(&self) -> bool {
        let has_tail = |log: &std::sync::Arc<Log>| !log.state().tail.is_empty();
        let tails = self.registry.after(None, usize::MAX).iter().filter(|log| has_tail(log)).count();
        tails + self.dirty.len() <= FILES_MAX
    }

    /// Nothing is waiting for the lane, and nothing for a file but tails that are left.
    fn is_quiet(&mut self) -> bool {
        let leaves_tails = self.leaves_tails();
        let is_busy = self.change.is_some()
            || self.is_checkpointing()
            || !self.planned.is_empty()
            || self.writing.is_some() && !leaves_tails
            || !self.shared.compactor_has_stopped();
        let has_work = {
            let work = self.shared.work.lock();
            !work.ready.is_empty() && !leaves_tails || !work.jobs.is_empty()
        };
        let is_settled = |log: &std::sync::Arc<Log>| log.is_settled(leaves_tails);
        !is_busy && !has_work && self.registry.after(None, usize::MAX).iter().all(is_settled)
    }

    /// They are derived, and would be made anew; so an error here is no reason to stay.
    fn write_all_indexes(&mut self) {
        for log in self.registry.after(None, usize::MAX) {
            let (active, written) = {
                let state = log.state();
                let active = state.active().clone();
                let written = state.written_of(&active);
                (active, written)
            };
            if written.position > 0
                && let Err(error) = active.write_indexes(written)
            {
                tracing::warn!(log = %log.name(), "an index cannot be written: {error}");
            }
        }
    }
}
