//! What a machine is, and what one step of it yields.

use crate::Now;

/// A deterministic state machine whose hard state is what its log says.
///
/// Deciding may change soft state only (who waits, timers, which member has come); `apply` alone changes hard state, and
/// cannot fail: a record reaches the log only if it can be applied. Loading a partition is the same `apply`.
pub trait Machine {
    type Record;
    /// Whom an answer goes to. Each is answered exactly once, by whichever step.
    type Ticket;
    type Answer: Answer;

    fn apply(&mut self, record: &Self::Record);

    /// The log took none of `records`, and lives on; their step's answers carry the failure already. The machine brings
    /// its soft state to where it can go on, without writing.
    fn refused(&mut self, records: &[Self::Record], failure: Failure, now: Now, step: &mut Step<Self>);

    /// Every ticket that waits inside, each with an answer, which the caller makes a failure of.
    fn drain(&mut self) -> Answers<Self>;
}

pub type Answers<M> = Vec<(<M as Machine>::Ticket, <M as Machine>::Answer)>;

/// An answer that waits for its records may turn out otherwise.
pub trait Answer {
    fn fail(&mut self, failure: Failure);
}

/// Why an answer is not what the machine had decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// This broker leads the partition no longer, or cannot write it.
    Lost,
    NotEnoughReplicas,
    /// The high watermark did not come in time. The records may still be committed.
    TimedOut,
    TooLarge,
}

/// Collects what one decision yields.
pub struct Step<M: Machine + ?Sized> {
    pub(crate) records: Vec<M::Record>,
    pub(crate) atomic: bool,
    pub(crate) at_once: Answers<M>,
    pub(crate) once_committed: Answers<M>,
}

impl<M: Machine + ?Sized> Step<M> {
    pub fn new() -> Step<M> {
        Step { records: Vec::new(), atomic: true, at_once: Vec::new(), once_committed: Vec::new() }
    }

    pub fn record(&mut self, record: M::Record) {
        self.records.push(record);
    }

    pub fn records(&self) -> &[M::Record] {
        &self.records
    }

    /// The records may be written in more than one batch: each of them is right without the others.
    pub fn may_be_split(&mut self) {
        self.atomic = false;
    }

    /// Answers once everything that the machine has written so far, this step's records included, is committed.
    pub fn answer(&mut self, ticket: M::Ticket, answer: M::Answer) {
        self.once_committed.push((ticket, answer));
    }

    /// Answers without waiting. Only for what depends on no state at all.
    pub fn answer_at_once(&mut self, ticket: M::Ticket, answer: M::Answer) {
        self.at_once.push((ticket, answer));
    }
}

impl<M: Machine + ?Sized> Default for Step<M> {
    fn default() -> Self {
        Step::new()
    }
}
