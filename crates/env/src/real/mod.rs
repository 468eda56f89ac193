//! The world as it is: the kernel's clock, files and sockets, threads, tokio.
mod calls;
mod clock;
mod disk;
mod net;
mod rng;
mod spawn;

use std::io;
use std::sync::Arc;

use tokio::runtime::Handle;

pub use clock::Clock;
pub use disk::Disk;
pub use net::Net;
pub use rng::Rng;
pub use spawn::Spawn;

use crate::Env;

/// Threads that run tasks. Dropping it ends the tasks; workers end when they say so.
pub struct Runtime {
    tokio: tokio::runtime::Runtime,
}

impl Runtime {
    /// `worker_threads` run tasks, at least one. Hand-over between busy threads is the floor of a commit's latency, so
    /// a broker takes fewer than it has cores.
    pub fn new(worker_threads: usize) -> io::Result<Self> {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(worker_threads.max(1))
            .thread_name("tasks")
            .enable_all()
            .build()?;
        Ok(Self { tokio })
    }

    pub fn env(&self) -> Env {
        env_of(self.tokio.handle().clone())
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.tokio.block_on(future)
    }
}

/// The world of the runtime in whose task this is called.
pub fn env() -> Env {
    env_of(Handle::current())
}

/// Threads that can run at once: the machine's cores, or what the process may use of them.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}

fn env_of(handle: Handle) -> Env {
    Env {
        clock: Arc::new(Clock),
        disk: Arc::new(Disk),
        net: Arc::new(Net::new(handle.clone())),
        rng: Arc::new(Rng),
        spawn: Arc::new(Spawn::new(handle)),
    }
}
