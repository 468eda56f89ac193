//! A node with several log directories: where partitions go, and what becomes of them when one directory fails, at the
//! start or while the node runs. Each answer was seen from Kafka 4.4 in the same situation.
#[allow(dead_code, reason = "each test uses its part")]
mod home;
#[allow(dead_code, reason = "each test uses its part")]
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use env::sim::disk::{Call, Fault};
use home::{Home, story, story_of_seed};
use node::config::Config;
use node::{Node, StartError};
use protocol::ErrorCode;
use protocol::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use protocol::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use protocol::describe_log_dirs_request::DescribeLogDirsRequest;
use protocol::describe_topic_partitions_request::{DescribeTopicPartitionsRequest, TopicRequest};
use protocol::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use protocol::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use protocol::produce_request::ProduceRequest;
use record::{BatchBuilder, Compression, ProducerEpoch, ProducerId, Sequence, Timestamp};
use wire::Wire;
use wire::records::{batch_of, code, produce_request};

const TOPIC: &str = "flights";

impl Home {
    async fn try_start(&self, log_dirs: &[&str]) -> Result<Node, StartError> {
        let mut config = Config::for_tests_at("/a", "0.0.0.0", 9092);
        config.log_dirs = log_dirs.iter().map(Into::into).collect();
        self.start_with(&config).await
    }

    async fn start(&self) -> (Node, Wire) {
        let node = self.try_start(&["/a", "/b"]).await.expect("it starts");
        (node, self.connect().await)
    }

    /// A life that the power ends after so many calls of the disk, or else after two seconds.
    async fn lives(&self, calls: u64) {
        self.machine.power_loss_in(calls);
        let life = async {
            let node = self.try_start(&["/a", "/b"]).await;
            self.world.sleep(Duration::from_secs(2)).await;
            self.machine.power_loss();
            self.machine.down().await;
            drop(node);
        };
        tokio::select! {
            biased;
            () = life => {}
            () = self.machine.down() => {}
        }
    }

    async fn refused(&self, log_dirs: &[&str]) -> String {
        self.try_start(log_dirs).await.map(drop).expect_err("it does not start").to_string()
    }
}

async fn produce(wire: &mut Wire, index: i32, value: &str) -> Result<i64, ErrorCode> {
    wire.produce(&produce_request(TOPIC, index, batch_of(value))).await
}

/// The offsets of what is there, from the beginning.
async fn fetch(wire: &mut Wire, index: i32) -> Result<Vec<i64>, ErrorCode> {
    fetch_all(wire, index, 0).await
}

async fn fetch_all(wire: &mut Wire, index: i32, from: i64) -> Result<Vec<i64>, ErrorCode> {
    let mut all: Vec<i64> = Vec::new();
    loop {
        let next = all.last().map_or(from, |last| last + 1);
        let read = fetch_from(wire, index, next).await?;
        if read.is_empty() {
            return Ok(all);
        }
        all.extend(read);
    }
}

async fn fetch_from(wire: &mut Wire, index: i32, from: i64) -> Result<Vec<i64>, ErrorCode> {
    let read = wire.fetch(TOPIC, index, from).await?;
    Ok(read.into_iter().map(|(offset, _)| offset).collect())
}

async fn list_offset(wire: &mut Wire, index: i32) -> ErrorCode {
    let partition = ListOffsetsPartition { partition_index: index, timestamp: -1, ..Default::default() };
    let topic = ListOffsetsTopic { name: TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    code(wire.ask(&request, 7).await.expect("an answer").topics[0].partitions[0].error_code)
}

async fn epoch_end(wire: &mut Wire, index: i32) -> ErrorCode {
    let partition = OffsetForLeaderPartition { partition: index, current_leader_epoch: -1, ..Default::default() };
    let topic = OffsetForLeaderTopic { topic: TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
    let request = OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    code(wire.ask(&request, 4).await.expect("an answer").topics[0].partitions[0].error_code)
}

async fn delete_records(wire: &mut Wire, index: i32, offset: i64) -> ErrorCode {
    let partitions = vec![DeleteRecordsPartition { partition_index: index, offset, ..Default::default() }];
    let topics = vec![DeleteRecordsTopic { name: TOPIC.to_owned(), partitions, ..Default::default() }];
    let request = DeleteRecordsRequest { topics, timeout_ms: 5000, ..Default::default() };
    code(wire.ask(&request, 2).await.expect("an answer").topics[0].partitions[0].error_code)
}

/// Error code, leader, in-sync and offline replicas of each partition, by index.
async fn metadata(wire: &mut Wire) -> Vec<(ErrorCode, i32, Vec<i32>, Vec<i32>)> {
    let topics = Some(vec![MetadataRequestTopic { name: Some(TOPIC.to_owned()), ..Default::default() }]);
    let response = wire.ask(&MetadataRequest { topics, ..Default::default() }, 9).await.expect("an answer");
    let mut partitions = response.topics[0].partitions.clone();
    partitions.sort_by_key(|partition| partition.partition_index);
    partitions
        .into_iter()
        .map(|one| (code(one.error_code), one.leader_id, one.isr_nodes, one.offline_replicas))
        .collect()
}

/// The partitions in each directory, of all topics; of an offline one the error.
async fn described(wire: &mut Wire) -> BTreeMap<String, Result<Vec<(String, i32)>, ErrorCode>> {
    let response =
        wire.ask(&DescribeLogDirsRequest { topics: None, ..Default::default() }, 4).await.expect("an answer");
    let described = response.results.into_iter().map(|result| {
        let partitions = result
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.name.clone(), partition.partition_index)));
        let error = code(result.error_code);
        (result.log_dir, if error == ErrorCode::None { Ok(partitions.collect()) } else { Err(error) })
    });
    described.collect()
}

