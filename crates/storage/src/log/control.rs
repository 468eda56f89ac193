//! What changes a log besides appends: truncation, a later log start, deletion. Each is told to the lane first; files are
//! touched, and callers answered, when that is durable.
use std::fmt;

use record::{LeaderEpoch, Offset};
use tokio::sync::oneshot;

use super::{Control, Gate, Log, State};
use crate::flusher::Job;
use crate::shared::{Answer, Offline, Ticket};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TruncateError {
    /// Below what this replica knows to be committed: a safety violation, nothing is cut (rule 21).
    BelowHighWatermark {
        high_watermark: Offset,
    },
    Deleted,
    Offline,
    /// Another truncation is going on.
    Paused,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogStartError {
    Deleted,
    Offline,
    OutOfRange { log_start: Offset, log_end: Offset },
}

impl Log {
    /// Cuts everything from the batch that holds `offset` on. Appends pause until the cut is durable and done; the answer
    /// is the new log end.
    pub fn truncate_to(&self, offset: Offset) -> Ticket<Result<Offset, TruncateError>> {
        let (answer, ticket) = oneshot::channel();
        let mut state = self.state();
        match self.may_truncate(&state, offset) {
            Err(error) => answer_now(answer, Err(error)),
            Ok(()) if offset >= state.log_end => answer_now(answer, Ok(state.log_end)),
            Ok(()) => {
                state.gate = Gate::Paused;
                drop(state);
                let job = Job::PlanCut { log: self.me.upgrade().expect("it is being called"), to: offset, answer };
                self.shared.give(job);
            }
        }
        ticket
    }

    fn may_truncate(&self, state: &State, offset: Offset) -> Result<(), TruncateError> {
        if !self.shared.takes_appends() {
            return Err(TruncateError::Offline);
        }
        let high_watermark = self.high_watermark_learned();
        match state.gate {
            Gate::Deleted => Err(TruncateError::Deleted),
            Gate::Paused => Err(TruncateError::Paused),
            Gate::Open if offset < high_watermark => Err(TruncateError::BelowHighWatermark { high_watermark }),
            Gate::Open => Ok(()),
        }
    }

    /// The cut at `to`, a boundary of batches, is decided: tells the lane.
    pub(crate) fn record_truncation(&self, to: Offset) {
        let mut state = self.state();
        let epoch = state.epochs.latest().map_or(LeaderEpoch::NONE, |latest| latest.epoch);
        state.controls.push(Control::Truncate { to, epoch });
        self.enqueue(&mut state);
        drop(state);
        self.shared.wake_committer();
    }

    /// Everything below `offset` is given up (DeleteRecords, retention). Answered with the log start when that is
    /// durable; never moves back.
    pub fn advance_log_start(&self, offset: Offset) -> Ticket<Result<Offset, LogStartError>> {
        let (answer, ticket) = oneshot::channel();
        let mut state = self.state();
        let (log_start, log_end) = (state.log_start, state.log_end);
        if state.gate == Gate::Deleted {
            answer_now(answer, Err(LogStartError::Deleted));
        } else if !self.shared.takes_appends() {
            answer_now(answer, Err(LogStartError::Offline));
        } else if offset > log_end || offset < Offset::ZERO {
            answer_now(answer, Err(LogStartError::OutOfRange { log_start, log_end }));
        } else if offset <= log_start {
            answer_now(answer, Ok(log_start));
        } else {
            state.log_start_waiters.push((offset, answer));
            state.controls.push(Control::LogStart { to: offset });
            self.enqueue(&mut state);
            drop(state);
            self.shared.wake_committer();
        }
        ticket
    }

    pub(crate) fn delete(&self) -> Ticket<Result<(), Offline>> {
        let (answer, ticket) = oneshot::channel();
        let mut state = self.state();
        if self.shared.is_offline() {
            answer_now(answer, Err(Offline));
            return ticket;
        }
        state.gate = Gate::Deleted;
        for (_, waiter) in state.log_start_waiters.drain(..) {
            answer_now(waiter, Err(LogStartError::Deleted));
        }
        state.controls.push(Control::Delete { answer });
        self.enqueue(&mut state);
        drop(state);
        self.shared.wake_committer();
        ticket
    }

    /// What paused it is done.
    pub(crate) fn open_gate(&self, state: &mut State) {
        if state.gate == Gate::Paused {
            state.gate = Gate::Open;
        }
        self.shared.budget.room.notify_waiters();
    }
}

/// Who has stopped waiting needs no answer.
pub(crate) fn answer_now<T>(answer: Answer<T>, with: T) {
    let _ = answer.send(with);
}

impl fmt::Display for TruncateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TruncateError::BelowHighWatermark { high_watermark } => {
                write!(f, "a truncation below {high_watermark}, which is known to be committed")
            }
            TruncateError::Deleted => f.write_str("the log is deleted"),
            TruncateError::Offline => f.write_str("the log directory is offline"),
            TruncateError::Paused => f.write_str("the log is being truncated already"),
        }
    }
}

impl std::error::Error for TruncateError {}

impl fmt::Display for LogStartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogStartError::Deleted => f.write_str("the log is deleted"),
            LogStartError::Offline => f.write_str("the log directory is offline"),
            LogStartError::OutOfRange { log_start, log_end } => {
                write!(f, "the log holds offsets from {log_start} to {log_end}")
            }
        }
    }
}

impl std::error::Error for LogStartError {}
