//! What one node promises, row by row of the table in docs/durability.md, through the whole broker on a simulated machine.
//! The engine's own tests go through every crash (storage/tests/enumeration.rs) and every flipped bit (damage.rs), `sim`
//! through long lives; here each row is one small story that can be read.
#[allow(dead_code, reason = "each test uses its part")]
mod home;
#[allow(dead_code, reason = "each test uses its part")]
mod wire;

use std::time::Duration;

use env::sim::disk::{Call, Fault};
use home::{Home, story};
use node::Node;
use node::config::Config;
use protocol::ErrorCode;
use protocol::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use protocol::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use protocol::produce_request::ProduceRequest;
use record::{BatchBuilder, Compression, ProducerEpoch, ProducerId, Sequence, Timestamp};
use wire::Wire;
use wire::records::produce_request;

const FLUSH: &str = "flush";
const RELAXED: &str = "relaxed";
/// What lies in the tails is in the segments after that, and what a relaxed topic has is synced.
const SETTLED: Duration = Duration::from_secs(5);
const ACKS_ALL: i16 = -1;

impl Home {
    async fn start(&self) -> Node {
        self.start_with(&Config::for_tests_at("/data", "0.0.0.0", 9092)).await.expect("it starts")
    }

    /// With one topic of each durability.
    async fn start_with_topics(&self) -> (Node, Wire) {
        let node = self.start().await;
        let mut wire = self.connect().await;
        for name in [FLUSH, RELAXED] {
            wire.create(name, 1, &[("durability", name)]).await;
        }
        (node, wire)
    }

    async fn again(&self) -> (Node, Wire) {
        let node = self.start().await;
        (node, self.connect().await)
    }

    async fn settle(&self) {
        self.sleep(SETTLED).await;
    }
}

/// A batch of one record, put into `batch`.
fn request_of(topic: &str, mut batch: BatchBuilder, acks: i16, value: &str) -> ProduceRequest {
    batch.append(Timestamp(1), None, Some(value.as_bytes()));
    ProduceRequest { acks, ..produce_request(topic, 0, batch) }
}

async fn produce(wire: &mut Wire, topic: &str, acks: i16, value: &str) -> Result<i64, ErrorCode> {
    wire.produce(&request_of(topic, BatchBuilder::new(Compression::None), acks, value)).await
}

async fn fetch(wire: &mut Wire, topic: &str, from: i64) -> Result<Vec<(i64, String)>, ErrorCode> {
    wire.fetch(topic, 0, from).await
}

async fn read_all(wire: &mut Wire, topic: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let read = fetch(wire, topic, all.len() as i64).await.expect("readable");
        if read.is_empty() {
            return all;
        }
        for (offset, value) in read {
            assert_eq!(offset, all.len() as i64, "in order, and without a gap");
            all.push(value);
        }
    }
}

fn values(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("value {number}")).collect()
}

async fn produce_all(wire: &mut Wire, topic: &str, range: std::ops::Range<u32>) {
    for value in values(range) {
        produce(wire, topic, ACKS_ALL, &value).await.expect("acknowledged");
    }
}

#[test]
fn a_clean_restart_keeps_everything_that_was_acknowledged() {
    story(|home| async move {
        let (node, mut wire) = home.start_with_topics().await;
        for topic in [FLUSH, RELAXED] {
            produce_all(&mut wire, topic, 0..20).await;
        }
        drop(wire);
        node.stop().await;
        home.machine.kill();
        home.machine.down().await;
        let (node, mut wire) = home.again().await;
        assert!(node.was_clean());
        for topic in [FLUSH, RELAXED] {
            assert_eq!(read_all(&mut wire, topic).await, values(0..20), "{topic}");
        }
        node.stop().await;
    });
}

#[test]
fn a_kill_keeps_everything_that_was_acknowledged_whatever_the_durability() {
    story(|home| async move {
        let (node, mut wire) = home.start_with_topics().await;
        for topic in [FLUSH, RELAXED] {
            produce_all(&mut wire, topic, 0..20).await;
            produce(&mut wire, topic, 1, "value 20").await.expect("acks=1");
        }
        home.killed(node).await;
        let (node, mut wire) = home.again().await;
        for topic in [FLUSH, RELAXED] {
            assert_eq!(read_all(&mut wire, topic).await, values(0..21), "{topic}");
        }
        node.stop().await;
    });
}

