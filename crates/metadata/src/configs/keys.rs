//! The table of topic configs, in the order in which Kafka looks at them.

/// One config of a topic.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    pub rule: Rule,
    /// The broker's keys that give it a value where the topic has none; an earlier one hides the later.
    pub synonyms: &'static [Synonym],
    pub documentation: &'static str,
}

/// Kafka's `ConfigDef.Type`, as far as topics have them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Boolean,
    Double,
    Int,
    List,
    Long,
    String,
}

impl Kind {
    /// In a DescribeConfigs answer (`DescribeConfigsResponse.ConfigType`).
    pub fn code(self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::String => 2,
            Kind::Int => 3,
            Kind::Long => 5,
            Kind::Double => 6,
            Kind::List => 7,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::Double => "DOUBLE",
            Kind::Int => "INT",
            Kind::List => "LIST",
            Kind::Long => "LONG",
            Kind::String => "STRING",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// 1 to 9, or -1 for the codec's own choice.
    GzipLevel,
    OneOf(&'static [&'static str]),
    /// From 0 to 1.
    Ratio,
    /// Any of these, each once, or none.
    SomeOf(&'static [&'static str]),
    /// `*`, or partition:broker pairs.
    ThrottledReplicas,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Synonym {
    pub name: &'static str,
    pub unit: Unit,
}

/// What one of the broker's key is, in units of the topic's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    Hours,
    Minutes,
    Same,
}

const fn same(name: &'static str) -> Synonym {
    Synonym { name, unit: Unit::Same }
}

const fn minutes(name: &'static str) -> Synonym {
    Synonym { name, unit: Unit::Minutes }
}

const fn hours(name: &'static str) -> Synonym {
    Synonym { name, unit: Unit::Hours }
}

pub fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().chain([&SEGMENT_BYTES_OF_TESTS]).find(|key| key.name == name)
}

/// It has no default, so that it is there only where a topic sets it; then it counts instead of segment.bytes.
pub static SEGMENT_BYTES_OF_TESTS: Key = Key {
    name: "internal.segment.bytes",
    kind: Kind::Int,
    default: "",
    rule: Rule::Any,
    synonyms: &[],
    documentation: "segment.bytes without its least value, for tests.",
};

