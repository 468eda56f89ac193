//! Tiered storage. Nothing of it is served yet.
use super::reasons::{TIERED, TIERED_REFUSED};
use crate::config::key::Importance::{Low, Medium};
use crate::config::key::Rule::{AtLeast, FractionUpTo, NotEmpty};
use crate::config::key::{Key, boolean, double, int, long, string};

pub(super) const KEYS: &[Key] = &[
    boolean(
        "follower.fetch.last.tiered.offset.enable",
        "false",
        Medium,
        TIERED,
        "A new follower begins at the end of what is in tiered storage.",
    )
    .cluster_wide(),
    long("log.local.retention.bytes", "-2", Medium, TIERED, "Bytes of a tiered partition that stay on the local disk.")
        .rule(AtLeast(-2))
        .cluster_wide(),
    long("log.local.retention.ms", "-2", Medium, TIERED, "How long data of a tiered topic stays on the local disk.")
        .rule(AtLeast(-2))
        .cluster_wide(),
    long(
        "log.remote.copy.lag.bytes",
        "-1",
        Medium,
        TIERED,
        "How much data may wait before it is copied to tiered storage.",
    )
    .rule(AtLeast(-1))
    .cluster_wide(),
    long(
        "log.remote.copy.lag.ms",
        "0",
        Medium,
        TIERED,
        "How long data may wait before it is copied to tiered storage.",
    )
    .rule(AtLeast(-1))
    .cluster_wide(),
    int("remote.fetch.max.wait.ms", "500", Medium, TIERED, "How long a fetch waits for tiered storage.")
        .rule(AtLeast(1))
        .cluster_wide(),
    long(
        "remote.list.offsets.request.timeout.ms",
        "30000",
        Medium,
        TIERED,
        "How long ListOffsets waits for tiered storage.",
    )
    .rule(AtLeast(1))
    .cluster_wide(),
    long(
        "remote.log.index.file.cache.total.size.bytes",
        "1073741824",
        Low,
        TIERED,
        "Space for cached indexes of tiered segments.",
    )
    .rule(AtLeast(1))
    .cluster_wide(),
    long(
        "remote.log.index.file.cache.ttl.ms",
        "900000",
        Low,
        TIERED,
        "How long cached indexes of tiered segments stay.",
    )
    .rule(AtLeast(-1))
    .internal(),
    int("remote.log.manager.copier.thread.pool.size", "10", Medium, TIERED, "Threads that copy to tiered storage.")
        .rule(AtLeast(1))
        .cluster_wide(),
    long(
        "remote.log.manager.copy.max.bytes.per.second",
        "9223372036854775807",
        Medium,
        TIERED,
        "How fast is copied to tiered storage.",
    )
    .rule(AtLeast(1))
    .cluster_wide(),
    int("remote.log.manager.copy.quota.window.num", "11", Medium, TIERED, "Samples that this quota remembers.")
        .rule(AtLeast(1)),
    int("remote.log.manager.copy.quota.window.size.seconds", "1", Medium, TIERED, "Length of one such sample.")
        .rule(AtLeast(1)),
    int(
        "remote.log.manager.expiration.thread.pool.size",
        "10",
        Medium,
        TIERED,
        "Threads that delete from tiered storage.",
    )
    .rule(AtLeast(1))
    .cluster_wide(),
    long(
        "remote.log.manager.fetch.max.bytes.per.second",
        "9223372036854775807",
        Medium,
        TIERED,
        "How fast is read from tiered storage.",
    )
    .rule(AtLeast(1))
    .cluster_wide(),
    int("remote.log.manager.fetch.quota.window.num", "11", Medium, TIERED, "Samples that this quota remembers.")
        .rule(AtLeast(1)),
    int("remote.log.manager.fetch.quota.window.size.seconds", "1", Medium, TIERED, "Length of one such sample.")
        .rule(AtLeast(1)),
    int(
        "remote.log.manager.follower.thread.pool.size",
        "2",
        Medium,
        TIERED,
        "Threads for tiered partitions that this broker follows.",
    )
    .rule(AtLeast(1))
    .cluster_wide(),
    long("remote.log.manager.task.interval.ms", "30000", Low, TIERED, "How often work on tiered storage is done.")
        .rule(AtLeast(1)),
    long(
        "remote.log.manager.task.retry.backoff.max.ms",
        "30000",
        Low,
        TIERED,
        "Longest pause before such work is tried again.",
    )
    .rule(AtLeast(1))
    .internal(),
    long(
        "remote.log.manager.task.retry.backoff.ms",
        "500",
        Low,
        TIERED,
        "First pause before such work is tried again.",
    )
    .rule(AtLeast(1))
    .internal(),
    double("remote.log.manager.task.retry.jitter", "0.2", Low, TIERED, "By which part that pause varies.")
        .rule(FractionUpTo(0.5))
        .internal(),
    int("remote.log.manager.thread.pool.size", "2", Medium, TIERED, "Threads for tiered storage.").rule(AtLeast(1)),
    int(
        "remote.log.metadata.custom.metadata.max.bytes",
        "128",
        Low,
        TIERED,
        "Most bytes that a plugin may keep for each tiered segment.",
    )
    .rule(AtLeast(0)),
    string(
        "remote.log.metadata.manager.class.name",
        Some("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager"),
        Medium,
        TIERED,
        "The Java class that keeps track of tiered segments.",
    )
    .rule(NotEmpty),
    string("remote.log.metadata.manager.class.path", None, Medium, TIERED, "Where that class is found."),
    string(
        "remote.log.metadata.manager.impl.prefix",
        Some("rlmm.config."),
        Medium,
        TIERED,
        "How keys for that class begin.",
    )
    .rule(NotEmpty),
    string("remote.log.metadata.manager.listener.name", None, Medium, TIERED, "The listener that it connects to.")
        .rule(NotEmpty),
    int("remote.log.reader.max.pending.tasks", "100", Medium, TIERED, "Most reads from tiered storage that wait.")
        .rule(AtLeast(1)),
    int("remote.log.reader.threads", "10", Medium, TIERED, "Threads that read from tiered storage.")
        .rule(AtLeast(1))
        .cluster_wide(),
    string(
        "remote.log.storage.manager.class.name",
        None,
        Medium,
        TIERED,
        "The Java class that stores tiered segments.",
    )
    .rule(NotEmpty),
    string("remote.log.storage.manager.class.path", None, Medium, TIERED, "Where that class is found."),
    string(
        "remote.log.storage.manager.impl.prefix",
        Some("rsm.config."),
        Medium,
        TIERED,
        "How keys for that class begin.",
    )
    .rule(NotEmpty),
    boolean(
        "remote.log.storage.system.enable",
        "false",
        Medium,
        TIERED_REFUSED,
        "Keep old segments in tiered storage.",
    ),
];
