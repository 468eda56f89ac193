//! What `/metrics` says of a broker with traffic: each query of public dashboards, and of our own, finds a series with a
//! sane value; every metric is in the documentation, and every documented one is there.
mod exposition;
mod selectors;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use protocol::fetch_request::{FetchPartition, FetchTopic};
use protocol::find_coordinator_request::FindCoordinatorRequest;
use protocol::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::metadata_request::MetadataRequest;
use protocol::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::{ErrorCode, Records};
use record::{BatchBuilder, Compression, Timestamp};

use crate::broker::{Broker, Home, Signal, address_after, http, http_accepting};
use crate::wire::{Wire, fetch};
use exposition::{Scraped, read};

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
const DASHBOARDS: &str = include_str!("dashboards.txt");
/// A name that must be escaped nowhere, and one with all that a topic may have.
const TOPICS: [&str; 2] = ["letters", "parcels.of_the-day"];
const GROUP: &str = "readers \"of\\letters";
const COMMITTED: i64 = 3;

struct Watched {
    broker: Broker,
    http: SocketAddr,
}

impl Watched {
    fn start(home: &Home, more: &[&str]) -> Watched {
        let mut arguments = vec!["--override", "listeners=PLAINTEXT://127.0.0.1:0"];
        arguments.extend(["--override", "ottla.http.listener=127.0.0.1:0"]);
        arguments.extend(["--override", "offsets.topic.num.partitions=3"]);
        arguments.extend(["--override", "group.initial.rebalance.delay.ms=0"]);
        arguments.extend(more.iter().flat_map(|setting| ["--override", setting]));
        let broker = Broker::start_with(home, &arguments);
        let http = address_after(&broker.err.wait_for("/health/ready"), "metrics on http://");
        Watched { broker, http }
    }

    fn scrape(&self, path: &str) -> Scraped {
        let (status, text) = http(self.http, path);
        assert_eq!(status, 200, "{path}: {text}");
        read(&text, false)
    }
}

fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

fn batch(times: &[i64]) -> Option<Records> {
    let mut batch = BatchBuilder::new(Compression::None);
    times.iter().for_each(|time| {
        batch.append(Timestamp(*time), None, Some(b"hello"));
    });
    Some(Records::Here(batch.build().into()))
}

fn produce(wire: &mut Wire, topic: &str, records: Option<Records>) -> ErrorCode {
    let partition_data = vec![PartitionProduceData { records, ..Default::default() }];
    let topic_data = vec![TopicProduceData { name: topic.to_owned(), partition_data, ..Default::default() }];
    let request = ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data, ..Default::default() };
    let response = wire.ask(&request, 9).unwrap();
    ErrorCode::from_code(response.responses[0].partition_responses[0].error_code).unwrap()
}

fn create_topics(wire: &mut Wire, topics: &[(&str, i32)]) {
    let topics = topics.iter().map(|(name, partitions)| CreatableTopic {
        name: (*name).to_owned(),
        num_partitions: *partitions,
        replication_factor: 1,
        ..Default::default()
    });
    let request = CreateTopicsRequest { topics: topics.collect(), timeout_ms: 60_000, ..Default::default() };
    assert!(wire.ask(&request, 7).unwrap().topics.iter().all(|topic| topic.error_code == 0));
}

/// Topics with records, a group that is behind and one that has a member.
fn make_traffic(wire: &mut Wire) {
    create_topics(wire, &TOPICS.map(|topic| (topic, 2)));
    let minute_ago = now_ms() - 60_000;
    for topic in TOPICS {
        // Ten records, a second apart.
        let times: Vec<i64> = (0..10).map(|record| minute_ago + record * 1000).collect();
        assert_eq!(produce(wire, topic, batch(&times)), ErrorCode::None);
        let mut asked = fetch(0, 0);
        let partition = FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() };
        asked.topics = vec![FetchTopic { topic: topic.to_owned(), partitions: vec![partition], ..Default::default() }];
        assert_eq!(wire.ask(&asked, 12).unwrap().responses[0].partitions[0].error_code, 0);
    }
    // An offset from the middle of nowhere: a record that cannot be right.
    let Some(Records::Here(bytes)) = batch(&[1, 2]) else { unreachable!() };
    let mut wrong = bytes.to_vec();
    wrong[23..27].copy_from_slice(&7_i32.to_be_bytes()); // More offsets than records.
    let crc = crc32c_of(&wrong[21..]);
    wrong[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(produce(wire, TOPICS[0], Some(Records::Here(wrong.into()))), ErrorCode::InvalidRecord);
    wire.ask(&MetadataRequest { topics: None, ..Default::default() }, 9).unwrap();
    commit(wire);
    join(wire);
}

