//! Replicas, their leaders, and how they fetch.
use super::reasons::{ENGINE, ONE_NODE, QUOTAS, THREADS};
use crate::config::key::Effect::Served;
use crate::config::key::Importance::{High, Low, Medium};
use crate::config::key::Rule::AtLeast;
use crate::config::key::{Key, boolean, int, long, optional_int, string};

pub(super) const KEYS: &[Key] = &[
    boolean(
        "auto.leader.rebalance.enable",
        "true",
        High,
        ONE_NODE,
        "Give leadership back to preferred replicas from time to time.",
    ),
    int("default.replication.factor", "1", Medium, Served, "Replicas of a topic that is created without a number."),
    long(
        "leader.imbalance.check.interval.seconds",
        "300",
        High,
        ONE_NODE,
        "How often the balance of leaders is looked at.",
    )
    .rule(AtLeast(1)),
    int("min.insync.replicas", "1", High, Served, "Replicas that must be in sync for acks=all to be accepted.")
        .rule(AtLeast(1))
        .cluster_wide(),
    optional_int(
        "num.replica.alter.log.dirs.threads",
        High,
        THREADS,
        "Threads that move replicas between log directories.",
    ),
    int("num.replica.fetchers", "1", High, ONE_NODE, "Connections over which a broker fetches from each other one.")
        .rule(AtLeast(1))
        .cluster_wide(),
    int("replica.fetch.backoff.ms", "1000", Medium, ONE_NODE, "Pause after a failed fetch of a follower.")
        .rule(AtLeast(0)),
    int("replica.fetch.max.bytes", "1048576", Medium, ONE_NODE, "Bytes that a follower asks for in one partition.")
        .rule(AtLeast(0)),
    int(
        "replica.fetch.min.bytes",
        "1",
        High,
        ONE_NODE,
        "Least bytes for which a follower's fetch is answered before it has waited.",
    ),
    int(
        "replica.fetch.response.max.bytes",
        "10485760",
        Medium,
        ONE_NODE,
        "Bytes that a follower asks for in one fetch.",
    )
    .rule(AtLeast(0)),
    int("replica.fetch.wait.max.ms", "500", High, ONE_NODE, "How long a follower's fetch waits for data."),
    long(
        "replica.high.watermark.checkpoint.interval.ms",
        "5000",
        High,
        ENGINE,
        "How often Kafka writes down high watermarks.",
    ),
    long(
        "replica.lag.time.max.ms",
        "30000",
        High,
        ONE_NODE,
        "A follower that has not caught up for this long leaves the in-sync replicas.",
    ),
    string(
        "replica.selector.class",
        None,
        Medium,
        ONE_NODE,
        "A Java class that chooses the replica that a consumer reads from.",
    ),
    int(
        "replica.socket.receive.buffer.bytes",
        "65536",
        High,
        ONE_NODE,
        "Receive buffer of the sockets between brokers.",
    ),
    int("replica.socket.timeout.ms", "30000", High, ONE_NODE, "How long a request between brokers may take."),
    int("replication.quota.window.num", "11", Low, QUOTAS, "Samples that the quota of replication remembers.")
        .rule(AtLeast(1)),
    int("replication.quota.window.size.seconds", "1", Low, QUOTAS, "Length of one such sample.").rule(AtLeast(1)),
    boolean(
        "unclean.leader.election.enable",
        "false",
        High,
        ONE_NODE,
        "Let a replica lead that may lack acknowledged data.",
    )
    .cluster_wide(),
    long("unclean.leader.election.interval.ms", "300000", Medium, ONE_NODE, "How often such leaders are looked for.")
        .rule(AtLeast(1))
        .internal(),
];
