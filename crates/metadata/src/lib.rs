//! What all brokers agree on: topics and their partitions, brokers, configs, features. An [`Image`] is immutable to
//! whoever holds it and cheap to clone; [`Image::apply`] makes the next one from the records of the metadata log and
//! says in a [`Delta`] what changed. Decides nothing (that is `controller`'s) and knows no log directory.

mod apply;
mod brokers;
pub mod configs;
mod delta;
mod features;
mod image;
mod pattern;
mod quotas;
mod records;
mod removed;
mod resource;
mod scram;
mod snapshot;
mod topic_name;
mod topics;
mod tree;

pub use brokers::{Broker, Brokers, Endpoint, directory_id};
pub use delta::{Delta, Update};
pub use features::Features;
pub use image::{Image, Unplaced};
pub use pattern::is_pattern;
pub use quotas::{Limit, Limits, Part, QuotaEntity, Quotas};
pub use records::{DecodeError, Record, Records};
pub use removed::RemovedTopics;
pub use resource::{Configs, Overrides, Resource};
pub use scram::{ScramCredential, ScramCredentials, ScramKey, ScramMechanism};
pub use snapshot::pieces;
pub use topic_name::check_topic_name;
pub use topics::{
    Directories, GROUP_METADATA_TOPIC, Partition, Partitions, Replicas, SHARE_GROUP_STATE_TOPIC,
    TRANSACTION_STATE_TOPIC, Topic, Topics, is_internal,
};
pub use tree::Tree;
