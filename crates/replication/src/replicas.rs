//! All partitions of this node: makes, leads, configures and deletes their replicas as the image of the cluster says.
//! Knows no controller: whoever has a new image brings it.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metadata::configs::{BrokerConfigs, TopicConfig};
use metadata::{Image, Resource, Topic, Update};
use parking_lot::{Mutex, RwLock};
use record::{BrokerId, TopicPartition};
use rustc_hash::FxHashMap;
use storage::{CreateError, Log, LogConfig, LogDir, LogDirs};

use crate::config;
use crate::moving::{MoveError, Moves};
use crate::partition::{Location, Partition};
use crate::placement::{Missing, Place, Placement};
use crate::strays;
use crate::traffic::{TrafficByTopic, TrafficSums};
use crate::validating::Turns;

pub struct Replicas {
    node_id: BrokerId,
    placement: Placement,
    broker_configs: BrokerConfigs,
    /// `producer.id.expiration.ms`
    producer_expiration: Duration,
    topics: RwLock<FxHashMap<Arc<str>, ByIndex>>,
    turns: Arc<Turns>,
    traffic: TrafficByTopic,
    moves: Moves,
    /// Copies of moves that the end of the process before has cut short.
    cut_short: Mutex<Vec<Location>>,
    /// Until the image of a start was seen: a log that is not there yet should be.
    expects_logs: AtomicBool,
    #[cfg(feature = "mutants")]
    pub watermark_over_received: bool,
}

/// The partitions of one topic that are here.
type ByIndex = BTreeMap<i32, Arc<Partition>>;

impl Replicas {
    /// `broker_configs` are the broker's static settings, which topics fall back to.
    pub fn new(
        node_id: BrokerId,
        directories: LogDirs,
        broker_configs: BrokerConfigs,
        producer_expiration: Duration,
    ) -> Self {
        Self {
            node_id,
            placement: Placement::new(directories),
            broker_configs,
            producer_expiration,
            topics: RwLock::default(),
            turns: Arc::default(),
            traffic: TrafficByTopic::default(),
            moves: Moves::default(),
            cut_short: Mutex::default(),
            expects_logs: AtomicBool::new(true),
            #[cfg(feature = "mutants")]
            watermark_over_received: false,
        }
    }

    pub fn partition(&self, topic: &str, index: i32) -> Option<Arc<Partition>> {
        self.topics.read().get(topic)?.get(&index).cloned()
    }

    /// Of one topic, by index.
    pub fn partitions(&self, topic: &str) -> Vec<Arc<Partition>> {
        self.topics.read().get(topic).map(|partitions| partitions.values().cloned().collect()).unwrap_or_default()
    }

    /// What went through each topic that has partitions here, by name, and through all there ever were.
    pub fn traffic(&self) -> (Vec<(Arc<str>, TrafficSums)>, TrafficSums) {
        self.traffic.read()
    }

    /// Names of the topics that have partitions here, in order.
    pub fn topics(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.topics.read().keys().cloned().collect();
        names.sort();
        names
    }

    pub fn directories(&self) -> &LogDirs {
        self.placement.directories()
    }

    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    pub fn broker_configs(&self) -> &BrokerConfigs {
        &self.broker_configs
    }

