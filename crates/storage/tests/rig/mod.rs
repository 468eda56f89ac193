//! One log directory on a simulated disk, its workers stepped by hand: every test decides which of them runs next, and so
//! does the enumeration of crashes. Time moves only when nobody has anything to do.
#![allow(dead_code)] // Each test binary uses its part.
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::task::Wake;
use std::time::Duration;

use bytes::Bytes;
use env::sim::{Chance, Disk};
use env::{BoxFuture, Clock, Connection, Env, Instant, Listener, Net, Next, Rng, Spawn, Worker, WorkerHandle};
use parking_lot::Mutex;
use record::{
    BatchBuilder, Decompressor, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId,
    TopicPartition,
};
use storage::validate::{Origin, Rules, Validated, validate};
use storage::{AppendError, Appended, Identity, Log, LogDir, OpenError, Settings, Slice};

pub const ROOT: &str = "/data";
pub const NOW: Timestamp = Timestamp(1_000_000);

pub struct Rig {
    pub disk: Disk,
    pub world: Arc<World>,
    pub dir: LogDir,
}

/// Clock, chance and workers of one process.
pub struct World {
    now: AtomicU64,
    wall_ms: AtomicI64,
    chance: Mutex<Chance>,
    workers: Mutex<Vec<Slot>>,
}

struct Slot {
    name: &'static str,
    worker: Option<Box<dyn Worker>>,
    rung: Arc<AtomicBool>,
    next: Next,
}

/// Small sizes, so that a few appends make everything happen.
pub fn settings() -> Settings {
    Settings {
        lane_file_bytes: 64 << 10,
        lane_bytes_max: 512 << 10,
        checkpoint_bytes: u64::MAX / 2,
        group_bytes_max: 32 << 10,
        memory_bytes_max: 1 << 20,
        piece_bytes: 8 << 10,
        ..Settings::default()
    }
}

pub fn identity() -> Identity {
    Identity { cluster_id: None, node_id: 1 }
}

pub fn env_on(disk: &Disk, world: &Arc<World>) -> Env {
    Env {
        clock: world.clone(),
        disk: Arc::new(disk.clone()),
        net: Arc::new(NoNet),
        rng: world.clone(),
        spawn: world.clone(),
    }
}

impl Rig {
    pub fn new(settings: Settings) -> Rig {
        Rig::on(Disk::new(1), settings).unwrap()
    }

    /// The next process on what a disk holds.
    pub fn on(disk: Disk, settings: Settings) -> Result<Rig, OpenError> {
        Rig::with_seed(disk, settings, 1)
    }

    pub fn with_seed(disk: Disk, settings: Settings, seed: u64) -> Result<Rig, OpenError> {
        let world = World::new(seed);
        let env = env_on(&disk, &world);
        let dir = LogDir::open(&env, Path::new(ROOT), &identity(), settings)?;
        Ok(Rig { disk, world, dir })
    }

    /// Runs everybody until nothing is left to be done at once.
    pub fn run(&self) {
        while self.world.step_any() {}
    }

    /// The same, over this span of time.
    pub fn run_for(&self, span: Duration) {
        let end = self.world.now() + span;
        loop {
            self.run();
            match self.world.next_timer() {
                Some(at) if at <= end => self.world.set_now(at),
                _ => break,
            }
        }
        self.world.set_now(end);
        self.run();
    }

    pub fn close(&self) {
        let mut ticket = self.dir.close();
        for _ in 0..10_000 {
            self.run_for(Duration::from_millis(1));
            if ticket.try_recv().is_ok() {
                self.run();
                return;
            }
        }
        panic!("the directory does not close");
    }

    pub fn create(&self, topic: &str) -> Arc<Log> {
        self.create_with(topic, storage::LogConfig::default())
    }

    pub fn create_with(&self, topic: &str, config: storage::LogConfig) -> Arc<Log> {
        self.dir.create_log(TopicPartition::new(topic, 0), topic_id(topic), config, None).unwrap()
    }

    pub fn log(&self, topic: &str) -> Arc<Log> {
        self.dir.log(topic_id(topic), 0).unwrap()
    }

    /// Waits for a ticket.
    pub fn wait<T>(&self, mut ticket: storage::Ticket<T>) -> T {
        for _ in 0..1000 {
            self.run_for(Duration::from_millis(1));
            if let Ok(answer) = ticket.try_recv() {
                return answer;
            }
        }
        panic!("no answer");
    }
}

pub fn topic_id(topic: &str) -> TopicId {
    let mut id = [0x40; 16];
    let len = topic.len().min(16);
    id[..len].copy_from_slice(&topic.as_bytes()[..len]);
    TopicId(id)
}

pub fn checked(bytes: &Bytes) -> Validated {
    let origin = Origin::Client { produce_version: 9 };
    validate(bytes, &Rules::default(), origin, NOW, &mut Decompressor::default()).unwrap()
}

/// A batch of so many records of so many bytes, told apart by `tag`.
pub fn batch(tag: u64, records: usize, value_bytes: usize) -> Bytes {
    build(BatchBuilder::default(), tag, records, value_bytes)
}

pub fn idempotent_batch(tag: u64, producer: i64, sequence: i32) -> Bytes {
    sized_idempotent_batch(tag, producer, sequence, 20)
}

pub fn sized_idempotent_batch(tag: u64, producer: i64, sequence: i32, value_bytes: usize) -> Bytes {
    let builder =
        BatchBuilder::default().with_producer(ProducerId(producer), ProducerEpoch(0), Sequence(sequence), false);
    build(builder, tag, 1, value_bytes)
}

