//! Registration of brokers, and what becomes of their log directories. Fencing by heartbeats comes with the second broker.

use metadata::{Broker, Endpoint, Partition, Record};
use protocol::Uuid;
use record::{BrokerId, TopicId};

use crate::machine::{Decision, Machine};

/// Of one registration; grows with each.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct BrokerEpoch(pub i64);

#[derive(Clone, Debug)]
pub struct Registration {
    pub broker: BrokerId,
    /// Random for each start of the broker.
    pub incarnation: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub rack: Option<String>,
    /// Its log directories.
    pub directories: Vec<Uuid>,
    /// What it can do; the first broker's are finalised.
    pub features: Vec<(String, i16)>,
}

pub fn register(machine: &Machine, registration: Registration) -> Decision<BrokerEpoch> {
    let known = machine.image.brokers.find(registration.broker);
    if let Some(known) = known.filter(|known| known.incarnation == registration.incarnation) {
        // The same process asks again: its answer was lost.
        return Decision::nothing(BrokerEpoch(known.epoch));
    }
    let epoch = machine.image.next_broker_epoch;
    let broker = Broker {
        id: registration.broker,
        epoch,
        incarnation: registration.incarnation,
        endpoints: registration.endpoints,
        rack: registration.rack,
        directories: registration.directories,
        fenced: false,
    };
    let mut records = vec![Record::Broker(broker.clone())];
    for (name, level) in registration.features {
        if machine.image.features.level(&name) != Some(level) {
            records.push(Record::Feature { name, level });
        }
    }
    // What it led before it leads again, but whoever still holds an answer of the old epoch is fenced. Two epochs, as with
    // Kafka, where nobody leads between the end of the one process, however it came, and the registration of the next.
    records.extend([Record::LeadershipRenewed(broker.id), Record::LeadershipRenewed(broker.id)]);
    if any_partition(machine, |partition| partition.with_directories(&broker).is_some()) {
        // Some directory has failed since the last registration, or has come back.
        let directories = broker.directories;
        records.push(Record::BrokerDirectories { broker: broker.id, epoch, directories });
    }
    Decision { records, answer: BrokerEpoch(epoch) }
}

/// Only these directories of a broker serve any more (`ReplicationControlManager.handleDirectoriesOffline`).
pub fn directories_failed(machine: &Machine, id: BrokerId, online: Vec<Uuid>) -> Decision<()> {
    match machine.image.brokers.find(id) {
        Some(broker) if broker.directories != online => Decision {
            records: vec![Record::BrokerDirectories { broker: id, epoch: broker.epoch, directories: online }],
            answer: (),
        },
        _ => Decision::nothing(()),
    }
}

/// A replica, and the directory of its broker that it is in.
pub type Assignment = ((TopicId, i32), Uuid);

/// Where a broker has put its replicas (`ReplicationControlManager.handleAssignReplicasToDirs`). Partitions that are gone
/// are passed over.
pub fn assign_directories(machine: &Machine, id: BrokerId, assignments: &[Assignment]) -> Decision<()> {
    let Some(broker) = machine.image.brokers.find(id) else { return Decision::nothing(()) };
    let record = |&((topic, index), directory): &Assignment| {
        let partition = machine.image.topics.by_id(topic)?.partitions.find(index)?;
        let moved = partition.moved_to(id, directory)?;
        let partition = moved.with_directories(broker).unwrap_or(moved);
        Some(Record::Partition { topic, index, partition })
    };
    Decision { records: assignments.iter().filter_map(record).collect(), answer: () }
}

fn any_partition(machine: &Machine, holds: impl Fn(&Partition) -> bool) -> bool {
    machine.image.topics.iter().any(|topic| topic.partitions.iter().any(|(_, partition)| holds(partition)))
}

impl From<BrokerEpoch> for i64 {
    fn from(epoch: BrokerEpoch) -> i64 {
        epoch.0
    }
}
