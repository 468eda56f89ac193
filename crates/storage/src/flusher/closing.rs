//! A clean stop: everything that was appended becomes durable and is written, a checkpoint says so, the lane is sealed,
//! and the workers end. Nothing has to be replayed at the next start.
use std::time::Duration;

use super::{Did, Flusher, Step};
use crate::shared::{Answer, Offline};

pub(super) struct Closing {
    stage: Stage,
    answer: Option<Answer<Result<(), Offline>>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Until the committer has nothing left, and the files have everything.
    WriteOut,
    SealIndexes,
    StopCommitter,
    Checkpoint,
    Done,
}

const WAIT: Duration = Duration::from_micros(500);

impl Closing {
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }
}

impl Flusher {
    pub(super) fn step_closing(&mut self) -> Step {
        if self.closing.is_none() {
            let answer = self.shared.work.lock().closing.take();
            if answer.is_none() {
                return Ok(Did::Nothing);
            }
            self.closing = Some(Closing { stage: Stage::WriteOut, answer });
        }
        let stage = self.closing.as_ref().map_or(Stage::Done, |closing| closing.stage);
        let next = match stage {
            Stage::WriteOut => {
                if !self.is_quiet() {
                    return Ok(Did::Later(self.now() + WAIT));
                }
                Stage::SealIndexes
            }
            Stage::SealIndexes => {
                self.write_all_indexes();
                self.shared.queue.lock().stops = true;
                self.shared.wake_committer();
                Stage::StopCommitter
            }
            Stage::StopCommitter => {
                if !self.shared.committer_has_stopped() {
                    return Ok(Did::Nothing);
                }
                self.begin_checkpoint(true);
                Stage::Checkpoint
            }
            Stage::Checkpoint => {
                if self.checkpointing.is_some() {
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

    /// Nothing is waiting for the lane or for a file.
    fn is_quiet(&mut self) -> bool {
        let is_busy = self.change.is_some()
            || self.log_sync.is_some()
            || self.checkpointing.is_some()
            || self.writing.is_some()
            || !self.planned.is_empty()
            || !self.unlinks.is_empty();
        let has_work = {
            let work = self.shared.work.lock();
            !work.ready.is_empty() || !work.jobs.is_empty() || !work.relaxed.is_empty()
        };
        !is_busy && !has_work && self.registry.after(None, usize::MAX).iter().all(|log| log.is_settled())
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
