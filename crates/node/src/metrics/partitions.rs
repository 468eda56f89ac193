//! Topics and partitions: where they begin and end, who leads them, how large they are, and what goes through them.
use std::sync::Arc;

use admin::text::Gone;
use record::BrokerId;
use replication::traffic::TrafficSums;
use server::broker::Broker;

use super::report::{Column, Report, Samples, breathe};

/// One partition, as it was when the scrape came to it.
pub struct Row {
    pub topic: Arc<str>,
    /// Its index, as labels have it.
    pub partition: String,
    leader: Option<BrokerId>,
    is_here: bool,
    is_offline: bool,
    is_led_here: bool,
    is_preferred: bool,
    replicas: usize,
    in_sync: usize,
    in_sync_min: usize,
    log_start: i64,
    log_end: i64,
    high_watermark: i64,
    size_bytes: u64,
    segments: usize,
}

/// So many partitions between two moments in which others may run.
const ROWS_AT_ONCE: usize = 256;

/// All partitions of the cluster, by topic and index.
pub async fn rows(broker: &Broker) -> Vec<Row> {
    let image = broker.image();
    let mut rows = Vec::with_capacity(image.topics.partitions_count());
    for topic in image.topics.iter() {
        for (index, partition) in topic.partitions.iter() {
            let here = broker.replicas.partition(&topic.name, index);
            let ends = here.as_ref().and_then(|partition| partition.ends(None).ok());
            let log = here.as_ref().map(|partition| partition.log());
            let row = Row {
                topic: topic.name.clone(),
                partition: index.to_string(),
                leader: partition.leader,
                is_here: here.is_some(),
                // One whose directory could not be opened is not here at all.
                is_offline: partition.replicas.contains(&broker.node_id)
                    && here.as_ref().is_none_or(|partition| partition.is_offline()),
                is_led_here: ends.is_some(),
                is_preferred: partition.leader.is_some() && partition.leader.as_ref() == partition.replicas.first(),
                replicas: partition.replicas.len(),
                in_sync: partition.isr.len(),
                in_sync_min: here.as_ref().and_then(|partition| partition.in_sync_min()).unwrap_or(0),
                log_start: ends.map_or(-1, |ends| ends.log_start.0),
                log_end: ends.map_or(-1, |ends| ends.log_end.0),
                high_watermark: ends.map_or(-1, |ends| ends.high_watermark.0),
                size_bytes: log.as_ref().map_or(0, |log| log.size_bytes()),
                segments: log.as_ref().map_or(0, |log| log.segments()),
            };
            rows.push(row);
            if rows.len() % ROWS_AT_ONCE == 0 {
                breathe().await;
            }
        }
    }
    rows
}

impl Row {
    fn is_under_replicated(&self) -> bool {
        self.in_sync < self.replicas
    }
}

/// How many of them are how.
pub async fn write_sums(report: &mut Report, rows: &[Row]) -> Result<(), Gone> {
    let count = |is: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| is(row)).count();
    let led = |is: &dyn Fn(&Row) -> bool| count(&|row| row.is_led_here && is(row));
    report.one("kafka_server_replicamanager_leadercount", count(&|row| row.is_led_here)).await?;
    report.one("kafka_server_replicamanager_partitioncount", count(&|row| row.is_here)).await?;
    let under_replicated = led(&|row| row.is_under_replicated());
    report.one("kafka_server_replicamanager_underreplicatedpartitions", under_replicated).await?;
    let under_min = led(&|row| row.in_sync < row.in_sync_min);
    report.one("kafka_server_replicamanager_underminisrpartitioncount", under_min).await?;
    let at_min = led(&|row| row.in_sync == row.in_sync_min);
    report.one("kafka_server_replicamanager_atminisrpartitioncount", at_min).await?;
    report.one("kafka_server_replicamanager_offlinereplicacount", count(&|row| row.is_offline)).await?;
    let without_leader = count(&|row| row.leader.is_none());
    report.one("kafka_controller_kafkacontroller_offlinepartitionscount", without_leader).await?;
    let not_preferred = count(&|row| row.leader.is_some() && !row.is_preferred);
    report.one("kafka_controller_kafkacontroller_preferredreplicaimbalancecount", not_preferred).await?;
    // One node is in every in-sync set of its own, and never leaves it.
    report.one("kafka_server_replicamanager_isrshrinks_total", 0_u64).await?;
    report.one("kafka_server_replicamanager_isrexpands_total", 0_u64).await
}

