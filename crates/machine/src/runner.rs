//! Takes a machine through its steps and holds back each answer until what it saw is committed, as Kafka's
//! `CoordinatorRuntime` does. Every ticket that comes in goes out exactly once, and there are never more than a limit.

use std::collections::VecDeque;
use std::time::Duration;

use env::Instant;
use record::Offset;

use crate::{Answer, Answers, AppendError, Failure, Log, Machine, Now, Step};

pub struct Runner<M: Machine> {
    machine: M,
    // committed <= written, but for a high watermark that runs ahead of records not of this machine.
    written: Offset,
    committed: Offset,
    // Ordered by `written` and by `deadline` alike, for neither ever goes back.
    parked: VecDeque<Parked<M>>,
    // Tickets in `parked` or inside the machine.
    tickets: usize,
    limits: Limits,
    lost: bool,
}

struct Parked<M: Machine> {
    written: Offset,
    deadline: Instant,
    ticket: M::Ticket,
    answer: M::Answer,
}

/// What bounds the tickets of a machine.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub tickets_max: usize,
    /// How long an answer waits for its records.
    pub commit_timeout: Duration,
}

/// There are as many tickets as there may be.
#[derive(Debug)]
pub struct Full<T>(pub T);

impl<M: Machine> Runner<M> {
    /// `machine` holds what the log says below `log_end`.
    pub fn new(machine: M, log_end: Offset, high_watermark: Offset, limits: Limits) -> Runner<M> {
        Runner {
            machine,
            written: log_end,
            committed: high_watermark,
            parked: VecDeque::new(),
            tickets: 0,
            limits,
            lost: false,
        }
    }

    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// A fatal append: all tickets are answered, and the machine must be loaded anew.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Tickets that have not been answered.
    pub fn tickets(&self) -> usize {
        self.tickets
    }

    /// A step for a request.
    pub fn request(
        &mut self,
        log: &mut dyn Log<M::Record>,
        now: Now,
        ticket: M::Ticket,
        decide: impl FnOnce(&mut M, M::Ticket, &mut Step<M>),
    ) -> Result<Answers<M>, Full<M::Ticket>> {
        if self.tickets >= self.limits.tickets_max {
            return Err(Full(ticket));
        }
        self.tickets += 1;
        Ok(self.step(log, now, |machine, step| decide(machine, ticket, step)))
    }

    /// A step that no request asked for: a timer, a topic deleted.
    pub fn step(
        &mut self,
        log: &mut dyn Log<M::Record>,
        now: Now,
        decide: impl FnOnce(&mut M, &mut Step<M>),
    ) -> Answers<M> {
        assert!(!self.lost, "a lost machine decides nothing; load it anew");
        let mut step = Step::new();
        decide(&mut self.machine, &mut step);
        let mut answers = std::mem::take(&mut step.at_once);
        let appended = match step.records.is_empty() {
            true => Ok(self.written),
            false => log.append(&step.records, step.atomic),
        };
        match appended {
            Ok(end) => {
                self.applied(&step.records, end);
                self.park(step.once_committed, now, &mut answers);
            }
            Err(error) => self.failed(error, step, now, &mut answers),
        }
        self.answered(answers)
    }

    /// The high watermark has moved.
    pub fn committed(&mut self, high_watermark: Offset) -> Answers<M> {
        self.committed = self.committed.max(high_watermark);
        let ready = self.parked.partition_point(|parked| parked.written <= self.committed);
        let answers = self.parked.drain(..ready).map(|parked| (parked.ticket, parked.answer)).collect();
        self.answered(answers)
    }

    /// When the first answer has waited too long for its records.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.parked.front().map(|parked| parked.deadline)
    }

    /// Fails the answers that have waited too long.
    pub fn expire(&mut self, now: Instant) -> Answers<M> {
        let due = self.parked.partition_point(|parked| parked.deadline <= now);
        let answers = self.parked.drain(..due).map(|parked| (parked.ticket, parked.answer)).collect();
        self.answered(failed::<M>(answers, Failure::TimedOut))
    }

    /// Fails every ticket there is. What the log holds stays true.
    pub fn resign(&mut self) -> Answers<M> {
        self.lost = true;
        let mut answers: Answers<M> = self.parked.drain(..).map(|parked| (parked.ticket, parked.answer)).collect();
        answers.extend(self.machine.drain());
        let answers = self.answered(failed::<M>(answers, Failure::Lost));
        assert_eq!(self.tickets, 0, "a machine drains all of its tickets");
        answers
    }

    fn applied(&mut self, records: &[M::Record], end: Offset) {
        assert!(end >= self.written, "the end of a log only grows");
        self.written = end;
        records.iter().for_each(|record| self.machine.apply(record));
    }

    fn park(&mut self, waiting: Answers<M>, now: Now, ready: &mut Answers<M>) {
        if self.committed >= self.written {
            return ready.extend(waiting);
        }
        let (written, deadline) = (self.written, now.at + self.limits.commit_timeout);
        self.parked.extend(waiting.into_iter().map(|(ticket, answer)| Parked { written, deadline, ticket, answer }));
    }

    fn failed(&mut self, error: AppendError, step: Step<M>, now: Now, answers: &mut Answers<M>) {
        let failure = match error {
            AppendError::NotEnoughReplicas => Failure::NotEnoughReplicas,
            AppendError::NotLeader | AppendError::Storage => Failure::Lost,
            AppendError::TooLarge => Failure::TooLarge,
        };
        answers.extend(failed::<M>(step.once_committed, failure));
        if failure == Failure::Lost {
            let mut rest: Answers<M> = self.parked.drain(..).map(|parked| (parked.ticket, parked.answer)).collect();
            rest.extend(self.machine.drain());
            answers.extend(failed::<M>(rest, Failure::Lost));
            self.lost = true;
            return;
        }
        let mut after = Step::new();
        self.machine.refused(&step.records, failure, now, &mut after);
        assert!(after.records.is_empty(), "what follows a refusal writes nothing");
        answers.extend(after.at_once);
        self.park(after.once_committed, now, answers);
    }

    fn answered(&mut self, answers: Answers<M>) -> Answers<M> {
        let answered = self.tickets.checked_sub(answers.len());
        self.tickets = answered.expect("no more answers than tickets came in");
        answers
    }
}

fn failed<M: Machine + ?Sized>(mut answers: Answers<M>, failure: Failure) -> Answers<M> {
    answers.iter_mut().for_each(|(_, answer)| answer.fail(failure));
    answers
}