#[test]
fn a_power_loss_takes_nothing_that_a_flush_topic_has_acknowledged_with_acks_1_or_all() {
    story(|home| async move {
        let (mut node, mut wire) = home.start_with_topics().await;
        let mut count = 0;
        for round in 0..6 {
            for acks in [ACKS_ALL, 1] {
                let value = format!("value {count}");
                produce(&mut wire, FLUSH, acks, &value).await.expect("acknowledged");
                count += 1;
            }
            if round == 3 {
                home.settle().await;
            }
            home.without_power(node).await;
            (node, wire) = home.again().await;
            assert_eq!(read_all(&mut wire, FLUSH).await, values(0..count));
        }
        node.stop().await;
    });
}

#[test]
fn a_power_loss_takes_no_more_of_a_relaxed_topic_than_its_newest_group() {
    story(|home| async move {
        let (node, mut wire) = home.start_with_topics().await;
        produce_all(&mut wire, RELAXED, 0..20).await;
        home.settle().await;
        produce_all(&mut wire, RELAXED, 20..40).await;
        home.without_power(node).await;
        let (node, mut wire) = home.again().await;
        let left = read_all(&mut wire, RELAXED).await;
        assert!(left.len() >= 20, "what was synced is lost: {}", left.len());
        assert_eq!(left, values(0..left.len() as u32), "the beginning, and nothing else");
        node.stop().await;
    });
}

#[test]
fn an_idempotent_producer_s_repeated_batch_is_in_the_log_once_also_after_a_power_loss() {
    story(|home| async move {
        let (node, mut wire) = home.start_with_topics().await;
        let batch = |sequence: i32| {
            BatchBuilder::new(Compression::None).with_producer(
                ProducerId(4711),
                ProducerEpoch(0),
                Sequence(sequence),
                false,
            )
        };
        for sequence in 0..4 {
            let request = request_of(FLUSH, batch(sequence), ACKS_ALL, &format!("value {sequence}"));
            assert_eq!(wire.produce(&request).await, Ok(sequence.into()));
        }
        home.without_power(node).await;
        let (node, mut wire) = home.again().await;
        let again = request_of(FLUSH, batch(3), ACKS_ALL, "value 3");
        assert_eq!(wire.produce(&again).await, Ok(3), "answered with the first one's offset");
        let next = request_of(FLUSH, batch(4), ACKS_ALL, "value 4");
        assert_eq!(wire.produce(&next).await, Ok(4));
        assert_eq!(read_all(&mut wire, FLUSH).await, values(0..5));
        node.stop().await;
    });
}

/// The only one.
fn directory(node: &Node) -> &storage::LogDir {
    node.directories().opened().next().expect("it was opened")
}

/// The segment of a topic.
fn segment(home: &Home, topic: &str) -> String {
    use env::Disk;
    let entries = home.machine.disk().read_dir(std::path::Path::new("/data")).unwrap();
    let prefix = format!("{topic}-0.");
    let directory = entries.iter().find(|entry| entry.name.starts_with(&prefix)).expect("it has a directory");
    format!("/data/{}/00000000000000000000.log", directory.name)
}

#[test]
fn bit_rot_is_never_served_and_everything_around_it_is() {
    story(|home| async move {
        let (node, mut wire) = home.start_with_topics().await;
        produce_all(&mut wire, FLUSH, 0..20).await;
        home.settle().await;
        let path = segment(&home, FLUSH);
        let size = home.machine.disk().visible(&path).expect("it was written").len() as u64 / 20;
        // In the value of record 7.
        home.machine.disk().rot(&path, 7 * size + size - 3, 0x10);
        home.machine.disk().evict(&path);
        let read = fetch(&mut wire, FLUSH, 0).await.expect("what comes before");
        assert_eq!(read.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>(), values(0..7));
        assert_eq!(fetch(&mut wire, FLUSH, 7).await, Err(ErrorCode::CorruptMessage));
        let behind = fetch(&mut wire, FLUSH, 8).await.expect("what comes behind");
        assert_eq!(behind.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>(), values(8..20));
        produce(&mut wire, FLUSH, ACKS_ALL, "value 20").await.expect("the log goes on");
        assert_eq!(directory(&node).faulty_ranges(), 1);

        // It is remembered, through every end.
        home.without_power(node).await;
        let (node, mut wire) = home.again().await;
        assert_eq!(directory(&node).faulty_ranges(), 1);
        assert_eq!(fetch(&mut wire, FLUSH, 7).await, Err(ErrorCode::CorruptMessage));
        assert_eq!(fetch(&mut wire, FLUSH, 20).await.expect("the newest")[0].1, "value 20");
        node.stop().await;
    });
}