/// Castagnoli, bit by bit.
fn crc32c_of(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg()))
    })
}

/// Until the coordinator is there.
fn patiently(mut ask: impl FnMut() -> i16) {
    for _ in 0..2000 {
        match ErrorCode::from_code(ask()).unwrap() {
            ErrorCode::None => return,
            ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator => {
                std::thread::sleep(std::time::Duration::from_millis(5))
            }
            error => panic!("{error}"),
        }
    }
    panic!("there is no coordinator");
}

fn commit(wire: &mut Wire) {
    let coordinator = FindCoordinatorRequest { key: GROUP.to_owned(), ..Default::default() };
    patiently(|| wire.ask(&coordinator, 2).unwrap().error_code);
    let partitions = vec![OffsetCommitRequestPartition {
        committed_offset: COMMITTED,
        committed_leader_epoch: -1,
        ..Default::default()
    }];
    let topics = TOPICS.map(|topic| OffsetCommitRequestTopic {
        name: topic.to_owned(),
        partitions: partitions.clone(),
        ..Default::default()
    });
    let request = OffsetCommitRequest {
        group_id: GROUP.to_owned(),
        generation_id_or_member_epoch: -1,
        topics: topics.to_vec(),
        ..Default::default()
    };
    patiently(|| wire.ask(&request, 8).unwrap().topics[0].partitions[0].error_code);
}

/// A group with one member, which waits for its assignment from then on.
fn join(wire: &mut Wire) {
    let mut request = JoinGroupRequest {
        group_id: "writers".to_owned(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".to_owned(), ..Default::default() }],
        ..Default::default()
    };
    patiently(|| wire.ask(&request, 3).unwrap().error_code);
    request.group_id.clear();
}

#[test]
fn dashboards_for_kafka_find_what_they_ask_for() {
    let home = Home::new("dashboards");
    let watched = Watched::start(&home, &[]);
    let mut wire = Wire::connect(watched.broker.address);
    make_traffic(&mut wire);
    let mut scraped: Option<Scraped> = None;
    let (mut dashboard, mut queries, mut wrong) = ("", 0, Vec::new());
    for line in DASHBOARDS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some((name, path)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            dashboard = name;
            scraped = Some(watched.scrape(path.trim()));
            continue;
        }
        let (expected, query) = line.split_once(' ').unwrap();
        queries += 1;
        let answer = check(scraped.as_ref().expect("a dashboard comes first"), expected, query.trim());
        wrong.extend(answer.err().map(|why| format!("{dashboard}: {why}: {line}")));
    }
    assert!(queries > 80, "{queries}");
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), http(watched.http, "/metrics").1);
    watched.broker.stop(Signal::TERM);
}

/// Whether each metric of a query has series, with the labels that it groups by.
fn check(scraped: &Scraped, expected: &str, query: &str) -> Result<(), String> {
    for selector in selectors::selectors(query) {
        let series = selector.series(scraped);
        if series.is_empty() {
            return Err(format!("{} has no such series", selector.name));
        }
        for label in selectors::groupings(query) {
            // Bounds are those of a histogram; everything else is a label of ours.
            if !series.iter().all(|sample| sample.labels.contains_key(&label)) {
                return Err(format!("{} has no label {label}", selector.name));
            }
        }
        let (most, least) = series
            .iter()
            .fold((f64::MIN, f64::MAX), |(most, least), sample| (sample.value.max(most), sample.value.min(least)));
        let is_right = match expected {
            "positive" => most > 0.0 && least >= 0.0,
            "zero" => most == 0.0 && least == 0.0,
            "any" => least.is_finite(),
            other => panic!("{other} is no expectation"),
        };
        if !is_right {
            return Err(format!("{} is from {least} to {most}", selector.name));
        }
    }
    Ok(())
}