/// The indexes of the topic's partitions in a directory.
async fn indexes(wire: &mut Wire, directory: &str) -> Vec<i32> {
    let mut all = described(wire).await;
    let partitions = all.remove(directory).expect("it is configured").expect("it is online");
    partitions.into_iter().filter(|(topic, _)| topic == TOPIC).map(|(_, index)| index).collect()
}

async fn move_to(wire: &mut Wire, directory: &str, topic: &str, index: i32) -> ErrorCode {
    let response = wire.ask(&move_request(directory, topic, index), 2).await.expect("an answer");
    code(response.results[0].partitions[0].error_code)
}

fn move_request(directory: &str, topic: &str, index: i32) -> AlterReplicaLogDirsRequest {
    let topics =
        vec![AlterReplicaLogDirTopic { name: topic.to_owned(), partitions: vec![index], ..Default::default() }];
    let dirs = vec![AlterReplicaLogDir { path: directory.to_owned(), topics, ..Default::default() }];
    AlterReplicaLogDirsRequest { dirs, ..Default::default() }
}

#[test]
fn new_partitions_go_where_the_fewest_are_or_where_they_were_wanted() {
    story(|home| async move {
        let (node, mut wire) = home.start().await;
        assert_eq!(move_to(&mut wire, "/b", TOPIC, 0).await, ErrorCode::UnknownTopicOrPartition, "and remembered");
        wire.create(TOPIC, 4, &[]).await;
        assert_eq!(indexes(&mut wire, "/b").await, [0, 3]);
        assert_eq!(indexes(&mut wire, "/a").await, [1, 2]);
        for index in 0..4 {
            assert_eq!(produce(&mut wire, index, "value").await, Ok(0));
        }
        home.sleep(Duration::from_secs(1)).await;
        home.without_power(node).await;
        let (node, mut wire) = home.start().await;
        assert_eq!(indexes(&mut wire, "/b").await, [0, 3], "each is found where it was");
        assert_eq!(indexes(&mut wire, "/a").await, [1, 2]);
        for index in 0..4 {
            assert_eq!(fetch(&mut wire, index).await, Ok(vec![0]));
            assert_eq!(produce(&mut wire, index, "value").await, Ok(1));
        }
        node.stop().await;
    });
}

/// With four partitions, two in each directory, and one record in each.
async fn spread(home: &Home) -> (Node, Wire, Vec<i32>, Vec<i32>) {
    let (node, mut wire) = home.start().await;
    wire.create(TOPIC, 4, &[]).await;
    for index in 0..4 {
        assert_eq!(produce(&mut wire, index, "value").await, Ok(0));
    }
    home.sleep(Duration::from_secs(1)).await; // The controller has been told where they are.
    let (here, there) = (indexes(&mut wire, "/a").await, indexes(&mut wire, "/b").await);
    assert_eq!((here.len(), there.len()), (2, 2));
    (node, wire, here, there)
}

const LED: (ErrorCode, i32) = (ErrorCode::None, 1);
const ALONE: (ErrorCode, i32) = (ErrorCode::LeaderNotAvailable, -1);

async fn assert_offline(wire: &mut Wire, offline: &[i32], serving: &[i32]) {
    let metadata = metadata(wire).await;
    for &index in serving {
        let (error, leader, in_sync, gone) = &metadata[index as usize];
        assert_eq!(((*error, *leader), &in_sync[..], &gone[..]), (LED, &[1][..], &[][..]), "partition {index}");
    }
    for &index in offline {
        let (error, leader, in_sync, gone) = &metadata[index as usize];
        assert_eq!(((*error, *leader), &in_sync[..], &gone[..]), (ALONE, &[][..], &[1][..]), "partition {index}");
    }
    let topics = vec![TopicRequest { name: TOPIC.to_owned(), ..Default::default() }];
    let request = DescribeTopicPartitionsRequest { topics, response_partition_limit: 10, ..Default::default() };
    let response = wire.ask(&request, 0).await.expect("an answer");
    for partition in &response.topics[0].partitions {
        let is_offline = offline.contains(&partition.partition_index);
        let (leader, in_sync, gone) = if is_offline { (-1, vec![], vec![1]) } else { (1, vec![1], vec![]) };
        assert_eq!((partition.error_code, partition.leader_id), (0, leader));
        assert_eq!((&partition.isr_nodes, &partition.offline_replicas), (&in_sync, &gone));
        assert_eq!(partition.eligible_leader_replicas, Some(gone), "who would lead if its directory came back");
    }
}

