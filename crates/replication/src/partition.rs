//! One partition's replica on this node: who may append to it and read from it, and when an append is acknowledged. Rules
//! of `kafka.cluster.Partition`. Calls the log directly under a short lock; knows no request and no socket.
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use record::{BrokerId, Decompressor, LeaderEpoch, Offset, Timestamp, TopicId, TopicPartition};
use storage::validate::{self, Origin, Rules, ValidateError, Validated};
use storage::{Appended, Log, LogDir};

use crate::leader::Leader;
use crate::moving::FutureLog;
use crate::traffic::Traffic;
use crate::validating::{self, Checked, Turns};
use crate::watch::{Registration, Until, Waiting, Watch};

mod reading;

pub use reading::{Ends, Fetch, Fetched, ReadError, Visibility};

pub struct Partition {
    name: TopicPartition,
    topic_id: TopicId,
    location: ArcSwap<Location>,
    /// On the way to another directory.
    pub(crate) future: Mutex<Option<FutureLog>>,
    /// Nothing is appended, for the moment in which the copy becomes the replica. Changed under the lock of `role`.
    is_paused: AtomicBool,
    watch: Arc<Watch>,
    rules: ArcSwap<Rules>,
    turns: Arc<Turns>,
    traffic: Arc<Traffic>,
    role: Mutex<Role>,
    /// Told of every move of the high watermark: the group coordinator of an offsets partition.
    committed_listener: RwLock<Option<Arc<CommittedListener>>>,
    #[cfg(feature = "mutants")]
    pub(crate) watermark_over_received: std::sync::atomic::AtomicBool,
}

/// Told the high watermark.
pub type CommittedListener = dyn Fn(Offset) + Send + Sync;

/// Where a replica is.
pub(crate) struct Location {
    pub directory: LogDir,
    pub log: Arc<Log>,
}

enum Role {
    Leader(Leader),
    /// Known, and led by another node or by nobody; or deleted.
    Other {
        leader: Option<BrokerId>,
        epoch: LeaderEpoch,
    },
}

/// Kafka's `acks`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acks {
    None,
    Leader,
    All,
}

#[derive(Debug)]
pub enum AppendError {
    Invalid(ValidateError),
    Log(storage::AppendError),
    NotEnoughReplicas {
        in_sync_min: usize,
    },
    NotLeader,
    /// The file system is full: for now nothing is taken.
    OutOfSpace,
}

/// An append that has begun: mostly it is done at once.
enum Appending<'a> {
    Done(Appended),
    Waits(Pin<Box<dyn Future<Output = Result<Appended, AppendError>> + Send + 'a>>),
}

#[derive(Debug)]
pub enum DeleteRecordsError {
    Log(storage::LogStartError),
    NotLeader,
    OutOfRange { high_watermark: Offset },
}

impl Partition {
    pub(crate) fn new(
        directory: LogDir,
        log: Arc<Log>,
        rules: Rules,
        turns: Arc<Turns>,
        traffic: Arc<Traffic>,
    ) -> Arc<Self> {
        let partition = Arc::new(Self {
            name: log.name().clone(),
            topic_id: log.topic_id(),
            location: ArcSwap::from_pointee(Location { directory, log: log.clone() }),
            future: Mutex::default(),
            is_paused: AtomicBool::new(false),
            watch: Arc::default(),
            rules: ArcSwap::from_pointee(rules),
            turns,
            traffic,
            role: Mutex::new(Role::Other { leader: None, epoch: LeaderEpoch::NONE }),
            committed_listener: RwLock::default(),
            #[cfg(feature = "mutants")]
            watermark_over_received: false.into(),
        });
        log.set_listener(Arc::new(LogEvents(Arc::downgrade(&partition))));
        partition
    }

    pub fn name(&self) -> &TopicPartition {
        &self.name
    }

    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    pub fn log(&self) -> Arc<Log> {
        self.location.load().log.clone()
    }

    pub(crate) fn location(&self) -> Arc<Location> {
        self.location.load_full()
    }

