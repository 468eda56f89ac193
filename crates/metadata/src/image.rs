//! The state of the cluster after one entry of the metadata log. A clone is a few counters; nobody changes a clone that
//! others hold.

use std::sync::Arc;

use quorum::LogId;
use record::ProducerId;

use crate::{Brokers, Configs, Features, Quotas, ScramCredentials, Topics};

#[derive(Clone, Debug, Default)]
pub struct Image {
    pub topics: Topics,
    pub brokers: Brokers,
    pub configs: Configs,
    pub features: Arc<Features>,
    pub quotas: Quotas,
    pub scram: ScramCredentials,
    /// The first id of the next block of producer ids.
    pub next_producer_id: ProducerId,
    /// The epoch of the next broker that registers.
    pub next_broker_epoch: i64,
    /// The entry up to which it holds everything.
    pub position: LogId,
}
