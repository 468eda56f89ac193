//! What the rooms of the broker are told: the settings in types, in groups, with the rules that hold between keys. A key
//! that nothing here reads has no effect, and its table must say so: a test looks.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::Sources;
use super::listeners::{Endpoint, Listener, Listeners};
use super::problem::Problem;
use super::profile::Profile;
use super::settings::Settings;

#[derive(Clone, Debug)]
pub struct Config {
    pub profile: Profile,
    pub ephemeral: bool,
    pub node_id: i32,
    pub rack: Option<String>,
    /// Of a new cluster; `None` lets the node make one.
    pub cluster_id: Option<String>,
    /// At least one, no two alike.
    pub log_dirs: Vec<PathBuf>,
    /// At least one; those of the controller are left out.
    pub listeners: Vec<Listener>,
    pub advertised: Vec<Endpoint>,
    pub inter_broker_listener: String,
    pub http: Option<HttpListener>,
    pub network: NetworkConfig,
    pub topics: TopicDefaults,
    /// Defaults of topic configurations that somebody set for the broker, by the name and in the unit of the topic's.
    pub topic_configs: BTreeMap<String, String>,
    pub log: LogConfig,
    pub fetch: FetchConfig,
    pub groups: GroupConfig,
    pub offsets: OffsetsConfig,
    pub transactions: TransactionConfig,
    pub replication: ReplicationConfig,
    pub request_timeout: Duration,
    pub describe_topic_partitions_max: usize,
    /// `None`: the log engine's rule.
    pub memory_bytes: Option<u64>,
    pub settings: Settings,
    /// To be logged once, as warnings.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpListener {
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NetworkConfig {
    pub backlog: u32,
    /// New ones in a second.
    pub connection_creation_rate_max: u32,
    pub connections_max: usize,
    /// `None`: never.
    pub connections_max_idle: Option<Duration>,
    pub connections_max_per_ip: usize,
    /// Host or address, and its own limit.
    pub connections_max_per_ip_overrides: BTreeMap<String, usize>,
    /// `None` leaves it to the system.
    pub receive_buffer_bytes: Option<usize>,
    pub request_bytes_max: usize,
    /// Of all requests in memory; `None` leaves it to `memory_bytes`.
    pub requests_bytes_max: Option<u64>,
    pub send_buffer_bytes: Option<usize>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TopicDefaults {
    pub auto_create: bool,
    pub delete_enabled: bool,
    pub num_partitions: i32,
    pub replication_factor: i16,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogConfig {
    pub durability: Durability,
    pub retention_check_interval: Duration,
}

/// When acks=all is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    Flush,
    Relaxed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FetchConfig {
    pub response_bytes_max: usize,
    pub session_slots: usize,
}

/// Of the classic protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GroupConfig {
    pub initial_rebalance_delay: Duration,
    pub session_timeout_max: Duration,
    pub session_timeout_min: Duration,
    pub size_max: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OffsetsConfig {
    pub commit_timeout: Duration,
    pub metadata_bytes_max: usize,
    pub retention: Duration,
    pub retention_check_interval: Duration,
    pub topic_partitions: i32,
    pub topic_replication_factor: i16,
    pub topic_segment_bytes: u64,
}

/// Of idempotent producers; what transactions need comes with them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TransactionConfig {
    pub producer_id_expiration: Duration,
    pub producer_id_expiration_check_interval: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReplicationConfig {
    pub min_insync_replicas: i32,
}

/// A topic configuration and the keys that set its default, the strongest first, each with the factor that brings it
/// into the topic's unit (`ServerTopicConfigSynonyms`).
pub const TOPIC_SYNONYMS: &[(&str, &[(&str, i64)])] = &[
    ("cleanup.policy", &[("log.cleanup.policy", 1)]),
    ("compression.gzip.level", &[("compression.gzip.level", 1)]),
    ("compression.lz4.level", &[("compression.lz4.level", 1)]),
    ("compression.type", &[("compression.type", 1)]),
    ("compression.zstd.level", &[("compression.zstd.level", 1)]),
    ("delete.retention.ms", &[("log.cleaner.delete.retention.ms", 1)]),
    ("durability", &[("log.durability", 1)]),
    ("file.delete.delay.ms", &[("log.segment.delete.delay.ms", 1)]),
    ("flush.messages", &[("log.flush.interval.messages", 1)]),
    ("flush.ms", &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]),
    ("index.interval.bytes", &[("log.index.interval.bytes", 1)]),
    ("local.retention.bytes", &[("log.local.retention.bytes", 1)]),
    ("local.retention.ms", &[("log.local.retention.ms", 1)]),
    ("max.compaction.lag.ms", &[("log.cleaner.max.compaction.lag.ms", 1)]),
    ("max.decompressed.message.bytes", &[("max.decompressed.message.bytes", 1)]),
    ("max.message.bytes", &[("message.max.bytes", 1)]),
    ("message.timestamp.after.max.ms", &[("log.message.timestamp.after.max.ms", 1)]),
    ("message.timestamp.before.max.ms", &[("log.message.timestamp.before.max.ms", 1)]),
    ("message.timestamp.type", &[("log.message.timestamp.type", 1)]),
    ("min.cleanable.dirty.ratio", &[("log.cleaner.min.cleanable.ratio", 1)]),
    ("min.compaction.lag.ms", &[("log.cleaner.min.compaction.lag.ms", 1)]),
    ("min.insync.replicas", &[("min.insync.replicas", 1)]),
    ("preallocate", &[("log.preallocate", 1)]),
    ("remote.copy.lag.bytes", &[("log.remote.copy.lag.bytes", 1)]),
    ("remote.copy.lag.ms", &[("log.remote.copy.lag.ms", 1)]),
    ("retention.bytes", &[("log.retention.bytes", 1)]),
    (
        "retention.ms",
        &[("log.retention.ms", 1), ("log.retention.minutes", MINUTE_MS), ("log.retention.hours", HOUR_MS)],
    ),
    ("segment.bytes", &[("log.segment.bytes", 1)]),
    ("segment.index.bytes", &[("log.index.size.max.bytes", 1)]),
    ("segment.jitter.ms", &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)]),
    ("segment.ms", &[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)]),
    ("unclean.leader.election.enable", &[("unclean.leader.election.enable", 1)]),
];

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// Brings the settings into types, or says what does not fit together.
pub(super) fn config(sources: &Sources<'_>, settings: Settings) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let listeners = Listeners::of(&settings).map_err(|problem| problems.push(problem)).ok();
    let http = http(&settings).map_err(|problem| problems.push(problem)).ok();
    let overrides = per_ip_overrides(&settings).map_err(|problem| problems.push(problem)).ok();
    problems.extend(contradictions(&settings));
    let (Some(listeners), Some(http), Some(overrides), true) = (listeners, http, overrides, problems.is_empty()) else {
        return Err(problems);
    };
    let Listeners { listeners, advertised, inter_broker, mut notes } = listeners;
    notes.extend(cautions(&settings));

    let set = &settings;
    let number = |name| set.number(name);
    let ms = |name| Duration::from_millis(set.number(name).max(0) as u64);
    let size = |name| set.number(name).max(0) as usize;
    let limited = |name| u64::try_from(set.number(name)).ok();
    let buffer = |name| usize::try_from(set.number(name)).ok();
    Ok(Config {
        profile: sources.profile,
        ephemeral: sources.ephemeral,
        node_id: node_id(set),
        rack: set.text("broker.rack").filter(|rack| !rack.is_empty()).map(str::to_owned),
        cluster_id: set.text("ottla.cluster.id").filter(|id| !id.is_empty()).map(str::to_owned),
        log_dirs: log_dirs(set).into_iter().map(PathBuf::from).collect(),
        listeners,
        advertised,
        inter_broker_listener: inter_broker,
        http,
        network: NetworkConfig {
            backlog: number("socket.listen.backlog.size") as u32,
            connection_creation_rate_max: number("max.connection.creation.rate") as u32,
            connections_max: size("max.connections"),
            connections_max_idle: limited("connections.max.idle.ms").map(Duration::from_millis),
            connections_max_per_ip: size("max.connections.per.ip"),
            connections_max_per_ip_overrides: overrides,
            receive_buffer_bytes: buffer("socket.receive.buffer.bytes"),
            request_bytes_max: size("socket.request.max.bytes"),
            requests_bytes_max: limited("queued.max.request.bytes"),
            send_buffer_bytes: buffer("socket.send.buffer.bytes"),
        },
        topics: TopicDefaults {
            auto_create: set.boolean("auto.create.topics.enable"),
            delete_enabled: set.boolean("delete.topic.enable"),
            num_partitions: number("num.partitions") as i32,
            replication_factor: number("default.replication.factor") as i16,
        },
        topic_configs: topic_configs(set),
        log: LogConfig {
            durability: match set.text("log.durability") {
                Some("relaxed") => Durability::Relaxed,
                _ => Durability::Flush,
            },
            retention_check_interval: ms("log.retention.check.interval.ms"),
        },
        fetch: FetchConfig {
            response_bytes_max: size("fetch.max.bytes"),
            session_slots: size("max.incremental.fetch.session.cache.slots"),
        },
        groups: GroupConfig {
            initial_rebalance_delay: ms("group.initial.rebalance.delay.ms"),
            session_timeout_max: ms("group.max.session.timeout.ms"),
            session_timeout_min: ms("group.min.session.timeout.ms"),
            size_max: size("group.max.size"),
        },
        offsets: OffsetsConfig {
            commit_timeout: ms("offsets.commit.timeout.ms"),
            metadata_bytes_max: size("offset.metadata.max.bytes"),
            retention: Duration::from_secs(60) * number("offsets.retention.minutes") as u32,
            retention_check_interval: ms("offsets.retention.check.interval.ms"),
            topic_partitions: number("offsets.topic.num.partitions") as i32,
            topic_replication_factor: number("offsets.topic.replication.factor") as i16,
            topic_segment_bytes: number("offsets.topic.segment.bytes") as u64,
        },
        transactions: TransactionConfig {
            producer_id_expiration: ms("producer.id.expiration.ms"),
            producer_id_expiration_check_interval: ms("producer.id.expiration.check.interval.ms"),
        },
        replication: ReplicationConfig { min_insync_replicas: number("min.insync.replicas") as i32 },
        request_timeout: ms("request.timeout.ms"),
        describe_topic_partitions_max: size("max.request.partition.size.limit"),
        memory_bytes: limited("ottla.memory.bytes"),
        settings,
        notes,
    })
}

