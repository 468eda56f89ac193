//! The asking side of Kafka's protocol: connections that negotiate versions and pipeline requests, and a view of a
//! cluster with one connection per broker and purpose. For brokers among themselves and for the commands.
//! Knows no record and no group: what a request means is for whoever sends it.

mod address;
mod cluster;
mod connection;
mod error;
mod negotiate;
mod stream;

pub use address::{Address, BadAddress};
pub use cluster::{Broker, Client, Cluster, Partition, Purpose, Topic, Topics};
pub use connection::{Connection, ConnectionOptions, Pending, Response};
pub use error::CallError;
pub use negotiate::Versions;

#[cfg(test)]
mod tests;
