//! The controller, its quorum and the log of metadata.
use super::reasons::{INTERNAL, ONE_NODE, QUORUM, TESTING};
use crate::config::key::Effect::Served;
use crate::config::key::Importance::{High, Low, Medium};
use crate::config::key::Rule::{AtLeast, SomeElements};
use crate::config::key::{Key, boolean, int, list, long, optional_int, string};

pub(super) const KEYS: &[Key] = &[
    int(
        "broker.heartbeat.interval.ms",
        "2000",
        Medium,
        ONE_NODE,
        "How often a broker tells the controller that it lives.",
    ),
    int("broker.session.timeout.ms", "9000", Medium, ONE_NODE, "A broker that is silent for this long is fenced."),
    boolean("controlled.shutdown.enable", "true", Medium, ONE_NODE, "Move leadership away before stopping."),
    list(
        "controller.listener.names",
        Some(""),
        High,
        QUORUM,
        "The listeners of the controllers; those are not opened.",
    ),
    long(
        "controller.performance.always.log.threshold.ms",
        "2000",
        Medium,
        INTERNAL,
        "A controller event slower than this is logged.",
    )
    .rule(AtLeast(0))
    .internal(),
    long(
        "controller.performance.sample.period.ms",
        "60000",
        Medium,
        INTERNAL,
        "How often the controller logs its performance.",
    )
    .rule(AtLeast(100))
    .internal(),
    int(
        "controller.quorum.append.linger.ms",
        "25",
        Medium,
        QUORUM,
        "How long the quorum's leader gathers records before it writes them.",
    )
    .rule(AtLeast(0)),
    boolean("controller.quorum.auto.join.enable", "false", Low, QUORUM, "Controllers join the quorum by themselves."),
    list("controller.quorum.bootstrap.servers", Some(""), High, QUORUM, "Where to find the quorum."),
    int(
        "controller.quorum.election.backoff.max.ms",
        "1000",
        High,
        QUORUM,
        "Upper bound of the pause before a new election.",
    )
    .rule(AtLeast(0)),
    int("controller.quorum.election.timeout.ms", "1000", High, QUORUM, "How long a candidate waits for votes.")
        .rule(AtLeast(0)),
    int("controller.quorum.fetch.max.bytes", "1048576", Low, QUORUM, "Most bytes in one fetch of the metadata log.")
        .rule(AtLeast(1)),
    int(
        "controller.quorum.fetch.snapshot.max.bytes",
        "1048576",
        Low,
        QUORUM,
        "Most bytes in one fetch of a metadata snapshot.",
    )
    .rule(AtLeast(1)),
    int(
        "controller.quorum.fetch.timeout.ms",
        "2000",
        High,
        QUORUM,
        "A follower that hears nothing for this long calls an election.",
    )
    .rule(AtLeast(0)),
    int(
        "controller.quorum.request.timeout.ms",
        "2000",
        Medium,
        QUORUM,
        "How long a request between controllers may take.",
    )
    .rule(AtLeast(0)),
    int(
        "controller.quorum.retry.backoff.ms",
        "20",
        Low,
        QUORUM,
        "Pause before a failed request to a controller is repeated.",
    )
    .rule(AtLeast(0)),
    list("controller.quorum.voters", Some(""), High, QUORUM, "The voters of a static quorum as id@host:port."),
    int("controller.quota.window.num", "11", Low, Served, "Samples that the quota of controller mutations remembers.")
        .rule(AtLeast(1)),
    int("controller.quota.window.size.seconds", "1", Low, Served, "Length of one such sample.").rule(AtLeast(1)),
    int("controller.socket.timeout.ms", "30000", Medium, QUORUM, "How long a request to the controller may take."),
    int(
        "initial.broker.registration.timeout.ms",
        "60000",
        Medium,
        ONE_NODE,
        "A broker that cannot register within this time stops.",
    ),
    long("internal.metadata.delete.delay.millis", "60000", Low, TESTING, "How long a removed metadata file stays.")
        .internal(),
    optional_int("internal.metadata.log.segment.bytes", Low, TESTING, "Largest file of the metadata log.").internal(),
    int("internal.metadata.max.batch.size.in.bytes", "8388608", Low, TESTING, "Largest batch in the metadata log.")
        .internal(),
    string("metadata.log.dir", None, High, Served, "Where the metadata log is, if not in the first log directory."),
    long(
        "metadata.log.max.record.bytes.between.snapshots",
        "20971520",
        High,
        QUORUM,
        "After this much new metadata a snapshot is written.",
    )
    .rule(AtLeast(1)),
    long(
        "metadata.log.max.snapshot.interval.ms",
        "3600000",
        High,
        QUORUM,
        "After this time a snapshot of new metadata is written.",
    )
    .rule(AtLeast(0)),
    int("metadata.log.segment.bytes", "1073741824", High, QUORUM, "Largest file of the metadata log.")
        .rule(AtLeast(8388608)),
    long("metadata.log.segment.ms", "604800000", High, QUORUM, "After this time the metadata log begins a new file."),
    int("metadata.max.idle.interval.ms", "500", Low, QUORUM, "How often an idle controller writes an empty record.")
        .rule(AtLeast(0)),
    long(
        "metadata.max.retention.bytes",
        "104857600",
        High,
        QUORUM,
        "Metadata log and snapshots larger than this lose their oldest files.",
    ),
    long(
        "metadata.max.retention.ms",
        "604800000",
        High,
        QUORUM,
        "Files of the metadata log older than this are deleted.",
    ),
    list(
        "process.roles",
        Some("broker,controller"),
        High,
        Served,
        "What this node is: `broker,controller`. Ottla is both, always.",
    )
    .rule(SomeElements(&["broker", "controller"])),
    long("server.max.startup.time.ms", "9223372036854775807", Medium, TESTING, "How long starting may take.")
        .rule(AtLeast(0))
        .internal(),
    boolean(
        "unstable.api.versions.enable",
        "false",
        High,
        TESTING,
        "Serve versions of requests that are not released.",
    )
    .internal(),
    boolean("unstable.feature.versions.enable", "false", High, TESTING, "Allow features that are not released.")
        .internal(),
];