#[test]
fn a_directory_that_fails_takes_its_own_partitions_with_it_and_no_others() {
    story(|home| async move {
        let (node, mut wire, here, there) = spread(&home).await;
        home.machine.disk().inject(Fault::input_output(Call::SyncData).on_path("/b/lane/"));
        assert_eq!(produce(&mut wire, there[0], "lost").await, Err(ErrorCode::KafkaStorageError));
        home.sleep(Duration::from_secs(1)).await;
        assert_offline(&mut wire, &there, &here).await;
        for &index in &there {
            assert_eq!(produce(&mut wire, index, "lost").await, Err(ErrorCode::KafkaStorageError));
            assert_eq!(fetch(&mut wire, index).await, Err(ErrorCode::KafkaStorageError));
            assert_eq!(list_offset(&mut wire, index).await, ErrorCode::KafkaStorageError);
            assert_eq!(epoch_end(&mut wire, index).await, ErrorCode::KafkaStorageError);
            assert_eq!(delete_records(&mut wire, index, 0).await, ErrorCode::KafkaStorageError);
            assert_eq!(move_to(&mut wire, "/a", TOPIC, index).await, ErrorCode::KafkaStorageError);
        }
        for &index in &here {
            assert_eq!(produce(&mut wire, index, "kept").await, Ok(1));
            assert_eq!(fetch(&mut wire, index).await, Ok(vec![0, 1]));
            assert_eq!(list_offset(&mut wire, index).await, ErrorCode::None);
            assert_eq!(epoch_end(&mut wire, index).await, ErrorCode::None);
            assert_eq!(delete_records(&mut wire, index, 1).await, ErrorCode::None);
            assert_eq!(move_to(&mut wire, "/a", TOPIC, index).await, ErrorCode::None);
            assert_eq!(move_to(&mut wire, "/b", TOPIC, index).await, ErrorCode::KafkaStorageError);
        }
        let all = described(&mut wire).await;
        assert_eq!(all["/b"], Err(ErrorCode::KafkaStorageError));
        assert_eq!(all["/a"].as_ref().expect("it is online").len(), 2);
        assert_eq!(node.directories().offline_count(), 1);
        wire.create("later", 3, &[]).await;
        assert_eq!(described(&mut wire).await["/a"].as_ref().expect("it is online").len(), 5, "all are made here");

        // It comes back with the next start, with everything that was acknowledged.
        home.without_power(node).await;
        let (node, mut wire) = home.start().await;
        assert_offline(&mut wire, &[], &[0, 1, 2, 3]).await;
        for &index in &there {
            let left = fetch(&mut wire, index).await.expect("readable");
            assert!(left.starts_with(&[0]) && left.len() <= 2, "{left:?}");
            produce(&mut wire, index, "more").await.expect("acknowledged");
        }
        for &index in &here {
            assert_eq!(produce(&mut wire, index, "more").await, Ok(2));
        }
        node.stop().await;
    });
}

#[test]
fn a_directory_that_cannot_be_opened_is_offline_and_its_partitions_are_not_made_anew_elsewhere() {
    story(|home| async move {
        let (node, wire, here, there) = spread(&home).await;
        drop(wire);
        node.stop().await;
        home.machine.kill();
        home.machine.down().await;
        home.machine.disk().inject(Fault::input_output(Call::Read).on_path("/b/").times(1000));
        let (node, mut wire) = home.start().await;
        home.sleep(Duration::from_secs(1)).await;
        assert_offline(&mut wire, &there, &here).await;
        for &index in &there {
            // Nobody has this replica, as far as the broker knows; so says Kafka's, too.
            assert_eq!(produce(&mut wire, index, "lost").await, Err(ErrorCode::NotLeaderOrFollower));
            assert_eq!(fetch(&mut wire, index).await, Err(ErrorCode::NotLeaderOrFollower));
            assert_eq!(move_to(&mut wire, "/a", TOPIC, index).await, ErrorCode::ReplicaNotAvailable);
        }
        for &index in &here {
            assert_eq!(produce(&mut wire, index, "kept").await, Ok(1));
        }
        assert_eq!(described(&mut wire).await["/b"], Err(ErrorCode::KafkaStorageError));
        assert_eq!(indexes(&mut wire, "/a").await, here);
        home.without_power(node).await;
        let (node, mut wire) = home.start().await;
        assert_offline(&mut wire, &[], &[0, 1, 2, 3]).await;
        for &index in &there {
            assert_eq!(fetch(&mut wire, index).await, Ok(vec![0]));
        }
        node.stop().await;
    });
}

