//! Topics and their partitions, by name and by id.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::Uuid;
use record::{BrokerId, LeaderEpoch, TopicId};
use smallvec::SmallVec;

use crate::brokers::{Broker, directory_id};
use crate::tree::Tree;

pub const GROUP_METADATA_TOPIC: &str = "__consumer_offsets";
pub const TRANSACTION_STATE_TOPIC: &str = "__transaction_state";
pub const SHARE_GROUP_STATE_TOPIC: &str = "__share_group_state";

/// Kafka's `Topic.isInternal`: what clients may not write, and what is hidden from a pattern subscription.
pub fn is_internal(topic: &str) -> bool {
    [GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC, SHARE_GROUP_STATE_TOPIC].contains(&topic)
}

pub type Replicas = SmallVec<[BrokerId; 4]>;
/// Of each replica, in the order of the replicas: the log directory it is assigned to.
pub type Directories = SmallVec<[Uuid; 1]>;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Topic {
    pub id: TopicId,
    pub name: Arc<str>,
    pub partitions: Partitions,
}

impl Topic {
    pub fn is_internal(&self) -> bool {
        is_internal(&self.name)
    }
}

/// Numbered from 0 without a gap once the topic's creation has been applied whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Partitions(Tree<i32, Arc<Partition>>);

impl Eq for Partitions {}

impl Partitions {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn find(&self, index: i32) -> Option<&Arc<Partition>> {
        self.0.get(&index)
    }

    pub fn iter(&self) -> impl Iterator<Item = (i32, &Arc<Partition>)> + use<'_> {
        self.0.iter().map(|(index, partition)| (*index, partition))
    }

    /// From this index on.
    pub fn iter_from(&self, index: i32) -> impl Iterator<Item = (i32, &Arc<Partition>)> + use<'_> {
        self.0.range_from(&index).map(|(index, partition)| (*index, partition))
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Partition {
    /// The first one is the preferred leader.
    pub replicas: Replicas,
    pub directories: Directories,
    pub isr: Replicas,
    pub leader: Option<BrokerId>,
    /// Grows with each change of the leader, and with each start of it.
    pub leader_epoch: LeaderEpoch,
    /// Grows with each change at all.
    pub partition_epoch: i32,
}

impl Partition {
    /// Where the replica of this broker is, if it has one.
    pub fn directory_of(&self, broker: BrokerId) -> Option<Uuid> {
        let place = self.replicas.iter().position(|replica| *replica == broker)?;
        Some(self.directories.get(place).copied().unwrap_or(directory_id::UNASSIGNED))
    }

    /// With another place of this broker's replica. `None` if it has none, or has it there.
    pub fn moved_to(&self, broker: BrokerId, directory: Uuid) -> Option<Partition> {
        let place = self.replicas.iter().position(|replica| *replica == broker)?;
        if self.directory_of(broker) == Some(directory) {
            return None;
        }
        let mut directories = self.directories.clone();
        directories.resize(self.replicas.len(), directory_id::UNASSIGNED);
        directories[place] = directory;
        Some(Partition { directories, partition_epoch: self.partition_epoch.saturating_add(1), ..self.clone() })
    }

    /// Who leads it now that these directories of a broker serve, and no others. `None` if nothing changes. The last one
    /// in sync leaves the in-sync set, too, as with Kafka's eligible leader replicas (KIP-966): whoever has all comes back.
    pub fn with_directories(&self, broker: &Broker) -> Option<Partition> {
        let is_online = broker.has_online(self.directory_of(broker.id)?);
        let is_last = |isr: &Replicas| isr.is_empty() || isr[..] == [broker.id];
        let (leader, isr) = match (self.leader, is_online) {
            (Some(leader), false) if leader == broker.id && is_last(&self.isr) => (None, Replicas::new()),
            (None, true) if is_last(&self.isr) && self.replicas.len() == 1 => {
                (Some(broker.id), Replicas::from_slice(&[broker.id]))
            }
            _ => return None,
        };
        Some(Partition {
            leader,
            isr,
            leader_epoch: LeaderEpoch(self.leader_epoch.value().saturating_add(1)),
            partition_epoch: self.partition_epoch.saturating_add(1),
            ..self.clone()
        })
    }
}