pub async fn write_traffic(report: &mut Report, broker: &Broker) -> Result<(), Gone> {
    const SUMS: &[Column<TrafficSums, u64>] = &[
        ("kafka_server_brokertopicmetrics_messagesin_total", |sums| sums.messages_in),
        ("kafka_server_brokertopicmetrics_bytesin_total", |sums| sums.bytes_in),
        ("kafka_server_brokertopicmetrics_bytesout_total", |sums| sums.bytes_out),
        ("kafka_server_brokertopicmetrics_totalproducerequests_total", |sums| sums.produce_requests),
        ("kafka_server_brokertopicmetrics_totalfetchrequests_total", |sums| sums.fetch_requests),
        ("kafka_server_brokertopicmetrics_failedproducerequests_total", |sums| sums.failed_produce_requests),
        ("kafka_server_brokertopicmetrics_failedfetchrequests_total", |sums| sums.failed_fetch_requests),
    ];
    let (topics, all) = broker.replicas.traffic();
    let mut rows: Vec<(Option<Arc<str>>, TrafficSums)> = vec![(None, all)];
    if report.wanted.shows_topics(topics.len()) {
        rows.extend(topics.into_iter().map(|(topic, sums)| (Some(topic), sums)));
    }
    for (name, sum) in SUMS {
        report
            .rows(name, &rows, |samples, (topic, sums)| match topic {
                Some(topic) => samples.add(&[("topic", topic)], sum(sums)),
                None => samples.add(&[], sum(sums)),
            })
            .await?;
    }
    Ok(())
}

pub async fn write(report: &mut Report, rows: &[Row], cluster_id: &str) -> Result<(), Gone> {
    let topics: Vec<&[Row]> = rows.chunk_by(|one, other| one.topic == other.topic).collect();
    if report.wanted.shows_topics(topics.len()) {
        report
            .rows("kafka_topic_partitions", &topics, |samples, rows| {
                samples.add(&[("topic", &rows[0].topic)], rows.len());
            })
            .await?;
    }
    if report.wanted.shows_partitions(rows.len()) {
        write_partitions(report, rows, cluster_id).await?;
    }
    Ok(())
}

async fn write_partitions(report: &mut Report, rows: &[Row], cluster_id: &str) -> Result<(), Gone> {
    let of_each: &[Column<Row, i64>] = &[
        ("kafka_topic_partition_leader", |row| row.leader.map_or(-1, |leader| leader.0.into())),
        ("kafka_topic_partition_leader_is_preferred", |row| row.is_preferred.into()),
        ("kafka_topic_partition_replicas", |row| row.replicas as i64),
        ("kafka_topic_partition_in_sync_replica", |row| row.in_sync as i64),
        ("kafka_topic_partition_under_replicated_partition", |row| row.is_under_replicated().into()),
    ];
    for (name, value) in of_each {
        report.rows(name, rows, |samples, row| add(samples, row, value(row))).await?;
    }
    let here: Vec<&Row> = rows.iter().filter(|row| row.is_here).collect();
    let of_those_here: &[Column<Row, i64>] = &[
        ("kafka_log_log_size", |row| row.size_bytes as i64),
        ("kafka_log_log_numlogsegments", |row| row.segments as i64),
    ];
    for (name, value) in of_those_here {
        report.rows(name, &here, |samples, row| add(samples, row, value(row))).await?;
    }
    let led: Vec<&Row> = rows.iter().filter(|row| row.is_led_here).collect();
    let of_those_led: &[Column<Row, i64>] = &[
        ("kafka_topic_partition_current_offset", |row| row.high_watermark),
        ("kafka_topic_partition_oldest_offset", |row| row.log_start),
        ("kafka_log_log_logstartoffset", |row| row.log_start),
        ("kafka_log_log_logendoffset", |row| row.log_end),
        ("kafka_cluster_partition_replicascount", |row| row.replicas as i64),
        ("kafka_cluster_partition_insyncreplicascount", |row| row.in_sync as i64),
        ("kafka_cluster_partition_underreplicated", |row| row.is_under_replicated().into()),
        ("kafka_cluster_partition_underminisr", |row| (row.in_sync < row.in_sync_min).into()),
        ("kafka_cluster_partition_atminisr", |row| (row.in_sync == row.in_sync_min).into()),
    ];
    for (name, value) in of_those_led {
        report.rows(name, &led, |samples, row| add(samples, row, value(row))).await?;
    }
    let ends: &[Column<Row, i64>] = &[
        ("kafka_partition_latest_offset", |row| row.high_watermark),
        ("kafka_partition_earliest_offset", |row| row.log_start),
    ];
    for (name, value) in ends {
        report
            .rows(name, &led, |samples, row| {
                let labels = &[("cluster_name", cluster_id), ("topic", &row.topic), ("partition", &row.partition)];
                samples.add(labels, value(row));
            })
            .await?;
    }
    Ok(())
}

fn add(samples: &mut Samples<'_>, row: &Row, value: i64) {
    samples.add(&[("topic", &row.topic), ("partition", &row.partition)], value);
}
