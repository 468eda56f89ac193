//! One log directory, open: its lock, its logs, and the workers that make them durable. Formats an empty directory without
//! being asked; refuses one that is another's.
use std::fmt;
use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use env::disk::Lock;
use env::{Env, Next, OpenOptions, Worker};
use record::{Offset, Timestamp, TopicId, TopicPartition};
use tokio::sync::{Notify, oneshot};

use crate::checkpoint::{Builder, Header};
use crate::committer::Committer;
use crate::compactor::Compactor;
use crate::flusher::Flusher;
use crate::journal::{LanePoint, LaneSpace, Place};
use crate::layout;
use crate::log::state::{Control, State, index_settings};
use crate::log::{FileSlice, Log, LogListener, Read, ReadError, Slice, answer_now};
use crate::meta::{self, Facts, MetaError};
use crate::rare::Rare;
use crate::reader::Reader;
use crate::recovery::{OpenError, extra_slot, io_error, recover, sync_dir};
use crate::registry::Registry;
use crate::segment::{Segment, Summary};
use crate::settings::{Durability, Identity, LogConfig, Settings};
use crate::shared::{Answer, CommitTimes, Counters, Handles, Offline, Shared, Ticket};
use crate::syncers::Syncer;

/// A clone is the same directory.
#[derive(Clone)]
pub struct LogDir {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    facts: Facts,
    may_lack_logs: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CreateError {
    /// This partition of this topic is here already.
    Exists,
    Offline,
}

impl LogDir {
    /// Recovers what is there and starts the workers. Blocks until that is done.
    pub fn open(env: &Env, path: &Path, identity: &Identity, settings: Settings) -> Result<LogDir, OpenError> {
        let (mut facts, lock) = claim(env, path, identity, || format(env, path, &settings))?;
        let shared = Arc::new(Shared::new(env, path.into(), settings));
        let recovered = recover(&shared)?;
        facts.was_clean = recovered.was_clean;
        *shared.lock.lock() = Some(lock);
        let (may_lack_logs, wants_checkpoint) = (recovered.may_lack_logs, recovered.wants_checkpoint);
        let registry = Arc::new(recovered.registry);
        let flusher = Flusher::new(shared.clone(), registry.clone(), recovered.checkpoints);
        let committer = Committer::new(shared.clone(), recovered.lane);
        shared.set_handles(Handles {
            committer: env.spawn.worker("committer", Box::new(committer)),
            flusher: env.spawn.worker("flusher", Box::new(flusher)),
            compactor: env.spawn.worker("compactor", Box::new(Compactor::new(shared.clone(), registry.clone()))),
            reader: env.spawn.worker("reader", Box::new(Reader::new(shared.clone()))),
            syncers: (0..shared.settings.syncers)
                .map(|_| env.spawn.worker("syncer", Box::new(Syncer { shared: shared.clone() })))
                .collect(),
        });
        for log in registry.after(None, usize::MAX) {
            log.offer_pieces(&mut log.state());
        }
        if wants_checkpoint {
            shared.want_checkpoint();
        }
        shared.wake_flusher();
        Ok(LogDir { inner: Arc::new(Inner { shared, registry, facts, may_lack_logs }) })
    }

    /// As [`Self::open`], on a thread of its own.
    pub fn open_beside(
        env: &Env,
        path: PathBuf,
        identity: Identity,
        settings: Settings,
    ) -> Ticket<Result<LogDir, OpenError>> {
        let (answer, ticket) = oneshot::channel();
        let opening = Opening { env: env.clone(), path, identity, settings, answer: Some(answer) };
        env.spawn.worker("open", Box::new(opening));
        ticket
    }

    /// For directories that are formatted together and belong to no cluster yet.
    pub fn new_cluster_id(env: &Env) -> String {
        meta::random_id(env).to_string()
    }

    /// What a directory says of itself, if it was ever formatted. Nothing is touched.
    pub fn identify(env: &Env, path: &Path, identity: &Identity) -> Result<Option<Facts>, MetaError> {
        meta::read(&*env.disk, path, Some(identity))
    }

    pub fn facts(&self) -> &Facts {
        &self.inner.facts
    }

