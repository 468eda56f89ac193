//! Where replicas go: Kafka's striped placement (`StripedReplicaPlacer`). Leaders go round the racks and, in a rack,
//! round its brokers; each round starts one further, so that one broker's failure does not move all it led to the same
//! neighbour. Replicas of one partition are spread over as many racks as there are.

use std::collections::BTreeMap;

use env::Rng;
use metadata::{Brokers, Replicas};
use protocol::ErrorCode;
use record::BrokerId;

use crate::answer::ApiError;

/// Replicas for `partitions` partitions, the leader first.
pub fn place(
    brokers: &Brokers,
    partitions: usize,
    replication_factor: i16,
    rng: &dyn Rng,
) -> Result<Vec<Replicas>, ApiError> {
    let refused = |text: String| Err(ApiError::new(ErrorCode::InvalidReplicationFactor, text));
    if replication_factor <= 0 {
        return refused(format!(
            "Invalid replication factor {replication_factor}: the replication factor must be positive."
        ));
    }
    let mut racks = Racks::of(brokers, rng);
    if racks.active == 0 {
        return refused("All brokers are currently fenced, or have all their log directories cordoned.".into());
    }
    if replication_factor as usize > racks.brokers {
        return refused(format!(
            "The target replication factor of {replication_factor} cannot be reached because only {} broker(s) are \
             registered or some brokers have all their log directories cordoned.",
            racks.brokers
        ));
    }
    Ok((0..partitions).map(|_| racks.next(replication_factor as usize, rng)).collect())
}

struct Racks {
    racks: Vec<Rack>,
    /// Where the next partition's leader is looked for.
    offset: usize,
    /// Placements since all was last shuffled.
    placed: usize,
    active: usize,
    brokers: usize,
}

struct Rack {
    active: Ring,
    fenced: Ring,
}

/// Brokers in turn. Each partition begins one further than the last.
struct Ring {
    brokers: Vec<BrokerId>,
    start: usize,
    taken: usize,
}

impl Ring {
    fn shuffle(&mut self, rng: &dyn Rng) {
        shuffle(&mut self.brokers, rng);
    }

    fn next(&mut self) -> Option<BrokerId> {
        if self.taken == self.brokers.len() {
            return None;
        }
        let broker = self.brokers[(self.start + self.taken) % self.brokers.len()];
        self.taken += 1;
        Some(broker)
    }

    fn begin_partition(&mut self) {
        self.taken = 0;
        self.start = self.start.wrapping_add(1);
    }
}

impl Racks {
    fn of(brokers: &Brokers, rng: &dyn Rng) -> Racks {
        let mut by_rack: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        let ring = || Ring { brokers: Vec::new(), start: random_below(rng, 1 << 16), taken: 0 };
        for broker in brokers.iter() {
            let rack = by_rack.entry(broker.rack.as_deref()).or_insert_with(|| Rack { active: ring(), fenced: ring() });
            let ring = if broker.fenced { &mut rack.fenced } else { &mut rack.active };
            ring.brokers.push(broker.id);
        }
        let racks: Vec<Rack> = by_rack.into_values().collect();
        let offset = random_below(rng, racks.len().max(1));
        Racks { racks, offset, placed: 0, active: brokers.active().count(), brokers: brokers.len() }
    }

    fn next(&mut self, replication_factor: usize, rng: &dyn Rng) -> Replicas {
        if self.placed == self.active && self.active > 1 {
            shuffle(&mut self.racks, rng);
            self.racks.iter_mut().for_each(|rack| {
                rack.active.shuffle(rng);
                rack.fenced.shuffle(rng);
            });
            self.placed = 0;
        }
        self.placed += 1;
        for rack in &mut self.racks {
            rack.active.begin_partition();
            rack.fenced.begin_partition();
        }
        let count = self.racks.len();
        let mut replicas = Replicas::new();
        let leader_rack = (0..count)
            .map(|step| (self.offset + step) % count)
            .find(|rack| !self.racks[*rack].active.brokers.is_empty())
            .expect("there is an active broker");
        replicas.extend(self.racks[leader_rack].active.next());
        // Round the racks until there are enough; the first round passes the leader's.
        let mut step = 0;
        while replicas.len() < replication_factor {
            let rack = (self.offset + step) % count;
            step += 1;
            if rack == leader_rack && step <= count {
                continue;
            }
            let rack = &mut self.racks[rack];
            replicas.extend(rack.active.next().or_else(|| rack.fenced.next()));
        }
        self.offset = (self.offset + 1) % count;
        replicas
    }
}

fn random_below(rng: &dyn Rng, bound: usize) -> usize {
    (rng.next_u64() % bound as u64) as usize
}

/// Fisher and Yates.
fn shuffle<T>(items: &mut [T], rng: &dyn Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, random_below(rng, last + 1));
    }
}
