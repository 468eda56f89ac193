//! Tasks on tokio, each worker on a thread of its own. A task that panics dies alone; a worker that panics takes the
//! process with it, since a broker whose committer is dead must not look alive.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Wake;
use std::thread::{self, Thread};

use tokio::runtime::Handle;

use super::Clock;
use crate::spawn::{Busy, Next, Worker, WorkerHandle};
use crate::{BoxFuture, Clock as _};

#[derive(Clone, Debug)]
pub struct Spawn {
    tokio: Handle,
}

impl Spawn {
    pub fn new(tokio: Handle) -> Self {
        Self { tokio }
    }
}

impl crate::Spawn for Spawn {
    fn task(&self, name: &'static str, future: BoxFuture<()>) {
        self.tokio.spawn(async move {
            let _told = TellOfPanic { name };
            future.await;
        });
    }

    fn worker(&self, name: &'static str, worker: Box<dyn Worker>) -> WorkerHandle {
        let doorbell = Arc::new(Doorbell::default());
        let (handle, stopped) = WorkerHandle::new(doorbell.clone().into());
        let run = move || {
            doorbell.thread.get_or_init(thread::current);
            // Nothing of the worker is used after a panic: the process ends.
            if catch_unwind(AssertUnwindSafe(|| run(worker, &doorbell))).is_err() {
                eprintln!("ottla: the worker `{name}` panicked; the process ends, since it cannot keep its promises");
                std::process::abort();
            }
            stopped();
        };
        let started = thread::Builder::new().name(name.to_owned()).spawn(run);
        started.unwrap_or_else(|error| panic!("the system gives no thread for the worker `{name}`: {error}"));
        handle
    }

    fn busy(&self) -> Option<Busy> {
        let metrics = self.tokio.metrics();
        let threads = metrics.num_workers();
        Some(Busy { threads, time: (0..threads).map(|thread| metrics.worker_total_busy_duration(thread)).sum() })
    }
}

fn run(mut worker: Box<dyn Worker>, doorbell: &Doorbell) {
    loop {
        // Before the step: what rings from here on is heard after it.
        doorbell.rung.swap(false, Ordering::AcqRel);
        match worker.step() {
            Next::Again => {}
            Next::At(at) => {
                while !doorbell.rung.load(Ordering::Acquire) {
                    let left = at.since(Clock.now());
                    if left.is_zero() {
                        break;
                    }
                    thread::park_timeout(left);
                }
            }
            Next::Idle => {
                while !doorbell.rung.load(Ordering::Acquire) {
                    thread::park();
                }
            }
            Next::Stop => return,
        }
    }
}

#[derive(Default)]
struct Doorbell {
    rung: AtomicBool,
    /// Not there before the thread has begun; its first step comes without a ring.
    thread: OnceLock<Thread>,
}

impl Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Only the first ring since the step began needs the system call; the others see that it was rung.
        if !self.rung.swap(true, Ordering::AcqRel)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

struct TellOfPanic {
    name: &'static str,
}

impl Drop for TellOfPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("ottla: the task `{}` panicked and is gone; the others go on", self.name);
        }
    }
}