#[test]
fn a_write_that_landed_in_another_file_is_missed_here_and_known_there_and_never_served() {
    story(|home| async move {
        let (node, mut wire) = home.start_with_topics().await;
        let value = |topic: &str, number: i64| format!("{topic} {number} {}", "x".repeat(1000));
        for number in 0..20 {
            for topic in [FLUSH, RELAXED] {
                assert_eq!(produce(&mut wire, topic, ACKS_ALL, &value(topic, number)).await, Ok(number));
            }
        }
        home.settle().await;
        // The sync of a clean stop, behind which nobody needs the lane.
        home.machine.disk().misdirect("/flush-0.", segment(&home, RELAXED), 2);
        node.stop().await;
        home.machine.power_loss();
        home.machine.down().await;
        let (node, mut wire) = home.again().await;
        for topic in [FLUSH, RELAXED] {
            let (mut from, mut lost) = (0, 0);
            while from < 20 {
                match fetch(&mut wire, topic, from).await {
                    Ok(read) => {
                        for (offset, read) in read {
                            assert_eq!((offset, read), (from, value(topic, from)), "{topic}");
                            from += 1;
                        }
                    }
                    Err(error) => {
                        assert_eq!(error, ErrorCode::CorruptMessage);
                        (from, lost) = (from + 1, lost + 1);
                    }
                }
            }
            assert!((1..10).contains(&lost), "{topic}: {lost} are lost");
            assert_eq!(produce(&mut wire, topic, ACKS_ALL, "value 20").await, Ok(20), "{topic}: the log goes on");
        }
        assert_eq!(directory(&node).faulty_ranges(), 2);
        node.stop().await;
    });
}

#[test]
fn one_rotten_checkpoint_costs_nothing_whichever_of_the_two_it_is() {
    use env::{Disk, OpenOptions};
    story(|home| async move {
        let (mut node, mut wire) = home.start_with_topics().await;
        let mut count = 0;
        for round in 0..8 {
            produce_all(&mut wire, FLUSH, count..count + 3).await;
            count += 3;
            if round % 4 > 1 {
                home.settle().await;
            }
            home.without_power(node).await;
            let path = format!("/data/checkpoint-{}", round % 2);
            let file = home.machine.disk().open(path.as_ref(), OpenOptions::WRITE).expect("it is there");
            file.write_all_at(&[std::io::IoSlice::new(&[0x55; 40])], 8).expect("written");
            file.sync_data().expect("synced");
            (node, wire) = home.again().await;
            assert_eq!(read_all(&mut wire, FLUSH).await, values(0..count), "round {round}");
            assert_eq!(directory(&node).faulty_ranges(), 0);
            // Long enough for the one that is made anew, so that the next may be the other one.
            home.sleep(Duration::from_millis(200)).await;
        }
        node.stop().await;
    });
}

#[test]
fn a_sync_that_fails_also_for_want_of_space_takes_the_directory_offline_and_acknowledges_nothing_more() {
    for fault in [Fault::input_output(Call::SyncData), Fault::no_space(Call::SyncData)] {
        a_sync_fails(fault.on_path("/lane/"));
    }
}

fn a_sync_fails(fault: Fault) {
    story(|home| async move {
        let (node, mut wire) = home.start_with_topics().await;
        produce_all(&mut wire, FLUSH, 0..5).await;
        home.machine.disk().inject(fault);
        assert_eq!(produce(&mut wire, FLUSH, ACKS_ALL, "lost").await, Err(ErrorCode::KafkaStorageError));
        assert!(directory(&node).is_offline());
        assert_eq!(produce(&mut wire, FLUSH, 1, "lost").await, Err(ErrorCode::KafkaStorageError));
        home.without_power(node).await;
        let (node, mut wire) = home.again().await;
        let left = read_all(&mut wire, FLUSH).await;
        assert_eq!(left[..5], values(0..5)[..]);
        assert!(left.len() <= 6, "{left:?}");
        node.stop().await;
    });
}