/// `node.id` counts; the old name where only that was written.
fn node_id(settings: &Settings) -> i32 {
    let old = settings.number("broker.id");
    match settings.is_written("node.id") || old < 0 {
        true => settings.number("node.id") as i32,
        false => old as i32,
    }
}

/// `log.dirs` counts; the old name where only that is set.
fn log_dirs(settings: &Settings) -> Vec<&str> {
    let old_only = settings.is_written("log.dir") && !settings.is_written("log.dirs");
    match settings.list("log.dirs") {
        dirs if dirs.is_empty() || old_only => settings.list("log.dir"),
        dirs => dirs,
    }
}

fn topic_configs(settings: &Settings) -> BTreeMap<String, String> {
    let mut configs = BTreeMap::new();
    for (topic_config, synonyms) in TOPIC_SYNONYMS {
        let Some((name, factor)) = synonyms.iter().find(|(name, _)| settings.is_written(name)) else { continue };
        let text = settings.text(name).unwrap_or_default();
        let value = match (*factor, settings.setting(name).key.kind) {
            (1, _) => text.to_owned(),
            // -1 hours of retention are no limit too.
            (factor, _) => match settings.number(name) {
                below if below < 0 => "-1".to_owned(),
                number => (number * factor).to_string(),
            },
        };
        configs.insert((*topic_config).to_owned(), value);
    }
    configs
}

