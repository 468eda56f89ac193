//! Tasks (futures) and workers (what runs on a thread of its own). A worker is a struct with a `step`: it takes what is
//! queued, does bounded work, at most one write or sync on `Disk`, and says when to be called again. The real
//! implementation loops it on a thread, the simulator calls it as an event with simulated latency.
use std::task::Waker;
use std::time::Duration;

use crate::BoxFuture;
use crate::clock::Instant;

pub trait Spawn: Send + Sync {
    /// Runs a future until it ends or the node does.
    fn task(&self, name: &'static str, future: BoxFuture<()>);
    /// Runs a worker until it answers [`Next::Stop`] or the node ends. Its first step comes at once.
    fn worker(&self, name: &'static str, worker: Box<dyn Worker>) -> WorkerHandle;
    /// How busy the threads of tasks have been; nothing where there are no threads.
    fn busy(&self) -> Option<Busy> {
        None
    }
}

/// The threads that run tasks, and for how long they have worked, all together, since the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Busy {
    pub threads: usize,
    pub time: Duration,
}

pub trait Worker: Send {
    fn step(&mut self) -> Next;
}

/// When a worker wants its next step. A wake that came since the step began counts: none is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// At once.
    Again,
    /// At this time, or when woken.
    At(Instant),
    /// When woken.
    Idle,
    /// Never: the worker is dropped.
    Stop,
}

/// Wakes a worker, and tells when it has stopped. Dropping it stops nothing.
#[derive(Clone)]
pub struct WorkerHandle {
    waker: Waker,
    stopped: std::sync::Arc<tokio::sync::Semaphore>,
}

impl WorkerHandle {
    /// The stopper must call the returned closure once, when the worker has been dropped.
    pub fn new(waker: Waker) -> (Self, impl FnOnce() + Send) {
        let stopped = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
        let signal = stopped.clone();
        (Self { waker, stopped }, move || signal.close())
    }

    pub fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// Ready once the worker has answered [`Next::Stop`] and has been dropped.
    pub async fn stopped(&self) {
        let closed = self.stopped.acquire().await;
        assert!(closed.is_err(), "nobody adds permits to this semaphore");
    }
}
