//! Consumer groups: how many are in which state, what they have committed, and how far that is behind, in records and in
//! time.
use std::sync::Arc;

use admin::text::Gone;
use coordinator::group::{GroupState, GroupSummary};
use server::broker::Broker;

use super::lag_time::{LagTimes, Place};
use super::report::{Report, breathe};

/// The groups that are coordinated here, as they were when the scrape came to them.
pub struct Groups {
    groups: Vec<Group>,
    topics: Vec<OfTopic>,
    partitions: Vec<OfPartition>,
    /// All that were committed, shown one by one or not.
    pub offsets: usize,
}

/// More than these are never kept.
const PARTITIONS_MAX: usize = 200_000;

struct Group {
    id: Arc<str>,
    state: GroupState,
    members: usize,
    lag_max: u64,
    lag_sum: u64,
    lag_seconds_max: Option<f64>,
}

struct OfTopic {
    group: Arc<str>,
    topic: Box<str>,
    offset_sum: i64,
    lag_sum: u64,
}

struct OfPartition {
    /// In `groups`.
    group: usize,
    topic: Box<str>,
    partition: i32,
    /// As labels have it.
    number: String,
    offset: i64,
    /// None of a partition that is not here.
    lag: Option<u64>,
    lag_seconds: Option<f64>,
}

impl Groups {
    /// Takes the groups of one partition of the offsets topic after the other. If there are more partitions than are shown
    /// only sums are kept.
    pub async fn read(broker: &Broker, report: &Report, lag_times: &LagTimes) -> Groups {
        let mut groups = Groups { groups: vec![], topics: vec![], partitions: vec![], offsets: 0 };
        for shard in broker.groups.shards() {
            for summary in broker.groups.summaries(shard) {
                groups.add(broker, report, summary);
            }
            breathe().await;
        }
        groups.find_lag_times(broker, lag_times).await;
        groups
    }

    fn add(&mut self, broker: &Broker, report: &Report, summary: GroupSummary) {
        let index = self.groups.len();
        let mut group = Group {
            id: summary.group_id.clone(),
            state: summary.state,
            members: summary.members,
            lag_max: 0,
            lag_sum: 0,
            lag_seconds_max: None,
        };
        self.offsets += summary.committed.len();
        let shows_group = report.wanted.shows_topics(index + 1);
        let shows_partitions =
            shows_group && self.offsets <= PARTITIONS_MAX && report.wanted.shows_partitions(self.offsets);
        if !shows_partitions {
            self.partitions = vec![];
        }
        if !shows_group {
            self.topics = vec![];
        }
        for committed in summary.committed {
            let ends = broker.replicas.partition(&committed.topic, committed.partition);
            let ends = ends.and_then(|partition| partition.ends(None).ok());
            // Nothing is negative: of a log that was cut a group may have committed more than there is.
            let lag = ends.map(|ends| ends.high_watermark.0.saturating_sub(committed.offset).max(0) as u64);
            group.lag_max = group.lag_max.max(lag.unwrap_or(0));
            group.lag_sum += lag.unwrap_or(0);
            match self.topics.last_mut() {
                Some(last) if Arc::ptr_eq(&last.group, &group.id) && last.topic == committed.topic => {
                    last.offset_sum += committed.offset;
                    last.lag_sum += lag.unwrap_or(0);
                }
                _ if !shows_group => {}
                _ => self.topics.push(OfTopic {
                    group: group.id.clone(),
                    topic: committed.topic.clone(),
                    offset_sum: committed.offset,
                    lag_sum: lag.unwrap_or(0),
                }),
            }
            if shows_partitions {
                self.partitions.push(OfPartition {
                    group: index,
                    topic: committed.topic,
                    partition: committed.partition,
                    number: committed.partition.to_string(),
                    offset: committed.offset,
                    lag,
                    lag_seconds: None,
                });
            }
        }
        self.groups.push(group);
    }

    async fn find_lag_times(&mut self, broker: &Broker, lag_times: &LagTimes) {
        let now_ms = broker.env.clock.wall_ms();
        let mut lookups = lag_times.begin();
        for row in &mut self.partitions {
            let written_ms = match row.lag {
                Some(0) => Some(now_ms),
                Some(_) => {
                    let place = Place { topic: row.topic.clone(), partition: row.partition, offset: row.offset };
                    lookups.written_ms(broker, place).await
                }
                None => None,
            };
            // A producer's clock may be ahead of ours.
            row.lag_seconds = written_ms.map(|written_ms| now_ms.saturating_sub(written_ms).max(0) as f64 / 1000.0);
            let most = &mut self.groups[row.group].lag_seconds_max;
            *most = match (*most, row.lag_seconds) {
                (Some(most), Some(seconds)) => Some(most.max(seconds)),
                (most, seconds) => most.or(seconds),
            };
        }
        lookups.end();
    }

    /// How many groups, and how many of their partitions, are not shown one by one.
    pub fn hidden(&self, report: &Report) -> [usize; 2] {
        let groups = if report.wanted.shows_topics(self.groups.len()) { 0 } else { self.groups.len() };
        [groups, self.offsets - self.partitions.len()]
    }

    pub async fn write(&self, report: &mut Report, cluster_id: &str) -> Result<(), Gone> {
        self.write_states(report).await?;
        if report.wanted.shows_topics(self.groups.len()) {
            self.write_sums(report, cluster_id).await?;
        }
        self.write_partitions(report, cluster_id).await
    }

