//! Everything a broker needs of the world: time, chance, disk, network, tasks and threads.
//! Each is a trait with a real implementation (`real`) and a simulated one (`sim`, a feature), so that a whole cluster
//! runs inside one deterministic process. Nobody above this crate names the clock, the file system, a socket, a thread
//! or a random number generator; `cargo xtask tidy` says so.
#[cfg(not(target_os = "linux"))]
compile_error!("Ottla runs on Linux only for now: it relies on O_DIRECT, fdatasync, preadv2 and sendfile.");

pub mod buffer;
pub mod clock;
pub mod disk;
pub mod net;
pub mod process;
pub mod real;
pub mod rng;
#[cfg(feature = "sim")]
pub mod sim;
pub mod spawn;

use std::sync::Arc;

pub use buffer::AlignedBuffer;
pub use clock::{Clock, Instant};
pub use disk::{Disk, File, OpenOptions};
pub use net::{Connection, Listener, Listening, Net};
pub use rng::Rng;
pub use spawn::{Next, Spawn, Worker, WorkerHandle};

/// A future without a name, as the traits of this crate return them.
pub type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// The world of one node. Cheap to clone; every clone is the same world.
#[derive(Clone)]
pub struct Env {
    pub clock: Arc<dyn Clock>,
    pub disk: Arc<dyn Disk>,
    pub net: Arc<dyn Net>,
    pub rng: Arc<dyn Rng>,
    pub spawn: Arc<dyn Spawn>,
}
