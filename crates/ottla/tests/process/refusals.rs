//! Bad starts: each ends soon, with a code, and says in a line what is wrong and what to do about it.
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;

use crate::broker::{Broker, Ended, Home, QUIET, Signal, ottla, run};
use crate::wire::{Wire, produce};

/// Refused for what it found, not for how it was asked: code 1, and one line of reason behind the log's lines.
#[track_caller]
fn refused(home: &Home, arguments: &[&str]) -> String {
    let ended = run(ottla(home, &[QUIET, arguments].concat())).with_code(1);
    reason(&ended)
}

#[track_caller]
fn reason(ended: &Ended) -> String {
    let reasons: Vec<&str> = ended.err.lines().filter(|line| line.starts_with("ottla: ")).collect();
    let [reason] = reasons[..] else { panic!("one line of reason: {}", ended.err) };
    assert_eq!(ended.err.lines().last(), Some(reason), "the reason comes last");
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    reason.to_owned()
}

#[track_caller]
fn says(reason: &str, parts: &[&str]) {
    for part in parts {
        assert!(reason.contains(part), "{part:?} is not in: {reason}");
    }
}

#[test]
fn a_second_server_on_a_directory_is_refused() {
    let home = Home::new("second");
    let broker = Broker::start(&home);
    let mut wire = Wire::connect(broker.address);
    wire.create_topic();
    wire.ask(&produce("hello"), 9).unwrap();
    says(&refused(&home, &[]), &["./ottla-data", "used by another process", "stop that one", "log.dirs"]);
    // The first is not disturbed.
    wire.ask(&produce("again"), 9).unwrap();
    assert_eq!(wire.read_all(), ["hello", "again"]);
    broker.stop(Signal::TERM);
    let broker = Broker::start(&home);
    broker.err.wait_for("started; nothing had to be recovered");
}

#[test]
fn a_port_in_use_is_named() {
    let home = Home::new("port");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listeners = format!("listeners=PLAINTEXT://{address}");
    says(
        &refused(&home, &["--override", &listeners]),
        &[&format!("PLAINTEXT://{address}"), "in use", "stop it, or choose another port"],
    );
    let http = format!("ottla.http.listener={address}");
    says(&refused(&home, &["--override", &http]), &[&address, "in use", "ottla.http.listener"]);
    // Nothing is to be recovered after either.
    Broker::start(&home).err.wait_for("started; nothing had to be recovered");
}

#[test]
fn an_address_of_another_machine_is_named() {
    let home = Home::new("address");
    // 192.0.2.0/24 is nobody's (RFC 5737).
    let reason = refused(&home, &["--override", "listeners=PLAINTEXT://192.0.2.1:19092"]);
    says(&reason, &["PLAINTEXT://192.0.2.1:19092", "listeners"]);
}

