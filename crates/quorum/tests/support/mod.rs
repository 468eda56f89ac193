//! A metadata log on a simulated disk whose worker is stepped by hand, so that a test decides what falls between.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use env::sim::{Chance, Disk};
use env::{BoxFuture, Clock, Env, Instant, Next, Worker, WorkerHandle};
use quorum::{Committed, Event, LocalLog, LogId, MetadataLog, OpenError, Payload, Proposal, Settings};
use record::BrokerId;

pub const DIRECTORY: &str = "/data/metadata";

/// A world of one disk: time stands still unless told, workers wait to be stepped.
#[derive(Default)]
struct Stage {
    now: Mutex<u64>,
    worker: Mutex<Option<Box<dyn Worker>>>,
    chance: Mutex<Option<Chance>>,
}

struct Shared(Arc<Stage>);

impl Clock for Shared {
    fn now(&self) -> Instant {
        Instant(*self.0.now.lock().unwrap())
    }

    fn wall_ms(&self) -> i64 {
        0
    }

    fn sleep_until(&self, _: Instant) -> BoxFuture<()> {
        unreachable!("the log does not sleep")
    }
}

impl env::Rng for Shared {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.chance.lock().unwrap().get_or_insert_with(|| Chance::new(1)).fill(bytes);
    }
}

impl env::Spawn for Shared {
    fn task(&self, _: &'static str, _: BoxFuture<()>) {
        unreachable!("the log has no tasks")
    }

    fn worker(&self, _: &'static str, worker: Box<dyn Worker>) -> WorkerHandle {
        *self.0.worker.lock().unwrap() = Some(worker);
        WorkerHandle::new(Waker::noop().clone()).0
    }
}

impl env::Net for Shared {
    fn listen(&self, _: SocketAddr, _: env::Listening) -> io::Result<Box<dyn env::Listener>> {
        unreachable!("the log has no network")
    }

    fn connect(&self, _: SocketAddr) -> BoxFuture<io::Result<env::Connection>> {
        unreachable!("the log has no network")
    }

    fn resolve(&self, _: &str, _: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        unreachable!("the log has no network")
    }
}

/// A node that has opened its log. What it has read back is `state`: the records of all committed entries, in order.
pub struct Node {
    pub log: LocalLog,
    pub committed: Committed,
    pub state: Vec<Bytes>,
    pub last: LogId,
    stage: Arc<Stage>,
    worker: Box<dyn Worker>,
}

pub fn settings() -> Settings {
    Settings { snapshot_after_bytes: 64 * 1024, ..Settings::new(BrokerId(1)) }
}

impl Node {
    pub fn open(disk: &Disk, seed: u64) -> Result<Node, OpenError> {
        let stage = Arc::new(Stage::default());
        *stage.chance.lock().unwrap() = Some(Chance::new(seed));
        let env = Env {
            clock: Arc::new(Shared(stage.clone())),
            disk: Arc::new(disk.clone()),
            net: Arc::new(Shared(stage.clone())),
            rng: Arc::new(Shared(stage.clone())),
            spawn: Arc::new(Shared(stage.clone())),
        };
        let (log, committed) = LocalLog::open(&env, Path::new(DIRECTORY), settings())?;
        let worker = stage.worker.lock().unwrap().take().expect("the log has a worker");
        let mut node = Node { log, committed, state: Vec::new(), last: LogId::default(), stage, worker };
        node.read();
        Ok(node)
    }

    pub fn step(&mut self) -> Next {
        self.worker.step()
    }

    /// Steps until nothing is left to do but wait.
    pub fn settle(&mut self) -> Next {
        for _ in 0..10_000 {
            let next = self.step();
            if next != Next::Again {
                self.read();
                return next;
            }
        }
        panic!("the worker does not come to rest");
    }

    pub fn pass_ms(&mut self, ms: u64) {
        *self.stage.now.lock().unwrap() += ms * 1_000_000;
    }

    pub fn propose(&self, text: &str) -> Proposal {
        self.log.propose(Bytes::copy_from_slice(text.as_bytes())).expect("the log takes it")
    }

    /// Takes what is committed into `state`.
    pub fn read(&mut self) {
        while let Some(event) = self.committed.next_now() {
            match event {
                Event::Snapshot(snapshot) => {
                    self.state = snapshot.pieces;
                    self.last = snapshot.last;
                }
                Event::Entry(entry) => {
                    assert_eq!(entry.id.index, self.last.index + 1, "no index is left out");
                    assert!(entry.id.term >= self.last.term, "terms only grow");
                    self.last = entry.id;
                    if let Payload::Records(records) = entry.payload {
                        self.state.push(records);
                    }
                }
            }
        }
    }

    pub fn take_snapshot(&self) {
        self.log.take_snapshot(self.last, Box::new(self.state.clone().into_iter()));
    }

    pub fn texts(&self) -> Vec<String> {
        self.state.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

/// `None` while it is open.
pub fn outcome(proposal: &mut Proposal) -> Option<Result<LogId, quorum::Unknown>> {
    match pin!(proposal).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}
