//! One coordinator: its machine behind a lock, and the partition that its records go to.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coordinator::group::{
    Answer, Answers, Caller, DeletedTopic, GroupConfig, GroupShard, GroupSummary, ReplayError, Request,
};
use env::{Clock, Instant, Rng};
use machine::Now;
use parking_lot::Mutex;
use record::{LeaderEpoch, Offset};
use replication::Partition;
use tokio::sync::oneshot;

use super::log::OffsetsLog;

pub(super) type Ticket = oneshot::Sender<Answer>;

pub(super) struct Shard {
    partition: Arc<Partition>,
    /// It coordinates in this epoch only.
    epoch: LeaderEpoch,
    /// `None` once it has resigned.
    machine: Mutex<Option<GroupShard<Ticket>>>,
    /// The high watermark has moved since the machine was last told.
    committed: AtomicBool,
}

impl Shard {
    pub fn new(partition: Arc<Partition>, config: Arc<GroupConfig>, rng: Arc<dyn Rng>) -> Arc<Self> {
        Arc::new(Self {
            epoch: partition.leader_epoch(),
            partition,
            machine: Mutex::new(Some(GroupShard::new(config, rng))),
            committed: AtomicBool::new(false),
        })
    }

    pub fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    pub fn index(&self) -> i32 {
        self.partition.name().partition
    }

    /// Whether it coordinates for just this replica in its present epoch.
    pub fn leads(&self, partition: &Arc<Partition>) -> bool {
        Arc::ptr_eq(&self.partition, partition) && self.epoch == partition.leader_epoch() && !self.is_lost()
    }

    pub fn mark_committed(&self) {
        self.committed.store(true, Ordering::Release);
    }

    pub fn request(&self, clock: &dyn Clock, caller: &Caller, request: Request, ticket: Ticket) {
        let now = Now::of(clock);
        // A machine that is gone drops the ticket, which says as much.
        self.with(now, |machine, log| machine.request(log, caller, request, ticket, now));
    }

    pub fn topics_deleted(&self, clock: &dyn Clock, topics: &[DeletedTopic]) {
        let now = Now::of(clock);
        self.with(now, |machine, log| machine.topics_deleted(log, topics, now));
    }

    /// What has been committed since the last look, and what is due by now.
    pub fn look(&self, clock: &dyn Clock) {
        let now = Now::of(clock);
        if self.committed.swap(false, Ordering::AcqRel) {
            let high_watermark = self.high_watermark();
            self.with(now, |machine, _| machine.committed(high_watermark));
        }
        if self.next_deadline().is_some_and(|deadline| deadline <= now.at) {
            self.with(now, |machine, log| machine.tick(log, now));
        }
    }

    /// False: a record that nobody can read, or the shard is gone.
    pub fn replay(&self, offset: Offset, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), ReplayError> {
        match &mut *self.machine.lock() {
            Some(machine) => machine.replay(offset, key, value),
            None => Ok(()),
        }
    }

    pub fn loaded(&self, clock: &dyn Clock, log_end: Offset) {
        let now = Now::of(clock);
        let high_watermark = self.high_watermark();
        self.with(now, |machine, log| machine.loaded(log, log_end, high_watermark, now));
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.machine.lock().as_ref()?.next_deadline()
    }

    pub fn summaries(&self) -> Vec<GroupSummary> {
        self.machine.lock().as_ref().map(GroupShard::summaries).unwrap_or_default()
    }

    pub fn is_lost(&self) -> bool {
        self.machine.lock().as_ref().is_none_or(GroupShard::is_lost)
    }

    pub fn resign(&self) {
        let machine = self.machine.lock().take();
        if let Some(machine) = machine {
            send(machine.resign());
        }
    }

    fn high_watermark(&self) -> Offset {
        self.partition.ends(None).map_or(Offset::ZERO, |ends| ends.high_watermark)
    }

    fn with(&self, now: Now, work: impl FnOnce(&mut GroupShard<Ticket>, &mut OffsetsLog) -> Answers<Ticket>) {
        let mut log = OffsetsLog::new(self.partition.clone(), self.epoch, now.wall_ms);
        let mut machine = self.machine.lock();
        let answers = machine.as_mut().map(|machine| work(machine, &mut log)).unwrap_or_default();
        drop(machine);
        send(answers);
    }
}

/// Who has gone away in the meantime is not told.
fn send(answers: Answers<Ticket>) {
    for (ticket, answer) in answers {
        let _ = ticket.send(answer);
    }
}
