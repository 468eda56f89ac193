//! One partition's replica on this node: who may append to it and read from it, and when an append is acknowledged. Rules
//! of `kafka.cluster.Partition`. Calls the log directly under a short lock; knows no request and no socket.
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use record::{BrokerId, Decompressor, LeaderEpoch, Offset, Timestamp, TopicId, TopicPartition};
use storage::validate::{self, Origin, Rules, ValidateError, Validated};
use storage::{Appended, FileSlice, Log, LogDir, Slice, TimestampOffset};

use crate::leader::{EpochError, Leader};
use crate::moving::FutureLog;
use crate::traffic::Traffic;
use crate::validating::{self, Checked, Turns};
use crate::watch::{Registration, Until, Waiting, Watch};

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

/// Why a read, of records or of offsets, is refused.
#[derive(Debug)]
pub enum ReadError {
    FencedLeaderEpoch,
    Log(storage::ReadError),
    NotLeader,
    /// A follower that this partition does not have.
    NotReplica,
    UnknownLeaderEpoch,
}

#[derive(Debug)]
pub enum DeleteRecordsError {
    Log(storage::LogStartError),
    NotLeader,
    OutOfRange { high_watermark: Offset },
}

/// Up to where a reader may see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Visibility {
    /// A consumer, `read_committed`: the last stable offset.
    Committed,
    /// A consumer, `read_uncommitted`: the high watermark.
    Uncommitted,
    /// Kafka's debugging consumer (replica id -2): the log end.
    Debugging,
    /// A follower.
    Replica(BrokerId),
}

pub struct Fetch {
    pub from: Offset,
    pub bytes_max: usize,
    /// The first batch is given whatever its size.
    pub minimum_one: bool,
    pub visibility: Visibility,
    pub leader_epoch: Option<LeaderEpoch>,
    /// The epoch of the last record that the reader has (KIP-595).
    pub last_fetched_epoch: Option<LeaderEpoch>,
}

#[derive(Default)]
pub struct Fetched {
    pub slices: Vec<Slice>,
    pub size_bytes: usize,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start: Offset,
    /// Aborted transactions are to be named: none, as there are no transactions yet.
    pub is_read_committed: bool,
    /// The reader's last epoch ends earlier here: it must truncate.
    pub diverging: Option<(LeaderEpoch, Offset)>,
}

