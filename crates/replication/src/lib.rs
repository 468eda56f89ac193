//! Replicas: what a broker does for each partition it holds. Knows logs and the image of the cluster; knows no request, no
//! socket, no group.
pub mod acknowledged;
mod config;
pub mod leader;
pub mod moving;
pub mod partition;
pub mod placement;
pub mod replicas;
mod strays;
pub mod traffic;
mod validating;
pub mod watch;

pub use partition::Partition;
pub use placement::Placement;
pub use replicas::Replicas;
