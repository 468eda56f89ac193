//! Groups of consumers, as Kafka 4.4's group coordinator serves them to classic clients: who is a member, which
//! generation, who consumes what (the members decide that among themselves), and which offsets are committed. One
//! [`GroupShard`] is one partition of `__consumer_offsets`. Groups of the new protocols (KIP-848, 932, 1071) are not
//! served: their records are left in the log and skipped.

mod api;
mod classic;
mod config;
mod groups;
mod offsets;
mod partition;
mod record;
mod shard;
mod summary;

pub use api::{Answer, Caller, Request};
pub use config::GroupConfig;
pub use offsets::DeletedTopic;
pub use partition::partition_for;
pub use record::{GroupRecord, ReplayError, Replayed};
pub use shard::{Answers, GroupShard};
pub use summary::{CommittedOffset, GroupState, GroupSummary};

pub(crate) use classic::Group;
pub(crate) use groups::{Groups, Timer};
