//! Names that are no key of Kafka 4.4 and yet no mistake: keys of older versions, keys of plugins, variables of images.

/// Why a name is known although it is no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Foreign {
    /// Kafka 4 does not have it any more.
    Removed(&'static str),
    /// For a plugin or a single listener.
    Prefixed(&'static str),
    /// Would guard something if it were served.
    Refused(&'static str),
}

const REMOVED: &[(&str, &str)] = &[
    ("advertised.host.name", "write advertised.listeners"),
    ("advertised.port", "write advertised.listeners"),
    ("broker.id.generation.enable", "brokers have node.id"),
    ("control.plane.listener.name", "it was for ZooKeeper"),
    ("controlled.shutdown.max.retries", "it was for ZooKeeper"),
    ("controlled.shutdown.retry.backoff.ms", "it was for ZooKeeper"),
    ("delegation.token.master.key", "it became delegation.token.secret.key"),
    ("group.coordinator.new.enable", "the new coordinator is the only one"),
    ("host.name", "write listeners"),
    ("inter.broker.protocol.version", "features replaced it"),
    ("leader.imbalance.per.broker.percentage", "it was for ZooKeeper"),
    ("log.message.downconversion.enable", "batches are never converted down"),
    ("log.message.format.version", "there is one format"),
    ("log.message.timestamp.difference.max.ms", "write log.message.timestamp.before.max.ms and after.max.ms"),
    ("offsets.commit.required.acks", "commits need acks=all"),
    ("password.encoder.secret", "it was for ZooKeeper"),
    ("port", "write listeners"),
    ("quota.consumer.default", "quotas are set at runtime"),
    ("quota.producer.default", "quotas are set at runtime"),
    ("reserved.broker.max.id", "brokers have node.id"),
    ("zookeeper.connect", "there is no ZooKeeper"),
];

const PREFIXED: &[(&str, &str)] = &[
    ("config.providers.", "providers are Java classes"),
    ("confluent.", "it belongs to Confluent's distribution"),
    ("listener.name.", "a listener has only max.connections and max.connection.creation.rate of its own"),
    ("password.encoder.", "it was for ZooKeeper"),
    ("plugin.", "plugins are Java classes"),
    ("rlmm.config.", "tiered storage is not served yet"),
    ("rsm.config.", "tiered storage is not served yet"),
    ("zookeeper.", "there is no ZooKeeper"),
];

const REFUSED: &[(&str, &str)] = &[
    ("allow.everyone.if.no.acl.found", "access control is not served yet"),
    ("super.users", "access control is not served yet"),
];

pub fn foreign(name: &str) -> Option<Foreign> {
    let among = |names: &[(&str, &'static str)]| names.iter().find(|(known, _)| *known == name).map(|(_, why)| *why);
    let prefixed = || PREFIXED.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, why)| *why);
    among(REMOVED)
        .map(Foreign::Removed)
        .or_else(|| among(REFUSED).map(Foreign::Refused))
        .or_else(|| prefixed().map(Foreign::Prefixed))
}
