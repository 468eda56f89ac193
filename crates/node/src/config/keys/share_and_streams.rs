//! Share groups and streams groups. Nothing of it is served yet.
use super::reasons::{SHARE_GROUPS, STREAMS_GROUPS};
use crate::config::key::Importance::{High, Low, Medium};
use crate::config::key::Rule::{AtLeast, Between, NotEmpty};
use crate::config::key::{Key, boolean, class, int, list, long, short, string};

pub(super) const KEYS: &[Key] = &[
    boolean(
        "errors.deadletterqueue.auto.create.topics.enable",
        "false",
        Medium,
        SHARE_GROUPS,
        "Create the topics for undeliverable records of share groups.",
    )
    .cluster_wide(),
    string(
        "errors.deadletterqueue.topic.name.prefix",
        Some("dlq."),
        Medium,
        SHARE_GROUPS,
        "How names of such topics must begin.",
    )
    .cluster_wide(),
    int(
        "group.share.assignment.interval.ms",
        "1000",
        Medium,
        SHARE_GROUPS,
        "Shortest time between two assignments of one share group.",
    )
    .rule(AtLeast(0))
    .cluster_wide(),
    boolean(
        "group.share.assignor.offload.enable",
        "true",
        Medium,
        SHARE_GROUPS,
        "Compute assignments on other threads.",
    )
    .cluster_wide()
    .internal(),
    list("group.share.assignors", Some("simple"), Medium, SHARE_GROUPS, "The assignors for share groups.")
        .rule(NotEmpty),
    int("group.share.delivery.count.limit", "5", Medium, SHARE_GROUPS, "How often one record is delivered at most.")
        .rule(Between(2, 10)),
    string(
        "group.share.dlq.manager.class.name",
        Some("org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager"),
        Medium,
        SHARE_GROUPS,
        "The Java class that writes undeliverable records.",
    )
    .internal(),
    int("group.share.heartbeat.interval.ms", "5000", Medium, SHARE_GROUPS, "How often members send heartbeats.")
        .rule(AtLeast(1)),
    int(
        "group.share.initialize.retry.interval.ms",
        "30000",
        Low,
        SHARE_GROUPS,
        "Pause before the state of a share group is initialised again.",
    )
    .rule(AtLeast(1))
    .internal(),
    int(
        "group.share.max.assignment.interval.ms",
        "15000",
        Medium,
        SHARE_GROUPS,
        "Most that a share group may set as assignment interval.",
    )
    .rule(AtLeast(0)),
    int(
        "group.share.max.delivery.count.limit",
        "10",
        Medium,
        SHARE_GROUPS,
        "Most that a share group may set as delivery limit.",
    )
    .rule(Between(5, 25)),
    int(
        "group.share.max.heartbeat.interval.ms",
        "15000",
        Medium,
        SHARE_GROUPS,
        "Most that a share group may set as heartbeat interval.",
    )
    .rule(AtLeast(1)),
    int(
        "group.share.max.partition.max.record.locks",
        "4000",
        Medium,
        SHARE_GROUPS,
        "Most that a share group may set as locked records.",
    )
    .rule(Between(2000, 10000)),
    int(
        "group.share.max.record.lock.duration.ms",
        "60000",
        Medium,
        SHARE_GROUPS,
        "Most that a share group may set as lock duration.",
    )
    .rule(Between(30000, 3600000)),
    int(
        "group.share.max.session.timeout.ms",
        "60000",
        Medium,
        SHARE_GROUPS,
        "Most that a share group may set as session timeout.",
    )
    .rule(AtLeast(1)),
    int("group.share.max.share.sessions", "2000", Medium, SHARE_GROUPS, "Most share sessions of one broker.")
        .rule(AtLeast(1)),
    int("group.share.max.size", "200", Medium, SHARE_GROUPS, "Most members of one share group.").rule(Between(1, 1000)),
    int(
        "group.share.min.assignment.interval.ms",
        "0",
        Medium,
        SHARE_GROUPS,
        "Least that a share group may set as assignment interval.",
    )
    .rule(AtLeast(0)),
    int(
        "group.share.min.delivery.count.limit",
        "2",
        Medium,
        SHARE_GROUPS,
        "Least that a share group may set as delivery limit.",
    )
    .rule(Between(2, 5)),
    int(
        "group.share.min.heartbeat.interval.ms",
        "5000",
        Medium,
        SHARE_GROUPS,
        "Least that a share group may set as heartbeat interval.",
    )
    .rule(AtLeast(1)),
    int(
        "group.share.min.partition.max.record.locks",
        "100",
        Medium,
        SHARE_GROUPS,
        "Least that a share group may set as locked records.",
    )
    .rule(Between(100, 2000)),
    int(
        "group.share.min.record.lock.duration.ms",
        "15000",
        Medium,
        SHARE_GROUPS,
        "Least that a share group may set as lock duration.",
    )
    .rule(Between(1000, 30000)),
    int(
        "group.share.min.session.timeout.ms",
        "45000",
        Medium,
        SHARE_GROUPS,
        "Least that a share group may set as session timeout.",
    )
    .rule(AtLeast(1)),
    int(
        "group.share.partition.max.record.locks",
        "2000",
        Medium,
        SHARE_GROUPS,
        "Most records of one partition that are locked at a time.",
    )
    .rule(Between(100, 10000)),
    string(
        "group.share.persister.class.name",
        Some("org.apache.kafka.server.share.persister.DefaultStatePersister"),
        Medium,
        SHARE_GROUPS,
        "The Java class that keeps the state of share groups.",
    )
    .internal(),
    int(
        "group.share.record.lock.duration.ms",
        "30000",
        Medium,
        SHARE_GROUPS,
        "How long a delivered record stays locked.",
    )
    .rule(Between(1000, 3600000)),
    int(
        "group.share.session.timeout.ms",
        "45000",
        Medium,
        SHARE_GROUPS,
        "A member that is silent for this long is removed.",
    )
    .rule(AtLeast(1)),
    long(
        "group.streams.acceptable.recovery.lag",
        "10000",
        Medium,
        STREAMS_GROUPS,
        "A client this close to the end counts as caught up.",
    )
    .rule(AtLeast(0))
    .internal(),
    int(
        "group.streams.assignment.interval.ms",
        "1000",
        Medium,
        STREAMS_GROUPS,
        "Shortest time between two assignments of one streams group.",
    )
    .rule(AtLeast(0))
    .cluster_wide(),
    boolean(
        "group.streams.assignor.offload.enable",
        "true",
        Medium,
        STREAMS_GROUPS,
        "Compute assignments on other threads.",
    )
    .cluster_wide()
    .internal(),
    list("group.streams.assignors", Some("sticky"), Medium, STREAMS_GROUPS, "The assignors for streams groups.")
        .rule(NotEmpty),
    int("group.streams.heartbeat.interval.ms", "5000", Medium, STREAMS_GROUPS, "How often members send heartbeats.")
        .rule(AtLeast(1)),
    int(
        "group.streams.initial.rebalance.delay.ms",
        "3000",
        Medium,
        STREAMS_GROUPS,
        "How long the first rebalance of an empty group waits for more members.",
    )
    .rule(AtLeast(0)),
    int(
        "group.streams.max.assignment.interval.ms",
        "15000",
        Medium,
        STREAMS_GROUPS,
        "Most that a streams group may set as assignment interval.",
    )
    .rule(AtLeast(0)),
    int(
        "group.streams.max.heartbeat.interval.ms",
        "15000",
        Medium,
        STREAMS_GROUPS,
        "Most that a streams group may set as heartbeat interval.",
    )
    .rule(AtLeast(1)),
    int(
        "group.streams.max.session.timeout.ms",
        "60000",
        Medium,
        STREAMS_GROUPS,
        "Most that a streams group may set as session timeout.",
    )
    .rule(AtLeast(1)),
    int("group.streams.max.size", "2147483647", Medium, STREAMS_GROUPS, "Most members of one streams group.")
        .rule(AtLeast(1)),
    int(
        "group.streams.max.standby.replicas",
        "2",
        Medium,
        STREAMS_GROUPS,
        "Most that a streams group may set as standby replicas.",
    )
    .rule(AtLeast(0)),
    int(
        "group.streams.max.warmup.replicas",
        "20",
        Medium,
        STREAMS_GROUPS,
        "Most that a streams group may set as warm-up replicas.",
    )
    .rule(AtLeast(0))
    .internal(),
    int(
        "group.streams.min.assignment.interval.ms",
        "0",
        Medium,
        STREAMS_GROUPS,
        "Least that a streams group may set as assignment interval.",
    )
    .rule(AtLeast(0)),
    int(
        "group.streams.min.heartbeat.interval.ms",
        "5000",
        Medium,
        STREAMS_GROUPS,
        "Least that a streams group may set as heartbeat interval.",
    )
    .rule(AtLeast(1)),
    int(
        "group.streams.min.session.timeout.ms",
        "45000",
        Medium,
        STREAMS_GROUPS,
        "Least that a streams group may set as session timeout.",
    )
    .rule(AtLeast(1)),
    int(
        "group.streams.min.task.offset.interval.ms",
        "15000",
        Medium,
        STREAMS_GROUPS,
        "Least that a streams group may set as interval of task offsets.",
    )
    .rule(AtLeast(1))
    .internal(),
    int("group.streams.num.standby.replicas", "0", Medium, STREAMS_GROUPS, "Standby replicas of each task.")
        .rule(AtLeast(0)),
    int(
        "group.streams.num.warmup.replicas",
        "2",
        Medium,
        STREAMS_GROUPS,
        "Tasks that warm up on another client at a time.",
    )
    .rule(AtLeast(0))
    .internal(),
    list(
        "group.streams.rack.aware.assignment.tags",
        Some(""),
        Low,
        STREAMS_GROUPS,
        "Client tags over which standby tasks are spread.",
    ),
    int(
        "group.streams.session.timeout.ms",
        "45000",
        Medium,
        STREAMS_GROUPS,
        "A member that is silent for this long is removed.",
    )
    .rule(AtLeast(1)),
    int(
        "group.streams.task.offset.interval.ms",
        "60000",
        Medium,
        STREAMS_GROUPS,
        "How often members report the offsets of tasks that warm up.",
    )
    .rule(AtLeast(1))
    .internal(),
    class(
        "group.streams.topology.description.plugin.class",
        None,
        Medium,
        STREAMS_GROUPS,
        "A Java class that stores descriptions of topologies.",
    ),
    int(
        "share.coordinator.append.linger.ms",
        "-1",
        Medium,
        SHARE_GROUPS,
        "How long the share coordinator gathers records before it writes them; -1 adapts.",
    )
    .rule(AtLeast(-1)),
    int(
        "share.coordinator.cached.buffer.max.bytes",
        "1048588",
        Medium,
        SHARE_GROUPS,
        "Largest buffer that the share coordinator keeps.",
    )
    .rule(AtLeast(524288))
    .cluster_wide(),
    int(
        "share.coordinator.cold.partition.snapshot.interval.ms",
        "300000",
        Low,
        SHARE_GROUPS,
        "How often the state of quiet partitions is written whole.",
    )
    .rule(AtLeast(1))
    .internal(),
    int(
        "share.coordinator.load.buffer.size",
        "5242880",
        High,
        SHARE_GROUPS,
        "Bytes that are read at a time when the share coordinator loads its partition.",
    )
    .rule(AtLeast(1)),
    int(
        "share.coordinator.snapshot.update.records.per.snapshot",
        "500",
        Medium,
        SHARE_GROUPS,
        "Changes between two whole states.",
    )
    .rule(Between(0, 500)),
    int(
        "share.coordinator.state.topic.compression.codec",
        "0",
        High,
        SHARE_GROUPS,
        "The codec of the share state topic, as a number.",
    ),
    short(
        "share.coordinator.state.topic.min.isr",
        "2",
        High,
        SHARE_GROUPS,
        "Replicas of the share state topic that must be in sync.",
    )
    .rule(AtLeast(1)),
    int(
        "share.coordinator.state.topic.num.partitions",
        "50",
        High,
        SHARE_GROUPS,
        "Partitions of the share state topic.",
    )
    .rule(AtLeast(1)),
    int(
        "share.coordinator.state.topic.prune.interval.ms",
        "300000",
        Low,
        SHARE_GROUPS,
        "How often the share state topic is trimmed.",
    )
    .rule(AtLeast(1))
    .internal(),
    short(
        "share.coordinator.state.topic.replication.factor",
        "3",
        High,
        SHARE_GROUPS,
        "Replicas of the share state topic.",
    )
    .rule(AtLeast(1)),
    int(
        "share.coordinator.state.topic.segment.bytes",
        "104857600",
        High,
        SHARE_GROUPS,
        "Largest segment of the share state topic.",
    )
    .rule(AtLeast(1)),
    int("share.coordinator.threads", "1", Medium, SHARE_GROUPS, "Threads of the share coordinator.").rule(AtLeast(1)),
    int(
        "share.coordinator.write.timeout.ms",
        "5000",
        High,
        SHARE_GROUPS,
        "How long a write of the share coordinator may take.",
    )
    .rule(AtLeast(1)),
    int(
        "share.fetch.purgatory.purge.interval.requests",
        "1000",
        Medium,
        SHARE_GROUPS,
        "After how many requests Kafka purges waiting share fetches.",
    ),
];
