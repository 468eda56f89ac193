//! Where replicas go: Kafka's striped placement (`StripedReplicaPlacer`). Leaders go round the racks and, in a rack,
//! round its brokers; each round starts one further, so that one broker's failure does not move all it led to the same
//! neighbour. Replicas of one partition are spread over as many racks as there are.

use std::collections::BTreeMap;

use env::Rng;
use metadata::{Broker, Replicas};
use protocol::ErrorCode;
use record::BrokerId;

use crate::answer::ApiError;
use crate::machine::Machine;

/// Replicas for `partitions` partitions, the leader first.
pub fn place(machine: &Machine, partitions: usize, replication_factor: i16) -> Result<Vec<Replicas>, ApiError> {
    let brokers = machine.image.brokers.iter().filter(|broker| machine.takes_replicas(broker.id));
    place_among(&brokers.map(|broker| &**broker).collect::<Vec<_>>(), partitions, replication_factor, &*machine.rng)
}

fn place_among(
    brokers: &[&Broker],
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
    /// Partitions placed so far.
    partition: usize,
    /// Of them, since all was last shuffled.
    placed: usize,
    active: usize,
    brokers: usize,
}

struct Rack {
    active: Ring,
    fenced: Ring,
}

/// Brokers in turn. Each partition that takes any begins one further than the last that did.
struct Ring {
    brokers: Vec<BrokerId>,
    start: usize,
    taken: usize,
    partition: usize,
}

impl Ring {
    fn shuffle(&mut self, rng: &dyn Rng) {
        shuffle(&mut self.brokers, rng);
    }

    /// `partition` counts from 1.
    fn next(&mut self, partition: usize) -> Option<BrokerId> {
        if self.partition != partition {
            self.partition = partition;
            self.taken = 0;
            self.start = self.start.wrapping_add(1);
        }
        if self.taken == self.brokers.len() {
            return None;
        }
        let broker = self.brokers[(self.start + self.taken) % self.brokers.len()];
        self.taken += 1;
        Some(broker)
    }
}