    pub fn len(&self) -> usize {
        self.topics.read().values().map(BTreeMap::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.topics.read().is_empty()
    }

    /// The first image after a start: what becomes of logs that are no replicas.
    pub fn settle_strays(&self, image: &Image) {
        let cut_short = strays::settle(image, self.node_id, self.directories());
        self.cut_short.lock().extend(cut_short);
    }

    fn resume_moves(&self, image: &Image) {
        for copy in std::mem::take(&mut *self.cut_short.lock()) {
            let topic = image.topics.by_id(copy.log.topic_id());
            let partition = topic.and_then(|topic| self.partition(&topic.name, copy.log.name().partition));
            let Some(partition) = partition else {
                drop(copy.directory.delete_log(&copy.log));
                continue;
            };
            tracing::info!(partition = %partition.name(), to = %copy.directory.path().display(), "the move goes on");
            match partition.resume_move(copy) {
                Ok(_) => self.moves.push(&partition),
                Err(error) => {
                    tracing::warn!(partition = %partition.name(), ?error, "the replica stays in its log directory");
                }
            }
        }
    }

    /// AlterReplicaLogDirs: begins to move a replica to another directory, or ends a move by naming where it is.
    pub fn move_replica(&self, partition: &Arc<Partition>, wanted: &LogDir) -> Result<(), MoveError> {
        if partition.move_to(wanted, self.directories().offline_count() > 0)? {
            self.moves.push(partition);
        }
        Ok(())
    }

    pub fn moves(&self) -> &Moves {
        &self.moves
    }

    /// Does what a change of the cluster asks of this node. Blocks for nothing.
    pub fn apply(&self, update: &Update) {
        for topic in &update.delta.topics_deleted {
            self.delete_topic(topic);
        }
        for &(topic_id, index) in &update.delta.partitions {
            let topic = update.image.topics.by_id(topic_id).expect("a delta names partitions of topics that exist");
            self.apply_partition(&update.image, topic, index);
        }
        self.expects_logs.store(false, Ordering::Relaxed);
        self.resume_moves(&update.image);
        for resource in &update.delta.configs {
            match resource {
                Resource::Topic(name) => self.configure_topic(&update.image, name),
                Resource::Broker(_) | Resource::BrokerDefault => self.configure_all(&update.image),
                Resource::ClientMetrics(_) | Resource::Group(_) => {}
            }
        }
    }

    fn delete_topic(&self, topic: &Topic) {
        let mut topics = self.topics.write();
        // The name may be another topic's by now.
        let is_this = |partition: &Arc<Partition>| partition.topic_id() == topic.id;
        let Some(partitions) = topics.get(&topic.name).filter(|partitions| partitions.values().all(is_this)) else {
            return;
        };
        let partitions: Vec<Arc<Partition>> = partitions.values().cloned().collect();
        topics.remove(&topic.name);
        drop(topics);
        self.traffic.forget(&topic.name);
        for partition in partitions {
            partition.resign(None, partition.leader_epoch());
            partition.abandon_move();
            drop(partition.directory().delete_log(&partition.log()));
        }
    }

    fn apply_partition(&self, image: &Image, topic: &Topic, index: i32) {
        let wanted = topic.partitions.find(index).expect("a delta names partitions that exist");
        if !wanted.replicas.contains(&self.node_id) {
            return;
        }
        let config = image.topic_config(&topic.name, self.node_id, &self.broker_configs);
        let Some(partition) = self.replica(topic, index, wanted, &config) else { return };
        match wanted.leader {
            Some(leader) if leader == self.node_id => {
                partition.lead(wanted.leader_epoch, config.min_insync_replicas as usize, wanted.replicas.len());
            }
            leader => partition.resign(leader, wanted.leader_epoch),
        }
    }

    /// The replica, with its log: found, or made now.
    fn replica(
        &self,
        topic: &Topic,
        index: i32,
        wanted: &metadata::Partition,
        config: &TopicConfig,
    ) -> Option<Arc<Partition>> {
        if let Some(partition) = self.partition(&topic.name, index)
            && partition.topic_id() == topic.id
        {
            if let Some(assigned) = wanted.directory_of(self.node_id)
                && partition.take_over(assigned)
            {
                partition.log().configure(config::of_log(partition.name(), config, self.producer_expiration));
            }
            return Some(partition);
        }
        let name = TopicPartition::new(topic.name.clone(), index);
        let log_config = config::of_log(&name, config, self.producer_expiration);
        let missing = match (wanted.leader, self.expects_logs.load(Ordering::Relaxed)) {
            (None, _) => Missing::StaysAway,
            (Some(_), true) => Missing::WasThere,
            (Some(_), false) => Missing::IsMade,
        };
        let assigned = wanted.directory_of(self.node_id)?;
        let (directory, log) = match self.placement.place(&name, topic.id, assigned, missing) {
            Place::Here(directory, log) => {
                log.configure(log_config);
                (directory, log)
            }
            Place::New(directory) => match self.create_log(&directory, name, topic, log_config) {
                Ok(log) => (directory, log),
                Err(error) => {
                    tracing::error!(topic = %topic.name, index, ?error, "a log could not be created");
                    return None;
                }
            },
            Place::Nowhere => {
                tracing::debug!(topic = %topic.name, index, "not served: its log directory is offline");
                return None;
            }
        };
        let partition =
            Partition::new(directory, log, config::of_rules(config), self.turns.clone(), self.traffic.of(&topic.name));
        #[cfg(feature = "mutants")]
        partition.watermark_over_received.store(self.watermark_over_received, std::sync::atomic::Ordering::Relaxed);
        let mut topics = self.topics.write();
        topics.entry(topic.name.clone()).or_default().insert(index, partition.clone());
        Some(partition)
    }

    fn create_log(
        &self,
        directory: &LogDir,
        name: TopicPartition,
        topic: &Topic,
        config: LogConfig,
    ) -> Result<Arc<Log>, CreateError> {
        match self.expects_logs.load(Ordering::Relaxed) && directory.may_lack_logs() {
            true => directory.create_lost_log(name, topic.id, config, None),
            false => directory.create_log(name, topic.id, config, None),
        }
    }

    fn configure_topic(&self, image: &Image, name: &str) {
        let Some(topic) = image.topics.by_name(name) else { return };
        let config = image.topic_config(name, self.node_id, &self.broker_configs);
        for partition in self.partitions(name) {
            partition.set_rules(config::of_rules(&config));
            partition.log().configure(config::of_log(partition.name(), &config, self.producer_expiration));
            self.apply_partition(image, topic, partition.name().partition);
        }
    }

    fn configure_all(&self, image: &Image) {
        let names: Vec<Arc<str>> = self.topics.read().keys().cloned().collect();
        names.iter().for_each(|name| self.configure_topic(image, name));
    }
}
