//! Every key that may stand in `server.properties`, in one table per area. A test holds them against Kafka's own.
mod groups;
mod log;
mod network;
mod ottla;
mod quorum;
mod quotas_and_metrics;
mod reasons;
mod removed;
mod replication;
mod security;
mod share_and_streams;
mod tiered;
mod transactions;

use std::sync::LazyLock;

use super::key::Key;

pub use removed::{Foreign, foreign};

/// A table and the heading that the documentation gives it.
pub(super) struct Area {
    pub heading: &'static str,
    pub keys: &'static [Key],
}

pub(super) const AREAS: &[Area] = &[
    Area { heading: "Ottla's own", keys: ottla::KEYS },
    Area { heading: "Listeners, connections, requests", keys: network::KEYS },
    Area { heading: "Topics and logs", keys: log::KEYS },
    Area { heading: "Consumer groups and offsets", keys: groups::KEYS },
    Area { heading: "Idempotent producers and transactions", keys: transactions::KEYS },
    Area { heading: "Replication", keys: replication::KEYS },
    Area { heading: "Controller and metadata", keys: quorum::KEYS },
    Area { heading: "Security", keys: security::KEYS },
    Area { heading: "Quotas, metrics, telemetry", keys: quotas_and_metrics::KEYS },
    Area { heading: "Share groups and streams groups", keys: share_and_streams::KEYS },
    Area { heading: "Tiered storage", keys: tiered::KEYS },
];

/// All keys, by name.
static ALL: LazyLock<Vec<&'static Key>> = LazyLock::new(|| {
    let mut all: Vec<&Key> = AREAS.iter().flat_map(|area| area.keys).collect();
    all.sort_by_key(|key| key.name);
    all
});

pub fn all() -> &'static [&'static Key] {
    &ALL
}

pub fn key(name: &str) -> Option<&'static Key> {
    position(name).map(|index| ALL[index])
}

/// What one listener may have for itself, and what has an effect there.
const OF_LISTENER: [&str; 2] = ["max.connection.creation.rate", "max.connections"];

/// `listener.name.plaintext.max.connections` is `max.connections` of `plaintext`. Only names in lower case count, as in
/// Kafka (`ListenerName.configPrefix`).
pub fn of_listener(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("listener.name.")?.split_once('.')
}

/// The key of which a listener may have a value of its own that has an effect.
pub fn served_of_listener(name: &str) -> Option<&'static Key> {
    let (_, base) = of_listener(name)?;
    key(base).filter(|key| OF_LISTENER.contains(&key.name))
}

pub(super) fn position(name: &str) -> Option<usize> {
    ALL.binary_search_by(|key| key.name.cmp(name)).ok()
}
