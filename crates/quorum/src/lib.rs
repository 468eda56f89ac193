//! The log of the cluster's metadata: who proposes, what is committed, in which term. Entries are bytes here; what they
//! mean is `metadata`'s, who decides on them is `controller`'s. One implementation so far, [`LocalLog`]: a quorum of one.

mod local;
mod metadata_log;

pub use local::{Inspected, LocalLog, OpenError, Settings, inspect};
pub use metadata_log::{
    Committed, Entry, Event, LogId, MetadataLog, Payload, Pieces, Proposal, ProposeError, Role, Snapshot, Unknown,
};

/// Where a log directory keeps the metadata log.
pub const DIRECTORY: &str = "metadata";
/// What one entry may have. A decision that needs more must be cut by who decides.
pub const ENTRY_BYTES_MAX: usize = 8 * 1024 * 1024;