#[test]
fn a_full_disk_refuses_produces_with_a_retriable_error_and_everything_else_goes_on_until_there_is_room() {
    story(|home| async move {
        let (node, mut wire) = home.start_with_topics().await;
        wire.create("spare", 1, &[("durability", FLUSH)]).await;
        produce_all(&mut wire, FLUSH, 0..20).await;
        home.settle().await;
        home.machine.disk().set_free_bytes(1 << 20);
        // What comes before anybody has looked at the disk is let in, and kept.
        let mut count = 20;
        while let Ok(offset) = produce(&mut wire, FLUSH, ACKS_ALL, &format!("value {count}")).await {
            assert_eq!(offset, i64::from(count));
            count += 1;
            assert!(count < 30, "nobody notices");
            home.settle().await;
        }
        for topic in [FLUSH, RELAXED] {
            // KAFKA_STORAGE_ERROR is an InvalidMetadataException: every client sends again.
            assert_eq!(produce(&mut wire, topic, ACKS_ALL, "no").await, Err(ErrorCode::KafkaStorageError), "{topic}");
        }
        assert!(!directory(&node).is_offline());
        assert_eq!(read_all(&mut wire, FLUSH).await, values(0..count), "reads go on");
        let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: 5, ..Default::default() }];
        let topics = vec![DeleteRecordsTopic { name: FLUSH.to_owned(), partitions, ..Default::default() }];
        let request = DeleteRecordsRequest { topics, timeout_ms: 5000, ..Default::default() };
        let response = wire.ask(&request, 2).await.expect("an answer");
        assert_eq!(response.topics[0].partitions[0].error_code, 0, "records are deleted");
        let topics = vec![DeleteTopicState { name: Some("spare".to_owned()), ..Default::default() }];
        let request = DeleteTopicsRequest { topics, timeout_ms: 5000, ..Default::default() };
        assert_eq!(wire.ask(&request, 6).await.expect("an answer").responses[0].error_code, 0, "topics are deleted");

        home.machine.disk().set_free_bytes(1 << 30);
        home.settle().await;
        let value = format!("value {count}");
        assert_eq!(produce(&mut wire, FLUSH, ACKS_ALL, &value).await, Ok(count.into()), "it recovers by itself");
        home.without_power(node).await;
        let (node, mut wire) = home.again().await;
        let left = fetch(&mut wire, FLUSH, 5).await.expect("readable");
        assert_eq!(left.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), values(5..count + 1));
        node.stop().await;
    });
}

#[test]
fn a_clock_that_jumps_by_hours_loses_nothing() {
    story(|home| async move {
        let (node, mut wire) = home.start_with_topics().await;
        let mut count = 0;
        for hours in [5, -20, 30, -10] {
            home.machine.jump_wall_ms(hours * 3_600_000);
            produce_all(&mut wire, FLUSH, count..count + 5).await;
            count += 5;
            home.settle().await;
        }
        assert_eq!(read_all(&mut wire, FLUSH).await, values(0..count));
        home.without_power(node).await;
        home.machine.jump_wall_ms(-50 * 3_600_000);
        let (node, mut wire) = home.again().await;
        assert_eq!(read_all(&mut wire, FLUSH).await, values(0..count));
        produce(&mut wire, FLUSH, ACKS_ALL, "one more").await.expect("acknowledged");
        node.stop().await;
    });
}

#[test]
fn acks_0_may_lose_what_is_in_flight_and_never_the_order() {
    story(|home| async move {
        let (node, mut wire) = home.start_with_topics().await;
        for value in values(0..30) {
            let request = request_of(FLUSH, BatchBuilder::new(Compression::None), 0, &value);
            let frame = protocol::encode_request(&request, 9, 7, Some("test")).expect("a request");
            wire.send(&frame).await;
        }
        home.world.sleep(Duration::from_millis(3)).await;
        home.without_power(node).await;
        let (node, mut wire) = home.again().await;
        let left = read_all(&mut wire, FLUSH).await;
        assert_eq!(left, values(0..left.len() as u32), "a beginning of what was sent");
        node.stop().await;
    });
}