#[test]
fn a_partition_whose_place_the_controller_never_heard_of_is_not_made_anew_while_a_directory_is_offline() {
    for seed in 0..20 {
        story_of_seed(seed, move |home| async move {
            let (node, mut wire) = home.start().await;
            wire.create(TOPIC, 4, &[]).await;
            // Sometimes before the controller has heard.
            let mut acknowledged = Vec::new();
            for index in 0..4 {
                produce(&mut wire, index, "value").await.expect("acknowledged");
                acknowledged.push(index);
            }
            home.without_power(node).await;
            home.machine.disk().inject(Fault::input_output(Call::Read).on_path("/b/").times(1000));
            let (node, mut wire) = home.start().await;
            home.sleep(Duration::from_secs(2)).await;
            for index in acknowledged {
                match fetch(&mut wire, index).await {
                    Ok(read) => assert_eq!(read, [0], "an empty log has taken its place"),
                    Err(error) => assert_eq!(error, ErrorCode::NotLeaderOrFollower),
                }
            }
            home.without_power(node).await;
            let (node, mut wire) = home.start().await;
            home.sleep(Duration::from_secs(2)).await;
            assert_offline(&mut wire, &[], &[0, 1, 2, 3]).await;
            for index in 0..4 {
                assert_eq!(fetch(&mut wire, index).await, Ok(vec![0]), "seed {seed}");
            }
            node.stop().await;
        });
    }
}

#[test]
fn the_node_cannot_go_on_without_the_directory_of_the_metadata_log_nor_without_any() {
    for (first, second) in [("/a/lane/", None), ("/b/lane/", Some("/a/lane/"))] {
        story(move |home| async move {
            let (node, mut wire, here, there) = spread(&home).await;
            home.machine.disk().inject(Fault::input_output(Call::SyncData).on_path(first));
            let index = if second.is_some() { there[0] } else { here[0] };
            assert_eq!(produce(&mut wire, index, "lost").await, Err(ErrorCode::KafkaStorageError));
            if let Some(second) = second {
                home.sleep(Duration::from_secs(1)).await;
                home.machine.disk().inject(Fault::input_output(Call::SyncData).on_path(second));
                assert_eq!(produce(&mut wire, here[0], "lost").await, Err(ErrorCode::KafkaStorageError));
            }
            let reason = node.failed().await;
            assert!(reason.contains("has failed"), "{reason}");
            drop(node);
        });
    }
}

#[test]
fn directories_that_do_not_belong_together_are_refused() {
    story(|home| async move {
        let node = home.try_start(&["/a", "/b"]).await.expect("it starts");
        let ids: Vec<_> = node.directories().opened().map(|directory| directory.facts().clone()).collect();
        assert_eq!(ids[0].cluster_id, ids[1].cluster_id);
        assert_ne!(ids[0].directory_id, ids[1].directory_id);
        node.stop().await;
        let node = home.try_start(&["/other"]).await.expect("it starts");
        node.stop().await;
        let reason = home.refused(&["/a", "/other"]).await;
        assert!(reason.contains("/other/meta.properties") && reason.contains("cluster.id"), "{reason}");
        // The metadata log is in the first.
        let reason = home.refused(&["/b", "/a"]).await;
        assert!(reason.contains("`/a/metadata`") && reason.contains("metadata.log.dir"), "{reason}");
        let node = home.try_start(&["/a", "/b", "/c"]).await.expect("a new one may be added");
        assert_eq!(node.directories().all().len(), 3);
        node.stop().await;
    });
}

#[test]
fn logs_without_their_metadata_are_not_taken_for_strays() {
    story(|home| async move {
        let (node, wire, _, _) = spread(&home).await;
        drop(wire);
        node.stop().await;
        let reason = home.refused(&["/b"]).await;
        assert!(reason.contains("no metadata log in /b"), "{reason}");
        let (node, mut wire) = home.start().await;
        for index in 0..4 {
            assert_eq!(fetch(&mut wire, index).await, Ok(vec![0]));
        }
        node.stop().await;
    });
}

/// A topic of one partition, in the first directory.
async fn one_in_a(home: &Home, configs: &[(&str, &str)]) -> (Node, Wire) {
    let (node, mut wire) = home.start().await;
    move_to(&mut wire, "/a", TOPIC, 0).await;
    wire.create(TOPIC, 1, configs).await;
    (node, wire)
}

/// The directory that has the partition, and the one that has a copy of it on its way.
async fn whereabouts(wire: &mut Wire, index: i32) -> (Vec<String>, Vec<String>) {
    let response =
        wire.ask(&DescribeLogDirsRequest { topics: None, ..Default::default() }, 4).await.expect("an answer");
    let (mut current, mut future) = (Vec::new(), Vec::new());
    for result in response.results {
        let topics = result.topics.iter().filter(|topic| topic.name == TOPIC);
        for partition in topics.flat_map(|topic| &topic.partitions).filter(|one| one.partition_index == index) {
            let list = if partition.is_future_key { &mut future } else { &mut current };
            list.push(result.log_dir.clone());
        }
    }
    (current, future)
}

