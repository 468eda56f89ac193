//! Whole brokers in one deterministic process: clients of our own load them, faults strike, and a ledger judges every
//! answer and every log. Knows the broker by its protocol and by what it does to its disk, not by its insides.
pub mod admin;
pub mod batches;
pub mod broker;
pub mod bugs;
pub mod group;
pub mod keyed;
pub mod ledger;
pub mod log_dirs;
pub mod observed;
pub mod producer;
pub mod progress;
pub mod rare;
pub mod reader;
pub mod scenario;
pub mod shared;
pub mod summary;
pub mod wire;
