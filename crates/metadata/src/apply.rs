//! From one image to the next: the only code that changes hard state, the same on every broker, in the controller's
//! look ahead and when a log is read back. It cannot fail: a record about what is not there changes nothing of it.

use record::LeaderEpoch;

use crate::{Delta, Image, Partition, Record, Resource};

impl Image {
    pub fn apply(&mut self, record: Record, delta: &mut Delta) {
        match record {
            Record::Broker(broker) => {
                delta.brokers.insert(broker.id);
                self.next_broker_epoch = self.next_broker_epoch.max(broker.epoch.saturating_add(1));
                self.brokers.insert(broker);
            }
            Record::BrokerDirectories { broker, epoch, directories } => {
                if !self.brokers.set_directories(broker, epoch, directories) {
                    return;
                }
                delta.brokers.insert(broker);
                let broker = self.brokers.find(broker).expect("its directories were just set");
                let changed = self.topics.change_partitions(|partition| partition.with_directories(broker));
                delta.partitions.extend(changed);
            }
            Record::BrokerFenced { broker, epoch, fenced } => {
                if self.brokers.set_fenced(broker, epoch, fenced) {
                    delta.brokers.insert(broker);
                }
            }
            Record::BrokerRemoved(broker) => {
                if self.brokers.remove(broker) {
                    delta.brokers.insert(broker);
                }
            }
            Record::ClientQuota { entity, key, limit } => self.quotas.set(entity, key, limit),
            Record::Config { resource, name, value } => {
                self.configs.set(&resource, name, value);
                delta.configs.insert(resource);
            }
            Record::Feature { name, level } => {
                std::sync::Arc::make_mut(&mut self.features).set(name, level);
                delta.features = true;
            }
            Record::LeadershipRenewed(broker) => {
                let renewed = |partition: &Partition| {
                    (partition.leader == Some(broker)).then(|| Partition {
                        leader_epoch: LeaderEpoch(partition.leader_epoch.value().saturating_add(1)),
                        partition_epoch: partition.partition_epoch.saturating_add(1),
                        ..partition.clone()
                    })
                };
                delta.partitions.extend(self.topics.change_partitions(renewed));
            }
            Record::NextBrokerEpoch(epoch) => self.next_broker_epoch = self.next_broker_epoch.max(epoch),
            Record::NextProducerId(id) => self.next_producer_id = self.next_producer_id.max(id),
            Record::Partition { topic, index, partition } => {
                if self.topics.set_partition(topic, index, partition) {
                    delta.partitions.insert((topic, index));
                }
            }
            Record::ScramCredential { key, credential } => self.scram.set(key, credential),
            Record::Topic { id, name } => {
                self.topics.insert(id, name);
                delta.topics_created.push(id);
            }
            Record::TopicRemoved(id) => {
                // Also of one that is not there: a snapshot tells of those that were removed before it.
                self.removed.push(id);
                let Some(topic) = self.topics.remove(id) else { return };
                let resource = Resource::Topic(topic.name.clone());
                if self.configs.remove(&resource) {
                    delta.configs.insert(resource);
                }
                delta.topics_created.retain(|created| *created != id);
                for (index, _) in topic.partitions.iter() {
                    delta.partitions.remove(&(id, index));
                }
                delta.topics_deleted.push(topic);
            }
        }
    }
}