    /// Kafka's `directory.id`.
    pub fn id(&self) -> TopicId {
        self.inner.facts.directory_id
    }

    /// The lane was damaged where logs may have been made: one that should be here and is not, is lost, and not new.
    pub fn may_lack_logs(&self) -> bool {
        self.inner.may_lack_logs
    }

    /// Ranges of logs that are damaged.
    pub fn faulty_ranges(&self) -> usize {
        self.logs().iter().map(|log| log.faulty_ranges().len()).sum()
    }

    pub fn path(&self) -> &Path {
        &self.inner.shared.path
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Without those that are being deleted.
    pub fn logs(&self) -> Vec<Arc<Log>> {
        self.inner.registry.logs()
    }

    pub fn logs_count(&self) -> usize {
        self.inner.registry.len()
    }

    pub fn log(&self, topic_id: TopicId, partition: i32) -> Option<Arc<Log>> {
        self.inner.registry.find(topic_id, partition)
    }

    /// At once; the lane is told in the next group, before the log's first data.
    pub fn create_log(
        &self,
        name: TopicPartition,
        topic_id: TopicId,
        config: LogConfig,
        listener: Option<Arc<dyn LogListener>>,
    ) -> Result<Arc<Log>, CreateError> {
        self.create_at(
            name,
            topic_id,
            Offset::ZERO,
            |state| {
                state.listener = listener;
                state.is_configured = true;
            },
            config,
        )
    }

    /// A log to be filled with what another directory has of the same partition, from `start` on. Neither retention nor
    /// compaction touches it before it is configured.
    pub fn create_copy(
        &self,
        source: &Log,
        start: Offset,
        listener: Arc<dyn LogListener>,
    ) -> Result<Arc<Log>, CreateError> {
        let config = LogConfig { durability: Durability::Flush, ..source.state().config.clone() };
        let prepare = |state: &mut State| state.listener = Some(listener);
        self.create_at(source.name().clone(), source.topic_id(), start, prepare, config)
    }

    fn create_at(
        &self,
        name: TopicPartition,
        topic_id: TopicId,
        start: Offset,
        prepare: impl FnOnce(&mut State),
        config: LogConfig,
    ) -> Result<Arc<Log>, CreateError> {
        let shared = &self.inner.shared;
        if !shared.takes_appends() {
            return Err(CreateError::Offline);
        }
        let partition = name.partition;
        let now = Timestamp(shared.env.clock.wall_ms());
        let made = self.inner.registry.create(topic_id, partition, |log_id| {
            let directory = shared.path.join(layout::log_dir_name(&name, log_id)).into();
            let summary = Summary::empty(start, now);
            let segment = Segment::new(&shared.files, directory, summary, index_settings(&config));
            let mut state = State::empty(start, segment, config);
            prepare(&mut state);
            state.controls.push(Control::Create);
            Log::new(shared.clone(), name, topic_id, log_id, start, state)
        });
        let log = made.map_err(|()| CreateError::Exists)?;
        log.enqueue(&mut log.state());
        shared.wake_committer();
        Ok(log)
    }

    /// In the place of a log that is lost (`may_lack_logs`): nothing is known of it but that it was, so reads and appends are
    /// refused.
    pub fn create_lost_log(
        &self,
        name: TopicPartition,
        topic_id: TopicId,
        config: LogConfig,
        listener: Option<Arc<dyn LogListener>>,
    ) -> Result<Arc<Log>, CreateError> {
        let log = self.create_log(name, topic_id, config, listener)?;
        log.mark_lost();
        Ok(log)
    }

    /// It takes nothing more and is not found any more; the ticket comes when that is durable, the files go later. A log
    /// of the same name and another topic id may be made at once.
    pub fn delete_log(&self, log: &Log) -> Ticket<Result<(), Offline>> {
        if self.inner.registry.hide(log) {
            return log.delete();
        }
        let (answer, ticket) = oneshot::channel();
        // Who has stopped waiting needs no answer.
        let _ = answer.send(Ok(()));
        ticket
    }

    /// A log of which whoever opened the directory knows nothing: it is not found any more, nothing touches it, and it
    /// stays with everything. The next start asks again.
    pub fn keep_stray(&self, log: &Log) {
        self.inner.registry.keep_stray(log);
    }

    pub fn strays(&self) -> Vec<Arc<Log>> {
        self.inner.registry.strays()
    }

    pub fn strays_count(&self) -> usize {
        self.inner.registry.strays_count()
    }

    /// Somebody has made the file that asks for it (`drop-strays`).
    pub fn is_to_drop_strays(&self) -> bool {
        // Of a directory that cannot be read nothing is dropped.
        self.inner.shared.is_asked(layout::DROP_STRAYS).unwrap_or(false)
    }

    pub fn has_dropped_strays(&self) {
        self.inner.shared.has_done(layout::DROP_STRAYS);
    }

    /// Whether a Produce of this many bytes may go on to `append`. What was let in is never refused.
    pub fn admits(&self, bytes: usize) -> bool {
        let shared = &self.inner.shared;
        let settings = &shared.settings;
        let has_memory = shared.budget.admits(bytes);
        if !has_memory {
            settings.reached(Rare::MemoryFull);
        }
        has_memory && !shared.is_full()
    }

    /// Told (`notify_waiters`) when `admits` may have become true, and when a paused log goes on. Register before looking.
    pub fn room(&self) -> &Notify {
        &self.inner.shared.budget.room
    }

    /// The file system is full: produces are to be answered with KAFKA_STORAGE_ERROR, reads and deletes go on.
    pub fn refuses_produce(&self) -> bool {
        self.inner.shared.is_full()
    }

    pub fn is_offline(&self) -> bool {
        self.inner.shared.is_offline()
    }

    /// Told (`notify_waiters`) when `is_offline` has become true. Register before looking.
    pub fn failure(&self) -> &Notify {
        &self.inner.shared.failure
    }

    /// On the reader's thread; every batch is checked.
    pub fn read_slice_cold(&self, slice: FileSlice) -> Ticket<Result<Bytes, ReadError>> {
        let bytes_of = |read: &Result<Bytes, ReadError>| read.as_ref().map_or(0, Bytes::len);
        self.inner.shared.read_later(bytes_of, move || slice.read_checked())
    }

    /// As [`Log::read`], on the reader's thread, wherever it has to look. All of the answer is in memory and checked.
    pub fn read_cold(
        &self,
        log: &Arc<Log>,
        from: Offset,
        bytes_max: usize,
        up_to: Offset,
        minimum_one: bool,
    ) -> Ticket<Result<Read, ReadError>> {
        let log = log.clone();
        let bytes_of = |read: &Result<Read, ReadError>| read.as_ref().map_or(0, |read| read.size_bytes);
        self.inner.shared.read_later(bytes_of, move || {
            let read = || {
                let mut read = log.read_blocking(from, bytes_max, up_to, minimum_one)?;
                read.size_bytes = 0;
                for slice in &mut read.slices {
                    if let Slice::File(file) = slice {
                        *slice = Slice::Memory(file.read_checked()?);
                    }
                    read.size_bytes += slice.size_bytes();
                }
                Ok(read)
            };
            // What has led astray is known after that.
            read().or_else(|error| if error == ReadError::Cold { read() } else { Err(error) })
        })
    }

    /// All tails together.
    pub fn memory_in_use(&self) -> usize {
        self.inner.shared.budget.used()
    }

    /// What all tails together may have.
    pub fn memory_bytes_max(&self) -> usize {
        self.inner.shared.settings.memory_bytes_max
    }

    pub fn commit_times(&self) -> CommitTimes {
        self.inner.shared.commit_times()
    }

    pub fn counters(&self) -> Counters {
        self.inner.shared.counters()
    }

    /// Looks for something to compact before it is time.
    pub fn compact(&self) {
        self.inner.shared.want_compaction();
    }

    /// Takes a checkpoint before its time.
    pub fn checkpoint(&self) {
        self.inner.shared.want_checkpoint();
    }

    /// A clean stop: takes no more appends, writes everything, takes a checkpoint, seals the lane, ends the workers and
    /// gives the lock back.
    pub fn close(&self) -> Ticket<Result<(), Offline>> {
        let shared = &self.inner.shared;
        let (answer, ticket) = oneshot::channel();
        if shared.begin_closing() {
            shared.work.lock().closing = Some(answer);
            shared.wake_compactor();
            shared.wake_flusher();
        } else {
            // Who has stopped waiting needs no answer.
            let _ = answer.send(Err(Offline));
        }
        ticket
    }
}

/// A directory for something else than logs, such as the metadata log: locked, and known by its `meta.properties`.
pub fn claim_without_logs(env: &Env, path: &Path, identity: &Identity) -> Result<(Facts, Box<dyn Lock>), OpenError> {
    claim(env, path, identity, || Ok(()))
}

fn claim(
    env: &Env,
    path: &Path,
    identity: &Identity,
    format: impl FnOnce() -> Result<(), OpenError>,
) -> Result<(Facts, Box<dyn Lock>), OpenError> {
    env::disk::create_dir_all(&*env.disk, path).map_err(|error| io_error(path, &error))?;
    let lock = match env.disk.lock(path, layout::LOCK) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            return Err(OpenError::Locked { directory: path.display().to_string() });
        }
        other => other.map_err(|error| io_error(path, &error))?,
    };
    let facts = match meta::read(&*env.disk, path, Some(identity))? {
        Some(facts) => facts,
        None => {
            format()?;
            meta::write(env, path, identity)?
        }
    };
    Ok((facts, lock))
}