    /// Of the whole topic.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    pub fn directory(&self) -> LogDir {
        self.location.load().directory.clone()
    }

    /// Its log directory has failed: nothing is served before the next start.
    pub fn is_offline(&self) -> bool {
        self.location.load().directory.is_offline()
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Acquire)
    }

    /// After this nothing is being appended.
    pub(crate) fn pause(&self) {
        let _role = self.role.lock();
        self.is_paused.store(true, Ordering::Release);
    }

    pub(crate) fn resume(&self) {
        let role = self.role.lock();
        self.is_paused.store(false, Ordering::Release);
        drop(role);
        self.location.load().directory.room().notify_waiters();
    }

    /// The replica is there from now on, with everything that it had. Returns where it was.
    pub(crate) fn switch(self: &Arc<Self>, location: Arc<Location>) -> Arc<Location> {
        let role = self.role.lock();
        if let Role::Leader(leader) = &*role {
            if location.log.latest_epoch().is_none_or(|latest| latest < leader.epoch()) {
                location.log.assign_epoch(leader.epoch(), leader.epoch_start());
            }
            location.log.learn_high_watermark(leader.high_watermark());
        }
        location.log.set_listener(Arc::new(LogEvents(Arc::downgrade(self))));
        let before = self.location.swap(location);
        self.is_paused.store(false, Ordering::Release);
        drop(role);
        self.safe_end_advanced();
        before.directory.room().notify_waiters();
        before
    }

    pub(crate) fn set_rules(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
    }

    /// Leads from now on, in an epoch of which nothing has been appended yet.
    pub(crate) fn lead(&self, epoch: LeaderEpoch, in_sync_min: usize, replicas: usize) {
        let mut role = self.role.lock();
        if let Role::Leader(leader) = &mut *role
            && leader.epoch() == epoch
        {
            leader.configure(in_sync_min, replicas);
            return;
        }
        let log = self.log();
        let epoch_start = log.ends().log_end;
        // At once, before any append: who asks where this epoch began must hear it (KIP-101).
        log.assign_epoch(epoch, epoch_start);
        let learned = log.high_watermark_learned();
        let mut leader = Leader::new(epoch, epoch_start, self.safe_end(), learned);
        leader.configure(in_sync_min, replicas);
        let high_watermark = leader.high_watermark();
        *role = Role::Leader(leader);
        drop(role);
        self.committed(high_watermark);
    }

    /// No longer leads: all who wait look again, and hear it.
    pub(crate) fn resign(&self, leader: Option<BrokerId>, epoch: LeaderEpoch) {
        *self.role.lock() = Role::Other { leader, epoch };
        self.watch.abandon();
    }

    pub fn is_leader(&self) -> bool {
        !self.is_offline() && matches!(&*self.role.lock(), Role::Leader(_))
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        match &*self.role.lock() {
            Role::Leader(leader) => leader.epoch(),
            Role::Other { epoch, .. } => *epoch,
        }
    }

    /// `min.insync.replicas` of what this node leads, as far as there are replicas.
    pub fn in_sync_min(&self) -> Option<usize> {
        match &*self.role.lock() {
            Role::Leader(leader) => Some(leader.in_sync_min()),
            Role::Other { .. } => None,
        }
    }

    /// Who leads, as far as this node knows.
    pub fn leader_elsewhere(&self) -> Option<BrokerId> {
        match &*self.role.lock() {
            Role::Leader(_) => None,
            Role::Other { leader, .. } => *leader,
        }
    }

    /// Waits until the log directory takes this many bytes more: back-pressure, before an append.
    pub async fn room_for(&self, bytes: usize) -> Result<(), AppendError> {
        match self.has_room_for(bytes)? {
            true => Ok(()),
            // Boxed, as it is rare: what awaits an append stays small.
            false => Box::pin(self.wait_for_room(bytes)).await,
        }
    }

    fn has_room_for(&self, bytes: usize) -> Result<bool, AppendError> {
        let location = self.location.load();
        if location.directory.is_offline() {
            return Err(AppendError::Log(storage::AppendError::Offline));
        }
        if location.directory.refuses_produce() {
            return Err(AppendError::OutOfSpace);
        }
        Ok(location.directory.admits(bytes))
    }

    async fn wait_for_room(&self, bytes: usize) -> Result<(), AppendError> {
        while !self.has_room_for(bytes)? {
            let directory = self.directory();
            let mut room = pin!(directory.room().notified());
            room.as_mut().enable();
            if !directory.admits(bytes) {
                room.await;
            }
        }
        Ok(())
    }

    /// As [`Self::append`], but lets others run while a batch that inflates is checked, and waits while the log is being
    /// truncated or changes its durability.
    pub async fn append_when_open(
        &self,
        bytes: &Bytes,
        origin: Origin,
        acks: Acks,
        now: Timestamp,
        decompressor: &mut Decompressor,
    ) -> Result<Appended, AppendError> {
        let appended = match self.begin_append(bytes, origin, acks, now, decompressor) {
            Ok(Appending::Done(appended)) => return Ok(appended),
            Ok(Appending::Waits(appended)) => appended,
            Err(error) => return Err(error),
        };
        appended.await
    }

    fn begin_append<'a>(
        &'a self,
        bytes: &'a Bytes,
        origin: Origin,
        acks: Acks,
        now: Timestamp,
        decompressor: &'a mut Decompressor,
    ) -> Result<Appending<'a>, AppendError> {
        self.traffic.produce_requests.add(1);
        let checked = validating::validated(&self.turns, bytes, &self.rules.load(), origin, now, decompressor);
        Ok(match checked.map_err(AppendError::Invalid)? {
            Checked::Now(batch) => match self.append_validated(&batch, bytes, acks, now) {
                Err(AppendError::Log(storage::AppendError::Paused)) => {
                    Appending::Waits(Box::pin(self.append_once_open(batch, bytes, acks, now)))
                }
                appended => Appending::Done(appended?),
            },
            Checked::Later(batch) => Appending::Waits(Box::pin(async move {
                let batch = batch.await.map_err(AppendError::Invalid)?;
                self.append_once_open(batch, bytes, acks, now).await
            })),
        })
    }

    async fn append_once_open(
        &self,
        batch: Validated,
        bytes: &Bytes,
        acks: Acks,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        loop {
            let directory = self.directory();
            let mut room = pin!(directory.room().notified());
            room.as_mut().enable();
            match self.append_validated(&batch, bytes, acks, now) {
                Err(AppendError::Log(storage::AppendError::Paused)) => room.await,
                appended => return appended,
            }
        }
    }

    /// Appends one batch as the leader. What it is worth to the client is told by [`Self::is_acknowledged`].
    pub fn append(
        &self,
        bytes: &Bytes,
        origin: Origin,
        acks: Acks,
        now: Timestamp,
        decompressor: &mut Decompressor,
    ) -> Result<Appended, AppendError> {
        let batch =
            validate::validate(bytes, &self.rules.load(), origin, now, decompressor).map_err(AppendError::Invalid)?;
        self.append_validated(&batch, bytes, acks, now)
    }

    fn append_validated(
        &self,
        batch: &Validated,
        bytes: &Bytes,
        acks: Acks,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        let mut role = self.role.lock();
        let location = self.location.load();
        if location.directory.is_offline() {
            return Err(AppendError::Log(storage::AppendError::Offline));
        }
        let Role::Leader(leader) = &mut *role else { return Err(AppendError::NotLeader) };
        if acks == Acks::All && !leader.is_enough_in_sync() {
            return Err(AppendError::NotEnoughReplicas { in_sync_min: leader.in_sync_min() });
        }
        if self.is_paused.load(Ordering::Relaxed) {
            return Err(AppendError::Log(storage::AppendError::Paused));
        }
        let appended = location.log.append(batch, bytes, leader.epoch(), now).map_err(AppendError::Log)?;
        let advanced = leader.local_advanced(self.safe_end_of(&location.log));
        drop(role);
        self.traffic.messages_in.add((appended.last_offset.next().0 - appended.base_offset.0) as u64);
        self.traffic.bytes_in.add(bytes.len() as u64);
        if let Some(high_watermark) = advanced {
            self.committed(high_watermark);
        }
        Ok(appended)
    }

    /// Whether what `acks` asks for holds for everything below `end`. An error if it may never hold.
    pub fn is_acknowledged(&self, acks: Acks, end: Offset) -> Result<bool, AppendError> {
        let role = self.role.lock();
        let location = self.location.load();
        if location.directory.is_offline() {
            return Err(AppendError::Log(storage::AppendError::Offline));
        }
        let Role::Leader(leader) = &*role else { return Err(AppendError::NotLeader) };
        Ok(match acks {
            Acks::None => true,
            Acks::Leader => self.safe_end_of(&location.log) >= end,
            Acks::All => leader.high_watermark() >= end,
        })
    }

    pub fn register(&self, until: Until, waiting: &Arc<Waiting>) -> Registration {
        self.watch.register(until, waiting)
    }

    /// DeleteRecords: nothing below `offset` is there any more once this has returned. Answers the log start.
    pub async fn delete_records(&self, offset: Offset) -> Result<Offset, DeleteRecordsError> {
        loop {
            let ends = self.ends(None).map_err(|error| match error {
                ReadError::Log(_) => DeleteRecordsError::Log(storage::LogStartError::Offline),
                _ => DeleteRecordsError::NotLeader,
            })?;
            if offset > ends.high_watermark {
                return Err(DeleteRecordsError::OutOfRange { high_watermark: ends.high_watermark });
            }
            let location = self.location();
            let moved = location.log.advance_log_start(offset).await;
            let mut room = pin!(location.directory.room().notified());
            room.as_mut().enable();
            if self.is_paused() && !location.directory.is_offline() {
                // The copy that is about to become the replica may not have heard of it: once more, wherever it is then.
                room.await;
            } else if Arc::ptr_eq(&location, &self.location.load()) {
                return moved.unwrap_or(Err(storage::LogStartError::Offline)).map_err(DeleteRecordsError::Log);
            }
        }
    }

    /// In the place of the listener before, if there was one. It must not block, nor come back to this partition.
    pub fn on_committed(&self, listener: Arc<CommittedListener>) {
        *self.committed_listener.write() = Some(listener);
    }

    /// What acks=1 and, here, the in-sync set of one promise: durable, or written where the topic is `relaxed`.
    fn safe_end(&self) -> Offset {
        self.safe_end_of(&self.location.load().log)
    }

    fn safe_end_of(&self, log: &Log) -> Offset {
        #[cfg(feature = "mutants")]
        if self.watermark_over_received.load(std::sync::atomic::Ordering::Relaxed) {
            return log.ends().log_end;
        }
        log.acknowledged_end()
    }

    fn committed(&self, high_watermark: Offset) {
        self.location.load().log.learn_high_watermark(high_watermark);
        self.watch.durable_advanced(self.safe_end());
        self.watch.committed_advanced(high_watermark);
        if let Some(listener) = &*self.committed_listener.read() {
            listener(high_watermark);
        }
    }

    /// The log acknowledges more.
    fn safe_end_advanced(&self) {
        let mut role = self.role.lock();
        let Role::Leader(leader) = &mut *role else { return };
        let advanced = leader.local_advanced(self.safe_end());
        drop(role);
        match advanced {
            Some(high_watermark) => self.committed(high_watermark),
            None => self.watch.durable_advanced(self.safe_end()),
        }
    }
}

/// What the log tells its partition. Weak: a deleted partition's log may outlive it for a while.
struct LogEvents(std::sync::Weak<Partition>);

impl storage::LogListener for LogEvents {
    fn acknowledged_end_advanced(&self, _acknowledged_end: Offset) {
        if let Some(partition) = self.0.upgrade() {
            partition.safe_end_advanced();
        }
    }

    fn went_offline(&self) {
        if let Some(partition) = self.0.upgrade() {
            partition.watch.abandon();
        }
    }
}
