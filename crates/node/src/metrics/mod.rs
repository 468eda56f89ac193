//! What a node says of itself in numbers, in the words of those who listen: `/metrics`. Values are read when they are asked
//! for; only quantiles need what was a few minutes ago.
mod cluster;
mod engine;
mod families;
mod family;
mod groups;
mod lag_time;
mod page;
mod partitions;
mod recent;
mod report;
mod requests;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use admin::Writing;
use admin::text::{Gone, Page};
use env::spawn::Busy;
use env::{Env, Instant};
use parking_lot::Mutex;
use server::admission::ListenerCounts;
use server::broker::Broker;
use server::memory::FrameMemory;
use server::request_times::ApiDistributions;
use storage::LogDir;
use tally::Distribution;
use tokio::sync::Semaphore;

use groups::Groups;
use lag_time::LagTimes;
pub use page::monitoring_page;
use recent::Recent;
use report::Report;
pub use wanted::{DETAILS, Detail, VOCABULARIES, Vocabulary, Wanted};

/// Where the numbers come from.
pub(crate) struct Source {
    pub broker: Arc<Broker>,
    pub listeners: Vec<(String, Arc<ListenerCounts>)>,
    pub frame_memory: Arc<FrameMemory>,
    /// Closed when the node stops.
    pub closing: Arc<Semaphore>,
    pub started_ms: i64,
}

impl Source {
    /// Those that were opened, whatever has become of them.
    pub fn directories(&self) -> Vec<LogDir> {
        self.broker.replicas.directories().opened().cloned().collect()
    }
}

pub(crate) struct Metrics {
    source: Source,
    /// What is written if the scrape does not say otherwise.
    usual: Wanted,
    recent: Mutex<Recent<Arc<Reading>>>,
    lag_times: LagTimes,
}

/// What quantiles and shares are made of, at one moment.
pub(crate) struct Reading {
    at: Instant,
    busy: Option<Busy>,
    /// Beside `server::api::SERVED`.
    requests: Vec<Option<ApiDistributions>>,
    /// Syncs of all directories.
    syncs: Distribution,
    /// Of the metadata log: commits, and records.
    commits: Distribution,
    records: u64,
}

const READING_INTERVAL: Duration = Duration::from_secs(60);

impl Metrics {
    pub fn new(source: Source, usual: Wanted) -> Self {
        let first = Arc::new(Reading::of(&source));
        Self { source, usual, recent: Mutex::new(Recent::new(first)), lag_times: LagTimes::default() }
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Takes a reading a minute, for as long as somebody has the metrics.
    pub async fn keep_recent(metrics: std::sync::Weak<Self>, env: Env) {
        loop {
            env.clock.sleep_until(env.clock.now() + READING_INTERVAL).await;
            let Some(metrics) = metrics.upgrade() else { return };
            let reading = Arc::new(Reading::of(&metrics.source));
            metrics.recent.lock().push(reading);
        }
    }

    pub fn writing(self: &Arc<Self>, query: &[(String, String)]) -> Result<Writing, String> {
        let (metrics, wanted) = (self.clone(), self.usual.asked(query)?);
        Ok(Box::new(move |page| Box::pin(async move { metrics.write(page, wanted).await })))
    }

    async fn write(&self, page: Page, wanted: Wanted) -> Result<(), Gone> {
        let mut report = Report::new(page, wanted);
        let (source, broker) = (&self.source, &*self.source.broker);
        let (now, before) = (Reading::of(source), self.recent.lock().oldest().clone());
        cluster::write(&mut report, source, &now, &before).await?;
        engine::write(&mut report, source, &now, &before).await?;
        requests::write(&mut report, source, &now, &before).await?;
        partitions::write_traffic(&mut report, broker).await?;
        let rows = partitions::rows(broker).await;
        partitions::write_sums(&mut report, &rows).await?;
        partitions::write(&mut report, &rows, &broker.cluster_id).await?;
        let hidden_partitions = if report.wanted.shows_partitions(rows.len()) { 0 } else { rows.len() };
        drop(rows);
        let topics = broker.image().topics.len();
        let hidden_topics = if report.wanted.shows_topics(topics) { 0 } else { topics };
        let groups = Groups::read(broker, &report, &self.lag_times).await;
        groups.write(&mut report, &broker.cluster_id).await?;
        let [hidden_groups, hidden_group_partitions] = groups.hidden(&report);
        report
            .family("ottla_metrics_hidden", |samples| {
                samples.add(&[("level", "topic")], hidden_topics);
                samples.add(&[("level", "partition")], hidden_partitions);
                samples.add(&[("level", "group")], hidden_groups);
                samples.add(&[("level", "group_partition")], hidden_group_partitions);
            })
            .await?;
        report.end().await
    }
}

impl Reading {
    fn of(source: &Source) -> Reading {
        let mut syncs = Distribution::NONE;
        source.directories().iter().for_each(|directory| syncs.add(&directory.commit_times().sync));
        let env = &source.broker.env;
        let controller = source.broker.controller.counts();
        Reading {
            at: env.clock.now(),
            busy: env.spawn.busy(),
            requests: requests::readings(source),
            syncs,
            commits: controller.commits.read(),
            records: controller.records.value(),
        }
    }
}
