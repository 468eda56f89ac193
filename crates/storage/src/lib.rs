//! The log engine: one journal for all logs of a directory makes appends durable in groups, segments hold them for
//! readers, checkpoints let the journal begin anew (docs/format.md). Also the rules of Kafka that go with a log: what a
//! batch must be, what a producer may send, what retention takes. Knows no replica but its own, no request, no topic's
//! configuration but as plain values.
mod budget;
mod checkpoint;
mod committer;
mod compaction;
mod compactor;
mod copies;
mod direct;
mod flusher;
pub mod inspect;
mod journal;
mod layout;
pub mod leader_epochs;
mod log;
mod log_dir;
mod log_dirs;
mod meta;
pub mod producer_state;
mod ranges;
mod rare;
mod reader;
mod recovery;
mod registry;
pub mod retention;
pub mod roll;
pub mod segment;
mod settings;
mod shared;
mod syncers;
mod tail;
pub mod validate;

pub use log::{
    AppendError, Appended, Ends, FileSlice, Log, LogListener, LogStartError, Read, ReadError, Slice, TruncateError,
};
pub use log_dir::{CreateError, LogDir, claim_without_logs};
pub use log_dirs::{ConfiguredDir, LogDirs};
pub use meta::{Facts, MetaError};
#[cfg(feature = "mutants")]
pub use rare::{Rare, Reached};
pub use recovery::OpenError;
pub use segment::TimestampOffset;
pub use settings::{CompactionSettings, Durability, Identity, LogConfig, Mutant, Settings};
pub use shared::{CommitTimes, Counters, Offline, Ticket};