/// One step, which is as long as a recovery is: nothing else is to happen meanwhile.
struct Opening {
    env: Env,
    path: PathBuf,
    identity: Identity,
    settings: Settings,
    answer: Option<Answer<Result<LogDir, OpenError>>>,
}

impl Worker for Opening {
    fn step(&mut self) -> Next {
        if let Some(answer) = self.answer.take() {
            let opened = LogDir::open(&self.env, &self.path, &self.identity, self.settings.clone());
            answer_now(answer, opened);
        }
        Next::Stop
    }
}

/// Two checkpoints, the first lane file, all synced; `meta.properties` comes last and says that they are there. Whatever an
/// interrupted attempt has left is made anew.
fn format(env: &Env, path: &Path, settings: &Settings) -> Result<(), OpenError> {
    let disk = &*env.disk;
    let lane = path.join(layout::LANE);
    match disk.create_dir(&lane) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io_error(&lane, &error)),
        _ => {}
    }
    let entries = disk.read_dir(path).map_err(|error| io_error(path, &error))?;
    if let Some(log) = entries.iter().find(|entry| entry.is_dir && layout::parse_log_dir(&entry.name).is_some()) {
        // Logs without meta.properties: somebody has taken it away.
        return Err(OpenError::Meta(meta::MetaError::Missing {
            path: path.join(&log.name).display().to_string(),
            key: layout::META,
        }));
    }
    for entry in disk.read_dir(&lane).map_err(|error| io_error(&lane, &error))? {
        let file = lane.join(&entry.name);
        disk.remove_file(&file).map_err(|error| io_error(&file, &error))?;
    }
    for (index, name) in layout::CHECKPOINTS.into_iter().enumerate() {
        let file_path = path.join(name);
        let io = |error: std::io::Error| io_error(&file_path, &error);
        match disk.remove_file(&file_path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        let start = LanePoint { number: 1, run: 0, previous_crc: 0, place: Place { slot: 0, at: 0 } };
        let bytes = Builder::new().finish(&Header {
            sequence: index as u64 + 1,
            next_log_id: 1,
            lane_start: start,
            durable_group: 0,
            lane_file_bytes: settings.lane_file_bytes,
            is_clean: true,
            entries: 0,
        });
        let file = disk.open(&file_path, OpenOptions::CREATE_NEW).map_err(io)?;
        file.write_all_at(&[IoSlice::new(&bytes)], 0).map_err(io)?;
        file.sync_data().map_err(io)?;
    }
    extra_slot(disk, &lane, settings.lane_file_bytes, &mut LaneSpace::default())?;
    sync_dir(disk, path)
}

impl fmt::Debug for LogDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogDir({})", self.path().display())
    }
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CreateError::Exists => f.write_str("the directory has this partition already"),
            CreateError::Offline => f.write_str("the log directory is offline"),
        }
    }
}

impl std::error::Error for CreateError {}
