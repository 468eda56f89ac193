//! The brokers that have registered.

use std::sync::Arc;

use protocol::Uuid;
use record::BrokerId;

use crate::tree::Tree;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broker {
    pub id: BrokerId,
    /// Of its registration: grows with each, so that a report of an earlier run is known as such.
    pub epoch: i64,
    /// Random for each start.
    pub incarnation: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub rack: Option<String>,
    pub directories: Vec<Uuid>,
    /// It may lead nothing and is in no new ISR.
    pub fenced: bool,
}

impl Broker {
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.listener == listener)
    }

    /// Whether a replica in this directory can be served (`DirectoryId.isOnline`).
    pub fn has_online(&self, directory: Uuid) -> bool {
        match directory {
            directory_id::LOST => false,
            directory_id::UNASSIGNED => true,
            directory => self.directories.contains(&directory),
        }
    }
}

/// Directories that are none: Kafka's `DirectoryId`.
pub mod directory_id {
    use protocol::Uuid;

    /// Its broker has not said yet.
    pub const UNASSIGNED: Uuid = Uuid::ZERO;
    /// It was in one that is offline; which, was never said.
    pub const LOST: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// The listener's name, such as `PLAINTEXT`.
    pub listener: String,
    pub host: String,
    pub port: u16,
    /// Kafka's `SecurityProtocol` id: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Brokers(Tree<BrokerId, Arc<Broker>>);

impl Brokers {
    pub fn find(&self, id: BrokerId) -> Option<&Arc<Broker>> {
        self.0.get(&id)
    }

    /// By id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Broker>> + use<'_> {
        self.0.iter().map(|(_, broker)| broker)
    }

    /// Those that are not fenced, by id.
    pub fn active(&self) -> impl Iterator<Item = &Arc<Broker>> + use<'_> {
        self.iter().filter(|broker| !broker.fenced)
    }

    pub fn is_active(&self, id: BrokerId) -> bool {
        self.find(id).is_some_and(|broker| !broker.fenced)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn insert(&mut self, broker: Broker) {
        self.0.insert(broker.id, Arc::new(broker));
    }

    pub(crate) fn remove(&mut self, id: BrokerId) -> bool {
        self.0.remove(&id).is_some()
    }

    /// Whether there is such a registration.
    pub(crate) fn set_directories(&mut self, id: BrokerId, epoch: i64, directories: Vec<Uuid>) -> bool {
        match self.0.get_mut(&id) {
            Some(broker) if broker.epoch == epoch => {
                Arc::make_mut(broker).directories = directories;
                true
            }
            _ => false,
        }
    }

    /// Whether there is such a registration.
    pub(crate) fn set_fenced(&mut self, id: BrokerId, epoch: i64, fenced: bool) -> bool {
        match self.0.get_mut(&id) {
            Some(broker) if broker.epoch == epoch => {
                Arc::make_mut(broker).fenced = fenced;
                true
            }
            _ => false,
        }
    }
}
