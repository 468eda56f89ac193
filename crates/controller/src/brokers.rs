//! Registration of brokers. Fencing by heartbeats comes with the second broker.

use metadata::{Broker, Endpoint, Record};
use protocol::Uuid;
use record::BrokerId;

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
    let mut records = vec![Record::Broker(Broker {
        id: registration.broker,
        epoch,
        incarnation: registration.incarnation,
        endpoints: registration.endpoints,
        rack: registration.rack,
        directories: registration.directories,
        fenced: false,
    })];
    for (name, level) in registration.features {
        if machine.image.features.level(&name) != Some(level) {
            records.push(Record::Feature { name, level });
        }
    }
    // What it led before it leads again, but in a new epoch: whoever still holds an answer of the old one is fenced.
    records.push(Record::LeadershipRenewed(registration.broker));
    Decision { records, answer: BrokerEpoch(epoch) }
}

impl From<BrokerEpoch> for i64 {
    fn from(epoch: BrokerEpoch) -> i64 {
        epoch.0
    }
}
