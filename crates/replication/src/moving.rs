//! A replica on its way to another log directory (AlterReplicaLogDirs): copied while it is served, as Kafka's
//! `ReplicaAlterLogDirsThread` does; at the end, with appends paused for a moment, one record of the metadata log makes the
//! copy the replica. Before that record the copy is nothing, from it on what was left behind is: a crash finds exactly one,
//! and what was a copy is begun anew by the next start, as Kafka goes on with its `-future` logs.
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::Clock;
use parking_lot::Mutex;
use protocol::Uuid;
use record::{Batches, Offset, Timestamp};
use storage::{CreateError, Log, LogDir, LogListener, ReadError, Slice};
use tokio::sync::Notify;

use crate::partition::{Location, Partition};

/// Between two looks for whether a lane has what it was given: a copy's creation, or what was appended to the source last.
const LOOK_PAUSE: Duration = Duration::from_millis(1);
/// One read of the source,
const COPY_BYTES_MAX: usize = 1 << 20;
/// and no more than this share of the memory that the copy's directory has for all who write to it: a copy that wanted much
/// of it at once would wait for ever beside producers who take what comes free, piece by piece.
const COPY_MEMORY_SHARE: usize = 16;

/// The copy of a replica.
pub(crate) struct FutureLog {
    pub location: Arc<Location>,
    /// Told of what has become durable in it.
    arrival: Arc<Arrival>,
    /// How often compaction had changed the source when the copy began: a copy of two versions may lack a tombstone.
    replacements: u64,
    /// A start would know that it is a copy, and the source none.
    is_marked: bool,
    /// The marked copy in whose place this one is. It goes when this one is marked: no start forgets the move.
    replaces: Option<Arc<Log>>,
    /// The controller is being told: there is no way back.
    is_committing: bool,
}

impl FutureLog {
    fn new(location: Location, arrival: Arc<Arrival>, replacements: u64) -> Self {
        let location = Arc::new(location);
        Self { location, arrival, replacements, is_marked: false, replaces: None, is_committing: false }
    }
}

#[derive(Default)]
struct Arrival(Notify);

impl LogListener for Arrival {
    fn acknowledged_end_advanced(&self, _acknowledged_end: Offset) {
        self.0.notify_waiters();
    }

    fn went_offline(&self) {
        self.0.notify_waiters();
    }
}

/// Why a replica is not moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MoveError {
    /// The move before is just taking effect.
    Busy,
    /// One of the two directories, or any other: a copy is not begun then (`Partition.maybeCreateFutureReplica`).
    Offline,
}

/// How a copy ended.
#[derive(Debug)]
enum Ended {
    Cancelled,
    Failed(String),
}

/// Partitions whose copies are to be filled, in the order in which they were asked for.
#[derive(Default)]
pub struct Moves {
    waiting: Mutex<std::collections::VecDeque<std::sync::Weak<Partition>>>,
    wake: Notify,
}

impl Moves {
    pub(crate) fn push(&self, partition: &Arc<Partition>) {
        let mut waiting = self.waiting.lock();
        // However often one is sent to and fro.
        if !waiting.iter().any(|other| other.as_ptr() == Arc::as_ptr(partition)) {
            waiting.push_back(Arc::downgrade(partition));
        }
        drop(waiting);
        self.wake.notify_one();
    }

    pub async fn next(&self) -> Arc<Partition> {
        loop {
            if let Some(partition) = self.waiting.lock().pop_front() {
                match partition.upgrade() {
                    Some(partition) => return partition,
                    None => continue,
                }
            }
            self.wake.notified().await;
        }
    }
}

impl Partition {
    /// How many records the copy lacks, if there is one and this is its log.
    pub fn future_lag(&self, log: &Log) -> Option<i64> {
        let future = self.future.lock();
        let copy = future.as_ref().filter(|future| std::ptr::eq(&*future.location.log, log))?;
        let end = self.log().ends().log_end;
        Some((end.0 - copy.location.log.ends().log_end.0).max(0))
    }

    /// Begins a copy in this directory, ends one that is on its way to another. Whether there is something to be filled.
    pub(crate) fn move_to(&self, wanted: &LogDir, has_offline: bool) -> Result<bool, MoveError> {
        let mut future = self.future.lock();
        match &*future {
            Some(copy) if copy.location.directory.id() == wanted.id() => return Ok(false),
            Some(copy) if copy.is_committing => return Err(MoveError::Busy),
            Some(_) => self.abandon(future.take()),
            None => {}
        }
        if self.directory().id() == wanted.id() {
            return Ok(false);
        }
        if has_offline {
            return Err(MoveError::Offline);
        }
        let start = self.log().ends().log_start;
        *future = Some(self.begin_copy(wanted, start).map_err(|_| MoveError::Offline)?);
        Ok(true)
    }