/// The directory has a copy of the partition of which a start would know that it is one.
fn is_marked(home: &Home, directory: &str) -> bool {
    use env::Disk;
    let disk = home.machine.disk();
    let logs = disk.read_dir(directory.as_ref()).expect("it is there");
    let mut logs = logs.iter().filter(|entry| entry.name.starts_with(&format!("{TOPIC}-0.")));
    logs.any(|log| disk.visible(format!("{directory}/{}/copy", log.name)).is_some())
}

async fn moved(home: &Home, wire: &mut Wire, index: i32, to: &str) {
    for _ in 0..1000 {
        if whereabouts(wire, index).await == (vec![to.to_owned()], vec![]) {
            return;
        }
        home.world.sleep(Duration::from_millis(10)).await;
    }
    panic!("it never moved: {:?}", whereabouts(wire, index).await);
}

#[test]
fn a_replica_moves_while_it_is_written_and_read_and_stays_where_it_went() {
    story(|home| async move {
        let (node, mut wire) = one_in_a(&home, &[]).await;
        let mut end = 0;
        for (round, to) in ["/b", "/a", "/b"].into_iter().enumerate() {
            for _ in 0..30 {
                assert_eq!(produce(&mut wire, 0, &"v".repeat(5000)).await, Ok(end));
                end += 1;
            }
            if round == 1 {
                assert_eq!(delete_records(&mut wire, 0, 10).await, ErrorCode::None);
            }
            assert_eq!(move_to(&mut wire, to, TOPIC, 0).await, ErrorCode::None);
            for _ in 0..30 {
                assert_eq!(produce(&mut wire, 0, &"w".repeat(500)).await, Ok(end), "nobody notices");
                end += 1;
            }
            moved(&home, &mut wire, 0, to).await;
            assert_eq!(produce(&mut wire, 0, "behind").await, Ok(end));
            end += 1;
            let read = fetch_all(&mut wire, 0, if round == 0 { 0 } else { 10 }).await.expect("readable");
            assert_eq!(read, (if round == 0 { 0 } else { 10 }..end).collect::<Vec<i64>>());
            assert_eq!(move_to(&mut wire, to, TOPIC, 0).await, ErrorCode::None, "it is there");
        }
        assert_eq!(fetch_from(&mut wire, 0, 9).await, Err(ErrorCode::OffsetOutOfRange));
        home.without_power(node).await;
        let (node, mut wire) = home.start().await;
        assert_eq!(whereabouts(&mut wire, 0).await, (vec!["/b".to_owned()], vec![]));
        assert_eq!(fetch_all(&mut wire, 0, 10).await, Ok((10..end).collect()));
        node.stop().await;
    });
}

#[test]
fn records_that_are_deleted_while_the_move_takes_effect_stay_deleted() {
    story(|home| async move {
        let (node, mut wire) = one_in_a(&home, &[]).await;
        for offset in 0..20 {
            assert_eq!(produce(&mut wire, 0, "value").await, Ok(offset));
        }
        home.sleep(Duration::from_secs(1)).await;
        // The copy is complete, and for a second there is no room for the record that makes it the replica.
        home.machine.disk().inject(Fault::no_space(Call::Write).on_path("/metadata/"));
        assert_eq!(move_to(&mut wire, "/b", TOPIC, 0).await, ErrorCode::None);
        home.sleep(Duration::from_millis(300)).await;
        assert_eq!(whereabouts(&mut wire, 0).await, (vec!["/a".to_owned()], vec!["/b".to_owned()]), "it waits");
        assert_eq!(delete_records(&mut wire, 0, 10).await, ErrorCode::None);
        moved(&home, &mut wire, 0, "/b").await;
        assert_eq!(fetch_from(&mut wire, 0, 9).await, Err(ErrorCode::OffsetOutOfRange));
        assert_eq!(fetch_all(&mut wire, 0, 10).await, Ok((10..20).collect()));
        home.without_power(node).await;
        let (node, mut wire) = home.start().await;
        assert_eq!(fetch_from(&mut wire, 0, 9).await, Err(ErrorCode::OffsetOutOfRange));
        assert_eq!(produce(&mut wire, 0, "value").await, Ok(20));
        node.stop().await;
    });
}

