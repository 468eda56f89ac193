//! Good starts: what a newcomer types, and what an operator brings from Kafka.
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;

use crate::broker::{Broker, Home, QUIET, Signal, address_after, free_port, http, ottla, run};
use crate::wire::{Wire, produce};

const KAFKAS_OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../node/tests/kafka/server.properties");

#[test]
fn ottla_alone_serves_both_loopbacks_and_its_banner_can_be_typed() {
    let home = Home::new("banner");
    let port = free_port();
    let listeners = format!("listeners=PLAINTEXT://localhost:{port}");
    let broker = Broker::start_with(&home, &["--override", &listeners, "--override", "ottla.http.listener="]);
    let banner = broker.err.wait_for(&format!("bootstrap.servers=localhost:{port}\n"));
    assert!(banner.contains(&format!("Ottla is ready on localhost:{port}. Data: ./ottla-data (kept).")), "{banner}");
    for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        let mut wire = Wire::connect(SocketAddr::new(ip, port));
        let topics = protocol::metadata_request::MetadataRequest::default();
        assert_eq!(wire.ask(&topics, 12).unwrap().brokers[0].port, i32::from(port));
    }

    let lines: Vec<&str> = banner.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let [produce, consume] = lines[..] else { panic!("two lines to type: {banner}") };
    typed(&home, produce);
    // It waits for more; `timeout` is the person's Ctrl-C.
    let read = typed(&home, &format!("timeout -s INT 3 {consume} || test $? = 124"));
    assert_eq!(read, "hello\n");
    let again = typed(&home, &format!("{consume} -n 1"));
    assert_eq!(again, "hello\n");
    broker.stop(Signal::INT);
    assert_eq!(home.names(), ["ottla-data"]);
}

/// What a line prints in a shell.
fn typed(home: &Home, line: &str) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(home.path()).stdin(std::process::Stdio::null());
    shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    run(shell).with_code(0).out
}

#[test]
fn ephemeral_leaves_nothing_behind() {
    for signals in [&[Signal::TERM][..], &[Signal::INT], &[Signal::TERM, Signal::TERM]] {
        let home = Home::new("ephemeral");
        let arguments = [&["--ephemeral"], QUIET].concat();
        let broker = Broker::start_with(&home, &arguments);
        let mut wire = Wire::connect(broker.address);
        wire.create_topic();
        wire.ask(&produce("hello"), 9).unwrap();
        let [name] = &home.names()[..] else { panic!("one directory while it runs: {:?}", home.names()) };
        assert!(broker.err.wait_for("bootstrap.servers").contains(name), "the banner says where it is");
        for signal in signals {
            broker.signal(*signal);
        }
        broker.ended();
        assert_eq!(home.names(), Vec::<String>::new(), "{signals:?}");
    }
}

#[test]
fn ephemeral_touches_no_directory_that_is_named_elsewhere() {
    let home = Home::new("ephemeral-named");
    std::fs::create_dir(home.join("mine")).unwrap();
    let arguments = [&["--ephemeral", "--override", "log.dirs=mine"], QUIET].concat();
    Broker::start_with(&home, &arguments).stop(Signal::TERM);
    assert_eq!(home.names(), ["mine"]);
    assert_eq!(std::fs::read_dir(home.join("mine")).unwrap().count(), 0);
}

#[test]
fn a_start_that_fails_leaves_no_ephemeral_directory() {
    let home = Home::new("ephemeral-fails");
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listeners = format!("listeners=PLAINTEXT://{}", taken.local_addr().unwrap());
    run(ottla(&home, &["--ephemeral", "--override", &listeners])).with_code(1);
    run(ottla(&home, &["--ephemeral", "--override", "num.partitions=none"])).with_code(2);
    assert_eq!(home.names(), Vec::<String>::new());
}

