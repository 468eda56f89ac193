//! Topics and their logs. Most of these are the defaults of topic configurations.
use super::reasons::{CLEANER, ENGINE, JVM_CLASS_REFUSED, PURGATORY, TESTING, THREADS};
use crate::config::key::Effect::Served;
use crate::config::key::Importance::{High, Low, Medium};
use crate::config::key::Rule::{AtLeast, Between, Elements, FractionUpTo, LevelOrDefault, NotEmpty, OneOf};
use crate::config::key::{Key, boolean, class, double, int, list, long, optional_int, optional_long, string};

pub(super) const KEYS: &[Key] = &[
    class(
        "alter.config.policy.class.name",
        None,
        Low,
        JVM_CLASS_REFUSED,
        "A Java class that may veto changes of configurations.",
    ),
    boolean(
        "auto.create.topics.enable",
        "true",
        High,
        Served,
        "Create a topic when a client asks for its metadata and it is not there.",
    ),
    int("compression.gzip.level", "-1", Medium, Served, "Level for topics that are recompressed with gzip.")
        .rule(LevelOrDefault(1, 9))
        .cluster_wide(),
    int("compression.lz4.level", "9", Medium, Served, "Level for topics that are recompressed with lz4.")
        .rule(Between(1, 17))
        .cluster_wide(),
    string(
        "compression.type",
        Some("producer"),
        High,
        Served,
        "The codec in which topics are stored; `producer` keeps what was sent.",
    )
    .rule(OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
    .cluster_wide(),
    int("compression.zstd.level", "3", Medium, Served, "Level for topics that are recompressed with zstd.")
        .rule(Between(-131072, 22))
        .cluster_wide(),
    list(
        "cordoned.log.dirs",
        Some(""),
        Medium,
        Served,
        "Log directories that get no new partitions; `*` are all.",
    )
    .per_broker(),
    class(
        "create.topic.policy.class.name",
        None,
        Low,
        JVM_CLASS_REFUSED,
        "A Java class that may veto the creation of topics.",
    ),
    int(
        "delete.records.purgatory.purge.interval.requests",
        "1",
        Medium,
        PURGATORY,
        "After how many requests Kafka purges waiting DeleteRecords.",
    ),
    boolean("delete.topic.enable", "true", High, Served, "Topics may be deleted."),
    long(
        "log.cleaner.backoff.ms",
        "15000",
        Medium,
        Served,
        "Pause of the cleaner when there is nothing to compact. A change counts from the next start.",
    )
    .rule(AtLeast(0))
    .cluster_wide(),
    long("log.cleaner.dedupe.buffer.size", "134217728", Medium, Served, "Memory of the cleaner for keys, in each log directory. A change counts from the next start.")
        .cluster_wide(),
    long(
        "log.cleaner.delete.retention.ms",
        "86400000",
        Medium,
        Served,
        "How long tombstones stay in compacted topics.",
    )
    .rule(AtLeast(0))
    .cluster_wide(),
    boolean("log.cleaner.enable", "true", Medium, Served, "Run the cleaner."),
    double(
        "log.cleaner.io.buffer.load.factor",
        "0.9",
        Medium,
        CLEANER,
        "How full the cleaner's buffer of keys may get.",
    )
    .cluster_wide(),
    int("log.cleaner.io.buffer.size", "524288", Medium, CLEANER, "Memory of the cleaner for reading and writing.")
        .rule(AtLeast(0))
        .cluster_wide(),
    double(
        "log.cleaner.io.max.bytes.per.second",
        "1.7976931348623157E308",
        Medium,
        Served,
        "How fast the cleaner may read and write, in each log directory. A change counts from the next start.",
    )
    .cluster_wide(),
    long(
        "log.cleaner.max.compaction.lag.ms",
        "9223372036854775807",
        Medium,
        Served,
        "After this time a record must have been compacted.",
    )
    .rule(AtLeast(1))
    .cluster_wide(),
    double(
        "log.cleaner.min.cleanable.ratio",
        "0.5",
        Medium,
        Served,
        "Share of uncompacted data from which on a log is compacted.",
    )
    .rule(FractionUpTo(1.0))
    .cluster_wide(),
    long("log.cleaner.min.compaction.lag.ms", "0", Medium, Served, "A record younger than this is not compacted.")
        .rule(AtLeast(0))
        .cluster_wide(),
    int("log.cleaner.threads", "1", Medium, CLEANER, "Threads of the cleaner.").rule(AtLeast(0)).cluster_wide(),
    list(
        "log.cleanup.policy",
        Some("delete"),
        Medium,
        Served,
        "What becomes of old data: `delete` by age and size, `compact` to the last record of each key, or both; empty keeps all.",
    )
    .rule(Elements(&["compact", "delete"]))
    .cluster_wide(),
    list("log.dir", Some("/tmp/kafka-logs"), High, Served, "Old name of log.dirs, which counts if both are set.")
        .rule(NotEmpty),
    long(
        "log.dir.failure.timeout.ms",
        "30000",
        Low,
        Served,
        "A broker that cannot report a failed directory within this time stops.",
    )
    .rule(AtLeast(1)),
    list("log.dirs", None, High, Served, "The directories of the data, separated by commas.").rule(NotEmpty),
    long(
        "log.flush.interval.messages",
        "9223372036854775807",
        High,
        Served,
        "After how many records Kafka syncs a log. Here every record is synced right after it is written.",
    )
    .rule(AtLeast(1))
    .cluster_wide(),
    optional_long(
        "log.flush.interval.ms",
        High,
        Served,
        "After how long Kafka syncs a log. Here every record is synced right after it is written.",
    )
    .cluster_wide(),
    int(
        "log.flush.offset.checkpoint.interval.ms",
        "60000",
        High,
        ENGINE,
        "How often Kafka writes down how far each log is synced.",
    )
    .rule(AtLeast(0)),
    long(
        "log.flush.scheduler.interval.ms",
        "9223372036854775807",
        High,
        Served,
        "As log.flush.interval.ms; counts if that is not set.",
    ),
    int(
        "log.flush.start.offset.checkpoint.interval.ms",
        "60000",
        High,
        ENGINE,
        "How often Kafka writes down where each log starts.",
    )
    .rule(AtLeast(0)),
    int("log.index.interval.bytes", "4096", Medium, Served, "Bytes between two entries of a sparse index.")
        .rule(AtLeast(0))
        .cluster_wide(),
    int("log.index.size.max.bytes", "10485760", Medium, Served, "Largest index file; a full one rolls the segment.")
        .rule(AtLeast(4))
        .cluster_wide(),
    long("log.initial.task.delay.ms", "30000", Low, TESTING, "Pause before background work on logs begins.")
        .rule(AtLeast(0))
        .internal(),
    long(
        "log.message.timestamp.after.max.ms",
        "3600000",
        Medium,
        Served,
        "How far a record's time may be ahead of the broker's clock.",
    )
    .rule(AtLeast(0))
    .cluster_wide(),
    long(
        "log.message.timestamp.before.max.ms",
        "9223372036854775807",
        Medium,
        Served,
        "How far a record's time may be behind the broker's clock.",
    )
    .rule(AtLeast(0))
    .cluster_wide(),
    string(
        "log.message.timestamp.type",
        Some("CreateTime"),
        Medium,
        Served,
        "Whose time a record carries: its producer's (CreateTime) or the broker's (LogAppendTime).",
    )
    .rule(OneOf(&["CreateTime", "LogAppendTime"]))
    .cluster_wide(),
    boolean("log.preallocate", "false", Medium, ENGINE, "Allocate new segment files at their full size.")
        .cluster_wide(),
    long(
        "log.retention.bytes",
        "-1",
        High,
        Served,
        "A partition larger than this loses its oldest segments; -1 is no limit.",
    )
    .cluster_wide(),
    long("log.retention.check.interval.ms", "300000", Medium, Served, "How often retention is enforced.")
        .rule(AtLeast(1)),
    int(
        "log.retention.hours",
        "168",
        High,
        Served,
        "As log.retention.ms, in hours; counts if neither that nor log.retention.minutes is set.",
    ),
    optional_int("log.retention.minutes", High, Served, "As log.retention.ms, in minutes; counts if that is not set."),
    optional_long(
        "log.retention.ms",
        High,
        Served,
        "Segments whose newest record is older than this are deleted; -1 is never.",
    )
    .cluster_wide(),
    int("log.roll.hours", "168", High, Served, "As log.roll.ms, in hours; counts if that is not set.").rule(AtLeast(1)),
    int("log.roll.jitter.hours", "0", High, Served, "As log.roll.jitter.ms, in hours; counts if that is not set.")
        .rule(AtLeast(0)),
    optional_long(
        "log.roll.jitter.ms",
        High,
        Served,
        "Up to this much, by chance, is taken from log.roll.ms, so that not all logs roll at once.",
    )
    .cluster_wide(),
    optional_long("log.roll.ms", High, Served, "A segment that spans more than this is closed and a new one begun.")
        .cluster_wide(),
    int(
        "log.segment.bytes",
        "1073741824",
        High,
        Served,
        "A segment that would grow beyond this is closed and a new one begun.",
    )
    .rule(AtLeast(1048576))
    .cluster_wide(),
    long(
        "log.segment.delete.delay.ms",
        "60000",
        High,
        Served,
        "How long the files of a deleted segment stay, for those who still read them.",
    )
    .rule(AtLeast(0))
    .cluster_wide(),
    int(
        "max.decompressed.message.bytes",
        "2147483639",
        Medium,
        Served,
        "Largest record, decompressed, that is accepted.",
    )
    .rule(Between(1, 2147483639))
    .cluster_wide(),
    int("message.max.bytes", "1048588", High, Served, "Largest batch that is accepted.")
        .rule(AtLeast(0))
        .cluster_wide(),
    int("num.partitions", "1", Medium, Served, "Partitions of a topic that is created without a number.")
        .rule(AtLeast(1)),
    int("num.recovery.threads.per.data.dir", "2", High, THREADS, "Threads that load and recover logs.")
        .rule(AtLeast(1))
        .cluster_wide(),
];