#[test]
fn a_moved_replica_remembers_what_a_producer_wrote_though_the_records_are_gone() {
    for (seed, has_power_losses) in [(0, false), (1, true), (2, true), (3, true)] {
        story_of_seed(seed, move |home| async move {
            let (node, mut wire) = one_in_a(&home, &[]).await;
            let request = |sequence| {
                let batch = batch_of("value").with_producer(ProducerId(7), ProducerEpoch(0), Sequence(sequence), false);
                produce_request(TOPIC, 0, batch)
            };
            for sequence in 0..5 {
                assert_eq!(wire.produce(&request(sequence)).await, Ok(sequence.into()));
            }
            assert_eq!(delete_records(&mut wire, 0, 4).await, ErrorCode::None);
            assert_eq!(move_to(&mut wire, "/b", TOPIC, 0).await, ErrorCode::None);
            moved(&home, &mut wire, 0, "/b").await;
            let ends = async |node: Node| match has_power_losses {
                true => home.without_power(node).await,
                false => node.stop().await,
            };
            ends(node).await;
            let (node, mut wire) = home.start().await;
            // The client has never heard of the last four: it sends them again.
            for sequence in 1..5 {
                assert_eq!(wire.produce(&request(sequence)).await, Ok(sequence.into()), "the same batch, once");
            }
            assert_eq!(wire.produce(&request(5)).await, Ok(5));
            ends(node).await;
            let (node, mut wire) = home.start().await;
            assert_eq!(wire.produce(&request(2)).await, Ok(2));
            assert_eq!(wire.produce(&request(6)).await, Ok(6));
            node.stop().await;
        });
    }
}

#[test]
fn a_move_that_waits_for_its_producers_can_be_called_off() {
    story(|home| async move {
        let (node, mut wire) = one_in_a(&home, &[]).await;
        let batch = batch_of("value").with_producer(ProducerId(7), ProducerEpoch(0), Sequence(0), false);
        assert_eq!(wire.produce(&produce_request(TOPIC, 0, batch)).await, Ok(0));
        assert_eq!(produce(&mut wire, 0, "value").await, Ok(1));
        assert_eq!(delete_records(&mut wire, 0, 1).await, ErrorCode::None);
        // The copy is complete but for what it is told of the producer: there is no room for a checkpoint.
        home.machine.disk().inject(Fault::no_space(Call::Write).on_path("/b/checkpoint"));
        assert_eq!(move_to(&mut wire, "/b", TOPIC, 0).await, ErrorCode::None);
        home.sleep(Duration::from_millis(300)).await;
        assert_eq!(whereabouts(&mut wire, 0).await, (vec!["/a".to_owned()], vec!["/b".to_owned()]), "it waits");
        assert_eq!(move_to(&mut wire, "/a", TOPIC, 0).await, ErrorCode::None);
        moved(&home, &mut wire, 0, "/a").await;
        assert_eq!(produce(&mut wire, 0, "value").await, Ok(2));
        home.sleep(Duration::from_secs(5)).await;
        assert_eq!(move_to(&mut wire, "/b", TOPIC, 0).await, ErrorCode::None);
        moved(&home, &mut wire, 0, "/b").await;
        assert_eq!(produce(&mut wire, 0, "value").await, Ok(3));
        node.stop().await;
    });
}

#[test]
fn a_replica_may_move_before_the_controller_has_heard_where_it_is() {
    for seed in 0..20 {
        story_of_seed(seed, move |home| async move {
            let (node, mut wire) = one_in_a(&home, &[]).await;
            assert_eq!(move_to(&mut wire, "/b", TOPIC, 0).await, ErrorCode::None);
            assert_eq!(produce(&mut wire, 0, "value").await, Ok(0));
            moved(&home, &mut wire, 0, "/b").await;
            home.sleep(Duration::from_secs(seed % 3)).await;
            home.without_power(node).await;
            let (node, mut wire) = home.start().await;
            assert_eq!(whereabouts(&mut wire, 0).await, (vec!["/b".to_owned()], vec![]));
            assert_eq!(fetch(&mut wire, 0).await, Ok(vec![0]), "seed {seed}");
            node.stop().await;
        });
    }
}

#[test]
fn a_power_loss_before_the_controller_has_heard_where_a_moving_replica_is_leaves_it_served() {
    let mut both = 0;
    for seed in 0..30 {
        let seen = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let found = seen.clone();
        story_of_seed(seed, move |home| async move {
            let (node, mut wire) = one_in_a(&home, &[]).await;
            assert_eq!(produce(&mut wire, 0, "value").await, Ok(0));
            assert_eq!(move_to(&mut wire, "/b", TOPIC, 0).await, ErrorCode::None);
            // Long enough for the lane to have the copy, and mostly not for the controller.
            home.sleep(Duration::from_micros(100 * (seed % 30))).await;
            home.without_power(node).await;
            let (node, mut wire) = home.start().await;
            assert_eq!(fetch(&mut wire, 0).await, Ok(vec![0]), "seed {seed}");
            assert_eq!(produce(&mut wire, 0, "value").await, Ok(1), "seed {seed}");
            home.sleep(Duration::from_secs(2)).await;
            let (current, future) = whereabouts(&mut wire, 0).await;
            assert_eq!((current.len(), future.len()), (1, 0), "seed {seed}: exactly one");
            let to = if current[0] == "/a" { "/b" } else { "/a" };
            assert_eq!(move_to(&mut wire, to, TOPIC, 0).await, ErrorCode::None, "nothing is in its way");
            moved(&home, &mut wire, 0, to).await;
            assert_eq!(fetch(&mut wire, 0).await, Ok(vec![0, 1]), "seed {seed}");
            found.store(current[0] == "/a", std::sync::atomic::Ordering::Relaxed);
            node.stop().await;
        });
        both += usize::from(seen.load(std::sync::atomic::Ordering::Relaxed));
    }
    assert!(both > 0, "every move was done before the power went");
}