pub static KEYS: &[Key] = &[
    Key {
        name: "segment.bytes",
        kind: Kind::Int,
        default: "1073741824",
        rule: Rule::AtLeast(1024 * 1024),
        synonyms: &[same("log.segment.bytes")],
        documentation: "A partition's log is kept in files of this size. Old records are removed a file at a time, so \
                        smaller files follow retention more closely and larger ones are fewer.",
    },
    Key {
        name: "segment.ms",
        kind: Kind::Long,
        default: "604800000",
        rule: Rule::AtLeast(1),
        synonyms: &[same("log.roll.ms"), hours("log.roll.hours")],
        documentation: "After this time a new file is begun even if the current one is not full, so that its records \
                        can be removed or compacted.",
    },
    Key {
        name: "segment.jitter.ms",
        kind: Kind::Long,
        default: "0",
        rule: Rule::AtLeast(0),
        synonyms: &[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")],
        documentation: "The most by which segment.ms is shortened at random, so that many partitions do not begin a \
                        new file at once.",
    },
    Key {
        name: "segment.index.bytes",
        kind: Kind::Int,
        default: "10485760",
        rule: Rule::AtLeast(4),
        synonyms: &[same("log.index.size.max.bytes")],
        documentation: "The size at which the offset index of a file is full; a new file is begun then.",
    },
    Key {
        name: "flush.messages",
        kind: Kind::Long,
        default: "9223372036854775807",
        rule: Rule::AtLeast(1),
        synonyms: &[same("log.flush.interval.messages")],
        documentation: "After how many records Kafka forces the log to disk. Here every record is forced to disk right \
                        after it is written; with durability=flush it is acknowledged after that.",
    },
    Key {
        name: "flush.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        rule: Rule::AtLeast(0),
        synonyms: &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
        documentation: "After what time Kafka forces the log to disk. Here every record is forced to disk right after \
                        it is written; with durability=flush it is acknowledged after that.",
    },
    Key {
        name: "retention.bytes",
        kind: Kind::Long,
        default: "-1",
        rule: Rule::Any,
        synonyms: &[same("log.retention.bytes")],
        documentation: "How large a partition's log may grow before its oldest files are removed, if cleanup.policy \
                        has delete. -1 is no limit. It holds for each partition alone.",
    },
    Key {
        name: "retention.ms",
        kind: Kind::Long,
        default: "604800000",
        rule: Rule::AtLeast(-1),
        synonyms: &[same("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")],
        documentation: "How long records are kept, by their timestamps, before the oldest files are removed, if \
                        cleanup.policy has delete. -1 is for ever.",
    },
    Key {
        name: "max.message.bytes",
        kind: Kind::Int,
        default: "1048588",
        rule: Rule::AtLeast(0),
        synonyms: &[same("message.max.bytes")],
        documentation: "The largest batch of records that is accepted, as it comes, compressed.",
    },
    Key {
        name: "max.decompressed.message.bytes",
        kind: Kind::Int,
        default: "2147483639",
        rule: Rule::Between(1, 2147483639),
        synonyms: &[same("max.decompressed.message.bytes")],
        documentation: "The largest single record that is accepted, measured decompressed, wherever the broker \
                        decompresses records. max.message.bytes bounds the compressed batch instead.",
    },
    Key {
        name: "index.interval.bytes",
        kind: Kind::Int,
        default: "4096",
        rule: Rule::AtLeast(0),
        synonyms: &[same("log.index.interval.bytes")],
        documentation: "How many bytes of the log lie between two entries of its offset index. Fewer make lookups \
                        more exact and the index larger.",
    },
    Key {
        name: "delete.retention.ms",
        kind: Kind::Long,
        default: "86400000",
        rule: Rule::AtLeast(0),
        synonyms: &[same("log.cleaner.delete.retention.ms")],
        documentation: "How long a compacted log keeps the records that delete a key. A reader from the beginning \
                        must be done within this time to see every deletion.",
    },
    Key {
        name: "min.compaction.lag.ms",
        kind: Kind::Long,
        default: "0",
        rule: Rule::AtLeast(0),
        synonyms: &[same("log.cleaner.min.compaction.lag.ms")],
        documentation: "How long a record stays uncompacted at least.",
    },
    Key {
        name: "max.compaction.lag.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        rule: Rule::AtLeast(1),
        synonyms: &[same("log.cleaner.max.compaction.lag.ms")],
        documentation: "How long a record may stay uncompacted at most, whatever min.cleanable.dirty.ratio says. A \
                        compacted log begins a new file after this time if segment.ms is longer.",
    },
    Key {
        name: "file.delete.delay.ms",
        kind: Kind::Long,
        default: "60000",
        rule: Rule::AtLeast(0),
        synonyms: &[same("log.segment.delete.delay.ms")],
        documentation: "How long a file stays on disk after it has been removed from its log.",
    },
    Key {
        name: "min.cleanable.dirty.ratio",
        kind: Kind::Double,
        default: "0.5",
        rule: Rule::Ratio,
        synonyms: &[same("log.cleaner.min.cleanable.ratio")],
        documentation: "A log is compacted when this share of it is not compacted yet. More means less work and more \
                        space for superseded records.",
    },
    Key {
        name: "cleanup.policy",
        kind: Kind::List,
        default: "delete",
        rule: Rule::SomeOf(&["compact", "delete"]),
        synonyms: &[same("log.cleanup.policy")],
        documentation: "What happens to old records: delete removes the oldest files by retention.ms and \
                        retention.bytes, compact keeps the last record of each key; both may be given. Empty keeps \
                        everything.",
    },
    Key {
        name: "unclean.leader.election.enable",
        kind: Kind::Boolean,
        default: "false",
        rule: Rule::Any,
        synonyms: &[same("unclean.leader.election.enable")],
        documentation: "Whether a replica that is not in sync may become the leader if nobody else can, which may \
                        lose acknowledged records.",
    },
    Key {
        name: "min.insync.replicas",
        kind: Kind::Int,
        default: "1",
        rule: Rule::AtLeast(1),
        synonyms: &[same("min.insync.replicas")],
        documentation: "How many replicas, the leader among them, must be in sync for a write with acks=all to \
                        succeed. Records become visible to consumers only while as many are.",
    },
    Key {
        name: "compression.type",
        kind: Kind::String,
        default: "producer",
        rule: Rule::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        synonyms: &[same("compression.type")],
        documentation: "How batches are compressed in the log. producer keeps what the producer chose.",
    },
    Key {
        name: "compression.gzip.level",
        kind: Kind::Int,
        default: "-1",
        rule: Rule::GzipLevel,
        synonyms: &[same("compression.gzip.level")],
        documentation: "The level for compression.type=gzip.",
    },
    Key {
        name: "compression.lz4.level",
        kind: Kind::Int,
        default: "9",
        rule: Rule::Between(1, 17),
        synonyms: &[same("compression.lz4.level")],
        documentation: "The level for compression.type=lz4.",
    },
    Key {
        name: "compression.zstd.level",
        kind: Kind::Int,
        default: "3",
        rule: Rule::Between(-131072, 22),
        synonyms: &[same("compression.zstd.level")],
        documentation: "The level for compression.type=zstd.",
    },
    Key {
        name: "preallocate",
        kind: Kind::Boolean,
        default: "false",
        rule: Rule::Any,
        synonyms: &[same("log.preallocate")],
        documentation: "Whether the space of a new file is reserved when it is begun.",
    },
    Key {
        name: "message.timestamp.type",
        kind: Kind::String,
        default: "CreateTime",
        rule: Rule::OneOf(&["CreateTime", "LogAppendTime"]),
        synonyms: &[same("log.message.timestamp.type")],
        documentation: "Whether a record keeps the time that its producer gave it or gets that of its append.",
    },
    Key {
        name: "message.timestamp.before.max.ms",
        kind: Kind::Long,
        default: "9223372036854775807",
        rule: Rule::AtLeast(0),
        synonyms: &[same("log.message.timestamp.before.max.ms")],
        documentation: "How far a record's timestamp may lie before the broker's time; a record further back is \
                        refused. Not looked at with message.timestamp.type=LogAppendTime.",
    },
    Key {
        name: "message.timestamp.after.max.ms",
        kind: Kind::Long,
        default: "3600000",
        rule: Rule::AtLeast(0),
        synonyms: &[same("log.message.timestamp.after.max.ms")],
        documentation: "How far a record's timestamp may lie after the broker's time; a record further ahead is \
                        refused. Not looked at with message.timestamp.type=LogAppendTime.",
    },
    Key {
        name: "leader.replication.throttled.replicas",
        kind: Kind::List,
        default: "",
        rule: Rule::ThrottledReplicas,
        synonyms: &[],
        documentation: "The replicas whose leaders send at the throttled rate, as partition:broker pairs, or * for \
                        all.",
    },
    Key {
        name: "follower.replication.throttled.replicas",
        kind: Kind::List,
        default: "",
        rule: Rule::ThrottledReplicas,
        synonyms: &[],
        documentation: "The replicas that fetch at the throttled rate, as partition:broker pairs, or * for all.",
    },
    Key {
        name: "remote.storage.enable",
        kind: Kind::Boolean,
        default: "false",
        rule: Rule::Any,
        synonyms: &[],
        documentation: "Whether older files are moved to remote storage. This broker has none.",
    },
    Key {
        name: "local.retention.ms",
        kind: Kind::Long,
        default: "-2",
        rule: Rule::AtLeast(-2),
        synonyms: &[same("log.local.retention.ms")],
        documentation: "With remote storage: how long files stay on the local disk. -2 is the value of retention.ms.",
    },
    Key {
        name: "local.retention.bytes",
        kind: Kind::Long,
        default: "-2",
        rule: Rule::AtLeast(-2),
        synonyms: &[same("log.local.retention.bytes")],
        documentation: "With remote storage: how much of a partition stays on the local disk. -2 is the value of \
                        retention.bytes.",
    },
    Key {
        name: "remote.log.copy.disable",
        kind: Kind::Boolean,
        default: "false",
        rule: Rule::Any,
        synonyms: &[],
        documentation: "With remote storage: whether nothing more is moved there.",
    },
    Key {
        name: "remote.copy.lag.ms",
        kind: Kind::Long,
        default: "0",
        rule: Rule::AtLeast(-1),
        synonyms: &[same("log.remote.copy.lag.ms")],
        documentation: "With remote storage: how old a file must be before it is moved there. -1 derives it from \
                        local.retention.ms.",
    },
    Key {
        name: "remote.copy.lag.bytes",
        kind: Kind::Long,
        default: "-1",
        rule: Rule::AtLeast(-1),
        synonyms: &[same("log.remote.copy.lag.bytes")],
        documentation: "With remote storage: how much newer data must lie behind a file before it is moved there. -1 \
                        derives it from local.retention.bytes.",
    },
    Key {
        name: "remote.log.delete.on.disable",
        kind: Kind::Boolean,
        default: "false",
        rule: Rule::Any,
        synonyms: &[],
        documentation: "With remote storage: whether what is there is removed when remote.storage.enable is taken \
                        back.",
    },
    Key {
        name: "errors.deadletterqueue.group.enable",
        kind: Kind::Boolean,
        default: "false",
        rule: Rule::Any,
        synonyms: &[],
        documentation: "Whether share groups may write records that nobody could process to this topic.",
    },
    Key {
        name: "durability",
        kind: Kind::String,
        default: "flush",
        rule: Rule::OneOf(&["flush", "relaxed"]),
        synonyms: &[same("log.durability")],
        documentation: "Ottla's own. flush: a record is on disk, on every replica that counts, before it is \
                        acknowledged. relaxed: it may be lost with the power within a stated window, as in Kafka.",
    },
];
