//! What a command does with signals and pipes, as only a process has them.
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};

use crate::broker::{Broker, Home, Signal, ended, ottla};

/// Far less than a command waits for a cluster.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn ctrl_c_ends_a_command_that_waits_for_a_broker() {
    let home = Home::new("silent");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let bootstrap = silent.local_addr().unwrap().to_string();
    let child = ottla(&home, &["topic", "list", "-b", &bootstrap]).spawn().unwrap();
    let _connection = silent.accept().unwrap();
    let began = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    ended(child).with_code(130);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_consumer_ends_when_nobody_reads_what_it_prints_also_if_nothing_more_comes() {
    let home = Home::new("unread");
    let broker = Broker::start(&home);
    let bootstrap = broker.address.to_string();
    let mut produce = ottla(&home, &["produce", "letters", "-b", &bootstrap]);
    let mut produce = produce.stdin(Stdio::piped()).spawn().unwrap();
    produce.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    ended(produce).with_code(0);
    let mut consume = ottla(&home, &["consume", "letters", "-b", &bootstrap]).spawn().unwrap();
    let mut output = BufReader::new(consume.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    drop(output);
    assert_eq!(ended(consume).with_code(0).err, "");
}
