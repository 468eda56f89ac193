//! How it ends, by its own will and not, and what is there when it starts again.
use std::time::{Duration, Instant};

use protocol::ErrorCode;
use protocol::find_coordinator_request::FindCoordinatorRequest;
use protocol::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::metadata_request::MetadataRequest;
use protocol::produce_request::ProduceRequest;

use crate::broker::{Broker, Home, QUIET, STOP_MAX, Signal};
use crate::wire::{TOPIC, Wire, fetch, produce};

/// Requests of one connection on their way at a time.
const IN_FLIGHT: usize = 5;

/// A producer in a thread of its own: keeps requests on their way until the broker is gone.
struct Producer {
    thread: std::thread::JoinHandle<Vec<String>>,
}

impl Producer {
    /// Returns after the first acknowledgements.
    fn start(broker: &Broker, name: &'static str) -> Producer {
        let mut wire = Wire::connect(broker.address);
        let (first, begun) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut acknowledged: Vec<String> = Vec::new();
            let mut sent = 0;
            loop {
                while sent < acknowledged.len() + IN_FLIGHT {
                    // A connection that is closed for writing may still give answers.
                    let _ = wire.send(&produce(&format!("{name} {sent}")), 9);
                    sent += 1;
                }
                let Ok(answer) = wire.receive::<ProduceRequest>(9) else { return acknowledged };
                match answer.responses[0].partition_responses[0].error_code {
                    0 => acknowledged.push(format!("{name} {}", acknowledged.len())),
                    // Of a broker that stops: whatever comes after it may be there or not, and no client counts on it.
                    code => {
                        assert!(is_retriable(code), "{:?}", ErrorCode::from_code(code));
                        return acknowledged;
                    }
                }
                if acknowledged.len() == 3 * IN_FLIGHT {
                    let _ = first.send(());
                }
            }
        });
        begun.recv_timeout(crate::broker::PATIENCE).expect("the first acknowledgements");
        Producer { thread }
    }

    fn acknowledged(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

/// What makes a client ask for metadata and send again.
fn is_retriable(code: i16) -> bool {
    let retriable = [ErrorCode::NotLeaderOrFollower, ErrorCode::KafkaStorageError, ErrorCode::LeaderNotAvailable];
    ErrorCode::from_code(code).is_some_and(|code| retriable.contains(&code))
}

/// Every acknowledged record is there, once, in order; of one producer, nothing stands between two of them.
#[track_caller]
fn assert_all_there(read: &[String], name: &str, acknowledged: &[String]) {
    let of_producer: Vec<&String> =
        read.iter().filter(|value| value.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '))).collect();
    let (counted, beyond) = of_producer.split_at(acknowledged.len().min(of_producer.len()));
    assert_eq!(counted.len(), acknowledged.len(), "acknowledged records of {name} are missing");
    assert!(counted.iter().zip(acknowledged).all(|(read, acknowledged)| *read == acknowledged), "{counted:?}");
    assert!(beyond.len() <= IN_FLIGHT, "what was never sent cannot be there: {beyond:?}");
}

#[test]
fn what_was_acknowledged_before_a_stop_is_there_after_it() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new("stop");
        let broker = Broker::start(&home);
        Wire::connect(broker.address).create_topic();
        let idle: Vec<Wire> = (0..20).map(|_| Wire::connect(broker.address)).collect();
        let producers = ["a", "b"].map(|name| (name, Producer::start(&broker, name)));
        broker.stop(signal);
        drop(idle);

        let broker = Broker::start(&home);
        broker.err.wait_for("started; nothing had to be recovered");
        let read = Wire::connect(broker.address).read_all();
        for (name, producer) in producers {
            assert_all_there(&read, name, &producer.acknowledged());
        }
    }
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let home = Home::new("kill");
    let broker = Broker::start(&home);
    Wire::connect(broker.address).create_topic();
    let producers = ["a", "b"].map(|name| (name, Producer::start(&broker, name)));
    broker.kill();
    let acknowledged = producers.map(|(name, producer)| (name, producer.acknowledged()));

    let broker = Broker::start(&home);
    broker.err.wait_for("started; recovered");
    let mut wire = Wire::connect(broker.address);
    let read = wire.read_all();
    for (name, acknowledged) in &acknowledged {
        assert_all_there(&read, name, acknowledged);
    }
    // And once more, with what recovery itself has written.
    let offset = wire.ask(&produce("c 0"), 9).unwrap().responses[0].partition_responses[0].base_offset;
    assert_eq!(offset, read.len() as i64);
    broker.kill();
    let broker = Broker::start(&home);
    let again = Wire::connect(broker.address).read_all();
    assert_eq!((&again[..read.len()], &again[read.len()..]), (&read[..], &["c 0".to_owned()][..]));
    broker.stop(Signal::TERM);
}

#[test]
fn a_long_poll_does_not_hold_up_a_stop() {
    let home = Home::new("poll");
    let broker = Broker::start(&home);
    let mut wire = Wire::connect(broker.address);
    wire.create_topic();
    let mut polling = Wire::connect(broker.address);
    polling.send(&fetch(0, 300_000), 12).unwrap();
    std::thread::sleep(Duration::from_millis(50)); // So that it waits; if it does not yet, the test is only weaker.
    broker.stop(Signal::TERM);
    Broker::start(&home).err.wait_for("started; nothing had to be recovered");
}

