//! Kafka's protocol over sockets: listeners, connections, one file per API. Knows nothing of files or journals; what a
//! partition, a group or the controller decides, it asks them.
pub mod admission;
pub mod api;
pub mod auto_creation;
pub mod broker;
pub mod connection;
pub mod error_counts;
pub mod features;
pub mod fetch_session;
pub mod frame;
pub mod groups;
pub mod listener;
pub mod loggers;
pub mod memory;
pub mod producer_ids;
pub mod quotas;
pub mod reply;
pub mod request_times;
pub mod telemetry;
