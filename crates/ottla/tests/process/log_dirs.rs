//! Several real log directories: one that is not there at the start, and one that is taken away from a running broker.
use std::time::Instant;

use protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use protocol::describe_log_dirs_request::DescribeLogDirsRequest;

use crate::broker::{Broker, Home, PATIENCE, Signal, address_after, http};
use crate::wire::{Wire, produce};

const KAFKA_STORAGE_ERROR: i16 = 56;
const ARGUMENTS: &[&str] = &[
    "--override",
    "log.dirs=one,two",
    "--override",
    "listeners=PLAINTEXT://127.0.0.1:0",
    "--override",
    "ottla.http.listener=127.0.0.1:0",
];

fn create(wire: &mut Wire, name: &str) {
    let topic = CreatableTopic { name: name.into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    assert_eq!(wire.ask(&request, 7).unwrap().topics[0].error_code, 0);
}

fn produce_to(wire: &mut Wire, topic: &str) -> i16 {
    let mut request = produce("hello");
    request.topic_data[0].name = topic.to_owned();
    wire.ask(&request, 9).unwrap().responses[0].partition_responses[0].error_code
}

/// The error of each directory, and the topics in it.
fn described(wire: &mut Wire) -> Vec<(i16, Vec<String>)> {
    let response = wire.ask(&DescribeLogDirsRequest { topics: None, ..Default::default() }, 4).unwrap();
    assert!(response.results[0].log_dir.ends_with("one") && response.results[1].log_dir.ends_with("two"));
    let names = |topics: Vec<_>| {
        topics.into_iter().map(|topic: protocol::describe_log_dirs_response::DescribeLogDirsTopic| topic.name)
    };
    response.results.into_iter().map(|result| (result.error_code, names(result.topics).collect())).collect()
}

#[test]
fn the_broker_goes_on_without_a_directory_that_is_taken_away_and_starts_without_one_that_is_not_there() {
    let home = Home::new("log-dirs");
    let broker = Broker::start_with(&home, ARGUMENTS);
    let mut wire = Wire::connect(broker.address);
    for topic in ["first", "second"] {
        create(&mut wire, topic);
        assert_eq!(produce_to(&mut wire, topic), 0);
    }
    assert_eq!(described(&mut wire), [(0, vec!["first".to_owned()]), (0, vec!["second".to_owned()])]);
    broker.stop(Signal::TERM);

    // Something else stands in its place.
    std::fs::rename(home.join("two"), home.join("away")).unwrap();
    std::fs::write(home.join("two"), "not a directory").unwrap();
    let broker = Broker::start_with(&home, ARGUMENTS);
    broker.err.wait_for("the log directory is offline");
    let at = address_after(&broker.err.wait_for("/health/ready"), "metrics on http://");
    let mut wire = Wire::connect(broker.address);
    assert_eq!(described(&mut wire), [(0, vec!["first".to_owned()]), (KAFKA_STORAGE_ERROR, vec![])]);
    assert_eq!((produce_to(&mut wire, "first"), produce_to(&mut wire, "second")), (0, 6));
    let (status, text) = http(at, "/health/ready");
    assert!(status == 200 && text.contains("a log directory is offline"), "{text}");
    broker.stop(Signal::TERM);

    std::fs::remove_file(home.join("two")).unwrap();
    std::fs::rename(home.join("away"), home.join("two")).unwrap();
    let broker = Broker::start_with(&home, ARGUMENTS);
    broker.err.wait_for("started; nothing had to be recovered");
    let mut wire = Wire::connect(broker.address);
    assert_eq!((produce_to(&mut wire, "first"), produce_to(&mut wire, "second")), (0, 0), "it is back");

    std::fs::remove_dir_all(home.join("two")).unwrap();
    let began = Instant::now();
    while produce_to(&mut wire, "second") != KAFKA_STORAGE_ERROR {
        assert!(began.elapsed() < PATIENCE, "nobody notices");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    broker.err.wait_for("the others go on");
    assert_eq!(produce_to(&mut wire, "first"), 0);
    assert_eq!(described(&mut wire)[1], (KAFKA_STORAGE_ERROR, vec![]));
    broker.stop(Signal::TERM);
}

#[test]
fn the_broker_ends_when_its_last_directory_does() {
    let home = Home::new("last-dir");
    let broker = Broker::start_with(
        &home,
        &["--override", "listeners=PLAINTEXT://127.0.0.1:0", "--override", "ottla.http.listener="],
    );
    let mut wire = Wire::connect(broker.address);
    wire.create_topic();
    std::fs::remove_dir_all(home.data()).unwrap();
    // Acknowledged from the journal, of which the system still has the file, but for a broker that has noticed already.
    let _ = wire.ask(&produce("hello"), 9);
    let ended = broker.ended().with_code(1);
    assert!(ended.err.contains("has failed: the broker stops"), "{}", ended.err);
}
