//! The cluster as this node sees it, its controller, and the process.
use admin::text::Gone;

use super::report::Report;
use super::{Reading, Source};

/// Kafka's `BrokerState`.
const RUNNING: i32 = 3;
const PENDING_CONTROLLED_SHUTDOWN: i32 = 6;

pub async fn write(report: &mut Report, source: &Source, now: &Reading, before: &Reading) -> Result<(), Gone> {
    let broker = &source.broker;
    let image = broker.image();
    let version = env!("CARGO_PKG_VERSION");
    report.family("ottla_build_info", |samples| samples.add(&[("version", version)], 1)).await?;
    let node_id = broker.node_id.0.to_string();
    let labels = &[("cluster_id", &*broker.cluster_id), ("node_id", &node_id)];
    report.family("ottla_node_info", |samples| samples.add(labels, 1)).await?;
    report.one("kafka_brokers", image.brokers.len()).await?;
    let brokers: Vec<(String, String)> = image
        .brokers
        .iter()
        .map(|broker| {
            let endpoint = broker.endpoints.first();
            let address = endpoint.map(|endpoint| format!("{}:{}", endpoint.host, endpoint.port)).unwrap_or_default();
            (broker.id.0.to_string(), address)
        })
        .collect();
    report
        .rows("kafka_broker_info", &brokers, |samples, (id, address)| {
            samples.add(&[("id", id), ("address", address)], 1);
        })
        .await?;
    let build = &[("branch", ""), ("goversion", ""), ("revision", ""), ("version", version)];
    report.family("kafka_exporter_build_info", |samples| samples.add(build, 1)).await?;
    let state = if source.closing.is_closed() { PENDING_CONTROLLED_SHUTDOWN } else { RUNNING };
    report.one("kafka_server_kafkaserver_brokerstate", state).await?;
    write_controller(report, source).await?;
    write_commits(report, now, before).await?;
    write_process(report, source).await
}

/// The only node there is, is the controller.
async fn write_controller(report: &mut Report, source: &Source) -> Result<(), Gone> {
    let broker = &source.broker;
    let image = broker.image();
    report.one("kafka_controller_kafkacontroller_activecontrollercount", 1).await?;
    let active = image.brokers.active().count();
    report.one("kafka_controller_kafkacontroller_activebrokercount", active).await?;
    report.one("kafka_controller_kafkacontroller_fencedbrokercount", image.brokers.len() - active).await?;
    report.one("kafka_controller_kafkacontroller_globaltopiccount", image.topics.len()).await?;
    report.one("kafka_controller_kafkacontroller_globalpartitioncount", image.topics.partitions_count()).await?;
    let position = image.position;
    report.one("kafka_controller_kafkacontroller_lastappliedrecordoffset", position.index).await?;
    report.one("kafka_server_brokermetadatametrics_last_applied_record_offset", position.index).await?;
    report.one("kafka_controller_controllerstats_uncleanleaderelections_total", 0_u64).await?;
    report
        .family("kafka_server_raftmetrics_current_state", |samples| samples.add(&[("current_state", "leader")], 1))
        .await?;
    report.one("kafka_server_raftmetrics_current_leader", broker.node_id.0).await?;
    report.one("kafka_server_raftmetrics_current_vote", broker.node_id.0).await?;
    report.one("kafka_server_raftmetrics_current_epoch", position.term).await?;
    // An offset is that of the next entry, as everywhere in Kafka.
    report.one("kafka_server_raftmetrics_high_watermark", position.index + 1).await?;
    report.one("kafka_server_raftmetrics_log_end_offset", position.index + 1).await
}

async fn write_commits(report: &mut Report, now: &Reading, before: &Reading) -> Result<(), Gone> {
    let lately = now.commits.since(&before.commits);
    let average = lately.sum().as_secs_f64() * 1000.0 / lately.count().max(1) as f64;
    report.one("kafka_server_raftmetrics_commit_latency_avg", average).await?;
    let passed = (now.at - before.at).as_secs_f64();
    let rate = if passed > 0.0 { (now.records - before.records) as f64 / passed } else { 0.0 };
    report.one("kafka_server_raftmetrics_append_records_rate", rate).await?;
    // The only node leads. A second one fetches.
    report.one("kafka_server_raftmetrics_fetch_records_rate", 0.0).await?;
    report.family("ottla_metadata_commit_seconds", |samples| samples.histogram(&[], &now.commits)).await
}

async fn write_process(report: &mut Report, source: &Source) -> Result<(), Gone> {
    let Ok(usage) = env::process::usage() else { return Ok(()) };
    report.one("process_cpu_seconds_total", usage.cpu.as_secs_f64()).await?;
    report.one("process_resident_memory_bytes", usage.resident_bytes).await?;
    report.one("process_virtual_memory_bytes", usage.virtual_bytes).await?;
    report.one("process_open_fds", usage.open_files).await?;
    report.one("process_max_fds", usage.open_files_max).await?;
    report.one("process_threads", usage.threads).await?;
    report.one("process_start_time_seconds", source.started_ms as f64 / 1000.0).await?;
    if let (Some(read), Some(written)) = (usage.disk_read_bytes, usage.disk_written_bytes) {
        report.one("kafka_server_kafkaserver_linux_disk_read_bytes", read).await?;
        report.one("kafka_server_kafkaserver_linux_disk_write_bytes", written).await?;
    }
    Ok(())
}