#[test]
fn kafkas_own_server_properties_starts() {
    let home = Home::new("properties");
    // Its ports and /tmp belong to others, perhaps to a Kafka; the rest is as it is.
    let port = free_port();
    let listeners = format!("listeners=PLAINTEXT://:{port},CONTROLLER://:9093");
    let advertised = format!("advertised.listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:9093");
    let arguments = ["server", "--config", KAFKAS_OWN, "--strict"];
    let moved = ["log.dirs=ottla-data", "ottla.http.listener=127.0.0.1:0", &listeners, &advertised];
    let overrides = moved.into_iter().flat_map(|setting| ["--override", setting]);
    let broker = Broker::start_with(&home, &arguments.into_iter().chain(overrides).collect::<Vec<_>>());
    let mut wire = Wire::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    wire.create_topic();
    wire.ask(&produce("hello"), 9).unwrap();
    assert_eq!(wire.read_all(), ["hello"]);
    let said = broker.err.wait_for("metrics on http://");
    assert!(said.contains("listener PLAINTEXT binds all interfaces"), "{said}");
    assert!(!said.contains("Ottla is ready"), "the banner is for development: {said}");
    broker.stop(Signal::TERM);
}

#[test]
fn health_and_metrics_are_served() {
    let home = Home::new("health");
    let listeners = "listeners=PLAINTEXT://127.0.0.1:0";
    let broker = Broker::start_with(&home, &["--override", listeners, "--override", "ottla.http.listener=127.0.0.1:0"]);
    let at = address_after(&broker.err.wait_for("/health/ready"), "metrics on http://");
    assert_eq!(http(at, "/health/live").0, 200);
    assert_eq!(http(at, "/health/ready").0, 200);
    assert_eq!(http(at, "/no/such/page").0, 404);
    let mut wire = Wire::connect(broker.address);
    wire.create_topic();
    wire.ask(&produce("hello"), 9).unwrap();
    let (status, metrics) = http(at, "/metrics");
    assert_eq!(status, 200);
    for line in ["kafka_topic_partitions{topic=\"letters\"} 1", "kafka_brokers 1"] {
        assert!(metrics.lines().any(|given| given == line), "{line}: {metrics}");
    }
    broker.stop(Signal::TERM);
}

#[test]
fn a_broker_outlives_whoever_read_its_log() {
    let home = Home::new("no-stderr");
    let mut command = ottla(&home, QUIET);
    let (read, write) = std::io::pipe().unwrap();
    command.stderr(write);
    let mut child = command.spawn().unwrap();
    drop(command);
    let listened = crate::broker::Listened::to_line(read, "listening on");
    let address = address_after(&listened, "listening on PLAINTEXT://");
    // From here on nobody reads. A frame of no request is worth a line in the log.
    for _ in 0..3 {
        let mut hostile = std::net::TcpStream::connect(address).unwrap();
        hostile.write_all(&[0xff; 64]).unwrap();
        let _ = std::io::Read::read(&mut hostile, &mut [0]);
    }
    let mut wire = Wire::connect(address);
    wire.create_topic();
    wire.ask(&produce("hello"), 9).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let broker = Broker::start(&home);
    assert_eq!(Wire::connect(broker.address).read_all(), ["hello"]);
    broker.err.wait_for("started; nothing had to be recovered");
}

#[test]
fn version_and_help_read_well() {
    let home = Home::new("help");
    let version = run(ottla(&home, &["--version"])).with_code(0);
    assert_eq!(version.out, format!("ottla {}\n", env!("CARGO_PKG_VERSION")));
    let help = run(ottla(&home, &["--help"])).with_code(0);
    for part in ["Without a command: `ottla dev`", "server ", "topic ", "produce ", "consume ", "group ", "--ephemeral"]
    {
        assert!(help.out.contains(part), "{part}: {}", help.out);
    }
    for command in ["dev", "server", "topic", "produce", "consume", "group"] {
        let help = run(ottla(&home, &[command, "--help"])).with_code(0);
        assert!(help.out.contains(&format!("Usage: ottla {command}")), "{}", help.out);
    }
    let wrong = run(ottla(&home, &["prodcue", "letters"])).with_code(2);
    assert!(wrong.err.contains("'produce'"), "it says what was probably meant: {}", wrong.err);
    assert_eq!(home.names(), Vec::<String>::new());
}