/// A leader's ends at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub log_start: Offset,
    pub log_end: Offset,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub epoch: LeaderEpoch,
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
        loop {
            {
                let location = self.location.load();
                if location.directory.is_offline() {
                    return Err(AppendError::Log(storage::AppendError::Offline));
                }
                if location.directory.refuses_produce() {
                    return Err(AppendError::OutOfSpace);
                }
                if location.directory.admits(bytes) {
                    return Ok(());
                }
            }
            let directory = self.directory();
            let mut room = pin!(directory.room().notified());
            room.as_mut().enable();
            if !directory.admits(bytes) {
                room.await;
            }
        }
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
        self.traffic.produce_requests.add(1);
        let rules = self.rules.load_full();
        let checked = validating::validated(&self.turns, bytes, &rules, origin, now, decompressor);
        let batch = match checked.map_err(AppendError::Invalid)? {
            Checked::Now(batch) => batch,
            Checked::Later(batch) => batch.await.map_err(AppendError::Invalid)?,
        };
        loop {
            match self.append_validated(&batch, bytes, acks, now) {
                Err(AppendError::Log(storage::AppendError::Paused)) => {}
                appended => return appended,
            }
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
        if self.is_offline() {
            return Err(AppendError::Log(storage::AppendError::Offline));
        }
        let mut role = self.role.lock();
        let Role::Leader(leader) = &mut *role else { return Err(AppendError::NotLeader) };
        if acks == Acks::All && !leader.is_enough_in_sync() {
            return Err(AppendError::NotEnoughReplicas { in_sync_min: leader.in_sync_min() });
        }
        if self.is_paused.load(Ordering::Relaxed) {
            return Err(AppendError::Log(storage::AppendError::Paused));
        }
        let appended = self.location.load().log.append(batch, bytes, leader.epoch(), now).map_err(AppendError::Log)?;
        let advanced = leader.local_advanced(self.safe_end());
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
        if self.is_offline() {
            return Err(AppendError::Log(storage::AppendError::Offline));
        }
        let role = self.role.lock();
        let Role::Leader(leader) = &*role else { return Err(AppendError::NotLeader) };
        Ok(match acks {
            Acks::None => true,
            Acks::Leader => self.safe_end() >= end,
            Acks::All => leader.high_watermark() >= end,
        })
    }

    pub fn register(&self, until: Until, waiting: &Arc<Waiting>) -> Registration {
        self.watch.register(until, waiting)
    }

    pub async fn read(&self, fetch: &Fetch) -> Result<Fetched, ReadError> {
        loop {
            let location = self.location();
            match self.read_at(&location, fetch).await {
                // It has moved to another directory under the reader.
                Err(ReadError::Log(storage::ReadError::Deleted)) if !Arc::ptr_eq(&location, &self.location.load()) => {}
                read => return read,
            }
        }
    }

    async fn read_at(&self, location: &Location, fetch: &Fetch) -> Result<Fetched, ReadError> {
        let ends = self.ends(fetch.leader_epoch)?;
        let mut fetched = Fetched {
            high_watermark: ends.high_watermark,
            last_stable_offset: ends.last_stable_offset,
            log_start: ends.log_start,
            is_read_committed: fetch.visibility == Visibility::Committed,
            ..Fetched::default()
        };
        if let Some(epoch) = fetch.last_fetched_epoch {
            let (ours, end) = self.location.load().log.end_offset_for_epoch(epoch).ok_or(out_of_range(&ends))?;
            if ours < epoch || end < fetch.from {
                fetched.diverging = Some((ours, end));
                return Ok(fetched);
            }
        }
        let up_to = self.visible_end(&ends, fetch.visibility)?;
        if fetch.from < ends.log_start || fetch.from > ends.log_end {
            return Err(out_of_range(&ends));
        }
        // Between what is visible and the end: nothing yet, and no error.
        if fetch.from < up_to {
            let read = match location.log.read(fetch.from, fetch.bytes_max, up_to, fetch.minimum_one) {
                Err(storage::ReadError::Cold) => {
                    let Fetch { from, bytes_max, minimum_one, .. } = *fetch;
                    ticket(location.directory.read_cold(&location.log, from, bytes_max, up_to, minimum_one)).await?
                }
                read => read.map_err(ReadError::Log)?,
            };
            fetched.size_bytes = read.size_bytes;
            fetched.slices = read.slices;
        }
        Ok(fetched)
    }

    /// The ends, if this node leads and the client believes in the same epoch.
    pub fn ends(&self, leader_epoch: Option<LeaderEpoch>) -> Result<Ends, ReadError> {
        if self.is_offline() {
            return Err(ReadError::Log(storage::ReadError::Offline));
        }
        let role = self.role.lock();
        let Role::Leader(leader) = &*role else { return Err(ReadError::NotLeader) };
        leader.check_epoch(leader_epoch).map_err(ReadError::from)?;
        let log = &self.location.load().log;
        let ends = log.ends();
        let high_watermark = leader.high_watermark();
        Ok(Ends {
            log_start: ends.log_start,
            log_end: ends.log_end,
            high_watermark: high_watermark.max(ends.log_start),
            last_stable_offset: log.first_unstable_offset().map_or(high_watermark, |first| first.min(high_watermark)),
            epoch: leader.epoch(),
        })
    }

    /// The end of what a reader may see.
    pub fn visible_end(&self, ends: &Ends, visibility: Visibility) -> Result<Offset, ReadError> {
        match visibility {
            Visibility::Committed => Ok(ends.last_stable_offset),
            Visibility::Uncommitted => Ok(ends.high_watermark),
            Visibility::Debugging => Ok(ends.log_end),
            Visibility::Replica(_) => Err(ReadError::NotReplica),
        }
    }

    /// The first record at or after a time, among those that the reader may see.
    pub async fn offset_for_timestamp(
        &self,
        timestamp: Timestamp,
        up_to: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let found = self.log().offset_for_timestamp(timestamp, up_to);
        ticket(found).await
    }

    pub async fn offset_of_max_timestamp(&self, up_to: Offset) -> Result<Option<TimestampOffset>, ReadError> {
        let found = self.log().offset_of_max_timestamp(up_to);
        ticket(found).await
    }

    /// OffsetForLeaderEpoch: the greatest epoch up to `epoch` that this log knows, and where it ends.
    pub fn end_offset_for_epoch(
        &self,
        current: Option<LeaderEpoch>,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ReadError> {
        self.ends(current)?;
        Ok(self.location.load().log.end_offset_for_epoch(epoch))
    }

    /// Reads a range of a segment that is not in the page cache, and checks its batches, on a thread of its own.
    pub async fn read_cold(&self, slice: FileSlice) -> Result<Bytes, storage::ReadError> {
        let read = self.location.load().directory.read_slice_cold(slice);
        read.await.unwrap_or(Err(storage::ReadError::Offline))
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
        #[cfg(feature = "mutants")]
        if self.watermark_over_received.load(std::sync::atomic::Ordering::Relaxed) {
            return self.location.load().log.ends().log_end;
        }
        self.location.load().log.acknowledged_end()
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

fn out_of_range(ends: &Ends) -> ReadError {
    ReadError::Log(storage::ReadError::OutOfRange { log_start: ends.log_start, log_end: ends.log_end })
}

/// A ticket whose other end is gone belongs to a directory that went offline.
async fn ticket<T>(ticket: storage::Ticket<Result<T, storage::ReadError>>) -> Result<T, ReadError> {
    ticket.await.unwrap_or(Err(storage::ReadError::Offline)).map_err(ReadError::Log)
}

impl From<EpochError> for ReadError {
    fn from(error: EpochError) -> Self {
        match error {
            EpochError::Fenced => Self::FencedLeaderEpoch,
            EpochError::Unknown => Self::UnknownLeaderEpoch,
        }
    }
}