#[test]
fn our_own_dashboard_and_alerts_find_what_they_ask_for() {
    let home = Home::new("own-dashboard");
    let watched = Watched::start(&home, &[]);
    let mut wire = Wire::connect(watched.broker.address);
    make_traffic(&mut wire);
    let scraped = watched.scrape("/metrics");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring");
    let dashboard: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("dashboard.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let of_panels = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let mut queries: Vec<String> =
        of_panels.map(|target| target["expr"].as_str().expect("a panel's query").to_owned()).collect();
    let in_dashboard = queries.len();
    let alerts = std::fs::read_to_string(folder.join("alerts.yml")).unwrap();
    queries.extend(alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned));
    assert!(in_dashboard > 20 && queries.len() > in_dashboard + 10, "{queries:?}");
    let wrong: Vec<String> = queries
        .iter()
        .filter_map(|query| check(&scraped, "any", query).err().map(|why| format!("{why}: {query}")))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let alerts = alerts.lines().filter(|line| line.trim_start().starts_with("- alert: ")).count();
    assert_eq!(queries.len() - in_dashboard, alerts, "an alert without a query on one line");
    watched.broker.stop(Signal::TERM);
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_there() {
    let home = Home::new("documented");
    let watched = Watched::start(&home, &[]);
    let mut wire = Wire::connect(watched.broker.address);
    make_traffic(&mut wire);
    let all = "/metrics?dialect=kafka-exporter,kafka-lag-exporter,strimzi&dialect=confluent&detail=partition";
    let scraped = watched.scrape(all);
    let openmetrics = http_accepting(watched.http, all, OPENMETRICS);
    assert!(openmetrics.head.contains("application/openmetrics-text; version=1.0.0"), "{}", openmetrics.head);
    let same = read(&openmetrics.body, true);
    let series = |scraped: &Scraped| -> BTreeSet<_> {
        scraped.samples().map(|sample| (sample.name.clone(), sample.labels.clone())).collect()
    };
    assert_eq!(series(&scraped), series(&same), "both formats have the same series");

    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, tables) = page.split_once("## Every metric").unwrap();
    let mut documented = BTreeSet::new();
    for row in tables.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let names: Vec<&str> = cells[1].split('`').skip(1).step_by(2).collect();
        let labels: BTreeSet<&str> = cells[5].split('`').skip(1).step_by(2).collect();
        for name in names {
            documented.insert(name.to_owned());
            let family = scraped.families.get(name).unwrap_or_else(|| panic!("{name} is not there"));
            assert_eq!(family.kind, cells[3], "{name}");
            for sample in &family.samples {
                let known = |label: &&String| labels.contains(&***label) || ["le", "quantile"].contains(&&***label);
                assert!(sample.labels.keys().all(|label| known(&label)), "{name}: {sample:?}");
            }
        }
    }
    assert_eq!(documented, scraped.families.keys().cloned().collect());
    scraped
        .families
        .iter()
        .filter(|(name, _)| name.starts_with("ottla_"))
        .for_each(|(name, family)| lint(name, family));
    watched.broker.stop(Signal::TERM);
}

/// The rules of `promtool check metrics`, for names that are ours to choose.
fn lint(name: &str, family: &exposition::Family) {
    assert_eq!(family.kind == "counter", name.ends_with("_total"), "{name}: a counter is a total, and nothing else is");
    let words: Vec<&str> = name.split('_').collect();
    for not_base in ["ms", "millis", "milliseconds", "micros", "minutes", "kilobytes", "mib", "percent"] {
        assert!(!words.contains(&not_base), "{name}: seconds, bytes, ratios");
    }
    for kind in ["gauge", "counter", "histogram", "summary", "count", "sum", "bucket"] {
        assert!(!words.contains(&kind), "{name}: its type is no part of its name");
    }
    assert!(family.kind != "histogram" || name.ends_with("_seconds"), "{name}: a histogram tells its unit");
    let labels = family.samples.iter().flat_map(|sample| sample.labels.keys());
    for label in labels {
        assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}: {label}");
    }
}

