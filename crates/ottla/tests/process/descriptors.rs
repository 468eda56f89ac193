//! A process that may have few files open: more partitions than descriptors are written, lost with the process, and read.
use std::process::Command;

use protocol::Records;
use protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use protocol::produce_request::PartitionProduceData;
use record::Batches;

use crate::broker::{Broker, Home, QUIET, Signal, ottla};
use crate::wire::{TOPIC, Wire, fetch, produce};

const DESCRIPTORS: usize = 200;
const PARTITIONS: i32 = 600;
/// Tails go to their segments after a second.
const SETTLED: std::time::Duration = std::time::Duration::from_millis(1500);

#[test]
fn more_partitions_than_descriptors_are_written_and_read() {
    let home = Home::new("descriptors");
    let broker = start(&home);
    let mut wire = Wire::connect(broker.address);
    let topic = CreatableTopic {
        name: TOPIC.to_owned(),
        num_partitions: PARTITIONS,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    assert_eq!(wire.ask(&request, 7).unwrap().topics[0].error_code, 0);
    for _ in 0..2 {
        write_all(&mut wire);
        std::thread::sleep(SETTLED);
        read_all(&mut wire, 1);
    }
    broker.signal(Signal::KILL);
    broker.ended();

    let broker = start(&home);
    let mut wire = Wire::connect(broker.address);
    write_all(&mut wire);
    std::thread::sleep(SETTLED);
    read_all(&mut wire, 3);
    drop(wire);
    broker.stop(Signal::TERM);
}

fn start(home: &Home) -> Broker {
    let plain = ottla(home, QUIET);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\"")]).arg(plain.get_program());
    limited.args(plain.get_args()).current_dir(home.path()).env_clear().env("TMPDIR", home.path());
    limited.stdin(std::process::Stdio::null());
    limited.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    Broker::spawn(limited)
}

fn write_all(wire: &mut Wire) {
    let mut request = produce("to each");
    let data = &mut request.topic_data[0].partition_data;
    let of = |index| PartitionProduceData { index, ..data[0].clone() };
    *data = (0..PARTITIONS).map(of).collect();
    let response = wire.ask(&request, 9).unwrap();
    for partition in &response.responses[0].partition_responses {
        assert_eq!(partition.error_code, 0, "{TOPIC}-{}", partition.index);
    }
}

fn read_all(wire: &mut Wire, batches_min: usize) {
    for partition in 0..PARTITIONS {
        let mut request = fetch(0, 0);
        request.topics[0].partitions[0].partition = partition;
        let response = wire.ask(&request, 12).unwrap();
        let answered = &response.responses[0].partitions[0];
        assert_eq!(answered.error_code, 0, "{TOPIC}-{partition}");
        let Some(Records::Here(bytes)) = &answered.records else { panic!("records are never null") };
        assert!(Batches::new(bytes).count() >= batches_min, "{TOPIC}-{partition}");
    }
}
