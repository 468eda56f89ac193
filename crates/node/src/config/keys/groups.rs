//! Consumer groups and their offsets.
use super::reasons::{CONSUMER_GROUPS, ENGINE, GROUP_TYPES, THREADS};
use crate::config::key::Effect::Served;
use crate::config::key::Importance::{High, Medium};
use crate::config::key::Rule::{AtLeast, NotEmpty, OneOfInAnyCase, SomeElements};
use crate::config::key::{Key, boolean, int, list, long, short, string};

pub(super) const KEYS: &[Key] = &[
    int(
        "group.consumer.assignment.interval.ms",
        "1000",
        Medium,
        CONSUMER_GROUPS,
        "Shortest time between two assignments of one group.",
    )
    .rule(AtLeast(0))
    .cluster_wide(),
    boolean(
        "group.consumer.assignor.offload.enable",
        "true",
        Medium,
        CONSUMER_GROUPS,
        "Compute assignments on other threads.",
    )
    .cluster_wide()
    .internal(),
    list(
        "group.consumer.assignors",
        Some("uniform,range"),
        Medium,
        CONSUMER_GROUPS,
        "The assignors of the server, the default one first.",
    )
    .rule(NotEmpty),
    int("group.consumer.heartbeat.interval.ms", "5000", Medium, CONSUMER_GROUPS, "How often members send heartbeats.")
        .rule(AtLeast(1)),
    int(
        "group.consumer.max.assignment.interval.ms",
        "15000",
        Medium,
        CONSUMER_GROUPS,
        "Most that a group may set as assignment interval.",
    )
    .rule(AtLeast(0)),
    int(
        "group.consumer.max.heartbeat.interval.ms",
        "15000",
        Medium,
        CONSUMER_GROUPS,
        "Most that a group may set as heartbeat interval.",
    )
    .rule(AtLeast(1)),
    int(
        "group.consumer.max.session.timeout.ms",
        "60000",
        Medium,
        CONSUMER_GROUPS,
        "Most that a group may set as session timeout.",
    )
    .rule(AtLeast(1)),
    int("group.consumer.max.size", "2147483647", Medium, CONSUMER_GROUPS, "Most members of one group.")
        .rule(AtLeast(1)),
    string(
        "group.consumer.migration.policy",
        Some("bidirectional"),
        Medium,
        CONSUMER_GROUPS,
        "Which way a group may change between the classic and the consumer protocol.",
    )
    .rule(OneOfInAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"])),
    int(
        "group.consumer.min.assignment.interval.ms",
        "0",
        Medium,
        CONSUMER_GROUPS,
        "Least that a group may set as assignment interval.",
    )
    .rule(AtLeast(0)),
    int(
        "group.consumer.min.heartbeat.interval.ms",
        "5000",
        Medium,
        CONSUMER_GROUPS,
        "Least that a group may set as heartbeat interval.",
    )
    .rule(AtLeast(1)),
    int(
        "group.consumer.min.session.timeout.ms",
        "45000",
        Medium,
        CONSUMER_GROUPS,
        "Least that a group may set as session timeout.",
    )
    .rule(AtLeast(1)),
    int(
        "group.consumer.regex.refresh.interval.ms",
        "600000",
        Medium,
        CONSUMER_GROUPS,
        "How often subscriptions by pattern are resolved again.",
    )
    .rule(AtLeast(10000))
    .internal(),
    int(
        "group.consumer.session.timeout.ms",
        "45000",
        Medium,
        CONSUMER_GROUPS,
        "A member that is silent for this long is removed.",
    )
    .rule(AtLeast(1)),
    int(
        "group.coordinator.append.linger.ms",
        "-1",
        Medium,
        ENGINE,
        "How long the group coordinator gathers records before it writes them; -1 adapts.",
    )
    .rule(AtLeast(-1)),
    int("group.coordinator.background.threads", "2", High, THREADS, "Threads that compute assignments.")
        .rule(AtLeast(1)),
    int(
        "group.coordinator.cached.buffer.max.bytes",
        "1048588",
        Medium,
        ENGINE,
        "Largest buffer that the group coordinator keeps.",
    )
    .rule(AtLeast(524288))
    .cluster_wide(),
    list(
        "group.coordinator.rebalance.protocols",
        Some("classic,consumer,streams"),
        Medium,
        GROUP_TYPES,
        "The group protocols that may be used. Ottla serves `classic`.",
    )
    .rule(SomeElements(&["consumer", "classic", "share", "streams"])),
    int("group.coordinator.threads", "4", High, THREADS, "Threads of the group coordinator.").rule(AtLeast(1)),
    int(
        "group.initial.rebalance.delay.ms",
        "3000",
        Medium,
        Served,
        "How long the first rebalance of an empty group waits for more members.",
    ),
    int(
        "group.max.session.timeout.ms",
        "1800000",
        Medium,
        Served,
        "Longest session timeout that a member of a classic group may ask for.",
    ),
    int("group.max.size", "2147483647", Medium, Served, "Most members of one classic group.").rule(AtLeast(1)),
    int(
        "group.min.session.timeout.ms",
        "6000",
        Medium,
        Served,
        "Shortest session timeout that a member of a classic group may ask for.",
    ),
    int("offset.metadata.max.bytes", "4096", High, Served, "Longest text that may be committed with an offset."),
    int(
        "offsets.commit.timeout.ms",
        "5000",
        High,
        Served,
        "How long a commit may wait for the replicas of the offsets topic.",
    )
    .rule(AtLeast(1)),
    int(
        "offsets.load.buffer.size",
        "5242880",
        High,
        ENGINE,
        "Bytes that are read at a time when a coordinator loads its partition.",
    )
    .rule(AtLeast(1)),
    long("offsets.retention.check.interval.ms", "600000", High, Served, "How often expired offsets are looked for.")
        .rule(AtLeast(1)),
    int(
        "offsets.retention.minutes",
        "10080",
        High,
        Served,
        "How long committed offsets are kept after their group became empty.",
    )
    .rule(AtLeast(1)),
    int("offsets.topic.compression.codec", "0", High, ENGINE, "The codec of the offsets topic, as a number."),
    int(
        "offsets.topic.num.partitions",
        "50",
        High,
        Served,
        "Partitions of the offsets topic; must not change once it exists.",
    )
    .rule(AtLeast(1)),
    short("offsets.topic.replication.factor", "3", High, Served, "Replicas of the offsets topic.").rule(AtLeast(1)),
    int("offsets.topic.segment.bytes", "104857600", High, Served, "Largest segment of the offsets topic.")
        .rule(AtLeast(1)),
];
