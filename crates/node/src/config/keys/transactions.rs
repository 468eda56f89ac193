//! Transactions and idempotent producers.
use super::reasons::{ENGINE, TRANSACTIONS};
use crate::config::key::Effect::Served;
use crate::config::key::Importance::{High, Low};
use crate::config::key::Rule::AtLeast;
use crate::config::key::{Key, boolean, int, short};

pub(super) const KEYS: &[Key] = &[
    int(
        "add.partitions.to.txn.retry.backoff.max.ms",
        "100",
        High,
        TRANSACTIONS,
        "Upper bound of the time the server spends retrying to add a partition to a transaction.",
    )
    .rule(AtLeast(0)),
    int(
        "add.partitions.to.txn.retry.backoff.ms",
        "20",
        High,
        TRANSACTIONS,
        "Pause between two attempts of the server to add a partition to a transaction.",
    )
    .rule(AtLeast(1)),
    int(
        "producer.id.expiration.check.interval.ms",
        "600000",
        Low,
        ENGINE,
        "How often producers that write no more are looked for.",
    )
    .rule(AtLeast(1))
    .internal(),
    int(
        "producer.id.expiration.ms",
        "86400000",
        Low,
        Served,
        "An idempotent producer that wrote nothing for this long is forgotten.",
    )
    .rule(AtLeast(1))
    .cluster_wide(),
    int(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "10000",
        Low,
        TRANSACTIONS,
        "How often transactions that took too long are looked for.",
    )
    .rule(AtLeast(1)),
    int("transaction.max.timeout.ms", "900000", High, TRANSACTIONS, "Longest transaction that a producer may ask for.")
        .rule(AtLeast(1)),
    boolean(
        "transaction.partition.verification.enable",
        "true",
        Low,
        TRANSACTIONS,
        "Check that a partition belongs to a transaction before it is written.",
    )
    .cluster_wide(),
    int(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        "3600000",
        Low,
        TRANSACTIONS,
        "How often expired transactional ids are removed.",
    )
    .rule(AtLeast(1)),
    int(
        "transaction.state.log.load.buffer.size",
        "5242880",
        High,
        TRANSACTIONS,
        "Bytes that are read at a time when a coordinator loads its partition.",
    )
    .rule(AtLeast(1)),
    int(
        "transaction.state.log.min.isr",
        "2",
        High,
        TRANSACTIONS,
        "Replicas of the transaction topic that must be in sync.",
    )
    .rule(AtLeast(1)),
    int(
        "transaction.state.log.num.partitions",
        "50",
        High,
        TRANSACTIONS,
        "Partitions of the transaction topic; must not change once it exists.",
    )
    .rule(AtLeast(1)),
    short("transaction.state.log.replication.factor", "3", High, TRANSACTIONS, "Replicas of the transaction topic.")
        .rule(AtLeast(1)),
    int(
        "transaction.state.log.segment.bytes",
        "104857600",
        High,
        TRANSACTIONS,
        "Largest segment of the transaction topic.",
    )
    .rule(AtLeast(1)),
    boolean(
        "transaction.two.phase.commit.enable",
        "false",
        Low,
        TRANSACTIONS,
        "Allow transactions that another system commits.",
    ),
    int(
        "transactional.id.expiration.ms",
        "604800000",
        High,
        TRANSACTIONS,
        "A transactional id that was not used for this long is forgotten.",
    )
    .rule(AtLeast(1)),
];