fn http(settings: &Settings) -> Result<Option<HttpListener>, Problem> {
    let text = settings.text("ottla.http.listener").unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match parts {
        Some((host, port)) if !host.is_empty() => {
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            Ok(Some(HttpListener { host, port }))
        }
        _ => Err(Problem {
            subject: settings.subject("ottla.http.listener"),
            rule: "must be host:port".to_owned(),
            remedy: "write 127.0.0.1:9644, or nothing for no HTTP".to_owned(),
        }),
    }
}

fn per_ip_overrides(settings: &Settings) -> Result<BTreeMap<String, usize>, Problem> {
    let name = "max.connections.per.ip.overrides";
    let parse = |pair: &str| {
        let (host, number) = pair.rsplit_once(':')?;
        Some((host.trim().to_owned(), number.trim().parse().ok()?))
    };
    settings
        .list(name)
        .into_iter()
        .map(|pair| {
            parse(pair).ok_or_else(|| Problem {
                subject: settings.subject(name),
                rule: format!("must be pairs of host and number, and {pair} is none"),
                remedy: "write host:10".to_owned(),
            })
        })
        .collect()
}

/// What is right alone and wrong together, or wrong for what Ottla is.
fn contradictions(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut check = |holds: bool, name: &str, rule: &str, remedy: &str| {
        if !holds {
            let (rule, remedy) = (rule.to_owned(), remedy.to_owned());
            problems.push(Problem { subject: settings.subject(name), rule, remedy });
        }
    };
    let number = |name| settings.number(name);
    let both = settings.is_written("node.id") && number("broker.id") >= 0;
    check(
        !both || number("node.id") == number("broker.id"),
        "broker.id",
        "must be as node.id where both are set",
        "take broker.id out",
    );
    check(
        settings.list("process.roles").contains(&"broker"),
        "process.roles",
        "must contain broker: Ottla has no nodes that are a controller only",
        "write process.roles=broker,controller",
    );
    check(!log_dirs(settings).is_empty(), "log.dirs", "must name a directory", "write log.dirs=/var/lib/ottla");
    check(
        !settings.list("log.cleanup.policy").contains(&"compact"),
        "log.cleanup.policy",
        "must not contain compact, which is not served yet: your data would grow for ever",
        "write log.cleanup.policy=delete",
    );
    check(
        number("group.min.session.timeout.ms") <= number("group.max.session.timeout.ms"),
        "group.min.session.timeout.ms",
        "must not be above group.max.session.timeout.ms",
        "lower it",
    );
    for name in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
        // Kafka's rule: "log.retention.ms must be unlimited (-1) or, equal or greater than 1".
        let value = settings.optional_number(name).unwrap_or(1);
        check(value == -1 || value >= 1, name, "must be -1 (no limit) or at least 1", "write -1 to keep data for ever");
    }
    let roll = settings.optional_number("log.roll.ms").unwrap_or(1);
    check(roll >= 1, "log.roll.ms", "must be at least 1", "take it out");
    let codec = number("offsets.topic.compression.codec");
    check((0..=4).contains(&codec), "offsets.topic.compression.codec", "must be a codec, from 0 to 4", "take it out");
    let least = number("queued.max.request.bytes");
    check(
        least <= 0 || least >= number("socket.request.max.bytes"),
        "queued.max.request.bytes",
        "must not be below socket.request.max.bytes",
        "raise it, or write -1",
    );
    problems
}

/// What is right and will surprise.
fn cautions(settings: &Settings) -> Vec<String> {
    let mut notes = Vec::new();
    let factor = settings.number("offsets.topic.replication.factor");
    if factor > 1 {
        notes.push(format!(
            "offsets.topic.replication.factor is {factor} and there is one node: consumer groups will not work until it \
             is 1"
        ));
    }
    if let Some(dir) = log_dirs(settings).into_iter().find(|dir| *dir == "/tmp" || dir.starts_with("/tmp/")) {
        notes
            .push(format!("log.dirs is in {dir}: most machines empty /tmp when they start, and the data is gone then"));
    }
    if settings.text("log.durability") == Some("relaxed") {
        notes.push(
            "log.durability=relaxed: what was acknowledged in the last second can be lost with the power".to_owned(),
        );
    }
    notes
}