/// Asks for a move to /b and writes, until the power goes. Answers where the acknowledged records end; they began to be
/// written at `end`.
async fn moving_until_the_power_goes(
    home: &Home,
    wire: &mut Wire,
    mut end: i64,
    request: impl Fn(i64) -> ProduceRequest,
) -> i64 {
    let client = async {
        let _ = wire.ask(&move_request("/b", TOPIC, 0), 2).await;
        while let Some(Ok(offset)) = wire.produce_while_up(&request(end)).await {
            assert_eq!(offset, end);
            end += 1;
        }
        std::future::pending::<()>().await;
    };
    // Whoever had a connection to it is not told.
    tokio::select! {
        biased;
        () = home.machine.down() => {}
        () = client => {}
    }
    end
}

#[test]
fn a_move_that_power_losses_cut_short_goes_on_by_itself_with_everything_that_was_acknowledged() {
    let (mut before, mut after, mut resumed) = (0, 0, 0);
    for seed in 0..48 {
        let at = std::sync::Arc::new(std::sync::Mutex::new((String::new(), false)));
        let found = at.clone();
        story_of_seed(seed, move |home| async move {
            let (node, mut wire) = one_in_a(&home, &[]).await;
            let mut end = 0;
            for _ in 0..20 {
                assert_eq!(produce(&mut wire, 0, &"v".repeat(500)).await, Ok(end));
                end += 1;
            }
            home.sleep(Duration::from_secs(1)).await;
            // Somewhere in what the disk has to do for it.
            home.machine.power_loss_in(1 + seed % 32);
            end = moving_until_the_power_goes(&home, &mut wire, end, |_| produce_request(TOPIC, 0, batch_of("more")))
                .await;
            drop(node);
            let was_marked = is_marked(&home, "/b");
            if seed % 3 == 0 {
                // Once more, somewhere in the start or in what the move has left to do.
                home.lives(1 + seed % 40).await;
            }
            let (node, mut wire) = home.start().await;
            if was_marked {
                moved(&home, &mut wire, 0, "/b").await;
            }
            home.sleep(Duration::from_secs(1)).await;
            let (current, future) = whereabouts(&mut wire, 0).await;
            assert_eq!((current.len(), future.len()), (1, 0), "seed {seed}: exactly one");
            let left = fetch(&mut wire, 0).await.expect("readable");
            assert_eq!(left, (0..left.len() as i64).collect::<Vec<i64>>(), "seed {seed}");
            let unanswered = left.len() as i64 - end;
            assert!((0..=1).contains(&unanswered), "seed {seed}: {} records of {end}", left.len());
            end = left.len() as i64;
            assert_eq!(produce(&mut wire, 0, "behind").await, Ok(end));
            // The directories hold nothing that is in its way.
            let to = if current[0] == "/a" { "/b" } else { "/a" };
            assert_eq!(move_to(&mut wire, to, TOPIC, 0).await, ErrorCode::None, "seed {seed}");
            moved(&home, &mut wire, 0, to).await;
            assert_eq!(fetch(&mut wire, 0).await, Ok((0..=end).collect()));
            node.stop().await;
            *found.lock().unwrap() = (current[0].clone(), was_marked);
        });
        let (current, was_marked) = &*at.lock().unwrap();
        resumed += usize::from(*was_marked);
        match &**current {
            "/a" => before += 1,
            _ => after += 1,
        }
    }
    println!("{before} stayed, {after} moved, {resumed} of them went on by themselves");
    assert!(before > 3 && after > resumed && resumed > 5);
}

/// The record of this offset, to a topic that is compacted: the keys go round, and each has a second of its own.
fn keyed_request(offset: i64, value: &str) -> ProduceRequest {
    let mut batch = BatchBuilder::new(Compression::None);
    let key = format!("key-{}", offset % KEYS);
    batch.append(Timestamp(1 + offset * 1000), Some(key.as_bytes()), Some(value.as_bytes()));
    produce_request(TOPIC, 0, batch)
}

const COMPACTED: [(&str, &str); 3] =
    [("cleanup.policy", "compact"), ("segment.ms", "500"), ("min.cleanable.dirty.ratio", "0.01")];

const KEYS: i64 = 5;

