//! Images: what a snapshot keeps, what a delta tells, and what a change costs.

#[path = "../../../fuzz/mutate.rs"]
mod mutate;

use std::collections::BTreeMap;

use bytes::Bytes;
use metadata::{
    Broker, Delta, Directories, Endpoint, Image, Limit, Part, Partition, QuotaEntity, Record, Records, Replicas,
    Resource, ScramCredential, ScramMechanism,
};
use proptest::prelude::*;
use protocol::Uuid;
use record::{BrokerId, LeaderEpoch, ProducerId, TopicId};

fn topic_id(number: u8) -> TopicId {
    TopicId([number; 16])
}

fn partition(leader: i32, epoch: i32) -> Partition {
    Partition {
        replicas: Replicas::from_slice(&[BrokerId(leader), BrokerId(leader + 1)]),
        directories: Directories::from_slice(&[Uuid([1; 16]), Uuid([2; 16])]),
        isr: Replicas::from_slice(&[BrokerId(leader)]),
        leader: Some(BrokerId(leader)),
        leader_epoch: LeaderEpoch(epoch),
        partition_epoch: epoch,
    }
}

fn broker(id: i32, epoch: i64) -> Broker {
    Broker {
        id: BrokerId(id),
        epoch,
        incarnation: Uuid([id as u8; 16]),
        endpoints: vec![Endpoint { listener: "PLAINTEXT".into(), host: "h".into(), port: 1, security_protocol: 0 }],
        rack: None,
        directories: vec![Uuid([1; 16])],
        fenced: false,
    }
}

fn apply(image: &mut Image, records: impl IntoIterator<Item = Record>) -> Delta {
    let mut delta = Delta::default();
    records.into_iter().for_each(|record| image.apply(record, &mut delta));
    delta
}

/// Everything that an image says.
fn contents(image: &Image) -> String {
    let topics: Vec<_> =
        image.topics.iter().map(|topic| (topic, image.topics.by_name(&topic.name).is_some())).collect();
    let brokers: Vec<_> = image.brokers.iter().collect();
    let configs: Vec<_> = image.configs.iter().collect();
    let of_clients = (image.quotas.iter().collect::<Vec<_>>(), image.scram.iter().collect::<Vec<_>>());
    let removed: Vec<_> = image.removed.iter().collect();
    let rest = (image.features.iter().collect::<Vec<_>>(), removed, image.next_producer_id, image.next_broker_epoch);
    format!("{topics:?} {brokers:?} {configs:?} {of_clients:?} {rest:?} {}", image.topics.partitions_count())
}

fn part(number: u8) -> Part {
    match number {
        0 => Part::Absent,
        1 => Part::Default,
        _ => Part::Named(format!("name-{number}")),
    }
}

fn records() -> impl Strategy<Value = Record> {
    let name = |number: u8| if number.is_multiple_of(2) { format!("t.{number}") } else { format!("t_{number}") };
    prop_oneof![
        (0u8..12).prop_map(move |number| Record::Topic { id: topic_id(number), name: name(number).into() }),
        (0u8..12, 0i32..70, 1i32..4, 0i32..9).prop_map(|(topic, index, leader, epoch)| Record::Partition {
            topic: topic_id(topic),
            index,
            partition: partition(leader, epoch)
        }),
        (0u8..12).prop_map(|number| Record::TopicRemoved(topic_id(number))),
        (0u8..12, 0u8..4, proptest::option::of("[a-z]{0,3}")).prop_map(move |(topic, key, value)| Record::Config {
            resource: if topic == 0 { Resource::BrokerDefault } else { Resource::topic(&name(topic)) },
            name: format!("config.{key}"),
            value
        }),
        (1i32..4, 0i64..9).prop_map(|(id, epoch)| Record::Broker(broker(id, epoch))),
        (1i32..4, 0i64..9, any::<bool>()).prop_map(|(id, epoch, fenced)| Record::BrokerFenced {
            broker: BrokerId(id),
            epoch,
            fenced
        }),
        (0u8..4, 0u8..4, proptest::option::of(1u32..9)).prop_map(|(user, client, limit)| Record::ClientQuota {
            entity: QuotaEntity { user: part(user), client_id: part(client), ip: Part::Absent },
            key: "producer_byte_rate".into(),
            limit: limit.and_then(|limit| Limit::new(limit.into())),
        }),
        (0u8..4, any::<bool>(), proptest::option::of(4096i32..9000)).prop_map(|(user, strong, iterations)| {
            let mechanism = if strong { ScramMechanism::Sha512 } else { ScramMechanism::Sha256 };
            let credential = iterations.map(|iterations| ScramCredential {
                salt: Bytes::from_static(b"salt"),
                stored_key: Bytes::from_static(b"stored"),
                server_key: Bytes::from_static(b"server"),
                iterations,
            });
            Record::ScramCredential { key: (format!("user-{user}"), mechanism), credential }
        }),
        (1i32..4).prop_map(|id| Record::BrokerRemoved(BrokerId(id))),
        (1i32..4).prop_map(|id| Record::LeadershipRenewed(BrokerId(id))),
        (0i16..3).prop_map(|level| Record::Feature { name: "metadata.version".into(), level }),
        (0i64..5000).prop_map(|id| Record::NextProducerId(ProducerId(id))),
    ]
}

