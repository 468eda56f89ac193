use metadata::{Broker, Delta, Directories, Image, Replicas};
use protocol::Uuid;
use protocol::elect_leaders_request::TopicPartitions;

use super::*;
use crate::machine::tests::machine;

const TOPIC: TopicId = TopicId([9; 16]);

/// One topic of one partition, on brokers 1 and 2; of these some are active.
fn image(leader: Option<i32>, isr: &[i32], active: &[i32]) -> Image {
    let ids = |ids: &[i32]| -> Replicas { ids.iter().map(|id| BrokerId(*id)).collect() };
    let broker = |id: i32| Broker {
        id: BrokerId(id),
        epoch: 1,
        incarnation: Uuid([1; 16]),
        endpoints: vec![],
        rack: None,
        directories: vec![],
        fenced: !active.contains(&id),
    };
    let partition = Partition {
        replicas: ids(&[1, 2]),
        directories: Directories::from_slice(&[Uuid::ZERO, Uuid::ZERO]),
        isr: ids(isr),
        leader: leader.map(BrokerId),
        leader_epoch: LeaderEpoch(5),
        partition_epoch: 7,
    };
    let records = [
        Record::Broker(broker(1)),
        Record::Broker(broker(2)),
        Record::Topic { id: TOPIC, name: "flights".into() },
        Record::Partition { topic: TOPIC, index: 0, partition },
    ];
    let mut image = Image::default();
    records.into_iter().for_each(|record| image.apply(record, &mut Delta::default()));
    image
}

/// The code of the one partition; its new leader and in-sync set, if there is one.
fn elected(image: Image, election_type: i8) -> (ErrorCode, Option<(i32, Vec<i32>)>) {
    let topics = vec![TopicPartitions { topic: "flights".into(), partitions: vec![0], ..Default::default() }];
    let request = ElectLeadersRequest { election_type, topic_partitions: Some(topics), ..Default::default() };
    let Decision { records, answer } = elect(&machine(image), &request);
    let code = ErrorCode::from_code(answer.replica_election_results[0].partition_result[0].error_code).unwrap();
    let leads = records.into_iter().next().map(|record| {
        let Record::Partition { partition, .. } = record else { panic!("{record:?}") };
        assert_eq!((partition.leader_epoch, partition.partition_epoch), (LeaderEpoch(6), 8));
        (partition.leader.unwrap().0, partition.isr.iter().map(|id| id.0).collect())
    });
    (code, leads)
}

#[test]
fn the_first_replica_leads_again_once_it_is_in_sync() {
    assert_eq!(elected(image(Some(2), &[1, 2], &[1, 2]), 0), (ErrorCode::None, Some((1, vec![1, 2]))));
    assert_eq!(elected(image(Some(2), &[2], &[1, 2]), 0), (ErrorCode::PreferredLeaderNotAvailable, None));
    assert_eq!(elected(image(Some(2), &[1, 2], &[2]), 0), (ErrorCode::PreferredLeaderNotAvailable, None));
    assert_eq!(elected(image(Some(1), &[1], &[1]), 0), (ErrorCode::ElectionNotNeeded, None));
}

#[test]
fn an_unclean_election_is_for_a_partition_without_a_leader_and_prefers_who_lacks_nothing() {
    assert_eq!(elected(image(Some(2), &[2], &[1, 2]), 1), (ErrorCode::ElectionNotNeeded, None));
    assert_eq!(elected(image(None, &[2], &[1, 2]), 1), (ErrorCode::None, Some((2, vec![2]))));
    assert_eq!(elected(image(None, &[2], &[1]), 1), (ErrorCode::None, Some((1, vec![1]))));
    assert_eq!(elected(image(None, &[2], &[]), 1), (ErrorCode::EligibleLeadersNotAvailable, None));
}

#[test]
fn of_all_partitions_only_those_are_told_that_needed_an_election() {
    let request = ElectLeadersRequest { election_type: 0, topic_partitions: None, ..Default::default() };
    let Decision { records, answer } = elect(&machine(image(Some(1), &[1, 2], &[1, 2])), &request);
    assert!(records.is_empty() && answer.replica_election_results[0].partition_result.is_empty());
    let Decision { records, answer } = elect(&machine(image(Some(2), &[1, 2], &[1, 2])), &request);
    assert_eq!((records.len(), answer.replica_election_results[0].partition_result.len()), (1, 1));
}
