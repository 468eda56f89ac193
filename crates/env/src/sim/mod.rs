//! The simulated world: a disk that loses what was not synced, a network that delays and cuts, a clock that jumps, and
//! one thread that runs every node of a cluster. Nothing in it reads the machine: one seed gives one history.
mod chance;
mod clock;
mod core;
pub mod disk;
mod machine;
mod net;
mod settings;
mod thread;
mod world;

pub use chance::Chance;
pub use disk::Disk;
pub use machine::Machine;
pub use settings::{Settings, Trace};
pub use world::{Report, World, simulate};