    /// Goes on with a copy that a start has found, or begins anew where that cannot be. Whether there is something to be
    /// filled.
    pub(crate) fn resume_move(&self, found: Location) -> Result<bool, MoveError> {
        let mut future = self.future.lock();
        let source = self.log();
        let arrival = Arc::new(Arrival::default());
        // Of two, the older one that is marked only tells that there is a move.
        let newest = found.directory.log(found.log.topic_id(), found.log.name().partition);
        let is_newest = newest.is_some_and(|newest| Arc::ptr_eq(&newest, &found.log));
        if future.is_none() && is_newest && found.directory.adopt_copy(&found.log, &source, arrival.clone()) {
            let replacements = source.begin_copy();
            *future = Some(FutureLog { is_marked: true, ..FutureLog::new(found, arrival, replacements) });
            return Ok(true);
        }
        if future.is_some() || self.directory().id() == found.directory.id() {
            drop(found.directory.delete_log(&found.log));
            return Ok(false);
        }
        *future = Some(self.begin_copy_instead(&found, source.ends().log_start).map_err(|_| MoveError::Offline)?);
        Ok(true)
    }

    /// Of a copy that is marked and of no use.
    fn begin_copy_instead(&self, before: &Location, start: Offset) -> Result<FutureLog, CreateError> {
        before.directory.keep_stray(&before.log);
        match self.begin_copy(&before.directory, start) {
            Ok(copy) => Ok(FutureLog { replaces: Some(before.log.clone()), ..copy }),
            Err(error) => {
                drop(before.directory.delete_log(&before.log));
                Err(error)
            }
        }
    }

    fn begin_copy(&self, wanted: &LogDir, start: Offset) -> Result<FutureLog, CreateError> {
        let source = self.log();
        let replacements = source.begin_copy();
        let arrival = Arc::new(Arrival::default());
        let log = match wanted.create_copy(&source, start, arrival.clone()) {
            Ok(log) => log,
            Err(error) => {
                source.end_copy();
                return Err(error);
            }
        };
        Ok(FutureLog::new(Location { directory: wanted.clone(), log }, arrival, replacements))
    }

    /// The copy goes, and the source is as before.
    fn abandon(&self, future: Option<FutureLog>) {
        let Some(copy) = future else { return };
        self.log().end_copy();
        for log in copy.replaces.iter().chain([&copy.location.log]) {
            drop(copy.location.directory.delete_log(log));
        }
        self.resume();
    }

    /// Whatever the copy has come to: the topic is gone, or its directory.
    pub fn abandon_move(&self) {
        let future = self.future.lock().take();
        self.abandon(future);
    }

    /// Fills the copy until it has everything, durably, and nothing more is appended. Then the controller is to be told of
    /// this directory, and there is no way back. `None`: there is nothing to tell.
    pub async fn copy(self: &Arc<Self>, clock: &dyn Clock) -> Option<Uuid> {
        match self.fill(clock).await {
            Ok(directory) => Some(directory),
            Err(Ended::Cancelled) => None,
            Err(Ended::Failed(reason)) => {
                tracing::error!(partition = %self.name(), reason, "the replica stays in its log directory");
                self.abandon_move();
                None
            }
        }
    }

    async fn fill(self: &Arc<Self>, clock: &dyn Clock) -> Result<Uuid, Ended> {
        let offline = || Ended::Failed("a log directory is offline".to_owned());
        loop {
            let (copy, arrival, replacements, is_marked) = {
                let future = self.future.lock();
                let future = future.as_ref().ok_or(Ended::Cancelled)?;
                (future.location.clone(), future.arrival.clone(), future.replacements, future.is_marked)
            };
            let source = self.location();
            if source.directory.is_offline() || copy.directory.is_offline() {
                return Err(offline());
            }
            if !copy.log.is_recorded() {
                // A mark of a log that no start finds would be in vain.
                clock.sleep_until(clock.now() + LOOK_PAUSE).await;
                continue;
            }
            if !is_marked {
                // Both before the copy can become the replica: what that leaves behind must be no copy.
                for marked in [source.directory.unmark_copy(&source.log), copy.directory.mark_copy(&copy.log)] {
                    marked.await.map_err(|_| offline())?.map_err(|_| offline())?;
                }
                self.with_copy(&copy, |future| {
                    future.is_marked = true;
                    if let Some(before) = future.replaces.take() {
                        drop(copy.directory.delete_log(&before));
                    }
                })?;
                continue;
            }
            let (ends, end) = (source.log.ends(), copy.log.ends().log_end);
            if end < ends.log_start || source.log.replacements() != replacements {
                self.begin_anew(&copy, ends.log_start)?;
                continue;
            }
            // No further: what a power loss may take of the source would be in the copy, and then others at its offsets.
            if end < ends.durable_end {
                self.copy_some(&source, &copy, end..ends.durable_end, replacements, clock).await?;
                continue;
            }
            if !self.is_paused() {
                // Whoever ends the move takes the copy away first and then lets appends go on.
                self.with_copy(&copy, |_| self.pause())?;
                continue;
            }
            if end < ends.log_end {
                clock.sleep_until(clock.now() + LOOK_PAUSE).await;
                continue;
            }
            if copy.log.ends().log_start < ends.log_start {
                let moved = copy.log.advance_log_start(ends.log_start).await;
                moved.map_err(|_| offline())?.map_err(|_| offline())?;
                continue;
            }
            let mut arrived = pin!(arrival.0.notified());
            arrived.as_mut().enable();
            if copy.log.ends().durable_end < end {
                if !copy.directory.is_offline() {
                    arrived.await;
                }
                continue;
            }
            copy.log.remember_producers_of(&source.log);
            while !copy.log.has_durable_producers() {
                if copy.directory.is_offline() {
                    return Err(offline());
                }
                self.with_copy(&copy, |_| ())?; // A copy that is called off is deleted: no checkpoint has it.
                clock.sleep_until(clock.now() + LOOK_PAUSE).await;
            }
            self.with_copy(&copy, |future| future.is_committing = true)?;
            return Ok(Uuid(copy.directory.id().0));
        }
    }

