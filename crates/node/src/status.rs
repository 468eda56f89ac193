//! What a running node tells over HTTP: whether it lives, and its numbers. Numbers are read when they are asked for.
use std::net::SocketAddr;
use std::sync::Arc;

use admin::{Health, Status};
use env::Env;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use server::broker::Broker;
use server::listener::ConnectionCounts;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::start_error::StartError;

/// Binds the HTTP listener, where one is wanted, and serves it from now on.
pub(crate) async fn serve(
    env: &Env,
    config: &Config,
    broker: Arc<Broker>,
    counts: Arc<ConnectionCounts>,
    closing: Arc<Semaphore>,
) -> Result<Option<SocketAddr>, StartError> {
    let Some(wanted) = &config.http else { return Ok(None) };
    let failed = |error: std::io::Error| {
        let place = format!("{}:{}", wanted.host, wanted.port);
        StartError(format!("cannot listen on {place} for HTTP: {error}; see ottla.http.listener (empty: no HTTP)"))
    };
    let addresses = env.net.resolve(&wanted.host, wanted.port).await.map_err(failed)?;
    let address = addresses.first().ok_or_else(|| StartError(format!("{} has no address", wanted.host)))?;
    let listener = env.net.listen(*address, 64).map_err(failed)?;
    let local = listener.local_address();
    let status = Arc::new(NodeStatus::new(broker, counts, closing));
    let clock = env.clock.clone();
    let serving = async move {
        if let Err(error) = admin::serve(listener, clock, status).await {
            tracing::error!(%error, "HTTP has stopped");
        }
    };
    env.spawn.task("http", Box::pin(serving));
    Ok(Some(local))
}

struct NodeStatus {
    broker: Arc<Broker>,
    registry: Registry,
    /// Closed when the node stops.
    closing: Arc<Semaphore>,
}

impl NodeStatus {
    fn new(broker: Arc<Broker>, counts: Arc<ConnectionCounts>, closing: Arc<Semaphore>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Numbers { broker: broker.clone(), counts }));
        Self { broker, registry, closing }
    }
}

impl Status for NodeStatus {
    fn health(&self) -> Health {
        let directory = self.broker.replicas.directory();
        let not_ready = match (directory.is_offline(), self.closing.is_closed(), directory.refuses_produce()) {
            (true, _, _) => Some("the log directory is offline".to_owned()),
            (_, true, _) => Some("the broker is stopping".to_owned()),
            (_, _, true) => Some("the disk is full".to_owned()),
            _ => None,
        };
        let notice = match directory.faulty_ranges() {
            0 => None,
            1 => Some("a range of records is damaged; the log tells which".to_owned()),
            count => Some(format!("{count} ranges of records are damaged; the log tells which")),
        };
        Health { live: !directory.is_offline(), not_ready, notice }
    }

    fn metrics(&self) -> &Registry {
        &self.registry
    }
}

struct Numbers {
    broker: Arc<Broker>,
    counts: Arc<ConnectionCounts>,
}

impl std::fmt::Debug for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Numbers")
    }
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: i64| {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
        };
        let image = self.broker.image();
        let directory = self.broker.replicas.directory();
        let log = directory.counters();
        let bytes = Some(&Unit::Bytes);
        gauge("ottla_topics", "Topics of the cluster", None, image.topics.len() as i64)?;
        gauge("ottla_partitions", "Partitions on this broker", None, self.broker.replicas.len() as i64)?;
        gauge("ottla_connections", "Open connections of clients", None, self.counts.total() as i64)?;
        gauge("ottla_fetch_sessions", "Incremental fetch sessions", None, self.broker.fetch_sessions.len() as i64)?;
        gauge("ottla_log_directory_offline", "1 after an error of the disk", None, directory.is_offline().into())?;
        let faulty = directory.faulty_ranges() as i64;
        gauge("ottla_log_faulty_ranges", "Ranges of records that are damaged", None, faulty)?;
        gauge("ottla_log_tails", "Records not yet in a segment", bytes, directory.memory_in_use() as i64)?;
        if let Ok(usage) = env::process::usage() {
            gauge("process_resident_memory", "Resident memory", bytes, usage.resident_bytes as i64)?;
            gauge("process_open_fds", "Open files and sockets", None, usage.open_files as i64)?;
            let cpu = ConstCounter::new(usage.cpu.as_secs_f64());
            let seconds = Some(&Unit::Seconds);
            cpu.encode(encoder.encode_descriptor("process_cpu", "CPU time", seconds, cpu.metric_type())?)?;
        }
        let counters = [
            ("ottla_log_appended_batches", "Batches appended to logs", log.appended_batches),
            ("ottla_log_appended_bytes", "Bytes appended to logs", log.appended_bytes),
            ("ottla_log_groups", "Groups committed, each with one sync", log.groups),
            ("ottla_log_lane_bytes", "Bytes written to the lane", log.lane_bytes),
            ("ottla_log_pieces", "Pieces written from tails to segments", log.pieces),
            ("ottla_log_direct_pieces", "Pieces written straight to segments", log.direct_pieces),
            ("ottla_log_checkpoints", "Checkpoints", log.checkpoints),
            ("ottla_log_recycled_files", "Files of the lane used again", log.recycled_files),
        ];
        for (name, help, value) in counters {
            let metric = ConstCounter::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}