/// One record of this key, told apart by `tag`; without a value a tombstone.
pub fn keyed_batch(tag: u64, key: &str, value_bytes: Option<usize>) -> Bytes {
    let mut builder = BatchBuilder::default();
    let value = value_bytes.map(|size_bytes| {
        let mut value = vec![tag as u8; size_bytes.max(8)];
        value[..8].copy_from_slice(&tag.to_be_bytes());
        value
    });
    builder.append(NOW, Some(key.as_bytes()), value.as_deref());
    builder.build().into()
}

fn build(mut builder: BatchBuilder, tag: u64, records: usize, value_bytes: usize) -> Bytes {
    let mut value = vec![tag as u8; value_bytes.max(8)];
    value[..8].copy_from_slice(&tag.to_be_bytes());
    for _ in 0..records {
        builder.append(NOW, Some(b"key"), Some(&value));
    }
    builder.build().into()
}

pub fn append(log: &Log, bytes: &Bytes) -> Result<Appended, AppendError> {
    log.append(&checked(bytes), bytes, LeaderEpoch(1), NOW)
}

/// All that the log holds from its start on, in one piece.
pub fn contents(log: &Log) -> Vec<u8> {
    contents_from(log, log.ends().log_start)
}

pub fn contents_from(log: &Log, from: Offset) -> Vec<u8> {
    let mut from = from;
    let end = log.ends().log_end;
    let mut all = Vec::new();
    while from < end {
        let read = log.read_blocking(from, 4096, end, true);
        let read = read.unwrap_or_else(|error| panic!("{log:?} at {from}: {error}"));
        let mut bytes = Vec::new();
        for slice in read.slices {
            match slice {
                Slice::Memory(part) => bytes.extend_from_slice(&part),
                Slice::File(file) => bytes.extend_from_slice(&file.read_checked().unwrap()),
            }
        }
        for batch in record::Batches::new(&bytes) {
            from = batch.unwrap().next_offset();
        }
        assert!(!bytes.is_empty(), "nothing at {from} before {end}");
        all.extend_from_slice(&bytes);
    }
    all
}

impl World {
    pub fn new(seed: u64) -> Arc<World> {
        Arc::new(World {
            now: AtomicU64::new(1),
            wall_ms: AtomicI64::new(NOW.0),
            chance: Mutex::new(Chance::new(seed)),
            workers: Mutex::default(),
        })
    }

    pub fn set_now(&self, at: Instant) {
        self.now.store(at.0, Ordering::Relaxed);
    }

    pub fn set_wall_ms(&self, wall_ms: i64) {
        self.wall_ms.store(wall_ms, Ordering::Relaxed);
    }

    /// One step of the first worker that wants one.
    pub fn step_any(&self) -> bool {
        let count = self.workers.lock().len();
        (0..count).any(|index| self.step_at(index))
    }

    /// Those that want a step, by their places.
    pub fn runnable(&self) -> Vec<usize> {
        let workers = self.workers.lock();
        (0..workers.len()).filter(|index| workers[*index].is_runnable(self.now())).collect()
    }

    pub fn step_named(&self, name: &str) -> bool {
        let index = self.workers.lock().iter().position(|slot| slot.name == name && slot.worker.is_some());
        index.is_some_and(|index| self.step_at(index))
    }

    pub fn step_at(&self, index: usize) -> bool {
        let now = self.now();
        let mut worker = {
            let mut workers = self.workers.lock();
            let slot = &mut workers[index];
            if !slot.is_runnable(now) {
                return false;
            }
            slot.rung.store(false, Ordering::Relaxed);
            slot.worker.take().expect("runnable")
        };
        let next = worker.step();
        let slot = &mut self.workers.lock()[index];
        slot.next = next;
        if next != Next::Stop {
            slot.worker = Some(worker);
        }
        true
    }

    pub fn next_timer(&self) -> Option<Instant> {
        let workers = self.workers.lock();
        let at = |slot: &Slot| match (slot.next, &slot.worker) {
            (Next::At(at), Some(_)) => Some(at),
            _ => None,
        };
        workers.iter().filter_map(at).min()
    }

    /// Nothing of this process happens any more.
    pub fn end(&self) {
        self.workers.lock().clear();
    }
}

impl Slot {
    fn is_runnable(&self, now: Instant) -> bool {
        let is_due = match self.next {
            Next::Again => true,
            Next::At(at) => at <= now,
            Next::Idle | Next::Stop => false,
        };
        self.worker.is_some() && (is_due || self.rung.load(Ordering::Relaxed))
    }
}

struct Bell(Arc<AtomicBool>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Spawn for World {
    fn task(&self, _name: &'static str, _future: BoxFuture<()>) {
        panic!("the engine has no tasks");
    }

    fn worker(&self, name: &'static str, worker: Box<dyn Worker>) -> WorkerHandle {
        let rung = Arc::new(AtomicBool::new(false));
        let (handle, _stopped) = WorkerHandle::new(Arc::new(Bell(rung.clone())).into());
        self.workers.lock().push(Slot { name, worker: Some(worker), rung, next: Next::Again });
        handle
    }
}

impl Clock for World {
    fn now(&self) -> Instant {
        Instant(self.now.load(Ordering::Relaxed))
    }

    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::Relaxed)
    }

    fn sleep_until(&self, _at: Instant) -> BoxFuture<()> {
        panic!("the engine does not sleep");
    }
}

impl Rng for World {
    fn fill(&self, bytes: &mut [u8]) {
        self.chance.lock().fill(bytes);
    }
}

struct NoNet;

impl Net for NoNet {
    fn listen(&self, _address: SocketAddr, _wanted: env::Listening) -> io::Result<Box<dyn Listener>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn connect(&self, _address: SocketAddr) -> BoxFuture<io::Result<Connection>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn resolve(&self, _host: &str, _port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}