    /// If it still is the copy of this partition.
    fn with_copy<T>(&self, copy: &Arc<Location>, change: impl FnOnce(&mut FutureLog) -> T) -> Result<T, Ended> {
        let mut future = self.future.lock();
        let future = future.as_mut().filter(|future| Arc::ptr_eq(&future.location, copy));
        future.map(change).ok_or(Ended::Cancelled)
    }

    /// What was copied is no beginning of what is there now, from `start` on.
    fn begin_anew(&self, copy: &Arc<Location>, start: Offset) -> Result<Arc<Location>, Ended> {
        let mut future = self.future.lock();
        if !future.as_ref().is_some_and(|future| Arc::ptr_eq(&future.location, copy)) {
            return Err(Ended::Cancelled);
        }
        *future = None;
        self.log().end_copy();
        self.resume();
        let anew = self.begin_copy_instead(copy, start).map_err(|error| Ended::Failed(error.to_string()))?;
        let location = anew.location.clone();
        *future = Some(anew);
        Ok(location)
    }

    async fn copy_some(
        &self,
        source: &Location,
        copy: &Arc<Location>,
        Range { start: from, end: up_to }: Range<Offset>,
        replacements: u64,
        clock: &dyn Clock,
    ) -> Result<(), Ended> {
        let mut room = pin!(copy.directory.room().notified());
        room.as_mut().enable();
        let bytes_max = COPY_BYTES_MAX.min(copy.directory.memory_bytes_max() / COPY_MEMORY_SHARE);
        if !copy.directory.admits(bytes_max) && !copy.directory.is_offline() {
            room.await;
            return Ok(());
        }
        let read = source.directory.read_cold(&source.log, from, bytes_max, up_to, true).await;
        let read = match read.unwrap_or(Err(ReadError::Offline)) {
            Err(ReadError::OutOfRange { .. }) => return Ok(()), // Retention was here: the caller sees it.
            read => read.map_err(|error| Ended::Failed(error.to_string()))?,
        };
        if read.slices.is_empty() {
            return Err(Ended::Failed(format!("nothing can be read at offset {from}")));
        }
        let now = Timestamp(clock.wall_ms());
        let memory = |slice| match slice {
            Slice::Memory(bytes) => bytes,
            _ => unreachable!("a cold read is all in memory"),
        };
        let read: Vec<Bytes> = read.slices.into_iter().map(memory).collect();
        let mut copy = copy.clone();
        let first = read.first().and_then(|bytes| Batches::new(bytes).next()?.ok()).map(|batch| batch.base_offset());
        if let Some(first) = first.filter(|first| *first < from && copy.log.ends().log_start == from) {
            // The source begins inside a batch (DeleteRecords), and so the copy with that batch, as in
            // `Partition.appendRecordsToFollowerOrFutureReplica`.
            copy = self.begin_anew(&copy, first)?;
            if self.with_copy(&copy, |future| future.replacements)? != replacements {
                return Ok(()); // What was read is there no more: again.
            }
        }
        for bytes in read {
            copy.log.append_as_follower(&bytes, now).map_err(|error| Ended::Failed(error.to_string()))?;
        }
        Ok(())
    }

    /// The metadata has this replica in that directory now: what was left behind goes. Whether that is news.
    pub(crate) fn take_over(self: &Arc<Self>, assigned: Uuid) -> bool {
        let mut future = self.future.lock();
        if future.as_ref().is_none_or(|copy| copy.location.directory.id().0 != assigned.0) {
            return false;
        }
        let copy = future.take().expect("it was just looked at");
        drop(future);
        // Not awaited: what the metadata names is the replica, whatever it says of itself, and the next move looks again.
        drop(copy.location.directory.unmark_copy(&copy.location.log));
        let before = self.switch(copy.location);
        tracing::info!(partition = %self.name(), to = %self.directory().path().display(), "the replica has moved");
        if !self.is_offline() {
            // Not awaited: a start finds it where the metadata does not have it, and deletes it.
            drop(before.directory.delete_log(&before.log));
        }
        true
    }
}