#[test]
fn a_file_in_place_of_the_directory_is_named() {
    let home = Home::new("file");
    std::fs::write(home.data(), "mine").unwrap();
    says(&refused(&home, &[]), &["./ottla-data", "ot a directory", "log.dirs"]);
    assert_eq!(std::fs::read_to_string(home.data()).unwrap(), "mine");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let home = Home::new("readonly");
    // Root may write everywhere but here.
    if rustix::process::geteuid().is_root() {
        says(&refused(&home, &["--override", "log.dirs=/proc/ottla"]), &["/proc/ottla", "log.dirs"]);
        return;
    }
    std::fs::create_dir(home.data()).unwrap();
    std::fs::set_permissions(home.data(), std::fs::Permissions::from_mode(0o500)).unwrap();
    says(&refused(&home, &[]), &["./ottla-data", "ermission denied", "log.dirs"]);
    std::fs::set_permissions(home.data(), std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_directory_of_a_newer_format_is_left_alone() {
    let home = Home::new("newer");
    Broker::start(&home).stop(Signal::TERM);
    let path = home.data().join("meta.properties");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("ottla.format=1", "ottla.format=2")).unwrap();
    says(&refused(&home, &[]), &["ottla-data/meta.properties", "format 2", "reads format 1", "newer"]);
    std::fs::write(&path, text).unwrap();
    Broker::start(&home).err.wait_for("started; nothing had to be recovered");
}

#[test]
fn a_directory_of_another_cluster_or_node_is_left_alone() {
    let home = Home::new("foreign");
    Broker::start(&home).stop(Signal::TERM);
    let reason = refused(&home, &["--override", "ottla.cluster.id=MkU3OEVBNTcwNTJENDM2Qg"]);
    says(&reason, &["ottla-data/meta.properties", "cluster.id", "MkU3OEVBNTcwNTJENDM2Qg", "log.dirs"]);
    let reason = refused(&home, &["--override", "node.id=7"]);
    says(&reason, &["ottla-data/meta.properties", "node.id 1", "7", "log.dirs"]);
    Broker::start(&home).err.wait_for("started; nothing had to be recovered");
}

#[test]
fn a_directory_of_kafkas_is_left_alone() {
    let home = Home::new("kafkas");
    std::fs::create_dir_all(home.data().join("letters-0")).unwrap();
    let meta = "#\nversion=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\nnode.id=1\ndirectory.id=dYX4nmfPQ9CnNFLtbTKK0g\n";
    std::fs::write(home.data().join("meta.properties"), meta).unwrap();
    says(&refused(&home, &[]), &["ottla-data/meta.properties", "ottla.format"]);
    assert_eq!(std::fs::read_to_string(home.data().join("meta.properties")).unwrap(), meta);
}

#[test]
fn a_log_directory_within_another_is_refused() {
    let home = Home::new("nested");
    let [line] = &misconfigured(&home, &["--override", "log.dirs=one,one/two"])[..] else { panic!("one line") };
    says(line, &["log.dirs", "one/two", "within one", "; "]);
}

/// Refused for how it was asked: code 2, and a line for each mistake.
#[track_caller]
fn misconfigured(home: &Home, arguments: &[&str]) -> Vec<String> {
    let ended = run(ottla(home, arguments)).with_code(2);
    assert_eq!(home.names().iter().filter(|name| *name != "server.properties").count(), 0, "nothing is made");
    ended.err.lines().map(str::to_owned).collect()
}

#[test]
fn every_wrong_value_is_named_with_its_line_rule_and_remedy() {
    let home = Home::new("values");
    let text = "node.id=1\nnum.partitions=many\n\nlog.segment.bytes=3\n";
    std::fs::write(home.join("server.properties"), text).unwrap();
    let lines = misconfigured(&home, &["server", "--config", "server.properties", "--override", "log.durability=soon"]);
    let [partitions, segment, durability] = &lines[..] else { panic!("three mistakes: {lines:?}") };
    says(partitions, &["num.partitions=many (server.properties, line 2)", "must be", "; "]);
    says(segment, &["log.segment.bytes=3 (server.properties, line 4)", "at least", "; "]);
    says(durability, &["log.durability=soon (--override)", "flush, relaxed", "; "]);
}

#[test]
fn a_variable_that_is_wrong_is_named() {
    let home = Home::new("variable");
    let mut command = ottla(&home, &[]);
    command.env("KAFKA_NUM_PARTITIONS", "many");
    says(&run(command).with_code(2).err, &["num.partitions=many", "KAFKA_NUM_PARTITIONS"]);
}

#[test]
fn an_override_without_a_value_and_a_missing_file_are_named() {
    let home = Home::new("arguments");
    let [line] = &misconfigured(&home, &["--override", "num.partitions"])[..] else { panic!("one line") };
    says(line, &["--override num.partitions", "=VALUE"]);
    let [line] = &misconfigured(&home, &["server", "--config", "missing.properties"])[..] else { panic!("one line") };
    says(line, &["missing.properties", "No such file"]);
}

#[test]
fn an_unknown_key_is_a_warning_and_with_strict_a_refusal() {
    let home = Home::new("unknown");
    let lines = misconfigured(&home, &["--strict", "--override", "num.partition=3"]);
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    says(line, &["num.partition", "num.partitions"]);
    let broker = Broker::start_with(&home, &[QUIET, &["--override", "num.partition=3"]].concat());
    let warning = broker.err.wait_for("num.partitions");
    let warnings = warning.lines().filter(|line| line.contains("num.partition"));
    let warnings: Vec<&str> = warnings.collect();
    let [warning] = warnings[..] else { panic!("one warning: {warnings:?}") };
    says(warning, &["WARN", "num.partition"]);
    broker.stop(Signal::TERM);
}