/// Names are unique in what a controller writes; the same name under two ids is not.
fn plausible(records: Vec<Record>) -> Vec<Record> {
    let mut image = Image::default();
    let mut kept = Vec::new();
    for record in records {
        if let Record::Topic { id, .. } = &record
            && image.topics.by_id(*id).is_some()
        {
            continue;
        }
        image.apply(record.clone(), &mut Delta::default());
        kept.push(record);
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_snapshot_makes_the_same_image_again(records in proptest::collection::vec(records(), 0..400)) {
        let mut image = Image::default();
        apply(&mut image, plausible(records));
        let mut again = Image::default();
        for piece in metadata::pieces(image.clone()) {
            apply(&mut again, Records::decode(&piece).map(|record| record.unwrap()));
        }
        prop_assert_eq!(contents(&again), contents(&image));
        for topic in image.topics.iter() {
            let colliding = |image: &Image| image.topics.colliding_with(&topic.name).cloned();
            prop_assert_eq!(colliding(&again), colliding(&image));
            prop_assert!(colliding(&image).is_some(), "every name here has a dot or an underscore");
        }
    }

    #[test]
    fn a_delta_names_all_that_differs(
        before in proptest::collection::vec(records(), 0..200),
        after in proptest::collection::vec(records(), 0..60),
    ) {
        let all = plausible(before.iter().chain(&after).cloned().collect());
        let split = plausible(before).len();
        let mut image = Image::default();
        apply(&mut image, all[..split].iter().cloned());
        let old = image.clone();
        let delta = apply(&mut image, all[split..].iter().cloned());

        let of = |image: &Image| -> BTreeMap<(TopicId, i32), Partition> {
            let partitions = image.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(move |(index, partition)| ((topic.id, index), (**partition).clone()))
            });
            partitions.collect()
        };
        let (old_partitions, partitions) = (of(&old), of(&image));
        let recreated: Vec<TopicId> = delta.topics_deleted.iter().map(|topic| topic.id).collect();
        for (place, partition) in &partitions {
            let is_new = old_partitions.get(place) != Some(partition);
            prop_assert!(!is_new || delta.partitions.contains(place), "{:?} is new or changed", place);
        }
        for place in &delta.partitions {
            prop_assert!(partitions.contains_key(place), "{:?} is told of and is not there", place);
        }
        for place in old_partitions.keys().filter(|place| !partitions.contains_key(place)) {
            prop_assert!(recreated.contains(&place.0), "{:?} is gone", place);
        }
        for (resource, _) in image.configs.iter().chain(old.configs.iter()) {
            let differs = image.configs.of(resource) != old.configs.of(resource);
            prop_assert!(!differs || delta.configs.contains(resource), "{:?} differs", resource);
        }
    }
}

fn large(topics: u32, partitions: i32) -> Image {
    let mut image = Image::default();
    for number in 0..topics {
        let id = TopicId(u128::from(number).to_be_bytes());
        let topic = Record::Topic { id, name: format!("topic-{number}").into() };
        let partition = |index| Record::Partition { topic: id, index, partition: partition(1, 0) };
        apply(&mut image, std::iter::once(topic).chain((0..partitions).map(partition)));
    }
    image
}

#[test]
fn a_large_topic_s_snapshot_comes_in_pieces_of_bounded_size() {
    let image = large(2, 20_000);
    let pieces: Vec<_> = metadata::pieces(image.clone()).collect();
    assert!(pieces.len() > 4 && pieces.iter().all(|piece| piece.len() < 300 * 1024), "{} pieces", pieces.len());
    let mut again = Image::default();
    for piece in pieces {
        apply(&mut again, Records::decode(&piece).map(|record| record.unwrap()));
    }
    assert_eq!(contents(&again), contents(&image));
}

/// As entries and snapshots hold them. What can be read is applied, whatever it says, and a snapshot of that comes back.
#[test]
fn any_bytes_as_records_make_an_image_that_a_snapshot_keeps() {
    let (mut taken, mut refused) = (0, 0);
    mutate::run(
        "metadata-records",
        |_| {},
        |bytes| {
            let mut image = Image::default();
            for record in Records::decode(bytes) {
                match record {
                    Ok(record) => {
                        apply(&mut image, [record]);
                        taken += 1;
                    }
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        refused += 1;
                    }
                }
            }
            let mut again = Image::default();
            for piece in metadata::pieces(image.clone()) {
                apply(&mut again, Records::decode(&piece).map(|record| record.expect("it was just written")));
            }
            assert_eq!(contents(&again), contents(&image));
        },
    );
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
}