#[derive(Clone, Debug, Default)]
pub struct Topics {
    // A partition's change touches `by_id` alone.
    by_id: Tree<TopicId, Arc<Topic>>,
    ids: Tree<Arc<str>, TopicId>,
    /// Names that contain `.` or `_`, by what is left when these are taken for one letter.
    colliding: Tree<Arc<str>, BTreeSet<Arc<str>>>,
    partitions: usize,
}

impl Topics {
    pub fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_id.get(self.ids.get(name)?)
    }

    pub fn by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> + use<'_> {
        self.ids.iter().filter_map(|(_, id)| self.by_id.get(id))
    }

    /// By name, from this one on.
    pub fn iter_from(&self, name: &str) -> impl Iterator<Item = &Arc<Topic>> + use<'_> {
        self.ids.range_from(name).filter_map(|(_, id)| self.by_id.get(id))
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Of all topics together.
    pub fn partitions_count(&self) -> usize {
        self.partitions
    }

    /// A topic whose metrics would have the same name (Kafka's `Topic.hasCollision`).
    pub fn colliding_with(&self, name: &str) -> Option<&Arc<str>> {
        self.colliding.get(&*unified(name)?)?.first()
    }

    pub(crate) fn insert(&mut self, id: TopicId, name: Arc<str>) {
        // No controller makes a topic that is there; what a record says all the same takes its place whole.
        for known in [Some(id), self.ids.get(&*name).copied()].into_iter().flatten() {
            self.remove(known);
        }
        self.ids.insert(name.clone(), id);
        if let Some(unified) = unified(&name) {
            let mut names = self.colliding.get(&*unified).cloned().unwrap_or_default();
            names.insert(name.clone());
            self.colliding.insert(unified, names);
        }
        self.by_id.insert(id, Arc::new(Topic { id, name, partitions: Partitions::default() }));
    }

    pub(crate) fn remove(&mut self, id: TopicId) -> Option<Arc<Topic>> {
        let topic = self.by_id.remove(&id)?;
        self.ids.remove(&*topic.name);
        self.partitions -= topic.partitions.len();
        if let Some(unified) = unified(&topic.name)
            && let Some(names) = self.colliding.get_mut(&*unified)
        {
            names.remove(&topic.name);
            if names.is_empty() {
                self.colliding.remove(&*unified);
            }
        }
        Some(topic)
    }

    /// Whether there is such a topic.
    pub(crate) fn set_partition(&mut self, id: TopicId, index: i32, partition: Partition) -> bool {
        let Some(topic) = self.by_id.get_mut(&id) else { return false };
        let before = Arc::make_mut(topic).partitions.0.insert(index, Arc::new(partition));
        self.partitions += usize::from(before.is_none());
        true
    }

    /// Gives every partition for which `change` has an answer that one. Returns which.
    pub(crate) fn change_partitions(
        &mut self,
        change: impl Fn(&Partition) -> Option<Partition>,
    ) -> Vec<(TopicId, i32)> {
        let mut changed = Vec::new();
        self.by_id.update_all(|id, topic| {
            let mut partitions = topic.partitions.clone();
            let before = changed.len();
            partitions.0.update_all(|index, partition| {
                let new = change(partition)?;
                changed.push((*id, *index));
                Some(Arc::new(new))
            });
            (changed.len() > before).then(|| Arc::new(Topic { partitions, ..(**topic).clone() }))
        });
        changed
    }
}

/// `None` for a name that collides with no other.
fn unified(name: &str) -> Option<Arc<str>> {
    name.contains(['.', '_']).then(|| name.replace('.', "_").into())
}