impl Racks {
    fn of(brokers: &[&Broker], rng: &dyn Rng) -> Racks {
        let mut by_rack: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        let ring = || Ring { brokers: Vec::new(), start: random_below(rng, 1 << 16), taken: 0, partition: 0 };
        for broker in brokers {
            let rack = by_rack.entry(broker.rack.as_deref()).or_insert_with(|| Rack { active: ring(), fenced: ring() });
            let ring = if broker.fenced { &mut rack.fenced } else { &mut rack.active };
            ring.brokers.push(broker.id);
        }
        let racks: Vec<Rack> = by_rack.into_values().collect();
        let offset = random_below(rng, racks.len().max(1));
        let active = brokers.iter().filter(|broker| !broker.fenced).count();
        Racks { racks, offset, partition: 0, placed: 0, active, brokers: brokers.len() }
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
        self.partition += 1;
        let partition = self.partition;
        let count = self.racks.len();
        let mut replicas = Replicas::new();
        let leader_rack = (0..count)
            .map(|step| (self.offset + step) % count)
            .find(|rack| !self.racks[*rack].active.brokers.is_empty())
            .expect("there is an active broker");
        replicas.extend(self.racks[leader_rack].active.next(partition));
        // Round the racks until there are enough; the first round passes the leader's.
        let mut step = 0;
        while replicas.len() < replication_factor {
            let rack = (self.offset + step) % count;
            step += 1;
            if rack == leader_rack && step <= count {
                continue;
            }
            let rack = &mut self.racks[rack];
            replicas.extend(rack.active.next(partition).or_else(|| rack.fenced.next(partition)));
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::atomic::{AtomicU64, Ordering};

    use metadata::{Brokers, Delta, Image, Record};

    use super::*;

    /// SplitMix64.
    struct Seeded(AtomicU64);

    impl Rng for Seeded {
        fn fill(&self, bytes: &mut [u8]) {
            for part in bytes.chunks_mut(8) {
                let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
                let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                part.copy_from_slice(&(mixed ^ mixed >> 31).to_le_bytes()[..part.len()]);
            }
        }
    }

    /// Broker ids by rack; negative ones are fenced.
    fn brokers(racks: &[&[i32]]) -> Brokers {
        let mut image = Image::default();
        for (rack, ids) in racks.iter().enumerate() {
            for id in *ids {
                let broker = Broker {
                    id: BrokerId(id.abs()),
                    epoch: 0,
                    incarnation: protocol::Uuid::ZERO,
                    endpoints: Vec::new(),
                    rack: (racks.len() > 1).then(|| format!("rack {rack}")),
                    directories: Vec::new(),
                    fenced: *id < 0,
                };
                image.apply(Record::Broker(broker), &mut Delta::default());
            }
        }
        image.brokers
    }

    fn place_all(brokers: &Brokers, partitions: usize, factor: i16, seed: u64) -> Result<Vec<Replicas>, ApiError> {
        let brokers: Vec<&Broker> = brokers.iter().map(|broker| &**broker).collect();
        place_among(&brokers, partitions, factor, &Seeded(seed.into()))
    }

    fn placed(brokers: &Brokers, partitions: usize, factor: i16, seed: u64) -> Vec<Replicas> {
        place_all(brokers, partitions, factor, seed).unwrap()
    }

    #[test]
    fn replicas_are_on_different_brokers_and_spread_over_the_racks() {
        let brokers = brokers(&[&[1, 2, 3], &[4, 5, 6], &[7, 8, 9]]);
        let rack_of = |id: BrokerId| (id.value() - 1) / 3;
        for seed in 0..50 {
            for factor in 1..=9 {
                for replicas in placed(&brokers, 40, factor, seed) {
                    let different: BTreeSet<_> = replicas.iter().collect();
                    assert_eq!(different.len(), factor as usize, "{replicas:?}");
                    let mut in_rack = [0; 3];
                    replicas.iter().for_each(|id| in_rack[rack_of(*id) as usize] += 1);
                    let spread = in_rack.iter().max().unwrap() - in_rack.iter().min().unwrap();
                    assert!(spread <= 1, "{replicas:?}");
                }
            }
        }
    }

    #[test]
    fn every_broker_of_a_rack_and_every_rack_leads_as_many() {
        let leads = |racks: &[&[i32]], part_of: fn(BrokerId) -> i32, seed| {
            let brokers = brokers(racks);
            let mut leads: BTreeMap<i32, usize> = BTreeMap::new();
            placed(&brokers, 36, 2, seed).iter().for_each(|r| *leads.entry(part_of(r[0])).or_default() += 1);
            leads.into_values().collect::<Vec<usize>>()
        };
        for seed in 0..50 {
            assert_eq!(leads(&[&[1, 2, 3, 4]], BrokerId::value, seed), [9; 4]);
            // Of the brokers in several racks not even Kafka's placement says so.
            assert_eq!(leads(&[&[1, 2, 3], &[4, 5, 6], &[7, 8, 9]], |id| (id.value() - 1) / 3, seed), [12; 3]);
        }
    }

    #[test]
    fn three_racks_of_three_are_striped_as_in_kafka_s_description() {
        let brokers = brokers(&[&[1, 2, 3], &[4, 5, 6], &[7, 8, 9]]);
        for seed in 0..20 {
            let three = placed(&brokers, 3, 3, seed);
            let [first, second, third] = &three[..] else { panic!("three were asked for") };
            let next = |id: BrokerId| BrokerId(if id.value() % 3 == 0 { id.value() - 2 } else { id.value() + 1 });
            // A0 B0 C0, B1 C1 A1, C2 A2 B2.
            assert_eq!(second[..], [next(first[1]), next(first[2]), next(first[0])], "{three:?}");
            assert_eq!(third[..], [next(second[1]), next(second[2]), next(second[0])], "{three:?}");
        }
    }

    #[test]
    fn fenced_brokers_hold_replicas_only_where_nobody_else_can_and_never_lead() {
        let brokers = brokers(&[&[1, -2], &[-3, 4]]);
        for seed in 0..50 {
            for replicas in placed(&brokers, 20, 2, seed) {
                assert_eq!(replicas.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&BrokerId(1), &BrokerId(4)]));
            }
            for replicas in placed(&brokers, 20, 4, seed) {
                assert!([BrokerId(1), BrokerId(4)].contains(&replicas[0]), "{replicas:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_placed_is_refused() {
        let refused = |brokers: &Brokers, factor| place_all(brokers, 1, factor, 1).is_err();
        assert!(refused(&brokers(&[&[1, 2]]), 3));
        assert!(refused(&brokers(&[&[1, 2]]), 0));
        assert!(refused(&brokers(&[&[-1, -2]]), 1));
        assert!(refused(&Brokers::default(), 1));
    }
}
