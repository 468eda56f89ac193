//! What the rooms of the broker are told: the settings in types, in groups, with the rules that hold between keys. A key
//! that nothing here reads has no effect, and its table must say so: a test looks.
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Sources;
use super::keys;
use super::listeners::{Endpoint, Listener, Listeners};
use super::per_ip::per_ip_overrides;
use super::problem::Problem;
use super::profile::Profile;
use super::settings::Settings;
use crate::metrics::{Detail, Vocabulary, Wanted};

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
    /// `metadata.log.dir`; `None`: in the first of `log_dirs`.
    pub metadata_log_dir: Option<PathBuf>,
    /// `log.dir.failure.timeout.ms`
    pub log_dir_failure_timeout: Duration,
    /// At least one; those of the controller are left out.
    pub listeners: Vec<Listener>,
    pub advertised: Vec<Endpoint>,
    pub inter_broker_listener: String,
    pub http: Option<HttpListener>,
    pub network: NetworkConfig,
    pub topics: TopicDefaults,
    pub log: LogConfig,
    pub fetch: FetchConfig,
    pub groups: GroupConfig,
    pub offsets: OffsetsConfig,
    pub quotas: QuotaConfig,
    pub metrics: Wanted,
    pub describe_topic_partitions_max: usize,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration: Duration,
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
    /// `None`: never.
    pub connections_max_idle: Option<Duration>,
    /// As written; where nobody wrote it, the system sizes them, which Kafka's default keeps it from.
    pub receive_buffer_bytes: Option<usize>,
    pub request_bytes_max: usize,
    pub send_buffer_bytes: Option<usize>,
    /// Of all requests in memory; `None` leaves it to `memory_bytes`.
    pub requests_bytes_max: Option<u64>,
    /// Of the metrics that a client pushes at a time.
    pub telemetry_bytes_max: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TopicDefaults {
    pub auto_create: bool,
    pub delete_enabled: bool,
    pub num_partitions: i32,
    pub replication_factor: i16,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogConfig {
    pub durability: Durability,
    pub retention_check_interval: Duration,
    pub cleaner: CleanerConfig,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerConfig {
    pub is_enabled: bool,
    pub backoff: Duration,
    pub key_bytes_max: usize,
    pub bytes_per_second_max: f64,
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

/// Windows in which uses are counted, and how long one is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QuotaConfig {
    pub windows: u32,
    pub window: Duration,
    pub mutation_windows: u32,
    pub mutation_window: Duration,
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

/// Brings the settings into types, or says what does not fit together.
pub(super) fn config(sources: &Sources<'_>, settings: Settings) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let listeners = Listeners::of(&settings).map_err(|problem| problems.push(problem)).ok();
    let http = http(&settings).map_err(|problem| problems.push(problem)).ok();
    problems.extend(contradictions(&settings));
    let (Some(listeners), Some(http), true) = (listeners, http, problems.is_empty()) else {
        return Err(problems);
    };
    let Listeners { listeners, advertised, inter_broker, mut notes } = listeners;
    notes.extend(cautions(&settings));
    notes.extend(strange_listeners(&settings, &listeners));

    let set = &settings;
    let number = |name| set.number(name);
    let ms = |name| Duration::from_millis(set.number(name).max(0) as u64);
    let size = |name| set.number(name).max(0) as usize;
    let limited = |name| u64::try_from(set.number(name)).ok();
    let buffer = |name| usize::try_from(set.number(name)).ok().filter(|_| set.is_written(name));
    Ok(Config {
        profile: sources.profile,
        ephemeral: sources.ephemeral,
        node_id: node_id(set),
        rack: set.text("broker.rack").filter(|rack| !rack.is_empty()).map(str::to_owned),
        cluster_id: set.text("ottla.cluster.id").filter(|id| !id.is_empty()).map(str::to_owned),
        log_dirs: once_each(log_dirs(set)).into_iter().map(PathBuf::from).collect(),
        metadata_log_dir: set.text("metadata.log.dir").filter(|path| !path.is_empty()).map(PathBuf::from),
        log_dir_failure_timeout: ms("log.dir.failure.timeout.ms"),
        listeners,
        advertised,
        inter_broker_listener: inter_broker,
        http,
        network: NetworkConfig {
            backlog: number("socket.listen.backlog.size") as u32,
            connections_max_idle: limited("connections.max.idle.ms").map(Duration::from_millis),
            receive_buffer_bytes: buffer("socket.receive.buffer.bytes"),
            request_bytes_max: size("socket.request.max.bytes"),
            send_buffer_bytes: buffer("socket.send.buffer.bytes"),
            requests_bytes_max: limited("queued.max.request.bytes"),
            telemetry_bytes_max: size("telemetry.max.bytes"),
        },
        topics: TopicDefaults {
            auto_create: set.boolean("auto.create.topics.enable"),
            delete_enabled: set.boolean("delete.topic.enable"),
            num_partitions: number("num.partitions") as i32,
            replication_factor: number("default.replication.factor") as i16,
        },
        log: LogConfig {
            durability: match set.text("log.durability") {
                Some("relaxed") => Durability::Relaxed,
                _ => Durability::Flush,
            },
            retention_check_interval: ms("log.retention.check.interval.ms"),
            cleaner: CleanerConfig {
                is_enabled: settings.boolean("log.cleaner.enable"),
                backoff: ms("log.cleaner.backoff.ms"),
                key_bytes_max: size("log.cleaner.dedupe.buffer.size"),
                bytes_per_second_max: settings.double("log.cleaner.io.max.bytes.per.second"),
            },
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
        producer_id_expiration: ms("producer.id.expiration.ms"),
        quotas: QuotaConfig {
            windows: number("quota.window.num") as u32,
            window: Duration::from_secs(number("quota.window.size.seconds") as u64),
            mutation_windows: number("controller.quota.window.num") as u32,
            mutation_window: Duration::from_secs(number("controller.quota.window.size.seconds") as u64),
        },
        metrics: Wanted {
            vocabularies: set.list("ottla.metrics.dialects").into_iter().filter_map(Vocabulary::named).collect(),
            detail: set.text("ottla.metrics.detail").and_then(Detail::named).unwrap_or(Detail::Auto),
            shown_max: size("ottla.metrics.shown.max"),
        },
        describe_topic_partitions_max: size("max.request.partition.size.limit"),
        memory_bytes: limited("ottla.memory.bytes"),
        settings,
        notes,
    })
}

/// Limits of listeners that there are not.
fn strange_listeners(settings: &Settings, listeners: &[Listener]) -> Vec<String> {
    let is_there = |name: &str| {
        let listener = keys::of_listener(name).map(|(listener, _)| listener);
        listeners.iter().any(|known| Some(known.name.to_lowercase().as_str()) == listener)
    };
    let strange = settings.of_listeners().filter(|(name, ..)| !is_there(name));
    strange
        .map(|(name, _, source)| format!("{}: {name} has no effect: there is no such listener", settings.place(source)))
        .collect()
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

/// Kafka takes out what a list has twice, with a warning.
fn once_each(dirs: Vec<&str>) -> Vec<&str> {
    let is_first = |(index, dir): &(usize, &&str)| !dirs[..*index].contains(*dir);
    dirs.iter().enumerate().filter(is_first).map(|(_, dir)| *dir).collect()
}

/// One of the directories, and another one within it.
fn nested<'s>(dirs: &[&'s str]) -> Option<(&'s str, &'s str)> {
    let is_within = |inner: &str, outer: &str| inner != outer && Path::new(inner).starts_with(outer);
    dirs.iter().find_map(|outer| dirs.iter().find(|inner| is_within(inner, outer)).map(|inner| (*outer, *inner)))
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
    if let Some((outer, inner)) = nested(&log_dirs(settings)) {
        let rule = format!("must not name {inner}, which is within {outer}");
        check(false, "log.dirs", &rule, "give each log directory a place of its own");
    }
    let cordoned = settings.list("cordoned.log.dirs");
    let strange = cordoned.iter().find(|path| **path != "*" && !log_dirs(settings).contains(*path));
    if let Some(strange) = strange {
        let rule = format!("must name log directories, and {strange} is none of log.dirs");
        check(false, "cordoned.log.dirs", &rule, "write it as in log.dirs, or take it out");
    }
    check(
        !cordoned.contains(&"*") || cordoned.len() == 1,
        "cordoned.log.dirs",
        "must be * alone, or name log directories",
        "write * for all of them",
    );
    for name in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
        // Kafka's rule: "log.retention.ms must be unlimited (-1) or, equal or greater than 1".
        let value = settings.optional_number(name).unwrap_or(1);
        check(value == -1 || value >= 1, name, "must be -1 (no limit) or at least 1", "write -1 to keep data for ever");
    }
    let factor = number("default.replication.factor");
    check(factor <= i64::from(i16::MAX), "default.replication.factor", "must be at most 32767", "write 1");
    let idle = number("connections.max.idle.ms");
    check(
        idle < 0 || idle > number("connection.failed.authentication.delay.ms"),
        "connections.max.idle.ms",
        "must be above connection.failed.authentication.delay.ms",
        "raise it, or write -1 for no limit",
    );
    check(
        number("max.connections.per.ip") > 0 || settings.is_written("max.connections.per.ip.overrides"),
        "max.connections.per.ip",
        "must not be 0 without max.connections.per.ip.overrides: nobody could connect",
        "raise it",
    );
    check(
        per_ip_overrides(settings.text("max.connections.per.ip.overrides").unwrap_or_default()).is_some(),
        "max.connections.per.ip.overrides",
        "must be host:number, separated by commas",
        "write it so, or take it out",
    );
    let jitter = settings.optional_number("log.roll.jitter.ms").unwrap_or(0);
    check(jitter >= 0, "log.roll.jitter.ms", "must be at least 0", "take it out");
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
    let dirs = log_dirs(settings);
    if once_each(dirs.clone()).len() < dirs.len() {
        notes.push("log.dirs names a directory more than once; it is taken once".to_owned());
    }
    if let Some(dir) = dirs.into_iter().find(|dir| *dir == "/tmp" || dir.starts_with("/tmp/")) {
        notes
            .push(format!("log.dirs is in {dir}: most machines empty /tmp when they start, and the data is gone then"));
    }
    if settings.number("group.min.session.timeout.ms") > settings.number("group.max.session.timeout.ms") {
        let both = "group.min.session.timeout.ms is above group.max.session.timeout.ms";
        notes.push(format!("{both}: no consumer can join a group"));
    }
    if settings.text("log.durability") == Some("relaxed") {
        notes.push(
            "log.durability=relaxed: what was acknowledged in the last moments can be lost with the power".to_owned(),
        );
    }
    notes
}