#[test]
fn numbers_are_those_of_the_traffic() {
    let home = Home::new("numbers");
    let watched = Watched::start(&home, &[]);
    let mut wire = Wire::connect(watched.broker.address);
    make_traffic(&mut wire);
    let scraped = watched.scrape("/metrics");
    let value = |name: &str, labels: &[(&str, &str)]| {
        scraped.value(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}"))
    };
    let topic = ("topic", TOPICS[1]);
    assert_eq!(value("kafka_server_brokertopicmetrics_messagesin_total", &[topic]), 10.0);
    assert_eq!(value("kafka_server_brokertopicmetrics_totalproducerequests_total", &[topic]), 1.0);
    assert_eq!(value("kafka_server_brokertopicmetrics_totalfetchrequests_total", &[topic]), 1.0);
    let bytes = value("kafka_server_brokertopicmetrics_bytesin_total", &[topic]);
    assert_eq!(value("kafka_server_brokertopicmetrics_bytesout_total", &[topic]), bytes);
    assert_eq!(value("kafka_log_log_size", &[topic, ("partition", "0")]), bytes);
    assert_eq!(value("kafka_log_log_logendoffset", &[topic, ("partition", "0")]), 10.0);
    assert_eq!(value("kafka_topic_partition_current_offset", &[topic, ("partition", "1")]), 0.0);
    assert_eq!(value("kafka_topic_partitions", &[topic]), 2.0);
    assert_eq!(value("kafka_server_brokertopicmetrics_failedproducerequests_total", &[("topic", TOPICS[0])]), 1.0);
    assert_eq!(value("kafka_network_requestmetrics_requests_total", &[("request", "Produce")]), 3.0);
    let errors =
        |request, error| value("kafka_network_requestmetrics_errors_total", &[("request", request), ("error", error)]);
    assert_eq!((errors("Produce", "NONE"), errors("Produce", "INVALID_RECORD")), (2.0, 1.0));
    assert_eq!(errors("Fetch", "NONE"), 2.0 * 2.0, "of each answer and of each partition in it");
    assert_eq!(value("ottla_request_seconds_count", &[("request", "Fetch")]), 2.0);
    assert_eq!(value("ottla_connections", &[("listener", "PLAINTEXT")]), 1.0);
    assert_eq!(value("kafka_server_replicamanager_partitioncount", &[]), 2.0 * 2.0 + 3.0);

    let group = ("consumergroup", GROUP);
    assert_eq!(value("kafka_consumergroup_members", &[group]), 0.0);
    assert_eq!(value("kafka_consumergroup_members", &[("consumergroup", "writers")]), 1.0);
    assert_eq!(value("kafka_consumergroup_lag", &[group, topic, ("partition", "0")]), 7.0);
    assert_eq!(value("kafka_consumergroup_current_offset_sum", &[group, topic]), COMMITTED as f64);
    // The fourth of ten records, which were a second apart from a minute ago on.
    let samples: Vec<_> =
        scraped.samples().filter(|sample| sample.name == "kafka_consumergroup_group_lag_seconds").collect();
    assert_eq!(samples.len(), 2);
    for sample in samples {
        assert!((57.0..117.0).contains(&sample.value), "{sample:?}");
        assert_eq!((&*sample.labels["group"], &*sample.labels["partition"]), (GROUP, "0"));
    }
    // Once more: what was read is remembered, and time goes on.
    let again = watched.scrape("/metrics");
    let most = |scraped: &Scraped| {
        let samples = scraped.samples().filter(|sample| sample.name == "kafka_consumergroup_group_max_lag_seconds");
        samples.map(|sample| sample.value).fold(0.0, f64::max)
    };
    assert!(most(&again) >= most(&scraped));
    watched.broker.stop(Signal::TERM);
}