    async fn write_states(&self, report: &mut Report) -> Result<(), Gone> {
        let count = |state: GroupState| self.groups.iter().filter(|group| group.state == state).count();
        let name = |what: &str| format!("kafka_coordinator_group_groupmetadatamanager_{what}");
        report.one(&name("numgroups"), self.groups.len()).await?;
        let states = [
            ("numgroupspreparingrebalance", GroupState::PreparingRebalance),
            ("numgroupscompletingrebalance", GroupState::CompletingRebalance),
            ("numgroupsstable", GroupState::Stable),
            ("numgroupsempty", GroupState::Empty),
        ];
        for (what, state) in states {
            report.one(&name(what), count(state)).await?;
        }
        report.one(&name("numoffsets"), self.offsets).await
    }

    async fn write_sums(&self, report: &mut Report, cluster_id: &str) -> Result<(), Gone> {
        report
            .rows("kafka_consumergroup_members", &self.groups, |samples, group| {
                samples.add(&[("consumergroup", &group.id)], group.members);
            })
            .await?;
        let of_topic = |row: &OfTopic, value: i64, samples: &mut super::report::Samples<'_>| {
            samples.add(&[("consumergroup", &row.group), ("topic", &row.topic)], value);
        };
        report
            .rows("kafka_consumergroup_current_offset_sum", &self.topics, |samples, row| {
                of_topic(row, row.offset_sum, samples);
            })
            .await?;
        report
            .rows("kafka_consumergroup_lag_sum", &self.topics, |samples, row| {
                of_topic(row, row.lag_sum as i64, samples);
            })
            .await?;
        let committed: Vec<&Group> = self.groups_with_offsets().collect();
        let labels = |group: &'_ Group| [("cluster_name", cluster_id.to_owned()), ("group", group.id.to_string())];
        let add = |samples: &mut super::report::Samples<'_>, group: &Group, value: super::report::Number| {
            let labels = labels(group);
            samples.add(&[(labels[0].0, &labels[0].1), (labels[1].0, &labels[1].1)], value);
        };
        report
            .rows("kafka_consumergroup_group_max_lag", &committed, |samples, group| {
                add(samples, group, group.lag_max.into());
            })
            .await?;
        report
            .rows("kafka_consumergroup_group_sum_lag", &committed, |samples, group| {
                add(samples, group, group.lag_sum.into());
            })
            .await?;
        report
            .rows("kafka_consumergroup_group_topic_sum_lag", &self.topics, |samples, row| {
                let labels = &[("cluster_name", cluster_id), ("group", &*row.group), ("topic", &*row.topic)];
                samples.add(labels, row.lag_sum);
            })
            .await?;
        let timed: Vec<(&Group, f64)> =
            self.groups.iter().filter_map(|group| Some((group, group.lag_seconds_max?))).collect();
        report
            .rows("kafka_consumergroup_group_max_lag_seconds", &timed, |samples, (group, seconds)| {
                add(samples, group, (*seconds).into());
            })
            .await
    }

    fn groups_with_offsets(&self) -> impl Iterator<Item = &Group> {
        let mut with_offsets = self.topics.iter().map(|row| &row.group).peekable();
        self.groups.iter().filter(move |group| {
            let has_offsets = with_offsets.peek().is_some_and(|with_offsets| Arc::ptr_eq(with_offsets, &group.id));
            while with_offsets.next_if(|with_offsets| Arc::ptr_eq(with_offsets, &group.id)).is_some() {}
            has_offsets
        })
    }

    async fn write_partitions(&self, report: &mut Report, cluster_id: &str) -> Result<(), Gone> {
        let lagging: Vec<&OfPartition> = self.partitions.iter().filter(|row| row.lag.is_some()).collect();
        let timed: Vec<&OfPartition> = lagging.iter().copied().filter(|row| row.lag_seconds.is_some()).collect();
        let group = |row: &OfPartition| &*self.groups[row.group].id;
        report
            .rows("kafka_consumergroup_current_offset", &self.partitions, |samples, row| {
                let labels = &[("consumergroup", group(row)), ("topic", &row.topic), ("partition", &row.number)];
                samples.add(labels, row.offset);
            })
            .await?;
        report
            .rows("kafka_consumergroup_lag", &lagging, |samples, row| {
                let labels = &[("consumergroup", group(row)), ("topic", &row.topic), ("partition", &row.number)];
                samples.add(labels, row.lag.unwrap_or(0));
            })
            .await?;
        let add = |samples: &mut super::report::Samples<'_>, row: &OfPartition, value: super::report::Number| {
            let labels = &[
                ("cluster_name", cluster_id),
                ("group", group(row)),
                ("topic", &row.topic),
                ("partition", &row.number),
            ];
            samples.add(labels, value);
        };
        report
            .rows("kafka_consumergroup_group_offset", &self.partitions, |samples, row| {
                add(samples, row, row.offset.into());
            })
            .await?;
        report
            .rows("kafka_consumergroup_group_lag", &lagging, |samples, row| {
                add(samples, row, row.lag.unwrap_or(0).into());
            })
            .await?;
        report
            .rows("kafka_consumergroup_group_lag_seconds", &timed, |samples, row| {
                add(samples, row, row.lag_seconds.unwrap_or(0.0).into());
            })
            .await
    }
}