#[test]
fn a_join_that_waits_does_not_hold_up_a_stop() {
    let home = Home::new("join");
    // The first member waits so long for others.
    let arguments = [QUIET, &["--override", "group.initial.rebalance.delay.ms=300000"]].concat();
    let broker = Broker::start_with(&home, &arguments);
    let mut wire = Wire::connect(broker.address);
    wire.create_topic();
    let group = "readers".to_owned();
    let find = FindCoordinatorRequest { coordinator_keys: vec![group.clone()], ..Default::default() };
    assert_eq!(wire.ask(&find, 4).unwrap().coordinators[0].error_code, 0);
    let protocol = JoinGroupRequestProtocol { name: "range".to_owned(), ..Default::default() };
    let mut join = JoinGroupRequest {
        group_id: group,
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol],
        ..Default::default()
    };
    // Once its log is loaded, the coordinator gives a member id, with which the member asks again.
    while join.member_id.is_empty() {
        let answer = wire.ask(&join, 5).unwrap();
        match ErrorCode::from_code(answer.error_code) {
            Some(ErrorCode::MemberIdRequired) => join.member_id = answer.member_id,
            Some(ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator) => {}
            error => panic!("{error:?}"),
        }
    }
    wire.send(&join, 5).unwrap();
    std::thread::sleep(Duration::from_millis(50)); // So that it waits; if it does not yet, the test is only weaker.
    broker.stop(Signal::TERM);
    // Either way the member knows that it must look for its coordinator again.
    match wire.receive::<JoinGroupRequest>(5) {
        Ok(answer) => assert_eq!(ErrorCode::from_code(answer.error_code), Some(ErrorCode::NotCoordinator)),
        Err(_closed) => {}
    }
    Broker::start(&home).err.wait_for("started; nothing had to be recovered");
}

#[test]
fn a_client_that_never_reads_does_not_hold_up_a_stop() {
    let home = Home::new("deaf");
    let broker = Broker::start(&home);
    let mut wire = Wire::connect(broker.address);
    wire.create_topic();
    let large = "x".repeat(900_000);
    for _ in 0..8 {
        wire.ask(&produce(&large), 9).unwrap();
    }
    let mut deaf = Wire::connect(broker.address);
    for _ in 0..20 {
        deaf.send(&fetch(0, 0), 12).unwrap();
    }
    broker.stop(Signal::TERM);
    Broker::start(&home).err.wait_for("started; nothing had to be recovered");
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing() {
    let home = Home::new("twice");
    let broker = Broker::start(&home);
    Wire::connect(broker.address).create_topic();
    let producer = Producer::start(&broker, "a");
    let began = Instant::now();
    broker.signal(Signal::TERM);
    broker.err.wait_for("a second signal ends the process at once");
    broker.signal(Signal::TERM);
    let ended = broker.ended();
    assert!(began.elapsed() < STOP_MAX);
    // The stop may have been done before the second signal came.
    match ended.status.code() {
        Some(0) => assert!(ended.err.contains("stopped"), "{}", ended.err),
        Some(1) => assert!(ended.err.contains("ended at once; the next start recovers the log"), "{}", ended.err),
        code => panic!("{code:?}: {}", ended.err),
    }
    let acknowledged = producer.acknowledged();
    let broker = Broker::start(&home);
    assert_all_there(&Wire::connect(broker.address).read_all(), "a", &acknowledged);
}

#[test]
fn a_signal_during_the_start_ends_it() {
    let home = Home::new("early");
    for delay_ms in [0, 5, 10, 20, 40, 80] {
        let mut command = crate::broker::ottla(&home, QUIET);
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        let began = Instant::now();
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        let by_signal = std::os::unix::process::ExitStatusExt::signal(&status);
        // Before it listens for signals, the signal itself ends it.
        assert!(status.code() == Some(0) || by_signal == Some(Signal::TERM.as_raw()), "{status:?}");
        assert!(began.elapsed() < STOP_MAX);
    }
    let broker = Broker::start(&home);
    Wire::connect(broker.address).create_topic();
    broker.stop(Signal::TERM);
}

#[test]
fn topics_outlive_every_kind_of_end() {
    let home = Home::new("topics");
    let broker = Broker::start(&home);
    let mut wire = Wire::connect(broker.address);
    wire.create_topic();
    wire.ask(&produce("hello"), 9).unwrap();
    broker.stop(Signal::TERM);
    let broker = Broker::start(&home);
    broker.kill();
    let broker = Broker::start(&home);
    let mut wire = Wire::connect(broker.address);
    let all = MetadataRequest { topics: None, ..Default::default() };
    let topics = wire.ask(&all, 12).unwrap().topics;
    let names: Vec<&str> = topics.iter().filter_map(|topic| topic.name.as_deref()).collect();
    assert_eq!(names, [TOPIC]);
    assert_eq!(wire.read_all(), ["hello"]);
}
