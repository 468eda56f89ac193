//! Who decides on the cluster's metadata: topics, configs, brokers, blocks of producer ids. Pure functions decide on the
//! state as it will be when everything proposed is committed; one task proposes their records, applies what the log
//! commits, publishes the image, and only then lets an answer go.
//!
//! Knows no socket, no version of the wire and no authorization: `server` has dealt with them before it calls.

mod allowance;
mod answer;
mod brokers;
mod client_quotas;
mod configs;
mod elections;
mod features;
mod handle;
mod machine;
mod message;
mod placement;
mod producer_ids;
mod reassignments;
mod run;
mod scram;
mod topics;

pub use allowance::Allowance;
pub use brokers::{Assignment, BrokerEpoch, Registration};
pub use handle::{ASSIGNMENTS_MAX, Counts, Handle};
pub use machine::{InternalTopics, Options, TopicDefaults};
pub use producer_ids::ProducerIdBlock;
pub use run::{OnUpdate, start};
pub use topics::delete_by_name;