/// The newest offset of each of the keys: whatever compaction takes, these stay. All that is there is in order.
async fn assert_holds_newest(wire: &mut Wire, acknowledged: i64, what: &str) -> i64 {
    let left = fetch(wire, 0).await.expect("readable");
    assert!(left.is_sorted(), "{what}: {left:?}");
    let end = left.last().expect("something").saturating_add(1);
    assert!((0..=1).contains(&(end - acknowledged)), "{what}: {end} for {acknowledged}");
    for newest in end - KEYS..end {
        assert!(left.contains(&newest), "{what}: {newest} is missing in {left:?}");
    }
    end
}

#[test]
fn a_move_of_a_compacted_topic_goes_on_after_power_losses_that_follow_each_other_within_milliseconds() {
    let (mut resumed, mut compacted) = (0, 0);
    for seed in 0..32 {
        let at = std::sync::Arc::new(std::sync::Mutex::new((false, false)));
        let found = at.clone();
        story_of_seed(seed, move |home| async move {
            let (node, mut wire) = one_in_a(&home, &COMPACTED).await;
            let mut end = 0;
            for round in 0..4 {
                for _ in 0..10 {
                    assert_eq!(wire.produce(&keyed_request(end, "value")).await, Ok(end));
                    end += 1;
                }
                home.sleep(Duration::from_secs(if round == 2 { 40 } else { 1 })).await;
            }
            let is_compacted = fetch(&mut wire, 0).await.expect("readable").len() < end as usize;
            home.machine.power_loss_in(1 + seed % 32);
            end = moving_until_the_power_goes(&home, &mut wire, end, |offset| keyed_request(offset, "more")).await;
            drop(node);
            let was_marked = is_marked(&home, "/b");
            // Again and again in what a start and the rest of the move have to do.
            for again in 0..seed % 4 {
                home.lives(1 + (seed * 7 + again * 11) % 40).await;
            }
            let (node, mut wire) = home.start().await;
            let what = format!("seed {seed}");
            let mut end = assert_holds_newest(&mut wire, end, &what).await;
            if was_marked {
                moved(&home, &mut wire, 0, "/b").await;
            }
            home.sleep(Duration::from_secs(1)).await;
            let (current, future) = whereabouts(&mut wire, 0).await;
            assert_eq!((current.len(), future.len()), (1, 0), "{what}: exactly one");
            assert_eq!(assert_holds_newest(&mut wire, end, &what).await, end);
            for _ in 0..KEYS {
                assert_eq!(wire.produce(&keyed_request(end, "behind")).await, Ok(end), "{what}");
                end += 1;
            }
            home.sleep(Duration::from_secs(40)).await;
            assert_eq!(assert_holds_newest(&mut wire, end, &what).await, end, "compacted where it is now");
            let strays: usize = node.directories().opened().map(storage::LogDir::strays_count).sum();
            assert_eq!(strays, 0, "{what}");
            node.stop().await;
            *found.lock().unwrap() = (was_marked, is_compacted);
        });
        let (was_marked, was_compacted) = *at.lock().unwrap();
        resumed += usize::from(was_marked);
        compacted += usize::from(was_compacted);
    }
    println!("{resumed} went on by themselves, {compacted} had been compacted before");
    assert!(resumed > 5 && compacted > 20);
}

#[test]
fn a_move_ends_when_the_present_directory_is_named_or_the_other_one_fails() {
    story(|home| async move {
        let (node, mut wire) = one_in_a(&home, &[]).await;
        // Enough to be on the way for a while.
        for offset in 0..10 {
            assert_eq!(produce(&mut wire, 0, &"v".repeat(900_000)).await, Ok(offset));
        }
        home.sleep(Duration::from_secs(2)).await;
        assert_eq!(move_to(&mut wire, "/b", TOPIC, 0).await, ErrorCode::None);
        let underway = whereabouts(&mut wire, 0).await;
        assert_eq!(move_to(&mut wire, "/a", TOPIC, 0).await, ErrorCode::None);
        moved(&home, &mut wire, 0, "/a").await;
        assert_eq!(underway, (vec!["/a".to_owned()], vec!["/b".to_owned()]), "it was under way");
        assert_eq!(produce(&mut wire, 0, "value").await, Ok(10));

        home.machine.disk().inject(Fault::input_output(Call::SyncData).on_path("/b/lane/"));
        assert_eq!(move_to(&mut wire, "/b", TOPIC, 0).await, ErrorCode::None);
        home.sleep(Duration::from_secs(1)).await;
        assert_eq!(described(&mut wire).await["/b"], Err(ErrorCode::KafkaStorageError));
        assert_eq!(whereabouts(&mut wire, 0).await, (vec!["/a".to_owned()], vec![]));
        assert_eq!(produce(&mut wire, 0, "value").await, Ok(11), "it goes on where it is");
        assert_eq!(fetch(&mut wire, 0).await, Ok((0..12).collect()));
        node.stop().await;
    });
}
