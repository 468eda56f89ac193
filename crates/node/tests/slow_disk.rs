//! A fetch of much that is on a disk which takes seconds for each read: the client gets what there is before it gives up.
#[allow(dead_code, reason = "each test uses its part")]
mod home;
#[allow(dead_code, reason = "each test uses its part")]
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use env::sim::{Settings, World};
use home::Home;
use node::config::Config;
use protocol::Records;
use protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use wire::Wire;
use wire::records::{batch_of, fetched};

const PARTITIONS: i32 = 8;
const READ: Duration = Duration::from_secs(3);
/// Kafka's clients give up on a request after 30 seconds.
const ANSWER_MAX: Duration = Duration::from_secs(15);

#[test]
fn a_slow_disk_is_waited_for_as_long_as_a_client_waits() {
    let read_ns = READ.as_nanos() as u64;
    let settings = Settings { cold_read_ns: read_ns..read_ns + 1, ..Settings::seed(5) };
    env::sim::simulate(settings, |world: World| async move {
        let machine = world.machine("broker");
        let home = Home { client: world.machine("client"), machine, world };
        let config = Config::for_tests_at("/data", "0.0.0.0", 9092);
        let node = home.start_with(&config).await.expect("it starts");
        let mut wire = home.connect().await;
        write(&mut wire).await;
        node.stop().await; // Nothing is left in the tails, and nothing to recover.
        home.machine.power_loss(); // Nor in the page cache.
        home.machine.down().await;
        let node = home.start_with(&config).await.expect("it starts");
        let mut wire = home.connect().await;
        let mut offsets: BTreeMap<i32, i64> = (0..PARTITIONS).map(|index| (index, 0)).collect();
        let mut fetches = 0;
        while !offsets.is_empty() {
            let asked_at = home.client.env().clock.now();
            let read = fetch(&mut wire, &offsets).await;
            let took = home.client.env().clock.now() - asked_at;
            assert!(took < ANSWER_MAX, "an answer after {took:?}");
            assert!(!read.is_empty(), "each fetch brings something");
            read.iter().for_each(|index| assert!(offsets.remove(index).is_some(), "partition {index} twice"));
            fetches += 1;
        }
        assert!(fetches > 1, "one fetch has waited for all");
        node.stop().await;
    });
}

async fn write(wire: &mut Wire) {
    wire.create("slow", PARTITIONS, &[]).await;
    let partition = |index| {
        let records = Some(Records::Here(batch_of("a value").build().into()));
        PartitionProduceData { index, records, ..Default::default() }
    };
    let data = (0..PARTITIONS).map(partition).collect();
    let topic = TopicProduceData { name: "slow".to_owned(), partition_data: data, ..Default::default() };
    let request = ProduceRequest { acks: -1, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() };
    let answer = wire.ask(&request, 9).await.expect("an answer");
    assert!(answer.responses[0].partition_responses.iter().all(|partition| partition.error_code == 0));
}

/// The partitions of which something came.
async fn fetch(wire: &mut Wire, offsets: &BTreeMap<i32, i64>) -> Vec<i32> {
    let partition = |(&partition, &fetch_offset): (&i32, &i64)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let partitions = offsets.iter().map(partition).collect();
    let topic = FetchTopic { topic: "slow".to_owned(), partitions, ..Default::default() };
    let topics = vec![topic];
    let request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics,
        session_epoch: -1,
        ..Default::default()
    };
    let answer = wire.ask(&request, 11).await.expect("an answer");
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    partitions
        .filter(|partition| !fetched(partition).expect("readable").is_empty())
        .map(|partition| partition.partition_index)
        .collect()
}