#[test]
fn detail_is_what_was_asked_for() {
    let home = Home::new("detail");
    let watched = Watched::start(&home, &["ottla.metrics.shown.max=6", "ottla.metrics.dialects=kafka-exporter"]);
    let mut wire = Wire::connect(watched.broker.address);
    make_traffic(&mut wire);
    let count = |path: &str, name: &str| watched.scrape(path).samples().filter(|sample| sample.name == name).count();
    let (partitions, topics) = ("kafka_topic_partition_current_offset", "kafka_topic_partitions");
    // Seven partitions are more than six.
    assert_eq!((count("/metrics", partitions), count("/metrics", topics)), (0, 3));
    assert_eq!(watched.scrape("/metrics").value("ottla_metrics_hidden", &[("level", "partition")]), Some(7.0));
    assert_eq!(count("/metrics", "kafka_consumergroup_lag"), 2, "of groups there are two");
    assert_eq!(count("/metrics?detail=partition", partitions), 7);
    assert_eq!(count("/metrics?detail=topic", "kafka_consumergroup_lag"), 0);
    assert_eq!(count("/metrics?detail=topic", "kafka_consumergroup_lag_sum"), 2);
    assert_eq!(count("/metrics?detail=cluster", topics) + count("/metrics?detail=cluster", partitions), 0);
    assert_eq!(count("/metrics", "kafka_server_replicamanager_leadercount"), 0, "no such dialect");
    assert_eq!(count("/metrics?dialect=strimzi", "kafka_server_replicamanager_leadercount"), 1);
    let home = Home::new("few-metrics");
    let few = Watched::start(&home, &["ottla.metrics.shown.max=1"]);
    let mut wire = Wire::connect(few.broker.address);
    make_traffic(&mut wire);
    let scraped = few.scrape("/metrics");
    for (level, hidden) in [("topic", 3.0), ("partition", 7.0), ("group", 2.0), ("group_partition", 2.0)] {
        assert_eq!(scraped.value("ottla_metrics_hidden", &[("level", level)]), Some(hidden), "{level}");
    }
    let named = |label: &str| scraped.samples().filter(|sample| sample.labels.contains_key(label)).count();
    assert_eq!(named("topic") + named("consumergroup") + named("group"), 0);
    assert_eq!(scraped.value("kafka_server_brokertopicmetrics_messagesin_total", &[]).unwrap() as u64 / 20, 1);
    few.broker.stop(Signal::TERM);
    for wrong in ["/metrics?dialect=redpanda", "/metrics?detail=", "/metrics?topic=letters"] {
        let (status, reason) = http(watched.http, wrong);
        assert!(status == 400 && reason.contains("write "), "{wrong}: {status} {reason}");
    }
    watched.broker.stop(Signal::TERM);
}

#[test]
fn each_log_directory_speaks_for_itself() {
    let home = Home::new("two-directories");
    let (one, other) = (home.join("one").display().to_string(), home.join("other").display().to_string());
    let watched = Watched::start(&home, &[&format!("log.dirs={one},{other}")]);
    let mut wire = Wire::connect(watched.broker.address);
    make_traffic(&mut wire);
    let scraped = watched.scrape("/metrics");
    let mut commits = 0.0;
    for path in [&one, &other] {
        assert_eq!(scraped.value("kafka_log_logmanager_logdirectoryoffline", &[("logDirectory", path)]), Some(0.0));
        assert!(scraped.value("ottla_log_directory_free_bytes", &[("directory", path)]).unwrap() > 0.0);
        let appended = scraped.value("ottla_log_appended_bytes_total", &[("directory", path)]).unwrap();
        assert!(appended > 0.0, "partitions are spread");
        commits += scraped.value("ottla_commit_seconds_count", &[("directory", path)]).unwrap();
    }
    // Kafka's is one for all.
    assert_eq!(scraped.value("kafka_log_logflushstats_logflushrateandtimems_count", &[]), Some(commits));
    watched.broker.stop(Signal::TERM);
}

#[test]
fn thousands_of_partitions_are_streamed_whole() {
    let home = Home::new("many-metrics");
    let watched = Watched::start(&home, &[]);
    let mut wire = Wire::connect(watched.broker.address);
    create_topics(&mut wire, &[("many", 3000)]);
    assert_eq!(watched.scrape("/metrics").value("ottla_metrics_hidden", &[("level", "partition")]), Some(3000.0));
    let scraped = watched.scrape("/metrics?detail=partition");
    for name in ["kafka_log_log_size", "kafka_topic_partition_current_offset", "kafka_cluster_partition_atminisr"] {
        assert_eq!(scraped.families[name].samples.len(), 3000, "{name}");
    }
    watched.broker.stop(Signal::TERM);
}
